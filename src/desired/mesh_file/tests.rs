//! Mesh files and what they mean; what the tests of refusals share.

use std::time::Duration;

use super::*;
use crate::desired::{
    Account, Authority, Caller, Grant, Identity, ImportedAuthority, ListenerMode, LocalAuthority,
    Selectors, TrustOnlyAuthority,
};
use crate::identity::{AuthorityName, NodeName};
use crate::time::Lifetime;
use crate::x509::key::KeyAlgorithm;
use crate::x509::profile::Subject;

mod hostile;
mod refusals;

pub(super) const COLORAPP: &str = include_str!("../../../tests/fixtures/mesh/colorapp.yaml");
pub(super) const EVERY_FIELD: &str = include_str!("../../../tests/fixtures/mesh/every-field.yaml");

/// `line:column severity message`, then ` -> help`, as the user would find them.
pub(super) fn told(text: &str) -> Vec<String> {
    let problems = match MeshFile::read(Path::new("/mesh/mesh.yaml"), text.as_bytes()) {
        Ok(file) => file.warnings,
        Err(error) => error.problems,
    };
    problems
        .into_iter()
        .map(|problem| {
            let before = &text[..problem.span.start];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
            let help = problem.help.map(|help| format!(" -> {help}")).unwrap_or_default();
            let severity = format!("{:?}", problem.severity).to_lowercase();
            format!("{line}:{column} {severity}: {}{help}", problem.message)
        })
        .collect()
}

fn mesh(text: &str) -> Desired {
    let file = MeshFile::read(Path::new("/mesh/mesh.yaml"), text.as_bytes());
    file.unwrap_or_else(|e| panic!("{e}")).desired
}

fn node<'a>(desired: &'a Desired, name: &str) -> &'a Identity {
    &desired.identities[&NodeName::parse(name).unwrap()]
}

fn authority<'a>(desired: &'a Desired, name: &str) -> &'a Authority {
    &desired.authorities[&AuthorityName::parse(name).unwrap()]
}

fn names<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

#[test]
fn the_walkthroughs_colorapp_means_what_certs_sh_does() {
    let desired = mesh(COLORAPP);
    assert_eq!(names(&desired.authorities.keys().collect::<Vec<_>>()), ["ca_1", "ca_2"]);
    for name in ["ca_1", "ca_2"] {
        let Authority::Local(local) = authority(&desired, name) else { panic!("{name}") };
        assert_eq!(local.subject.common_name.as_deref(), Some(name));
        assert_eq!(local.subject.organization.as_deref(), Some("howto-k8s-mtls-file-based.aws"));
        assert_eq!((local.lifetime, &local.parent), (Lifetime::days(3_650), &None));
    }
    let front = node(&desired, "front");
    assert_eq!(front.spiffe_id.as_str(), "spiffe://howto-k8s-mtls-file-based.aws/front");
    assert_eq!(names(&front.dns_names), ["front.howto-k8s-mtls-file-based.svc.cluster.local"]);
    assert_eq!(names(front.trust.names()), ["ca_1"]);
    assert_eq!((front.lifetime, front.key_algorithm), (Lifetime::hours(24), KeyAlgorithm::EcP256));
    assert_eq!((&front.listener.callers, &front.backends), (&None, &None));
    assert_eq!((front.listener.mode, front.files.mode), (ListenerMode::Strict, 0o600));
    let green = node(&desired, "colorapp-green");
    assert_eq!(
        (green.authority.as_str(), names(green.trust.names())),
        ("ca_2", vec!["ca_1".into()])
    );
    assert_eq!(green.listener.trust, green.trust);
    assert_eq!(green.listener.callers, Some(vec![Caller::Node(NodeName::parse("front").unwrap())]));
    assert_eq!(desired.clock_skew, Duration::from_secs(300));
    assert_eq!(told(COLORAPP), [""; 0]);
}

