//! `certctl config import`.

use super::support::program::{self, Run};
use super::*;

fn import(arguments: &str, input: &str) -> Run {
    let mut command = program::command(Path::new("/"), &format!("config import {arguments}"));
    command.env("MESH", "colors.example").env("NAMESPACE", "from-the-environment");
    program::feed(command, input)
}

/// Messages are wrapped to the terminal: one space between words.
fn told(run: &Run) -> String {
    run.stderr.replace(['│', '|'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_command_reads_a_directory_and_never_overwrites_unasked() {
    let directory = tempfile::tempdir().unwrap();
    let nested = directory.path().join("manifests/deeper");
    fs::create_dir_all(&nested).unwrap();
    fs::copy(format!("{FIXTURES}/colors.yaml.template"), nested.join("c.yaml.template")).unwrap();
    fs::write(directory.path().join("manifests/README.md"), "apiVersion: [").unwrap();
    fs::write(directory.path().join("manifests/binary.yaml"), b"\xff\xfe").unwrap();
    let manifests = directory.path().join("manifests").display().to_string();
    let mesh = directory.path().join("mesh.yaml");
    let output = mesh.display().to_string();

    let unset = import(&format!("{manifests} -o {output}"), "");
    assert_eq!(unset.code, Some(1));
    let message = told(&unset);
    assert!(message.contains("c.yaml.template:38) is not set"), "{message}");
    assert!(message.contains("--set FRONT_TRUST=..."), "{message}");
    assert!(!mesh.exists());

    let set = "--set FRONT_TRUST=ca_1_cert.pem --set NAMESPACE=from-the-flag";
    let arguments = format!("{manifests} -o {output} {set}");
    let made = import(&arguments, "");
    let message = told(&made);
    assert_eq!(made.code, Some(0), "{message}");
    assert!(made.stdout.is_empty());
    assert!(message.contains("binary.yaml: skipped:"), "{message}");
    assert!(message.contains("From 1 file: 3 virtual nodes; 1 authority;"), "{message}");
    let text = fs::read_to_string(&mesh).unwrap();
    assert!(text.contains("front.from-the-flag.svc.cluster.local"), "{text}");
    assert_eq!(desired(&text).identities.len(), 3);

    let again = import(&arguments, "");
    assert_eq!(again.code, Some(1));
    assert!(told(&again).contains("is there already"));
    let forced = import(&format!("{arguments} --force"), "");
    assert_eq!(forced.code, Some(0));
    assert_eq!(fs::read_to_string(&mesh).unwrap(), text);
}

#[test]
fn the_command_reads_standard_input_and_prints_the_mesh_alone() {
    let manifest = fs::read_to_string(format!("{FIXTURES}/gateway.yaml")).unwrap();
    let made = import("- --trust-domain shop.example", &manifest);
    let mesh = desired(&made.stdout);
    assert_eq!(mesh.trust_domain.as_str(), "shop.example");
    let quiet = import("- --quiet", &manifest);
    assert!(quiet.stderr.is_empty());
}

#[test]
fn the_command_shows_what_is_wrong_and_where() {
    let broken = "apiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualNode\nmetadata: { name: a }\n\
                  spec:\n  listeners:\n    - tls: { mode: LOOSE }\n";
    let made = import("-", broken);
    assert_eq!(made.code, Some(1));
    let message = told(&made);
    assert!(message.contains("standard input:6:20"), "{message}");
    assert!(message.contains("the TLS mode is \"LOOSE\""), "{message}");

    for (arguments, reason) in [
        ("/nowhere/at/all", "cannot read /nowhere/at/all"),
        ("- --authority nobody=ca", "there is no node nobody"),
    ] {
        let manifest = fs::read_to_string(format!("{FIXTURES}/gateway.yaml")).unwrap();
        let made = import(arguments, &manifest);
        assert_eq!(made.code, Some(1));
        let message = told(&made);
        assert!(message.contains(reason), "{message}");
    }
    for arguments in ["- --set 1X=2", "- --authority x", ""] {
        assert_eq!(import(arguments, "").code, Some(2), "{arguments:?}");
    }
}
