//! Names that cannot be built wrong: trust domain, SPIFFE ID, DNS name, node and authority name.
//!
//! Every type here is parsed once, at the edge, and is valid ever after. Knows nothing of
//! certificates, files or meshes.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest SPIFFE ID, in bytes (SPIFFE-ID section 2.3).
const MAX_SPIFFE_ID: usize = 2048;
/// The longest trust domain name, in bytes (SPIFFE-ID section 2.1).
const MAX_TRUST_DOMAIN: usize = 255;
/// The longest DNS name in presentation form, in bytes (RFC 1035 section 2.3.4).
const MAX_DNS_NAME: usize = 253;
/// Leaves room in a 255-byte file name for the longest suffix that a node's files get.
const MAX_NAME: usize = 200;

/// Why a text is not the name that it was meant to be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum IdentityError {
    /// Nothing between the quotes.
    #[error("{what} is empty")]
    Empty {
        /// What was being read.
        what: &'static str,
    },
    /// Longer than the standard, or a file system, allows.
    #[error("{what} is {length} bytes long; at most {limit} are allowed")]
    TooLong {
        /// What was being read.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A character that the grammar has no place for.
    #[error("{what} {text:?} has {found:?} at byte {at}; allowed are {allowed}")]
    Character {
        /// What was being read.
        what: &'static str,
        /// The text as given.
        text: String,
        /// The offending character.
        found: char,
        /// Its byte offset in `text`.
        at: usize,
        /// The allowed characters, in words.
        allowed: &'static str,
    },
    /// The right characters in an order that the grammar forbids.
    #[error("{what} {text:?} {problem}")]
    Form {
        /// What was being read.
        what: &'static str,
        /// The text as given.
        text: String,
        /// What is wrong with it, as the end of a sentence.
        problem: &'static str,
    },
}

/// A SPIFFE trust domain name such as `example.org` (SPIFFE-ID section 2.1): lower-case letters,
/// digits, `.`, `-` and `_`, at most 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(String);

/// A SPIFFE ID with a path, such as `spiffe://example.org/front` (SPIFFE-ID section 2): no empty
/// segment, no `.` or `..`, no percent-encoding, port, query or fragment; at most 2048 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    text: String,
    domain: TrustDomain,
}

/// A host name fit for a certificate's DNS SAN (RFC 1034 section 3.5, RFC 5280 section 4.2.1.6):
/// lower-case letters, digits and inner hyphens; no wildcard, no trailing dot, no IP address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DnsName(String);

/// The name of a virtual node or gateway. Also a file name's beginning and a SPIFFE path segment,
/// hence letters, digits, `.`, `-`, `_`, beginning with a letter or digit, at most 200 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeName(String);

/// The name of an authority; the same grammar as [`NodeName`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AuthorityName(String);

impl TrustDomain {
    const WHAT: &'static str = "trust domain";

    /// Parses the name alone, without `spiffe://`.
    ///
    /// # Errors
    /// When the text is empty, too long, or has a character outside of the grammar.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        if text.starts_with("spiffe://") {
            return Err(form(Self::WHAT, text, "begins with spiffe://; write the name alone"));
        }
        length(Self::WHAT, text, MAX_TRUST_DOMAIN)?;
        characters(
            Self::WHAT,
            text,
            "lower-case letters, digits, '.', '-' and '_'",
            |c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '-' | '_'),
        )?;
        Ok(Self(text.to_owned()))
    }

    /// The SPIFFE ID `spiffe://<self><path>`, where `path` begins with `/`.
    ///
    /// # Errors
    /// When the path is not one (SPIFFE-ID section 2.2) or the whole is too long.
    pub fn id(&self, path: &str) -> Result<SpiffeId, IdentityError> {
        SpiffeId::new(self.clone(), path)
    }
}

impl SpiffeId {
    const WHAT: &'static str = "SPIFFE ID";
    const PATH: &'static str = "SPIFFE path";

