//! What is held, what it waits for, and what becomes of it.

use super::*;

#[test]
fn a_node_without_a_certificate_is_waited_for() {
    let mesh = published(COLORAPP);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let view = view(&["front"]);
    ready(catalogue.resolve("default", &view, &[]));
    mesh.without_leaf("front");
    for name in ["default", "front", "spiffe://example.org/front"] {
        let (awaits, why) = held(catalogue.resolve(name, &view, &[]));
        assert_eq!(awaits, Some(node_name("front")), "{name}");
        assert!(why.contains("front has no certificate yet"), "{why}");
        assert_eq!(catalogue.depends_on(name, &view, &[]), [node_name("front")]);
    }
    ready(catalogue.resolve("ROOTCA", &view, &[]));
    mesh.renew("front");
    ready(catalogue.resolve("default", &view, &[]));
}

#[test]
fn nothing_is_waited_for_that_nobody_could_make() {
    let mesh = published(RICH);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let view = view(&["front", "gone"]);
    for (name, hint, why) in [
        ("nobody", "front", "no node or authority of this name"),
        ("nobody+ca_1", "front", "no node or authority of this name"),
        ("spiffe://example.org/nobody", "front", "no node of the mesh has this SPIFFE ID"),
        ("spiffe://else.example", "front", "no roots"),
        ("spiffe-validator:spiffe://else.example", "front", "no roots"),
        ("gone", "front", "no node or authority of this name"),
        ("default", "gone", "no node gone any more"),
        ("backends:/green", "blue", "set its node.id"),
        ("backends:/nobody", "front", "front names no such backend"),
        ("file-root:front_trust.pem", "front", "would write no such file"),
        ("file-root:main_key.pem", "front", "would write no such file"),
        ("file-cert:main_cert.pem~blue_key.pem", "front", "would write no such file"),
        ("file-cert:main_key.pem~main_cert.pem", "front", "would write no such file"),
        ("", "front", "no name has this form"),
        ("\u{1b}[31m", "front", "no name has this form"),
    ] {
        let (awaits, said) = held(catalogue.resolve(name, &view, &[hint]));
        assert_eq!(awaits, None, "{name:?}");
        assert!(said.contains(why), "{name:?}: {said}");
    }
}

#[test]
fn a_node_that_names_no_backends_has_no_stranger_for_one() {
    let mesh = published(RICH);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let (awaits, why) = held(catalogue.resolve("backends:/grey", &view(&["blue"]), &[]));
    assert_eq!(awaits, None);
    assert!(why.contains("blue names no such backend"), "{why}");
}

#[test]
fn a_name_comes_and_goes_with_the_mesh() {
    let mut mesh = published(COLORAPP);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let view = view(&["front", "red"]);
    let names = ["red", "spiffe://example.org/red", "file-cert:red_cert.pem~red_key.pem"];
    let with_red = format!("{COLORAPP}  red: {{ authority: ca_2 }}\n");
    for _ in 0..2 {
        for name in names {
            held(catalogue.resolve(name, &view, &[]));
        }
        mesh.edit(&with_red);
        for name in names {
            ready(catalogue.resolve(name, &view, &[]));
        }
        mesh.edit(COLORAPP);
    }
}

#[test]
fn what_a_node_had_goes_with_it() {
    let mut mesh = published(COLORAPP);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let green = Arc::downgrade(&ready(catalogue.resolve("green", &view(&["green"]), &[])));
    assert!(green.upgrade().is_some());
    let green_line = COLORAPP.lines().find(|line| line.contains("green:")).unwrap();
    mesh.edit(&COLORAPP.replace(green_line, ""));
    ready(catalogue.resolve("default", &view(&["front"]), &[]));
    assert!(green.upgrade().is_none(), "its key would stay in memory");
}

#[test]
fn a_node_whose_spiffe_id_changed_is_not_sent_under_the_new_one_before_it_has_it() {
    let mut mesh = published(COLORAPP);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let view = view(&["front"]);
    let [old, new] = ["spiffe://example.org/front", "spiffe://example.org/web"];
    ready(catalogue.resolve(old, &view, &[]));
    mesh.edit(&COLORAPP.replace("front: { ", "front: { spiffePath: /web, "));
    held(catalogue.resolve(old, &view, &[]));
    let (awaits, why) = held(catalogue.resolve(new, &view, &[]));
    assert_eq!(awaits, Some(node_name("front")));
    assert!(why.contains("only one for what it was before"), "{why}");
    ready(catalogue.resolve("default", &view, &[]));
    mesh.renew("front");
    let resource = ready(catalogue.resolve(new, &view, &[]));
    assert_eq!(leaf_of(new, &resource).names().uris, [new]);
}

#[test]
fn a_node_without_roots_is_held_until_it_has_some() {
    let mesh = published(COLORAPP);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let view = view(&["front"]);
    let anchors = mesh.snapshot.node(&node_name("front")).unwrap().trust.both.clone();
    mesh.set_trust("front", |trust| trust.both = crate::snapshot::Anchors::new([]));
    for name in ["ROOTCA", "ALL"] {
        let (awaits, why) = held(catalogue.resolve(name, &view, &[]));
        assert_eq!(awaits, None);
        assert!(why.contains("no roots"), "{why}");
    }
    mesh.set_trust("front", |trust| trust.both = anchors);
    ready(catalogue.resolve("ROOTCA", &view, &[]));
}