#[test]
fn every_field_reaches_its_place() {
    let desired = mesh(EVERY_FIELD);
    assert_eq!(desired.clock_skew, Duration::from_secs(600));
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        authority(&desired, "root"),
        &Authority::Local(LocalAuthority {
            subject: Subject {
                common_name: text("Example Root"),
                organization: text("Example"),
                organizational_unit: text("Mesh"),
                country: text("DE"),
                province: text("Berlin"),
                locality: text("Berlin"),
            },
            key_algorithm: KeyAlgorithm::Rsa4096,
            lifetime: Lifetime::days(1_825),
            parent: None,
            passphrase_file: Some("/mesh/secrets/root".into()),
        })
    );
    let Authority::Local(issuing) = authority(&desired, "issuing") else { panic!() };
    assert_eq!(issuing.parent, Some(AuthorityName::parse("root").unwrap()));
    assert_eq!(issuing.lifetime, Lifetime::days(365));
    assert_eq!(
        authority(&desired, "bought"),
        &Authority::Imported(ImportedAuthority {
            certificate: "/mesh/bought/cert.pem".into(),
            key: "/etc/bought/key.pem".into(),
            passphrase_file: Some("/mesh/bought/passphrase".into()),
        })
    );
    let certificates = "/mesh/partner.pem".into();
    let trust_domain = Some(TrustDomain::parse("partner.example").unwrap());
    let partner = Authority::TrustOnly(TrustOnlyAuthority { certificates, trust_domain });
    assert_eq!(authority(&desired, "partner"), &partner);

    assert_eq!(names(&desired.distrust), ["stolen"]);
    let front = node(&desired, "front");
    assert_eq!(front.spiffe_id.path(), "/ns/default/front");
    assert_eq!(names(&front.dns_names), ["front.example.org", "www.example.org"]);
    assert_eq!(names(front.trust.names()), ["issuing", "bought"]);
    assert_eq!(names(front.listener.trust.names()), ["root", "partner"]);
    assert_eq!(front.listener.mode, ListenerMode::Strict);
    let shop = Caller::Id("spiffe://partner.example/shop".parse().unwrap());
    let ingress = Caller::Node(NodeName::parse("ingress").unwrap());
    assert_eq!(front.listener.callers, Some(vec![shop, ingress]));
    let backends = front.backends.as_ref().unwrap();
    let backend = |name: &str| &backends[&NodeName::parse(name).unwrap()];
    assert_eq!(names(backend("colors").trust.names()), ["issuing"]);
    assert_eq!((backend("colors").port, backend("shapes").port), (Some(8080), None));
    assert_eq!(backend("shapes").trust, front.trust);
    assert_eq!((front.lifetime, front.key_algorithm), (Lifetime::hours(1), KeyAlgorithm::Rsa2048));
    assert_eq!(front.files.base.as_str(), "front-proxy");
    assert_eq!(front.files.owner, Some(Account::Id(101)));
    assert_eq!(front.files.group, Some(Account::Name("envoy".to_owned())));
    assert_eq!(front.files.mode, 0o600);
    let envoy = Selectors {
        uid: Some(0),
        gid: Some(1337),
        executable: Some("/usr/local/bin/envoy".into()),
        ..Selectors::default()
    };
    let contained = Selectors {
        sha256: text(&"0123456789abcdef".repeat(4)),
        pod: text("9ad31421-f95b-4fb7-a5ea-6a9bf8a3d8a8"),
        container: text("6d2b5f5c"),
        ..Selectors::default()
    };
    assert_eq!(front.attest, [Grant::Process(envoy), Grant::Process(contained)]);
    assert_eq!(node(&desired, "ingress").attest, [Grant::Any]);
}

