//! Where the time comes from, and how the wall's time becomes a timer's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use time::{OffsetDateTime, UtcOffset};
use tokio::time::Instant;

/// Where the time comes from.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Fixed(OffsetDateTime),
    Simulated(Simulation),
}

/// The hand on a simulated clock. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Simulation(Arc<Simulated>);

#[derive(Debug)]
struct Simulated {
    began_at: OffsetDateTime,
    began: Instant,
    offset_seconds: AtomicI64,
}

impl Clock {
    /// The machine's own clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `at`: for tests, and for questions such as "what would be due
    /// then?".
    pub fn fixed(at: OffsetDateTime) -> Self {
        Self(Source::Fixed(at))
    }

    /// A clock that shows `at` now and goes on as tokio's timers do, which tests can pause, until
    /// it is set by its hand.
    pub fn simulated(at: OffsetDateTime) -> (Self, Simulation) {
        let (began_at, began) = (at.to_offset(UtcOffset::UTC), Instant::now());
        let hand = Simulation(Arc::new(Simulated { began_at, began, offset_seconds: 0.into() }));
        (Self(Source::Simulated(hand.clone())), hand)
    }

    /// The present moment in UTC, to the second: certificates know no finer time
    /// (RFC 5280 section 4.1.2.5).
    pub fn now(&self) -> OffsetDateTime {
        self.moment().wall()
    }

    /// The present moment, by the wall and by the timers.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
    pub fn moment(&self) -> Moment {
        let instant = Instant::now();
        let exactly = match &self.0 {
            Source::System => OffsetDateTime::now_utc(),
            Source::Fixed(at) => at.to_offset(UtcOffset::UTC),
            Source::Simulated(hand) => hand.shows(instant),
        };
        Moment { exactly, instant }
    }
}

impl Simulation {
    /// Sets the clock forward, or back, as an operator or NTP would.
    pub fn jump(&self, by: time::Duration) {
        self.0.offset_seconds.fetch_add(by.whole_seconds(), Ordering::Relaxed);
    }

    fn shows(&self, instant: Instant) -> OffsetDateTime {
        let offset = time::Duration::seconds(self.0.offset_seconds.load(Ordering::Relaxed));
        self.0.began_at + instant.duration_since(self.0.began) + offset
    }
}

/// One moment, by the wall and by the timers: the one place where the one becomes the other.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    exactly: OffsetDateTime,
    instant: Instant,
}

impl Moment {
    /// By the wall, to the second.
    pub fn wall(&self) -> OffsetDateTime {
        self.exactly.truncate_to_second()
    }

    /// By the timers.
    pub fn instant(&self) -> Instant {
        self.instant
    }

    /// How long it is until the wall shows `at`; nothing if that is over.
    pub fn until(&self, at: OffsetDateTime) -> Duration {
        Duration::try_from(at - self.exactly).unwrap_or(Duration::ZERO)
    }

    /// When a timer goes off that is to do so at `at` by the wall, unless the clock is set
    /// meanwhile.
    pub fn instant_of(&self, at: OffsetDateTime) -> Instant {
        self.instant + self.until(at)
    }

    /// By how much the wall's clock was set, or the machine slept, since `earlier`.
    pub fn jump_since(&self, earlier: &Self) -> time::Duration {
        let passed = self.instant.saturating_duration_since(earlier.instant);
        self.exactly - earlier.exactly - passed
    }

    /// What the wall will show at `instant`, to the second.
    pub fn wall_of(&self, instant: Instant) -> OffsetDateTime {
        (self.exactly + instant.saturating_duration_since(self.instant)).truncate_to_second()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::time::rfc3339;

    const AT: OffsetDateTime = datetime!(2026-11-21 08:00:00.5 +02:00);

    #[test]
    fn the_clock_stands_where_it_was_put() {
        assert_eq!(rfc3339(Clock::fixed(AT).now()), "2026-11-21T06:00:00Z");
        assert!(Clock::system().now().year() >= 2026);
    }

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_goes_with_the_timers_and_is_set_by_hand() {
        let (clock, hand) = Clock::simulated(AT);
        tokio::time::advance(Duration::from_millis(2_500)).await;
        assert_eq!(rfc3339(clock.now()), "2026-11-21T06:00:03Z");
        let before = clock.moment();
        hand.jump(time::Duration::HOUR);
        assert_eq!(rfc3339(clock.now()), "2026-11-21T07:00:03Z");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(clock.moment().jump_since(&before), time::Duration::HOUR);
        hand.jump(-2 * time::Duration::HOUR);
        assert_eq!(rfc3339(clock.now()), "2026-11-21T05:01:03Z");
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_set_by_the_wall_goes_off_when_the_wall_shows_it() {
        let (clock, _) = Clock::simulated(AT);
        let moment = clock.moment();
        let at = datetime!(2026-11-21 06:00:07 UTC);
        assert_eq!(moment.until(at), Duration::from_millis(6_500));
        assert_eq!(moment.wall_of(moment.instant_of(at)), at);
        tokio::time::sleep_until(moment.instant_of(at)).await;
        assert_eq!(clock.now(), at);
        assert_eq!(clock.moment().until(moment.wall()), Duration::ZERO, "what is over is now");
    }
}
