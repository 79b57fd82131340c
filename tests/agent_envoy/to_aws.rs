//! A node moves from a local authority to AWS Private CA, and between what may go wrong there.

use crate::fake::{Fake, Fault, Spec, Times};
use crate::moved::{NEW, OLD, has_moved, leaf, roots};
use crate::pair::{MESH, Pair};
use crate::recorder::Recorder;
use crate::support::agent::{Agent, prepare};
use crate::wire;

/// The pair, with an authority at AWS that nobody is under yet: `ca_2`.
fn pair(fake: &Fake) -> Pair {
    let ca = fake.create(Spec::root("ca_2"));
    let authority =
        format!("ca_2: {{ acmPca: {{ arn: {ca:?}, endpoint: {:?} }} }}", fake.endpoint());
    let place = prepare(&MESH.replace("ca_2: {}", &authority));
    let credentials = "AWS_ACCESS_KEY_ID=AKIDEXAMPLE\nAWS_SECRET_ACCESS_KEY=secret\n\
        AWS_EC2_METADATA_DISABLED=true\n";
    std::fs::write(place.path().join(".env"), credentials).unwrap();
    Pair::on(Agent::start_in(place, ""))
}

#[test]
fn a_node_moves_to_aws_by_roots_then_leaves_then_roots_and_no_request_fails() {
    let fake = Fake::start();
    let pair = pair(&fake);
    let mut recorder = Recorder::start(pair.agent.socket(), "recorder", true);
    let load = pair.load();
    assert_eq!(fake.calls("IssueCertificate").len(), 0, "nobody is under it yet");
    pair.agent.edit(OLD, NEW);
    has_moved(&pair, "ca_2");
    let last = recorder.until("the old root is gone", |all| all.len() >= 5)[2..].to_vec();
    let both = roots(&["ca_1", "ca_2", "ca_3"]);
    assert_eq!(last, [both, leaf("ca_2"), roots(&["ca_2", "ca_3"])]);
    assert_eq!(fake.issued().len(), 1, "blue's leaf");
    assert_eq!(wire::leaf(pair.blue.port()).der().as_ref(), fake.issued()[0].der);
    load.passes(20);
    pair.nothing_refused();
    load.end().all_answered();
}

#[test]
fn a_move_to_aws_waits_while_aws_does_not_sign_and_no_request_fails() {
    let fake = Fake::start();
    let pair = pair(&fake);
    let load = pair.load();
    fake.misbehave("IssueCertificate", Times::Forever, Fault::access_denied());
    pair.agent.edit(OLD, NEW);
    pair.agent.until("it is told why", |status| status.to_string().contains("deploy/iam"));
    load.passes(20);
    assert!(wire::leaf(pair.blue.port()).issuer().ends_with("ca_1"));
    fake.behave();
    has_moved(&pair, "ca_2");
    // And back: to what is here, while AWS is away.
    fake.stop();
    pair.agent.edit(NEW, OLD);
    has_moved(&pair, "ca_1");
    load.passes(20);
    pair.nothing_refused();
    load.end().all_answered();
    fake.restart();
    assert_eq!(fake.issued().len(), 1);
}
