//! Whether certificates can be a CA's: what peers, and the code that signs, need of them.

use rcgen::Issuer;

use super::AuthorityError;
use crate::time::{OffsetDateTime, Validity};
use crate::x509::certificate::Certificate;
use crate::x509::key::PublicKey;
use crate::x509::verification::{Roots, check_signature};

/// A CA's certificates: what there is to know of it without its key. Its own first, then each one's
/// issuer, the root last.
#[derive(Clone, Debug)]
pub struct CaChain {
    certificates: Vec<Certificate>,
    roots: Roots,
}

impl CaChain {
    /// Takes a CA's certificates: its own, then those above it up to the root.
    ///
    /// # Errors
    /// When they make no usable CA, as [`check_chain`] has it. An expired one is accepted, since
    /// its root may still be trusted.
    pub fn new(certificates: Vec<Certificate>) -> Result<Self, AuthorityError> {
        if certificates.is_empty() {
            return Err(AuthorityError::NoCertificate);
        }
        check_chain(&certificates)?;
        let roots = Roots::new(certificates.last())?;
        Ok(Self { certificates, roots })
    }

    /// All of them.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The CA's own.
    pub fn own(&self) -> &Certificate {
        &self.certificates[0]
    }

    /// The root at the top: its own, unless it is an intermediate.
    pub fn root(&self) -> &Certificate {
        &self.certificates[self.certificates.len() - 1]
    }

    /// What follows a leaf in its chain file: this CA and those between it and the root. The root
    /// itself, which a peer must have anyway (RFC 8446 section 4.4.2), only where it is the issuer,
    /// as certs.sh has it.
    pub fn issuers(&self) -> &[Certificate] {
        &self.certificates[..(self.certificates.len() - 1).max(1)]
    }

    /// The root, ready to verify with.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// When all of them are valid.
    pub fn validity(&self) -> Validity {
        let begins = self.certificates.iter().map(|certificate| certificate.validity().not_before);
        let not_before = begins.max().unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Validity { not_before, not_after: self.ends() }
    }

    /// The last second in which all of them are valid: nothing that the CA signs lives longer.
    pub fn ends(&self) -> OffsetDateTime {
        let ends = self.certificates.iter().map(|certificate| certificate.validity().not_after);
        ends.min().unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// Whether certificates, a CA's own first, lead up to a self-signed root and may each sign the one
/// before.
///
/// # Errors
/// When one is no CA, weak, or not signed by the next, or the last is no root.
pub fn check_chain(chain: &[Certificate]) -> Result<(), AuthorityError> {
    chain.iter().try_for_each(check_ca)?;
    for (place, certificate) in chain.iter().enumerate() {
        let above = chain.get(place + 1).unwrap_or(certificate);
        let (subject, issuer) = (|| certificate.subject(), || certificate.issuer());
        if place + 1 == chain.len() && !certificate.is_self_issued() {
            return Err(AuthorityError::NoRoot { subject: subject(), issuer: issuer() });
        }
        if certificate.issuer_der() != above.subject_der() {
            let above = above.subject();
            return Err(AuthorityError::BrokenChain {
                subject: subject(),
                issuer: issuer(),
                above,
            });
        }
        check_signature(certificate, above).map_err(|cause| AuthorityError::Signature {
            subject: subject(),
            issuer: issuer(),
            cause,
        })?;
        let allowed = certificate.ca_constraint().and_then(|ca| ca.path_length);
        if let Some(allowed) = allowed.filter(|allowed| (*allowed as usize) < place) {
            return Err(AuthorityError::PathLength { subject: subject(), allowed });
        }
    }
    Ok(())
}

/// Whether a certificate is fit to be a CA's at any time: name, CA bit, signing right, key, hash,
/// and nothing in it for which peers would refuse what it signs.
fn check_ca(certificate: &Certificate) -> Result<(), AuthorityError> {
    let subject = || certificate.subject();
    let not_ca = |problem| Err(AuthorityError::NotCa { subject: subject(), problem });
    if certificate.ca_constraint().is_none() {
        return not_ca("its basic constraints do not say CA:TRUE");
    }
    // An empty SEQUENCE: RFC 5280 section 4.1.2.6 wants a CA to have a name.
    if certificate.subject_der() == [0x30, 0] {
        return not_ca("its subject is empty");
    }
    let usage = certificate.usage();
    if usage.key_usage.is_some() && !usage.certificate_signing {
        return not_ca("its key usage lacks keyCertSign");
    }
    // Extended key usage in a CA bounds what is below it, for OpenSSL and BoringSSL in a root too.
    if usage.extended && !(usage.server && usage.client) {
        return not_ca(
            "its extended key usage lacks serverAuth or clientAuth, and mutual TLS needs both",
        );
    }
    if let Some(extension) = certificate.unknown_critical_extension() {
        let extension = extension.to_owned();
        return Err(AuthorityError::UnknownExtension { subject: subject(), extension });
    }
    if let Some(kind) = certificate.unjudged_name_constraint() {
        return Err(AuthorityError::NameConstraint { subject: subject(), kind });
    }
    if let Some(hash) = certificate.broken_hash() {
        return Err(AuthorityError::BrokenHash { subject: subject(), hash });
    }
    PublicKey::from_spki(certificate.spki())
        .map_err(|cause| AuthorityError::Key { subject: subject(), cause })?;
    Ok(())
}

/// Whether a CA is within its validity.
///
/// # Errors
/// When one of `chain` is not valid at `now`.
pub fn check_valid(chain: &[Certificate], now: OffsetDateTime) -> Result<(), AuthorityError> {
    match chain.iter().find(|certificate| !certificate.validity().contains(now)) {
        Some(certificate) => Err(AuthorityError::NotValid {
            subject: certificate.subject(),
            validity: certificate.validity(),
        }),
        None => Ok(()),
    }
}

/// Whether the encoder writes a CA's subject back byte for byte: it drops repeated attributes, and
/// what then carries the shortened issuer does not link to the CA.
pub(super) fn writes_back(certificate: &Certificate) -> bool {
    struct Unsigned;
    impl rcgen::PublicKeyData for Unsigned {
        fn der_bytes(&self) -> &[u8] {
            &[]
        }
        fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
            &rcgen::PKCS_ECDSA_P256_SHA256
        }
    }
    impl rcgen::SigningKey for Unsigned {
        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
            Ok(Vec::new())
        }
    }
    Issuer::from_ca_cert_der(certificate.der(), Unsigned)
        .and_then(|issuer| rcgen::CertificateParams::default().signed_by(&Unsigned, &issuer))
        .ok()
        .and_then(|probe| Certificate::from_der(probe.der().clone()).ok())
        .is_some_and(|probe| probe.issuer_der() == certificate.subject_der())
}
