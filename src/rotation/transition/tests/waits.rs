//! Who is waited for, for how long, and what is said of it.

use std::time::Duration;

use super::envoys::Half;
use super::world::*;
use crate::rotation::transition::{Held, Phase};
use crate::time::later;

/// blue is to move to ca_2, and front to trust that instead of ca_1.
fn moving() -> World {
    let mut world = World::new();
    move_blue(&mut world);
    world
}

fn move_blue(world: &mut World) {
    world.sign("blue", "ca_2");
    world.trusts("front", &["ca_2"]);
    world.run();
}

#[test]
fn every_envoy_of_a_node_is_waited_for() {
    let mut world = World::new();
    world.connect("front-2", "front");
    world.settle();
    move_blue(&mut world);
    world.takes("front");
    assert_eq!(world.leaf_of("blue"), "ca_1");
    assert!(world.waited().iter().all(|who| who.starts_with("front-2 (uid 7) has not")));
    world.takes("front-2");
    assert_eq!(world.leaf_of("blue"), "ca_2");
}

#[test]
fn one_that_rejects_is_waited_for_until_it_accepts_and_its_words_are_shown() {
    let mut world = moving();
    world.envoy("front").rejects = Some("no room".to_owned());
    world.run();
    let words = "front (uid 7) rejected ROOTCA of front: no room";
    assert!(world.waited().iter().all(|who| who == words), "{:?}", world.waited());
    assert_eq!(world.leaf_of("blue"), "ca_1");
    world.envoy("front").rejects = None;
    world.takes("front");
    assert_eq!(world.leaf_of("blue"), "ca_2");
}

#[test]
fn one_that_went_away_is_waited_for_until_it_counts_as_gone() {
    let mut world = moving();
    world.departs("front");
    world.passes(10);
    world.run();
    assert_eq!(world.leaf_of("blue"), "ca_1");
    assert!(
        world.waited()[0].contains("front (uid 7), which had ROOTCA of front, is away; waited")
    );
    world.waits();
    assert_eq!(world.leaf_of("blue"), "ca_2", "20 s later it is gone");
    assert!(world.notes.is_empty());
}

#[test]
fn one_that_comes_back_in_time_is_asked_again() {
    let mut world = moving();
    world.accepts("front", Half::Trust);
    world.departs("front");
    world.passes(10);
    world.returns("front");
    world.run();
    assert_eq!(world.leaf_of("blue"), "ca_1", "it may have forgotten");
    world.takes("front");
    assert_eq!(world.leaf_of("blue"), "ca_2");
    // Its own recipients of the certificate likewise.
    world.departs("blue");
    world.run();
    assert_eq!(world.roots_of("front"), ["ca_1", "ca_2"]);
    world.returns("blue");
    world.takes("blue");
    assert_eq!(world.roots_of("front"), ["ca_2"]);
}

#[test]
fn files_get_time_to_be_read() {
    let mut world = World::new();
    world.silent = [node("front"), node("blue")].into();
    world.envoys.clear();
    move_blue(&mut world);
    assert_eq!(world.leaf_of("blue"), "ca_1");
    assert!(world.waited()[0].starts_with("nobody answers for front"), "{:?}", world.waited());
    // When the wait ends can be read, and so it does: by the soak, long before anybody is given up.
    let until = |world: &World| world.plan.transitions.iter().map(|it| it.until).max().unwrap();
    assert_eq!(until(&world), Some(later(world.now, world.soak)));
    world.waits();
    assert_eq!(world.leaf_of("blue"), "ca_2");
    assert_eq!(world.roots_of("front"), ["ca_1", "ca_2"]);
    let moved_at = world.now;
    assert_eq!(until(&world), Some(later(world.now, world.soak)));
    world.waits();
    assert_eq!(world.roots_of("front"), ["ca_2"]);
    assert_eq!(world.now, later(moved_at, world.soak));
    assert!(world.plan.transitions.is_empty() && world.notes.is_empty());
}

#[test]
fn files_beside_envoys_are_waited_for_too() {
    let mut world = World::new();
    world.mixed.insert(node("front"));
    move_blue(&mut world);
    world.takes("front");
    assert_eq!(world.leaf_of("blue"), "ca_1");
    world.waits();
    assert_eq!(world.leaf_of("blue"), "ca_2");
    // And Envoys beside files, however long the files had.
    let mut world = World::new();
    world.mixed.insert(node("front"));
    move_blue(&mut world);
    world.passes(1000);
    world.run();
    assert_eq!(world.leaf_of("blue"), "ca_1");
    world.takes("front");
    assert_eq!(world.leaf_of("blue"), "ca_2");
}

#[test]
fn no_wait_outlasts_what_is_allowed_and_each_is_told_of_once() {
    let mut world = moving();
    world.envoys.iter_mut().for_each(|envoy| envoy.rejects = Some("never".to_owned()));
    let began = world.now;
    world.waits();
    assert_eq!(world.now, later(began, Duration::from_secs(3600)));
    assert_eq!(world.leaf_of("blue"), "ca_2");
    assert_eq!(world.roots_of("front"), ["ca_1", "ca_2"]);
    let settled = "front is taken to trust ca_2 after 1h, though not everybody has it: front (uid 7) \
                   rejected ROOTCA of front: never";
    assert_eq!(world.notes, [settled]);
    world.waits();
    assert_eq!(world.now, later(began, Duration::from_secs(7200)));
    assert_eq!(world.roots_of("front"), ["ca_2"]);
    assert!(
        world.notes[1].starts_with("the certificate of blue under ca_1 counts as gone after 1h")
    );
    assert_eq!((world.notes.len(), world.plan.next), (2, None));
    assert!(world.plan.transitions.is_empty());
}

