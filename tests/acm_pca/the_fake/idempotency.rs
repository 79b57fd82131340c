//! One token, one certificate, for five minutes.

use time::Duration;

use super::Bench;
use crate::fake::Idempotency;
use crate::sdk;

#[tokio::test]
async fn the_same_request_within_five_minutes_is_paid_for_once() {
    let bench = Bench::new();
    let call = bench.issue().idempotency_token("0123456789abcdef0123456789abcdef0123");
    let first = bench.issued(call.clone()).await;
    bench.fake.advance(Duration::minutes(2));
    assert_eq!(bench.issued(call.clone()).await, first);
    assert_eq!(bench.fake.issued().len(), 1);
    bench.fake.advance(Duration::minutes(4));
    assert_ne!(bench.issued(call).await, first);
    assert_eq!(bench.fake.issued().len(), 2);
    assert_eq!(bench.fake.calls("IssueCertificate").len(), 3);
}

#[tokio::test]
async fn another_token_or_none_is_another_certificate() {
    let bench = Bench::new();
    let call = bench.issue();
    bench.issued(call.clone().idempotency_token("a")).await;
    bench.issued(call.clone().idempotency_token("b")).await;
    bench.issued(call.clone()).await;
    bench.issued(call).await;
    assert_eq!(bench.fake.issued().len(), 4);
}

#[tokio::test]
async fn another_request_with_the_token_is_another_certificate_unless_told_otherwise() {
    let bench = Bench::new();
    let first = bench.issued(bench.issue().idempotency_token("a")).await;
    // Signing again changes the request's bytes.
    let second = bench.issued(bench.issue().idempotency_token("a")).await;
    assert_ne!(first, second);
    let sums: Vec<_> = bench.fake.all_calls().into_iter().map(|call| call.csr_sha256).collect();
    assert_ne!(sums[0], sums[1]);
    bench.fake.set_idempotency(Idempotency::TokenAlone);
    let third = bench.issued(bench.issue().idempotency_token("b")).await;
    assert_eq!(bench.issued(bench.issue().idempotency_token("b")).await, third);
}

#[tokio::test]
async fn a_token_has_36_characters_at_most() {
    let bench = Bench::new();
    let answer = bench.issue().idempotency_token("a".repeat(37)).send().await;
    assert_eq!(sdk::code(answer), "ValidationException");
}
