//! `certctl sign`, as people run it: one chain for a request's key, under the node's own profile.

use crate::support::openssl::Openssl;
use crate::support::program::{self, Run};

const MESH: &str = "\
version: 1
trustDomain: example.org
authorities:
  ca_1: {}
  middle: { local: { parent: ca_1 } }
  ca_2: {}
  partner: { trustOnly: { certificates: certs/ca_2_cert.pem } }
virtualNodes:
  front: { authority: ca_1, dnsNames: [front.example], trust: [ca_1] }
  back: { authority: middle, trust: [ca_1] }
";

/// A mesh whose authorities are made, and a request of `front`'s.
fn mesh() -> Openssl {
    let openssl = Openssl::new();
    openssl.write(
        "mesh.yaml",
        MESH.replace("  partner: { trustOnly: { certificates: certs/ca_2_cert.pem } }\n", ""),
    );
    let (code, text) = certctl(&openssl, "issue", "");
    assert_eq!(code, Some(0), "{text}");
    openssl.write("mesh.yaml", MESH);
    request(
        &openssl,
        "front",
        "-subj /CN=front -addext subjectAltName=URI:spiffe://example.org/front",
    );
    openssl
}

fn request(openssl: &Openssl, name: &str, asks: &str) {
    openssl.run(&format!("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}_key.pem -out {name}.csr {asks}"));
}

fn run(openssl: &Openssl, arguments: &str, stdin: &str) -> Run {
    program::feed(program::command(&openssl.path(""), arguments), stdin)
}

/// The exit code and the whole answer.
fn certctl(openssl: &Openssl, arguments: &str, stdin: &str) -> (Option<i32>, String) {
    let run = run(openssl, arguments, stdin);
    (run.code, run.text())
}

#[test]
fn a_request_is_signed_by_the_nodes_own_authority() {
    let openssl = mesh();
    let Run { code, stdout: chain, stderr: notes } =
        run(&openssl, "sign --csr front.csr --node front", "");
    assert_eq!(code, Some(0), "{notes}");
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(notes.contains("signed front by ca_1: spiffe://example.org/front, serial "), "{notes}");
    openssl.write("chain.pem", &chain);
    // OpenSSL's opinion, and ours.
    openssl.run("verify -x509_strict -CAfile certs/ca_1_cert.pem -untrusted chain.pem chain.pem");
    let judged = "verify --bundle certs/ca_1_cert.pem --key front_key.pem --name spiffe://example.org/front chain.pem";
    assert_eq!(certctl(&openssl, judged, "").0, Some(0));
    let names = openssl.run("x509 -in chain.pem -noout -ext subjectAltName");
    assert!(names.contains("URI:spiffe://example.org/front, DNS:front.example"), "{names}");

    // Through an intermediate: leaf and intermediate, the root left out. Request by DER and pipe.
    request(&openssl, "back", "-subj /");
    let pem = String::from_utf8(openssl.read("back.csr")).unwrap();
    let (code, text) = certctl(&openssl, "sign --csr - --node back -o back.pem --quiet", &pem);
    assert_eq!((code, text.as_str()), (Some(0), ""));
    let judged = "verify --bundle certs/ca_1_cert.pem --key back_key.pem --name spiffe://example.org/back back.pem";
    let (code, text) = certctl(&openssl, judged, "");
    assert!(code == Some(0) && text.contains("the leaf first, then 1 above it"), "{text}");
    openssl.run("req -in back.csr -outform der -out back.der");
    assert_eq!(certctl(&openssl, "sign --csr back.der --node back -o back.pem", "").0, Some(0));
}

#[test]
fn what_differs_from_the_mesh_file_is_told() {
    let openssl = mesh();
    let (code, text) =
        certctl(&openssl, "sign --csr front.csr --node front --authority ca_2 -o chain.pem", "");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("front's own authority is ca_1; peers must trust ca_2"), "{text}");
    openssl.run("verify -CAfile certs/ca_2_cert.pem chain.pem");

    openssl.run("req -new -newkey rsa:2048 -nodes -keyout k.pem -out rsa.csr -subj /O=Acme/CN=front.example");
    let (code, text) = certctl(&openssl, "sign --csr rsa.csr --node front -o chain.pem", "");
    assert_eq!(code, Some(0), "{text}");
    for note in [
        "the subject attribute O=Acme has no say in the certificate",
        "the key is rsa-2048, and the mesh file has ec-p256 for front",
    ] {
        assert!(text.contains(note), "{note:?} is not in {text}");
    }
    let subject = openssl.run("x509 -in chain.pem -noout -subject");
    assert!(!subject.contains("Acme"), "{subject}");
}

#[test]
fn what_a_node_does_not_have_is_refused_and_nothing_is_written() {
    let openssl = mesh();
    openssl.write("chain.pem", "what was there");
    request(&openssl, "ca", "-subj / -addext basicConstraints=critical,CA:true");
    request(&openssl, "bank", "-subj / -addext subjectAltName=DNS:bank.example");
    request(&openssl, "smuggled", "-subj /CN=bank.example");
    request(&openssl, "ip", "-subj / -addext subjectAltName=IP:10.0.0.1");
    openssl.run("req -new -key certs/ca_1_key.pem -subj / -out own.csr");
    openssl.write("large.csr", "x".repeat(40_000));
    openssl.write("two.csr", [openssl.read("front.csr"), openssl.read("ca.csr")].concat());
    for (arguments, expected) in [
        ("--csr ca.csr --node front", "asks for being a CA"),
        ("--csr bank.csr --node front", "\"bank.example\", which front does not have"),
        ("--csr smuggled.csr --node front", "\"bank.example\", which front does not have"),
        ("--csr ip.csr --node front", "the IP address 10.0.0.1"),
        ("--csr front.csr --node back", "which back does not have"),
        ("--csr own.csr --node front", "the key of ca_1 itself"),
        ("--csr large.csr --node front", "larger than 32768 bytes"),
        ("--csr two.csr --node front", "holds 2 PEM blocks"),
        ("--csr front_key.pem --node front", "it holds a private key"),
        ("--csr nothing.csr --node front", "cannot read it"),
        ("--csr front.csr --node nobody", "no node \"nobody\""),
        ("--csr front.csr --node front --authority ca_9", "no authority \"ca_9\""),
        ("--csr front.csr --node front --authority partner", "it is trusted only"),
        (
            "--csr front.csr --node front --state elsewhere",
            "ca_1 cannot sign: it is yet to be made",
        ),
        ("--csr - --node front -f -", "at once"),
    ] {
        let (code, text) = certctl(&openssl, &format!("sign {arguments} -o chain.pem"), "");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(code, Some(1), "{arguments}: {text}");
        assert!(text.contains(expected), "{arguments}: {text}");
        assert!(!text.contains("BEGIN"), "{arguments}: {text}");
    }
    assert_eq!(openssl.read("chain.pem"), b"what was there");
    assert_eq!(certctl(&openssl, "sign --csr front.csr --node front -o chain.pem", "").0, Some(0));
    // Replaced by one rename, with nothing left beside it.
    let left: Vec<_> = std::fs::read_dir(openssl.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("chain"))
        .collect();
    assert_eq!(left, ["chain.pem"]);
}

#[test]
fn what_is_no_file_is_written_to_and_not_replaced() {
    let openssl = mesh();
    std::os::unix::fs::symlink("/dev/null", openssl.path("sink")).unwrap();
    let arguments = "sign --csr front.csr --node front --state certs -o sink";
    let (code, text) = certctl(&openssl, arguments, "");
    assert_eq!(code, Some(0), "{text}");
    assert!(openssl.path("sink").is_symlink());
}
