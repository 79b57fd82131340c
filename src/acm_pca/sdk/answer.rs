//! What AWS answers, in our words.

use aws_sdk_acmpca::types::{
    CertificateAuthority, CertificateAuthorityStatus, CertificateAuthorityType,
    CertificateAuthorityUsageMode, KeyAlgorithm as Key,
};

use super::super::{CaStatus, Description, IssuedPem, ServiceError};
use crate::desired::acm_pca::CaArn;
use crate::time::OffsetDateTime;
use crate::x509::key::KeyAlgorithm;
use crate::x509::printable::printable;

pub(super) fn description(
    answer: Option<CertificateAuthority>,
) -> Result<Description, ServiceError> {
    let ca = answer.ok_or_else(|| nonsense("it describes no CA"))?;
    let status = ca.status.as_ref().ok_or_else(|| nonsense("it names no status"))?;
    let configuration = ca.certificate_authority_configuration.as_ref();
    let key = &configuration.ok_or_else(|| nonsense("it names no key algorithm"))?.key_algorithm;
    let not_after = ca.not_after.and_then(|at| OffsetDateTime::from_unix_timestamp(at.secs()).ok());
    Ok(Description {
        status: match status {
            CertificateAuthorityStatus::Active => CaStatus::Active,
            other => CaStatus::Other(printable(other.as_str())),
        },
        key_algorithm: key_algorithm(key),
        key_algorithm_name: printable(key.as_str()),
        is_short_lived: ca.usage_mode == Some(CertificateAuthorityUsageMode::ShortLivedCertificate),
        is_root: ca.r#type == Some(CertificateAuthorityType::Root),
        not_after,
    })
}

fn key_algorithm(key: &Key) -> Option<KeyAlgorithm> {
    Some(match key {
        Key::EcPrime256v1 => KeyAlgorithm::EcP256,
        Key::EcSecp384r1 => KeyAlgorithm::EcP384,
        Key::Rsa2048 => KeyAlgorithm::Rsa2048,
        Key::Rsa3072 => KeyAlgorithm::Rsa3072,
        Key::Rsa4096 => KeyAlgorithm::Rsa4096,
        _ => return None,
    })
}

/// The ARN of a certificate that `ca` makes. It is kept, logged and counted by the CA in it, so it
/// is looked at first.
pub(super) fn certificate_of(ca: &CaArn, arn: Option<String>) -> Result<String, ServiceError> {
    let arn = arn.ok_or_else(|| nonsense("it names no certificate"))?;
    let id = arn.strip_prefix(ca.as_str()).and_then(|rest| rest.strip_prefix("/certificate/"));
    let is_id =
        |id: &str| !id.is_empty() && id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    if arn.len() > LONGEST_ARN || !id.is_some_and(is_id) {
        let shown: String = printable(&arn).chars().take(LONGEST_ARN).collect();
        return Err(nonsense(&format!("{shown:?} is no certificate of this CA")));
    }
    Ok(arn)
}

pub(super) fn issued(
    certificate: Option<String>,
    chain: Option<String>,
) -> Result<IssuedPem, ServiceError> {
    let certificate = certificate.ok_or_else(|| nonsense("there is no certificate in it"))?;
    Ok(IssuedPem { certificate, chain: chain.unwrap_or_default() })
}

/// The longest ARN of a certificate (IssueCertificate, CertificateArn).
const LONGEST_ARN: usize = 200;

/// An answer that lacks what makes it one.
pub(super) fn nonsense(what: &str) -> ServiceError {
    ServiceError::Unreachable { message: format!("the answer makes no sense: {what}") }
}
