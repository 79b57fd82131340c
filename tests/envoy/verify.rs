//! `certctl verify` and a real Envoy judge the same chains alike, the odd ones above all: what
//! rustls-webpki leaves open of a CA's certificate, Envoy does not.

use crate::mutual_tls::{Pair, SERVED, Side};
use crate::support::openssl::Openssl;
use crate::support::program;

const CA: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n";
const LEAF: &str = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n\
    extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=URI:spiffe://d/x,DNS:x.d\n";

/// Makes `name`, signed by `issuer`, which may be itself.
fn make(openssl: &Openssl, name: &str, issuer: &str, extensions: &str) {
    openssl.run(&format!("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}_key.pem -out {name}.csr -subj /CN={name}"));
    openssl.write("extensions", extensions);
    let signer = match name == issuer {
        true => format!("-key {name}_key.pem"),
        false => format!("-CA {issuer}.pem -CAkey {issuer}_key.pem"),
    };
    openssl.run(&format!(
        "x509 -req -in {name}.csr {signer} -days 9 -extfile extensions -out {name}.pem"
    ));
}

fn text(openssl: &Openssl, names: &[&str]) -> String {
    let bytes: Vec<u8> =
        names.iter().flat_map(|name| openssl.read(&format!("{name}.pem"))).collect();
    String::from_utf8(bytes).unwrap()
}

/// Whether an Envoy client takes a server with this chain, by the certificates that it trusts.
fn envoy_accepts(openssl: &Openssl, chain: &[&str], trusted: &[&str]) -> bool {
    let side = |chain: &[&str], trusted: &[&str]| Side {
        chain: text(openssl, chain),
        key: text(openssl, &[&format!("{}_key", chain[0])]),
        trusted_ca: text(openssl, trusted),
        tls_params: String::new(),
    };
    let pair = Pair::start(&side(&["client", "good"], trusted), &side(chain, &["good"]));
    let response = pair.call();
    if response.body != SERVED {
        assert!(response.body.contains("CERTIFICATE_VERIFY_FAILED"), "{}", response.body);
    }
    response.body == SERVED
}

fn certctl_accepts(openssl: &Openssl, chain: &[&str], trusted: &[&str]) -> (bool, String) {
    openssl.write("chain.pem", text(openssl, chain));
    openssl.write("trusted.pem", text(openssl, trusted));
    let judged = "verify --usage server --bundle trusted.pem chain.pem";
    let run = program::run(&openssl.path(""), judged);
    assert!(matches!(run.code, Some(0 | 3)), "{run:?}");
    (run.code == Some(0), run.stdout)
}

#[test]
fn certctl_verify_and_envoy_agree() {
    let openssl = Openssl::new();
    make(&openssl, "good", "good", CA);
    make(&openssl, "client", "good", LEAF);
    let ca = |extra: &str| format!("{CA}{extra}");
    let no_signing = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature\n";
    let roots = [
        ("root", ca("")),
        ("no-ca", "basicConstraints=critical,CA:FALSE\n".to_owned()),
        ("no-constraints", "subjectKeyIdentifier=hash\n".to_owned()),
        ("no-signing", no_signing.to_owned()),
        ("no-usage", "basicConstraints=critical,CA:TRUE\n".to_owned()),
        ("clients-only", ca("extendedKeyUsage=clientAuth\n")),
        ("both", ca("extendedKeyUsage=clientAuth,serverAuth\n")),
        ("critical", ca("1.2.3.4=critical,DER:0500\n")),
        ("short", CA.replace("CA:TRUE", "CA:TRUE,pathlen:0")),
        ("names", ca("nameConstraints=critical,permitted;DNS:other.d\n")),
    ];
    let mut cases: Vec<(Vec<String>, String)> = Vec::new();
    for (root, extensions) in &roots {
        make(&openssl, root, root, extensions);
        let leaf = format!("under-{root}");
        make(&openssl, &leaf, root, LEAF);
        cases.push((vec![leaf.clone()], (*root).to_owned()));
        cases.push((vec![leaf, (*root).to_owned()], (*root).to_owned()));
    }
    let below = [("good", "fine", CA), ("good", "unable", no_signing), ("short", "deep", CA)];
    for (root, name, extensions) in below {
        make(&openssl, name, root, extensions);
        let leaf = format!("under-{name}");
        make(&openssl, &leaf, name, LEAF);
        cases.push((vec![leaf.clone(), name.to_owned()], root.to_owned()));
        cases.push((vec![leaf.clone(), name.to_owned(), root.to_owned()], root.to_owned()));
        // The intermediate itself as what is trusted.
        cases.push((vec![leaf], name.to_owned()));
    }
    make(&openssl, "self", "self", LEAF);
    cases.push((vec!["self".to_owned()], "self".to_owned()));
    let mut differences = Vec::new();
    for (chain, trusted) in &cases {
        let chain: Vec<_> = chain.iter().map(String::as_str).collect();
        let envoy = envoy_accepts(&openssl, &chain, &[trusted]);
        let (certctl, told) = certctl_accepts(&openssl, &chain, &[trusted]);
        if envoy != certctl {
            differences.push(format!("{chain:?} by {trusted}: Envoy {envoy}, and not:\n{told}"));
        }
    }
    // The one difference: a leaf that is trusted itself. Envoy takes it, and we want a CA.
    assert!(envoy_accepts(&openssl, &["client"], &["client"]));
    assert!(!certctl_accepts(&openssl, &["client"], &["client"]).0);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
