//! Lies that are in a certificate or around it.

use time::{Duration, OffsetDateTime};

use super::authority::{Authority, Spec};
use super::certificate::{
    BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, Extension, SUBJECT_ALTERNATIVE_NAME, ToBeSigned,
};
use super::fault::Lie;
use super::key::{KeyAlgorithm, SigningKey};
use super::{der, template};

/// Makes a certificate say it.
pub fn about(lie: Lie, certificate: &mut ToBeSigned, now: OffsetDateTime) {
    let lifetime = certificate.not_after - now;
    match lie {
        Lie::AnotherKey => {
            certificate.public_key = SigningKey::generate(KeyAlgorithm::default()).public()
        }
        Lie::AddedName => names(certificate, |names| {
            names.push(der::element(0x82, b"added.example"));
        }),
        Lie::DroppedName => names(certificate, |names| {
            names.pop();
        }),
        Lie::Expired => {
            certificate.not_after = now - Duration::HOUR;
            certificate.not_before = certificate.not_before.min(now - 2 * Duration::HOUR);
        }
        Lie::NotYet => {
            certificate.not_before = now + Duration::HOUR;
            certificate.not_after = certificate.not_after.max(now + 2 * Duration::HOUR);
        }
        Lie::Longer => certificate.not_after += Duration::days(365),
        Lie::Shorter => certificate.not_after = now + lifetime / 2,
        Lie::DroppedUsage => {
            certificate.extensions.retain(|extension| extension.oid != EXTENDED_KEY_USAGE);
            let client = der::oid(template::CLIENT).expect("an OID");
            certificate.extensions.push(Extension::extended_key_usage(&[client]));
        }
        Lie::Authority => {
            certificate.extensions.retain(|extension| extension.oid != BASIC_CONSTRAINTS);
            certificate.extensions.push(Extension::basic_constraints(true, Some(None)));
        }
        Lie::AnotherIssuer
        | Lie::Garbage
        | Lie::ReversedChain
        | Lie::ExtraCertificate
        | Lie::MissingChain
        | Lie::AnotherCertificate => {}
    }
}

fn names(certificate: &mut ToBeSigned, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let place = certificate
        .extensions
        .iter()
        .position(|extension| extension.oid == SUBJECT_ALTERNATIVE_NAME);
    let mut names =
        place.map_or_else(Vec::new, |place| split(&certificate.extensions[place].value));
    change(&mut names);
    let said = Extension::new(SUBJECT_ALTERNATIVE_NAME, false, der::sequence(&names));
    certificate.extensions.retain(|extension| extension.oid != SUBJECT_ALTERNATIVE_NAME);
    if !names.is_empty() {
        certificate.extensions.push(said);
    }
}

/// The elements of a sequence.
fn split(sequence: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = content(sequence).0;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (_, after) = content(rest);
        parts.push(rest[..rest.len() - after.len()].to_vec());
        rest = after;
    }
    parts
}

/// The content of the first element, and what follows it.
fn content(element: &[u8]) -> (&[u8], &[u8]) {
    let (length, start) = match element[1] {
        short @ 0..0x80 => (usize::from(short), 2),
        long => {
            let bytes = &element[2..2 + usize::from(long & 0x7f)];
            let length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, 2 + bytes.len())
        }
    };
    (&element[start..start + length], &element[start + length..])
}

/// Shows a certificate and its chain in a wrong way.
pub fn shown(lie: Lie, leaf: &mut String, chain: &mut Vec<Vec<u8>>, now: OffsetDateTime) {
    match lie {
        Lie::Garbage => {
            *leaf = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n\
                     -----END CERTIFICATE-----"
                .to_owned();
        }
        Lie::ReversedChain => chain.reverse(),
        Lie::ExtraCertificate => {
            let stranger = Spec::root("stranger");
            chain.push(Authority::create(String::new(), stranger, None, now).der);
        }
        Lie::MissingChain => chain.clear(),
        _ => {}
    }
}
