//! What the name of a secret asks for, by its text alone: whether there is such a node, and who may
//! have it, is the catalogue's.
//!
//! | name | what it asks for |
//! |---|---|
//! | `default` | the caller's own certificate |
//! | `front` | the certificate of a node; where no node is called so, the roots of an authority |
//! | `spiffe://example.org/front` | the certificate of that SPIFFE ID |
//! | `file-cert:/certs/front_cert_chain.pem~/certs/front_key.pem` | the certificate whose files `certctl issue` calls so |
//! | `ROOTCA` | the roots that the caller trusts |
//! | `ALL` | the same through Envoy's SPIFFE validator, each trust domain with its own roots |
//! | `spiffe://example.org` | of the roots that the caller trusts, those of that trust domain |
//! | `callers`, `callers:blue` | the roots and the expected SPIFFE IDs of those who may call the caller, or blue |
//! | `backends`, `backends:front` | the same of those whom the caller, or front, may call, all together |
//! | `backends:/blue`, `backends:front/blue` | the same of one backend of the caller, or of front |
//! | `ca_1+ca_2` | the roots of these authorities |
//! | `file-root:/certs/front_trust.pem` | the roots in the file that `certctl issue` calls so |
//! | `spiffe-validator:` and one of the names of roots | the same through the SPIFFE validator |
//!
//! `default`, `ROOTCA`, `ALL` and `spiffe://` are those of SPIRE's agent, `file-cert:` and
//! `file-root:` those of Istio's. A node that is itself called `default`, `ROOTCA`, `ALL`,
//! `callers` or `backends` is had by its SPIFFE ID. Of files the last part of the path counts; none
//! is ever read.

use std::fmt;

use indexmap::IndexSet;

use crate::identity::{AuthorityName, NodeName, SpiffeId, TrustDomain};

/// The longest name, in bytes, that is looked at: Istio's has two paths.
const LONGEST: usize = 8 * 1024;

/// The most authorities that one name may list: whoever asks decides how much there is to read, and
/// it is read whenever something changes.
const MOST_AUTHORITIES: usize = 64;

const OWN: &str = "default";
const ROOTS: &str = "ROOTCA";
const ALL: &str = "ALL";
const CALLERS: &str = "callers";
const BACKENDS: &str = "backends";
const SPIFFE: &str = "spiffe://";
const SPIFFE_VALIDATOR: &str = "spiffe-validator:";
const FILE_CERT: &str = "file-cert:";
const FILE_ROOT: &str = "file-root:";

/// What a name asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// The certificate whose chain and key are in files of these names.
    Files {
        /// The file of the chain, without its directory.
        chain: String,
        /// The file of the key, without its directory.
        key: String,
    },
    /// The certificate of this SPIFFE ID.
    Id(SpiffeId),
    /// The certificate of the node of this name, or the roots of the authority of this name. A node
    /// comes first, also for a caller who may not have it.
    Named(NodeName),
    /// The caller's own certificate.
    Own,
    /// Whom to accept.
    Trust(Accepted, Validator),
    /// No such name is known.
    Unknown,
}

/// The peers that a name of roots is about. A node is the caller's own where none is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Whom these authorities vouch for; at least one, each once.
    Authorities(Vec<AuthorityName>),
    /// One backend of a node.
    Backend(Option<NodeName>, NodeName),
    /// All backends of a node.
    Backends(Option<NodeName>),
    /// The callers of a node.
    Callers(Option<NodeName>),
    /// Whom the caller trusts in one trust domain.
    Domain(TrustDomain),
    /// Whom the roots in the file of this name vouch for.
    File(String),
    /// Whom the caller trusts.
    Own,
}

/// How Envoy is to judge a peer's chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Validator {
    /// By any of the roots.
    #[default]
    Roots,
    /// By the roots of the trust domain that its SPIFFE ID names.
    Spiffe,
}

