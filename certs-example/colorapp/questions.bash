# What both demos of colorapp ask their Envoys, and what must come back. Sourced after demo.bash.

four_envoys() {
    title "Four Envoys"
    start colorapp-blue "mutual TLS, signed by ca_1"
    start colorapp-green "mutual TLS, signed by ca_2"
    start colorapp-red "plain HTTP"
    # front's file names its backends' ports, which are known only now.
    sed -i "s/@colorapp-blue@/${port[colorapp-blue]}/; s/@colorapp-green@/${port[colorapp-green]}/
            s/@colorapp-red@/${port[colorapp-red]}/" envoy/front.yaml
    start front "signed by ca_1, trusts ca_1"
}

front_trusts_ca_1() {
    title "front trusts ca_1"
    expect_colour blue
    explain colorapp-blue 0
    expect_colour red
    expect_refusal green CERTIFICATE_VERIFY_FAILED
    explain colorapp-green 3
    expect_no_strangers colorapp-blue
}

add_green() {
    sed -i '/^ *front:/ s/trust: \[ca_1\]/trust: [ca_1, ca_2]/' mesh.yaml
    sed -n '/^ *front:/ { s/^ */    /; s/ *#.*//; p }' mesh.yaml
}

# What certctl says about the handshake between front and $1, before anybody tries it; $2 is the
# exit code that fits what Envoy did (0: it will work, 3: it will not).
explain() {
    local said code=0
    said=$("$certctl" explain front "$1" -f mesh.yaml 2>&1) || code=$?
    # Its first line is the answer; the rules below matter when one fails.
    ((code == 3)) || said=${said%%$'\n'*}
    sed "s/^/        ${dim}explain: /; s/\$/${plain}/" <<<"$said"
    ((code == $2)) || fail "\`certctl explain front $1\` ended with $code, but Envoy's answer asks for $2"
}

# Asks front for colour $1, by path or, as the walkthrough does, by "header": sets status, body and
# caller (whom the backend saw calling).
ask() {
    local reply path="/$1" header="accept: text/plain"
    if [[ ${2:-path} == header ]]; then
        path=/ header="color_header: $1"
    fi
    reply=$(curl --silent --noproxy '*' --max-time 5 --write-out '\n%{http_code} %header{x-caller}' \
        --header "$header" "http://127.0.0.1:${port[front]}$path") || true
    body=${reply%$'\n'*}
    read -r status caller <<<"${reply##*$'\n'}" || true
}

# front must get colour $1, asked for in way $2: if certificates have just changed, once Envoy has
# noticed.
expect_colour() {
    local until=$((SECONDS + deadline_seconds))
    until ask "$1" "${2:-path}" && [[ $status == 200 && $body == "$1" ]]; do
        ((SECONDS < until)) || fail "front -> colorapp-$1: expected \"$1\", got $status $body"
        sleep 0.01
    done
    result "$1" "$good" "$status $body${caller:+ $plain$dim(saw $caller)}"
}

# front must be refused colour $1, for a reason that contains $2.
expect_refusal() {
    ask "$1"
    [[ $status == 503 && $body == *"$2"* ]] || fail "front -> colorapp-$1: expected 503 and $2, got $status $body"
    result "$1" "$bad" "$status refused"
    # Envoy writes the words of TLS's reason with underscores between them.
    sed "s/.*OPENSSL_internal://; s/:TLS_error_end.*//; s/\([a-z0-9]\)_/\1 /g; s/:_*/: /g
         s/^/        ${dim}Envoy: /; s/\$/${plain}/" <<<"$body"
}

# A caller without a certificate must not get in at node $1.
expect_no_strangers() {
    local answer refused
    if answer=$(curl --silent --noproxy '*' --max-time 5 --insecure "https://127.0.0.1:${port[$1]}/"); then
        fail "$1 answered \"$answer\" to a caller without a certificate"
    fi
    refused=$(admin "$1" 'stats?filter=ssl.fail_verify_no_cert' | sed -n 's/^listener\..*: //p')
    [[ $refused == 1 ]] || fail "$1 did not count one caller without a certificate, but: $refused"
    printf '    curl  -> %-15s %srefused%s\n' "$1" "$bad" "$plain"
    echo "        ${dim}Envoy: ssl.fail_verify_no_cert: $refused${plain}"
}

result() { printf '    front -> %-15s %s%s%s\n' "colorapp-$1" "$2" "$3" "$plain"; }
