//! The colorapp example does what its README says, with real Envoys: `demo` itself ends with 1 when
//! an Envoy's answer is not the expected one, and here its lines are read, so that it cannot come
//! to show less than it should.

use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::tools;

#[test]
fn the_demo_shows_what_its_readme_promises() {
    let demo = demo(env!("CARGO_BIN_EXE_certctl")).expect("the demo starts");
    let shown = String::from_utf8_lossy(&demo.stdout);
    assert!(demo.status.success(), "{shown}{}", String::from_utf8_lossy(&demo.stderr));

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
    assert!(!shown.contains('\u{1b}'), "colours though nobody looks: {shown:?}");
}

#[test]
fn the_demo_fails_when_certctl_does() {
    let demo = demo("/bin/false").expect("the demo starts");
    assert_eq!(demo.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&demo.stderr);
    assert!(errors.contains("demo: certctl issue failed"), "{errors}");
}

fn demo(certctl: &str) -> io::Result<Output> {
    // The script's own tool, looked for here so that its absence is told in one line.
    tools::system("curl");
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("certs-example/colorapp/demo-files"))
        .env("CERTCTL", certctl)
        .env("ENVOY", tools::envoy())
        .stdin(Stdio::null())
        .output()
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
