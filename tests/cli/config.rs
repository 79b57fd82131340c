//! `certctl config`, as it is typed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::program::{self, Run};

fn check(file: &Path, more: &str) -> Run {
    program::run(Path::new("/"), &format!("config check -f '{}' {more}", file.display()))
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
    let run = check(&fixture("colorapp.yaml"), "");
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let (tables, last) = run.stdout.trim_end().rsplit_once('\n').unwrap();
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
    let run = check(&fixture("colorapp.yaml"), "--quiet");
    assert_eq!((run.code, run.text().as_str()), (Some(0), ""));
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
    let run = check(&path, "");
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
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
  help: did you mean `trust`? (known here: authority, trust, lifetime, keyAlgorithm, attest,
        dnsNames, spiffePath, callers, listener, backends, files)

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
    assert_eq!(run.stderr.trim_end(), expected.trim_end());
}

#[test]
fn warnings_are_told_and_do_not_fail() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(&directory, "version: 1\ntrustDomain: d\nauthorities: { ca_1: }\n");
    let run = check(&path, "");
    assert_eq!(run.code, Some(0));
    assert!(run.stdout.ends_with("can be used: 1 authority, 0 nodes, 1 warning\n"));
    assert!(run.stderr.contains("! the mesh has no nodes"), "{}", run.stderr);
    let run = check(&path, "--quiet");
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
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
    let run = check(&path, "-o json");
    assert_eq!(run.code, Some(1));
    let answer = run.json();
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
    let run = check(&fixture("colorapp.yaml"), "-o json");
    let answer = run.json();
    assert_eq!(answer["valid"], true);
    assert_eq!(answer["mesh"]["trustDomain"], "howto-k8s-mtls-file-based.aws");
    assert_eq!(answer["mesh"]["nodes"][2]["authority"], "ca_2");
    assert_eq!(answer["mesh"]["nodes"][2]["listener"]["callers"][0], "front");
    assert_eq!(answer["mesh"]["nodes"][0].get("backends"), None);
    let run = check(&fixture("colorapp.yaml"), "-o yaml");
    assert!(run.stdout.contains("\nvalid: true\n"), "{}", run.stdout);
}

#[test]
fn of_very_many_problems_the_first_are_shown_and_the_rest_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut text = "version: 1\ntrustDomain: d\nauthorities: { a: }\nvirtualNodes:\n".to_owned();
    (0..50).for_each(|index| text += &format!("  n{index}: {{ x: }}\n"));
    let run = check(&written(&directory, &text), "");
    let told = run.stderr;
    assert_eq!(told.matches("has no field `x`").count(), 20);
    assert!(told.contains("has 50 errors") && told.contains("30 more are not shown"), "{told}");
}

#[test]
fn of_a_long_line_only_what_is_near_the_place_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let nodes: Vec<_> = (0..5_000).map(|at| format!("n{at}: {{}}")).collect();
    let json = format!(
        "{{version: 1, trustDomain: d, authorities: {{a: }}, virtualNodes: {{{}, é: {{}}, {}}}}}",
        nodes[..2_500].join(", "),
        nodes[2_500..].join(", ")
    );
    let told = check(&written(&directory, &json), "").stderr;
    assert!(told.len() < 1_000, "{told}");
    assert!(told.contains("n2499: {}, é: {}, n2500: {}"), "{told}");
    let column = json.split('é').next().unwrap().len() + 1;
    assert!(told.contains(&format!("mesh.yaml:1:{column}]")), "{told}");
    let lines: Vec<_> = told.lines().collect();
    let shown = lines.iter().position(|line| line.contains("é: {}")).unwrap();
    let mark = lines[shown + 1].find('^').unwrap();
    assert_eq!(lines[shown].char_indices().nth(mark).unwrap().1, 'é', "{told}");

    let told = check(&written(&directory, &"a".repeat(17 << 20)), "").stderr;
    assert!(told.contains("longer than 16 MiB") && told.len() < 1_000, "{told}");
}

