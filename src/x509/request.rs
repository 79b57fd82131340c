//! A certificate signing request from outside (RFC 2986): hostile until proven.
//!
//! The authority takes the public key alone and imposes its own profile. What a request asks for
//! beyond that is compared with what it would get, and a contradiction is refused: nobody is
//! silently answered with something else.

use std::collections::HashSet;
use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use pkcs8::der;
use rcgen::PublicKeyData;
use thiserror::Error;

use super::key::{KeyAlgorithm, KeyError, PublicKey};
use super::pem::{self, PemError};
use super::profile::LeafProfile;
use crate::identity::{DnsName, IdentityError, NodeName, SpiffeId};

mod extensions;
mod structure;

use structure::Structure;

/// Why a request is not signed.
#[derive(Debug, Error)]
pub enum RequestError {
    /// Beyond [`Request::MAX_SIZE`].
    #[error("the request is larger than {} bytes", Request::MAX_SIZE)]
    TooLarge,
    /// Armour is broken, or something else is in it.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A private key beside the request, or in its place.
    #[error("it holds a private key; keep that, and send the request alone")]
    PrivateKey,
    /// More than one PEM block.
    #[error("it holds {count} PEM blocks; send one request")]
    SeveralBlocks {
        /// How many.
        count: usize,
    },
    /// Not DER, or not a request.
    #[error("the request is malformed: {part} is not as RFC 2986 has it")]
    Malformed {
        /// The part that does not decode.
        part: &'static str,
        /// What the decoder said.
        #[source]
        cause: der::Error,
    },
    /// Something follows the request's DER.
    #[error("the request is followed by {count} bytes that do not belong to it")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// Not version 1, which is written 0.
    #[error("the request has version {found}; there is only version 0 (v1)")]
    Version {
        /// The number in it.
        found: u8,
    },
    /// A key that no certificate is issued for.
    #[error("the request's public key cannot be certified: {0}")]
    Key(#[source] KeyError),
    /// A signature algorithm that does not belong to the key, or is too weak.
    #[error("the request is signed with {found}; a request for an {key} key must use {wanted}")]
    SignatureAlgorithm {
        /// The algorithm, by name or object identifier.
        found: String,
        /// The key's algorithm.
        key: KeyAlgorithm,
        /// What would do.
        wanted: &'static str,
    },
    /// Whoever made it does not hold the private key.
    #[error(
        "the request's signature is not that of the key in it, so nothing shows that its sender \
         holds the private key"
    )]
    Signature,
    /// Two attributes of one kind.
    #[error("the request has the attribute {oid} twice")]
    DuplicateAttribute {
        /// Its object identifier.
        oid: String,
    },
    /// Two extensions of one kind (RFC 5280 section 4.2 forbids them).
    #[error("the request asks for the extension {name} twice")]
    DuplicateExtension {
        /// Its name or object identifier.
        name: String,
    },
    /// An extension that must be understood, and is not.
    #[error("the request asks for the critical extension {oid}, which no certificate here gets")]
    CriticalExtension {
        /// Its object identifier.
        oid: String,
    },
    /// To be a CA, or to sign as one.
    #[error("the request asks for {what}; leaf certificates only are issued here")]
    Authority {
        /// What it asks for.
        what: &'static str,
    },
    /// An extended key usage that no leaf gets.
    #[error(
        "the request asks for the extended key usage {usage}; leaves get serverAuth and clientAuth"
    )]
    ExtendedUsage {
        /// Its name or object identifier.
        usage: String,
    },
    /// A subject alternative name extension without names, or a name without text.
    #[error("the request asks for {what}")]
    EmptyName {
        /// What is empty.
        what: &'static str,
    },
    /// A kind of name that no leaf gets.
    #[error("the request asks for {what}; leaves get one SPIFFE ID and DNS names, nothing else")]
    NameKind {
        /// The kind, and the name where it can be shown.
        what: String,
    },
    /// Bytes that its type of string cannot have.
    #[error("the request asks for {what} that is not ASCII: {text:?}")]
    NotAscii {
        /// What is not.
        what: &'static str,
        /// The text, as far as it is one.
        text: String,
    },
    /// A name that could not stand in any certificate of ours.
    #[error("the request asks for a name that cannot be: {0}")]
    Name(#[source] IdentityError),
    /// An X.509-SVID has exactly one URI (SPIFFE X509-SVID section 2).
    #[error("the request asks for {count} URIs; a leaf has one, its SPIFFE ID")]
    SeveralUris {
        /// How many.
        count: usize,
    },
    /// A name that is listed twice.
    #[error("the request asks for {name:?} twice")]
    RepeatedName {
        /// The name.
        name: String,
    },
    /// A name that the node does not have.
    #[error("the request asks for the {kind} {name:?}, which {node} does not have; it has {has}")]
    NotPermitted {
        /// What kind of name.
        kind: &'static str,
        /// The name asked for.
        name: String,
        /// Whose certificate it would be.
        node: NodeName,
        /// The names of that kind that it does have.
        has: String,
    },
}

