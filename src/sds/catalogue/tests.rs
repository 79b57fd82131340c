//! What each name stands for, to whom, and when that counts as new.

use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, Secret, secret,
};
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;

use super::*;
use crate::snapshot::testing::{COLORAPP, Published, node_name, published, view};
use crate::x509::certificate::Certificate;

mod access;
mod held;

/// A mesh with every kind of trust: a partner's trust domain, a listener and backends of their own.
const RICH: &str = "
version: 1
trustDomain: example.org
authorities:
  ca_1: {}
  ca_2: {}
  below: { local: { parent: ca_2 } }
  partner: { trustOnly: { certificates: partner.pem } }
virtualNodes:
  front:
    authority: ca_1
    trust: [ca_1, partner]
    listener: { trust: [ca_2], callers: [blue, 'spiffe://partner.example/x'] }
    backends: { blue: { trust: [ca_1] }, green: { trust: [ca_1, ca_2] } }
    files: { name: main }
  blue: { authority: ca_1 }
  green: { authority: below, callers: [] }
";

fn ready(resolution: Resolution) -> Arc<Resource> {
    match resolution {
        Resolution::Ready(resource) => resource,
        held => panic!("{held:?}"),
    }
}

fn held(resolution: Resolution) -> (Option<NodeName>, String) {
    match resolution {
        Resolution::Held { awaits, why } => (awaits, why),
        ready => panic!("{ready:?}"),
    }
}

/// The secret inside, which bears the name asked for.
fn content(name: &str, resource: &Resource) -> secret::Type {
    let any = Any::decode(resource.any.clone()).unwrap();
    let secret = Secret::decode(any.value.as_slice()).unwrap();
    assert_eq!((resource.name.as_str(), secret.name.as_str()), (name, name));
    secret.r#type.unwrap()
}

fn context(name: &str, resource: &Resource) -> CertificateValidationContext {
    match content(name, resource) {
        secret::Type::ValidationContext(context) => context,
        other => panic!("{name}: {other:?}"),
    }
}

/// The URIs that are expected; `nobody` for the matcher that none fits.
fn expected(context: &CertificateValidationContext) -> Vec<String> {
    let matchers = context.match_typed_subject_alt_names.iter();
    let pattern = |pattern| match pattern {
        MatchPattern::Exact(uri) => uri,
        MatchPattern::SafeRegex(_) => "nobody".to_owned(),
        other => panic!("{other:?}"),
    };
    matchers.map(|m| pattern(m.matcher.clone().unwrap().match_pattern.unwrap())).collect()
}

/// The common names of the roots; those of the SPIFFE validator after their trust domain.
fn roots(context: &CertificateValidationContext) -> Vec<String> {
    use envoy_types::pb::envoy::config::core::v3::DataSource;
    use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::SpiffeCertValidatorConfig;
    let names = |source: &DataSource| -> Vec<String> {
        let Some(Specifier::InlineBytes(pem)) = &source.specifier else { panic!() };
        let roots = Certificate::all_from_pem(pem).unwrap();
        roots.iter().map(|root| root.common_name().unwrap().to_owned()).collect()
    };
    match &context.custom_validator_config {
        None => names(context.trusted_ca.as_ref().unwrap()),
        Some(custom) => {
            let config = &custom.typed_config.as_ref().unwrap().value;
            let config = SpiffeCertValidatorConfig::decode(config.as_slice()).unwrap();
            let domains = config.trust_domains.iter();
            domains
                .flat_map(|domain| {
                    let names = names(domain.trust_bundle.as_ref().unwrap());
                    std::iter::once(domain.name.clone()).chain(names)
                })
                .collect()
        }
    }
}

fn leaf_of(name: &str, resource: &Resource) -> Certificate {
    let secret::Type::TlsCertificate(certificate) = content(name, resource) else { panic!() };
    let Some(Specifier::InlineBytes(pem)) = certificate.certificate_chain.unwrap().specifier else {
        panic!()
    };
    Certificate::all_from_pem(&pem).unwrap().swap_remove(0)
}

fn leaf(mesh: &Published, node: &str) -> Certificate {
    let node = mesh.snapshot.node(&node_name(node)).unwrap();
    node.leaf.as_ref().unwrap().credential.leaf().clone()
}

#[test]
fn a_certificate_is_had_by_each_of_its_names() {
    let mesh = published(RICH);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let view = view(&["front"]);
    for name in [
        "default",
        "front",
        "spiffe://example.org/front",
        "file-cert:/etc/certs/main_cert_chain.pem~/etc/certs/main_key.pem",
        "file-cert:main_cert.pem~main_key.pem",
    ] {
        let resource = ready(catalogue.resolve(name, &view, &[]));
        assert_eq!(leaf_of(name, &resource), leaf(&mesh, "front"), "{name}");
        let [aspect] = &resource.aspects[..] else { panic!("{:?}", resource.aspects) };
        assert_eq!(aspect.part, Part::Leaf(node_name("front")));
        assert_eq!(catalogue.depends_on(name, &view, &[]), [node_name("front")], "{name}");
    }
}

