//! The agent dies at any moment, and is started again.

use std::sync::Arc;

use certctl::files::{Directory, DirectoryOptions, Layout};
use certctl::identity::NodeName;
use certctl::store::NodeStore;

use crate::pair::{Pair, series, summary};

/// The serial number that a restart serves of each node: of what is stored, now that nobody runs.
fn stored(pair: &Pair) -> [String; 2] {
    let options = DirectoryOptions::new(Layout::Flat);
    let directory = Directory::open(&pair.agent.path("state"), options, || ()).unwrap();
    let nodes = ["front", "blue"].map(|node| NodeName::parse(node).unwrap());
    let reading = NodeStore::new(Arc::new(directory)).read(&nodes).unwrap();
    nodes.map(|node| reading.credential(&node, &[]).leaf().unwrap().serial())
}

#[test]
fn killed_at_any_moment_of_a_rotation_it_serves_what_it_had() {
    let mut pair = Pair::start("");
    let load = pair.load();
    let mut times = Vec::new();
    for round in 0..series(5, 50) {
        pair.renew();
        // Somewhere in the middle of it, or after.
        load.passes((round as u64 * 7) % 23);
        pair.agent.kill();
        let stored = stored(&pair);
        load.passes(20);
        times.push(pair.again(""));
        assert_eq!(pair.in_use(), stored, "what is served is what was stored");
    }
    pair.nothing_refused();
    let tally = load.end();
    println!("streams were back after {}; {tally}", summary(times));
    tally.all_answered();
}
