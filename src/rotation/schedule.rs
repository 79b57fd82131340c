//! When one identity is worked on next: idle until it is due, in flight, failed and tried again.
//! Pure; its owner asks it when to wake, wakes it, and tells it how the work went.
//!
//! What is due follows the wall clock, which may be set; what is tried again follows the timers,
//! which only go forward.

use std::time::Duration;

use tokio::time::Instant;

use crate::time::{Moment, OffsetDateTime};

/// How soon a first failure is followed by another attempt, a fifth more or less; each further one
/// takes twice as long.
pub const FIRST_RETRY: Duration = Duration::from_millis(500);

/// What the time between attempts grows to, a fifth more or less.
pub const LONGEST_RETRY: Duration = Duration::from_secs(150);

/// How soon a first failure that was paid for is followed by another attempt, and what the time
/// between them grows to; the same fifth more or less.
pub const FIRST_PAID_RETRY: Duration = Duration::from_secs(60);
/// See [`FIRST_PAID_RETRY`].
pub const LONGEST_PAID_RETRY: Duration = Duration::from_secs(3_600);

/// The failures in a row that are told of one by one; later ones now and then, about once an hour.
const TOLD_ONE_BY_ONE: u32 = 10;
const TOLD_EVERY: u32 = 24;

/// One identity's schedule.
#[derive(Clone, Debug)]
pub struct Schedule {
    seed: u64,
    failures: u32,
    phase: Phase,
}

/// Where a schedule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is to be done before that.
    Idle(Wake),
    /// It waits for its turn.
    Due,
    /// It is being worked on.
    InFlight,
    /// The last attempt failed, and this is when it is tried again.
    Failed {
        /// When.
        retry_at: Instant,
    },
    /// It can only go on when something else is mended, or be told to have ended at that moment.
    Held(Wake),
}

/// When to wake a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Not by time alone.
    Never,
    /// When the wall shows this.
    At(OffsetDateTime),
    /// When the timers do.
    After(Instant),
}

impl Wake {
    /// Whether that is now, or over.
    pub fn is_over(self, now: &Moment) -> bool {
        match self {
            Self::Never => false,
            Self::At(at) => at <= now.wall(),
            Self::After(instant) => instant <= now.instant(),
        }
    }
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How long to wait.
    pub after: Duration,
    /// Whether an operator is told; not of every failure of a long row.
    pub tell: bool,
}

impl Schedule {
    /// A schedule on which nothing stands. `seed` decides by how much its retries are put off.
    pub fn new(seed: u64) -> Self {
        Self { seed, failures: 0, phase: Phase::Idle(Wake::Never) }
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// How many attempts failed since the last that did not.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When it is to be woken.
    pub fn wake(&self) -> Wake {
        match self.phase {
            Phase::Idle(wake) | Phase::Held(wake) => wake,
            Phase::Failed { retry_at } => Wake::After(retry_at),
            Phase::Due | Phase::InFlight => Wake::Never,
        }
    }

    /// What there is is right until `due`. Clears what failed before.
    pub fn idle_until(&mut self, due: Option<OffsetDateTime>) {
        self.failures = 0;
        self.phase = Phase::Idle(due.map_or(Wake::Never, Wake::At));
    }

    /// Work is to be done now: something else is wanted, or somebody asked. Clears what failed
    /// before, since that was other work.
    pub fn due_now(&mut self) {
        self.failures = 0;
        self.phase = Phase::Due;
    }

    /// Its time has come.
    pub fn woken(&mut self) {
        self.phase = Phase::Due;
    }

    /// The work begins.
    pub fn begin(&mut self) {
        self.phase = Phase::InFlight;
    }

    /// It cannot go on by itself; it is woken at `ends`, if that is yet to come, to tell of it.
    pub fn hold(&mut self, ends: Option<OffsetDateTime>) {
        self.phase = Phase::Held(ends.map_or(Wake::Never, Wake::At));
    }

    /// The work is done, and is due again at `due`; but never in a loop, however short that is.
    pub fn succeeded(&mut self, now: &Moment, due: Option<OffsetDateTime>) {
        self.idle_until(due);
        if due.is_some_and(|due| now.until(due) < FIRST_RETRY) {
            self.phase = Phase::Idle(Wake::After(now.instant() + FIRST_RETRY));
        }
    }

    /// The work failed. `left` is how long what there is remains good; none where there is nothing
    /// good.
    pub fn failed(&mut self, now: &Moment, left: Option<Duration>) -> Retry {
        self.fail(now, left, (FIRST_RETRY, LONGEST_RETRY))
    }

    /// The work failed, and was paid for: it is tried again, but not soon.
    pub fn failed_at_a_cost(&mut self, now: &Moment, left: Option<Duration>) -> Retry {
        self.fail(now, left, (FIRST_PAID_RETRY, LONGEST_PAID_RETRY))
    }

    fn fail(
        &mut self,
        now: &Moment,
        left: Option<Duration>,
        bounds: (Duration, Duration),
    ) -> Retry {
        self.failures = self.failures.saturating_add(1);
        let after = put_off(self.failures, left, bounds, self.seed);
        self.phase = Phase::Failed { retry_at: now.instant() + after };
        let tell = self.failures <= TOLD_ONE_BY_ONE || self.failures.is_multiple_of(TOLD_EVERY);
        Retry { after, tell }
    }
}

/// How long to wait after so many failures in a row: twice as long each time, a fifth more or less,
/// and, as the end nears, at most half of what is left, so that there is always another attempt
/// before it.
fn put_off(
    failures: u32,
    left: Option<Duration>,
    (first, longest): (Duration, Duration),
    seed: u64,
) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    let whole = first.saturating_mul(1 << doublings).min(longest);
    let drawn = whole.mul_f64(0.8 + 0.4 * unit(seed.wrapping_add(u64::from(failures))));
    match left {
        Some(left) => drawn.min((left / 2).max(first)),
        None => drawn,
    }
}

