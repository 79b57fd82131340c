//! What is asked, in the SDK's words.

use aws_sdk_acmpca::error::BuildError;
use aws_sdk_acmpca::primitives::Blob;
use aws_sdk_acmpca::types::{
    ApiPassthrough, Asn1Subject, ExtendedKeyUsage, ExtendedKeyUsageType, Extensions, GeneralName,
    KeyUsage, RevocationReason as Reason, SigningAlgorithm, Validity, ValidityPeriodType,
};

use super::super::{IssueRequest, Passthrough, RevocationReason, ServiceError};
use crate::desired::acm_pca::CaArn;
use crate::time::OffsetDateTime;
use crate::x509::key::KeyAlgorithm;
use crate::x509::pem;
use crate::x509::printable::printable;

/// The request in PEM, the form in which AWS takes it.
pub(super) fn blob(request: &IssueRequest) -> Blob {
    Blob::new(pem::encode(pem::REQUEST, &request.request).as_str())
}

/// `arn:PARTITION:acm-pca:::template/NAME`, in the partition of the CA.
pub(super) fn template_arn(ca: &CaArn, name: &str) -> String {
    format!("arn:{}:acm-pca:::template/{name}", ca.partition())
}

/// How a CA with such a key signs. It must be of the key's family; the hash is the one that the
/// key's size calls for.
pub(super) fn signing_algorithm(key: KeyAlgorithm) -> SigningAlgorithm {
    match key {
        KeyAlgorithm::EcP256 => SigningAlgorithm::Sha256Withecdsa,
        KeyAlgorithm::EcP384 => SigningAlgorithm::Sha384Withecdsa,
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
            SigningAlgorithm::Sha256Withrsa
        }
    }
}

/// One end of a validity, in seconds since 1970: the only form that says less than a day, for both
/// ends.
pub(super) fn absolute(at: OffsetDateTime) -> Result<Validity, ServiceError> {
    Validity::builder()
        .value(at.unix_timestamp())
        .r#type(ValidityPeriodType::Absolute)
        .build()
        .map_err(unfit)
}

/// Where no common name is given, no subject is either: AWS then takes that of the CSR, which must
/// be empty to stay so (Template definitions: "Passthrough from API or CSR").
pub(super) fn passthrough(wanted: &Passthrough) -> Result<ApiPassthrough, ServiceError> {
    let subject =
        wanted.common_name.as_ref().map(|name| Asn1Subject::builder().common_name(name).build());
    let uris =
        wanted.uris.iter().map(|uri| GeneralName::builder().uniform_resource_identifier(uri));
    let dns_names = wanted.dns_names.iter().map(|name| GeneralName::builder().dns_name(name));
    let names: Vec<_> = uris.chain(dns_names).map(|name| name.build()).collect();
    let mut extensions =
        Extensions::builder().set_subject_alternative_names((!names.is_empty()).then_some(names));
    if let Some(usages) = wanted.usages {
        let key_usage = KeyUsage::builder()
            .digital_signature(true)
            .key_encipherment(usages.key_encipherment)
            .build();
        extensions = extensions.key_usage(key_usage);
        for usage in [ExtendedKeyUsageType::ServerAuth, ExtendedKeyUsageType::ClientAuth] {
            let usage = ExtendedKeyUsage::builder().extended_key_usage_type(usage).build();
            extensions = extensions.extended_key_usage(usage);
        }
    }
    let extensions = extensions.build();
    Ok(ApiPassthrough::builder().set_subject(subject).extensions(extensions).build())
}

/// A serial as AWS's documentation has it: bytes in lower-case hexadecimal, between colons.
pub(super) fn serial_of(text: &str) -> Result<String, ServiceError> {
    let mut digits: Vec<_> = text.chars().filter(|c| *c != ':').collect();
    if digits.is_empty() || !digits.iter().all(char::is_ascii_hexdigit) {
        let message = format!("{:?} is no serial number in hexadecimal", printable(text));
        return Err(ServiceError::Refused { message });
    }
    if digits.len() % 2 == 1 {
        digits.insert(0, '0');
    }
    let bytes = digits.chunks(2).map(|pair| pair.iter().collect::<String>().to_ascii_lowercase());
    Ok(bytes.collect::<Vec<_>>().join(":"))
}

pub(super) fn reason(why: RevocationReason) -> Reason {
    match why {
        RevocationReason::Unspecified => Reason::Unspecified,
        RevocationReason::KeyCompromise => Reason::KeyCompromise,
        RevocationReason::Superseded => Reason::Superseded,
        RevocationReason::CessationOfOperation => Reason::CessationOfOperation,
        RevocationReason::PrivilegeWithdrawn => Reason::PrivilegeWithdrawn,
        RevocationReason::AffiliationChanged => Reason::AffiliationChanged,
    }
}

fn unfit(error: BuildError) -> ServiceError {
    ServiceError::Refused { message: printable(&error.to_string()) }
}
