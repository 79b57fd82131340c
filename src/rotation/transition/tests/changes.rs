//! What each change of a mesh does, step by step.

use super::envoys::Half;
use super::world::*;

#[test]
fn a_mesh_at_rest_has_nothing_to_do() {
    let mut world = World::new();
    let record = world.saved.clone();
    world.plan();
    assert!(world.plan.publish.is_empty() && world.plan.held.is_empty() && !world.plan.changed);
    assert_eq!((world.plan.next, world.seen()), (None, Vec::<String>::new()));
    assert_eq!(world.saved, record);
}

#[test]
fn a_root_that_is_added_is_served_at_once() {
    let mut world = World::new();
    world.trusts("front", &["ca_1", "ca_2"]);
    world.run();
    assert_eq!(world.roots_of("front"), ["ca_1", "ca_2"]);
    assert_eq!(world.seen(), ["front +ca_2 spread"]);
    assert_eq!(world.waited(), ["front (uid 7) has not accepted ROOTCA of front yet"]);
    world.takes("front");
    assert!(world.plan.transitions.is_empty() && world.verifies("front", "green"));
}

#[test]
fn a_root_that_is_removed_goes_at_once_while_those_under_it_stay() {
    let mut world = World::new();
    world.trusts("front", &["ca_1", "ca_2"]);
    world.run();
    world.settle();
    world.trusts("front", &["ca_1"]);
    world.run();
    assert_eq!(world.roots_of("front"), ["ca_1"]);
    assert_eq!(world.seen(), Vec::<String>::new());
}

#[test]
fn a_move_goes_roots_certificate_roots() {
    let mut world = World::new();
    world.sign("blue", "ca_2");
    for name in ["front", "blue", "green"] {
        world.trusts(name, &["ca_2"]);
    }
    world.sign("front", "ca_2");
    world.run();
    for name in ["front", "blue", "green"] {
        assert_eq!(world.roots_of(name), ["ca_1", "ca_2"], "{name}");
    }
    assert_eq!((world.leaf_of("front"), world.leaf_of("blue")), ("ca_1".into(), "ca_1".into()));
    assert_eq!(
        world.seen(),
        [
            "front ca_1 > ca_2 spread",
            "front +ca_2 -ca_1 spread",
            "blue ca_1 > ca_2 spread",
            "blue +ca_2 -ca_1 spread",
            "green +ca_2 -ca_1 spread"
        ]
    );
    world.takes("front");
    world.takes("blue");
    assert_eq!(world.leaf_of("blue"), "ca_1", "green has not accepted ca_2's root");
    world.takes("green");
    assert_eq!((world.leaf_of("front"), world.leaf_of("blue")), ("ca_2".into(), "ca_2".into()));
    assert_eq!(world.roots_of("green"), ["ca_1", "ca_2"], "front shows its old one");
    assert!(world.seen().contains(&"blue ca_1 > ca_2 drain".to_owned()), "{:?}", world.seen());
    world.takes("blue");
    assert_eq!(world.roots_of("front"), ["ca_1", "ca_2"], "front's own may be shown to its like");
    world.takes("front");
    for name in ["front", "blue", "green"] {
        assert_eq!(world.roots_of(name), ["ca_2"], "{name}");
    }
    assert!(world.plan.transitions.is_empty() && world.notes.is_empty());
}

#[test]
fn a_move_waits_for_those_alone_who_are_to_accept_it() {
    let mut world = World::new();
    // green does not want ca_2 at all, and goes on refusing blue.
    world.sign("blue", "ca_2");
    world.trusts("front", &["ca_1", "ca_2"]);
    world.run();
    assert_eq!(world.leaf_of("blue"), "ca_1");
    world.takes("front");
    assert_eq!(world.leaf_of("blue"), "ca_2");
    world.takes("blue");
    assert_eq!(world.roots_of("front"), ["ca_1", "ca_2"]);
    assert!(world.plan.transitions.is_empty());
}

#[test]
fn named_callers_bound_who_is_waited_for_and_whose_roots_stay() {
    let mut world = World::new();
    for name in ["front", "blue", "green"] {
        let both = world.set(&["ca_1"]);
        world.identity(name).trust = both;
    }
    world.called_by("blue", &["front"]);
    world.called_by("green", &["front"]);
    world.called_by("front", &[]);
    world.run();
    world.settle();
    // Only the listeners move from ca_1 to ca_3, and only front is to show that.
    world.sign("front", "ca_3");
    let set = world.set(&["ca_3"]);
    world.identity("blue").listener.trust = set.clone();
    world.identity("front").listener.trust = set;
    world.run();
    let listener = |world: &World, name| {
        let served = world.transitions.served(&node(name)).unwrap();
        served.listener().certificates().count()
    };
    assert_eq!((listener(&world, "blue"), listener(&world, "front")), (2, 1), "nobody calls front");
    assert_eq!(world.leaf_of("front"), "ca_1");
    world.takes("front");
    world.takes("green");
    assert_eq!(world.leaf_of("front"), "ca_1", "blue is to accept it");
    world.takes("blue");
    assert_eq!(world.leaf_of("front"), "ca_3");
    world.takes("front");
    assert_eq!(listener(&world, "blue"), 1);
    assert!(world.plan.transitions.is_empty());
}

