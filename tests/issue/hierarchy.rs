//! Intermediates: under local and imported parents, two levels deep, and with the root's key away.

use crate::support::site::{Site, mesh};

const NODES: &str = "front: { authority: low }, back: { authority: mid }";

fn two_levels() -> Site {
    let site = Site::of(
        "top: {}, mid: { local: { parent: top } }, low: { local: { parent: mid } }",
        NODES,
    );
    site.issue("").done();
    site
}

/// What openssl says of a CA certificate's path length.
fn path_length(site: &Site, name: &str) -> String {
    let text = site.run(&format!("x509 -in certs/{name}_cert.pem -noout -ext basicConstraints"));
    text.lines().last().unwrap().trim().to_owned()
}

#[test]
fn two_levels_verify_and_nest() {
    let site = two_levels();
    assert_eq!(path_length(&site, "top"), "CA:TRUE");
    assert_eq!(path_length(&site, "mid"), "CA:TRUE, pathlen:1");
    assert_eq!(path_length(&site, "low"), "CA:TRUE, pathlen:0");
    let pem = |name: &str| site.text(&format!("certs/{name}.pem"));
    // A peer must have the root anyway, so the chain stops below it (RFC 8446 section 4.4.2).
    assert_eq!(pem("front_cert_chain"), pem("front_cert") + &pem("low_cert") + &pem("mid_cert"));
    assert_eq!(pem("back_cert_chain"), pem("back_cert") + &pem("mid_cert"));
    for node in ["front", "back"] {
        site.verify("top", node);
        assert_eq!(pem(&format!("{node}_trust")), pem("top_cert"), "trust is in the root");
    }
    assert_eq!(pem("low_bundle"), pem("top_cert"));
    for ca in ["mid", "low"] {
        assert_eq!(site.mode(&format!("certs/{ca}_key.pem")), 0o600);
        let end = |name: &str| site.run(&format!("x509 -in certs/{name}_cert.pem -noout -enddate"));
        assert_ne!(end(ca), end("top"), "nested, not equal");
    }
    let before = site.everything("certs");
    site.issue("").done().tells("0 files written");
    assert_eq!(site.everything("certs"), before);
}

#[test]
fn under_an_imported_parent() {
    let site = Site::of(
        "bought: { local: { certificate: ca.pem, key: ca.key } }, mid: { local: { parent: bought } }, \
         low: { local: { parent: mid } }",
        NODES,
    );
    site.run(
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 99 -subj /CN=Bought \
         -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign",
    );
    site.issue("").done();
    site.verify("bought", "front");
    site.verify("bought", "back");
    let before = site.everything("certs");
    site.issue("").done();
    assert_eq!(site.everything("certs"), before);
}

#[test]
fn a_ca_added_below_an_intermediate_has_it_signed_anew_with_its_old_key() {
    let site = Site::of("top: {}, mid: { local: { parent: top } }", "back: { authority: mid }");
    site.issue("").done();
    assert_eq!(path_length(&site, "mid"), "CA:TRUE, pathlen:0");
    let (key, old_leaf) = (site.read("certs/mid_key.pem"), site.text("certs/back_cert.pem"));
    let authorities = "top: {}, mid: { local: { parent: top } }, low: { local: { parent: mid } }";
    site.write("mesh.yaml", mesh(authorities, NODES));
    site.issue("")
        .done()
        .says("mid", &["renewed", "what stands above or below it has changed"])
        .says("low", &["created"])
        .says("back", &["renewed", "its authority has a new certificate"]);
    assert_eq!(path_length(&site, "mid"), "CA:TRUE, pathlen:1");
    assert_eq!(site.read("certs/mid_key.pem"), key);
    site.verify("top", "front");
    site.verify("top", "back");
    // Whoever still has the old leaf is served by the new intermediate too.
    site.write("old.pem", old_leaf);
    site.run("verify -CAfile certs/top_cert.pem -untrusted certs/mid_cert.pem old.pem");
    let before = site.everything("certs");
    site.issue("").done();
    assert_eq!(site.everything("certs"), before);
}

#[test]
fn with_the_roots_key_away_the_intermediates_go_on() {
    let site = two_levels();
    site.rename("certs/top_key.pem", "vault.pem");
    let trust = site.read("certs/front_trust.pem");
    site.issue("--force front --force back")
        .done()
        .says("top", &["trusted", "top_cert.pem is here, but top_key.pem is not"])
        .says("low", &["kept"])
        .says("front", &["renewed"]);
    site.verify("top", "front");
    site.verify("top", "back");
    assert_eq!(site.read("certs/front_trust.pem"), trust);
    let before = site.everything("certs");
    site.issue("").done();
    assert_eq!(site.everything("certs"), before);
    // What needs the root waits for it, and says so.
    site.edit("authorities: {", "authorities: { new: { local: { parent: top } },");
    site.issue("")
        .failed(&["new: its parent top cannot sign: top_cert.pem is here, but top_key.pem is not"])
        .says("new", &["FAILED"])
        .says("front", &["kept"]);
    site.rename("vault.pem", "certs/top_key.pem");
    site.issue("").done().says("new", &["created"]);
}

