//! `certctl config`, as it is typed.

#![cfg(test)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn certctl(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_certctl"))
        .args(arguments)
        .env_remove("CERTCTL_FILE")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn check(file: &Path, more: &[&str]) -> Output {
    certctl(&[&["config", "check", "-f", file.to_str().unwrap()], more].concat())
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mesh").join(name)
}

fn written(directory: &tempfile::TempDir, text: &str) -> PathBuf {
    let path = directory.path().join("mesh.yaml");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_sound_file_is_summed_up() {
    let output = check(&fixture("colorapp.yaml"), &[]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    let (tables, last) = stdout(&output).trim_end().rsplit_once('\n').unwrap();
    assert_eq!(
        tables,
        "\
AUTHORITY  KIND   UNDER  KEY      LIFETIME
ca_1       local  -      ec-p256  3650d
ca_2       local  -      ec-p256  3650d

NODE            SIGNED BY  LIFETIME  ACCEPTS AS SERVER  ACCEPTS AS CLIENT
front           ca_1       24h       anyone (ca_1)      anyone (ca_1)
colorapp-blue   ca_1       24h       front (ca_1)       anyone (ca_1)
colorapp-green  ca_2       24h       front (ca_1)       anyone (ca_1)
"
    );
    assert!(last.ends_with("colorapp.yaml can be used: 2 authorities, 3 nodes"), "{last}");
    let output = check(&fixture("colorapp.yaml"), &["--quiet"]);
    assert_eq!((output.status.code(), stdout(&output), stderr(&output)), (Some(0), "", ""));
}

#[test]
fn everything_wrong_is_shown_at_once_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(
        &directory,
        "version: 1
trustDomain: example.org
authorities:
  ca_1: {}
virtualNodes:
  frönt: { authority: ca_1 }
  blue:  { authority: ca1, trsut: [ca_1] }
  red:   { authority: ca_1, spiffePath: /green }
  green: { authority: ca_1 }
",
    );
    let output = check(&path, &[]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""));
    let name = path.display();
    let expected = format!(
        "  x {name} has 4 errors

Error: 
  x node name \"frönt\" has 'ö' at byte 2; allowed are letters, digits, '.', '-' and '_'
   ,-[{name}:6:3]
 5 | virtualNodes:
 6 |   frönt: {{ authority: ca_1 }}
   :   ^^^^^
 7 |   blue:  {{ authority: ca1, trsut: [ca_1] }}
   `----

Error: 
  x there is no authority `ca1`
   ,-[{name}:7:23]
 6 |   frönt: {{ authority: ca_1 }}
 7 |   blue:  {{ authority: ca1, trsut: [ca_1] }}
   :                       ^^^
 8 |   red:   {{ authority: ca_1, spiffePath: /green }}
   `----
  help: did you mean `ca_1`? (authorities: ca_1)

Error: 
  x a virtual node has no field `trsut`
   ,-[{name}:7:28]
 6 |   frönt: {{ authority: ca_1 }}
 7 |   blue:  {{ authority: ca1, trsut: [ca_1] }}
   :                            ^^^^^
 8 |   red:   {{ authority: ca_1, spiffePath: /green }}
   `----
  help: did you mean `trust`? (known here: authority, trust, lifetime, keyAlgorithm, dnsNames,
        spiffePath, callers, listener, backends, files)

Error: 
  x `red` and `green` would both be spiffe://example.org/green
   ,-[{name}:9:3]
 7 |   blue:  {{ authority: ca1, trsut: [ca_1] }}
 8 |   red:   {{ authority: ca_1, spiffePath: /green }}
   :                                         ^^^|^^
   :                                            `-- the other one
 9 |   green: {{ authority: ca_1 }}
   :   ^^|^^
   :     `-- here
   `----
  help: give one of them another spiffePath
"
    );
    assert_eq!(stderr(&output).trim_end(), expected.trim_end());
}

