//! Handshakes that work and that don't, in both directions, and what is said of each.

use std::path::Path;

use super::*;
use crate::desired::mesh_file::MeshFile;
use crate::identity::NodeName;

const COLORAPP: &str = include_str!("../../tests/fixtures/mesh/colorapp.yaml");

fn mesh(authorities: &str, nodes: &str) -> String {
    format!(
        "version: 1\ntrustDomain: example.org\nauthorities: {{ {authorities} }}\n\
         virtualNodes: {{ {nodes} }}\n"
    )
}

fn explained(mesh: &str, from: &str, to: &str) -> Explanation {
    let desired = MeshFile::read(Path::new("mesh.yaml"), mesh.as_bytes()).unwrap().desired;
    let node = |name| &desired.identities[&NodeName::parse(name).unwrap()];
    explain(&desired, node(from), node(to))
}

/// The findings, each with `+` or `-` for whether it holds, and its change.
fn rules(explanation: &Explanation) -> Vec<String> {
    let rules = explanation.rules.iter().map(|rule| {
        assert_eq!(rule.holds, rule.change.is_none(), "what fails says what to change");
        let change = rule.change.as_ref().map(|change| format!(" => {change}"));
        let sign = if rule.holds { '+' } else { '-' };
        format!("{sign} {}{}", rule.finding, change.unwrap_or_default())
    });
    rules.collect()
}

#[track_caller]
fn accepted(mesh: &str, from: &str, to: &str, wanted: &[&str]) -> Explanation {
    let explanation = explained(mesh, from, to);
    assert_eq!(rules(&explanation), wanted);
    assert!(explanation.accepted);
    explanation
}

#[track_caller]
fn refused(mesh: &str, from: &str, to: &str, wanted: &[&str]) -> Explanation {
    let explanation = explained(mesh, from, to);
    assert_eq!(rules(&explanation), wanted);
    assert!(!explanation.accepted);
    explanation
}

#[test]
fn the_walkthrough_before_and_after_add_green() {
    let blue = accepted(
        COLORAPP,
        "front",
        "colorapp-blue",
        &[
            "+ front trusts ca_1; colorapp-blue is signed by ca_1",
            "+ colorapp-blue trusts ca_1; front is signed by ca_1",
            "+ colorapp-blue expects calls from front; front calls",
        ],
    );
    assert_eq!((blue.from.as_str(), blue.to.as_str()), ("front", "colorapp-blue"));
    assert!(blue.notes.is_empty());
    refused(
        COLORAPP,
        "front",
        "colorapp-green",
        &[
            "- front trusts ca_1; colorapp-green is signed by ca_2 => add ca_2 to front.trust",
            "+ colorapp-green trusts ca_1; front is signed by ca_1",
            "+ colorapp-green expects calls from front; front calls",
        ],
    );
    let after = COLORAPP.replace("ca_1, trust: [ca_1]", "ca_1, trust: [ca_1, ca_2]");
    assert!(explained(&after, "front", "colorapp-green").accepted);
}

#[test]
fn the_server_refuses_too() {
    refused(
        COLORAPP,
        "colorapp-green",
        "colorapp-blue",
        &[
            "+ colorapp-green trusts ca_1; colorapp-blue is signed by ca_1",
            "- colorapp-blue trusts ca_1; colorapp-green is signed by ca_2 => add ca_2 to \
             colorapp-blue.trust",
            "- colorapp-blue expects calls from front; colorapp-green calls => add colorapp-green \
             to colorapp-blue.callers",
        ],
    );
    let refusals = refused(
        COLORAPP,
        "colorapp-green",
        "front",
        &[
            "+ colorapp-green trusts ca_1; front is signed by ca_1",
            "- front trusts ca_1; colorapp-green is signed by ca_2 => add ca_2 to front.trust",
        ],
    );
    let note = "front names no callers: whoever has a certificate of ca_1 may call it";
    assert_eq!(refusals.notes, [note]);
}

#[test]
fn trust_of_a_listener_and_of_a_backend_are_each_their_own() {
    let text = mesh(
        "a: {}, b: {}",
        "front: { authority: a, trust: [a], listener: { trust: [b] }, \
         backends: { blue: { trust: [b] }, green: {} } }, \
         blue: { authority: b, trust: [a] }, green: { authority: b, trust: [a] }",
    );
    accepted(
        &text,
        "front",
        "blue",
        &[
            "+ front lists blue among its backends",
            "+ front trusts b; blue is signed by b",
            "+ blue trusts a; front is signed by a",
        ],
    );
    refused(
        &text,
        "front",
        "green",
        &[
            "+ front lists green among its backends",
            "- front trusts a; green is signed by b => add b to front.trust",
            "+ green trusts a; front is signed by a",
        ],
    );
    // As a server, front goes by its listener's trust.
    let text =
        text.replace("blue: { authority: b, trust: [a]", "blue: { authority: b, trust: [a, b]");
    assert!(explained(&text, "blue", "front").accepted);
    let text = text.replace("listener: { trust: [b] }", "listener: { trust: [a] }");
    let text = text.replace("trust: [a], listener", "trust: [b], listener");
    let explanation = explained(&text, "blue", "front");
    assert_eq!(
        rules(&explanation)[1],
        "- front trusts a; blue is signed by b => add b to front.listener.trust"
    );
    let text = text.replace("blue: { trust: [b] }", "blue: { trust: [a] }");
    let explanation = explained(&text, "front", "blue");
    assert_eq!(
        rules(&explanation)[1],
        "- front trusts a; blue is signed by b => add b to front.backends.blue.trust"
    );
}

