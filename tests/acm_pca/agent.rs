//! `certctl agent` where an authority is at AWS: the real program and SDK, before the fake.

use std::fs;
use std::process::{Child, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::fake::{Fake, Fault, Rotation, Spec, Times};
use crate::support::program;
use crate::support::wait::{patiently, until};

/// An agent that runs in a directory, and is killed with this.
struct Agent<'a> {
    directory: &'a TempDir,
    child: Child,
}

impl<'a> Agent<'a> {
    fn start(directory: &'a TempDir) -> Self {
        let path = directory.path();
        let log = fs::OpenOptions::new().create(true).append(true).open(path.join("log"));
        let mut command = program::command(path, "agent -f mesh.yaml --sds sds.sock --state state");
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "a secret");
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", path);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.expect("a file"));
        Self { directory, child: command.spawn().expect("certctl starts") }
    }

    fn until(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        until(what, || self.status().filter(|status| fits(status)))
    }

    fn status(&self) -> Option<Value> {
        let run = program::run(self.directory.path(), "status --sds sds.sock -o json");
        matches!(run.code, Some(0 | 3)).then(|| run.json())
    }

    fn fresh(&self) -> String {
        let status = self.until("front has a certificate", |status| {
            status["nodes"][0]["certificate"]["serial"].is_string()
        });
        status["nodes"][0]["certificate"]["serial"].as_str().expect("a text").to_owned()
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn mesh(fake: &Fake, arn: &str) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "version: 1\ntrustDomain: example.org\nauthorities:\n  rented: {{acmPca: {{arn: '{arn}', \
         endpoint: '{}'}}}}\nvirtualNodes: {{front: {{}}}}\n",
        fake.endpoint()
    );
    fs::write(directory.path().join("mesh.yaml"), text).expect("our own directory");
    directory
}

#[test]
fn an_agent_has_aws_sign_and_after_a_kill_asks_for_nothing_that_it_has() {
    let fake = Fake::start();
    let arn = fake.create(Spec::root("Rented"));
    let directory = mesh(&fake, &arn);
    let agent = Agent::start(&directory);
    let serial = agent.fresh();
    let status = agent.until("it is told who signs", |status| {
        status["authorities"][0]["privateCas"][0]["signs"] == true
    });
    assert_eq!(status["authorities"][0]["privateCas"][0]["issued"], 1);
    drop(agent);
    fake.stop();
    let agent = Agent::start(&directory);
    assert_eq!(agent.fresh(), serial);
    drop(agent);
    assert_eq!(fake.calls("IssueCertificate").len(), 1);
}

#[test]
fn what_a_killed_agent_paid_for_is_fetched_by_the_next() {
    let fake = Fake::start();
    let arn = fake.create(Spec::root("Rented"));
    let directory = mesh(&fake, &arn);
    fake.misbehave("GetCertificate", Times::Forever, Fault::pending());
    let agent = Agent::start(&directory);
    until("it asks for the certificate", || {
        (!fake.calls("GetCertificate").is_empty()).then_some(())
    });
    drop(agent);
    fake.behave();
    Agent::start(&directory).fresh();
    assert_eq!(fake.calls("IssueCertificate").len(), 1);
}

#[test]
fn a_changed_ca_certificate_is_a_change_of_roots_and_no_new_leaf_is_paid_for() {
    let fake = Fake::start();
    let arn = fake.create(Spec::root("Rented"));
    let directory = mesh(&fake, &arn);
    let agent = Agent::start(&directory);
    let serial = agent.fresh();
    fake.rotate_ca_certificate(&arn, Rotation::SameKey);
    drop(agent);
    // What was said is too old by the next start.
    let known = directory.path().join("state/rented_acm_pca.json");
    let text = fs::read_to_string(&known).expect("it is kept");
    let at = text.find("describedAt").expect("when") + "describedAt\": \"".len();
    fs::write(&known, format!("{}2020{}", &text[..at], &text[at + 4..])).expect("our own");
    let agent = Agent::start(&directory);
    // Whoever was connected before the kill has its time to come back.
    patiently("it stands under the new root, and the old one is gone", || {
        let log = fs::read_to_string(directory.path().join("log")).ok()?;
        let has_moved = log.contains("its authority has a new certificate");
        let status = agent.status()?;
        let is_at_rest = status["transitions"].as_array().is_some_and(Vec::is_empty);
        (has_moved && is_at_rest).then_some(())
    });
    assert_eq!(agent.fresh(), serial);
    assert_eq!(fake.calls("IssueCertificate").len(), 1);
}
