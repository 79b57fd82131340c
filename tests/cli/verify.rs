//! `certctl verify`, as people run it: one line for each rule, and an exit code.

use crate::support::openssl::Openssl;
use crate::support::program::{self, Run};

const ID: &str = "spiffe://example.org/front";

/// A root, an intermediate and a leaf below it, as an X.509-SVID; another CA of the root's name.
fn mesh() -> Openssl {
    let openssl = Openssl::new();
    let ca = "-addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign";
    for (file, subject) in [("root", "/CN=root"), ("twin", "/CN=root"), ("other", "/CN=other")] {
        openssl.run(&format!("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {file}_key.pem -out {file}.pem -days 30 -subj {subject} {ca}"));
    }
    openssl.write(
        "ca.ext",
        "basicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,keyCertSign\n",
    );
    issue(&openssl, "middle", "root", "ca.ext", 20);
    openssl.write("leaf.ext", format!("basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=URI:{ID},DNS:front.example\n"));
    issue(&openssl, "front", "middle", "leaf.ext", 10);
    concatenate(&openssl, "chain.pem", &["front", "middle"]);
    openssl
}

fn issue(openssl: &Openssl, name: &str, issuer: &str, extensions: &str, days: u32) {
    openssl.run(&format!("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}_key.pem -out {name}.csr -subj /CN={name}"));
    openssl.run(&format!("x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}_key.pem -set_serial 7 -days {days} -sha256 -extfile {extensions} -out {name}.pem"));
}

fn concatenate(openssl: &Openssl, file: &str, parts: &[&str]) {
    let parts: Vec<_> =
        parts.iter().flat_map(|part| openssl.read(&format!("{part}.pem"))).collect();
    openssl.write(file, parts);
}

fn run(openssl: &Openssl, arguments: &str) -> Run {
    program::run(&openssl.path(""), &format!("verify {arguments}"))
}

/// The exit code and the whole answer.
fn verify(openssl: &Openssl, arguments: &str) -> (Option<i32>, String) {
    let run = run(openssl, arguments);
    (run.code, run.text())
}

#[test]
fn a_chain_that_holds_keeps_every_rule() {
    let openssl = mesh();
    let (code, text) =
        verify(&openssl, &format!("--bundle root.pem --key front_key.pem --name {ID} chain.pem"));
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "✓ order  the leaf first, then 1 above it",
        "✓ chain  leads to \"CN=root\", which is trusted",
        "✓ time   valid at ",
        "✓ usage  may be used as a client and as a server",
        "✓ name   it is for spiffe://example.org/front",
        "✓ key    the key belongs to the leaf",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    for arguments in [
        "--bundle other.pem --bundle root.pem chain.pem",
        "--bundle root.pem --name FRONT.example chain.pem",
        "--bundle root.pem --usage client chain.pem",
        "--bundle middle.pem front.pem",
    ] {
        let (code, text) = verify(&openssl, arguments);
        assert_eq!(code, Some(0), "{arguments}: {text}");
    }
    openssl.run("x509 -in front.pem -outform der -out front.der");
    assert_eq!(verify(&openssl, "--bundle middle.pem front.der").0, Some(0));
    openssl.run("pkcs8 -topk8 -in front_key.pem -passout pass:word -out sealed.pem");
    openssl.write("word", "word\n");
    let sealed = "--bundle root.pem --key sealed.pem --passphrase-file word chain.pem";
    assert_eq!(verify(&openssl, sealed).0, Some(0));
}

