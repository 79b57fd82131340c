# What the demos share: a temporary directory, certctl, Envoys, questions to them, and a clean end.
# Sourced by a demo after `set -euo pipefail`; `finish` is its exit trap.
#
#   CERTCTL  the certctl to run   (default: target/release/certctl)
#   ENVOY    the Envoy to run     (default: target/tools/envoy)

export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
certctl=$(realpath "${CERTCTL:-$root/target/release/certctl}")
envoy=$(realpath "${ENVOY:-$root/target/tools/envoy}")
readonly root certctl envoy
readonly deadline_seconds=20

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    bold=$'\e[1m' dim=$'\e[2m' good=$'\e[32m' bad=$'\e[31m' plain=$'\e[0m'
else
    bold='' dim='' good='' bad='' plain=''
fi

# Makes a temporary directory with copies of these files of the demo's own, and goes there.
enter() {
    for program in "$certctl" "$envoy"; do
        [[ -x $program ]] || fail "$program is not there: run \`make demo\`"
    done
    work=$(mktemp -d "${TMPDIR:-/tmp}/certctl-demo.XXXXXX")
    cp -R "$@" "$work"
    cd "$work"
}

# --- the agent -------------------------------------------------------------------------------------

# Starts `certctl agent` on mesh.yaml and waits until it listens.
start_agent() {
    echo "    ${dim}\$ certctl agent -f mesh.yaml --sds sds.sock --state state${plain}"
    local began=$EPOCHREALTIME until=$((SECONDS + deadline_seconds))
    "$certctl" agent -f mesh.yaml --sds sds.sock --state state >agent.log 2>&1 &
    pid[agent]=$!
    until "$certctl" status --sds sds.sock >status.txt 2>&1; do
        kill -0 "${pid[agent]}" 2>/dev/null || fail "the agent ended"
        ((SECONDS < until)) || fail "the agent was not there within $deadline_seconds s"
        sleep 0.01
    done
    echo "    ${dim}it answered $(since "$began") ms after its start${plain}"
}

# Shows what the agent holds.
show_status() {
    echo "    ${dim}\$ certctl status --sds sds.sock${plain}"
    "$certctl" status --sds sds.sock 2>&1 | sed 's/^./    &/' || true
}

# The serial number that the agent has for node $1, in lower case as Envoy writes it.
serial() {
    "$certctl" status --sds sds.sock -o json |
        awk -v node="\"$1\"" '/"name":/ { here = index($0, node) } here && /"serial":/ {
            gsub(/[",]/, "", $2); print tolower($2); exit }'
}

# --- Envoy -----------------------------------------------------------------------------------------

declare -A port=() pid=()

# Starts the Envoy of node $1 and waits until it listens; its port (any free one) is in ${port[$1]}.
start() {
    "$envoy" --config-path "envoy/$1.yaml" --concurrency 1 --disable-hot-restart --log-level warning \
        >"$1.log" 2>&1 &
    pid[$1]=$!
    local until=$((SECONDS + deadline_seconds))
    while [[ $(admin "$1" ready) != LIVE ]]; do
        kill -0 "${pid[$1]}" 2>/dev/null || fail "the Envoy of $1 ended"
        ((SECONDS < until)) || fail "the Envoy of $1 was not ready within $deadline_seconds s"
        sleep 0.02
    done
    port[$1]=$(admin "$1" listeners | sed -n "s/^$1::127.0.0.1://p")
    printf '    %-15s 127.0.0.1:%-6s %s%s%s\n' "$1" "${port[$1]}" "$dim" "$2" "$plain"
}

# Asks node $1's admin interface, a socket that only this user can reach.
admin() { curl --silent --max-time 5 --unix-socket "$1.sock" "${@:3}" "http://admin/$2" || true; }

# How often the Envoy of $1 would not take what it was given.
rejected() { admin "$1" 'stats?filter=update_rejected' | sed -n 's/.*sds.*: //p' | sort -u; }

# --- load ------------------------------------------------------------------------------------------

# Asks port $1 for path $2 again and again, until `stop_load`; what is no 200 is kept in load.failed.
start_load() {
    : >load.failed
    (
        trap 'echo "$asked" >load.asked; exit' TERM
        asked=0
        while true; do
            answer=$(curl --silent --noproxy '*' --max-time 5 --write-out '\n%{http_code}' \
                "http://127.0.0.1:$1$2" || true)
            [[ ${answer##*$'\n'} == 200 ]] || echo "$answer" >>load.failed
            ((asked += 1))
        done
    ) &
    pid[load]=$!
}

# Ends the load; how many requests there were is in $asked. Not one may have failed.
stop_load() {
    kill "${pid[load]}"
    wait "${pid[load]}" || true
    unset 'pid[load]'
    asked=$(<load.asked)
    [[ ! -s load.failed ]] || fail "requests failed: $(head -n 3 load.failed)"
}

# --- printing and ending ---------------------------------------------------------------------------

title() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }

# Milliseconds since $1, a value of EPOCHREALTIME.
since() { echo $(((${EPOCHREALTIME/./} - ${1/./}) / 1000)); }

fail() {
    echo "demo: $1" >&2
    exit 1
}

# Runs however the script ends: ends what it started, by id, and shows their last words if it went
# wrong.
finish() {
    local code=$? name i
    trap '' INT TERM HUP
    trap - EXIT
    for name in "${!pid[@]}"; do
        kill "${pid[$name]}" 2>/dev/null || true
    done
    for name in "${!pid[@]}"; do
        for ((i = 0; i < 250; i++)); do
            kill -0 "${pid[$name]}" 2>/dev/null || break
            sleep 0.02
        done
        kill -KILL "${pid[$name]}" 2>/dev/null || true
    done
    if ((code != 0 && code < 128)); then
        for name in "${!pid[@]}"; do
            [[ -f $work/$name.log ]] || continue
            printf '\n--- the end of %s.log\n' "$name" >&2
            tail -n 15 "$work/$name.log" >&2
        done
    fi
    if [[ -n ${work:-} ]]; then
        rm -rf "$work"
    fi
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