impl Name {
    /// What `text` asks for.
    pub fn parse(text: &str) -> Self {
        if text.len() > LONGEST {
            return Self::Unknown;
        }
        certificate(text)
            .or_else(|| {
                let rest = text.strip_prefix(SPIFFE_VALIDATOR)?;
                // A plain name asks for roots here, which only authorities have.
                let one = || Some(Accepted::Authorities(vec![AuthorityName::parse(rest).ok()?]));
                let accepted = accepted(rest).or_else(|| if is_word(rest) { None } else { one() });
                Some(Self::Trust(accepted?, Validator::Spiffe))
            })
            .or_else(|| Some(Self::Trust(accepted(text)?, Validator::Roots)))
            .or_else(|| Some(Self::Named(NodeName::parse(text).ok()?)))
            .unwrap_or(Self::Unknown)
    }
}

fn is_word(text: &str) -> bool {
    [OWN, ALL].contains(&text)
}

/// What can be told from a name that only certificates have, and `ALL`.
fn certificate(text: &str) -> Option<Name> {
    if text == OWN {
        return Some(Name::Own);
    }
    if text == ALL {
        return Some(Name::Trust(Accepted::Own, Validator::Spiffe));
    }
    if let Some(paths) = text.strip_prefix(FILE_CERT) {
        let (chain, key) = paths.split_once('~')?;
        return Some(Name::Files { chain: file(chain)?, key: file(key)? });
    }
    SpiffeId::parse(text).ok().map(Name::Id)
}

/// What can be told from a name that only roots have.
fn accepted(text: &str) -> Option<Accepted> {
    if let Some(domain) = text.strip_prefix(SPIFFE) {
        return TrustDomain::parse(domain).ok().map(Accepted::Domain);
    }
    if let Some(path) = text.strip_prefix(FILE_ROOT) {
        return file(path).map(Accepted::File);
    }
    let node = |name| NodeName::parse(name).ok();
    match text.split_once(':') {
        Some((CALLERS, name)) => return Some(Accepted::Callers(Some(node(name)?))),
        Some((BACKENDS, rest)) => {
            return match rest.split_once('/') {
                Some(("", backend)) => Some(Accepted::Backend(None, node(backend)?)),
                Some((name, backend)) => Some(Accepted::Backend(Some(node(name)?), node(backend)?)),
                None => Some(Accepted::Backends(Some(node(rest)?))),
            };
        }
        Some(_) => return None,
        None => {}
    }
    match text {
        ROOTS => Some(Accepted::Own),
        CALLERS => Some(Accepted::Callers(None)),
        BACKENDS => Some(Accepted::Backends(None)),
        set if set.contains('+') => authorities(set),
        _ => None,
    }
}

fn authorities(set: &str) -> Option<Accepted> {
    if set.split('+').nth(MOST_AUTHORITIES).is_some() {
        return None;
    }
    let names: Option<IndexSet<_>> =
        set.split('+').map(|name| AuthorityName::parse(name).ok()).collect();
    Some(Accepted::Authorities(names?.into_iter().collect()))
}

