//! `certctl issue` where an authority is at AWS: the real program and SDK, before the fake.

use std::fs;
use std::process::{Command, Stdio};

use crate::fake::{Fake, Fault, Lie, Spec, Times};
use crate::support::program::{self, Run};
use crate::support::site::everything;
use crate::support::wait::until;

/// A mesh in a directory of its own, and the CAs that it names.
struct Site {
    fake: Fake,
    directory: tempfile::TempDir,
}

const NODES: &str = "virtualNodes:\n  front: {}\n  blue: {}\n";

impl Site {
    fn new() -> Self {
        Self { fake: Fake::start(), directory: tempfile::tempdir().expect("a directory") }
    }

    /// Writes a mesh whose authority `rented` is these CAs.
    fn mesh(&self, arns: &[&str], more: &str, nodes: &str) {
        let ca = |arn: &&str| format!("{{arn: '{arn}', endpoint: '{}'}}", self.fake.endpoint());
        let cas: Vec<_> = arns.iter().map(ca).collect();
        let text = format!(
            "version: 1\ntrustDomain: example.org\nauthorities:\n  rented: {{acmPca: [{}]}}\n{more}\
             {nodes}",
            cas.join(", ")
        );
        fs::write(self.directory.path().join("mesh.yaml"), text).expect("our own directory");
    }

    fn command(&self, arguments: &str) -> Command {
        let path = self.directory.path();
        let mut command = program::command(path, &format!("issue -f mesh.yaml {arguments}"));
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "a secret");
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", path);
        command
    }

    fn issue(&self, arguments: &str) -> Run {
        self.command(arguments).output().expect("certctl starts").into()
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).expect(name)
    }

    fn calls(&self, operation: &str) -> usize {
        self.fake.calls(operation).len()
    }

    /// The entries of the record of what was issued.
    fn recorded(&self) -> usize {
        self.text("certs/issued.jsonl").lines().count()
    }
}

#[test]
fn a_run_pays_once_for_each_node_and_the_next_for_none() {
    let site = Site::new();
    let arn = site.fake.create(Spec::root("Rented"));
    site.mesh(&[&arn], "", NODES);
    let plan = site.issue("--dry-run").done();
    assert!(plan.row("front").contains("would create"), "{}", plan.stdout);
    assert_eq!(site.fake.all_calls().len(), 0, "a plan asks nobody");
    site.issue("").done();
    assert_eq!((site.calls("IssueCertificate"), site.recorded()), (2, 2));
    let root = site.text("certs/rented_cert.pem");
    assert_eq!(site.text("certs/front_trust.pem"), root);
    assert!(site.text("certs/blue_cert_chain.pem").ends_with(&root));
    let before = everything(&site.directory.path().join("certs"));
    site.issue("").done().tells("0 files written");
    assert_eq!(everything(&site.directory.path().join("certs")), before);
    assert_eq!(site.calls("IssueCertificate"), 2);
    site.issue("--force front").done();
    assert_eq!((site.calls("IssueCertificate"), site.recorded()), (3, 3));
}

#[test]
fn what_a_killed_run_paid_for_is_fetched_by_the_next() {
    let site = Site::new();
    let arn = site.fake.create(Spec::root("Rented"));
    site.mesh(&[&arn], "", "virtualNodes: {front: {}}\n");
    site.fake.misbehave("GetCertificate", Times::Forever, Fault::pending());
    let mut killed =
        site.command("").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    until("it asks for the certificate", || (site.calls("GetCertificate") > 0).then_some(()));
    killed.kill().expect("it runs");
    killed.wait().expect("it is ours");
    site.fake.behave();
    site.issue("").done();
    assert_eq!(site.calls("IssueCertificate"), 1);
    assert_eq!(site.recorded(), 1);
}

#[test]
fn a_wrong_certificate_is_refused_and_the_other_nodes_are_done() {
    let site = Site::new();
    let arn = site.fake.create(Spec::root("Rented"));
    site.mesh(
        &[&arn],
        "  here: {}\n",
        "virtualNodes: {front: {authority: rented}, blue: {authority: here}}\n",
    );
    site.fake.misbehave("IssueCertificate", Times::Forever, Fault::Lie(Lie::AddedName));
    site.issue("").failed(&["front", "is refused and thrown away", "added.example"]);
    assert!(site.directory.path().join("certs/blue_cert.pem").exists());
    assert!(!site.directory.path().join("certs/front_cert.pem").exists());
    assert_eq!(site.calls("IssueCertificate"), 1, "it is not bought again in one run");
}

#[test]
fn the_second_ca_signs_where_the_first_may_not_and_both_are_trusted() {
    let site = Site::new();
    let east = site.fake.create(Spec::root("East"));
    let west = site.fake.create(Spec::root("West"));
    site.mesh(&[&east, &west], "", NODES);
    site.issue("").done();
    site.fake.misbehave_at(&east, "IssueCertificate", Times::Forever, Fault::access_denied());
    site.issue("--force front").done();
    let (east, west) =
        (site.text("certs/rented_cert.pem"), site.text("certs/front_cert_chain.pem"));
    assert_eq!(site.text("certs/front_trust.pem"), east);
    let ends =
        |text: &str| text.trim_end().rsplit("-----BEGIN").next().unwrap_or_default().to_owned();
    assert_eq!(ends(&west), ends(&east), "the second of the two roots signed it");
    let issued = site.calls("IssueCertificate");
    site.issue("").done().tells("0 files written");
    assert_eq!(site.calls("IssueCertificate"), issued, "it stays until it is due");
}

#[test]
fn what_an_earlier_run_asked_for_counts_for_the_hour() {
    let site = Site::new();
    let arn = site.fake.create(Spec::root("Rented"));
    site.mesh(&[&arn], "", NODES);
    let path = site.directory.path().join("mesh.yaml");
    let text = site.text("mesh.yaml").replace("{arn:", "{maxCertificatesPerHour: 3, arn:");
    fs::write(path, text).expect("our own directory");
    site.issue("").done();
    site.issue("--force front").done();
    site.issue("--force blue").failed(&["maxCertificatesPerHour"]);
    assert_eq!(site.calls("IssueCertificate"), 3);
}

#[test]
fn an_intermediate_of_ours_costs_one_certificate_and_signs_here() {
    let site = Site::new();
    let arn = site.fake.create(Spec::root("Rented"));
    let nodes = "virtualNodes: {front: {authority: low}, blue: {authority: low}}\n";
    site.mesh(&[&arn], "  low: {local: {parent: rented, lifetime: 30d}}\n", nodes);
    site.issue("").done();
    assert_eq!((site.calls("IssueCertificate"), site.recorded()), (1, 1));
    assert_eq!(site.text("certs/front_trust.pem"), site.text("certs/rented_cert.pem"));
    site.issue("").done().tells("0 files written");
    site.issue("--force front").done();
    assert_eq!(site.calls("IssueCertificate"), 1);
    // What is known is enough while AWS is away.
    site.fake.stop();
    site.issue("--force blue").done();
}
