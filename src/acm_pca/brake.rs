//! How many certificates were paid for in the last hour, and when that is too many: pure.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// What the mesh file's limit is counted over.
const WINDOW: Duration = Duration::from_secs(3_600);

/// One CA's brake.
#[derive(Debug, Default)]
pub(super) struct Brake {
    sent: VecDeque<Instant>,
    is_told: bool,
}

/// It is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct On {
    /// When one more may be asked for.
    pub lifts: Instant,
    /// Whether this is the first refusal since it was last off.
    pub is_new: bool,
}

impl Brake {
    /// Counts one more that is about to be asked for, unless `limit` is reached.
    pub(super) fn take(&mut self, limit: Option<u32>, now: Instant) -> Result<(), On> {
        self.forget(now);
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        if self.sent.len() < limit {
            self.sent.push_back(now);
            self.is_told = false;
            return Ok(());
        }
        let is_new = !std::mem::replace(&mut self.is_told, true);
        // The one whose going makes room, which is the oldest unless the limit was lowered.
        let lifting = self.sent.get(self.sent.len() - limit).copied().unwrap_or(now);
        Err(On { lifts: lifting + WINDOW, is_new })
    }

    /// The last one came to nothing, and was not paid for.
    pub(super) fn give_back(&mut self) {
        self.sent.pop_back();
    }

    /// One that was asked for so long ago, by an earlier process.
    pub(super) fn recall(&mut self, ago: Duration, now: Instant) {
        if let Some(at) = now.checked_sub(ago).filter(|_| ago < WINDOW) {
            let place = self.sent.partition_point(|earlier| *earlier <= at);
            self.sent.insert(place, at);
        }
    }

    /// How many in the last hour.
    pub(super) fn count(&mut self, now: Instant) -> usize {
        self.forget(now);
        self.sent.len()
    }

    fn forget(&mut self, now: Instant) {
        while self.sent.front().is_some_and(|at| now.saturating_duration_since(*at) >= WINDOW) {
            self.sent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_limit_holds_over_any_hour_and_lifts_with_the_oldest() {
        let (mut brake, began) = (Brake::default(), Instant::now());
        for minutes in 0..3 {
            assert_eq!(brake.take(Some(3), began + minutes * MINUTE), Ok(()));
        }
        let on = |is_new| Err(On { lifts: began + WINDOW, is_new });
        assert_eq!(brake.take(Some(3), began + 10 * MINUTE), on(true));
        assert_eq!(brake.take(Some(3), began + 59 * MINUTE), on(false), "told once");
        assert_eq!(brake.take(Some(3), began + 60 * MINUTE), Ok(()));
        let lifts = began + WINDOW + MINUTE;
        assert_eq!(brake.take(Some(3), began + 60 * MINUTE), Err(On { lifts, is_new: true }));
        assert_eq!(brake.take(None, began + 60 * MINUTE), Ok(()), "no limit");
        assert_eq!(brake.count(began + 60 * MINUTE), 4);
    }

    #[test]
    fn what_was_not_paid_for_does_not_count() {
        let (mut brake, now) = (Brake::default(), Instant::now());
        brake.take(Some(1), now).unwrap();
        brake.give_back();
        assert_eq!(brake.take(Some(1), now), Ok(()));
    }

    #[test]
    fn what_an_earlier_process_had_made_counts_for_the_rest_of_its_hour() {
        let mut brake = Brake::default();
        let now = Instant::now() + 2 * WINDOW;
        brake.recall(50 * MINUTE, now);
        brake.recall(70 * MINUTE, now);
        brake.recall(55 * MINUTE, now);
        assert_eq!(brake.count(now), 2);
        assert_eq!(brake.take(Some(2), now), Err(On { lifts: now + 5 * MINUTE, is_new: true }));
    }

    #[test]
    fn a_limit_of_nothing_lets_nothing_through() {
        let (mut brake, now) = (Brake::default(), Instant::now());
        assert!(brake.take(Some(0), now).is_err());
    }
}