#[test]
fn defaults_fill_in_what_a_node_leaves_out_and_its_own_word_wins() {
    let desired = mesh(EVERY_FIELD);
    let colors = node(&desired, "colors");
    assert_eq!((colors.authority.as_str(), colors.dns_names.len()), ("issuing", 0));
    assert_eq!(
        (colors.lifetime, colors.key_algorithm),
        (Lifetime::hours(12), KeyAlgorithm::EcP384)
    );
    assert_eq!(names(colors.trust.names()), ["root", "partner"]);
    assert_eq!(names(colors.listener.trust.names()), ["root"]);
    assert_eq!(colors.listener.mode, ListenerMode::Permissive);
    assert_eq!(colors.files.owner, Some(Account::Name("envoy".to_owned())));
    assert_eq!((&colors.files.group, colors.files.mode), (&Some(Account::Id(1337)), 0o640));
    let user = Selectors { uid: Some(101), ..Selectors::default() };
    assert_eq!(colors.attest, [Grant::Process(user)]);
    // Its own `trust` stands for both directions, before a default for one of them.
    let ingress = node(&desired, "ingress");
    assert_eq!(names(ingress.listener.trust.names()), ["issuing"]);
    assert_eq!(names(&ingress.dns_names), ["ingress.mesh.example.org"]);
}

#[test]
fn trust_is_that_of_the_peers_where_nobody_says() {
    let desired = mesh(
        "version: 1\ntrustDomain: d\nauthorities: {a: , b: , c: , d: }\nvirtualNodes:\n  \
         w: {authority: d, callers: [x], backends: [y]}\n  \
         x: {authority: c, callers: ['spiffe://d/y', 'spiffe://other/z']}\n  \
         y: {authority: a}\n",
    );
    assert_eq!(names(node(&desired, "w").trust.names()), ["a", "c", "d"]);
    assert_eq!(names(node(&desired, "x").trust.names()), ["a", "c"]);
    assert_eq!(names(node(&desired, "y").trust.names()), ["a"]);
}

#[test]
fn the_one_authority_that_signs_needs_no_mention() {
    let desired = mesh(
        "version: 1\ntrustDomain: d\nauthorities: {a: , p: {trustOnly: {certificates: p}}}\n\
         virtualNodes: {x: }",
    );
    assert_eq!(node(&desired, "x").authority.as_str(), "a");
}

#[test]
fn the_order_is_that_of_the_text() {
    let desired = mesh(
        "version: 1\ntrustDomain: d\nauthorities: {z: , a: }\ndefaults: {authority: a}\n\
         virtualGateways: {g: }\nvirtualNodes: {y: , b: }",
    );
    assert_eq!(names(&desired.authorities.keys().collect::<Vec<_>>()), ["z", "a"]);
    assert_eq!(names(&desired.identities.keys().collect::<Vec<_>>()), ["g", "y", "b"]);
}

#[test]
fn named_files_are_listed_with_their_places() {
    let file = MeshFile::read(Path::new("/mesh/mesh.yaml"), EVERY_FIELD.as_bytes()).unwrap();
    let listed: Vec<_> = file
        .files
        .iter()
        .map(|f| (f.path.to_str().unwrap(), f.field, &EVERY_FIELD[f.span.clone()]))
        .collect();
    assert_eq!(
        listed,
        [
            ("/mesh/secrets/root", "passphraseFile", "secrets/root"),
            ("/mesh/bought/passphrase", "passphraseFile", "bought/passphrase"),
            ("/mesh/bought/cert.pem", "certificate", "bought/cert.pem"),
            ("/etc/bought/key.pem", "key", "/etc/bought/key.pem"),
            ("/mesh/partner.pem", "certificates", "partner.pem"),
            ("/mesh/rented.pem", "certificates", "rented.pem"),
        ]
    );
}

#[test]
fn a_refusal_in_one_line_names_the_first_place_and_counts_the_rest() {
    let error = MeshFile::read(Path::new("m.yaml"), b"version: 1\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "m.yaml:1:1: the mesh file needs a field `authorities` (and 1 more error)"
    );
    let error = MeshFile::read(Path::new("m.yaml"), b"a: \xff\n").unwrap_err();
    assert!(error.to_string().starts_with("m.yaml:1:4: the file is not UTF-8"), "{error}");
}
