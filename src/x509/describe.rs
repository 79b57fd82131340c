//! What is in a file or came from a peer: as data, with what is wrong with it.
//!
//! Reads leniently, unlike the rest of [`crate::x509`]: what we would refuse is described and the
//! reason is among its problems. Private keys are described by their public halves alone. Every
//! text taken from the input is escaped ([`super::printable`]).

use serde::Serialize;

use super::pem::{self, PemError};
use crate::time::OffsetDateTime;

mod certificate;
mod key;
mod names;
mod others;
mod relations;
mod words;

pub use certificate::{CertificateDescription, Role, State, ValidityDescription};
pub use key::{PrivateKeyDescription, PublicKeyDescription};
pub use names::Names;
pub use others::{RequestDescription, RevocationListDescription};
pub use relations::relate;
pub use words::in_words;

/// Everything that one source holds, in its order.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// What it holds.
    pub items: Vec<Item>,
    /// What is wrong with the whole: an order that does not hold, a certificate that is there
    /// twice.
    pub problems: Vec<Problem>,
}

/// One thing in a source.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Item {
    /// An X.509 certificate.
    Certificate(Box<CertificateDescription>),
    /// A private key; its public half is all that is told.
    PrivateKey(PrivateKeyDescription),
    /// A public key.
    PublicKey(PublicKeyDescription),
    /// A certificate signing request.
    Request(RequestDescription),
    /// A certificate revocation list.
    RevocationList(RevocationListDescription),
    /// Something that is not read.
    Unread(Unread),
}

/// Something that is not read, and why.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unread {
    /// What it seems to be.
    pub form: String,
    /// Why that is a problem.
    pub problems: Vec<Problem>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Which rule it breaks: a word for programs, which stays the same.
    pub code: &'static str,
    /// What is wrong, in words, and where it helps what to do.
    pub message: String,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// It works, and should not be so.
    Warning,
    /// A peer that checks refuses it.
    Error,
}

impl Problem {
    /// A problem for which a peer refuses the thing.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, message: message.into() }
    }

    /// A problem that peers overlook.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, code, message: message.into() }
    }
}

impl Item {
    /// What is wrong with it.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Certificate(item) => &item.problems,
            Self::PrivateKey(item) => &item.problems,
            Self::PublicKey(item) => &item.problems,
            Self::Request(item) => &item.problems,
            Self::RevocationList(item) => &item.problems,
            Self::Unread(item) => &item.problems,
        }
    }
}

impl Description {
    /// Describes the content of a file, PEM or DER, as it looks at the moment `at`.
    pub fn of_bytes(bytes: &[u8], at: OffsetDateTime) -> Self {
        let items = if bytes.is_empty() {
            vec![unread("an empty file", "empty", "there is nothing in it")]
        } else if bytes.windows(10).any(|window| window == b"-----BEGIN") {
            of_pem(bytes, at)
        } else {
            vec![of_der(bytes, at)]
        };
        let mut description = Self { items, problems: Vec::new() };
        description.problems = relations::within(&description.items);
        description
    }

    /// Describes the certificates that a peer sent, in DER, in its order.
    pub fn of_chain<'a>(chain: impl IntoIterator<Item = &'a [u8]>, at: OffsetDateTime) -> Self {
        let items: Vec<_> = chain.into_iter().map(|der| certificate(der, at)).collect();
        let problems = relations::within(&items);
        Self { items, problems }
    }

    /// Every problem, of the whole and of each item.
    pub fn all_problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().chain(self.items.iter().flat_map(Item::problems))
    }
}

fn of_pem(text: &[u8], at: OffsetDateTime) -> Vec<Item> {
    match pem::blocks(text) {
        Ok(blocks) => blocks.iter().map(|block| of_block(block, at)).collect(),
        // One block is broken: the others may still be told.
        Err(_) => split(text)
            .flat_map(|part| match pem::blocks(part) {
                Ok(blocks) => blocks.iter().map(|block| of_block(block, at)).collect(),
                Err(error) => vec![broken(&error)],
            })
            .collect(),
    }
}

/// Cuts a text before each beginning of a block.
fn split(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let begin = b"-----BEGIN";
    let starts: Vec<_> = text
        .windows(begin.len())
        .enumerate()
        .filter(|(_, window)| window == begin)
        .map(|(at, _)| at)
        .collect();
    let ends: Vec<_> = starts.iter().skip(1).copied().chain([text.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| &text[start..end])
}

fn broken(error: &PemError) -> Item {
    unread("a PEM block", "broken-pem", error.to_string())
}

fn of_block(block: &pem::Block, at: OffsetDateTime) -> Item {
    match block.label.as_str() {
        pem::CERTIFICATE | "X509 CERTIFICATE" => certificate(&block.der, at),
        pem::REQUEST | pem::OLD_REQUEST => others::request(&block.der),
        "X509 CRL" => others::revocation_list(&block.der, at),
        "PUBLIC KEY" => Item::PublicKey(PublicKeyDescription::of_spki(&block.der)),
        "PRIVATE KEY" | "EC PRIVATE KEY" | "RSA PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" => {
            Item::PrivateKey(PrivateKeyDescription::of_block(block))
        }
        label => others::unread_block(label),
    }
}

fn of_der(bytes: &[u8], at: OffsetDateTime) -> Item {
    if let Some(item) = others::known_by_its_beginning(bytes) {
        return item;
    }
    let read = [
        CertificateDescription::of_der(bytes, at)
            .map(|certificate| Item::Certificate(Box::new(certificate)))
            .ok(),
        RequestDescription::of_der(bytes).map(Item::Request).ok(),
        RevocationListDescription::of_der(bytes, at).map(Item::RevocationList).ok(),
        PrivateKeyDescription::of_der(bytes).map(Item::PrivateKey),
        PublicKeyDescription::of_der(bytes).map(Item::PublicKey),
    ];
    read.into_iter().flatten().next().unwrap_or_else(|| {
        unread(
            "neither PEM nor DER that we know",
            "unknown-form",
            "it is no certificate, request, revocation list or key in PEM or DER",
        )
    })
}

fn certificate(der: &[u8], at: OffsetDateTime) -> Item {
    match CertificateDescription::of_der(der, at) {
        Ok(certificate) => Item::Certificate(Box::new(certificate)),
        Err(problem) => unread("a certificate", "malformed", problem),
    }
}

fn unread(form: impl Into<String>, code: &'static str, message: impl Into<String>) -> Item {
    Item::Unread(Unread { form: form.into(), problems: vec![Problem::error(code, message)] })
}

/// Bytes as lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of some DER, in lower-case hex.
fn sha256(der: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der).as_ref())
}
