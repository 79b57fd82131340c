//! Certificates that no careful issuer makes, described all the same: each defect is told, and
//! nothing in them acts upon the terminal that it is printed on.

use std::time::{Duration, Instant};

use crate::der::{bit_string, element, extension, names, oid, pem, sequence, subject};
use certctl::time::{OffsetDateTime, parse_moment};
use certctl::x509::describe::{Description, Item, in_words};
use certctl::x509::key::{KeyAlgorithm, PrivateKey};
use proptest::prelude::*;

/// A certificate with a signature of zeros, which describing does not look at in a leaf.
struct Parts {
    serial: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    ends: &'static [u8],
    extensions: Vec<Vec<u8>>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            serial: vec![0x5a],
            issuer: subject(Some(b"ca")),
            subject: subject(None),
            ends: b"270101000000Z",
            extensions: vec![
                names(&[(6, b"spiffe://example.org/front")]),
                extension("2.5.29.15", true, &element(0x03, &[7, 0x80])),
            ],
        }
    }
}

impl Parts {
    fn with(extensions: Vec<Vec<u8>>) -> Self {
        Self { extensions, ..Self::default() }
    }

    fn and(extension: Vec<u8>) -> Self {
        let mut parts = Self::default();
        parts.extensions.push(extension);
        parts
    }

    fn der(self) -> Vec<u8> {
        let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
        let algorithm = sequence(&[oid("1.2.840.10045.4.3.2")]);
        let dates = sequence(&[element(0x17, b"260101000000Z"), element(0x17, self.ends)]);
        let signed = sequence(&[
            element(0xa0, &element(0x02, &[2])),
            element(0x02, &self.serial),
            algorithm.clone(),
            self.issuer,
            dates,
            self.subject,
            key.public().spki().to_vec(),
            element(0xa3, &sequence(&self.extensions)),
        ]);
        sequence(&[signed, algorithm, bit_string(&[0; 70])])
    }
}

fn now() -> OffsetDateTime {
    parse_moment("2026-06-01T00:00:00Z").unwrap()
}

fn codes(bytes: &[u8]) -> Vec<&'static str> {
    Description::of_bytes(bytes, now()).all_problems().map(|problem| problem.code).collect()
}

#[test]
fn each_defect_is_told_and_no_other() {
    let is_ca = extension("2.5.29.19", true, &sequence(&[element(0x01, &[0xff])]));
    let digital = extension("2.5.29.15", true, &element(0x03, &[7, 0x80]));
    let id: (u8, &[u8]) = (6, b"spiffe://example.org/front");
    let rows: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("none", Parts::default().der(), &[]),
        ("zero serial", Parts { serial: vec![0], ..Parts::default() }.der(), &["serial"]),
        ("negative serial", Parts { serial: vec![0x80], ..Parts::default() }.der(), &["serial"]),
        ("long serial", Parts { serial: vec![1; 21], ..Parts::default() }.der(), &["serial"]),
        ("trailing bytes", [Parts::default().der(), vec![0; 4]].concat(), &["trailing-bytes"]),
        (
            "ends first",
            Parts { ends: b"250101000000Z", ..Parts::default() }.der(),
            &["expired", "never-valid"],
        ),
        ("ten years", Parts { ends: b"360101000000Z", ..Parts::default() }.der(), &["long-lived"]),
        (
            "unknown critical",
            Parts::and(extension("1.2.3", true, b"")).der(),
            &["unknown-critical-extension"],
        ),
        ("unknown", Parts::and(extension("1.2.3", false, b"")).der(), &[]),
        ("twice", Parts::and(digital.clone()).der(), &["duplicate-extension", "not-spiffe"]),
        (
            "malformed extension",
            Parts::and(extension("2.5.29.37", false, b"\x30\x09")).der(),
            &["malformed-extension", "not-spiffe"],
        ),
        ("no names", Parts::with(vec![]).der(), &["no-names"]),
        ("DNS alone", Parts::with(vec![names(&[(2, b"front")])]).der(), &["not-spiffe"]),
        ("two URIs", Parts::with(vec![names(&[id, id]), digital.clone()]).der(), &["not-spiffe"]),
        (
            "no SPIFFE ID",
            Parts::with(vec![names(&[(6, b"https://x/")]), digital]).der(),
            &["not-spiffe"],
        ),
        ("no key usage", Parts::with(vec![names(&[id])]).der(), &["not-spiffe"]),
        (
            "issued itself",
            Parts { subject: subject(Some(b"ca")), ..Parts::default() }.der(),
            &["root-without-ca-bit"],
        ),
        ("a CA that cannot sign", Parts::and(is_ca.clone()).der(), &["ca-cannot-sign"]),
        (
            "a forged root",
            Parts { subject: subject(Some(b"ca")), extensions: vec![is_ca], ..Parts::default() }
                .der(),
            &["bad-signature"],
        ),
        ("no certificate", sequence(&[sequence(&[])]), &["unknown-form"]),
    ];
    for (what, der, expected) in rows {
        assert_eq!(codes(&der), expected, "{what}");
    }
}

