//! The examples do what their READMEs say, with real Envoys: each demo ends with 1 by itself when an
//! answer is not the expected one, and here its lines are read, so that it cannot come to show less
//! than it should.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::tools;

#[test]
fn the_agent_keeps_colorapp_in_certificates() {
    let shown = shown("colorapp/demo");
    in_order(
        &shown,
        &[
            "certctl agent -f mesh.yaml",
            "front trusts ca_1",
            "front -> colorapp-blue   200 blue (saw spiffe://howto-k8s-mtls-file-based.aws/front)",
            "front -> colorapp-red    200 red",
            "front -> colorapp-green  503 refused",
            "curl  -> colorapp-blue   refused",
            "addGreen: ",
            "trust: [ca_1, ca_2]",
            "front -> colorapp-green  200 green (saw spiffe://howto-k8s-mtls-file-based.aws/front)",
            "ms after the mesh file was saved",
            "defaults: { lifetime: 6s }",
            "3 rotations of both: ",
            "none failed, nothing was refused",
            "certctl status",
            "colorapp-green",
            "All as it should be.",
        ],
    );
}

#[test]
fn a_client_shifts_from_one_ca_to_another() {
    let shown = shown("echo-blue-green/demo");
    in_order(
        &shown,
        &[
            "client -> echo-blue    200",
            "client -> echo-green   503",
            "trust: [ca_1, ca_2]",
            "client -> echo-green   200",
            "100 % to green: 60 of 60 requests",
            "none failed",
            "trust: [ca_2]",
            "client -> echo-blue    503",
            "client -> echo-green   200",
            "All as it should be.",
        ],
    );
}

#[cfg(feature = "acm-pca")]
#[test]
fn a_mesh_moves_to_aws_private_ca_and_pays_once() {
    let shown = shown("acm-pca/demo");
    in_order(
        &shown,
        &[
            "nothing here reaches AWS",
            "certctl config check -f mesh.yaml --online",
            "mesh.yaml can be used, and holds at AWS",
            "shop is signed by CN=ca_1,",
            "the stock accepts clients of ca_1\n",
            "shop:  { authority: rented,",
            "shop is signed by CN=us-east-2",
            "the stock accepts clients of ca_1, us-east-2, us-west-2\n",
            "requests meanwhile, none failed",
            "us-east-2: IssueCertificate: 1, certificates to pay for: 1\n",
            "stock: { authority: rented,",
            "kill -9 between IssueCertificate and the certificate",
            "stock is signed by CN=us-east-2",
            "the stock accepts clients of us-east-2, us-west-2\n",
            "requests meanwhile, none failed",
            "us-east-2: IssueCertificate: 2, certificates to pay for: 2\n",
            "us-east-2 answers nobody",
            "shop is signed by CN=us-west-2",
            "shop is signed by CN=us-east-2",
            "requests meanwhile, none failed",
            "us-east-2: IssueCertificate: 3, certificates to pay for: 3\n",
            "us-west-2: IssueCertificate: 1, certificates to pay for: 1\n",
            "certctl ca list",
            "ACTIVE",
            "All as it should be.",
        ],
    );
}

#[test]
fn issue_keeps_the_files_of_colorapp() {
    let shown = shown("colorapp/demo-files");
    let (before, after) = shown.split_once("\naddGreen: ").expect("two acts");
    in_order(
        before,
        &[
            "front -> colorapp-blue   200 blue (saw spiffe://howto-k8s-mtls-file-based.aws/front)",
            "explain: ",
            "front -> colorapp-red    200 red",
            "front -> colorapp-green  503 refused",
            "Envoy: CERTIFICATE_VERIFY_FAILED",
            "explain: ",
            "ca_2",
            "curl  -> colorapp-blue   refused",
            "Envoy: ssl.fail_verify_no_cert: 1",
        ],
    );
    in_order(
        after,
        &[
            "trust: [ca_1, ca_2]",
            "front -> colorapp-green  200 green (saw spiffe://howto-k8s-mtls-file-based.aws/front)",
            "ms after certctl ended",
            "explain: ",
            "front -> colorapp-blue   200 blue",
            "5 renewals of both: ",
            "none failed; Envoy took up each new serial",
            "All as it should be.",
        ],
    );
}

#[test]
fn a_demo_fails_when_certctl_does() {
    for (name, words) in [
        ("colorapp/demo", "demo: the agent ended"),
        ("colorapp/demo-files", "demo: certctl issue failed"),
        ("echo-blue-green/demo", "demo: the agent ended"),
        ("acm-pca/demo", "demo: certctl config check failed"),
    ] {
        let demo = demo(name, "/bin/false");
        assert_eq!(demo.status.code(), Some(1), "{name}");
        let errors = String::from_utf8_lossy(&demo.stderr);
        assert!(errors.contains(words), "{name}: {errors}");
    }
}

/// What a demo that ends well prints.
fn shown(name: &str) -> String {
    let demo = demo(name, env!("CARGO_BIN_EXE_certctl"));
    let shown = String::from_utf8_lossy(&demo.stdout).into_owned();
    assert!(demo.status.success(), "{shown}{}", String::from_utf8_lossy(&demo.stderr));
    assert!(!shown.contains('\u{1b}'), "colours though nobody looks: {shown:?}");
    shown
}

fn demo(name: &str, certctl: &str) -> Output {
    // The scripts' own tool, looked for here so that its absence is told in one line.
    tools::system("curl");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs-example");
    let program = Path::new(env!("CARGO_BIN_EXE_certctl"));
    let stand_in = program.with_file_name("examples").join("acm-pca-fake");
    assert!(stand_in.exists(), "no {}: cargo build --example acm-pca-fake", stand_in.display());
    Command::new(examples.join(name))
        .env("ACM_PCA_FAKE", stand_in)
        .env("CERTCTL", certctl)
        .env("ENVOY", tools::envoy())
        .stdin(Stdio::null())
        .output()
        .expect("the demo starts")
}

/// Each of `parts` is in `text`, after the one before.
fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let found = rest.split_once(part);
        assert!(found.is_some(), "no {part:?} in {rest}\nof {text}");
        rest = found.map_or("", |(_, after)| after);
    }
}