/// Every row breaks the rules that it names, and no other.
#[test]
fn each_broken_rule_is_named_with_its_certificate_and_what_to_do() {
    let openssl = mesh();
    let leaf = |name: &str, lines: &str| {
        openssl.write("one.ext", lines);
        issue(&openssl, name, "middle", "one.ext", 10);
        concatenate(&openssl, &format!("{name}_chain.pem"), &[name, "middle"]);
    };
    leaf("server", "extendedKeyUsage=serverAuth\n");
    leaf("code", "extendedKeyUsage=codeSigning\n");
    leaf("agreement", "keyUsage=critical,keyAgreement\n");
    leaf("two", &format!("subjectAltName=URI:{ID},URI:{ID}2\n"));
    openssl.write("ca.ext", "basicConstraints=critical,CA:true\nextendedKeyUsage=serverAuth\n");
    issue(&openssl, "serving", "root", "ca.ext", 20);
    issue(&openssl, "below", "serving", "leaf.ext", 10);
    concatenate(&openssl, "below_chain.pem", &["below", "serving"]);
    concatenate(&openssl, "reversed.pem", &["middle", "front"]);
    concatenate(&openssl, "surplus.pem", &["front", "other", "middle"]);
    // A CA that signs a CA although its path length is 0.
    openssl.write("ca.ext", "basicConstraints=critical,CA:true\n");
    issue(&openssl, "deep", "middle", "ca.ext", 20);
    issue(&openssl, "bottom", "deep", "leaf.ext", 10);
    concatenate(&openssl, "deep_chain.pem", &["bottom", "deep", "middle"]);

    for (arguments, rules, detail, advice) in [
        (
            "--bundle other.pem chain.pem",
            "chain",
            "certificate 1 of 2 (\"CN=front\"): ",
            "the bundle trusts \"CN=other\": add \"CN=root\" to it",
        ),
        ("--bundle twin.pem chain.pem", "chain", "\"CN=front\"", ""),
        (
            "--bundle root.pem front.pem",
            "chain",
            "the certificate \"CN=front\": \"CN=middle\" issued it",
            "or the certificates between",
        ),
        (
            "--bundle root.pem deep_chain.pem",
            "chain",
            "certificate 1 of 3 (\"CN=bottom\")",
            "certctl inspect",
        ),
        (
            "--bundle root.pem reversed.pem",
            "order chain usage",
            "certificate 2 of 2 (\"CN=front\") is the leaf and not the first; Envoy refuses",
            "write the leaf first",
        ),
        (
            "--bundle root.pem surplus.pem",
            "order",
            "certificate 1 of 3 (\"CN=front\") was issued by \"CN=middle\"",
            "write the leaf first",
        ),
        (
            "--bundle root.pem --at 2000-01-01T00:00:00Z chain.pem",
            "time",
            "certificate 1 of 2 (\"CN=front\") is not valid before",
            "compare the clocks",
        ),
        (
            "--bundle root.pem --at 2100-01-01T00:00:00Z chain.pem",
            "time",
            "certificate 1 of 2 (\"CN=front\") expired at",
            "issue it again",
        ),
        (
            "--bundle root.pem server_chain.pem",
            "usage",
            "certificate 1 of 2 (\"CN=server\") lacks the extended key usage clientAuth",
            "both serverAuth and clientAuth",
        ),
        (
            "--bundle root.pem code_chain.pem --usage server",
            "chain usage",
            "lacks the extended key usage serverAuth",
            "both serverAuth and clientAuth",
        ),
        (
            "--bundle root.pem agreement_chain.pem",
            "usage",
            "lacks the key usage digitalSignature",
            "issue it again",
        ),
        (
            "--bundle root.pem below_chain.pem",
            "usage",
            "a CA above certificate 1 of 2 (\"CN=below\") is not for clientAuth",
            "another CA",
        ),
        (
            "--bundle root.pem --name spiffe://example.org/back chain.pem",
            "name",
            "is not for spiffe://example.org/back, but for \"spiffe://example.org/front\", \"front.example\"",
            "expect one of its names",
        ),
        (
            "--bundle root.pem --name back.example chain.pem",
            "name",
            "is not for back.example",
            "expect one of its names",
        ),
        (
            "--bundle root.pem --name spiffe://example.org/front two_chain.pem",
            "name",
            "but for \"spiffe://example.org/front\", \"spiffe://example.org/front2\"",
            "",
        ),
        (
            "--bundle root.pem --key root_key.pem chain.pem",
            "key",
            "the key is not that of certificate 1 of 2",
            "made with it",
        ),
        (
            "--bundle root.pem --key middle_key.pem chain.pem",
            "key",
            "the key is that of certificate 2 of 2 (\"CN=middle\"), not of the leaf",
            "made with it",
        ),
        (
            "--bundle root.pem root.pem",
            "chain usage",
            "the certificate \"CN=root\"",
            "it is a CA's certificate",
        ),
    ] {
        let (code, text) = verify(&openssl, arguments);
        assert_eq!(code, Some(3), "{arguments}: {text}");
        let broken: Vec<_> =
            text.lines().filter_map(|l| l.trim().strip_prefix("✗ ")?.split(' ').next()).collect();
        assert_eq!(broken.join(" "), rules, "{arguments}: {text}");
        assert!(
            text.contains(detail) && text.contains(advice),
            "{arguments}: {detail:?}, {advice:?}:\n{text}"
        );
    }
}