#[test]
fn trust_is_had_by_each_of_its_names() {
    let mesh = published(RICH);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let view = view(&["front"]);
    let (blue, green) = ("spiffe://example.org/blue", "spiffe://example.org/green");
    let callers = &[blue, "spiffe://partner.example/x"][..];
    let [spiffe, backends] = ["example.org", "ca_1"].map(|first| [first, "ca_1", "ca_2"]);
    let both = &["example.org", "ca_1", "partner.example", "partner"][..];
    for (name, anchors, ids) in [
        ("ROOTCA", &["ca_1", "partner"][..], &[][..]),
        ("spiffe-validator:ROOTCA", both, &[]),
        ("ALL", both, &[]),
        ("spiffe://example.org", &["ca_1"], &[]),
        ("spiffe://partner.example", &["partner"], &[]),
        ("spiffe-validator:spiffe://partner.example", &["partner.example", "partner"], &[]),
        ("callers", &["ca_2"], callers),
        ("callers:front", &["ca_2"], callers),
        ("spiffe-validator:callers:front", &["example.org", "ca_2"], callers),
        ("backends", &backends[1..], &[blue, green]),
        ("backends:front", &["ca_1", "ca_2"], &[blue, green]),
        ("spiffe-validator:backends", &spiffe, &[blue, green]),
        ("backends:/blue", &["ca_1"], &[blue]),
        ("backends:front/green", &["ca_1", "ca_2"], &[green]),
        ("file-root:/certs/main_trust.pem", &["ca_1", "partner"], &[]),
        ("file-root:/certs/main_listener_trust.pem", &["ca_2"], &[]),
        ("file-root:main_backend_green_trust.pem", &["ca_1", "ca_2"], &[]),
    ] {
        let resource = ready(catalogue.resolve(name, &view, &[]));
        let context = context(name, &resource);
        assert_eq!(roots(&context), anchors, "{name}");
        assert_eq!(expected(&context), ids, "{name}");
        let [aspect] = &resource.aspects[..] else { panic!("{:?}", resource.aspects) };
        assert_eq!(aspect.part, Part::Trust(node_name("front")));
        assert_eq!(catalogue.depends_on(name, &view, &[]), [node_name("front")], "{name}");
    }
}

#[test]
fn authorities_are_had_by_name_in_mesh_order() {
    let mesh = published(RICH);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let view = view(&["blue"]);
    for (name, anchors) in [
        ("ca_1", &["ca_1"][..]),
        ("below", &["ca_2"]),
        ("ca_2+ca_1+below", &["ca_1", "ca_2"]),
        ("spiffe-validator:ca_1", &["example.org", "ca_1"]),
        ("file-root:/certs/ca_1_cert.pem", &["ca_1"]),
        ("file-root:/certs/ca_1_ca_2_bundle.pem", &["ca_1", "ca_2"]),
        ("file-root:ca_1_ca_2_below_partner_bundle.pem", &["ca_1", "ca_2", "partner"]),
    ] {
        let resource = ready(catalogue.resolve(name, &view, &[]));
        assert_eq!(roots(&context(name, &resource)), anchors, "{name}");
        assert!(!resource.aspects.is_empty(), "{name}");
        for Aspect { part, generation } in &resource.aspects {
            assert!(matches!(part, Part::Roots(_)), "{name}: {part:?}");
            assert_eq!(*generation, mesh.snapshot.mesh().generation, "{name}");
        }
        assert_eq!(catalogue.depends_on(name, &view, &[]), [], "{name}");
    }
}

#[test]
fn among_others_a_distrusted_authority_is_left_out_and_alone_it_is_not_to_be_had() {
    let mut mesh = published(COLORAPP);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let view = view(&["blue"]);
    let sets = ["ca_1+ca_2", "file-root:/certs/ca_1_ca_2_bundle.pem"];
    let of = |set| roots(&context(set, &ready(catalogue.resolve(set, &view, &[]))));
    assert_eq!(sets.map(of), [["ca_1", "ca_2"]; 2]);
    mesh.edit(
        &format!("{COLORAPP}distrust: [ca_2]")
            .replace("green: { authority: ca_2", "green: { authority: ca_1"),
    );
    assert_eq!(sets.map(of), [["ca_1"]; 2]);
    for name in ["ca_2", "spiffe-validator:ca_2"] {
        held(catalogue.resolve(name, &view, &[]));
    }
}

#[test]
fn who_names_nobody_accepts_all_and_who_expects_nobody_none() {
    let mesh = published(RICH);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let view = view(&["blue", "green"]);
    for (name, ids) in [
        ("callers:blue", &[][..]),
        ("backends:blue", &[]),
        ("callers:green", &["nobody"]),
        ("spiffe-validator:callers:green", &["nobody"]),
    ] {
        let resource = ready(catalogue.resolve(name, &view, &[]));
        assert_eq!(expected(&context(name, &resource)), ids, "{name}");
    }
    mesh.set_trust("blue", |trust| trust.backends = Some(indexmap::IndexMap::new()));
    let context = context("backends:blue", &ready(catalogue.resolve("backends:blue", &view, &[])));
    assert_eq!(
        (expected(&context), roots(&context)),
        (vec!["nobody".to_owned()], vec!["ca_1".to_owned()])
    );
}

