//! So many requests in a second and no more, and who is next: what somebody waits for goes before
//! what nobody does, and of each kind the oldest first.
//!
//! Knows nothing of AWS: a lane is one kind of call on one account's quota.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{self, Clock as _, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::urgency::Urgency;
use crate::desired::acm_pca::CaArn;

/// How far apart requests are sent after the first that was throttled, at the least.
const FIRST_GAP: Duration = Duration::from_millis(500);

/// What that grows to.
const LONGEST_GAP: Duration = Duration::from_secs(5);

/// Below this it is over.
const LEAST_GAP: Duration = Duration::from_millis(20);

/// One kind of call on one quota.
#[derive(Debug)]
pub(super) struct Lane(Mutex<State>);

struct State {
    limiter: Limiter,
    per_second: u32,
    /// What each CA of the account may be sent, by the mesh: the least of it counts for all.
    rates: BTreeMap<CaArn, u32>,
    waiting: Vec<Waiting>,
    slowed: Option<Slowed>,
    last_sent: Option<Instant>,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<TokioInstant>>;

struct Waiting {
    turn: u64,
    urgency: Urgency,
    wake: Arc<Notify>,
}

/// AWS throttles: others use the quota too.
#[derive(Clone, Copy)]
struct Slowed {
    gap: Duration,
    since: Instant,
}

/// One that waits in a lane; leaves it when dropped.
pub(super) struct Place<'a> {
    lane: &'a Lane,
    turn: u64,
    urgency: &'a Urgency,
    wake: Arc<Notify>,
}

enum Step {
    Go,
    Until(Instant),
    BehindOthers,
}

impl Lane {
    /// One whose rate is yet to be [set](Self::set_rate).
    pub(super) fn new(per_second: u32) -> Self {
        Self(Mutex::new(State {
            limiter: limiter(per_second),
            per_second,
            rates: BTreeMap::new(),
            waiting: Vec::new(),
            slowed: None,
            last_sent: None,
        }))
    }

    /// What the mesh says of one CA that shares this lane.
    pub(super) fn set_rate(&self, ca: &CaArn, per_second: u32) {
        let mut state = self.state();
        state.rates.insert(ca.clone(), per_second);
        let least = state.rates.values().copied().min().unwrap_or(per_second);
        if least != state.per_second {
            state.per_second = least;
            state.limiter = limiter(least);
        }
    }

    /// A place in it; `turn` says how old it is.
    pub(super) fn place<'a>(&'a self, turn: u64, urgency: &'a Urgency) -> Place<'a> {
        let wake = Arc::new(Notify::new());
        let waiting = Waiting { turn, urgency: urgency.clone(), wake: Arc::clone(&wake) };
        self.state().waiting.push(waiting);
        Place { lane: self, turn, urgency, wake }
    }

    /// A request that was sent at `sent` was throttled: all are slowed down, once for all that were
    /// on their way together.
    pub(super) fn throttled(&self, sent: Instant) {
        let now = Instant::now();
        let mut state = self.state();
        let gap = match state.slowed {
            Some(slowed) if sent < slowed.since => return,
            Some(slowed) => (slowed.gap * 2).clamp(FIRST_GAP, LONGEST_GAP),
            None => FIRST_GAP,
        };
        state.slowed = Some(Slowed { gap, since: now });
        state.last_sent = Some(now);
    }

    /// A request was taken: a little faster again.
    pub(super) fn taken(&self) {
        let mut state = self.state();
        if let Some(slowed) = state.slowed {
            let gap = slowed.gap - slowed.gap / 8;
            state.slowed = (gap >= LEAST_GAP).then_some(Slowed { gap, ..slowed });
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Until one more request may be sent, and this is the one.
    pub(super) async fn turn(self) {
        loop {
            let step = self.lane.state().step(&self.wake);
            let until = match step {
                Step::Go => return,
                Step::Until(at) => Some(at),
                Step::BehindOthers => None,
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = self.urgency.hastened(), if !self.urgency.is_awaited() => {}
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.lane.state();
        state.waiting.retain(|waiting| !Arc::ptr_eq(&waiting.wake, &self.wake));
        state.wake_next();
    }
}

impl std::fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("turn", &self.turn).finish_non_exhaustive()
    }
}

impl State {
    fn step(&mut self, wake: &Arc<Notify>) -> Step {
        let is_next = self.next().is_some_and(|next| Arc::ptr_eq(&next.wake, wake));
        if !is_next {
            // Whoever is next may not know it yet, where this was next before.
            self.wake_next();
            return Step::BehindOthers;
        }
        let now = Instant::now();
        if let (Some(slowed), Some(last)) = (self.slowed, self.last_sent)
            && now < last + slowed.gap
        {
            return Step::Until(last + slowed.gap);
        }
        match self.limiter.check() {
            Ok(()) => {
                self.last_sent = Some(now);
                Step::Go
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.limiter.clock().now());
                // Timers go off at whole milliseconds.
                Step::Until(now + wait.max(Duration::from_millis(1)))
            }
        }
    }

    fn next(&self) -> Option<&Waiting> {
        self.waiting.iter().min_by_key(|waiting| (!waiting.urgency.is_awaited(), waiting.turn))
    }

    fn wake_next(&self) {
        if let Some(next) = self.next() {
            next.wake.notify_one();
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("per_second", &self.per_second)
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

/// One request at a time, evenly spread: in no second more than `per_second`, however AWS counts.
fn limiter(per_second: u32) -> Limiter {
    let period = Duration::from_secs(1) / per_second.max(1);
    let quota = Quota::with_period(period).unwrap_or(Quota::per_second(NonZeroU32::MIN));
    RateLimiter::direct_with_clock(quota, TokioClock { began: Instant::now() })
}

/// Tokio's time, which tests can pause.
#[derive(Clone, Debug)]
struct TokioClock {
    began: Instant,
}

/// A moment of it, since the clock was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TokioInstant(Duration);

impl clock::Clock for TokioClock {
    type Instant = TokioInstant;
    fn now(&self) -> TokioInstant {
        TokioInstant(self.began.elapsed())
    }
}

impl Reference for TokioInstant {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }
    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.saturating_sub(duration.into()))
    }
}

impl Add<Nanos> for TokioInstant {
    type Output = Self;
    fn add(self, other: Nanos) -> Self {
        Self(self.0 + Duration::from(other))
    }
}
