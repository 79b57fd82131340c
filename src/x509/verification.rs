//! Whether a certificate is trusted, as rustls-webpki sees it: never judged by the code that
//! issued it.

use pkcs8::AlgorithmIdentifierRef;
use pkcs8::der::asn1::{AnyRef, BitStringRef};
use pkcs8::der::{Decode, Reader, SliceReader};
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use std::time::Duration;
use thiserror::Error;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::certificate::Certificate;
use crate::identity::DnsName;
use crate::time::{OffsetDateTime, rfc3339};

/// Why a chain is not trusted.
#[derive(Debug, Error)]
pub enum VerificationError {
    /// A root that cannot be one.
    #[error("{subject:?} cannot be a trust anchor: {cause}")]
    Anchor {
        /// The certificate's subject.
        subject: String,
        /// What webpki said.
        cause: webpki::Error,
    },
    /// Not valid yet.
    #[error("{whose} is not valid before {}", rfc3339(*.not_before))]
    NotYetValid {
        /// The leaf, or a CA above it.
        whose: &'static str,
        /// Its first second.
        not_before: OffsetDateTime,
    },
    /// No longer valid.
    #[error("{whose} expired at {}", rfc3339(*.not_after))]
    Expired {
        /// The leaf, or a CA above it.
        whose: &'static str,
        /// Its last second.
        not_after: OffsetDateTime,
    },
    /// No path to any root.
    #[error("{issuer:?} issued it, and no trusted root leads there")]
    UnknownIssuer {
        /// The issuer's name.
        issuer: String,
    },
    /// Signed by another key than that of the root of the same name.
    #[error("its signature is not that of {issuer:?} as it is trusted")]
    BadSignature {
        /// The issuer's name.
        issuer: String,
    },
    /// A CA's name constraints exclude one of the leaf's names.
    #[error("a CA certificate above it does not permit its names (name constraints)")]
    NotPermitted,
    /// Everything else.
    #[error("it does not verify: {0}")]
    Other(webpki::Error),
}

impl VerificationError {
    /// Whether it is a matter of the moment alone.
    pub fn is_of_time(&self) -> bool {
        matches!(self, Self::Expired { .. } | Self::NotYetValid { .. })
    }

    /// Whether it is a matter of what the certificate is used for.
    pub fn is_of_usage(&self) -> bool {
        matches!(self, Self::Other(webpki::Error::RequiredEkuNotFoundContext(_)))
    }
}

/// Whether a leaf is for a DNS name (RFC 6125 section 6.4), as webpki sees it.
pub fn is_valid_for(leaf: &Certificate, name: &DnsName) -> bool {
    let Ok(name) = ServerName::try_from(name.as_str()) else { return false };
    EndEntityCert::try_from(leaf.der())
        .is_ok_and(|leaf| leaf.verify_is_valid_for_subject_name(&name).is_ok())
}

/// Why one certificate does not count as signed by another.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SignatureError {
    /// No verifier of ours, and few of others, know the algorithm.
    #[error(
        "its signature algorithm ({algorithm}) is not verified here; have it signed with ECDSA \
         or RSA and SHA-256"
    )]
    Algorithm {
        /// The algorithm's OID.
        algorithm: String,
    },
    /// Another key signed it.
    #[error("its signature is another one's")]
    Signature,
}

/// What a peer uses a certificate for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To prove itself as a client.
    Client,
    /// To prove itself as a server.
    Server,
}

