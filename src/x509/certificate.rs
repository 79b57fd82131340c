//! A parsed certificate: its DER and the facts in it that decisions are made by.
//!
//! Reads (RFC 5280), judges nothing: what a certificate ought to say is [`super::profile`]'s, and
//! whether it is trusted is [`super::verification`]'s.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use thiserror::Error;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{
    OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_EXTENDED_KEY_USAGE, OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_NAME_CONSTRAINTS, OID_X509_EXT_SUBJECT_ALT_NAME, Oid,
};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::pem::{self, PemError};
use crate::time::Validity;

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

#[derive(Clone, PartialEq, Eq)]
struct Facts {
    subject: Vec<u8>,
    issuer: Vec<u8>,
    serial: Vec<u8>,
    validity: Validity,
    spki: Vec<u8>,
    names: SubjectAlternativeNames,
    common_name: Option<String>,
    authority: Option<CaConstraint>,
    usage: Usage,
    broken_hash: Option<&'static str>,
    unknown_critical: Option<String>,
    unjudged_constraint: Option<&'static str>,
    subject_key_id: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
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

    /// Whether this names `issuer` as its issuer: by its subject and, where both say one, by its key
    /// identifier (RFC 5280 sections 4.1.2.4 and 4.2.1.1; a CA need not have one). Signatures are
    /// not looked at.
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

/// The extensions that may be critical: all that OpenSSL, BoringSSL and webpki alike process.
const KNOWN_EXTENSIONS: [Oid<'static>; 5] = [
    OID_X509_EXT_BASIC_CONSTRAINTS,
    OID_X509_EXT_EXTENDED_KEY_USAGE,
    OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_NAME_CONSTRAINTS,
    OID_X509_EXT_SUBJECT_ALT_NAME,
];

impl Facts {
    fn of(der: &[u8]) -> Result<Self, CertificateError> {
        let malformed = |problem: String| CertificateError::Malformed { problem };
        let (rest, parsed) =
            X509Certificate::from_der(der).map_err(|e| malformed(e.to_string()))?;
        if !rest.is_empty() {
            return Err(CertificateError::TrailingBytes { count: rest.len() });
        }
        parsed.extensions_map().map_err(|_| CertificateError::DuplicateExtension)?;
        let mut facts = Self {
            subject: parsed.subject().as_raw().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            serial: parsed.raw_serial().to_vec(),
            validity: Validity {
                not_before: moment(parsed.validity().not_before),
                not_after: moment(parsed.validity().not_after),
            },
            spki: parsed.public_key().raw.to_vec(),
            names: SubjectAlternativeNames::default(),
            common_name: parsed
                .subject()
                .iter_common_name()
                .next()
                .and_then(|name| name.as_str().ok().map(str::to_owned)),
            authority: None,
            usage: Usage::default(),
            broken_hash: broken_hash(&parsed.signature_algorithm.algorithm.to_id_string()),
            unknown_critical: None,
            unjudged_constraint: None,
            subject_key_id: None,
            authority_key_id: None,
        };
        // A positive serial may begin with a zero byte, which is encoding and not number.
        if facts.serial.len() > 1 && facts.serial[0] == 0 {
            facts.serial.remove(0);
        }
        for extension in parsed.extensions() {
            if extension.critical && !KNOWN_EXTENSIONS.contains(&extension.oid) {
                facts.unknown_critical = Some(extension.oid.to_id_string());
            }
            facts.learn(extension.critical, extension.parsed_extension())?;
        }
        Ok(facts)
    }

    fn learn(
        &mut self,
        critical: bool,
        extension: &ParsedExtension<'_>,
    ) -> Result<(), CertificateError> {
        match extension {
            ParsedExtension::SubjectAlternativeName(names) => {
                for name in &names.general_names {
                    match name {
                        GeneralName::URI(uri) => self.names.uris.push((*uri).to_owned()),
                        GeneralName::DNSName(name) => self.names.dns_names.push((*name).to_owned()),
                        _ => self.names.others += 1,
                    }
                }
            }
            ParsedExtension::BasicConstraints(constraints) => {
                self.authority = constraints
                    .ca
                    .then_some(CaConstraint { path_length: constraints.path_len_constraint });
            }
            ParsedExtension::KeyUsage(usage) => {
                let criticality =
                    if critical { Criticality::Critical } else { Criticality::Optional };
                self.usage.key_usage = Some(criticality);
                self.usage.digital_signature = usage.digital_signature();
                self.usage.certificate_signing = usage.key_cert_sign();
                self.usage.crl_signing = usage.crl_sign();
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                self.usage.extended = true;
                self.usage.server = usage.server_auth;
                self.usage.client = usage.client_auth;
            }
            ParsedExtension::NameConstraints(constraints) => {
                let subtrees = [&constraints.permitted_subtrees, &constraints.excluded_subtrees];
                self.unjudged_constraint =
                    subtrees.into_iter().flatten().flatten().find_map(|tree| match tree.base {
                        GeneralName::URI(_) => Some("URIs"),
                        GeneralName::DirectoryName(_) => Some("directory names"),
                        _ => None,
                    });
            }
            ParsedExtension::SubjectKeyIdentifier(id) => {
                self.subject_key_id = Some(id.0.to_vec());
            }
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                self.authority_key_id = id.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            ParsedExtension::ParseError { error } => {
                return Err(CertificateError::Malformed {
                    problem: format!("an extension of it: {error}"),
                });
            }
            _ => {}
        }
        Ok(())
    }
}

/// Which hash an algorithm identifier signs with, where that hash is broken.
fn broken_hash(signature_algorithm: &str) -> Option<&'static str> {
    match signature_algorithm {
        "1.2.840.113549.1.1.2" => Some("MD2"),
        "1.2.840.113549.1.1.4" => Some("MD5"),
        "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" | "1.3.14.3.2.29" => Some("SHA-1"),
        _ => None,
    }
}

pub(crate) fn name_in_words(der: &[u8]) -> String {
    match x509_parser::x509::X509Name::from_der(der) {
        Ok((_, name)) => printable(&name.to_string()),
        Err(_) => String::new(),
    }
}

/// Text from a certificate, with control characters escaped, and those that hide or turn around
/// what stands beside them: it ends up in terminals and logs.
pub fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped: Box<dyn Iterator<Item = char>> = if c.is_control() || is_invisible(c) {
                Box::new(c.escape_default())
            } else {
                Box::new([c].into_iter())
            };
            escaped
        })
        .collect()
}

/// Unicode's line and paragraph separators and its format characters (general category Cf) that a
/// terminal acts upon.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

fn moment(time: ASN1Time) -> OffsetDateTime {
    time.to_datetime()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_would_act_upon_a_terminal_is_escaped() {
        assert_eq!(printable("Größe\t\u{1b}[31m"), "Größe\\t\\u{1b}[31m");
        assert_eq!(printable("a\u{202e}b\u{200b}c"), "a\\u{202e}b\\u{200b}c");
    }
}