#[test]
fn two_that_move_in_opposite_directions_both_arrive() {
    let mut world = World::new();
    for name in ["front", "blue", "green"] {
        world.trusts(name, &["ca_1", "ca_2"]);
    }
    world.run();
    world.settle();
    world.sign("blue", "ca_2");
    world.sign("green", "ca_1");
    world.run();
    assert_eq!((world.leaf_of("blue"), world.leaf_of("green")), ("ca_2".into(), "ca_1".into()));
    world.settle();
    assert!(world.plan.transitions.is_empty());
    // Now with roots that change under both.
    world.sign("blue", "ca_3");
    world.sign("green", "ca_2");
    for name in ["front", "blue", "green"] {
        world.trusts(name, &["ca_2", "ca_3"]);
    }
    world.sign("front", "ca_3");
    world.run();
    assert_eq!((world.leaf_of("blue"), world.leaf_of("green")), ("ca_2".into(), "ca_2".into()));
    world.settle();
    assert_eq!((world.leaf_of("blue"), world.roots_of("front").len()), ("ca_3".into(), 2));
    assert!(world.plan.transitions.is_empty());
}

#[test]
fn a_ca_that_is_made_anew_takes_its_nodes_along() {
    let mut world = World::new();
    world.has_roots("ca_1", &["ca_1 renewed"]);
    world.run();
    assert_eq!(world.roots_of("front"), ["ca_1 renewed", "ca_1"]);
    assert_eq!(world.plan.held[&node("blue")], crate::rotation::transition::Held::Kept);
    world.settle();
    assert_eq!(world.leaf_of("blue"), "ca_1 renewed");
    assert_eq!(world.roots_of("front"), ["ca_1 renewed"]);
    assert!(world.plan.transitions.is_empty() && world.notes.is_empty());
}

#[test]
fn a_partners_roots_are_as_its_file_says() {
    let mut world = World::new();
    world.trusts("front", &["ca_1", "ca_3"]);
    world.run();
    world.settle();
    world.has_roots("ca_3", &["ca_3", "ca_3 renewed"]);
    world.run();
    assert_eq!(world.roots_of("front"), ["ca_1", "ca_3", "ca_3 renewed"]);
    world.settle();
    world.has_roots("ca_3", &["ca_3 renewed"]);
    world.run();
    assert_eq!(world.roots_of("front"), ["ca_1", "ca_3 renewed"]);
    // Unknown for a while, it stays.
    world.roots.insert(ca("ca_3"), None);
    world.run();
    assert_eq!(world.roots_of("front"), ["ca_1", "ca_3 renewed"]);
}

#[test]
fn an_authority_that_is_taken_out_of_the_mesh_leaves_its_root_until_its_leaves_are_gone() {
    let mut world = World::new();
    world.desired.authorities.shift_remove(&ca("ca_1"));
    world.roots.shift_remove(&ca("ca_1"));
    for name in ["front", "blue", "green"] {
        world.sign(name, "ca_2");
        world.trusts(name, &["ca_2"]);
    }
    world.run();
    assert_eq!(world.roots_of("front"), ["ca_2", "ca_1"]);
    assert_eq!(world.plan.held[&node("blue")], crate::rotation::transition::Held::Kept);
    world.settle();
    assert_eq!(
        (world.roots_of("front"), world.leaf_of("blue")),
        (vec!["ca_2".into()], "ca_2".into())
    );
    assert!(world.plan.transitions.is_empty());
}

#[test]
fn distrust_waits_for_nobody() {
    let mut world = World::new();
    world.desired.distrust = vec![ca("ca_1")];
    for name in ["front", "blue", "green"] {
        world.sign(name, "ca_2");
        world.trusts(name, &["ca_2"]);
    }
    world.run();
    for name in ["front", "blue", "green"] {
        assert_eq!(
            (world.roots_of(name), world.leaf_of(name)),
            (vec!["ca_2".into()], "ca_2".into())
        );
    }
    assert!(world.notes[0].contains("its old authority being distrusted"), "{:?}", world.notes);
    world.settle();
    assert!(world.plan.transitions.is_empty());
}

#[test]
fn two_authorities_under_one_root_need_no_waiting() {
    let mut world = World::new();
    world.has_roots("ca_3", &["ca_1"]);
    world.run();
    let before = world.generation;
    world.sign("blue", "ca_3");
    world.run();
    assert_eq!(world.leaves[&node("blue")].authority, ca("ca_3"));
    assert_eq!(world.generation, before + 1, "nothing but blue's certificate is published");
    assert!(world.plan.transitions.is_empty());
}

