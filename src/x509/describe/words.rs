//! A description as people read it: one line for each fact, problems last and marked.

use std::fmt::Write;

use super::certificate::{CertificateDescription, Role};
use super::names::Names;
use super::{Description, Item, Problem, Severity};

/// The width of the column of labels.
const LABEL: usize = 14;

/// A description in lines, indented below whatever names its source.
pub fn in_words(description: &Description) -> String {
    let mut text = String::new();
    for (at, item) in description.items.iter().enumerate() {
        let number = match description.items.len() {
            1 => String::new(),
            _ => format!("{}. ", at + 1),
        };
        let (title, facts) = facts(item);
        let _ = writeln!(text, "  {number}{title}");
        for (label, value) in facts.into_iter().filter(|(_, value)| !value.is_empty()) {
            let _ = writeln!(text, "     {label:<LABEL$} {value}");
        }
        item.problems().iter().for_each(|problem| mark(&mut text, "     ", problem));
    }
    description.problems.iter().for_each(|problem| mark(&mut text, "  ", problem));
    text
}

fn mark(text: &mut String, indent: &str, problem: &Problem) {
    let sign = match problem.severity {
        Severity::Error => "✗",
        Severity::Warning => "!",
    };
    let _ = writeln!(text, "{indent}{sign} {}", problem.message);
}

type Facts = Vec<(&'static str, String)>;

fn facts(item: &Item) -> (String, Facts) {
    match item {
        Item::Certificate(certificate) => certificate_facts(certificate),
        Item::PrivateKey(key) => {
            let sealed = if key.encrypted { ", encrypted" } else { "" };
            (
                format!("private key ({}{sealed})", key.form.trim_start_matches("encrypted ")),
                vec![
                    ("algorithm", key.algorithm.clone().unwrap_or_default()),
                    ("public key", fingerprint(key.sha256.as_ref())),
                    ("belongs to", key.belongs_to.join("; ")),
                ],
            )
        }
        Item::PublicKey(key) => (
            "public key".to_owned(),
            vec![
                ("algorithm", key.algorithm.clone()),
                ("public key", fingerprint(Some(&key.sha256))),
            ],
        ),
        Item::Request(request) => {
            let mut facts = vec![("subject", or_empty(&request.subject))];
            facts.extend(name_facts(&request.names));
            facts.extend([
                ("key", request.key.algorithm.clone()),
                ("public key", fingerprint(Some(&request.key.sha256))),
                ("signed with", request.signature_algorithm.clone()),
            ]);
            ("certificate signing request".to_owned(), facts)
        }
        Item::RevocationList(list) => (
            "certificate revocation list".to_owned(),
            vec![
                ("issuer", list.issuer.clone()),
                ("number", list.number.clone().unwrap_or_default()),
                ("made", list.this_update.clone()),
                ("next", list.next_update.clone().unwrap_or_default()),
                ("revokes", format!("{} certificates", list.revoked)),
                ("signed with", list.signature_algorithm.clone()),
            ],
        ),
        Item::Unread(unread) => (unread.form.clone(), Vec::new()),
    }
}

fn certificate_facts(certificate: &CertificateDescription) -> (String, Facts) {
    let role = match certificate.role {
        Role::Intermediate => "intermediate CA",
        Role::Leaf => "leaf",
        Role::Root => "root CA",
    };
    let validity = &certificate.validity;
    let mut facts = vec![
        ("subject", or_empty(&certificate.subject)),
        ("issuer", or_empty(&certificate.issuer)),
        ("serial", certificate.serial.clone()),
        (
            "valid",
            format!(
                "{} to {} ({}; {})",
                validity.not_before, validity.not_after, validity.length, validity.in_words
            ),
        ),
        ("SPIFFE ID", certificate.spiffe_id.clone().unwrap_or_default()),
    ];
    // The SPIFFE ID is the one URI.
    let uris =
        if certificate.spiffe_id.is_some() { Vec::new() } else { certificate.names.uris.clone() };
    facts.extend(name_facts(&Names { uris, ..certificate.names.clone() }));
    let path_length = certificate.path_length.map(|length| match length {
        0 => "no CA below it".to_owned(),
        length => format!("at most {length} CAs below it"),
    });
    facts.extend([
        ("path length", path_length.unwrap_or_default()),
        ("key usage", certificate.key_usage.join(", ")),
        ("extended usage", certificate.extended_key_usage.join(", ")),
        ("key", certificate.key.algorithm.clone()),
        ("public key", fingerprint(Some(&certificate.key.sha256))),
        ("key id", certificate.subject_key_id.clone().unwrap_or_default()),
        ("issuer key id", certificate.authority_key_id.clone().unwrap_or_default()),
        ("signed with", certificate.signature_algorithm.clone()),
        ("fingerprint", fingerprint(Some(&certificate.sha256))),
    ]);
    (format!("certificate ({role})"), facts)
}

fn name_facts(names: &Names) -> Facts {
    vec![
        ("URIs", names.uris.join(", ")),
        ("DNS names", names.dns_names.join(", ")),
        ("IP addresses", names.ip_addresses.join(", ")),
        ("mail", names.email_addresses.join(", ")),
        ("other names", names.others.join(", ")),
    ]
}

fn or_empty(name: &str) -> String {
    if name.is_empty() { "(empty)".to_owned() } else { name.to_owned() }
}

fn fingerprint(sha256: Option<&String>) -> String {
    sha256.map(|hex| format!("sha256 {hex}")).unwrap_or_default()
}