/// Trusted roots, ready to verify with.
#[derive(Clone, Debug)]
pub struct Roots(Vec<TrustAnchor<'static>>);

impl Roots {
    /// Takes certificates as roots, self-signed or not.
    ///
    /// # Errors
    /// When one cannot be a trust anchor.
    pub fn new<'a>(
        certificates: impl IntoIterator<Item = &'a Certificate>,
    ) -> Result<Self, VerificationError> {
        let anchors = certificates.into_iter().map(|certificate| {
            anchor_from_trusted_cert(certificate.der()).map(|anchor| anchor.to_owned()).map_err(
                |cause| VerificationError::Anchor { subject: certificate.subject(), cause },
            )
        });
        Ok(Self(anchors.collect::<Result<_, _>>()?))
    }

    /// Verifies a leaf with its intermediates (RFC 5280 section 6): signatures, times, basic
    /// constraints, path lengths, name constraints and extended key usage; not its names.
    ///
    /// # Errors
    /// When no path from the leaf to a root holds at `at`.
    pub fn verify(
        &self,
        leaf: &Certificate,
        intermediates: &[CertificateDer<'_>],
        purpose: Purpose,
        at: OffsetDateTime,
    ) -> Result<(), VerificationError> {
        let usage = match purpose {
            Purpose::Client => KeyUsage::client_auth(),
            Purpose::Server => KeyUsage::server_auth(),
        };
        let seconds = u64::try_from(at.unix_timestamp()).unwrap_or(0);
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        EndEntityCert::try_from(leaf.der())
            .and_then(|certificate| {
                certificate
                    .verify_for_usage(
                        ALL_VERIFICATION_ALGS,
                        &self.0,
                        intermediates,
                        time,
                        usage,
                        None,
                        None,
                    )
                    .map(drop)
            })
            .map_err(|error| explain(error, leaf))
    }
}

/// Whether `issuer`'s key signed a certificate. Names, times and constraints are not looked at.
///
/// # Errors
/// When it did not, or the algorithm is unknown.
pub fn check_signature(
    certificate: &Certificate,
    issuer: &Certificate,
) -> Result<(), SignatureError> {
    let (signed, algorithm, signature) =
        signed_parts(certificate.der()).map_err(|_| SignatureError::Signature)?;
    let issuer = EndEntityCert::try_from(issuer.der()).map_err(|_| SignatureError::Signature)?;
    let mut candidates = ALL_VERIFICATION_ALGS
        .iter()
        .filter(|candidate| candidate.signature_alg_id().as_ref() == algorithm.value())
        .peekable();
    if candidates.peek().is_none() {
        let algorithm = match algorithm.decode_as::<AlgorithmIdentifierRef<'_>>() {
            Ok(identifier) => identifier.oid.to_string(),
            Err(_) => "malformed".to_owned(),
        };
        return Err(SignatureError::Algorithm { algorithm });
    }
    let verified =
        candidates.any(|candidate| issuer.verify_signature(*candidate, signed, signature).is_ok());
    if verified { Ok(()) } else { Err(SignatureError::Signature) }
}

/// The three parts of a certificate (RFC 5280 section 4.1): what is signed, the signature's
/// AlgorithmIdentifier, the signature.
fn signed_parts(certificate: &[u8]) -> Result<(&[u8], AnyRef<'_>, &[u8]), pkcs8::der::Error> {
    SliceReader::new(certificate)?.sequence(|parts| {
        let signed = parts.tlv_bytes()?;
        let algorithm = AnyRef::decode(parts)?;
        let signature = BitStringRef::decode(parts)?;
        Ok((signed, algorithm, signature.raw_bytes()))
    })
}

fn explain(error: webpki::Error, leaf: &Certificate) -> VerificationError {
    match error {
        webpki::Error::CertExpired { not_after, .. } => VerificationError::Expired {
            whose: whose(not_after, leaf.validity().not_after),
            not_after: moment(not_after),
        },
        webpki::Error::CertNotValidYet { not_before, .. } => VerificationError::NotYetValid {
            whose: whose(not_before, leaf.validity().not_before),
            not_before: moment(not_before),
        },
        webpki::Error::NameConstraintViolation => VerificationError::NotPermitted,
        webpki::Error::UnknownIssuer => VerificationError::UnknownIssuer { issuer: leaf.issuer() },
        webpki::Error::InvalidSignatureForPublicKey => {
            VerificationError::BadSignature { issuer: leaf.issuer() }
        }
        other => VerificationError::Other(other),
    }
}

fn moment(time: UnixTime) -> OffsetDateTime {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn whose(failed: UnixTime, leaf: OffsetDateTime) -> &'static str {
    if moment(failed) == leaf { "it" } else { "a CA certificate above it" }
}