#[test]
fn serials_are_written_as_openssl_writes_them() {
    for (bytes, text) in [
        (&[0x5a][..], "5A"),
        (&[0x00, 0x80], "80"),
        (&[0x0a, 0xbc], "0ABC"),
        (&[0x00], "00"),
        (&[0x80], "-80"),
        (&[0xff, 0x7f], "-81"),
    ] {
        let der = Parts { serial: bytes.to_vec(), ..Parts::default() }.der();
        let description = Description::of_bytes(&der, now());
        let Item::Certificate(certificate) = &description.items[0] else { unreachable!() };
        assert_eq!(certificate.serial, text);
    }
}

#[test]
fn nothing_in_a_certificate_acts_upon_a_terminal() {
    let evil = "a\x1b[2J\r\nb\u{202e}c\u{200b}".as_bytes();
    let uri = [b"spiffe://example.org/", evil].concat();
    let der = Parts {
        issuer: subject(Some(evil)),
        subject: subject(Some(evil)),
        extensions: vec![names(&[(2, evil), (1, evil), (6, &uri), (7, &[1; 5]), (0x20, evil)])],
        ..Parts::default()
    }
    .der();
    let description = Description::of_bytes(&der, now());
    for text in [
        in_words(&description),
        serde_json::to_string(&description).unwrap(),
        format!("{:?}", description.items),
    ] {
        let acts = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{200b}".contains(c);
        assert!(!text.contains(acts), "{text:?}");
    }
    // One line for each fact: a line break in a name would make another.
    assert!(in_words(&description).lines().all(|line| line.starts_with("  ")));
    assert!(in_words(&description).contains("5 bytes that are no address: 0101010101"));
}

#[test]
fn a_bundle_of_thousands_is_described_soon() {
    let one = Parts::default().der();
    let text = pem("CERTIFICATE", &one).repeat(3_000);
    #[expect(clippy::disallowed_methods, reason = "measures real time")]
    let begun = Instant::now();
    let description = Description::of_bytes(text.as_bytes(), now());
    let taken = begun.elapsed();
    assert_eq!(description.items.len(), 3_000);
    assert!(taken < Duration::from_secs(30), "it hangs: {taken:?}");
    eprintln!("{} bytes, {taken:?}", text.len());
}

#[test]
fn a_revocation_list_that_is_overdue_is_marked() {
    let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
    let mut ca = rcgen::CertificateParams::default();
    ca.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    let list = rcgen::CertificateRevocationListParams {
        this_update: parse_moment("2026-05-01T00:00:00Z").unwrap(),
        next_update: parse_moment("2026-05-02T00:00:00Z").unwrap(),
        crl_number: rcgen::SerialNumber::from(7),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&rcgen::Issuer::new(ca, key)).unwrap();
    for bytes in [list.der().to_vec(), list.pem().unwrap().into_bytes()] {
        assert_eq!(codes(&bytes), ["expired"]);
        let text = in_words(&Description::of_bytes(&bytes, now()));
        assert!(text.contains("number         7"), "{text}");
        assert!(text.contains("revokes        0 certificates"), "{text}");
        assert!(text.contains("its successor was due 30d ago"), "{text}");
        let earlier = parse_moment("2026-05-01T12:00:00Z").unwrap();
        assert_eq!(Description::of_bytes(&bytes, earlier).all_problems().count(), 0);
    }
}

proptest! {
    #[test]
    fn garbage_is_described_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for form in [bytes.clone(), element(0x30, &bytes), [b"-----BEGIN ", &bytes[..]].concat()] {
            drop(in_words(&Description::of_bytes(&form, now())));
        }
        for label in ["CERTIFICATE", "CERTIFICATE REQUEST", "X509 CRL", "PUBLIC KEY", "EC PRIVATE KEY"] {
            let text = pem(label, &bytes);
            drop(in_words(&Description::of_bytes(text.as_bytes(), now())));
        }
    }

    #[test]
    fn a_damaged_certificate_is_described_without_a_panic(at in 0_usize..300, byte: u8) {
        let mut der = Parts::default().der();
        let at = at % der.len();
        der[at] = byte;
        drop(in_words(&Description::of_bytes(&der, now())));
        drop(in_words(&Description::of_bytes(&der[..at], now())));
    }
}
