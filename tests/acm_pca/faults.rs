//! What `certctl issue` makes of an AWS Private CA that fails, throttles, stalls or lies: what is
//! told, what is paid, and that nothing is lost or served wrong.

use crate::fake::{Fault, Lie, Spec, Status, Times};
use crate::support::program::{Run, unwrapped};
use crate::world::{JOURNAL, World, each};

const ISSUE: &str = "IssueCertificate";
const GET: &str = "GetCertificate";
const DESCRIBE: &str = "DescribeCertificateAuthority";
const DESCRIBE_TOO: &str = "GetCertificateAuthorityCertificate";

/// It failed for front, saying this.
#[track_caller]
fn failed(run: Run, words: &str) {
    let run = run.failed(&["the mesh's authorities and nodes failed", words, "run again"]);
    assert!(!run.text().contains("PRIVATE KEY"), "{}", run.text());
}

#[test]
fn a_certificate_that_is_not_what_was_asked_for_replaces_nothing_and_is_paid_for_once() {
    let lies = [
        (ISSUE, Lie::AnotherKey, "the certificate is for another key"),
        (ISSUE, Lie::AddedName, "added.example"),
        (ISSUE, Lie::DroppedName, "the certificate has the DNS names no name and not"),
        (ISSUE, Lie::AnotherIssuer, "its signature is not that of \"CN=pca\" as it is trusted"),
        (ISSUE, Lie::Expired, "was asked for; a template or an authority that takes no validity"),
        (ISSUE, Lie::NotYet, "was asked for; a template or an authority that takes no validity"),
        (ISSUE, Lie::Longer, "was asked for; a template or an authority that takes no validity"),
        (ISSUE, Lie::Shorter, "was asked for; a template or an authority that takes no validity"),
        (ISSUE, Lie::DroppedUsage, "the certificate lacks serverAuth or clientAuth"),
        (ISSUE, Lie::Authority, "the certificate is a CA"),
        (GET, Lie::Garbage, "the certificate is malformed"),
        (GET, Lie::AnotherCertificate, "is refused and thrown away"),
    ];
    each(lies, |(operation, lie, words)| {
        let world = World::new();
        world.issue("").done();
        let files = || {
            let mut files = world.files();
            files.remove(std::path::Path::new("issued.jsonl"));
            files
        };
        let before = files();
        let gets = world.counts().1;
        world.fake.misbehave(operation, Times::Forever, Fault::Lie(lie));
        failed(world.issue("--force front"), words);
        assert!(files() == before, "{lie:?}");
        let record = world.text("certs/issued.jsonl");
        let unused: Vec<_> = record.lines().map(|line| line.contains("\"unused\":true")).collect();
        assert_eq!(unused, [false, true], "{lie:?}: paid for, and written down as such: {record}");
        let counts = world.counts();
        assert_eq!((counts.0, counts.2), (2, 2), "{lie:?}");
        assert!(counts.1 - gets <= 3, "{lie:?}: {counts:?}");
        let told = unwrapped(&world.issue("--force front").stderr);
        let arn = &world.fake.issued()[2].arn;
        let number = arn.rsplit('/').next().unwrap();
        assert!(told.contains(number) && told.contains("is refused and thrown away"), "{told}");
        world.fake.behave();
        world.issue("--force front").done();
        assert_eq!(world.fake.issued().len(), 4, "{lie:?}: a new one, since that one was wrong");
        world.has_the_last("front");
    });
}

#[test]
fn a_chain_that_comes_in_disorder_is_put_right() {
    each([Lie::ReversedChain, Lie::ExtraCertificate, Lie::MissingChain], |lie| {
        let world = World::under_a_root();
        world.fake.misbehave(GET, Times::Forever, Fault::Lie(lie));
        world.issue("").done();
        let chain = world.text("certs/front_cert_chain.pem");
        assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 2, "{lie:?}: the leaf and its CA");
        world.has_the_last("front");
        assert_eq!(world.fake.issued().len(), 1);
    });
}

#[test]
fn what_passes_by_itself_is_waited_out_and_paid_for_once() {
    let passing = [
        (GET, 4, Fault::pending()),
        (GET, 1, Fault::throttled()),
        (GET, 1, Fault::internal()),
        (GET, 1, Fault::NotJson),
        (GET, 1, Fault::LoseReply),
        (ISSUE, 1, Fault::throttled()),
        (ISSUE, 1, Fault::too_many_requests()),
        (ISSUE, 1, Fault::unavailable()),
        (ISSUE, 1, Fault::Drop),
        (ISSUE, 1, Fault::LoseReply),
        (DESCRIBE, 1, Fault::internal()),
        (DESCRIBE_TOO, 1, Fault::Drop),
    ];
    each(passing, passes);
}

/// It is waited out, and paid for once.
fn passes((operation, times, fault): (&str, usize, Fault)) {
    let world = World::new().with(operation, Times::Next(times), fault.clone());
    let run = world.issue("").done();
    assert_eq!(run.stderr, "", "{operation} {fault:?}");
    assert_eq!(world.fake.issued().len(), 1, "{operation} {fault:?}");
    world.asked_one_thing();
    world.has_the_last("front");
}

