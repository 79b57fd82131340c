//! What we put into a certificate, and whether one says just that.
//!
//! The profile is the authority's: of a request it takes the public key alone.

use std::time::Duration;

use aws_lc_rs::rand;
use rcgen::string::{Ia5String, PrintableString};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, SanType, SerialNumber,
};
use thiserror::Error;

use super::certificate::{Certificate, CertificateError, Criticality};
use super::key::{PrivateKey, PublicKey};
use crate::identity::{DnsName, SpiffeId};
use crate::time::{Lifetime, OffsetDateTime, Validity, earlier, later, rfc3339};

/// The longest common name (RFC 5280 appendix A.1, ub-common-name).
const MAX_COMMON_NAME: usize = 64;

/// Why a certificate could not be made, or is not the one that was asked for.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// The encoder or the signing key refused.
    #[error("cannot make the certificate: {0}")]
    Encode(#[from] rcgen::Error),
    /// What came out does not parse.
    #[error("the certificate that came back is unusable: {0}")]
    Unreadable(#[from] CertificateError),
    /// The issuer ends before the certificate would begin.
    #[error("the issuer's certificate ended at {}; replace that authority", rfc3339(*.not_after))]
    IssuerEnded {
        /// The issuer's last second.
        not_after: OffsetDateTime,
    },
    /// The issuer is not valid yet, by our clock.
    #[error(
        "the issuer's certificate is not valid before {}; see whether this machine's clock is \
         right",
        rfc3339(*.not_before)
    )]
    IssuerNotYetValid {
        /// The issuer's first second.
        not_before: OffsetDateTime,
    },
    /// The system gave no randomness.
    #[error("the system gives no random bytes for a serial number")]
    NoRandomness,
    /// The certificate is not the one that was asked for.
    #[error("the certificate {problem}; it was not accepted")]
    Differs {
        /// How it differs, as the end of a sentence.
        problem: String,
    },
}

/// A CA's subject: the distinguished name attributes that a mesh file may set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// CN, at most 64 characters.
    pub common_name: Option<String>,
    /// O, at most 64 characters.
    pub organization: Option<String>,
    /// OU, at most 64 characters.
    pub organizational_unit: Option<String>,
    /// C, two upper-case letters (ISO 3166).
    pub country: Option<String>,
    /// ST, at most 128 characters.
    pub province: Option<String>,
    /// L, at most 128 characters.
    pub locality: Option<String>,
}

impl Subject {
    pub(super) fn distinguished_name(&self) -> DistinguishedName {
        let mut name = DistinguishedName::new();
        // RFC 5280 appendix A.1: a country is a PrintableString; the others are UTF-8.
        if let Some(Ok(country)) = self.country.as_deref().map(PrintableString::try_from) {
            name.push(DnType::CountryName, DnValue::PrintableString(country));
        }
        for (kind, value) in [
            (DnType::StateOrProvinceName, &self.province),
            (DnType::LocalityName, &self.locality),
            (DnType::OrganizationName, &self.organization),
            (DnType::OrganizationalUnitName, &self.organizational_unit),
            (DnType::CommonName, &self.common_name),
        ] {
            if let Some(value) = value {
                name.push(kind, value.as_str());
            }
        }
        name
    }
}

/// An X.509-SVID leaf (SPIFFE X509-SVID section 4) as we issue it.
#[derive(Clone, Debug, PartialEq)]
pub struct LeafProfile {
    /// The one URI SAN.
    pub spiffe_id: SpiffeId,
    /// The DNS SANs; the first is the common name too, where it fits 64 octets.
    pub dns_names: Vec<DnsName>,
    /// How long it lives from the moment of issue.
    pub lifetime: Lifetime,
    /// How far notBefore lies before the moment of issue.
    pub clock_skew: Duration,
}

impl LeafProfile {
    /// Its validity when issued at `now` by a chain that is valid for `issuer`: never beyond it.
    ///
    /// # Errors
    /// When the issuer has ended or not begun.
    pub fn validity(
        &self,
        now: OffsetDateTime,
        issuer: Validity,
    ) -> Result<Validity, ProfileError> {
        nested_validity(now, self.clock_skew, self.lifetime, issuer)
    }

