//! One certificate, described and judged by itself.

use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use super::key::PublicKeyDescription;
use super::names::{Names, extended_key_usages, key_usages};
use super::{Problem, hex, sha256};
use crate::identity::SpiffeId;
use crate::time::{OffsetDateTime, Validity, rfc3339, roughly};
use crate::x509::certificate::{Certificate, name_in_words};
use crate::x509::profile::check_svid_usage;
use crate::x509::request::name_of_signature;

/// The longest life of a leaf that is not worth a warning, in days: the most that public
/// certificate authorities give (CA/Browser Forum, 2020).
const LONG_LIFE: i64 = 398;

/// A certificate in words (RFC 5280 section 4.1).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateDescription {
    /// What it is for.
    pub role: Role,
    /// Its subject, most significant attribute first; empty where it has none.
    pub subject: String,
    /// Its issuer.
    pub issuer: String,
    /// Its serial number as OpenSSL prints it: upper-case hex, a minus where it is negative.
    pub serial: String,
    /// When it is valid.
    pub validity: ValidityDescription,
    /// Its SPIFFE ID, where it is an X.509-SVID.
    pub spiffe_id: Option<String>,
    /// Its subject alternative names.
    pub names: Names,
    /// Its key.
    pub key: PublicKeyDescription,
    /// How its issuer signed it.
    pub signature_algorithm: String,
    /// How many CAs may stand below it, where it is a CA that says so.
    pub path_length: Option<u32>,
    /// Its key usages (RFC 5280 section 4.2.1.3).
    pub key_usage: Vec<String>,
    /// Its extended key usages (RFC 5280 section 4.2.1.12).
    pub extended_key_usage: Vec<String>,
    /// The identifier of its key, in hex.
    pub subject_key_id: Option<String>,
    /// The identifier of its issuer's key, in hex.
    pub authority_key_id: Option<String>,
    /// The SHA-256 of its DER, in hex.
    pub sha256: String,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    #[serde(skip)]
    pub(super) raw: Raw,
}

/// What comparisons between certificates need.
#[derive(Clone, Debug, Default)]
pub(super) struct Raw {
    pub der: Vec<u8>,
    pub subject: Vec<u8>,
    pub issuer: Vec<u8>,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// A CA that another one issued.
    Intermediate,
    /// No CA.
    Leaf,
    /// A CA that issued itself.
    Root,
}

/// When a certificate is valid.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ValidityDescription {
    /// Its first second (RFC 3339).
    pub not_before: String,
    /// Its last second (RFC 3339).
    pub not_after: String,
    /// From the first to the last, in words.
    pub length: String,
    /// How it stands now.
    pub state: State,
    /// The same in words: `ends in 12h`, `expired 3d ago`.
    pub in_words: String,
}

/// How a certificate's validity and the present moment stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It has ended.
    Expired,
    /// It has not begun.
    NotYetValid,
    /// It is in between.
    Valid,
}

impl CertificateDescription {
    /// Describes a certificate in DER at the moment `at`.
    ///
    /// # Errors
    /// When the DER is too far from a certificate's for anything to be told.
    pub fn of_der(der: &[u8], at: OffsetDateTime) -> Result<Self, String> {
        let (rest, parsed) = X509Certificate::from_der(der)
            .map_err(|error| format!("the certificate is malformed: {error}"))?;
        let der = &der[..der.len() - rest.len()];
        let validity = Validity {
            not_before: parsed.validity().not_before.to_datetime(),
            not_after: parsed.validity().not_after.to_datetime(),
        };
        let key = PublicKeyDescription::of_spki(parsed.public_key().raw);
        let mut described = Self {
            role: Role::Leaf,
            subject: name_in_words(parsed.subject().as_raw()),
            issuer: name_in_words(parsed.issuer().as_raw()),
            serial: serial(parsed.raw_serial()),
            validity: ValidityDescription::new(validity, at),
            spiffe_id: None,
            names: Names::default(),
            signature_algorithm: name_of_signature(
                &parsed.signature_algorithm.algorithm.to_id_string(),
            ),
            path_length: None,
            key_usage: Vec::new(),
            extended_key_usage: Vec::new(),
            subject_key_id: None,
            authority_key_id: None,
            sha256: sha256(der),
            problems: key.problems.clone(),
            key,
            raw: Raw {
                der: der.to_vec(),
                subject: parsed.subject().as_raw().to_vec(),
                issuer: parsed.issuer().as_raw().to_vec(),
            },
        };
        // They are told with the certificate, not twice.
        described.key.problems.clear();
        described.learn_extensions(&parsed);
        described.judge_form(&parsed, rest.len());
        described.judge_validity(validity);
        match described.role {
            Role::Leaf => described.judge_leaf(der),
            Role::Intermediate | Role::Root => described.judge_authority(&parsed),
        }
        Ok(described)
    }