/// A request whose sender has proved to hold the private key.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    public_key: PublicKey,
    asked: Asked,
    set_aside: Vec<String>,
}

/// The names that a request asks for, well formed but not yet permitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asked {
    common_names: Vec<String>,
    spiffe_id: Option<SpiffeId>,
    dns_names: Vec<DnsName>,
}

impl Request {
    /// The largest request that is looked at, in bytes, as PEM or DER.
    pub const MAX_SIZE: usize = 32 * 1024;

    /// Parses a request in PEM or DER and verifies its signature with the key in it.
    ///
    /// # Errors
    /// When it is too large, malformed, not signed by its own key, its key is none that we certify,
    /// or it asks for what no leaf of ours gets.
    pub fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        if bytes.len() > Self::MAX_SIZE {
            return Err(RequestError::TooLarge);
        }
        // DER begins with a SEQUENCE, PEM with a dash or a comment.
        if bytes.first() == Some(&0x30) {
            return Self::from_der(bytes);
        }
        let mut blocks = pem::blocks(bytes)?;
        if blocks.iter().any(|block| block.label.ends_with("PRIVATE KEY")) {
            return Err(RequestError::PrivateKey);
        }
        let count = blocks.len();
        match (blocks.pop(), count) {
            (None, _) => Err(PemError::Nothing { expected: pem::REQUEST }.into()),
            (Some(block), 1) => match block.label.as_str() {
                pem::REQUEST | pem::OLD_REQUEST => Self::from_der(&block.der),
                _ => Err(PemError::Label { found: block.label, expected: pem::REQUEST }.into()),
            },
            (_, count) => Err(RequestError::SeveralBlocks { count }),
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, RequestError> {
        let structure = Structure::parse(der)?;
        let public_key = PublicKey::from_spki(structure.spki).map_err(RequestError::Key)?;
        let algorithm = signature_algorithm(&public_key, &structure)?;
        UnparsedPublicKey::new(algorithm, public_key.der_bytes())
            .verify(structure.signed, structure.signature)
            .map_err(|_| RequestError::Signature)?;
        let (asked, set_aside) = structure.asked()?;
        Ok(Self { public_key, asked, set_aside })
    }

    /// The key to certify.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// What the request carries that has no say in the certificate and contradicts nothing in it,
    /// in words: `the subject attribute O`, `the extension keyUsage`.
    pub fn set_aside(&self) -> &[String] {
        &self.set_aside
    }

    /// Whether every name that the request asks for is one that `node` gets from `profile`.
    ///
    /// # Errors
    /// Names the first one that it does not get.
    pub fn check_against(
        &self,
        profile: &LeafProfile,
        node: &NodeName,
    ) -> Result<(), RequestError> {
        let refuse = |kind, name: &dyn fmt::Display, has| {
            Err(RequestError::NotPermitted {
                kind,
                name: name.to_string(),
                node: node.clone(),
                has,
            })
        };
        let dns_names = || match &profile.dns_names[..] {
            [] => "none".to_owned(),
            names => names.iter().map(DnsName::as_str).collect::<Vec<_>>().join(", "),
        };
        if let Some(id) = self.asked.spiffe_id.as_ref().filter(|id| **id != profile.spiffe_id) {
            return refuse("SPIFFE ID", id, profile.spiffe_id.to_string());
        }
        let permitted: HashSet<&str> = profile.dns_names.iter().map(DnsName::as_str).collect();
        for name in &self.asked.dns_names {
            if !permitted.contains(name.as_str()) {
                return refuse("DNS name", name, dns_names());
            }
        }
        for name in &self.asked.common_names {
            let folded = name.to_ascii_lowercase();
            if name != node.as_str() && !permitted.contains(folded.as_str()) {
                let has = format!("its own name and its DNS names ({})", dns_names());
                return refuse("common name", name, has);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("public_key", &self.public_key)
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}

/// The one way in which a key of each kind may sign: the hash must fit the key, or an
/// implementation that takes the key's kind from the signature's misreads it.
fn signature_algorithm(
    key: &PublicKey,
    structure: &Structure<'_>,
) -> Result<&'static dyn VerificationAlgorithm, RequestError> {
    let oid = structure.signature_oid.to_string();
    let algorithm: Option<&'static dyn VerificationAlgorithm> =
        match (key.algorithm(), oid.as_str(), structure.signature_parameters) {
            (KeyAlgorithm::EcP256, "1.2.840.10045.4.3.2", None) => Some(&ECDSA_P256_SHA256_ASN1),
            (KeyAlgorithm::EcP384, "1.2.840.10045.4.3.3", None) => Some(&ECDSA_P384_SHA384_ASN1),
            (algorithm, oid, Some(parameters)) if algorithm.is_rsa() && parameters.is_null() => {
                match oid {
                    "1.2.840.113549.1.1.11" => Some(&RSA_PKCS1_2048_8192_SHA256),
                    "1.2.840.113549.1.1.12" => Some(&RSA_PKCS1_2048_8192_SHA384),
                    "1.2.840.113549.1.1.13" => Some(&RSA_PKCS1_2048_8192_SHA512),
                    _ => None,
                }
            }
            _ => None,
        };
    algorithm.ok_or_else(|| RequestError::SignatureAlgorithm {
        found: name_of_signature(&oid),
        key: key.algorithm(),
        wanted: match key.algorithm() {
            KeyAlgorithm::EcP256 => "ECDSA with SHA-256",
            KeyAlgorithm::EcP384 => "ECDSA with SHA-384",
            _ => "RSA PKCS#1 v1.5 with SHA-256, SHA-384 or SHA-512",
        },
    })
}

/// A signature algorithm in words, as far as it is one that is met in practice.
pub(super) fn name_of_signature(oid: &str) -> String {
    let name = match oid {
        "1.2.840.10045.4.1" => "ECDSA with SHA-1",
        "1.2.840.10045.4.3.1" => "ECDSA with SHA-224",
        "1.2.840.10045.4.3.2" => "ECDSA with SHA-256",
        "1.2.840.10045.4.3.3" => "ECDSA with SHA-384",
        "1.2.840.10045.4.3.4" => "ECDSA with SHA-512",
        "1.2.840.113549.1.1.2" => "RSA with MD2",
        "1.2.840.113549.1.1.4" => "RSA with MD5",
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => "RSA with SHA-1",
        "1.2.840.113549.1.1.10" => "RSA-PSS",
        "1.2.840.113549.1.1.11" => "RSA with SHA-256",
        "1.2.840.113549.1.1.12" => "RSA with SHA-384",
        "1.2.840.113549.1.1.13" => "RSA with SHA-512",
        "1.2.840.113549.1.1.14" => "RSA with SHA-224",
        "1.2.840.10040.4.3" => "DSA with SHA-1",
        "1.3.101.112" => "Ed25519",
        "1.3.101.113" => "Ed448",
        "2.16.840.1.101.3.4.3.17" => "ML-DSA-44",
        "2.16.840.1.101.3.4.3.18" => "ML-DSA-65",
        "2.16.840.1.101.3.4.3.19" => "ML-DSA-87",
        other => return format!("the algorithm {other}"),
    };
    name.to_owned()
}
