//! What else is met in such files: requests, revocation lists, and what we do not read.

use serde::Serialize;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::key::PublicKeyDescription;
use super::names::Names;
use super::{Item, Problem, Unread, unread};
use crate::time::{OffsetDateTime, rfc3339, roughly};
use crate::x509::certificate::name_in_words;
use crate::x509::printable::printable;
use crate::x509::request::{Request, name_of_signature};

/// A certificate signing request in words (RFC 2986).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestDescription {
    /// The subject that it asks for.
    pub subject: String,
    /// The subject alternative names that it asks for.
    pub names: Names,
    /// The key to certify.
    pub key: PublicKeyDescription,
    /// How it is signed.
    pub signature_algorithm: String,
    /// What is wrong with it: why `certctl sign` would refuse it for any node.
    pub problems: Vec<Problem>,
}

/// A certificate revocation list in words (RFC 5280 section 5).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RevocationListDescription {
    /// Who issued it.
    pub issuer: String,
    /// Its number, in decimal.
    pub number: Option<String>,
    /// When it was made (RFC 3339).
    pub this_update: String,
    /// When the next one is due (RFC 3339).
    pub next_update: Option<String>,
    /// How many certificates it revokes.
    pub revoked: usize,
    /// How it is signed.
    pub signature_algorithm: String,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

pub(super) fn request(der: &[u8]) -> Item {
    match RequestDescription::of_der(der) {
        Ok(request) => Item::Request(request),
        Err(problem) => unread("a certificate signing request", "malformed", problem),
    }
}

pub(super) fn revocation_list(der: &[u8], at: OffsetDateTime) -> Item {
    match RevocationListDescription::of_der(der, at) {
        Ok(list) => Item::RevocationList(list),
        Err(problem) => unread("a certificate revocation list", "malformed", problem),
    }
}

impl RequestDescription {
    pub(super) fn of_der(der: &[u8]) -> Result<Self, String> {
        // What is too large to sign is too large to take apart.
        if der.len() > Request::MAX_SIZE {
            return Err(format!("the request is larger than {} bytes", Request::MAX_SIZE));
        }
        let (_, parsed) = X509CertificationRequest::from_der(der)
            .map_err(|error| format!("the request is malformed: {error}"))?;
        let information = &parsed.certification_request_info;
        let mut names = Names::default();
        for extension in parsed.requested_extensions().into_iter().flatten() {
            if let ParsedExtension::SubjectAlternativeName(asked) = extension {
                asked.general_names.iter().for_each(|name| names.learn(name));
            }
        }
        let mut key = PublicKeyDescription::of_spki(information.subject_pki.raw);
        let mut problems = std::mem::take(&mut key.problems);
        // A key's problem is the reason for the refusal already.
        if let Err(error) = Request::parse(der)
            && problems.is_empty()
        {
            problems.push(Problem::error("refused", error.to_string()));
        }
        Ok(Self {
            subject: name_in_words(information.subject.as_raw()),
            names,
            key,
            signature_algorithm: name_of_signature(
                &parsed.signature_algorithm.algorithm.to_id_string(),
            ),
            problems,
        })
    }
}

impl RevocationListDescription {
    pub(super) fn of_der(der: &[u8], at: OffsetDateTime) -> Result<Self, String> {
        let (rest, parsed) = CertificateRevocationList::from_der(der)
            .map_err(|error| format!("the revocation list is malformed: {error}"))?;
        let next_update = parsed.next_update().map(|time| time.to_datetime());
        let mut problems = Vec::new();
        if !rest.is_empty() {
            let message = format!("bytes after its end that do not belong to it: {}", rest.len());
            problems.push(Problem::error("trailing-bytes", message));
        }
        if let Some(next) = next_update.filter(|next| *next < at) {
            let late = roughly(std::time::Duration::try_from(at - next).unwrap_or_default());
            let message = format!(
                "its successor was due {late} ago: Envoy refuses every certificate of its issuer, \
                 revoked or not"
            );
            problems.push(Problem::error("expired", message));
        }
        Ok(Self {
            issuer: name_in_words(parsed.issuer().as_raw()),
            number: parsed.crl_number().map(ToString::to_string),
            this_update: rfc3339(parsed.last_update().to_datetime()),
            next_update: next_update.map(rfc3339),
            revoked: parsed.iter_revoked_certificates().count(),
            signature_algorithm: name_of_signature(
                &parsed.signature_algorithm.algorithm.to_id_string(),
            ),
            problems,
        })
    }
}

/// A PEM block of a kind that we do not read.
pub(super) fn unread_block(label: &str) -> Item {
    let advice = match label {
        "OPENSSH PRIVATE KEY" => {
            "keys of SSH are not read; `ssh-keygen -p -m PKCS8 -f FILE` converts one in place"
        }
        "TRUSTED CERTIFICATE" => {
            "OpenSSL's own form of certificate is not read; `openssl x509 -in FILE` converts it"
        }
        "PKCS7" | "CMS" => {
            "PKCS#7 is not read; `openssl pkcs7 -print_certs -in FILE` takes the certificates out"
        }
        "EC PARAMETERS" | "DH PARAMETERS" => {
            "it is no key; Envoy does not need it, and some readers stumble over it: leave it out"
        }
        _ => "blocks of this kind are not read",
    };
    Item::Unread(Unread {
        form: format!("a PEM block labelled {:?}", printable(label)),
        problems: vec![Problem::warning("unread-form", advice)],
    })
}

/// Files of other programs that are told by how they begin.
pub(super) fn known_by_its_beginning(bytes: &[u8]) -> Option<Item> {
    // PFX ::= SEQUENCE { version INTEGER (3), authSafe ContentInfo … } (RFC 7292 section 4); the
    // length of the SEQUENCE takes one to five bytes.
    let is_pkcs12 = bytes.first() == Some(&0x30)
        && (2..=6).any(|at| {
            bytes.get(at..at + 4).is_some_and(|start| start[..4] == [0x02, 0x01, 0x03, 0x30])
        });
    let (form, advice) = if is_pkcs12 {
        (
            "a PKCS#12 file (.p12, .pfx)",
            "PKCS#12 is not read; `openssl pkcs12 -in FILE -nodes` takes key and certificates out",
        )
    } else if bytes.starts_with(&[0xfe, 0xed, 0xfe, 0xed]) {
        (
            "a Java key store (JKS)",
            "JKS is not read; `keytool -importkeystore -deststoretype PKCS12` and then `openssl \
             pkcs12 -nodes` take key and certificates out",
        )
    } else if bytes.starts_with(b"ssh-") || bytes.starts_with(b"ecdsa-sha2-") {
        ("a public key of SSH", "keys of SSH are not read")
    } else {
        return None;
    };
    Some(unread(form, "unread-form", advice))
}
