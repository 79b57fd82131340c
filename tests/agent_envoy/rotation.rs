//! Certificates are renewed while requests go through.

use crate::pair::{Pair, series};

#[test]
fn rotations_under_requests_fail_none_and_each_new_leaf_is_on_the_wire() {
    let pair = Pair::start("");
    let load = pair.load();
    let mut before = pair.in_use();
    let rounds = series(50, 1_000);
    for _ in 0..rounds {
        pair.renew();
        pair.renewed(&before);
        before = pair.in_use();
    }
    pair.connected();
    pair.nothing_refused();
    let tally = load.end();
    println!("{rounds} rotations of both: {tally}");
    tally.all_answered();
}
