//! The templates: what is in a certificate, and from where. The template itself comes first, then
//! what the caller passed through the API, then the request, where the variety lets them.
//!
//! AWS Private CA user guide, "template varieties", "order of operations" and "definitions".

use super::certificate::{BASIC_CONSTRAINTS, Extension, SUBJECT_ALTERNATIVE_NAME};
use super::passthrough::ApiPassthrough;
use super::refusal::Refusal;
use super::request::Request;
use super::{certificate, der};

/// The purpose of a TLS server.
pub const SERVER: &str = "1.3.6.1.5.5.7.3.1";
/// The purpose of a TLS client.
pub const CLIENT: &str = "1.3.6.1.5.5.7.3.2";

/// What a certificate is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    EndEntity { server: bool, client: bool },
    Blank { critical: bool },
    Subordinate { path_length: u8, blank: bool },
    Root,
}

/// A template, with its variety.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Template {
    kind: Kind,
    /// Whether `ApiPassthrough` counts; without that the service ignores it.
    api: bool,
    /// Whether the request's own extensions count.
    csr: bool,
}

/// Subject and extensions, but for the key identifiers.
#[derive(Clone, Debug)]
pub struct Content {
    pub subject: Vec<u8>,
    pub extensions: Vec<Extension>,
}

impl Template {
    /// The one that an ARN names; without an ARN `EndEntityCertificate/V1`.
    pub fn named(arn: Option<&str>) -> Result<Self, Refusal> {
        let Some(arn) = arn else {
            return Self::parse("EndEntityCertificate").ok_or_else(|| Refusal::invalid_arn(""));
        };
        let name = arn.strip_prefix("arn:aws:acm-pca:::template/");
        let name = name.and_then(|name| name.strip_suffix("/V1"));
        name.and_then(Self::parse).ok_or_else(|| Refusal::invalid_arn(arn))
    }

    fn parse(name: &str) -> Option<Self> {
        let varieties = [
            ("_APICSRPassthrough", true, true),
            ("_APIPassthrough", true, false),
            ("_CSRPassthrough", false, true),
        ];
        let variety = varieties
            .iter()
            .find_map(|(end, api, csr)| name.strip_suffix(end).map(|name| (name, *api, *csr)));
        let (name, api, csr) = variety.unwrap_or((name, false, false));
        let path_length = |prefix: &str| {
            let length: u8 = name.strip_prefix(prefix)?.parse().ok()?;
            (length < 4).then_some(length)
        };
        let kind = match name {
            "EndEntityCertificate" => Kind::EndEntity { server: true, client: true },
            "EndEntityServerAuthCertificate" => Kind::EndEntity { server: true, client: false },
            "EndEntityClientAuthCertificate" => Kind::EndEntity { server: false, client: true },
            "BlankEndEntityCertificate" if api || csr => Kind::Blank { critical: false },
            "BlankEndEntityCertificate_CriticalBasicConstraints" if api || csr => {
                Kind::Blank { critical: true }
            }
            "RootCACertificate" if !csr => Kind::Root,
            _ => {
                let plain = path_length("SubordinateCACertificate_PathLen");
                let blank = path_length("BlankSubordinateCACertificate_PathLen");
                let blank = blank.filter(|_| api || csr);
                Kind::Subordinate { path_length: plain.or(blank)?, blank: blank.is_some() }
            }
        };
        Some(Self { kind, api, csr })
    }

    /// Whether it makes a root.
    pub fn is_root(self) -> bool {
        self.kind == Kind::Root
    }

    /// For an authority, how many may follow below it.
    pub fn path_length(self) -> Option<u8> {
        match self.kind {
            Kind::Subordinate { path_length, .. } => Some(path_length),
            _ => None,
        }
    }

    /// What the certificate says.
    pub fn content(
        self,
        request: &Request,
        passed: Option<&ApiPassthrough>,
    ) -> Result<Content, Refusal> {
        let passed = passed.filter(|_| self.api).map(ApiPassthrough::content).transpose()?;
        let passed = passed.unwrap_or_default();
        let subject = passed.subject.unwrap_or_else(|| request.subject.clone());
        let mut extensions = self.own_extensions();
        let names = request.extension(SUBJECT_ALTERNATIVE_NAME).cloned();
        // A request's names are copied whatever the variety: every definition says so.
        let from_request = request.extensions.iter().filter(|_| self.csr).cloned();
        for extension in passed.extensions.into_iter().chain(names).chain(from_request) {
            let settled = [
                BASIC_CONSTRAINTS,
                certificate::AUTHORITY_KEY_IDENTIFIER,
                certificate::SUBJECT_KEY_IDENTIFIER,
            ];
            let known = extensions.iter().any(|known| known.oid == extension.oid);
            if !known && !settled.contains(&extension.oid.as_str()) {
                extensions.push(extension);
            }
        }
        Ok(Content { subject, extensions })
    }

    fn own_extensions(self) -> Vec<Extension> {
        let purpose = |oid: &str| der::oid(oid).expect("an OID");
        match self.kind {
            Kind::EndEntity { server, client } => {
                let purposes = [(SERVER, server), (CLIENT, client)];
                let purposes = purposes.iter().filter(|(_, counts)| *counts);
                let purposes: Vec<_> = purposes.map(|(oid, _)| purpose(oid)).collect();
                vec![
                    Extension::basic_constraints(false, None),
                    // digitalSignature, keyEncipherment
                    Extension::key_usage(&[0, 2]),
                    Extension::extended_key_usage(&purposes),
                ]
            }
            Kind::Blank { critical } => vec![Extension::basic_constraints(critical, None)],
            Kind::Subordinate { path_length, blank: true } => {
                vec![Extension::basic_constraints(true, Some(Some(path_length)))]
            }
            Kind::Subordinate { path_length, blank: false } => {
                authority_extensions(Some(path_length))
            }
            Kind::Root => authority_extensions(None),
        }
    }
}

/// What makes a certificate an authority's: digitalSignature, keyCertSign and cRLSign.
pub fn authority_extensions(path_length: Option<u8>) -> Vec<Extension> {
    vec![Extension::basic_constraints(true, Some(path_length)), Extension::key_usage(&[0, 5, 6])]
}