#[test]
fn who_lists_backends_calls_no_others() {
    let text = mesh(
        "a: {}",
        "front: { authority: a, backends: [blue] }, blue: { authority: a }, green: { authority: a }",
    );
    refused(
        &text,
        "front",
        "green",
        &[
            "- front lists its backends, and green is not among them => add green to \
             front.backends",
            "+ front trusts a; green is signed by a",
            "+ green trusts a; front is signed by a",
        ],
    );
    assert!(explained(&text, "green", "blue").accepted, "who lists none may call anyone");
}

#[test]
fn intermediates_of_one_root_admit_each_other() {
    let text = mesh(
        "top: {}, one: { local: { parent: top } }, two: { local: { parent: one } }, apart: {}",
        "a: { authority: one, trust: [one] }, b: { authority: two, trust: [two] }, \
         c: { authority: apart, trust: [top] }",
    );
    accepted(
        &text,
        "a",
        "b",
        &[
            "+ a trusts one; b is signed by two, which shares its root top with one",
            "+ b trusts two; a is signed by one, which shares its root top with two",
        ],
    );
    let explanation = explained(&text, "c", "b");
    assert_eq!(
        rules(&explanation),
        [
            "+ c trusts top; b is signed by two, which shares its root top with top",
            "- b trusts two; c is signed by apart => add apart to b.trust",
        ]
    );
}

#[test]
fn callers_may_be_named_by_their_id() {
    let nodes = |callers: &str| {
        mesh(
            "a: {}",
            &format!("front: {{ authority: a }}, back: {{ authority: a, callers: [{callers}] }}"),
        )
    };
    let ok = explained(&nodes("\"spiffe://example.org/front\""), "front", "back");
    assert_eq!(rules(&ok)[2], "+ back expects calls from spiffe://example.org/front; front calls");
    let partner = explained(&nodes("\"spiffe://partner.example/front\", back"), "front", "back");
    assert_eq!(
        rules(&partner)[2],
        "- back expects calls from spiffe://partner.example/front, back; front calls => add front \
         to back.callers"
    );
    let nobody = explained(&nodes(""), "front", "back");
    assert!(rules(&nobody)[2].starts_with("- back expects calls from nobody; front calls"));
}

#[test]
fn a_permissive_listener_is_noted_and_changes_no_rule() {
    let text = mesh(
        "a: {}, b: {}",
        "front: { authority: a, trust: [a] }, \
         back: { authority: b, listener: { mode: permissive, trust: [a, b] } }",
    );
    let explanation = explained(&text, "front", "back");
    assert!(!explanation.accepted);
    assert_eq!(
        explanation.notes,
        [
            "back's listener is permissive: it accepts plain text too, from anyone",
            "back names no callers: whoever has a certificate of a and b may call it",
        ]
    );
}

#[test]
fn a_partners_roots_admit_nobody_of_ours() {
    let text = mesh(
        "a: {}, partner: { trustOnly: { certificates: partner.pem } }",
        "front: { authority: a, trust: [partner] }, back: { authority: a }",
    );
    let explanation = explained(&text, "front", "back");
    assert_eq!(
        rules(&explanation)[0],
        "- front trusts partner; back is signed by a => add a to front.trust"
    );
}

#[test]
fn a_node_that_calls_itself_goes_by_the_same_rules() {
    assert!(explained(COLORAPP, "front", "front").accepted);
    assert!(!explained(COLORAPP, "colorapp-green", "colorapp-green").accepted);
}

#[test]
fn the_leaf_of_a_distrusted_authority_is_refused_whatever_is_trusted() {
    let text = mesh(
        "a: {}, b: {}, c: { local: { parent: b } }",
        "x: { authority: a, trust: [a, b] }, y: { authority: b, trust: [a] }, \
         z: { authority: c, trust: [a] }",
    );
    // No mesh file has such a node; a running agent has, until the node has moved.
    let mut desired = MeshFile::read(Path::new("mesh.yaml"), text.as_bytes()).unwrap().desired;
    desired.distrust.push(AuthorityName::parse("b").unwrap());
    let node = |name| &desired.identities[&NodeName::parse(name).unwrap()];
    let told = |to| rules(&explain(&desired, node("x"), node(to))).swap_remove(0);
    assert_eq!(
        told("y"),
        "- x trusts a and b; y is signed by b; b is distrusted => give y an authority that is not \
         distrusted"
    );
    assert_eq!(
        told("z"),
        "- x trusts a and b; z is signed by c, which is under b; b is distrusted => give z an \
         authority that is not distrusted"
    );
    assert!(explain(&desired, node("x"), node("x")).accepted);
}

