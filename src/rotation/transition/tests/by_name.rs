//! Those who check their peers by the names of authorities: `ca_1`, `ca_1+ca_2`.

use super::envoys::{Asked, Half};
use super::world::*;
use crate::rotation::transition::{Held, Standing};

/// What an Envoy holds under the name that it asks by.
fn held(world: &mut World, id: &str) -> Vec<String> {
    let Asked { anchors, .. } = &world.envoy(id).asks[0];
    anchors
        .as_ref()
        .unwrap()
        .certificates()
        .map(|it| it.common_name().unwrap().to_owned())
        .collect()
}

/// green's Envoy asks by a name beside its own, and green is to trust these.
fn asking(name: &str, trusted: &[&str]) -> World {
    let mut world = World::new();
    world.asks("green", name);
    world.trusts("green", trusted);
    world.settle();
    assert_eq!(world.plan.transitions, []);
    world
}

fn is_left_behind(world: &World) -> bool {
    let mut waiting = world.plan.transitions.iter().flat_map(|transition| &transition.waiting);
    waiting.any(|waited| matches!(waited.standing, Standing::Fixed { .. }))
}

#[test]
fn a_ca_that_is_made_anew_waits_for_those_who_know_it_by_name() {
    let mut world = asking("ca_1+ca_2", &["ca_2"]);
    world.has_roots("ca_1", &["ca_1 renewed"]);
    world.run();
    assert_eq!(world.roots_by_name("ca_1"), ["ca_1 renewed", "ca_1"]);
    world.takes("front");
    world.takes("blue");
    for half in [Half::Leaf, Half::Trust] {
        world.accepts("green", half);
        world.run();
    }
    assert_eq!(world.leaf_of("blue"), "ca_1", "{:?}", world.seen());
    let words = "green (uid 7) has not accepted ca_1+ca_2 with the roots of ca_1 yet";
    assert!(world.waited().iter().any(|who| who == words), "{:?}", world.waited());
    assert!(world.seen().contains(&"ca_1 +ca_1 -ca_1 spread".to_owned()), "{:?}", world.seen());
    world.accepts("green", Half::Names);
    world.run();
    assert_eq!(world.leaf_of("blue"), "ca_1 renewed");
    assert_eq!(held(&mut world, "green"), ["ca_1 renewed", "ca_1", "ca_2"]);
    // The old root stays for as long as anybody may show what stands under it.
    world.takes("blue");
    assert_eq!(world.roots_by_name("ca_1").len(), 2);
    world.takes("front");
    assert_eq!(world.roots_by_name("ca_1"), ["ca_1 renewed"]);
    world.settle();
    assert_eq!(held(&mut world, "green"), ["ca_1 renewed", "ca_2"]);
    assert!(world.plan.transitions.is_empty() && world.notes.is_empty(), "{:?}", world.notes);
}

#[test]
fn one_that_knows_an_authority_by_name_and_goes_away_is_not_waited_for() {
    let mut world = asking("ca_1", &["ca_2"]);
    world.has_roots("ca_1", &["ca_1 renewed"]);
    world.run();
    world.takes("front");
    world.takes("blue");
    world.departs("green");
    world.run();
    assert_eq!(world.leaf_of("blue"), "ca_1");
    world.waits();
    assert_eq!(world.leaf_of("blue"), "ca_1 renewed");
    assert_eq!(world.notes, [""; 0]);
}

#[test]
fn one_that_knows_an_authority_by_name_is_asked_again_after_a_restart() {
    let mut world = asking("ca_1", &["ca_2"]);
    world.has_roots("ca_1", &["ca_1 renewed"]);
    world.run();
    world.takes("front");
    world.takes("blue");
    world.restart(world.restored(), 1);
    world.run();
    assert_eq!(world.roots_by_name("ca_1"), ["ca_1 renewed", "ca_1"]);
    for id in ["front", "blue"] {
        world.returns(id);
        world.takes(id);
    }
    let words = "green had ca_1 with the roots of ca_1 before the restart and is not back yet";
    assert!(world.waited().iter().any(|who| who.starts_with(words)), "{:?}", world.waited());
    assert_eq!(world.leaf_of("blue"), "ca_1");
    world.returns("green");
    world.takes("green");
    assert_eq!(world.leaf_of("blue"), "ca_1 renewed");
    world.settle();
    assert_eq!(held(&mut world, "green"), ["ca_1 renewed"]);
    assert!(world.plan.transitions.is_empty() && world.notes.is_empty());
}

#[test]
fn files_of_authorities_get_time_to_be_read() {
    let mut world = World::new();
    world.are_names_silent = true;
    world.has_roots("ca_1", &["ca_1 renewed"]);
    world.settle();
    assert_eq!(world.leaf_of("blue"), "ca_1");
    assert_eq!(world.waited()[0].split(':').next(), Some("nobody answers for ca_1"));
    world.waits();
    assert_eq!(world.leaf_of("blue"), "ca_1 renewed");
}