#[test]
fn who_names_no_backends_has_any_node_for_one_as_the_mesh_has_it() {
    let mut mesh = published(RICH);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let name = "backends:blue/green";
    let expects = |mesh: &str| {
        let resource = ready(catalogue.resolve(name, &view(&["blue"]), &[]));
        let context = context(name, &resource);
        assert_eq!(roots(&context), ["ca_1"], "{mesh}");
        expected(&context)
    };
    assert_eq!(expects("before"), ["spiffe://example.org/green"]);
    mesh.edit(&RICH.replace("authority: below,", "authority: below, spiffePath: /grass,"));
    assert_eq!(expects("after"), ["spiffe://example.org/grass"]);
}

#[test]
fn a_node_comes_before_an_authority_of_its_name() {
    let mesh = published(
        "{version: 1, trustDomain: d, authorities: {a: }, \
         virtualNodes: {a: {authority: a, files: {name: node_a}}, b: {authority: a}}}",
    );
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let resource = ready(catalogue.resolve("a", &view(&["a"]), &[]));
    assert_eq!(leaf_of("a", &resource), leaf(&mesh, "a"));
    held(catalogue.resolve("a", &view(&["b"]), &[]));
    let roots_of_a = ready(catalogue.resolve("spiffe-validator:a", &view(&["b"]), &[]));
    assert_eq!(roots(&context("spiffe-validator:a", &roots_of_a)), ["d", "a"]);
}

#[test]
fn everything_is_each_nodes_certificate_and_what_ones_own_node_trusts() {
    let mesh = published(RICH);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let (one, domains) = (view(&["front"]), ["spiffe://example.org", "spiffe://partner.example"]);
    let front = "spiffe://example.org/front";
    assert_eq!(catalogue.all(&one, &[]), [front, domains[0], domains[1]]);
    let two = view(&["blue", "front", "gone"]);
    let ids = ["spiffe://example.org/blue", front];
    assert_eq!(catalogue.all(&two, &[]), ids);
    assert_eq!(catalogue.all(&two, &["blue"]), [ids[0], ids[1], domains[0]]);
    assert_eq!(catalogue.all(&View::default(), &[]), [""; 0]);
    for name in catalogue.all(&two, &["front"]) {
        ready(catalogue.resolve(&name, &two, &["front"]));
    }
}

#[test]
fn what_is_the_same_is_encoded_once() {
    let mesh = published(RICH);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let view = view(&["front", "blue"]);
    for name in ["default", "ROOTCA", "callers", "spiffe://example.org/front", "ca_1"] {
        let first = ready(catalogue.resolve(name, &view, &["front"]));
        mesh.renew("blue");
        let second = ready(catalogue.clone().resolve(name, &view, &["front"]));
        assert!(Arc::ptr_eq(&first, &second), "{name}");
    }
    // One name, but another node's.
    let mine = ready(catalogue.resolve("default", &view, &["front"]));
    let other = ready(catalogue.resolve("default", &view, &["blue"]));
    assert_ne!(mine.version, other.version);
    assert!(Arc::ptr_eq(&mine, &ready(catalogue.resolve("default", &view, &["front"]))));
}

#[test]
fn what_changed_is_encoded_anew_and_what_only_counts_anew_keeps_its_version() {
    let mut mesh = published(COLORAPP);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let view = view(&["front"]);
    let resolve = |name| ready(catalogue.resolve(name, &view, &[]));
    let (certificate, trust, set) = (resolve("default"), resolve("ROOTCA"), resolve("ca_1"));

    mesh.renew("front");
    assert_ne!(resolve("default").version, certificate.version);
    assert!(Arc::ptr_eq(&resolve("ROOTCA"), &trust));

    mesh.set_trust("front", |_| ());
    let again = resolve("ROOTCA");
    assert_eq!((&again.version, &again.any), (&trust.version, &trust.any));
    assert!(again.aspects[0].generation > trust.aspects[0].generation);

    mesh.edit(&COLORAPP.replace("trust: [ca_1], backends", "trust: [ca_1, ca_2], backends"));
    assert_ne!(resolve("ROOTCA").version, trust.version);
    assert_eq!(resolve("ca_1").version, set.version);
}

#[test]
fn another_catalogue_gives_the_same_versions() {
    let mesh = published(RICH);
    let view = view(&["front"]);
    let [one, other] = [(), ()].map(|()| Catalogue::new(mesh.snapshot.clone()));
    for name in ["default", "ROOTCA", "ALL", "callers", "backends", "ca_1+ca_2"] {
        let [one, other] = [&one, &other].map(|c| ready(c.resolve(name, &view, &[])));
        assert_eq!(one, other, "{name}");
    }
}

#[test]
fn a_resource_shows_no_key() {
    let mesh = published(COLORAPP);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let resolution = catalogue.resolve("default", &view(&["front"]), &[]);
    let shown = format!("{resolution:?} {catalogue:?}");
    assert!(shown.contains("default"), "{shown}");
    assert!(!shown.contains("PRIVATE KEY") && !shown.contains("80, 82, 73, 86"), "{shown}");
}