/// webpki does not look at a root's times; Envoy does.
#[test]
fn a_root_that_ended_breaks_the_rule_of_time() {
    let openssl = mesh();
    openssl.write("root.ext", "basicConstraints=critical,CA:true\n");
    openssl.run("req -new -key root_key.pem -out root.csr -subj /CN=root");
    openssl.run("x509 -req -in root.csr -key root_key.pem -set_serial 1 -days 1 -extfile root.ext -out short.pem");
    let at = days_from_now(&openssl, 5);
    let (code, text) = verify(&openssl, &format!("--bundle short.pem --at {at} chain.pem"));
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("✗ time   the root \"CN=root\" is valid from"), "{text}");
    // With the one that goes on beside it, all is well.
    let both = format!("--bundle short.pem --bundle root.pem --at {at} chain.pem");
    assert_eq!(verify(&openssl, &both).0, Some(0));
}

fn days_from_now(openssl: &Openssl, days: u32) -> String {
    // Half of a leaf's ten days, read from the leaf itself.
    let value = run(openssl, "--bundle root.pem -o json chain.pem").json();
    let now = certctl::time::parse_moment(value["at"].as_str().unwrap()).unwrap();
    certctl::time::rfc3339(now + std::time::Duration::from_secs(u64::from(days) * 86_400))
}

#[test]
fn several_chains_are_judged_one_by_one_and_told_to_programs() {
    let openssl = mesh();
    let run = run(&openssl, "--bundle root.pem -o json chain.pem front.pem");
    assert_eq!(run.code, Some(3));
    let value = run.json();
    assert_eq!(value["holds"], false);
    assert_eq!(value["chains"][0]["holds"], true);
    assert_eq!(value["chains"][1]["holds"], false);
    let findings = value["chains"][1]["findings"].as_array().unwrap();
    let rules: Vec<_> = findings.iter().map(|f| f["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["order", "chain", "time", "usage"]);
    assert!(findings[1]["advice"].is_string() && findings[0]["advice"].is_null());
}

#[test]
fn what_cannot_be_read_is_a_failure_and_no_verdict() {
    let openssl = mesh();
    openssl.write("empty.pem", "");
    openssl.write("cut.pem", &openssl.read("chain.pem")[..300]);
    for (arguments, code, expected) in [
        ("--bundle nothing.pem chain.pem", 1, "cannot read nothing.pem"),
        ("--bundle root.pem empty.pem", 1, "cannot use empty.pem: the file is empty"),
        ("--bundle root.pem cut.pem", 1, "cut.pem"),
        ("--bundle root.pem front_key.pem", 1, "holds a \"PRIVATE KEY\" block"),
        ("--bundle root.pem --key chain.pem chain.pem", 1, "there is no private key in it"),
        ("--bundle root.pem --name 10.0.0.1 chain.pem", 2, "as an IP address"),
        ("--bundle root.pem --name spiffe://Example.org/x chain.pem", 2, "has 'E'"),
        ("--bundle root.pem --usage any chain.pem", 2, "possible values"),
        ("chain.pem", 2, "--bundle"),
    ] {
        let (found, text) = verify(&openssl, arguments);
        assert_eq!(found, Some(code), "{arguments}: {text}");
        assert!(text.contains(expected), "{arguments}: {text}");
    }
}
