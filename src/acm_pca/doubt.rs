//! Whether a CA is worth its price: one that is set up wrong signs wrongly for every node, and each
//! certificate that is refused is paid for. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// So many refused in a row are no accident.
const ENOUGH: u32 = 5;

/// How long nothing is asked for then; twice as long after each that is refused still.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// What the pause grows to.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// What is thought of one CA.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    in_a_row: u32,
    since: Option<Instant>,
    until: Option<Instant>,
    is_tried: bool,
}

/// Nothing is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Since when there is doubt.
    pub since: Instant,
    /// When it is tried again.
    pub until: Instant,
    /// How many were refused in a row.
    pub in_a_row: u32,
}

impl Doubt {
    /// What it signed was refused. Whether it is doubted from now on, and was not before.
    pub(super) fn refused(&mut self, now: Instant) -> bool {
        self.in_a_row = self.in_a_row.saturating_add(1);
        let Some(more) = self.in_a_row.checked_sub(ENOUGH) else { return false };
        self.since.get_or_insert(now);
        // Those that were asked for together come together, and are one try.
        if std::mem::take(&mut self.is_tried) || self.until.is_none_or(|until| until <= now) {
            let pause = FIRST_PAUSE.saturating_mul(1 << more.min(10)).min(LONGEST_PAUSE);
            self.until = Some(now + pause);
        }
        more == 0
    }

    /// One is about to be asked for. While there is doubt it is asked for alone: the others wait for
    /// what comes of it.
    pub(super) fn tries(&mut self, now: Instant) {
        if self.since.is_some() {
            self.until = Some(now + FIRST_PAUSE);
            self.is_tried = true;
        }
    }

    /// What it signed was good.
    pub(super) fn accepted(&mut self) {
        *self = Self::default();
    }

    /// Whether nothing is asked of it now.
    pub(super) fn holds(&self, now: Instant) -> Option<Held> {
        let (since, until) = (self.since?, self.until.filter(|until| *until > now)?);
        Some(Held { since, until, in_a_row: self.in_a_row })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_wrong_ones_are_put_up_with_and_more_are_paused_for() {
        let (mut doubt, began) = (Doubt::default(), Instant::now());
        for _ in 1..ENOUGH {
            assert!(!doubt.refused(began));
            assert_eq!(doubt.holds(began), None);
        }
        assert!(doubt.refused(began), "that is told");
        let held = |pause, in_a_row| Some(Held { since: began, until: began + pause, in_a_row });
        assert_eq!(doubt.holds(began), held(FIRST_PAUSE, ENOUGH));
        assert!(!doubt.refused(began), "once");
        assert_eq!(doubt.holds(began), held(FIRST_PAUSE, ENOUGH + 1));
        let later = began + FIRST_PAUSE;
        assert_eq!(doubt.holds(later), None, "then it is tried again");
        doubt.tries(later);
        assert!(doubt.holds(later).is_some(), "by one alone");
        doubt.refused(later);
        assert_eq!(doubt.holds(later), held(5 * FIRST_PAUSE, ENOUGH + 2));
        for _ in 0..20 {
            doubt.refused(later + LONGEST_PAUSE);
        }
        let held = doubt.holds(later + LONGEST_PAUSE).unwrap();
        assert!(held.until <= later + 2 * LONGEST_PAUSE);
    }

    #[test]
    fn one_good_certificate_ends_all_doubt() {
        let (mut doubt, now) = (Doubt::default(), Instant::now());
        for _ in 0..ENOUGH {
            doubt.refused(now);
        }
        doubt.accepted();
        assert_eq!(doubt.holds(now), None);
        assert!(!doubt.refused(now));
    }
}