    fn learn_extensions(&mut self, parsed: &X509Certificate<'_>) {
        for extension in parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => {
                    names.general_names.iter().for_each(|name| self.names.learn(name));
                }
                ParsedExtension::BasicConstraints(constraints) if constraints.ca => {
                    self.path_length = constraints.path_len_constraint;
                    self.role = Role::Intermediate;
                }
                ParsedExtension::KeyUsage(usage) => self.key_usage = key_usages(usage),
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    self.extended_key_usage = extended_key_usages(usage);
                }
                ParsedExtension::SubjectKeyIdentifier(id) => self.subject_key_id = Some(hex(id.0)),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    self.authority_key_id = id.key_identifier.as_ref().map(|id| hex(id.0));
                }
                ParsedExtension::ParseError { .. } => self.problems.push(Problem::error(
                    "malformed-extension",
                    format!("its extension {} is malformed", extension.oid),
                )),
                ParsedExtension::UnsupportedExtension { oid } if extension.critical => {
                    self.problems.push(Problem::error(
                        "unknown-critical-extension",
                        format!("it has the critical extension {oid}, which nobody here knows"),
                    ));
                }
                _ => {}
            }
        }
        if self.role == Role::Intermediate && self.raw.subject == self.raw.issuer {
            self.role = Role::Root;
        }
    }

    fn judge_form(&mut self, parsed: &X509Certificate<'_>, surplus: usize) {
        if surplus > 0 {
            let message = format!("bytes after its end that do not belong to it: {surplus}");
            self.problems.push(Problem::error("trailing-bytes", message));
        }
        if parsed.extensions_map().is_err() {
            let message = "it has an extension twice (RFC 5280 section 4.2 forbids that)";
            self.problems.push(Problem::error("duplicate-extension", message));
        }
        let serial = parsed.raw_serial();
        let problem = if serial.iter().all(|byte| *byte == 0) {
            "its serial number is zero"
        } else if serial[0] & 0x80 != 0 {
            "its serial number is negative"
        } else if serial.len() > 20 {
            "its serial number is longer than 20 bytes"
        } else {
            ""
        };
        if !problem.is_empty() {
            let message = format!("{problem} (RFC 5280 section 4.1.2.2)");
            self.problems.push(Problem::warning("serial", message));
        }
        let broken = ["MD2", "MD5", "SHA-1"];
        if broken.iter().any(|hash| self.signature_algorithm.ends_with(hash)) {
            let message =
                format!("it is signed with {}, which can be forged", self.signature_algorithm);
            // Nobody checks a root's own signature: it is trusted for being there.
            self.problems.push(match self.role {
                Role::Root => Problem::warning("weak-signature", message),
                _ => Problem::error("weak-signature", message),
            });
        }
    }

    fn judge_validity(&mut self, validity: Validity) {
        let words = &self.validity.in_words;
        match self.validity.state {
            State::Expired => self.problems.push(Problem::error("expired", format!("it {words}"))),
            State::NotYetValid => {
                self.problems.push(Problem::error("not-yet-valid", format!("it {words}")));
            }
            State::Valid => {}
        }
        if validity.not_after < validity.not_before {
            self.problems.push(Problem::error("never-valid", "it ends before it begins"));
        }
        let days = (validity.not_after - validity.not_before).whole_days();
        if self.role == Role::Leaf && days > LONG_LIFE {
            let message = format!(
                "it lives for {}: whoever gets hold of its key can use it for as long; leaves of \
                 a mesh live for hours or days",
                self.validity.length
            );
            self.problems.push(Problem::warning("long-lived", message));
        }
    }

    fn judge_leaf(&mut self, der: &[u8]) {
        if self.raw.subject == self.raw.issuer {
            let message = "it issued itself and lacks the CA bit (basicConstraints CA:TRUE): as a \
                           root it is refused, and as a leaf it has no issuer that one could trust";
            self.problems.push(Problem::warning("root-without-ca-bit", message));
        }
        let Names { uris, dns_names, ip_addresses, email_addresses, others } = &self.names;
        let none = [uris, dns_names, ip_addresses, email_addresses, others];
        if none.iter().all(|names| names.is_empty()) {
            let message = "it has no subject alternative name, so no peer can match it";
            self.problems.push(Problem::warning("no-names", message));
            return;
        }
        match spiffe_id(uris, der) {
            Ok(id) => self.spiffe_id = Some(id),
            Err(reason) => {
                let message = format!("it is no SPIFFE X.509-SVID: {reason}");
                self.problems.push(Problem::warning("not-spiffe", message));
            }
        }
    }

    fn judge_authority(&mut self, parsed: &X509Certificate<'_>) {
        let usage = parsed.key_usage().ok().flatten();
        if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
            let message = "it is a CA without the key usage keyCertSign: nothing it signs verifies";
            self.problems.push(Problem::error("ca-cannot-sign", message));
        }
        if self.role == Role::Root
            && let Err(x509_parser::error::X509Error::SignatureVerificationError) =
                parsed.verify_signature(None)
        {
            let message = "it names itself as its issuer, and its signature is another's";
            self.problems.push(Problem::error("bad-signature", message));
        }
    }
}

