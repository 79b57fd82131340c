//! Encodes what a node has as Envoy's `Secret`.
//!
//! Pure, and the only place that knows how Envoy writes these down. Knows nothing of names, beyond
//! putting one into the secret, and nothing of who asks.
//!
//! Source: envoy.extensions.transport_sockets.tls.v3 (`secret.proto`, `common.proto`,
//! `tls_spiffe_validator_config.proto`).

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::{
    DataSource, TypedExtensionConfig, data_source::Specifier,
};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::spiffe_cert_validator_config::TrustDomain as DomainBundle;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::subject_alt_name_matcher::SanType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, Secret, SpiffeCertValidatorConfig, SubjectAltNameMatcher,
    TlsCertificate, secret,
};
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher};
use envoy_types::pb::google::protobuf::Any;
use indexmap::IndexMap;
use prost::{Message, Name};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use super::names::Validator;
use crate::identity::{SpiffeId, TrustDomain};
use crate::snapshot::{Anchors, Peers};
use crate::x509::credential::Credential;

/// The name under which Envoy has its SPIFFE validator.
const SPIFFE_VALIDATOR: &str = "envoy.tls.cert_validator.spiffe";

/// An expression that no text matches: a character that is neither a space nor anything else. Envoy
/// takes an empty list of matchers for "anybody", and an empty text would match an empty URI.
const NOBODY: &str = r"[^\s\S]";

/// Why something is not sent.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SecretError {
    /// Envoy rejects an empty trust bundle.
    #[error("there are no roots to verify peers with")]
    NoRoots,
}

/// A secret, ready to be sent.
#[derive(PartialEq, Eq)]
pub struct Encoded {
    /// A hash of its content, without its name: 32 lower-case hexadecimal digits.
    pub version: String,
    /// A `google.protobuf.Any` with a `Secret`. What may be a key is wiped with the last copy.
    pub any: Bytes,
}

/// A key and its chain, leaf first, both inline and in PEM: a pair, which Envoy would reject
/// otherwise, and could name another secret when it does. The version is that of the chain, which
/// has the public half of the key.
pub fn certificate(name: &str, credential: &Credential) -> Encoded {
    let chain = credential.chain();
    let mut hash = Context::new(&SHA256);
    for certificate in std::iter::once(chain.leaf()).chain(chain.issuers()) {
        hash.update(certificate.der());
    }
    let secret = TlsCertificate {
        certificate_chain: Some(inline(chain.to_pem())),
        private_key: Some(inline(credential.key().to_pem().as_bytes())),
        ..TlsCertificate::default()
    };
    let any = encode(name, secret::Type::TlsCertificate(secret));
    Encoded { version: version(hash), any }
}

/// The roots of `peers`, and the SPIFFE IDs that are expected as exact matchers of the URI name.
/// Where nobody is expected, a matcher that nobody fits.
///
/// # Errors
/// When there are no roots.
pub fn validation(name: &str, peers: &Peers, validator: Validator) -> Result<Encoded, SecretError> {
    if peers.anchors.as_slice().is_empty() {
        return Err(SecretError::NoRoots);
    }
    let mut context = CertificateValidationContext {
        match_typed_subject_alt_names: peers.expected.as_deref().map_or_else(Vec::new, matchers),
        ..CertificateValidationContext::default()
    };
    match validator {
        Validator::Roots => context.trusted_ca = Some(roots(&peers.anchors)),
        Validator::Spiffe => {
            context.custom_validator_config = Some(TypedExtensionConfig {
                name: SPIFFE_VALIDATOR.to_owned(),
                typed_config: Some(any(&domains(&peers.anchors))),
            });
        }
    }
    let mut hash = Context::new(&SHA256);
    hash.update(&context.encode_to_vec());
    let any = encode(name, secret::Type::ValidationContext(context));
    Ok(Encoded { version: version(hash), any })
}

fn roots(anchors: &Anchors) -> DataSource {
    inline(anchors.certificates().map(|root| root.to_pem()).collect::<String>())
}

/// Each trust domain with its own roots, in order of appearance, without `spiffe://`: Envoy takes a
/// name with it and then rejects every peer.
fn domains(anchors: &Anchors) -> SpiffeCertValidatorConfig {
    let mut bundles: IndexMap<&TrustDomain, String> = IndexMap::new();
    for anchor in anchors.as_slice() {
        bundles.entry(&anchor.trust_domain).or_default().push_str(&anchor.certificate.to_pem());
    }
    let domain = |(domain, bundle): (&TrustDomain, String)| DomainBundle {
        name: domain.to_string(),
        trust_bundle: Some(inline(bundle)),
        ..DomainBundle::default()
    };
    SpiffeCertValidatorConfig {
        trust_domains: bundles.into_iter().map(domain).collect(),
        trust_bundles: None,
    }
}

fn matchers(expected: &[SpiffeId]) -> Vec<SubjectAltNameMatcher> {
    let uri = |pattern| SubjectAltNameMatcher {
        san_type: SanType::Uri.into(),
        matcher: Some(StringMatcher { ignore_case: false, match_pattern: Some(pattern) }),
        oid: String::new(),
    };
    if expected.is_empty() {
        let regex = RegexMatcher { regex: NOBODY.to_owned(), ..RegexMatcher::default() };
        return vec![uri(MatchPattern::SafeRegex(regex))];
    }
    expected.iter().map(|id| uri(MatchPattern::Exact(id.to_string()))).collect()
}

fn inline(pem: impl AsRef<[u8]>) -> DataSource {
    let specifier = Some(Specifier::InlineBytes(pem.as_ref().to_vec()));
    DataSource { specifier, ..DataSource::default() }
}

fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// The whole, with every copy of a key on the way to it wiped. Buffers are made in their final
/// size, so that none is left behind by one that grew.
fn encode(name: &str, content: secret::Type) -> Bytes {
    let mut secret = Secret { name: name.to_owned(), r#type: Some(content) };
    let mut outer = any(&secret);
    let encoded = Zeroizing::new(outer.encode_to_vec());
    outer.value.zeroize();
    if let Some(secret::Type::TlsCertificate(certificate)) = &mut secret.r#type
        && let Some(Specifier::InlineBytes(key)) =
            certificate.private_key.as_mut().and_then(|key| key.specifier.as_mut())
    {
        key.zeroize();
    }
    Bytes::from_owner(encoded)
}

/// Half of the hash is enough: these are told apart, not proved.
fn version(hash: Context) -> String {
    hash.finish().as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
