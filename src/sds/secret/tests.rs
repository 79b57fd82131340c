//! What Envoy would read in a secret, and which contents count as the same.

use std::sync::Arc;

use super::*;
use crate::identity::{AuthorityName, NodeName};
use crate::snapshot::testing::{COLORAPP, Published, node_name, published};
use crate::snapshot::{Anchor, Node, Trust};
use crate::x509::certificate::Certificate;
use crate::x509::key::PrivateKey;

fn node(mesh: &Published, name: &str) -> Arc<Node> {
    mesh.snapshot.node(&node_name(name)).unwrap()
}

fn credential(mesh: &Published, name: &str) -> Arc<Credential> {
    Arc::clone(&node(mesh, name).leaf.as_ref().unwrap().credential)
}

fn trust(mesh: &Published, name: &str) -> Arc<Trust> {
    Arc::clone(&node(mesh, name).trust)
}

fn decode(encoded: &Encoded) -> Secret {
    let any = Any::decode(encoded.any.clone()).unwrap();
    assert_eq!(any.type_url, Secret::type_url());
    Secret::decode(any.value.as_slice()).unwrap()
}

fn context(encoded: &Encoded) -> CertificateValidationContext {
    match decode(encoded).r#type {
        Some(secret::Type::ValidationContext(context)) => context,
        other => panic!("{other:?}"),
    }
}

fn bytes(source: Option<DataSource>) -> Vec<u8> {
    match source.unwrap().specifier {
        Some(Specifier::InlineBytes(bytes)) => bytes,
        other => panic!("{other:?}"),
    }
}

fn certificates(source: Option<DataSource>) -> Vec<Certificate> {
    Certificate::all_from_pem(&bytes(source)).unwrap()
}

#[test]
fn a_certificate_is_its_chain_from_the_leaf_up_and_its_key() {
    let mesh = published(
        "{version: 1, trustDomain: d, authorities: {r: , i: {local: {parent: r}}}, \
         virtualNodes: {ec: {authority: i}, rsa: {authority: i, keyAlgorithm: rsa-2048}}}",
    );
    for name in ["ec", "rsa"] {
        let credential = credential(&mesh, name);
        let secret = decode(&certificate("asked for", &credential));
        assert_eq!(secret.name, "asked for");
        let Some(secret::Type::TlsCertificate(certificate)) = secret.r#type else { panic!() };
        let chain = certificates(certificate.certificate_chain);
        assert_eq!(chain[0], *credential.leaf());
        assert_eq!(chain[1..], *credential.chain().issuers());
        let key = PrivateKey::from_pem(&bytes(certificate.private_key), None).unwrap();
        assert_eq!(key.public().spki(), chain[0].spki());
    }
}

#[test]
fn roots_are_in_the_order_of_the_anchors_and_each_once() {
    let mesh = published(COLORAPP);
    let [ca_1, ca_2] = ["ca_1", "ca_2"].map(|name| AuthorityName::parse(name).unwrap());
    let all = mesh.anchors([&ca_2, &ca_1]);
    let other = |anchor: &Anchor| Anchor {
        trust_domain: TrustDomain::parse("partner.example").unwrap(),
        certificate: anchor.certificate.clone(),
    };
    let both = all.as_slice().iter().cloned().chain(all.as_slice().iter().map(other));
    let peers = Peers { anchors: Anchors::new(both), expected: None };
    let context = context(&validation("n", &peers, Validator::Roots).unwrap());
    let expected: Vec<_> = all.certificates().cloned().collect();
    assert_eq!(certificates(context.trusted_ca), expected);
    assert!(context.match_typed_subject_alt_names.is_empty());
    assert!(context.custom_validator_config.is_none());
}

#[test]
fn the_spiffe_validator_gets_each_trust_domain_with_its_own_roots() {
    let mesh = published(
        "{version: 1, trustDomain: own.example, authorities: {a: , b: , \
         p: {trustOnly: {certificates: p.pem}}}, \
         virtualNodes: {x: {authority: a, callers: [spiffe://p.example/y], \
         trust: [a, p, b]}}}",
    );
    let peers = &trust(&mesh, "x").listener;
    let context = context(&validation("n", peers, Validator::Spiffe).unwrap());
    assert!(context.trusted_ca.is_none());
    assert_eq!(context.match_typed_subject_alt_names.len(), 1);
    let custom = context.custom_validator_config.unwrap();
    assert_eq!(custom.name, "envoy.tls.cert_validator.spiffe");
    let config = custom.typed_config.unwrap();
    assert_eq!(
        config.type_url,
        "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"
    );
    let config = SpiffeCertValidatorConfig::decode(config.value.as_slice()).unwrap();
    let domains: Vec<_> = config
        .trust_domains
        .into_iter()
        .map(|domain| (domain.name, certificates(domain.trust_bundle)))
        .collect();
    let of = |names: &[&str]| -> Vec<Certificate> {
        let names: Vec<_> = names.iter().map(|name| AuthorityName::parse(name).unwrap()).collect();
        mesh.anchors(&names).certificates().cloned().collect()
    };
    assert_eq!(
        domains,
        [("own.example".to_owned(), of(&["a", "b"])), ("p.example".to_owned(), of(&["p"]))]
    );
}