impl ValidityDescription {
    fn new(validity: Validity, at: OffsetDateTime) -> Self {
        let Validity { not_before, not_after } = validity;
        let span = |from: OffsetDateTime, to: OffsetDateTime| {
            roughly(std::time::Duration::try_from(to - from).unwrap_or_default())
        };
        let (state, in_words) = if at < not_before {
            (State::NotYetValid, format!("begins in {} only", span(at, not_before)))
        } else if at > not_after {
            (State::Expired, format!("expired {} ago", span(not_after, at)))
        } else {
            (State::Valid, format!("ends in {}", span(at, not_after)))
        };
        Self {
            not_before: rfc3339(not_before),
            not_after: rfc3339(not_after),
            length: roughly(validity.length()),
            state,
            in_words,
        }
    }
}

/// The SPIFFE ID of an X.509-SVID leaf (SPIFFE X509-SVID sections 2 to 4), or why it is none.
fn spiffe_id(uris: &[String], der: &[u8]) -> Result<String, String> {
    let uri = match uris {
        [uri] => uri,
        [] => return Err("it has no URI name".to_owned()),
        several => return Err(format!("it has {} URI names; one is allowed", several.len())),
    };
    SpiffeId::parse(uri).map_err(|error| error.to_string())?;
    let strict = Certificate::from_der(der.to_vec()).map_err(|error| error.to_string())?;
    check_svid_usage(&strict).map_err(|error| error.to_string())?;
    Ok(uri.clone())
}

/// A serial number as OpenSSL prints it.
fn serial(raw: &[u8]) -> String {
    let negative = raw.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut magnitude = raw.to_vec();
    if negative {
        // Two's complement: invert and add one.
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    let start =
        magnitude.iter().position(|byte| *byte != 0).unwrap_or(magnitude.len().saturating_sub(1));
    let digits: String = magnitude[start..].iter().map(|byte| format!("{byte:02X}")).collect();
    if negative { format!("-{digits}") } else { digits }
}