#[test]
fn a_lost_intermediate_key_is_not_replaced_even_when_its_certificate_should_be() {
    let site = two_levels();
    site.remove("certs/mid_key.pem");
    let before = site.everything("certs");
    let words = "mid_cert.pem is here, but mid_key.pem is not";
    site.issue("").failed(&[words]).says("mid", &["FAILED"]).says("low", &["kept"]);
    assert_eq!(site.everything("certs"), before, "and what is trusted stays the root");
    // Another child would need its path length changed; its key is still not made anew.
    site.edit("authorities: {", "authorities: { deep: { local: { parent: low } },");
    site.issue("").failed(&[words]).says("mid", &["FAILED"]).says("deep", &["FAILED"]);
    assert!(!site.has("certs/mid_key.pem"));
    let changed = site.changed(&before, &site.everything("certs"));
    assert!(!changed.iter().any(|name| name.starts_with("mid_")), "{changed:?}");
    // Nor when its parent is lost as a whole.
    let certificate = site.read("certs/mid_cert.pem");
    site.remove("certs/top_cert.pem");
    site.remove("certs/top_key.pem");
    site.issue("").failed(&[words]).says("top", &["created"]);
    assert_eq!(site.read("certs/mid_cert.pem"), certificate);
    assert!(!site.has("certs/mid_key.pem"));
}

#[test]
fn a_lost_root_is_made_anew_with_all_that_stands_below_it() {
    let site = two_levels();
    let keys = ["mid_key", "low_key"].map(|name| site.read(&format!("certs/{name}.pem")));
    site.remove("certs/top_cert.pem");
    site.remove("certs/top_key.pem");
    site.issue("")
        .done()
        .says("top", &["created"])
        .says("mid", &["renewed"])
        .says("low", &["renewed"])
        .says("front", &["renewed"])
        .tells("front_trust.pem: + top (new) - top (old)");
    assert_eq!(["mid_key", "low_key"].map(|name| site.read(&format!("certs/{name}.pem"))), keys);
    site.verify("top", "front");
    site.verify("top", "back");
}

#[test]
fn a_child_that_goes_lets_its_parent_be() {
    let site = two_levels();
    site.write(
        "mesh.yaml",
        mesh("top: {}, mid: { local: { parent: top } }", "back: { authority: mid }"),
    );
    let certificates = || ["mid", "back"].map(|name| site.read(&format!("certs/{name}_cert.pem")));
    let before = certificates();
    site.issue("").done().says("mid", &["kept"]).says("back", &["kept"]);
    assert_eq!(certificates(), before);
    assert_eq!(path_length(&site, "mid"), "CA:TRUE, pathlen:1", "more than is needed does no harm");
}

#[test]
fn a_broken_parent_stops_those_below_it_alone() {
    let site = two_levels();
    site.edit("authorities: {", "authorities: { other: {},");
    site.edit("virtualNodes: {", "virtualNodes: { apart: { authority: other },");
    site.write("certs/top_cert.pem", "nonsense");
    let before = site.everything("certs");
    let run = site.issue("").failed(&["top: top_cert.pem: there is no PEM block in it"]);
    run.says("mid", &["FAILED", "its parent top cannot sign"])
        .says("low", &["FAILED", "its parent mid cannot sign"])
        .says("front", &["FAILED", "its authority cannot sign"])
        .says("apart", &["created"])
        .tells("note    front_trust.pem stays as it is: low cannot be used");
    let changed = site.changed(&before, &site.everything("certs"));
    assert!(
        changed.iter().all(|n| n.starts_with("apart") || n.starts_with("other")),
        "{changed:?}"
    );
}

#[test]
fn a_root_that_gets_a_parent_keeps_its_key() {
    let site = Site::of("top: {}, mid: {}", "back: { authority: mid }");
    site.issue("").done();
    let key = site.read("certs/mid_key.pem");
    site.edit("mid: {}", "mid: { local: { parent: top } }");
    site.issue("").done().says("mid", &["renewed"]).says("back", &["renewed"]);
    assert_eq!(site.read("certs/mid_key.pem"), key);
    site.verify("top", "back");
    // The way back is not open: a root of the same name would be another one.
    site.edit("mid: { local: { parent: top } }", "mid: {}");
    let before = site.everything("certs");
    site.issue("").failed(&["mid_cert.pem: the chain ends with \"O=example.org, CN=mid\""]);
    assert_eq!(site.everything("certs"), before);
}

#[test]
fn a_hierarchy_is_as_deep_as_verifiers_follow() {
    let levels = |count: usize| {
        let below = (1..count).map(|n| format!("c{n}: {{ local: {{ parent: c{} }} }}", n - 1));
        let authorities: Vec<_> = std::iter::once("c0: {}".to_owned()).chain(below).collect();
        Site::of(&authorities.join(", "), &format!("front: {{ authority: c{} }}", count - 1))
    };
    let site = levels(7);
    site.issue("").done();
    site.verify("c0", "front");
    levels(8).issue("").failed(&["`c7` stands below more than 6 CAs"]);
}
