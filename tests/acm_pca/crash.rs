//! `certctl issue` and `certctl agent` are killed, or their replies lost, while a certificate is
//! under way: nothing is paid for twice.

use std::process::Stdio;

use time::Duration;

use crate::fake::{Fault, Times};
use crate::support::wait;
use crate::world::World;

/// Kills a run with SIGKILL once there have been so many calls of this operation.
fn kill_at(world: &World, operation: &str, calls: usize) {
    let mut child = world
        .command("issue -f mesh.yaml -o certs")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait::until(operation, || (world.fake.calls(operation).len() >= calls).then_some(()));
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "it had ended before");
}

#[test]
fn killed_while_aws_makes_a_certificate_the_next_run_fetches_it() {
    let world = World::new().with("GetCertificate", Times::Forever, Fault::pending());
    for gets in 1..4 {
        kill_at(&world, "GetCertificate", world.counts().1 + gets);
        assert!(!world.has("certs/front_key.pem"));
    }
    world.recovers().says("front", &["created"]);
    assert_eq!(world.counts().0, 1, "it is paid for once");
    world.has_the_last("front");
    world.issue("").done().says("front", &["kept"]);
    assert_eq!(world.counts().0, 1);
}

#[test]
fn killed_before_aws_has_answered_the_next_run_asks_in_the_same_words() {
    let world = World::new().with("IssueCertificate", Times::Forever, Fault::HangAfterwards);
    kill_at(&world, "IssueCertificate", 1);
    world.recovers();
    world.asked_one_thing();
    assert_eq!(world.fake.issued().len(), 1);
    world.has_the_last("front");
}

#[test]
fn killed_in_a_renewal_the_old_certificate_stays_until_the_new_one_is_there() {
    let world = World::new();
    world.issue("").done();
    let before = world.files();
    world.fake.misbehave("GetCertificate", Times::Forever, Fault::pending());
    let run = world.command("issue -f mesh.yaml -o certs --force front").spawn();
    let (mut run, gets) = (run.unwrap(), world.counts().1);
    wait::until("it looks", || (world.counts().1 > gets).then_some(()));
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(world.files(), before);
    world.fake.behave();
    world.issue("--force front").done();
    assert_eq!(world.fake.issued().len(), 2);
    world.has_the_last("front");
}

#[test]
fn a_reply_that_was_lost_too_long_ago_is_paid_for_once_more_and_that_is_said() {
    let world = World::new().with("IssueCertificate", Times::Forever, Fault::LoseReply);
    world.issue("").failed(&["IssueCertificate"]);
    assert_eq!(world.fake.issued().len(), 1);
    world.age("front", Duration::minutes(4));
    world.issue("").failed(&["IssueCertificate"]);
    assert_eq!(world.fake.issued().len(), 1, "AWS knows the request still");
    world.age("front", Duration::minutes(2));
    let run = world.recovers();
    assert!(run.text().contains("asked for anew, and if AWS had taken the first"), "{run:?}");
    assert_eq!(world.fake.issued().len(), 2);
    world.has_the_last("front");
}

#[test]
fn a_certificate_whose_arn_is_known_is_fetched_however_late() {
    let world = World::new().with("GetCertificate", Times::Forever, Fault::access_denied());
    world.issue("").failed(&["GetCertificate"]);
    world.age("front", Duration::hours(3));
    world.recovers();
    assert_eq!(world.counts().0, 1);
    world.has_the_last("front");
}

#[test]
fn what_is_not_wanted_any_more_is_told_of_where_it_was_paid_for() {
    let world = World::new().with("GetCertificate", Times::Forever, Fault::access_denied());
    world.issue("").failed(&["GetCertificate"]);
    world.edit("front: { authority: pca }", "front: { authority: pca, dnsNames: [a.example.org] }");
    let run = world.recovers();
    let arn = &world.fake.issued()[0].arn;
    assert!(run.text().contains("is not fetched: something else is wanted"), "{run:?}");
    assert!(run.text().contains(arn.as_str()), "{run:?}");
    assert_eq!(world.fake.issued().len(), 2);
    world.has_the_last("front");
}
