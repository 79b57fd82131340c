//! Who may have what.

use super::*;

/// Names about front, which others may not have.
const OF_FRONT: &[&str] = &[
    "front",
    "spiffe://example.org/front",
    "file-cert:main_cert_chain.pem~main_key.pem",
    "callers:front",
    "spiffe-validator:callers:front",
    "backends:front",
    "backends:front/blue",
    "file-root:main_trust.pem",
    "file-root:main_listener_trust.pem",
];

/// Names about whoever asks, and of authorities.
const OF_ANYONE: &[&str] = &[
    "default",
    "ROOTCA",
    "ALL",
    "spiffe://example.org",
    "callers",
    "backends",
    "ca_1",
    "ca_1+ca_2",
    "file-root:ca_1_cert.pem",
];

#[test]
fn nobody_has_what_is_not_granted() {
    let mesh = published(RICH);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let blue = view(&["blue"]);
    for name in OF_FRONT {
        ready(catalogue.resolve(name, &view(&["front"]), &[]));
        // Nor when it says that it is front, or when somebody else was just given it.
        for hints in [&[][..], &["front"]] {
            let (awaits, why) = held(catalogue.resolve(name, &blue, hints));
            assert_eq!(awaits, None, "{name}");
            assert!(why.contains("front is not granted"), "{name}: {why}");
            assert_eq!(catalogue.depends_on(name, &blue, hints), [], "{name}");
        }
    }
    for name in OF_ANYONE {
        ready(catalogue.resolve(name, &blue, &[]));
    }
}

#[test]
fn who_is_granted_nothing_has_nothing() {
    let mesh = published(RICH);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    for name in OF_FRONT.iter().chain(OF_ANYONE) {
        let (awaits, why) = held(catalogue.resolve(name, &View::default(), &["front"]));
        assert_eq!(awaits, None, "{name}");
        assert!(why.contains("granted"), "{name}: {why}");
    }
}

#[test]
fn the_anchors_of_a_domain_are_the_callers_and_not_all_that_there_are() {
    let mesh = published(COLORAPP);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let name = "spiffe://example.org";
    let resource = ready(catalogue.resolve(name, &view(&["front"]), &[]));
    assert_eq!(roots(&context(name, &resource)), ["ca_1"]);
}

#[test]
fn among_equals_a_caller_says_who_it_is() {
    let mesh = published(RICH);
    let catalogue = Catalogue::new(mesh.snapshot.clone());
    let two = view(&["front", "blue"]);
    for name in ["default", "ROOTCA", "callers", "spiffe://example.org"] {
        let (_, why) = held(catalogue.resolve(name, &two, &["green"]));
        assert!(why.contains("set its node.id"), "{name}: {why}");
        assert_eq!(catalogue.depends_on(name, &two, &["green"]), [], "{name}");
        let resource = ready(catalogue.resolve(name, &two, &["green", "blue"]));
        assert_eq!(resource.aspects[0].part.node(), Some(&node_name("blue")), "{name}");
    }
    ready(catalogue.resolve("front", &two, &[]));
}