#[test]
fn a_root_that_everybody_had_long_ago_is_moved_to_in_spite_of_one_who_says_nothing() {
    let mut world = World::new();
    world.trusts("front", &["ca_1", "ca_2"]);
    world.run();
    world.settle();
    // A second Envoy of front takes nothing at all.
    world.connect("mute", "front");
    world.sign("blue", "ca_2");
    world.run();
    assert_eq!(world.leaf_of("blue"), "ca_1");
    world.waits();
    assert_eq!(world.leaf_of("blue"), "ca_2");
    assert!(
        world.notes[0].starts_with("blue moves from ca_1 to ca_2 after 1h, though not everybody")
    );
    assert!(world.plan.transitions[0].phase == Phase::Drain);
}

#[test]
fn a_held_certificate_is_renewed_by_its_old_authority() {
    let mut world = moving();
    assert_eq!(world.plan.held[&node("blue")], Held::By(ca("ca_1")));
    world.mute.insert(ca("ca_1"));
    world.run();
    assert_eq!(world.plan.held[&node("blue")], Held::Kept);
}

#[test]
fn a_held_certificate_that_nobody_renews_moves_before_it_ends() {
    let mut world = World::new();
    world.desired.clock_skew = Duration::from_secs(300);
    let validity = crate::time::Validity {
        not_before: later(world.now, Duration::ZERO) - Duration::from_secs(300),
        not_after: later(world.now, Duration::from_secs(1000)),
    };
    world.leaves.get_mut(&node("blue")).unwrap().validity = validity;
    world.mute.insert(ca("ca_1"));
    move_blue(&mut world);
    let began = world.now;
    world.waits();
    assert_eq!(world.now, later(began, Duration::from_secs(800)));
    assert_eq!(world.leaf_of("blue"), "ca_2");
    assert!(world.notes[0].contains("its certificate being near its end"), "{:?}", world.notes);
}

#[test]
fn a_new_authority_that_cannot_sign_leaves_everything_as_it_was() {
    let mut world = World::new();
    world.mute.insert(ca("ca_2"));
    move_blue(&mut world);
    world.settle();
    assert_eq!(world.plan.held[&node("blue")], Held::By(ca("ca_1")));
    assert_eq!(world.seen()[1], "blue ca_1 > ca_2 move");
    assert_eq!(world.waited()[1], "the new authority of blue cannot sign now");
    // However long that takes.
    world.passes(100_000);
    world.settle();
    assert_eq!((world.roots_of("front").len(), world.notes.len()), (2, 0));
    world.mute.clear();
    world.settle();
    assert_eq!(
        (world.roots_of("front"), world.leaf_of("blue")),
        (vec!["ca_2".into()], "ca_2".into())
    );
}

#[test]
fn an_authority_that_cannot_be_read_leaves_everything_as_it_was() {
    let mut world = World::new();
    world.roots.insert(ca("ca_3"), None);
    world.transitions = crate::rotation::transition::Transitions::new();
    world.sign("blue", "ca_3");
    world.trusts("front", &["ca_1", "ca_3"]);
    world.run();
    assert_eq!(
        (world.roots_of("front"), world.leaf_of("blue")),
        (vec!["ca_1".into()], "ca_1".into())
    );
    world.has_roots("ca_3", &["ca_3"]);
    world.settle();
    assert_eq!((world.roots_of("front").len(), world.leaf_of("blue")), (2, "ca_3".into()));
}

#[test]
fn a_node_signed_elsewhere_gets_the_time_that_the_other_process_has() {
    let mut world = World::new();
    world.elsewhere.insert(node("blue"));
    world.run();
    move_blue(&mut world);
    world.settle();
    assert_eq!(world.roots_of("front"), ["ca_1", "ca_2"]);
    assert!(!world.plan.publish.contains(&node("blue")));
    let began = world.now;
    world.waits();
    assert_eq!(world.roots_of("front"), ["ca_2"]);
    assert_eq!(world.now, later(began, world.settle_within + world.soak));
    assert!(world.notes.is_empty() && world.plan.transitions.is_empty());
}

#[test]
fn a_clock_that_is_set_takes_no_time_from_anybody() {
    let mut world = moving();
    let day = Duration::from_secs(86_400);
    world.now = later(world.now, day);
    world.transitions.shift(time::Duration::DAY);
    world.run();
    assert_eq!((world.leaf_of("blue"), world.notes.len()), ("ca_1".into(), 0));
    assert_eq!(world.plan.next, Some(later(world.now, world.settle_within)));
    // One that is set back is noticed without a word.
    world.now -= time::Duration::DAY * 2;
    world.run();
    assert_eq!(world.leaf_of("blue"), "ca_1");
    assert_eq!(world.plan.next, Some(later(world.now, world.settle_within)));
}
