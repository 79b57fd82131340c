//! What the fake does wrong when told to, as the real SDK sees it.

use std::time::Duration;

use aws_sdk_acmpca::Client;
use aws_sdk_acmpca::config::retry::RetryConfig;
use aws_sdk_acmpca::error::SdkError;

use super::Bench;
use crate::fake::{Fault, Spec, Times};
use crate::sdk;
use crate::support::wait;

const ISSUE: &str = "IssueCertificate";

#[tokio::test]
async fn an_error_is_answered_as_often_as_told() {
    let bench = Bench::new();
    let faults = [
        (Fault::throttled(), "ThrottlingException"),
        (Fault::too_many_requests(), "TooManyRequestsException"),
        (Fault::limit_exceeded(), "LimitExceededException"),
        (Fault::invalid_state(), "InvalidStateException"),
        (Fault::access_denied(), "AccessDeniedException"),
        (Fault::internal(), "InternalFailure"),
        (Fault::unavailable(), "ServiceUnavailable"),
    ];
    for (fault, code) in faults {
        bench.fake.misbehave(ISSUE, Times::Next(2), fault);
        assert_eq!(sdk::code(bench.issue().send().await), code);
        assert_eq!(sdk::code(bench.issue().send().await), code);
        bench.issued(bench.issue()).await;
    }
    assert_eq!(bench.fake.issued().len(), 7);
    let outcomes: Vec<_> = bench.fake.calls(ISSUE).into_iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes[..3], ["ThrottlingException", "ThrottlingException", "done"]);
}

#[tokio::test]
async fn a_certificate_is_pending_as_long_as_told() {
    let bench = Bench::new();
    let arn = bench.issued(bench.issue()).await;
    let get = || {
        let call = bench.client.get_certificate().certificate_arn(&arn);
        call.certificate_authority_arn(&bench.authority).send()
    };
    bench.fake.misbehave("GetCertificate", Times::Next(2), Fault::pending());
    bench.fake.misbehave("GetCertificate", Times::Next(1), Fault::request_failed());
    assert_eq!(sdk::code(get().await), "RequestInProgressException");
    assert_eq!(sdk::code(get().await), "RequestInProgressException");
    assert_eq!(sdk::code(get().await), "RequestFailedException");
    assert!(get().await.is_ok());
    bench.fake.issuing_takes(time::Duration::HOUR);
    let slow = bench.issued(bench.issue()).await;
    let call = bench.client.get_certificate().certificate_arn(&slow);
    let call = call.certificate_authority_arn(&bench.authority);
    assert_eq!(sdk::code(call.clone().send().await), "RequestInProgressException");
    bench.fake.advance(time::Duration::HOUR);
    assert!(call.send().await.is_ok());
}

#[tokio::test]
async fn a_lost_reply_leaves_a_certificate_that_the_token_finds() {
    let bench = Bench::new();
    bench.fake.misbehave(ISSUE, Times::Next(1), Fault::LoseReply);
    let call = bench.issue().idempotency_token("token");
    let lost = call.clone().send().await;
    assert!(matches!(lost, Err(SdkError::DispatchFailure(_))), "{lost:?}");
    let issued = bench.fake.issued();
    assert_eq!(issued.len(), 1);
    assert_eq!(bench.issued(call).await, issued[0].arn);
    assert_eq!(bench.fake.issued().len(), 1);
    let calls = bench.fake.calls(ISSUE);
    assert_eq!(calls[0].outcome, "done, not told");
    assert_eq!(calls[0].certificate, calls[1].certificate);
    assert_eq!(calls[0].idempotency_token.as_deref(), Some("token"));
    assert_eq!(calls[0].validity.as_deref(), Some("DAYS 1"));
}

#[tokio::test]
async fn a_dropped_call_does_nothing() {
    let bench = Bench::new();
    bench.fake.misbehave(ISSUE, Times::Next(1), Fault::Drop);
    let lost = bench.issue().send().await;
    assert!(matches!(lost, Err(SdkError::DispatchFailure(_))), "{lost:?}");
    assert!(bench.fake.issued().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_hangs_gets_no_answer_with_or_without_a_certificate() {
    let bench = Bench::new();
    let hung = async |fault: Fault, outcome: &str| {
        bench.fake.misbehave(ISSUE, Times::Next(1), fault);
        let mut call = tokio::spawn(bench.issue().send());
        let last = || bench.fake.calls(ISSUE).pop().map(|call| call.outcome);
        tokio::task::block_in_place(|| {
            wait::until(outcome, || (last()? == outcome).then_some(()));
        });
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut call).await.is_err());
        call.abort();
    };
    hung(Fault::Hang, "hung").await;
    assert!(bench.fake.issued().is_empty());
    hung(Fault::HangAfterwards, "done, not told").await;
    assert_eq!(bench.fake.issued().len(), 1);
}

