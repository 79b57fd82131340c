//! What only shows when things are looked at side by side: the order of a chain, doubles, and which
//! key belongs to which certificate.

use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::prelude::FromDer;

use super::{CertificateDescription, Description, Item, Problem, Role};

/// What is wrong with the certificates of one source as a whole: a chain is to be a leaf and then
/// each one's issuer; certificates that are all CAs are a bundle, in any order.
pub(super) fn within(items: &[Item]) -> Vec<Problem> {
    let certificates: Vec<&CertificateDescription> = items
        .iter()
        .filter_map(|item| match item {
            Item::Certificate(certificate) => Some(&**certificate),
            _ => None,
        })
        .collect();
    let mut problems = doubles(&certificates);
    // What issued itself ends a chain, with or without the CA bit.
    let is_leaf =
        |c: &CertificateDescription| c.role == Role::Leaf && c.raw.subject != c.raw.issuer;
    let leaves: Vec<_> = (0..certificates.len()).filter(|at| is_leaf(certificates[*at])).collect();
    match leaves[..] {
        [] => {}
        [0] => problems.extend(links(&certificates)),
        [first] => problems.push(Problem::error(
            "ca-first",
            format!(
                "the leaf is number {}: it belongs first, and each certificate's issuer after it; \
                 Envoy refuses the file as it is",
                first + 1
            ),
        )),
        _ => problems.push(Problem::warning(
            "several-leaves",
            format!("it holds {} leaf certificates; a chain has one", leaves.len()),
        )),
    }
    problems
}

fn doubles(certificates: &[&CertificateDescription]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (at, certificate) in certificates.iter().enumerate() {
        let earlier = certificates[..at].iter().position(|c| c.raw.der == certificate.raw.der);
        if let Some(earlier) = earlier {
            let message = format!("number {} is number {} again", at + 1, earlier + 1);
            problems.push(Problem::warning("duplicate", message));
        }
    }
    problems
}

/// Whether each certificate was issued by the next.
fn links(chain: &[&CertificateDescription]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (at, pair) in chain.windows(2).enumerate() {
        let (lower, upper) = (pair[0], pair[1]);
        if lower.raw.issuer == upper.raw.subject {
            if !signed_by(lower, upper) {
                let message = format!(
                    "number {} names number {} as its issuer, and its signature is another's: it \
                     may be an earlier CA of the same name",
                    at + 1,
                    at + 2
                );
                problems.push(Problem::error("bad-signature", message));
            }
            continue;
        }
        let issuer = chain.iter().position(|other| other.raw.subject == lower.raw.issuer);
        problems.push(match issuer {
            Some(place) if place != at => Problem::error(
                "out-of-order",
                format!("number {}'s issuer should follow it and is number {}", at + 1, place + 1),
            ),
            _ => Problem::error(
                "not-linked",
                format!(
                    "number {} was issued by {:?}, and what follows it is {:?}",
                    at + 1,
                    lower.issuer,
                    upper.subject
                ),
            ),
        });
    }
    problems
}

/// Whether a signature is an issuer's; also where it is of a kind that we cannot verify.
fn signed_by(lower: &CertificateDescription, upper: &CertificateDescription) -> bool {
    let (Ok((_, lower)), Ok((_, upper))) =
        (X509Certificate::from_der(&lower.raw.der), X509Certificate::from_der(&upper.raw.der))
    else {
        return true;
    };
    !matches!(
        lower.verify_signature(Some(upper.public_key())),
        Err(X509Error::SignatureVerificationError)
    )
}

/// Says of each private key which certificates and requests are for it, among all sources looked
/// at together; with some of them there, a key that fits none is an error. Sources are given with
/// the names that they are told by.
pub fn relate(sources: &mut [(&str, &mut Description)]) {
    let mut owners: Vec<(String, String)> = Vec::new();
    for (name, description) in sources.iter() {
        for (at, item) in description.items.iter().enumerate() {
            let key = match item {
                Item::Certificate(certificate) => &certificate.key,
                Item::Request(request) => &request.key,
                _ => continue,
            };
            let place = match description.items.len() {
                1 => (*name).to_owned(),
                _ => format!("{name}, number {}", at + 1),
            };
            owners.push((key.sha256.clone(), place));
        }
    }
    for (_, description) in sources.iter_mut() {
        for item in &mut description.items {
            let Item::PrivateKey(key) = item else { continue };
            let Some(fingerprint) = &key.sha256 else { continue };
            key.belongs_to = owners
                .iter()
                .filter(|(other, _)| other == fingerprint)
                .map(|(_, place)| place.clone())
                .collect();
            if key.belongs_to.is_empty() && !owners.is_empty() {
                let message = "none of the certificates and requests looked at is for this key";
                key.problems.push(Problem::error("key-mismatch", message));
            }
        }
    }
}