#[test]
fn expected_peers_are_exact_uris() {
    let mesh = published(COLORAPP);
    let context =
        context(&validation("n", &trust(&mesh, "blue").listener, Validator::Roots).unwrap());
    let [matcher] = &context.match_typed_subject_alt_names[..] else { panic!("{context:?}") };
    assert_eq!(matcher.san_type(), SanType::Uri);
    let pattern = matcher.matcher.clone().unwrap();
    assert!(!pattern.ignore_case);
    let exact = MatchPattern::Exact("spiffe://example.org/front".to_owned());
    assert_eq!(pattern.match_pattern, Some(exact));
}

#[test]
fn where_nobody_is_expected_there_is_a_matcher_all_the_same() {
    let mesh = published(COLORAPP);
    let peers = Peers { expected: Some(Vec::new()), ..trust(&mesh, "blue").listener.clone() };
    for validator in [Validator::Roots, Validator::Spiffe] {
        let context = context(&validation("n", &peers, validator).unwrap());
        let [matcher] = &context.match_typed_subject_alt_names[..] else { panic!("{context:?}") };
        let pattern = matcher.matcher.clone().unwrap().match_pattern;
        let Some(MatchPattern::SafeRegex(regex)) = pattern else { panic!("{pattern:?}") };
        assert_eq!(regex.regex, NOBODY);
    }
}

#[test]
fn without_roots_there_is_nothing_to_send() {
    let peers = Peers { anchors: Anchors::new([]), expected: None };
    for validator in [Validator::Roots, Validator::Spiffe] {
        assert_eq!(validation("n", &peers, validator).err(), Some(SecretError::NoRoots));
    }
}

#[test]
fn a_version_is_that_of_the_content_whatever_its_name() {
    let mesh = published(COLORAPP);
    let (front, blue) = (credential(&mesh, "front"), credential(&mesh, "blue"));
    let version = |credential| certificate("n", credential).version;
    assert_eq!(version(&front), certificate("m", &front).version);
    assert_ne!(version(&front), version(&blue));
    assert!(version(&front).len() == 32, "{}", version(&front));
    assert!(version(&front).chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')));

    let listener = trust(&mesh, "blue").listener.clone();
    let nobody = Peers { expected: Some(Vec::new()), ..listener.clone() };
    let anybody = Peers { expected: None, ..listener.clone() };
    let ca_2 = AuthorityName::parse("ca_2").unwrap();
    let others = Peers { anchors: mesh.anchors([&ca_2]), ..listener.clone() };
    let versions: std::collections::HashSet<_> = [&listener, &nobody, &anybody, &others]
        .into_iter()
        .flat_map(|peers| [(peers, Validator::Roots), (peers, Validator::Spiffe)])
        .map(|(peers, validator)| validation("n", peers, validator).unwrap().version)
        .collect();
    assert_eq!(versions.len(), 8);
    let again = validation("another", &listener, Validator::Roots).unwrap();
    assert!(versions.contains(&again.version));
}

#[test]
fn a_key_read_back_from_a_directory_has_the_version_that_it_had() {
    let mesh = published(COLORAPP);
    let first = credential(&mesh, "front");
    let key = PrivateKey::from_pem(first.key().to_pem().as_bytes(), None).unwrap();
    let second = Credential::new(key, first.chain().clone()).unwrap();
    let [first, second] = [&first, &second].map(|credential| certificate("n", credential));
    assert_eq!(first.version, second.version);
    assert!(first == second, "the same bytes, too");
}

#[test]
fn a_node_name_is_any_name_that_a_secret_may_have() {
    // The longest that there is goes into the message and out of it as it was.
    let name = NodeName::parse(&"n".repeat(200)).unwrap();
    let mesh = published(COLORAPP);
    let secret = decode(&certificate(name.as_str(), &credential(&mesh, "front")));
    assert_eq!(secret.name, name.as_str());
}