#[test]
fn warnings_are_told_and_do_not_fail() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(&directory, "version: 1\ntrustDomain: d\nauthorities: { ca_1: }\n");
    let output = check(&path, &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).ends_with("can be used: 1 authority, 0 nodes, 1 warning\n"));
    assert!(stderr(&output).contains("! the mesh has no nodes"), "{}", stderr(&output));
    let output = check(&path, &["--quiet"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
}

#[test]
fn files_that_are_named_must_be_there_and_be_ours_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(
        &directory,
        "version: 1\ntrustDomain: d\nauthorities:\n  a: { local: { passphraseFile: secret } }\n  \
         p: { trustOnly: { certificates: . } }\n  \
         i: { local: { certificate: c.pem, key: k.pem } }\n\
         virtualNodes: { n: { authority: a } }\n",
    );
    fs::write(directory.path().join("secret"), "x").unwrap();
    fs::set_permissions(directory.path().join("secret"), fs::Permissions::from_mode(0o644))
        .unwrap();
    fs::write(directory.path().join("c.pem"), "x").unwrap();
    let output = check(&path, &["-o", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["valid"], &answer["mesh"]), (&Value::Bool(false), &Value::Null));
    let told: Vec<_> = answer["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| format!("{}:{} {} {}", p["line"], p["column"], p["severity"], p["message"]))
        .map(|line| line.replace(directory.path().to_str().unwrap(), "DIR").replace('"', ""))
        .collect();
    assert_eq!(
        told,
        [
            "4:33 warning `passphraseFile`: every user of this machine may open DIR/secret",
            "5:35 error `certificates`: cannot read DIR/.: it is a directory",
            "6:42 error `key`: cannot read DIR/k.pem: No such file or directory (os error 2)",
        ]
    );
}

#[test]
fn machines_get_the_same_in_json_and_yaml() {
    let output = check(&fixture("colorapp.yaml"), &["-o", "json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["valid"], true);
    assert_eq!(answer["mesh"]["trustDomain"], "howto-k8s-mtls-file-based.aws");
    assert_eq!(answer["mesh"]["nodes"][2]["authority"], "ca_2");
    assert_eq!(answer["mesh"]["nodes"][2]["listener"]["callers"][0], "front");
    assert_eq!(answer["mesh"]["nodes"][0].get("backends"), None);
    let output = check(&fixture("colorapp.yaml"), &["-o", "yaml"]);
    assert!(stdout(&output).contains("\nvalid: true\n"), "{}", stdout(&output));
}

#[test]
fn of_very_many_problems_the_first_are_shown_and_the_rest_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut text = "version: 1\ntrustDomain: d\nauthorities: { a: }\nvirtualNodes:\n".to_owned();
    (0..50).for_each(|index| text += &format!("  n{index}: {{ x: }}\n"));
    let output = check(&written(&directory, &text), &[]);
    let told = stderr(&output);
    assert_eq!(told.matches("has no field `x`").count(), 20);
    assert!(told.contains("has 50 errors") && told.contains("30 more are not shown"), "{told}");
}

#[test]
fn a_file_that_cannot_be_read_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let missing = check(&directory.path().join("none.yaml"), &[]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("there is no file"), "{}", stderr(&missing));
    assert!(stderr(&missing).contains("help: name the mesh file with -f"), "{}", stderr(&missing));
    let folder = check(directory.path(), &[]);
    assert!(stderr(&folder).contains("cannot read"), "{}", stderr(&folder));
    let path = directory.path().join("latin1.yaml");
    fs::write(&path, b"version: 1\ntrustDomain: d # \xfc\n").unwrap();
    let latin1 = check(&path, &[]);
    assert!(stderr(&latin1).contains("not UTF-8"), "{}", stderr(&latin1));
    assert!(stderr(&latin1).contains("latin1.yaml:2:18"), "{}", stderr(&latin1));
}

#[test]
fn a_mesh_file_may_come_from_standard_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_certctl"))
        .args(["config", "check", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"version: 2\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("standard input:1:10"), "{}", stderr(&output));
}

#[test]
fn the_schema_is_printed_whole() {
    let output = certctl(&["config", "schema"]);
    assert_eq!(output.status.code(), Some(0));
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema, certctl::desired::schema::schema());
}