#[tokio::test]
async fn what_is_no_json_is_no_answer() {
    let bench = Bench::new();
    bench.fake.misbehave(ISSUE, Times::Next(1), Fault::NotJson);
    let answer = bench.issue().send().await;
    assert!(matches!(answer, Err(SdkError::ResponseError(_))), "{answer:?}");
    assert_eq!(bench.fake.issued().len(), 1);
}

#[tokio::test]
async fn a_late_answer_is_an_answer() {
    let bench = Bench::new();
    bench.fake.misbehave(ISSUE, Times::Next(1), Fault::Delay(20));
    let sent = tokio::time::Instant::now();
    bench.issued(bench.issue()).await;
    assert!(sent.elapsed() >= Duration::from_millis(20));
}

#[tokio::test]
async fn one_authority_s_trouble_is_not_another_s() {
    let bench = Bench::new();
    let other = bench.fake.create(Spec::root("ca_2"));
    bench.fake.misbehave_at(&other, ISSUE, Times::Forever, Fault::limit_exceeded());
    bench.issued(bench.issue()).await;
    for _ in 0..3 {
        let answer = bench.issue().certificate_authority_arn(&other).send().await;
        assert_eq!(sdk::code(answer), "LimitExceededException");
    }
    bench.fake.behave();
    bench.issued(bench.issue().certificate_authority_arn(&other)).await;
}

#[tokio::test]
async fn it_goes_away_and_comes_back_on_the_same_port() {
    let bench = Bench::new();
    bench.issued(bench.issue()).await;
    bench.fake.stop();
    let refused = bench.issue().send().await;
    assert!(matches!(refused, Err(SdkError::DispatchFailure(_))), "{refused:?}");
    bench.fake.stop();
    bench.fake.restart();
    bench.issued(bench.issue()).await;
    assert_eq!(bench.fake.calls(ISSUE).len(), 2);
}

#[tokio::test]
async fn the_sdk_retries_what_is_throttled() {
    let bench = Bench::new();
    let retry = RetryConfig::standard().with_max_attempts(3);
    let retry = retry.with_initial_backoff(Duration::from_millis(1));
    let config = sdk::config(&bench.fake.endpoint(), &bench.fake.region()).retry_config(retry);
    let client = Client::from_conf(config.build());
    bench.fake.misbehave(ISSUE, Times::Next(2), Fault::throttled());
    let input = bench.issue().as_input().clone();
    assert!(input.send_with(&client).await.is_ok());
    assert_eq!(bench.fake.calls(ISSUE).len(), 3);
    assert_eq!(bench.fake.issued().len(), 1);
}

#[tokio::test]
async fn calls_above_a_quota_are_throttled() {
    let bench = Bench::new();
    bench.fake.set_quota("ListCertificateAuthorities", 2);
    let list = || bench.client.list_certificate_authorities().send();
    // The clock stands still for nobody: three calls take less than a second unless the machine
    // is busy, and then nothing is throttled.
    let answers = [list().await, list().await, list().await];
    let throttled = answers.iter().filter(|answer| answer.is_err()).count();
    let peak = bench.fake.peak_rate("ListCertificateAuthorities");
    assert_eq!(throttled, peak.saturating_sub(2), "{peak} in one second");
    bench.fake.advance(time::Duration::SECOND);
    assert!(list().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_at_once_are_counted() {
    let bench = Bench::new();
    bench.fake.misbehave("DescribeCertificateAuthority", Times::Forever, Fault::Hang);
    let describe = || {
        let call = bench.client.describe_certificate_authority();
        tokio::spawn(call.certificate_authority_arn(&bench.authority).send())
    };
    let calls = [describe(), describe(), describe()];
    let count = || bench.fake.calls("DescribeCertificateAuthority").len();
    tokio::task::block_in_place(|| wait::until("three calls", || (count() == 3).then_some(())));
    assert_eq!(bench.fake.peak_concurrency("DescribeCertificateAuthority"), 3);
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}
