//! The agent is away for a while, or another one takes its place.

use std::time::Duration;

use tokio::time::Instant;

use crate::pair::{Pair, series, summary};
use crate::support::wait;

#[test]
fn streams_are_back_soon_after_an_outage_of_any_length() {
    let mut pair = Pair::start("");
    let load = pair.load();
    let before = pair.in_use();
    let mut lengths = vec![1, 15];
    lengths.extend(series(0, 1).eq(&1).then_some(300));
    for seconds in lengths {
        pair.agent.kill();
        wait::pass(Duration::from_secs(seconds));
        let back = pair.again("").as_millis();
        println!("after {seconds} s without an agent, streams were back in {back} ms");
        assert_eq!(pair.in_use(), before, "a restart makes no new certificate");
    }
    pair.nothing_refused();
    load.end().all_answered();
}

#[test]
fn a_planned_restart_leaves_no_gap() {
    let mut pair = Pair::start("");
    let load = pair.load();
    let mut times = Vec::new();
    for _ in 0..series(3, 50) {
        let before = pair.in_use();
        let begun = Instant::now();
        let successor = pair.agent.again("--replace");
        let mut old = std::mem::replace(&mut pair.agent, successor);
        assert!(old.end().success(), "{}", old.log());
        pair.connected();
        times.push(begun.elapsed());
        assert_eq!(pair.in_use(), before, "the successor serves what there was");
        pair.renew();
        pair.renewed(&before);
        pair.in_use();
    }
    pair.nothing_refused();
    let tally = load.end();
    println!("streams were back after the start of the successor: {}; {tally}", summary(times));
    tally.all_answered();
}