/// The last part of a path, which must be a file's name and no more.
fn file(path: &str) -> Option<String> {
    let name = path.rsplit('/').next().filter(|name| !name.is_empty())?;
    (!name.contains('~')).then(|| name.to_owned())
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files { chain, key } => write!(f, "{FILE_CERT}{chain}~{key}"),
            Self::Id(id) => id.fmt(f),
            Self::Named(name) => name.fmt(f),
            Self::Own => f.write_str(OWN),
            Self::Trust(Accepted::Own, Validator::Spiffe) => f.write_str(ALL),
            Self::Trust(accepted, Validator::Roots) => accepted.fmt(f),
            Self::Trust(accepted, Validator::Spiffe) => write!(f, "{SPIFFE_VALIDATOR}{accepted}"),
            Self::Unknown => f.write_str("an unknown name"),
        }
    }
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |word: &str, node: &Option<NodeName>| match node {
            Some(node) => format!("{word}:{node}"),
            None => word.to_owned(),
        };
        match self {
            Self::Authorities(names) => {
                let names: Vec<_> = names.iter().map(AuthorityName::as_str).collect();
                f.write_str(&names.join("+"))
            }
            Self::Backend(node, backend) => {
                let node = node.as_ref().map_or("", NodeName::as_str);
                write!(f, "{BACKENDS}:{node}/{backend}")
            }
            Self::Backends(node) => f.write_str(&of(BACKENDS, node)),
            Self::Callers(node) => f.write_str(&of(CALLERS, node)),
            Self::Domain(domain) => write!(f, "{SPIFFE}{domain}"),
            Self::File(name) => write!(f, "{FILE_ROOT}{name}"),
            Self::Own => f.write_str(ROOTS),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_name_asks_for_what_the_table_says() {
        let node = |name: &str| NodeName::parse(name).unwrap();
        let set = |names: &[&str]| {
            Accepted::Authorities(names.iter().map(|n| AuthorityName::parse(n).unwrap()).collect())
        };
        let roots = |accepted| Name::Trust(accepted, Validator::Roots);
        let domain = TrustDomain::parse("example.org").unwrap();
        let files = Name::Files { chain: "front_cert_chain.pem".into(), key: "k.pem".into() };
        for (text, expected) in [
            ("default", Name::Own),
            ("front", Name::Named(node("front"))),
            ("spiffe", Name::Named(node("spiffe"))),
            ("spiffe://example.org/front", Name::Id(domain.id("/front").unwrap())),
            ("file-cert:/certs/..data/front_cert_chain.pem~k.pem", files),
            ("ROOTCA", roots(Accepted::Own)),
            ("ALL", Name::Trust(Accepted::Own, Validator::Spiffe)),
            ("spiffe://example.org", roots(Accepted::Domain(domain))),
            ("callers", roots(Accepted::Callers(None))),
            ("callers:blue", roots(Accepted::Callers(Some(node("blue"))))),
            ("backends", roots(Accepted::Backends(None))),
            ("backends:front", roots(Accepted::Backends(Some(node("front"))))),
            ("backends:/blue", roots(Accepted::Backend(None, node("blue")))),
            ("backends:front/blue", roots(Accepted::Backend(Some(node("front")), node("blue")))),
            ("ca_1+ca_2+ca_1", roots(set(&["ca_1", "ca_2"]))),
            ("spiffe+ca_1", roots(set(&["spiffe", "ca_1"]))),
            ("file-root:/certs/front_trust.pem", roots(Accepted::File("front_trust.pem".into()))),
            ("spiffe-validator:ca_1", Name::Trust(set(&["ca_1"]), Validator::Spiffe)),
            (
                "spiffe-validator:callers:blue",
                Name::Trust(Accepted::Callers(Some(node("blue"))), Validator::Spiffe),
            ),
            ("spiffe-validator:ROOTCA", Name::Trust(Accepted::Own, Validator::Spiffe)),
        ] {
            assert_eq!(Name::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_unknown() {
        let long = "x+".repeat(LONGEST / 2) + "x";
        let many = "x+".repeat(MOST_AUTHORITIES) + "x";
        assert_ne!(Name::parse(&many[2..]), Name::Unknown);
        for text in [
            "",
            " default",
            "default ",
            "a b",
            "spiffe://",
            "spiffe:///front",
            "spiffe://Example.org",
            "spiffe://example.org/",
            "spiffe://example.org//a",
            "callers:",
            "callers:a/b",
            "backends:",
            "backends:/",
            "backends:a/",
            "backends:a/b/c",
            "+",
            "a+",
            "a++b",
            "front:blue",
            "file-cert:",
            "file-cert:chain.pem",
            "file-cert:a/~b",
            "file-cert:a~b~c",
            "file-root:",
            "file-root:/certs/",
            "spiffe-validator:",
            "spiffe-validator:default",
            "spiffe-validator:ALL",
            "spiffe-validator:spiffe://example.org/front",
            "spiffe-validator:spiffe-validator:ROOTCA",
            "spiffe-validator:file-cert:a~b",
            "front\0",
            "fränt",
            &long,
            &many,
        ] {
            assert_eq!(Name::parse(text), Name::Unknown, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_known_name_is_what_it_is_written_as(
            text in "(spiffe-validator:)?(default|ROOTCA|ALL|callers|backends|spiffe://|file-root:\
                     |file-cert:)?[:/+~]?[a-z_.]{0,4}[:/+~]?[a-z_.]{0,4}[/+~]?[a-z]{0,3}",
        ) {
            let name = Name::parse(&text);
            if name != Name::Unknown {
                prop_assert_eq!(Name::parse(&name.to_string()), name);
            }
        }

        #[test]
        fn no_text_is_too_strange_to_be_looked_at(text in any::<String>()) {
            Name::parse(&text);
        }
    }
}
