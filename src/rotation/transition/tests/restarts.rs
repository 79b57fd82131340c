//! A process that ends at any moment, and the next one.

use super::envoys::Half;
use super::world::*;
use crate::rotation::transition::{RecordError, Transitions};

const ORDER: [&str; 3] = ["front", "green", "blue"];

/// Goes on with what was recorded; the Envoys come back, and take nothing yet.
fn restart(world: &mut World) {
    let restored = world.restored();
    world.restart(restored, 1);
    world.run();
    ORDER.iter().for_each(|id| world.returns(id));
    world.run();
}

#[test]
fn a_move_goes_on_over_a_restart_between_any_two_steps() {
    for at in 0..12 {
        let mut world = World::new();
        world.sign("blue", "ca_2");
        world.trusts("front", &["ca_2"]);
        world.run();
        for step in 0..12 {
            if step == at {
                restart(&mut world);
            }
            let part = if step % 2 == 0 { Half::Trust } else { Half::Leaf };
            world.accepts(ORDER[step / 2 % 3], part);
            world.run();
            assert!(world.verifies("front", "blue"), "restart {at}, step {step}");
        }
        world.settle();
        assert_eq!(
            (world.roots_of("front"), world.leaf_of("blue")),
            (vec!["ca_2".into()], "ca_2".into())
        );
        assert!(world.plan.transitions.is_empty() && world.notes.is_empty());
    }
}

#[test]
fn one_that_was_connected_before_is_waited_for_until_it_counts_as_gone() {
    let mut world = World::new();
    world.sign("blue", "ca_2");
    world.trusts("front", &["ca_2"]);
    world.run();
    world.restart(world.restored(), 1);
    world.run();
    assert_eq!(world.leaf_of("blue"), "ca_1");
    let words =
        "front had ROOTCA of front before the restart and is not back yet; waited for until";
    assert!(world.waited()[0].starts_with(words), "{:?}", world.waited());
    let began = world.now;
    world.waits();
    assert_eq!(world.leaf_of("blue"), "ca_2");
    assert_eq!((world.now - began).whole_seconds(), 31);
}

#[test]
fn one_that_was_not_connected_before_is_not_waited_for() {
    let mut world = World::new();
    world.envoys.retain(|envoy| envoy.id != "front");
    world.sign("blue", "ca_2");
    world.trusts("front", &["ca_2"]);
    world.connect("other", "green");
    world.trusts("green", &["ca_2"]);
    world.run();
    world.envoys.retain(|envoy| envoy.id == "blue");
    world.run();
    world.restart(world.restored(), 1);
    world.run();
    assert_eq!(world.leaf_of("blue"), "ca_2");
}

#[test]
fn a_mesh_that_was_edited_in_between_moves_as_it_would_have() {
    let mut world = World::new();
    world.restart(world.restored(), 600);
    world.sign("blue", "ca_2");
    world.trusts("front", &["ca_2"]);
    world.run();
    assert_eq!((world.roots_of("front").len(), world.leaf_of("blue")), (2, "ca_1".into()));
    ORDER.iter().for_each(|id| world.returns(id));
    world.settle();
    assert_eq!(world.leaf_of("blue"), "ca_1", "it is not known who else was there");
    world.waits();
    world.settle();
    assert_eq!(
        (world.roots_of("front"), world.leaf_of("blue")),
        (vec!["ca_2".into()], "ca_2".into())
    );
    assert!(world.notes.is_empty());
}

#[test]
fn without_the_record_nothing_counts_as_arrived_that_was_not_seen_to() {
    let mut world = World::new();
    world.trusts("front", &["ca_1", "ca_2"]);
    world.run();
    world.restart(Transitions::after_loss(), 1);
    world.sign("blue", "ca_2");
    world.run();
    ORDER.iter().for_each(|id| world.returns(id));
    world.run();
    assert_eq!(world.leaf_of("blue"), "ca_1");
    world.settle();
    world.waits();
    world.settle();
    assert_eq!((world.leaf_of("blue"), world.seen().len()), ("ca_2".into(), 0));
    // Files get their time as if all had just been written.
    let mut world = World::new();
    world.envoys.clear();
    world.silent.insert(node("front"));
    world.trusts("front", &["ca_1", "ca_2"]);
    world.sign("blue", "ca_2");
    world.restart(Transitions::after_loss(), 1);
    let began = world.now;
    world.run();
    while world.leaf_of("blue") == "ca_1" {
        world.waits();
    }
    assert_eq!((world.now - began).whole_seconds(), 120);
}

#[test]
fn a_record_is_the_same_for_the_same_state() {
    let mut world = World::new();
    world.sign("blue", "ca_2");
    world.trusts("front", &["ca_2"]);
    world.run();
    world.takes("front");
    let text = String::from_utf8(world.saved.clone()).unwrap();
    assert!(!text.contains("PRIVATE") && text.starts_with(r#"{"version":1,"anchors":["#));
    assert_eq!(String::from_utf8(world.restored().to_json()).unwrap(), text);
}

#[test]
fn a_record_that_cannot_be_used_says_what_to_do() {
    let world = World::new();
    let text = String::from_utf8(world.saved).unwrap();
    let refused = |text: &str| Transitions::from_json(text.as_bytes()).unwrap_err();
    let later = refused(r#"{"version":7,"shape":"unknown"}"#);
    assert!(matches!(later, RecordError::Version { found: 7 }));
    assert!(later.to_string().contains("run the newer program again"), "{later}");
    for (text, words) in [
        ("", "is damaged"),
        (&text[..text.len() / 2], "is damaged"),
        (&text.replace(r#""shown":"#, r#""shown":9"#), "refers to anchor 9"),
        (&text.replace("BEGIN CERTIFICATE", "BEGIN NOTHING"), "an anchor in the record"),
        (&text.replace(r#""front":"#, r#""/":"#), "a name in the record"),
    ] {
        let error = refused(text).to_string();
        assert!(error.contains(words) && error.contains("move it away to begin"), "{error}");
    }
}