#[test]
fn a_move_to_an_authority_waits_for_those_who_have_it_among_their_names() {
    let mut world = World::new();
    world.asks("green", "ca_1+ca_3");
    world.run();
    world.sign("blue", "ca_3");
    world.trusts("front", &["ca_1", "ca_3"]);
    world.run();
    world.takes("front");
    assert_eq!(world.leaf_of("blue"), "ca_1", "green has not even what it asked for");
    world.takes("green");
    assert_eq!(world.leaf_of("blue"), "ca_3");
    assert!(!is_left_behind(&world) && world.notes.is_empty(), "{:?}", world.notes);
}

#[test]
fn one_whose_name_will_never_do_is_told_of_at_once_and_waited_for_no_longer_than_others() {
    let moving = || {
        let mut world = asking("ca_1", &["ca_1", "ca_2"]);
        world.sign("blue", "ca_2");
        world.trusts("front", &["ca_1", "ca_2"]);
        world.settle();
        world
    };
    let mut world = moving();
    assert_eq!(world.leaf_of("blue"), "ca_1");
    let words = "green (uid 7) checks its peers by the name ca_1, which never has the roots of ca_2, \
                 and will refuse blue: let it ask for ca_1+ca_2, or for callers, backends or ROOTCA";
    assert!(world.waited()[0].starts_with(words), "{:?}", world.waited());
    assert!(world.notes.len() == 1 && world.notes[0].starts_with(words), "{:?}", world.notes);
    let transition = &world.plan.transitions[0];
    let until = Some(crate::time::later(transition.since, world.settle_within));
    assert_eq!(transition.until, until);
    assert_eq!(world.plan.held[&node("blue")], Held::By(ca("ca_1")));
    // It is never too late to ask otherwise.
    let mut mended = moving();
    mended.envoy("green").asks[0].name = "ca_1+ca_2".to_owned();
    mended.takes("green");
    assert_eq!(mended.leaf_of("blue"), "ca_2");
    assert_eq!(mended.notes.len(), 1);
    world.waits();
    assert_eq!(world.leaf_of("blue"), "ca_2");
    assert_eq!(world.notes.len(), 2);
    assert!(
        world.notes[1].contains("after 1h") && world.notes[1].contains("name ca_1"),
        "{:?}",
        world.notes
    );
    // Also those who ask later see who was left behind, until the new one is everywhere.
    let forced = world.plan.transitions[0].forced.as_ref().unwrap();
    assert!(forced.contains("by the name ca_1"), "{forced}");
    world.settle();
    assert_eq!(world.plan.transitions, []);
}

#[test]
fn nobody_is_left_behind_who_is_not_to_accept_it_or_is_to_accept_it_by_another_name() {
    // By the mesh file's word, green is not to accept ca_2.
    let mut world = asking("ca_1", &["ca_1"]);
    world.sign("blue", "ca_2");
    world.trusts("front", &["ca_1", "ca_2"]);
    world.settle();
    assert_eq!((world.leaf_of("blue").as_str(), world.notes.len()), ("ca_2", 0));
    // It is to accept others of ca_2, and has nothing to do with blue.
    let mut world = asking("ca_1", &["ca_1", "ca_2"]);
    world.called_by("green", &["front"]);
    world.identity("green").backends = Some(indexmap::IndexMap::new());
    world.sign("blue", "ca_2");
    world.trusts("front", &["ca_1", "ca_2"]);
    world.settle();
    assert_eq!((world.leaf_of("blue").as_str(), world.notes.len()), ("ca_2", 0));
    // It is named, and named alone counts.
    let mut world = asking("ca_1", &["ca_1", "ca_2"]);
    world.called_by("green", &["blue"]);
    world.identity("green").backends = Some(indexmap::IndexMap::new());
    world.sign("blue", "ca_2");
    world.trusts("front", &["ca_1", "ca_2"]);
    world.settle();
    assert_eq!((world.leaf_of("blue").as_str(), world.notes.len()), ("ca_1", 1));
}

#[test]
fn an_authority_that_is_gone_is_known_by_name_until_its_leaves_are_gone() {
    let mut world = asking("ca_1", &["ca_2"]);
    for name in ["front", "blue", "green"] {
        world.sign(name, "ca_2");
        world.trusts(name, &["ca_2"]);
    }
    world.desired.authorities.shift_remove(&ca("ca_1"));
    world.roots.shift_remove(&ca("ca_1"));
    world.run();
    assert_eq!(world.roots_by_name("ca_1"), ["ca_1"]);
    world.restart(world.restored(), 1);
    world.run();
    assert_eq!(world.roots_by_name("ca_1"), ["ca_1"]);
    ["front", "blue", "green"].iter().for_each(|id| world.returns(id));
    world.settle();
    world.waits();
    world.settle();
    assert_eq!(world.leaf_of("blue"), "ca_2");
    assert_eq!(world.roots_by_name("ca_1"), [""; 0]);
    assert_eq!(world.plan.transitions, []);
}

