//! A certificate signing request of ours (RFC 2986), for an authority that takes nothing else.
//!
//! What one from outside may say is [`super::request`]'s.

use aws_lc_rs::rand;
use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DistinguishedName, DnType, SanType};
use thiserror::Error;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use super::certificate::name_in_words;
use super::key::PrivateKey;
use super::profile::{LeafProfile, Subject};

/// Why there is no request.
#[derive(Debug, Error)]
pub enum SigningRequestError {
    /// The encoder or the key refused.
    #[error("cannot make the certificate signing request: {0}")]
    Encode(#[from] rcgen::Error),
    /// The system gave no randomness.
    #[error("the system gives no random bytes for an idempotency token")]
    NoRandomness,
}

/// A request for a leaf, with its names in it: also where they are said elsewhere, since AWS takes
/// none that has neither a subject nor an alternative name (IssueCertificate, Csr).
///
/// # Errors
/// When the key refuses.
pub fn for_leaf(profile: &LeafProfile, key: &PrivateKey) -> Result<Vec<u8>, SigningRequestError> {
    let mut names = vec![SanType::URI(Ia5String::try_from(profile.spiffe_id.as_str())?)];
    for name in &profile.dns_names {
        names.push(SanType::DnsName(Ia5String::try_from(name.as_str())?));
    }
    encode(leaf_subject(profile), names, key)
}

/// A request for the CA of this subject.
///
/// # Errors
/// When the key refuses.
pub fn for_ca(subject: &Subject, key: &PrivateKey) -> Result<Vec<u8>, SigningRequestError> {
    encode(subject.distinguished_name(), Vec::new(), key)
}

/// The subject of a request, in words as a certificate's is told; none if it is no request.
pub fn subject(request: &[u8]) -> Option<String> {
    let (_, request) = X509CertificationRequest::from_der(request).ok()?;
    Some(name_in_words(request.certification_request_info.subject.as_raw()))
}

/// The SubjectPublicKeyInfo of a request, in DER; none if it is no request.
pub fn spki(request: &[u8]) -> Option<&[u8]> {
    let (_, request) = X509CertificationRequest::from_der(request).ok()?;
    Some(request.certification_request_info.subject_pki.raw)
}

/// What tells one request from all others: 128 random bits in 32 hexadecimal digits.
///
/// # Errors
/// When the system gives no randomness.
pub fn token() -> Result<String, SigningRequestError> {
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes).map_err(|_| SigningRequestError::NoRandomness)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn leaf_subject(profile: &LeafProfile) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    if let Some(name) = profile.common_name() {
        subject.push(DnType::CommonName, name);
    }
    subject
}

fn encode(
    subject: DistinguishedName,
    names: Vec<SanType>,
    key: &PrivateKey,
) -> Result<Vec<u8>, SigningRequestError> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = subject;
    parameters.subject_alt_names = names;
    Ok(parameters.serialize_request(key)?.der().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{DnsName, SpiffeId};
    use crate::time::Lifetime;
    use crate::x509::key::KeyAlgorithm;
    use crate::x509::request::Request;

    fn profile(dns_names: &[&str]) -> LeafProfile {
        LeafProfile {
            spiffe_id: SpiffeId::parse("spiffe://example.org/front").unwrap(),
            dns_names: dns_names.iter().map(|name| DnsName::parse(name).unwrap()).collect(),
            lifetime: Lifetime::hours(1),
            clock_skew: std::time::Duration::ZERO,
        }
    }

    #[test]
    fn our_own_requests_stand_before_our_own_judge() {
        for algorithm in [KeyAlgorithm::EcP256, KeyAlgorithm::EcP384, KeyAlgorithm::Rsa2048] {
            let key = PrivateKey::generate(algorithm).unwrap();
            let wanted = profile(&["front.example.org", "front"]);
            let request = for_leaf(&wanted, &key).unwrap();
            let read = Request::parse(&request).unwrap();
            assert_eq!(read.public_key().spki(), key.public().spki());
            assert_eq!(spki(&request), Some(key.public().spki()));
            assert_eq!(subject(&request).as_deref(), Some("CN=front.example.org"));
        }
    }

    #[test]
    fn a_leaf_without_a_common_name_asks_for_no_subject_but_always_for_a_name() {
        let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
        let request = for_leaf(&profile(&[]), &key).unwrap();
        assert_eq!(subject(&request).as_deref(), Some(""));
        let id = b"spiffe://example.org/front";
        assert!(request.windows(id.len()).any(|window| window == id));
        assert!(Request::parse(&request).is_ok());
    }

    #[test]
    fn tokens_are_short_enough_for_aws_and_differ() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
    }
}
