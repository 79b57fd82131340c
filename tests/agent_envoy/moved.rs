//! A node moves to another authority: roots, leaves, roots.

use serde_json::Value;

use crate::pair::{Pair, series, summary};
use crate::recorder::{Recorder, Sent};
use crate::support::wait;
use crate::wire;

pub const OLD: &str = "blue: { authority: ca_1,";
pub const NEW: &str = "blue: { authority: ca_2,";

pub fn roots(names: &[&str]) -> Sent {
    Sent::Roots(names.iter().map(|name| (*name).to_owned()).collect())
}

pub fn leaf(name: &str) -> Sent {
    Sent::Leaf(name.to_owned())
}

fn at_rest(status: &Value) -> bool {
    status["transitions"].as_array().is_some_and(Vec::is_empty)
}

/// Waits until blue shows a leaf of this authority, and nothing is under way any more. Whoever was
/// connected and is not counts as gone only after half a minute.
pub fn has_moved(pair: &Pair, authority: &str) {
    wait::patiently(&format!("blue shows a leaf of {authority}"), || {
        wire::leaf(pair.blue.port()).issuer().ends_with(authority).then_some(())
    });
    wait::patiently("nothing is under way", || at_rest(&pair.agent.status_json()).then_some(()));
    pair.connected();
}

#[test]
fn roots_then_leaves_then_roots_and_no_request_fails() {
    let pair = Pair::start("");
    let mut recorder = Recorder::start(pair.agent.socket(), "recorder", true);
    let load = pair.load();
    pair.agent.edit(OLD, NEW);
    has_moved(&pair, "ca_2");
    let last = recorder.until("the old root is gone", |all| all.len() >= 5)[2..].to_vec();
    let both = roots(&["ca_1", "ca_2", "ca_3"]);
    assert_eq!(last, [both, leaf("ca_2"), roots(&["ca_2", "ca_3"])]);
    load.passes(20);
    pair.nothing_refused();
    load.end().all_answered();
}

#[test]
fn an_envoy_that_never_acknowledges_is_waited_for_and_told_of_and_then_left_behind() {
    let pair = Pair::start("");
    let mut silent = Recorder::start(pair.agent.socket(), "silent", false);
    let load = pair.load();
    pair.agent.edit(OLD, NEW);
    let status = pair.agent.until("silent is waited for", |status| {
        let transitions = status["transitions"].as_array().unwrap();
        transitions.iter().any(|one| one["waitingFor"].to_string().contains("silent"))
    });
    assert_eq!(pair.agent.status("").code, Some(0), "waiting is no failure: {status:#}");
    // Roots are out, and nobody moves.
    silent.until("the roots have grown", |all| all.len() == 3);
    load.passes(50);
    assert!(wire::leaf(pair.blue.port()).issuer().ends_with("ca_1"));
    assert!(!silent.all().contains(&leaf("ca_2")));
    drop(silent);
    has_moved(&pair, "ca_2");
    load.passes(20);
    pair.nothing_refused();
    load.end().all_answered();
}

#[test]
fn the_wait_for_an_envoy_that_never_acknowledges_has_an_end_that_is_told() {
    let pair = Pair::start("--settle-within 2s");
    let silent = Recorder::start(pair.agent.socket(), "silent", false);
    let load = pair.load();
    pair.agent.edit(OLD, NEW);
    has_moved(&pair, "ca_2");
    let log = pair.agent.log();
    assert!(log.contains("silent"), "{log}");
    load.end().all_answered();
    drop(silent);
}

#[test]
fn killed_in_the_middle_of_a_move_it_goes_on_where_it_was() {
    let mut pair = Pair::start("");
    let load = pair.load();
    let (mut from, mut to) = (OLD, NEW);
    let mut times = Vec::new();
    for round in 0..series(6, 50) {
        pair.agent.edit(from, to);
        load.passes((round as u64 * 5) % 31);
        pair.agent.kill();
        times.push(pair.again(""));
        has_moved(&pair, if to == NEW { "ca_2" } else { "ca_1" });
        std::mem::swap(&mut from, &mut to);
    }
    pair.nothing_refused();
    let tally = load.end();
    println!("moves: streams were back after {}; {tally}", summary(times));
    tally.all_answered();
}

#[test]
fn an_edit_made_while_no_agent_runs_moves_a_node_as_safely() {
    let mut pair = Pair::start("");
    let load = pair.load();
    let (mut from, mut to) = (OLD, NEW);
    for _ in 0..series(1, 20) {
        pair.agent.kill();
        pair.agent.edit(from, to);
        load.passes(5);
        pair.again("");
        has_moved(&pair, if to == NEW { "ca_2" } else { "ca_1" });
        std::mem::swap(&mut from, &mut to);
    }
    pair.nothing_refused();
    load.end().all_answered();
}

#[test]
fn killed_while_an_envoy_is_waited_for_it_waits_on() {
    let mut pair = Pair::start("");
    let silent = Recorder::start(pair.agent.socket(), "silent", false);
    let load = pair.load();
    pair.agent.edit(OLD, NEW);
    pair.agent.until("silent is waited for", |status| {
        status["transitions"].to_string().contains("silent")
    });
    pair.agent.kill();
    drop(silent);
    // There again before anybody can conclude that it is gone.
    pair.agent = pair.agent.again("");
    let silent = Recorder::start(pair.agent.socket(), "silent", false);
    pair.connected();
    pair.agent.until("silent is waited for again", |status| {
        status["transitions"].to_string().contains("silent")
    });
    assert!(wire::leaf(pair.blue.port()).issuer().ends_with("ca_1"));
    drop(silent);
    has_moved(&pair, "ca_2");
    pair.nothing_refused();
    load.end().all_answered();
}