#[test]
fn a_distrusted_authority_is_known_by_no_name() {
    let mut world = asking("ca_1+ca_2", &["ca_1", "ca_2"]);
    world.desired.distrust = vec![ca("ca_2")];
    world.advance();
    assert_eq!(world.roots_by_name("ca_2"), [""; 0]);
    assert_eq!(world.roots_by_name("ca_1"), ["ca_1"]);
}

#[test]
fn an_authority_of_several_roots_signs_under_any_of_them_at_any_time() {
    let mut world = World::new();
    world.trusts("green", &["ca_1", "ca_3"]);
    world.has_roots("ca_3", &["ca_3", "ca_3 renewed"]);
    world.sign("blue", "ca_3");
    world.trusts("front", &["ca_1", "ca_3"]);
    world.run();
    assert_eq!(world.roots_of("front"), ["ca_1", "ca_3", "ca_3 renewed"]);
    assert_eq!(world.leaf_of("blue"), "ca_1");
    world.settle();
    assert_eq!((world.leaf_of("blue").as_str(), world.seen().len()), ("ca_3", 0));
    // Another of its roots signs: nothing moves, and nothing is asked of anybody.
    world.generation += 1;
    let generation = world.generation;
    let leaf = world.leaves.get_mut(&node("blue")).unwrap();
    (leaf.root, leaf.generation) = (root("ca_3 renewed").clone(), generation);
    world.advance();
    assert_eq!((world.seen(), world.plan.held.len()), (Vec::new(), 0));
    world.settle();
    assert!(world.roots_of("front").len() == 3 && world.notes.is_empty());
    // One of them goes: who stands under the other stays.
    world.has_roots("ca_3", &["ca_3 renewed"]);
    world.settle();
    assert_eq!(world.roots_of("front"), ["ca_1", "ca_3 renewed"]);
    assert_eq!((world.leaf_of("blue").as_str(), world.seen().len()), ("ca_3 renewed", 0));
}

#[test]
fn to_an_authority_of_more_roots_a_certificate_moves_when_all_of_them_are_there() {
    let mut world = World::new();
    // One of its roots is that under which blue stands already.
    world.has_roots("ca_3", &["ca_1", "ca_3"]);
    world.sign("blue", "ca_3");
    world.trusts("front", &["ca_1", "ca_3"]);
    world.run();
    assert_eq!(world.plan.held[&node("blue")], Held::By(ca("ca_1")), "{:?}", world.seen());
    world.takes("front");
    assert!(world.plan.held.is_empty());
    world.settle();
    assert_eq!(world.seen(), [""; 0]);
}

#[test]
fn distrust_amid_a_move_waits_for_no_name_and_says_who_is_left_behind() {
    let mut world = asking("ca_1", &["ca_1", "ca_2"]);
    world.sign("blue", "ca_2");
    world.trusts("front", &["ca_1", "ca_2"]);
    world.settle();
    assert_eq!(world.leaf_of("blue"), "ca_1");
    world.sign("front", "ca_2");
    world.desired.distrust = vec![ca("ca_1")];
    world.run();
    assert_eq!((world.leaf_of("blue"), world.leaf_of("front")), ("ca_2".into(), "ca_2".into()));
    let forced = |note: &&String| note.contains("its old authority being distrusted");
    assert!(world.notes.iter().find(forced).unwrap().contains("by the name ca_1"));
    world.settle();
    assert_eq!(world.plan.transitions, []);
}

#[test]
fn a_move_that_is_taken_back_leaves_nobody_behind() {
    let mut world = asking("ca_1", &["ca_1", "ca_2"]);
    world.sign("blue", "ca_2");
    world.trusts("front", &["ca_1", "ca_2"]);
    world.settle();
    assert!(is_left_behind(&world));
    world.sign("blue", "ca_1");
    world.settle();
    assert_eq!((world.leaf_of("blue"), world.plan.transitions.len()), ("ca_1".into(), 0));
}

#[test]
fn whoever_comes_under_ever_new_names_does_not_fill_the_log() {
    let mut world = asking("ca_1", &["ca_1", "ca_2"]);
    world.sign("blue", "ca_2");
    world.trusts("front", &["ca_1", "ca_2"]);
    for at in 0..150 {
        world.envoy("green").asks[0].name = format!("ca_1+ca_3{}", "+ca_3".repeat(at));
        world.run();
    }
    assert_eq!(world.notes.len(), 100);
}
