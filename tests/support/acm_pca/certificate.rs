//! A certificate about to be signed (RFC 5280, section 4.1), written byte by byte, so that the fake
//! can make any, right or wrong, and shares no code with what it tests.

use time::OffsetDateTime;

use super::der;
use super::key::SigningKey;

pub const SUBJECT_KEY_IDENTIFIER: &str = "2.5.29.14";
pub const KEY_USAGE: &str = "2.5.29.15";
pub const SUBJECT_ALTERNATIVE_NAME: &str = "2.5.29.17";
pub const BASIC_CONSTRAINTS: &str = "2.5.29.19";
pub const CERTIFICATE_POLICIES: &str = "2.5.29.32";
pub const AUTHORITY_KEY_IDENTIFIER: &str = "2.5.29.35";
pub const EXTENDED_KEY_USAGE: &str = "2.5.29.37";

/// One extension.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Extension {
    pub oid: String,
    pub critical: bool,
    /// The DER of its value.
    pub value: Vec<u8>,
}

impl Extension {
    pub fn new(oid: &str, critical: bool, value: Vec<u8>) -> Self {
        Self { oid: oid.to_owned(), critical, value }
    }

    /// CA:FALSE, or CA:TRUE with the authorities that may follow below.
    pub fn basic_constraints(critical: bool, authority: Option<Option<u8>>) -> Self {
        let parts = match authority {
            None => Vec::new(),
            Some(None) => vec![der::element(0x01, &[0xff])],
            Some(Some(length)) => vec![der::element(0x01, &[0xff]), der::integer(&[length])],
        };
        Self::new(BASIC_CONSTRAINTS, critical, der::sequence(&parts))
    }

    /// The bits of RFC 5280, section 4.2.1.3, by their numbers.
    pub fn key_usage(bits: &[u8]) -> Self {
        let mut bytes = [0_u8; 2];
        for bit in bits {
            bytes[usize::from(bit / 8)] |= 0x80 >> (bit % 8);
        }
        let used = if bytes[1] == 0 { &bytes[..1] } else { &bytes[..] };
        let unused = used.last().map_or(0, |byte| byte.trailing_zeros().min(7)) as u8;
        Self::new(KEY_USAGE, true, der::bit_string(unused, used))
    }

    /// The purposes, each the DER of an object identifier.
    pub fn extended_key_usage(purposes: &[Vec<u8>]) -> Self {
        Self::new(EXTENDED_KEY_USAGE, false, der::sequence(purposes))
    }

    fn der(&self) -> Vec<u8> {
        let mut parts = vec![der::oid(&self.oid).expect("an OID")];
        if self.critical {
            parts.push(der::element(0x01, &[0xff]));
        }
        parts.push(der::octet_string(&self.value));
        der::sequence(&parts)
    }
}

/// All that a certificate says.
#[derive(Clone, Debug)]
pub struct ToBeSigned {
    pub serial: u128,
    /// The DER of a Name.
    pub issuer: Vec<u8>,
    /// The key identifier of the issuer.
    pub issuer_key: Vec<u8>,
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
    /// The DER of a Name.
    pub subject: Vec<u8>,
    /// The DER of a SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
    /// All but the two key identifiers.
    pub extensions: Vec<Extension>,
}

impl ToBeSigned {
    /// The DER of the certificate.
    pub fn sign(&self, key: &SigningKey, signing_algorithm: &str) -> Vec<u8> {
        let algorithm = SigningKey::identifier(signing_algorithm);
        let own_key = super::key::identifier_of(&self.public_key);
        let mut extensions = self.extensions.clone();
        extensions.push(Extension::new(
            AUTHORITY_KEY_IDENTIFIER,
            false,
            der::sequence(&[der::element(0x80, &self.issuer_key)]),
        ));
        extensions.push(Extension::new(SUBJECT_KEY_IDENTIFIER, false, der::octet_string(&own_key)));
        let extensions: Vec<_> = extensions.iter().map(Extension::der).collect();
        let body = der::sequence(&[
            der::element(0xa0, &der::integer(&[2])),
            der::integer(&self.serial.to_be_bytes()),
            algorithm.clone(),
            self.issuer.clone(),
            der::sequence(&[der::time(self.not_before), der::time(self.not_after)]),
            self.subject.clone(),
            self.public_key.clone(),
            der::element(0xa3, &der::sequence(&extensions)),
        ]);
        let signature = key.sign(signing_algorithm, &body);
        der::sequence(&[body, algorithm, der::bit_string(0, &signature)])
    }
}

/// One PEM block.
pub fn pem(der: &[u8]) -> String {
    ::pem::encode_config(
        &::pem::Pem::new("CERTIFICATE", der),
        ::pem::EncodeConfig::new().set_line_ending(::pem::LineEnding::LF),
    )
}
