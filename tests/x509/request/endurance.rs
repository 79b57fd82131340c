//! Whatever bytes come as a request: judged soon, never with a panic, and never taken for another.

use std::time::{Duration, Instant};

use super::front::{ID, judge};
use crate::der::{RequestParts, attribute, element, extension, oid, pem, sequence, set, subject};
use certctl::x509::request::Request;
use proptest::prelude::*;

/// What fits the size limit and costs the most to read.
#[test]
fn no_request_takes_long_to_judge() {
    let nested = (0..8_000).fold(Vec::new(), |inner, _| element(0x30, &inner));
    let short: Vec<(u8, &[u8])> = vec![(2, b"a"); 10_000];
    let many: Vec<String> = (0..2_500).map(|i| format!("n{i}.local")).collect();
    let many: Vec<(u8, &[u8])> = many.iter().map(|name| (2, name.as_bytes())).collect();
    let extensions: Vec<_> =
        (0..2_000).map(|i| extension(&format!("1.2.{i}"), false, b"")).collect();
    let attributes: Vec<_> =
        (0..2_500).map(|i| sequence(&[oid(&format!("1.2.{i}")), set(&[])])).collect();
    let rdns: Vec<_> = (0..2_000).map(|_| attribute("2.5.4.10", element(0x0c, b"a"))).collect();
    let too_many: Vec<(u8, &[u8])> = vec![(2, b"a"); 50_000];
    let rows = [
        ("nested DER", RequestParts { subject: nested.clone(), ..RequestParts::default() }.sign()),
        ("nested DER in a SAN", RequestParts::with_names(&[(0x20, &nested)]).sign()),
        ("nested DER outermost", nested),
        ("one name again and again", RequestParts::with_names(&short).sign()),
        ("many names", RequestParts::with_names(&many).sign()),
        ("many extensions", RequestParts::with_extensions(&extensions).sign()),
        ("many attributes", RequestParts { attributes, ..RequestParts::default() }.sign()),
        (
            "a long subject",
            RequestParts { subject: sequence(&rdns), ..RequestParts::default() }.sign(),
        ),
        ("50,000 names", RequestParts::with_names(&too_many).sign()),
        ("dashes", b"-----BEGIN ".repeat(2_900)),
        ("blocks", b"-----BEGIN A-----\n-----END A-----\n".repeat(900)),
    ];
    for (what, request) in rows {
        #[expect(clippy::disallowed_methods, reason = "measures real time")]
        let begun = Instant::now();
        let result = judge(&request);
        let taken = begun.elapsed();
        assert!(taken < Duration::from_secs(30), "{what} makes it hang: {taken:?}");
        eprintln!(
            "{what}: {} bytes, {taken:?}, {:?}",
            request.len(),
            result.err().map(|e| e.to_string())
        );
    }
}

/// The signature covers the names and the key, and malleable encodings change neither.
#[test]
fn no_flipped_bit_changes_what_a_request_says() {
    let good = RequestParts {
        subject: subject(Some(b"front")),
        ..RequestParts::with_names(&[(6, ID), (2, b"front.local")])
    }
    .sign();
    let original = judge(&good).unwrap();
    let mut accepted = 0;
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut flipped = good.clone();
            flipped[at] ^= 1 << bit;
            if let Ok(request) = Request::parse(&flipped) {
                assert_eq!(request, original, "byte {at} bit {bit}");
                accepted += 1;
            }
        }
    }
    assert_eq!(accepted, 0);
}

proptest! {
    #[test]
    fn garbage_is_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Request::parse(&bytes).is_err());
        prop_assert!(Request::parse(&element(0x30, &bytes)).is_err());
        prop_assert!(Request::parse(pem("CERTIFICATE REQUEST", &bytes).as_bytes()).is_err());
    }

    #[test]
    fn signed_garbage_is_judged_without_a_panic(
        subject in prop::collection::vec(any::<u8>(), 0..60),
        value in prop::collection::vec(any::<u8>(), 0..60),
        kind in prop::sample::select(vec!["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.37"]),
    ) {
        let parts = RequestParts::with_extensions(&[extension(kind, false, &value)]);
        drop(judge(&parts.sign()));
        drop(judge(&RequestParts { subject: element(0x30, &subject), ..RequestParts::default() }.sign()));
    }
}