    /// Parses `spiffe://<trust domain>/<path>`.
    ///
    /// # Errors
    /// When the scheme, the trust domain or the path is not as SPIFFE-ID section 2 has it.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        length(Self::WHAT, text, MAX_SPIFFE_ID)?;
        let rest = text
            .strip_prefix("spiffe://")
            .ok_or_else(|| form(Self::WHAT, text, "does not begin with spiffe://"))?;
        let slash =
            rest.find('/').ok_or_else(|| form(Self::WHAT, text, "has no path after its domain"))?;
        let (domain, path) = rest.split_at(slash);
        Self::new(TrustDomain::parse(domain)?, path)
    }

    fn new(domain: TrustDomain, path: &str) -> Result<Self, IdentityError> {
        let Some(segments) = path.strip_prefix('/') else {
            return Err(form(Self::PATH, path, "does not begin with '/'"));
        };
        characters(
            Self::PATH,
            path,
            "letters, digits, '.', '-', '_' between slashes",
            |c| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' | '/'),
        )?;
        for segment in segments.split('/') {
            match segment {
                "" => return Err(form(Self::PATH, path, "has an empty segment")),
                "." | ".." => return Err(form(Self::PATH, path, "has a '.' or '..' segment")),
                _ => {}
            }
        }
        let text = format!("spiffe://{domain}{path}");
        length(Self::WHAT, &text, MAX_SPIFFE_ID)?;
        Ok(Self { text, domain })
    }

    /// The trust domain that this identity belongs to.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// The path, with its leading slash.
    pub fn path(&self) -> &str {
        &self.text["spiffe://".len() + self.domain.0.len()..]
    }
}

impl DnsName {
    const WHAT: &'static str = "DNS name";

    /// Parses a host name; upper-case letters are folded, as DNS compares without regard to case.
    ///
    /// # Errors
    /// When a label is empty, over 63 bytes, begins or ends with a hyphen or has another
    /// character; when the name is a wildcard, ends with a dot, or is an IPv4 address.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        length(Self::WHAT, text, MAX_DNS_NAME)?;
        if text.contains('*') {
            return Err(form(Self::WHAT, text, "is a wildcard; name each host"));
        }
        characters(
            Self::WHAT,
            text,
            "letters, digits, '-' and '.'",
            |c| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.'),
        )?;
        if text.ends_with('.') {
            return Err(form(Self::WHAT, text, "ends with a dot"));
        }
        for label in text.split('.') {
            if label.is_empty() {
                return Err(form(Self::WHAT, text, "has an empty label"));
            }
            if label.len() > 63 {
                return Err(form(Self::WHAT, text, "has a label of more than 63 bytes"));
            }
            if label.starts_with('-') || label.ends_with('-') {
                return Err(form(Self::WHAT, text, "has a label with a hyphen at its edge"));
            }
        }
        // RFC 1123 section 2.1: what ends in digits alone is read as an address by resolvers.
        if text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
            return Err(form(Self::WHAT, text, "ends in a number, as an IP address does"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl NodeName {
    /// Parses a virtual node's or gateway's name.
    ///
    /// # Errors
    /// When the text could not be the beginning of a file name or a SPIFFE path segment.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        name("node name", text).map(Self)
    }
}

impl AuthorityName {
    /// Parses an authority's name.
    ///
    /// # Errors
    /// When the text could not be the beginning of a file name.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        name("authority name", text).map(Self)
    }
}

fn name(what: &'static str, text: &str) -> Result<String, IdentityError> {
    length(what, text, MAX_NAME)?;
    characters(
        what,
        text,
        "letters, digits, '.', '-' and '_'",
        |c| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_'),
    )?;
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(form(what, text, "does not begin with a letter or digit"));
    }
    Ok(text.to_owned())
}

fn length(what: &'static str, text: &str, limit: usize) -> Result<(), IdentityError> {
    match text.len() {
        0 => Err(IdentityError::Empty { what }),
        length if length > limit => Err(IdentityError::TooLong { what, length, limit }),
        _ => Ok(()),
    }
}

fn characters(
    what: &'static str,
    text: &str,
    allowed: &'static str,
    accept: impl Fn(char) -> bool,
) -> Result<(), IdentityError> {
    match text.char_indices().find(|(_, c)| !accept(*c)) {
        Some((at, found)) => {
            Err(IdentityError::Character { what, text: text.to_owned(), found, at, allowed })
        }
        None => Ok(()),
    }
}

fn form(what: &'static str, text: &str, problem: &'static str) -> IdentityError {
    IdentityError::Form { what, text: text.to_owned(), problem }
}

macro_rules! text {
    ($($name:ident . $field:tt),+) => {$(
        impl $name {
            /// The text, as it stands in certificates and files.
            pub fn as_str(&self) -> &str {
                &self.$field
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.$field)
            }
        }
        impl FromStr for $name {
            type Err = IdentityError;
            fn from_str(text: &str) -> Result<Self, IdentityError> {
                Self::parse(text)
            }
        }
    )+};
}

text!(TrustDomain.0, SpiffeId.text, DnsName.0, NodeName.0, AuthorityName.0);

#[cfg(test)]
mod tests;