#[test]
fn what_explain_says_is_what_verification_says() {
    use crate::x509::verification::{Purpose, Roots};
    use time::macros::datetime;

    // Trust alone, between every two nodes, as rustls-webpki sees the certificates themselves.
    let text = mesh(
        "a: {}, b: {}, c: { local: { parent: b } }, d: { local: { parent: b } }",
        "na: { authority: a, trust: [a, c] }, nb: { authority: b, trust: [d] }, \
         nc: { authority: c, trust: [a] }, nd: { authority: d, trust: [b, a] }",
    );
    let desired = MeshFile::read(Path::new("mesh.yaml"), text.as_bytes()).unwrap().desired;
    let now = datetime!(2026-11-21 8:00 UTC);
    let authorities = authorities(&desired, now);
    let roots = |trust: &TrustSet| {
        let names = trust.names().iter();
        Roots::new(names.map(|name| authorities[name].root())).unwrap()
    };
    for from in desired.identities.values() {
        for to in desired.identities.values() {
            let verifies = |trust: &TrustSet, peer: &Identity| {
                let authority = &authorities[&peer.authority];
                let profile = crate::rotation::profile(&desired, peer);
                let algorithm = peer.key_algorithm;
                let made =
                    crate::provisioning::provision(authority, &profile, algorithm, now).unwrap();
                let issuers: Vec<_> =
                    made.chain().issuers().iter().map(|issuer| issuer.der().clone()).collect();
                roots(trust).verify(made.leaf(), &issuers, Purpose::Server, now).is_ok()
            };
            let explanation = explain(&desired, from, to);
            let handshake = verifies(&from.trust, to) && verifies(&to.listener.trust, from);
            assert_eq!(explanation.accepted, handshake, "{:?}", rules(&explanation));
        }
    }
}

/// The authorities of a mesh that lists parents before their children.
fn authorities(
    desired: &Desired,
    now: crate::time::OffsetDateTime,
) -> std::collections::HashMap<AuthorityName, crate::authority::Authority> {
    use crate::authority::Authority;
    use crate::x509::key::PrivateKey;

    let mut made = std::collections::HashMap::<AuthorityName, Authority>::new();
    for (name, kind) in &desired.authorities {
        let crate::desired::Authority::Local(wanted) = kind else { panic!("{name} is not local") };
        let key = PrivateKey::generate(wanted.key_algorithm).unwrap();
        let skew = desired.clock_skew;
        let chain = match &wanted.parent {
            None => vec![Authority::make_root(wanted, skew, &key, now).unwrap()],
            Some(parent) => {
                let above = &made[parent];
                let own = above.make_intermediate(wanted, skew, 0, key.public(), now).unwrap();
                [&[own], above.chain()].concat()
            }
        };
        made.insert(name.clone(), Authority::new(name.clone(), key, chain).unwrap());
    }
    made
}

#[test]
fn cas_at_aws_are_authorities_like_others_and_only_their_certificates_say_what_is_above_them() {
    let ca = |number: u8| {
        format!(
            "{{arn: \"arn:aws:acm-pca:us-east-2:111122223333:certificate-authority/{number}\"}}"
        )
    };
    let text = mesh(
        &format!(
            "rented: {{ acmPca: [{}, {}] }}, other: {{ acmPca: {} }}, own: {{ local: {{ parent: \
             rented }} }}, here: {{}}",
            ca(1),
            ca(2),
            ca(3)
        ),
        "front: { authority: rented, trust: [rented] }, blue: { authority: own, trust: [rented], \
         callers: [front] }, green: { authority: other, trust: [rented, other], callers: [front] }, \
         red: { authority: here, trust: [rented], callers: [front] }",
    );
    let blue = accepted(
        &text,
        "front",
        "blue",
        &[
            "+ front trusts rented; blue is signed by own, which shares its root rented with rented",
            "+ blue trusts rented; front is signed by rented",
            "+ blue expects calls from front; front calls",
        ],
    );
    let note = "rented is 2 CAs of AWS Private CA: whichever of them signs, whoever trusts rented \
                has the roots of all 2";
    assert_eq!(blue.notes, [note]);
    refused(
        &text,
        "front",
        "green",
        &[
            "- front trusts rented; green is signed by other; whether one leads to the other is in \
             their certificates => look with `certctl verify`, or add other to front.trust",
            "+ green trusts rented and other; front is signed by rented",
            "+ green expects calls from front; front calls",
        ],
    );
    refused(
        &text,
        "front",
        "red",
        &[
            "- front trusts rented; red is signed by here => add here to front.trust",
            "+ red trusts rented; front is signed by rented",
            "+ red expects calls from front; front calls",
        ],
    );
}