#[test]
fn an_edit_taken_back_in_any_phase_ends_where_it_began() {
    // After so many acceptances of a whole move, each counted once, the edit is taken back.
    for steps in 0..12 {
        let mut world = World::new();
        let order = ["front", "green", "blue"];
        world.sign("blue", "ca_2");
        world.trusts("front", &["ca_2"]);
        world.run();
        for step in 0..steps {
            let id = order[step / 2 % 3];
            world.accepts(id, if step % 2 == 0 { Half::Trust } else { Half::Leaf });
            world.run();
            assert!(world.verifies("front", "blue"), "step {step}");
        }
        world.sign("blue", "ca_1");
        world.trusts("front", &["ca_1"]);
        world.run();
        for _ in 0..3 {
            for id in order {
                for part in [Half::Leaf, Half::Trust] {
                    world.accepts(id, part);
                    world.run();
                    assert!(world.verifies("front", "blue"), "taken back after {steps}: {id}");
                    let circle = world.seen().iter().any(|line| line.contains("ca_1 > ca_1"));
                    assert!(!circle, "{:?}", world.seen());
                }
            }
        }
        assert_eq!(
            (world.roots_of("front"), world.leaf_of("blue")),
            (vec!["ca_1".into()], "ca_1".into())
        );
        assert!(world.plan.transitions.is_empty(), "{:?}", world.plan.transitions);
    }
}

#[test]
fn a_new_edit_amid_a_move_takes_over() {
    let mut world = World::new();
    world.sign("blue", "ca_2");
    world.trusts("front", &["ca_2"]);
    world.run();
    world.takes("front");
    assert_eq!(world.leaf_of("blue"), "ca_2");
    // blue's Envoy shows ca_1 still when the next move begins.
    world.sign("blue", "ca_3");
    world.trusts("front", &["ca_3"]);
    world.run();
    assert_eq!(world.roots_of("front"), ["ca_1", "ca_2", "ca_3"]);
    for id in ["front", "blue", "front", "blue"] {
        world.takes(id);
        assert!(world.verifies("front", "blue"));
    }
    assert_eq!(
        (world.roots_of("front"), world.leaf_of("blue")),
        (vec!["ca_3".into()], "ca_3".into())
    );
}

#[test]
fn a_root_that_was_taken_back_meanwhile_has_to_arrive_anew() {
    let mut world = World::new();
    world.trusts("front", &["ca_1", "ca_2"]);
    world.run();
    world.trusts("front", &["ca_1"]);
    world.advance();
    // front's Envoy accepts what is newer than the root that it never saw.
    world.accepts("front", Half::Trust);
    world.trusts("front", &["ca_1", "ca_2"]);
    world.sign("blue", "ca_2");
    world.run();
    assert_eq!(world.leaf_of("blue"), "ca_1");
    world.takes("front");
    assert_eq!(world.leaf_of("blue"), "ca_2");
}

#[test]
fn a_root_that_is_served_only_because_it_is_needed_still_has_to_arrive() {
    let mut world = World::new();
    world.trusts("front", &["ca_1", "ca_2"]);
    world.run();
    world.trusts("front", &["ca_1"]);
    world.sign("green", "ca_1");
    world.run();
    assert_eq!(world.roots_of("front"), ["ca_1", "ca_2"], "green's Envoy shows its old one");
    world.trusts("front", &["ca_1", "ca_2"]);
    world.sign("blue", "ca_2");
    world.run();
    assert_eq!(world.leaf_of("blue"), "ca_1");
    world.takes("front");
    assert_eq!(world.leaf_of("blue"), "ca_2");
}

#[test]
fn a_node_without_a_valid_certificate_moves_at_once() {
    let mut world = World::new();
    world.leaves.get_mut(&node("blue")).unwrap().validity.not_after = world.now;
    world.passes(1);
    world.sign("blue", "ca_2");
    world.trusts("front", &["ca_2"]);
    world.run();
    assert_eq!(world.leaf_of("blue"), "ca_2");
    world.leaves.remove(&node("blue"));
    world.sign("blue", "ca_3");
    world.trusts("front", &["ca_3"]);
    world.run();
    assert_eq!(world.leaf_of("blue"), "ca_3");
}

#[test]
fn a_new_backend_begins_with_what_its_node_trusted() {
    let mut world = World::new();
    world.sign("blue", "ca_2");
    world.trusts("front", &["ca_2"]);
    world.run();
    let trust = world.set(&["ca_2"]);
    let backend = crate::desired::Backend { trust, port: None };
    world.identity("front").backends = Some([(node("blue"), backend)].into_iter().collect());
    world.run();
    let count = |world: &World| {
        let served = world.transitions.served(&node("front")).unwrap();
        served.backend(&node("blue")).unwrap().certificates().count()
    };
    assert_eq!(count(&world), 2);
    world.settle();
    assert_eq!((count(&world), world.leaf_of("blue")), (1, "ca_2".into()));
}