#[test]
fn what_does_not_pass_is_told_in_words_and_nothing_is_left_of_it() {
    let failures = [
        (ISSUE, Fault::limit_exceeded(), "a limit of the account or the CA is reached"),
        (ISSUE, Fault::invalid_state(), "the CA is in no state to do this"),
        (ISSUE, Fault::access_denied(), "see that the role has deploy/iam/acm-pca.json"),
        (DESCRIBE, Fault::access_denied(), "DescribeCertificateAuthority: AWS refuses the caller"),
        (DESCRIBE, Fault::NotJson, "response error"),
        (DESCRIBE_TOO, Fault::internal(), "InternalFailure"),
        (DESCRIBE_TOO, Fault::Lie(Lie::Garbage), "makes no CA: the certificate is malformed"),
        (DESCRIBE_TOO, Fault::Lie(Lie::ExtraCertificate), "but \"CN=stranger\" follows it"),
    ];
    each(failures, fails);
}

/// It is told, and leaves nothing.
fn fails((operation, fault, words): (&str, Fault, &str)) {
    let world = World::new().with(operation, Times::Forever, fault.clone());
    failed(world.issue(""), words);
    assert_eq!(world.fake.issued().len(), 0, "{operation} {fault:?}");
    assert_eq!(world.pending("front"), None);
    assert!(!world.has("certs/front_key.pem"), "a key without a certificate");
    world.recovers();
    world.has_the_last("front");
    assert_eq!(world.fake.issued().len(), 1, "{operation} {fault:?}");
}

#[test]
fn a_certificate_whose_reply_never_comes_is_asked_for_in_the_same_words_again() {
    let faults = [(Fault::LoseReply, 1), (Fault::NotJson, 1), (Fault::internal(), 0)];
    each(faults, is_asked_again);
}

/// It is asked for again in the same words, after so many were paid for.
fn is_asked_again((fault, paid): (Fault, usize)) {
    let world = World::new().with(ISSUE, Times::Forever, fault.clone());
    failed(world.issue(""), "IssueCertificate");
    assert_eq!(world.fake.issued().len(), paid, "{fault:?}");
    assert!(world.pending("front").is_some(), "{fault:?}: it may be paid for");
    assert_eq!(world.mode(&format!("certs/{JOURNAL}")), 0o600);
    world.recovers();
    world.asked_one_thing();
    world.has_the_last("front");
    assert_eq!(world.fake.issued().len(), 1, "{fault:?}");
}

#[test]
fn a_service_that_hangs_is_waited_for_or_told_of_and_paid_once() {
    // Side by side: each takes as long as the SDK waits.
    let hangs: [fn(); 5] = [
        || passes((GET, 1, Fault::Hang)),
        || passes((ISSUE, 1, Fault::HangAfterwards)),
        || fails((DESCRIBE, Fault::Hang, "no answer in time")),
        || is_asked_again((Fault::HangAfterwards, 1)),
        || is_asked_again((Fault::Hang, 0)),
    ];
    each(hangs, |hang| hang());
}

#[test]
fn a_certificate_that_cannot_be_fetched_now_is_fetched_later_and_not_made_again() {
    let world = World::new().with(GET, Times::Forever, Fault::access_denied());
    failed(world.issue(""), "GetCertificate: AWS refuses the caller");
    failed(world.issue(""), "GetCertificate: AWS refuses the caller");
    assert_eq!(world.counts(), (1, 2, 1));
    world.recovers();
    assert_eq!(world.counts(), (1, 3, 1));
    world.has_the_last("front");
}

#[test]
fn a_certificate_that_aws_gives_up_is_asked_for_once_more_in_a_run() {
    let world = World::new().with(GET, Times::Next(1), Fault::request_failed());
    world.issue("").done();
    assert_eq!(world.fake.calls(ISSUE).len(), 2);
    world.has_the_last("front");
    let world = World::new().with(GET, Times::Forever, Fault::request_failed());
    failed(world.issue(""), "AWS could not make the certificate");
    assert_eq!(world.fake.calls(ISSUE).len(), 2, "once more, and then no more");
}

#[test]
fn a_ca_that_does_not_sign_is_told_of_by_its_state() {
    each([Status::Disabled, Status::Expired, Status::Deleted], |status| {
        let world = World::new();
        world.issue("").done();
        let before = world.files();
        world.fake.set_status(&world.ca, status);
        failed(world.issue("--force front"), "the CA is in no state to do this");
        assert_eq!(world.files(), before);
        let list = world.certctl("ca list -f mesh.yaml").done();
        let status = serde_json::to_string(&status).unwrap();
        list.says("pca", &[status.trim_matches('"')]);
    });
}

#[test]
fn without_credentials_nobody_is_asked() {
    let world = World::new();
    world.write(".env", "AWS_EC2_METADATA_DISABLED=true\n");
    failed(world.issue(""), "there are no AWS credentials");
    assert_eq!(world.fake.all_calls().len(), 0);
}

#[test]
fn a_lifetime_that_the_ca_does_not_sign_for_is_refused_before_it_is_asked() {
    let nodes = "front: { authority: pca, lifetime: 8d }";
    let world = World::of(Spec::root("pca").short_lived(), "", nodes);
    failed(world.issue(""), "short-lived mode, which signs for at most 7d, and 8d is wanted");
    assert_eq!(world.fake.calls(ISSUE).len(), 0);
    let run = world.certctl("config check -f mesh.yaml --online");
    run.ended_with(3, &["8d", "7d"]);
}

#[test]
fn a_service_that_is_not_there_takes_nothing_away() {
    let world = World::new();
    world.issue("").done();
    let before = world.files();
    world.fake.stop();
    world.issue("").done().says("front", &["kept"]);
    failed(world.issue("--force front"), "the service was not reached");
    assert_eq!(world.files(), before);
    assert!(world.pending("front").is_some());
    world.fake.restart();
    world.issue("--force front").done();
    world.has_the_last("front");
    assert_eq!(world.fake.issued().len(), 2);
}
