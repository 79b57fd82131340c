//! How many calls certctl makes of AWS, how fast, and what it shows of that.

use time::Duration;

use crate::fake::{Fault, Lie, Spec, Times};
use crate::support::program;
use crate::world::World;

#[test]
fn a_certificate_takes_one_issue_and_few_gets() {
    let world = World::new();
    let run = world.issue("").done().says("front", &["pca created", "there was none"]);
    assert!(!run.text().contains("PRIVATE KEY"), "{run:?}");
    let (issues, gets, paid) = world.counts();
    assert_eq!((issues, paid), (1, 1));
    assert!(gets <= 3, "{gets} looks");
    world.has_the_last("front");
    let text = world.run("x509 -in certs/front_cert.pem -noout -text");
    for words in ["DNS:front.example.org", "URI:spiffe://example.org/front", "CA:FALSE"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn a_hundred_nodes_are_asked_for_within_the_rate_and_progress_is_shown() {
    let nodes: String = (0..100).map(|n| format!("node-{n}: {{ authority: pca }}, ")).collect();
    let world = World::of(Spec::root("pca"), "rates: { issue: 25 }", &nodes);
    // On a terminal, as people see it.
    let mut terminal = program::bare("script", &world.path(""));
    let line = format!("{} issue -f mesh.yaml -o certs", program::PROGRAM);
    terminal.args(["-qec", &line, "/dev/null"]).envs(world.environment()).env("TERM", "xterm");
    let run: program::Run = terminal.output().expect("script starts").into();
    let run = run.done();
    assert!(run.stdout.contains("/100 certificates"), "no progress: {}", run.stdout);
    let (issues, gets, paid) = world.counts();
    assert_eq!((issues, paid), (100, 100));
    assert!(gets <= 300, "{gets} looks");
    let calls = world.fake.calls("IssueCertificate");
    let took = calls[99].at - calls[0].at;
    // How many arrive in one second is the network's as well.
    println!("100 in {took}, at most {} in a second", world.fake.peak_rate("IssueCertificate"));
    assert!(took >= Duration::seconds(3), "{took}");
    let counts = world.counts();
    world.issue("").done().tells("0 files written");
    assert_eq!(world.counts(), counts, "nothing is due");
}

#[test]
fn a_dry_run_asks_nobody_and_writes_nothing() {
    let world = World::new();
    world.issue("--dry-run").done().says("front", &["would create"]);
    assert!(!world.has("certs"));
    world.issue("").done();
    let calls = world.fake.all_calls().len();
    let before = world.everything("certs");
    world.issue("--dry-run --force front").done().says("front", &["would renew"]);
    assert_eq!(world.everything("certs"), before);
    assert_eq!(world.fake.all_calls().len(), calls);
}

#[test]
fn the_brake_stops_what_runs_away() {
    let nodes = "a: { authority: pca }, b: { authority: pca }, c: { authority: pca }";
    let world = World::of(Spec::root("pca"), "maxCertificatesPerHour: 2", nodes);
    world.issue("").failed(&["which is maxCertificatesPerHour", "raise the limit"]);
    assert_eq!(world.fake.issued().len(), 2);
    world.issue("").failed(&["which is maxCertificatesPerHour"]);
    assert_eq!(world.fake.issued().len(), 2, "a new process knows what the last one bought");
}

#[test]
fn what_was_issued_is_listed_and_can_be_revoked() {
    let world = World::new();
    world.issue("").done();
    let list = world.certctl("ca list -f mesh.yaml -o json").done().json();
    assert_eq!((&list[0]["status"], &list[0]["issued"]), (&"ACTIVE".into(), &1.into()), "{list:#}");
    let serial = world.serial("front");
    let serial = serial.trim().strip_prefix("serial=").unwrap().to_owned();
    let revoke = format!("ca revoke {serial} --authority pca --reason key-compromise");
    let run = world.certctl(&revoke).done();
    assert!(run.text().contains("front"), "whose it was: {run:?}");
    assert_eq!(world.fake.issued()[0].revoked.as_deref(), Some("KEY_COMPROMISE"));
    world.certctl(&revoke).done();
    world.certctl("ca revoke 0102 --authority pca").failed(&["0102"]);
}

#[test]
fn a_ca_that_signs_all_wrong_is_not_paid_for_a_whole_mesh() {
    let nodes: String = (0..100).map(|n| format!("node-{n}: {{ authority: pca }}, ")).collect();
    let lie = Fault::Lie(Lie::Longer);
    let world = World::of(Spec::root("pca"), "", &nodes);
    world.fake.misbehave("IssueCertificate", Times::Forever, lie);
    // Which of the nodes were asked for before, and are told of first, is left to chance; the table
    // has all of them.
    let run = world.issue("").failed(&["no more are asked for until one"]);
    run.tells("is refused and thrown away").tells("so nothing more is asked for before");
    let paid = world.fake.issued().len();
    println!("{paid} of 100 were paid for before it was left alone");
    // Those that were under way when it showed.
    assert!(paid < 80, "{paid}");
}
