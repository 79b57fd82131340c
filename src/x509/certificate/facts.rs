//! What a certificate's DER says, read once (RFC 5280).

use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{
    OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_EXTENDED_KEY_USAGE, OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_NAME_CONSTRAINTS, OID_X509_EXT_SUBJECT_ALT_NAME, Oid,
};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::{CaConstraint, CertificateError, Criticality, SubjectAlternativeNames, Usage};
use crate::time::Validity;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) subject: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) serial: Vec<u8>,
    pub(super) validity: Validity,
    pub(super) spki: Vec<u8>,
    pub(super) names: SubjectAlternativeNames,
    pub(super) common_name: Option<String>,
    pub(super) authority: Option<CaConstraint>,
    pub(super) usage: Usage,
    pub(super) broken_hash: Option<&'static str>,
    pub(super) unknown_critical: Option<String>,
    pub(super) unjudged_constraint: Option<&'static str>,
    pub(super) subject_key_id: Option<Vec<u8>>,
    pub(super) authority_key_id: Option<Vec<u8>>,
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
    pub(super) fn of(der: &[u8]) -> Result<Self, CertificateError> {
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

fn moment(time: ASN1Time) -> OffsetDateTime {
    time.to_datetime()
}