#[test]
fn a_file_that_cannot_be_read_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let missing = check(&directory.path().join("none.yaml"), "");
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("there is no file"), "{}", missing.stderr);
    assert!(missing.stderr.contains("help: name the mesh file with -f"), "{}", missing.stderr);
    let folder = check(directory.path(), "");
    assert!(folder.stderr.contains("cannot read"), "{}", folder.stderr);
    let path = directory.path().join("latin1.yaml");
    fs::write(&path, b"version: 1\ntrustDomain: d # \xfc\n").unwrap();
    let latin1 = check(&path, "");
    assert!(latin1.stderr.contains("not UTF-8"), "{}", latin1.stderr);
    assert!(latin1.stderr.contains("latin1.yaml:2:18"), "{}", latin1.stderr);
}

#[test]
fn a_mesh_file_may_come_from_standard_input() {
    let command = program::command(Path::new("/"), "config check -f -");
    let run = program::feed(command, "version: 2\n");
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("standard input:1:10"), "{}", run.stderr);
}

#[test]
fn the_schema_is_printed_whole() {
    let run = program::run(Path::new("/"), "config schema");
    assert_eq!(run.code, Some(0));
    let schema = run.json();
    assert_eq!(schema, certctl::desired::schema::schema());
}

#[test]
fn a_distrusted_authority_is_marked_and_trusted_by_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(
        &directory,
        "version: 1\ntrustDomain: d\nauthorities: { a: , b: , c: { local: { parent: b } } }\n\
         distrust: [b]\nvirtualNodes: { x: { authority: a, trust: [a, b, c] } }\n",
    );
    let run = check(&path, "");
    assert_eq!(run.code, Some(0), "{}", run.text());
    for line in ["b          local, distrusted  -", "c          local, distrusted  b", "anyone (a)"]
    {
        assert!(run.stdout.contains(line), "{line:?}: {}", run.stdout);
    }
    let answer: Value = serde_json::from_str(&check(&path, "-o json").stdout).unwrap();
    let distrusted: Vec<_> = answer["mesh"]["authorities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["distrusted"].as_bool())
        .collect();
    assert_eq!(distrusted, [None, Some(true), Some(true)]);
    assert_eq!(answer["mesh"]["nodes"][0]["trust"], serde_json::json!(["a"]));
}

#[test]
fn what_a_private_ca_will_cost_is_estimated() {
    let directory = tempfile::tempdir().unwrap();
    let mesh = |fields: &str| {
        let text = format!(
            "version: 1\ntrustDomain: example.org\nauthorities:\n  rented:\n    acmPca: {{arn: \
             \"arn:aws:acm-pca:us-east-2:111122223333:certificate-authority/1\"{fields}}}\n\
             virtualNodes:\n  front: {{}}\n  blue: {{lifetime: 7d}}\n"
        );
        check(&written(&directory, &text), "")
    };
    let run = mesh("");
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let told = "rented signs 2 certificates at first, then about 62 in 30 days (one each time 55 % \
                of a lifetime is over): ";
    let told_of = |run: &Run, what: &str| {
        let line = format!("\n{told}{what}\n");
        assert!(run.stdout.contains(&line), "{}", run.stdout);
    };
    told_of(&run, "it has no pricePerCertificate to say what that costs");
    told_of(&mesh(", pricePerCertificate: 0.5"), "31.17 by its pricePerCertificate");
    let braked = mesh(", pricePerCertificate: 0.5, maxCertificatesPerHour: 1");
    told_of(
        &braked,
        "31.17 by its pricePerCertificate; its maxCertificatesPerHour of 1 would hold that up",
    );
    let run = check(&directory.path().join("mesh.yaml"), "-o json");
    let answer: Value = serde_json::from_str(&run.stdout).unwrap();
    let cost = &answer["mesh"]["costs"][0];
    assert_eq!((&cost["certificatesAtFirst"], &cost["isBraked"]), (&2.into(), &true.into()));
}
