//! How many of the places one caller may have.
//!
//! A few are everybody's own. Whoever has more than those may go on as long as a part of all places
//! is free, which is kept for those who have few: so one that takes all it can get keeps others from
//! taking many, but not from being served.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many connections of one caller are its own. An Envoy has one, or a few while it restarts.
const OWN: usize = 64;

/// Which part of all places is kept for callers that have no more than their own.
const PART_KEPT: usize = 4;

/// How often the same is said.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// Who has how many places.
#[derive(Debug)]
pub(super) struct Shares {
    limit: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_origin: HashMap<Arc<str>, usize>,
}

/// One place of one caller; given back when this goes.
#[derive(Debug)]
pub(super) struct Share {
    shares: Arc<Shares>,
    origin: Arc<str>,
}

impl Shares {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, taken: Mutex::default() })
    }

    /// One more for a caller; none when it has enough.
    pub(super) fn take(self: &Arc<Self>, origin: &str) -> Option<Share> {
        let kept = self.limit / PART_KEPT;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all = taken.all;
        let has = taken.by_origin.get(origin).copied().unwrap_or_default();
        // With few places in all, few are anybody's own.
        if has >= OWN.min(kept.div_ceil(2)) && all >= self.limit - kept {
            return None;
        }
        let origin = match taken.by_origin.get_key_value(origin) {
            Some((origin, _)) => Arc::clone(origin),
            None => Arc::from(origin),
        };
        *taken.by_origin.entry(Arc::clone(&origin)).or_default() += 1;
        taken.all += 1;
        Some(Share { shares: Arc::clone(self), origin })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.shares.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(count) = taken.by_origin.get_mut(&self.origin) {
            *count -= 1;
            if *count == 0 {
                taken.by_origin.remove(&self.origin);
            }
        }
    }
}

/// Keeps a line from being said again and again.
#[derive(Debug, Default)]
pub(super) struct NowAndThen(Mutex<Option<Instant>>);

impl NowAndThen {
    /// Whether to say it.
    pub(super) fn is_due(&self) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = said.is_none_or(|said| said.elapsed() >= SAID_EVERY);
        if due {
            *said = Some(Instant::now());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_takes_all_it_can_leaves_others_their_own() {
        let shares = Shares::new(10_000);
        let take = |origin: &str| shares.take(origin);
        let greedy: Vec<_> = std::iter::from_fn(|| take("greedy")).collect();
        assert_eq!(greedy.len(), 7_500);
        let modest: Vec<_> = std::iter::from_fn(|| take("modest")).collect();
        assert_eq!(modest.len(), OWN);
        drop(greedy);
        assert!(take("modest").is_some());
        drop(modest);
        let taken = shares.taken.lock().unwrap();
        assert_eq!((taken.all, taken.by_origin.len()), (0, 0));
    }

    #[test]
    fn with_few_places_one_is_everybodys_own() {
        let shares = Shares::new(8);
        let greedy: Vec<_> = std::iter::from_fn(|| shares.take("greedy")).collect();
        assert_eq!(greedy.len(), 6);
        let _first = shares.take("first").unwrap();
        assert!(shares.take("first").is_none());
        assert!(shares.take("second").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_is_said_now_and_then() {
        let line = NowAndThen::default();
        let said = || (0..100).filter(|_| line.is_due()).count();
        assert_eq!(said(), 1);
        tokio::time::advance(SAID_EVERY).await;
        assert_eq!(said(), 1);
    }
}
