//! The agent dies at any moment, and is started again.

use std::fs;

use certctl::x509::certificate::Certificate;

use crate::pair::{Pair, series, summary};

/// The serial numbers that a restart may serve of a node: what was stored, or what was about to be.
fn stored(pair: &Pair, node: &str) -> Vec<String> {
    let places = ["state", "state/..commit"].map(|place| pair.agent.path(place));
    let texts =
        places.iter().filter_map(|place| fs::read(place.join(format!("{node}_cert.pem"))).ok());
    texts.map(|text| Certificate::all_from_pem(&text).unwrap()[0].serial()).collect()
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
        let stored = ["front", "blue"].map(|node| stored(&pair, node));
        load.passes(20);
        times.push(pair.again(""));
        let serials = pair.in_use();
        for (serial, stored) in serials.iter().zip(&stored) {
            assert!(stored.contains(serial), "{serial} is new; there was {stored:?}");
        }
    }
    pair.nothing_refused();
    let tally = load.end();
    println!("streams were back after {}; {tally}", summary(times));
    tally.all_answered();
}