/// A number from 0 to 1 that seems to have nothing to do with `seed` (splitmix64).
fn unit(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;
    use crate::time::Clock;

    fn now() -> Moment {
        Clock::fixed(datetime!(2026-11-21 8:00 UTC)).moment()
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn failed(seed: u64, times: usize) -> Schedule {
        let mut schedule = Schedule::new(seed);
        for _ in 0..times {
            schedule.failed(&now(), None);
        }
        schedule
    }

    #[test]
    fn each_failure_waits_twice_as_long_up_to_a_bound() {
        for seed in 0..100 {
            let mut schedule = Schedule::new(seed);
            for whole in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 150.0, 150.0, 150.0] {
                let Retry { after, .. } = schedule.failed(&now(), None);
                assert!(after >= seconds(whole * 0.799), "{after:?} after {whole}");
                assert!(after <= seconds(whole * 1.201), "{after:?} after {whole}");
            }
        }
    }

    #[test]
    fn two_identities_do_not_try_again_together() {
        let first = |seed| Schedule::new(seed).failed(&now(), None).after;
        let mut moments: Vec<_> = (0..100).map(first).collect();
        moments.sort();
        moments.dedup();
        assert_eq!(moments.len(), 100);
        assert_eq!(first(7), first(7), "and each has its own moment, drawn once");
    }

    #[test]
    fn success_and_other_work_clear_what_failed() {
        for clear in [
            (|schedule| schedule.succeeded(&now(), None)) as fn(&mut Schedule),
            |schedule| schedule.idle_until(None),
            Schedule::due_now,
        ] {
            let mut schedule = failed(1, 5);
            assert_eq!(schedule.failures(), 5);
            clear(&mut schedule);
            assert_eq!(schedule.failures(), 0);
            assert!(schedule.failed(&now(), None).after <= seconds(0.6));
        }
    }

    #[test]
    fn what_is_due_at_once_again_is_no_loop() {
        let (mut schedule, now) = (Schedule::new(1), now());
        schedule.succeeded(&now, Some(now.wall()));
        assert_eq!(schedule.wake(), Wake::After(now.instant() + FIRST_RETRY));
        let due = now.wall() + time::Duration::HOUR;
        schedule.succeeded(&now, Some(due));
        assert_eq!(schedule.wake(), Wake::At(due));
        assert!(!schedule.wake().is_over(&now));
        assert!(Wake::At(now.wall()).is_over(&now));
    }

    #[test]
    fn what_was_paid_for_is_tried_again_but_a_few_times_in_an_hour() {
        let (mut schedule, mut within) = (Schedule::new(1), Duration::ZERO);
        let day = Duration::from_secs(86_400);
        let mut tries = 0;
        while within < day {
            within += schedule.failed_at_a_cost(&now(), None).after;
            tries += 1;
        }
        assert!((20..40).contains(&tries), "{tries} in a day");
        let after = schedule.failed_at_a_cost(&now(), Some(seconds(10.0))).after;
        assert_eq!(after, FIRST_PAID_RETRY, "not faster as the end nears");
    }

    #[test]
    fn a_long_row_of_failures_is_told_of_now_and_then() {
        let mut schedule = Schedule::new(1);
        let told = (0..1_000).filter(|_| schedule.failed(&now(), None).tell).count();
        assert_eq!(told, 10 + 1_000 / 24);
    }

    proptest! {
        #[test]
        fn there_is_always_another_attempt_before_the_end(
            seed: u64, lifetime in 2_u64..100_000, failures in 0_usize..20,
        ) {
            let mut schedule = failed(seed, failures);
            let mut left = seconds(lifetime as f64);
            let mut attempts = 0;
            while left > seconds(1.0) {
                let after = schedule.failed(&now(), Some(left)).after;
                prop_assert!(after <= left / 2 + Duration::from_nanos(1));
                prop_assert!(after >= seconds(0.39));
                left -= after;
                attempts += 1;
            }
            prop_assert!(attempts >= 1);
            // Even so it is no loop.
            prop_assert!(attempts <= 30 + lifetime / 100, "{} attempts", attempts);
        }
    }
}