    /// Signs a leaf for `key`.
    ///
    /// # Errors
    /// When the issuer's key refuses or the result does not parse.
    pub fn sign(
        &self,
        key: &PublicKey,
        validity: Validity,
        issuer: &Issuer<'_, PrivateKey>,
    ) -> Result<Certificate, ProfileError> {
        let mut parameters = parameters(validity)?;
        parameters.is_ca = IsCa::ExplicitNoCa;
        // RSA keys may also take part in TLS 1.2's RSA key exchange; ECDSA keys only sign.
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if key.algorithm().is_rsa() {
            parameters.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        parameters
            .subject_alt_names
            .push(SanType::URI(Ia5String::try_from(self.spiffe_id.as_str())?));
        for name in &self.dns_names {
            parameters
                .subject_alt_names
                .push(SanType::DnsName(Ia5String::try_from(name.as_str())?));
        }
        if let Some(name) = self.common_name() {
            parameters.distinguished_name.push(DnType::CommonName, name);
        }
        let signed = parameters.signed_by(key, issuer)?;
        Ok(Certificate::from_der(signed.der().clone())?)
    }

    /// The common name of such a leaf: its first DNS name, where that fits. Without one the subject
    /// is empty and the SAN extension critical (RFC 5280 section 4.2.1.6).
    pub fn common_name(&self) -> Option<&str> {
        self.dns_names.first().map(DnsName::as_str).filter(|name| name.len() <= MAX_COMMON_NAME)
    }

    /// How the names of a certificate differ from these, as the end of a sentence whose beginning
    /// is the certificate; none where they are the same, in the same order.
    pub fn difference_in_names(&self, certificate: &Certificate) -> Option<String> {
        let names = certificate.names();
        if names.uris != [self.spiffe_id.as_str()] {
            let found = quoted(&names.uris);
            return Some(format!("is for {found} and not {:?}", self.spiffe_id.as_str()));
        }
        if !names
            .dns_names
            .iter()
            .map(String::as_str)
            .eq(self.dns_names.iter().map(DnsName::as_str))
        {
            let wanted: Vec<_> = self.dns_names.iter().map(ToString::to_string).collect();
            return Some(format!(
                "has the DNS names {} and not {}",
                quoted(&names.dns_names),
                quoted(&wanted)
            ));
        }
        if names.others > 0 {
            return Some("has subject alternative names that nobody asked for".to_owned());
        }
        (certificate.common_name() != self.common_name())
            .then(|| format!("has the common name {:?}", certificate.common_name()))
    }

    /// Whether a certificate is a leaf of this profile for `key` and `validity`: names, key, times
    /// and usages, whoever signed it.
    ///
    /// # Errors
    /// When anything differs; the error says what.
    pub fn check(
        &self,
        certificate: &Certificate,
        key: &PublicKey,
        validity: Validity,
    ) -> Result<(), ProfileError> {
        if let Some(difference) = self.difference_in_names(certificate) {
            return differs(difference);
        }
        if certificate.spki() != key.spki() {
            return differs("is for another key".to_owned());
        }
        if certificate.validity() != validity {
            let Validity { not_before, not_after } = certificate.validity();
            return differs(format!(
                "is valid from {} to {} and not from {} to {}",
                rfc3339(not_before),
                rfc3339(not_after),
                rfc3339(validity.not_before),
                rfc3339(validity.not_after),
            ));
        }
        check_svid_usage(certificate)
    }
}

/// Whether a certificate's constraints and usages are those of an X.509-SVID leaf (SPIFFE
/// X509-SVID section 4): no CA, critical key usage with digitalSignature and without keyCertSign
/// or cRLSign, both serverAuth and clientAuth.
///
/// # Errors
/// When they are not; the error says which.
pub fn check_svid_usage(certificate: &Certificate) -> Result<(), ProfileError> {
    let usage = certificate.usage();
    let problem = if certificate.ca_constraint().is_some() {
        "is a CA"
    } else if usage.key_usage != Some(Criticality::Critical) {
        "has no critical key usage"
    } else if !usage.digital_signature {
        "lacks the digitalSignature key usage"
    } else if usage.certificate_signing || usage.crl_signing {
        "may sign certificates or CRLs"
    } else if usage.extended && !(usage.server && usage.client) {
        "lacks serverAuth or clientAuth"
    } else {
        return Ok(());
    };
    differs(problem.to_owned())
}

/// A CA certificate as we issue it.
#[derive(Clone, Debug, PartialEq)]
pub struct CaProfile {
    /// Its subject.
    pub subject: Subject,
    /// How long it lives from the moment of issue.
    pub lifetime: Lifetime,
    /// How far notBefore lies before the moment of issue.
    pub clock_skew: Duration,
    /// How many CAs may stand between it and a leaf; no limit where none is given.
    pub path_length: Option<u8>,
}

impl CaProfile {
    /// A root: the CA's certificate signed with its own key.
    ///
    /// # Errors
    /// When the key refuses or the result does not parse.
    pub fn sign_root(
        &self,
        key: &PrivateKey,
        now: OffsetDateTime,
    ) -> Result<Certificate, ProfileError> {
        let validity = Validity {
            not_before: earlier(now, self.clock_skew),
            not_after: later(now, self.lifetime.duration()),
        };
        let signed = self.parameters(validity)?.self_signed(key)?;
        Ok(Certificate::from_der(signed.der().clone())?)
    }

