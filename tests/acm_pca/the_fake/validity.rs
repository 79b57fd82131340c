//! When certificates start and end.

use aws_sdk_acmpca::types::ValidityPeriodType;
use time::macros::{datetime, format_description};
use time::{Duration, OffsetDateTime};
use x509_parser::pem::parse_x509_pem;

use super::Bench;
use crate::fake::Spec;
use crate::sdk;

/// Start and end of what is issued.
async fn times(
    bench: &Bench,
    validity: (ValidityPeriodType, i64),
    not_before: Option<i64>,
) -> (OffsetDateTime, OffsetDateTime) {
    let start = not_before.map(|at| sdk::validity(ValidityPeriodType::Absolute, at));
    let call = bench.issue().validity(sdk::validity(validity.0, validity.1));
    let arn = bench.issued(call.set_validity_not_before(start)).await;
    let certificate = bench.get(&arn).await;
    let (_, pem) = parse_x509_pem(certificate.certificate().unwrap().as_bytes()).unwrap();
    let validity = pem.parse_x509().unwrap().validity().clone();
    (validity.not_before.to_datetime(), validity.not_after.to_datetime())
}

#[tokio::test]
async fn an_end_is_a_moment_or_a_span() {
    let bench = Bench::with(Spec::root("ca_1").days(40_000));
    let long = datetime!(2051-02-03 04:05:06 UTC);
    let (_, end) = times(&bench, (ValidityPeriodType::Absolute, long.unix_timestamp()), None).await;
    assert_eq!(end, long);
    let (_, end) = times(&bench, (ValidityPeriodType::EndDate, 20_510_203_040_506), None).await;
    assert_eq!(end, long);
    let (_, end) = times(&bench, (ValidityPeriodType::EndDate, 491_231_235_959), None).await;
    assert_eq!(end, datetime!(2049-12-31 23:59:59 UTC));
    let spans = [
        (ValidityPeriodType::Days, 2, 2..=2),
        (ValidityPeriodType::Months, 13, 393..=397),
        (ValidityPeriodType::Years, 2, 730..=731),
    ];
    for (kind, value, days) in spans {
        let before = bench.fake.now() - Duration::SECOND;
        let (_, end) = times(&bench, (kind, value), None).await;
        let least = before + Duration::days(*days.start());
        let most = bench.fake.now() + Duration::days(*days.end());
        assert!((least..=most).contains(&end), "{value} is {end}");
    }
}

#[tokio::test]
async fn a_start_is_an_hour_ago_or_what_was_asked_for() {
    let bench = Bench::new();
    let before = bench.fake.now() - Duration::HOUR - Duration::SECOND;
    let (start, _) = times(&bench, (ValidityPeriodType::Days, 1), None).await;
    assert!((before..=bench.fake.now() - Duration::HOUR).contains(&start), "{start}");
    let asked = bench.fake.now().unix_timestamp() - 7;
    let (start, _) = times(&bench, (ValidityPeriodType::Days, 1), Some(asked)).await;
    assert_eq!(start.unix_timestamp(), asked);
}

#[tokio::test]
async fn nothing_outlives_its_authority() {
    let bench = Bench::with(Spec::root("ca_1").days(10));
    let ten = bench.issue().validity(sdk::validity(ValidityPeriodType::Days, 11)).send().await;
    assert_eq!(sdk::code(ten), "ValidationException");
    bench.issued(bench.issue().validity(sdk::validity(ValidityPeriodType::Days, 9))).await;
}

#[tokio::test]
async fn short_lived_mode_issues_for_seven_days_at_most() {
    let bench = Bench::with(Spec::root("ca_1").short_lived());
    bench.issued(bench.issue().validity(sdk::validity(ValidityPeriodType::Days, 7))).await;
    let eight = bench.issue().validity(sdk::validity(ValidityPeriodType::Days, 8)).send().await;
    assert_eq!(sdk::code(eight), "ValidationException");
    let described = bench.client.describe_certificate_authority();
    let described = described.certificate_authority_arn(&bench.authority).send().await.unwrap();
    let mode = described.certificate_authority().unwrap().usage_mode().unwrap().as_str();
    assert_eq!(mode, "SHORT_LIVED_CERTIFICATE");
}

#[tokio::test]
async fn what_is_no_time_to_come_is_refused() {
    let bench = Bench::new();
    let format = format_description!("[year][month][day][hour][minute][second]");
    let now = bench.fake.now();
    let past = (now - Duration::SECOND).format(&format).unwrap().parse().unwrap();
    let refused = [
        (ValidityPeriodType::Days, 0),
        (ValidityPeriodType::Absolute, now.unix_timestamp() - 1),
        (ValidityPeriodType::EndDate, past),
        (ValidityPeriodType::EndDate, 20_301_301_000_000),
        (ValidityPeriodType::from("WEEKS"), 1),
    ];
    for (kind, value) in refused {
        let told = format!("{kind:?} {value}");
        let answer = bench.issue().validity(sdk::validity(kind, value)).send().await;
        assert_eq!(sdk::code(answer), "ValidationException", "{told}");
    }
    let start = sdk::validity(ValidityPeriodType::Days, 1);
    let answer = bench.issue().validity_not_before(start).send().await;
    assert_eq!(sdk::code(answer), "InvalidArgsException");
}

#[tokio::test]
async fn the_fake_s_clock_moves_what_it_issues() {
    let bench = Bench::new();
    bench.fake.advance(Duration::days(100));
    let (start, _) = times(&bench, (ValidityPeriodType::Days, 1), None).await;
    assert!(start > bench.fake.now() - Duration::HOUR * 2, "{start}");
    #[allow(clippy::disallowed_methods, reason = "the fake's clock is apart from this")]
    let real = OffsetDateTime::now_utc();
    assert!(start > real + Duration::days(99), "{start}");
}
