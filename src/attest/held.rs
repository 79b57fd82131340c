//! Callers that may have nothing, told of once each, and never so many that the log drowns.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many are remembered.
const MAX_REMEMBERED: usize = 1024;
/// How many lines there are at once, and how long it takes for one more.
const BURST: u32 = 10;
const ONE_MORE: Duration = Duration::from_secs(6);

/// Which process: its number and when it started. Those without are all one.
pub(super) type Which = (i32, u64);

/// Who has been told of.
#[derive(Debug)]
pub(super) struct Held(Mutex<Told>);

#[derive(Debug)]
struct Told {
    remembered: HashSet<Which>,
    order: VecDeque<Which>,
    lines: u32,
    since: Instant,
    untold: u64,
}

impl Held {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Told {
            remembered: HashSet::new(),
            order: VecDeque::new(),
            lines: BURST,
            since: Instant::now(),
            untold: 0,
        }))
    }

    /// Whether to tell of this one now, and then how many were passed over since the last time.
    pub(super) fn tells_of(&self, which: Which) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.remembered.insert(which) {
            return None;
        }
        if told.order.len() == MAX_REMEMBERED
            && let Some(oldest) = told.order.pop_front()
        {
            told.remembered.remove(&oldest);
        }
        told.order.push_back(which);
        while told.lines < BURST && told.since.elapsed() >= ONE_MORE {
            told.lines += 1;
            told.since += ONE_MORE;
        }
        if told.lines == BURST {
            told.since = Instant::now();
        }
        match told.lines.checked_sub(1) {
            Some(left) => {
                told.lines = left;
                Some(std::mem::take(&mut told.untold))
            }
            None => {
                told.untold += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_is_told_of_once_and_never_too_many() {
        let held = Held::new();
        assert_eq!(held.tells_of((1, 1)), Some(0));
        assert_eq!(held.tells_of((1, 1)), None);
        let told = (2..100).filter(|pid| held.tells_of((*pid, 1)).is_some()).count();
        assert_eq!(told, 9);
        tokio::time::advance(ONE_MORE).await;
        assert_eq!(held.tells_of((100, 1)), Some(89));
        assert_eq!(held.tells_of((101, 1)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let held = Held::new();
        for pid in 0..5_000 {
            held.tells_of((pid, 1));
        }
        let told = held.0.lock().unwrap();
        assert_eq!((told.order.len(), told.remembered.len()), (MAX_REMEMBERED, MAX_REMEMBERED));
    }
}
