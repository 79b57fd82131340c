//! `certctl config check --online`: the real program asks, the fake answers.

use std::path::Path;

use crate::fake::{Fake, Fault, Spec, Status, Times};
use crate::support::program::{self, Run};

/// A mesh file in a directory of its own.
struct Site {
    fake: Fake,
    directory: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        Self { fake: Fake::start(), directory: tempfile::tempdir().expect("a directory") }
    }

    /// Writes a mesh whose authority `rented` is this CA, and checks it.
    fn check(&self, arn: &str, rest: &str, arguments: &str) -> Run {
        let text = format!(
            "version: 1\ntrustDomain: example.org\nauthorities:\n  rented:\n    acmPca:\n      \
             arn: {arn}\n      endpoint: {}\n{rest}",
            self.fake.endpoint()
        );
        let path = self.directory.path();
        std::fs::write(path.join("mesh.yaml"), text).expect("our own directory");
        asking(path, &format!("config check -f mesh.yaml --online {arguments}"))
    }
}

/// certctl with credentials, and nothing else of AWS's configuration.
fn asking(directory: &Path, arguments: &str) -> Run {
    let mut command = program::command(directory, arguments);
    command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "a secret");
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", directory);
    command.output().expect("certctl starts").into()
}

const NODE: &str = "virtualNodes: {front: {}}\n";

#[test]
fn a_mesh_that_holds_at_aws_is_told_so_and_nothing_is_issued() {
    let site = Site::new();
    let arn = site.fake.create(Spec::root("ca_1").short_lived());
    let run = site.check(&arn, NODE, "");
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{}", run.stdout);
    let line = run.stdout.lines().find(|line| line.contains(&arn)).expect("a line for it");
    for word in ["rented", "ACTIVE", "EC_prime256v1", "7d at most"] {
        assert!(line.contains(word), "{word}: {line}");
    }
    assert!(run.stdout.contains("mesh.yaml can be used, and holds at AWS: "), "{}", run.stdout);
    let answer = site.check(&arn, NODE, "-o json").json();
    let ca = &answer["online"]["cas"][0];
    assert_eq!(answer["online"]["holds"], true);
    assert_eq!((&ca["status"], &ca["isShortLived"]), (&"ACTIVE".into(), &true.into()));
    assert_eq!((&ca["isRoot"], &ca["arn"]), (&true.into(), &arn.as_str().into()));
    let asked: Vec<_> = site.fake.all_calls().into_iter().map(|call| call.operation).collect();
    let is_free = |operation: &String| {
        operation.starts_with("Describe")
            || operation.starts_with("GetCertificateAuthorityCertificate")
    };
    assert!(asked.len() == 4 && asked.iter().all(is_free), "{asked:?}");
}

#[test]
fn what_aws_would_not_do_is_shown_at_its_line_and_ends_with_3() {
    let site = Site::new();
    let arn = site.fake.create(Spec::root("ca_1").short_lived());
    let run = site.check(&arn, "virtualNodes:\n  front:\n    lifetime: 30d\n", "");
    assert_eq!(run.code, Some(3), "{}", run.text());
    assert!(run.stderr.contains("mesh.yaml:10:15"), "{}", run.stderr);
    assert!(run.stderr.contains("it is in the short-lived mode"), "{}", run.stderr);
    assert!(run.stdout.contains("mesh.yaml does not hold at AWS: "), "{}", run.stdout);
    let quiet = site.check(&arn, "virtualNodes: {front: {lifetime: 30d}}\n", "-q");
    assert_eq!((quiet.code, quiet.stdout.as_str()), (Some(3), ""));
    assert!(quiet.stderr.contains("short-lived mode"), "{}", quiet.stderr);

    let answer = site.check(&arn, "virtualNodes: {front: {lifetime: 30d}}\n", "-o yaml");
    assert_eq!(answer.code, Some(3));
    assert!(answer.stdout.contains("holds: false"), "{}", answer.stdout);

    site.fake.set_status(&arn, Status::Disabled);
    let run = site.check(&arn, NODE, "");
    assert_eq!(run.code, Some(3));
    assert!(run.stderr.contains("this CA is DISABLED"), "{}", run.stderr);
}

#[test]
fn a_ca_that_is_not_there_and_one_that_does_not_answer_are_told_apart() {
    let site = Site::new();
    let arn = site.fake.create(Spec::root("ca_1"));
    let other = format!("{}{}", &arn[..arn.len() - 8], "00000000");
    let run = site.check(&other, NODE, "");
    assert_eq!(run.code, Some(3));
    assert!(run.stderr.contains("AWS knows nothing of it"), "{}", run.stderr);
    site.fake.misbehave("DescribeCertificateAuthority", Times::Forever, Fault::Drop);
    let run = site.check(&arn, NODE, "");
    assert_eq!(run.code, Some(3));
    assert!(run.stderr.contains("the service was not reached"), "{}", run.stderr);
    assert!(run.stdout.contains("not known"), "{}", run.stdout);
}

#[test]
fn without_a_ca_at_aws_nobody_is_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!("version: 1\ntrustDomain: d\nauthorities: {{ca_1: {{}}}}\n{NODE}");
    std::fs::write(directory.path().join("mesh.yaml"), text).expect("our own directory");
    let run = asking(directory.path(), "config check --online");
    assert_eq!(run.code, Some(0), "{}", run.text());
    assert!(run.stdout.contains("there is nothing to ask"), "{}", run.stdout);
    // A file that cannot be used is refused before anybody is asked.
    std::fs::write(directory.path().join("mesh.yaml"), "version: 1\n").expect("our own directory");
    assert_eq!(asking(directory.path(), "config check --online").code, Some(1));
}
