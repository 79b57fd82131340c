//! A parsed certificate: its DER and the facts in it that decisions are made by.
//!
//! Reads (RFC 5280), judges nothing: what a certificate ought to say is [`super::profile`]'s, and
//! whether it is trusted is [`super::verification`]'s.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use thiserror::Error;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::pem::{self, PemError};
use super::printable::printable;
use crate::time::Validity;

mod facts;

use facts::Facts;

/// Why bytes are not a certificate.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// Armour is broken, or something else is in it.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// Not the DER of a certificate.
    #[error("the certificate is malformed: {problem}")]
    Malformed {
        /// What the parser said.
        problem: String,
    },
    /// Something follows the certificate's DER.
    #[error("the certificate is followed by {count} bytes that do not belong to it")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// Two extensions of one kind (RFC 5280 section 4.2 forbids them).
    #[error("the certificate has an extension twice")]
    DuplicateExtension,
}

/// A certificate and the facts in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    facts: Facts,
}

/// The subject alternative names of a certificate, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectAlternativeNames {
    /// URIs, of which an X.509-SVID has exactly one.
    pub uris: Vec<String>,
    /// DNS names.
    pub dns_names: Vec<String>,
    /// How many there are of other kinds (addresses, mail, otherName …).
    pub others: usize,
}

/// What a CA certificate's basic constraints say (RFC 5280 section 4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaConstraint {
    /// How many intermediates may follow; no limit where it says nothing.
    pub path_length: Option<u32>,
}

/// Key usage and extended key usage (RFC 5280 sections 4.2.1.3 and 4.2.1.12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Whether there is a key usage extension, and whether it is critical.
    pub key_usage: Option<Criticality>,
    /// `digitalSignature`.
    pub digital_signature: bool,
    /// `keyCertSign`.
    pub certificate_signing: bool,
    /// `cRLSign`.
    pub crl_signing: bool,
    /// Whether there is an extended key usage extension.
    pub extended: bool,
    /// `serverAuth`. anyExtendedKeyUsage does not count: neither OpenSSL nor webpki lets it.
    pub server: bool,
    /// `clientAuth`, likewise.
    pub client: bool,
}

/// Whether an extension must be understood by who reads the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criticality {
    /// It must.
    Critical,
    /// It may be passed over.
    Optional,
}

impl Certificate {
    /// Parses one certificate in DER.
    ///
    /// # Errors
    /// When it is malformed, has an extension twice, or bytes follow it.
    pub fn from_der(der: impl Into<CertificateDer<'static>>) -> Result<Self, CertificateError> {
        let der = der.into();
        let facts = Facts::of(&der)?;
        Ok(Self { der, facts })
    }

    /// Parses the certificates of a PEM text that holds nothing else; at least one.
    ///
    /// # Errors
    /// When a block is broken, of another kind, or no certificate.
    pub fn all_from_pem(text: &[u8]) -> Result<Vec<Self>, CertificateError> {
        pem::certificates(text)?.into_iter().map(Self::from_der).collect()
    }

    /// The certificate's DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The certificate in PEM.
    pub fn to_pem(&self) -> String {
        pem::encode(pem::CERTIFICATE, &self.der).to_string()
    }

    /// The subject's DER.
    pub fn subject_der(&self) -> &[u8] {
        &self.facts.subject
    }

    /// The issuer's DER.
    pub fn issuer_der(&self) -> &[u8] {
        &self.facts.issuer
    }

    /// The subject in words (RFC 4514, most significant first): `O=Example, CN=ca_1`.
    pub fn subject(&self) -> String {
        name_in_words(&self.facts.subject)
    }

    /// The issuer in words.
    pub fn issuer(&self) -> String {
        name_in_words(&self.facts.issuer)
    }

    /// The serial number as OpenSSL prints it: upper-case hex without separators.
    pub fn serial(&self) -> String {
        self.facts.serial.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// When it is valid.
    pub fn validity(&self) -> Validity {
        self.facts.validity
    }

    /// The SubjectPublicKeyInfo in DER.
    pub fn spki(&self) -> &[u8] {
        &self.facts.spki
    }

    /// Its subject alternative names.
    pub fn names(&self) -> &SubjectAlternativeNames {
        &self.facts.names
    }

    /// The first common name of its subject.
    pub fn common_name(&self) -> Option<&str> {
        self.facts.common_name.as_deref()
    }

    /// Its basic constraints when they make it a CA.
    pub fn ca_constraint(&self) -> Option<CaConstraint> {
        self.facts.authority
    }

    /// What its key may be used for.
    pub fn usage(&self) -> Usage {
        self.facts.usage
    }

    /// The subject key identifier.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.facts.subject_key_id.as_deref()
    }

    /// The authority key identifier's key identifier.
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.facts.authority_key_id.as_deref()
    }

    /// The hash of its signature, where that is one with known collisions.
    pub fn broken_hash(&self) -> Option<&'static str> {
        self.facts.broken_hash
    }

    /// A critical extension, by its OID, that peers do not know and must therefore refuse
    /// (RFC 5280 section 4.2).
    pub fn unknown_critical_extension(&self) -> Option<&str> {
        self.facts.unknown_critical.as_deref()
    }

    /// A kind of name that it constrains (RFC 5280 section 4.2.1.10) though rustls-webpki cannot
    /// compare names of that kind, and so refuses all that have one.
    pub fn unjudged_name_constraint(&self) -> Option<&'static str> {
        self.facts.unjudged_constraint
    }

    /// Whether this names `issuer` as its issuer: by its subject and, where both say one, by its
    /// key identifier (RFC 5280 sections 4.1.2.4 and 4.2.1.1; a CA need not have one). Signatures
    /// are not looked at.
    pub fn names_as_issuer(&self, issuer: &Self) -> bool {
        let same_key = match (self.authority_key_id(), issuer.subject_key_id()) {
            (Some(named), Some(own)) => named == own,
            _ => true,
        };
        same_key && self.issuer_der() == issuer.subject_der()
    }

    /// Whether issuer and subject are one name: a root, where its signature holds too.
    pub fn is_self_issued(&self) -> bool {
        self.facts.subject == self.facts.issuer
    }

    /// The SHA-256 of the DER: the certificate's own, unchanging seed and fingerprint.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, &self.der).as_ref());
        fingerprint
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.subject())
            .field("serial", &self.serial())
            .field("names", &self.facts.names)
            .finish_non_exhaustive()
    }
}

pub(crate) fn name_in_words(der: &[u8]) -> String {
    match X509Name::from_der(der) {
        Ok((_, name)) => printable(&name.to_string()),
        Err(_) => String::new(),
    }
}