    /// An intermediate: signed by another CA, and never valid beyond `issuer_validity`.
    ///
    /// # Errors
    /// When the issuer has ended or not begun, its key refuses or the result does not parse.
    pub fn sign_intermediate(
        &self,
        key: &PublicKey,
        now: OffsetDateTime,
        issuer: &Issuer<'_, PrivateKey>,
        issuer_validity: Validity,
    ) -> Result<Certificate, ProfileError> {
        let validity = self.validity(now, issuer_validity)?;
        let signed = self.parameters(validity)?.signed_by(key, issuer)?;
        Ok(Certificate::from_der(signed.der().clone())?)
    }

    /// Its validity when issued at `now` by a chain that is valid for `issuer`: never beyond it.
    ///
    /// # Errors
    /// When the issuer has ended or not begun.
    pub fn validity(
        &self,
        now: OffsetDateTime,
        issuer: Validity,
    ) -> Result<Validity, ProfileError> {
        nested_validity(now, self.clock_skew, self.lifetime, issuer)
    }

    fn parameters(&self, validity: Validity) -> Result<CertificateParams, ProfileError> {
        let mut parameters = parameters(validity)?;
        parameters.is_ca = IsCa::Ca(match self.path_length {
            Some(length) => BasicConstraints::Constrained(length),
            None => BasicConstraints::Unconstrained,
        });
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters.distinguished_name = self.subject.distinguished_name();
        Ok(parameters)
    }
}

fn parameters(validity: Validity) -> Result<CertificateParams, ProfileError> {
    let mut parameters = CertificateParams::default();
    parameters.not_before = validity.not_before;
    parameters.not_after = validity.not_after;
    parameters.serial_number = Some(serial()?);
    parameters.distinguished_name = DistinguishedName::new();
    parameters.use_authority_key_identifier_extension = true;
    Ok(parameters)
}

/// 128 random bits, positive: unique without a counter that could be lost or repeated
/// (RFC 5280 section 4.1.2.2).
fn serial() -> Result<SerialNumber, ProfileError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| ProfileError::NoRandomness)?;
    Ok(SerialNumber::from_slice(&bytes))
}

fn nested_validity(
    now: OffsetDateTime,
    clock_skew: Duration,
    lifetime: Lifetime,
    issuer: Validity,
) -> Result<Validity, ProfileError> {
    if issuer.not_after <= now {
        return Err(ProfileError::IssuerEnded { not_after: issuer.not_after });
    }
    // webpki looks at no anchor's times; peers do.
    if now < issuer.not_before {
        return Err(ProfileError::IssuerNotYetValid { not_before: issuer.not_before });
    }
    let not_after = issuer.not_after.min(later(now, lifetime.duration()));
    Ok(Validity { not_before: earlier(now, clock_skew), not_after })
}

fn differs(problem: String) -> Result<(), ProfileError> {
    Err(ProfileError::Differs { problem })
}

fn quoted(names: &[String]) -> String {
    if names.is_empty() { "no name".to_owned() } else { format!("{names:?}") }
}
