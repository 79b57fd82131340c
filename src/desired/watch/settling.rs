//! When to look at the files again, after what has been told of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::bell::{Bell, Hints};
use super::keeper::Keeper;

/// How long nothing may happen before things count as settled.
const QUIET: Duration = Duration::from_millis(50);
/// The same after a write that no close has followed: its writer may be slow.
const UNCLOSED: Duration = Duration::from_secs(1);
/// The longest until a look, however much happens.
const LONGEST: Duration = Duration::from_secs(5);
/// How often to look where the system tells nothing.
const POLL: Duration = Duration::from_secs(5);

/// What a look at the files is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Things may still be moving: what can be used is taken, what is wrong is not told yet.
    Early,
    /// This is how it is meant.
    Settled,
}

/// Which look is due, and when.
#[derive(Debug, Default)]
struct Settling {
    /// When things began to move, and when they are to have settled.
    moving: Option<(Instant, Instant)>,
}

impl Settling {
    fn due(&self) -> Option<Instant> {
        self.moving.map(|(_, due)| due)
    }

    /// What to do about `hints`; at the moment that is due, without any.
    fn look(&mut self, hints: Option<Hints>, now: Instant) -> Option<Look> {
        let Some(hints) = hints else {
            self.moving = None;
            return Some(Look::Settled);
        };
        if hints.any_of(&[Hints::RELOAD]) {
            self.moving = None;
            return Some(Look::Settled);
        }
        let whole = hints.any_of(&[Hints::WHOLE]);
        let quiet = if hints.any_of(&[Hints::BEING_WRITTEN]) && !whole { UNCLOSED } else { QUIET };
        let since = self.moving.map_or(now, |(since, _)| since);
        self.moving = Some((since, (now + quiet).min(since + LONGEST).max(now)));
        whole.then_some(Look::Early)
    }
}

/// Has `keeper` look whenever `bell` says that there may be something to see.
pub async fn follow(mut keeper: Keeper, bell: Arc<Bell>) {
    let mut settling = Settling::default();
    loop {
        let poll = keeper.polls().then(|| Instant::now() + POLL);
        let due = settling.due().into_iter().chain(poll).min();
        let hints = tokio::select! {
            hints = bell.hints() => Some(hints),
            () = until(due) => None,
        };
        let lost = hints.is_some_and(|hints| hints.any_of(&[Hints::LOST, Hints::RELOAD]));
        let look = settling.look(hints, Instant::now());
        if look.is_none() && !lost {
            continue;
        }
        let looked = tokio::task::spawn_blocking(move || {
            if lost {
                keeper.doubt();
            }
            if let Some(look) = look {
                keeper.look(look);
            }
            keeper
        });
        keeper = match looked.await {
            Ok(keeper) => keeper,
            // The runtime is going down.
            Err(_) => return,
        };
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds after `start` of each look, when these hints come at these milliseconds.
    fn looks(told: &[(u64, Hints)]) -> Vec<(u64, Look)> {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut settling = Settling::default();
        let mut looks = Vec::new();
        let mut look = |settling: &mut Settling, hints, now: Instant| {
            if let Some(look) = settling.look(hints, now) {
                looks.push((u64::try_from((now - start).as_millis()).unwrap(), look));
            }
        };
        for (when, hints) in told {
            while let Some(due) = settling.due().filter(|due| *due <= at(*when)) {
                look(&mut settling, None, due);
            }
            look(&mut settling, Some(*hints), at(*when));
        }
        while let Some(due) = settling.due() {
            look(&mut settling, None, due);
        }
        looks
    }

    #[test]
    fn what_is_whole_is_looked_at_at_once_and_again_when_all_is_quiet() {
        use Look::{Early, Settled};
        assert_eq!(looks(&[(0, Hints::WHOLE)]), [(0, Early), (50, Settled)]);
        assert_eq!(
            looks(&[(0, Hints::CHANGED), (30, Hints::WHOLE), (60, Hints::WHOLE)]),
            [(30, Early), (60, Early), (110, Settled)]
        );
        assert_eq!(looks(&[(0, Hints::BEING_WRITTEN | Hints::WHOLE)]), [(0, Early), (50, Settled)]);
    }

    #[test]
    fn half_a_file_is_left_alone_while_its_writer_may_go_on() {
        let written = [(0, Hints::CHANGED), (1, Hints::BEING_WRITTEN), (900, Hints::BEING_WRITTEN)];
        assert_eq!(looks(&written), [(1_900, Look::Settled)]);
        let closed = [(0, Hints::BEING_WRITTEN), (900, Hints::WHOLE)];
        assert_eq!(looks(&closed), [(900, Look::Early), (950, Look::Settled)]);
    }

    #[test]
    fn what_never_rests_is_looked_at_all_the_same() {
        let restless: Vec<_> = (0..1_000).map(|i| (i * 10, Hints::CHANGED)).collect();
        let looks = looks(&restless);
        assert_eq!(looks[0], (5_000, Look::Settled));
        let restless: Vec<_> = (0..100).map(|i| (i * 10, Hints::CHANGED)).collect();
        assert_eq!(self::looks(&restless), [(1_040, Look::Settled)]);
    }

    #[test]
    fn a_reload_waits_for_nothing() {
        let told = [(0, Hints::CHANGED), (10, Hints::RELOAD)];
        assert_eq!(looks(&told), [(10, Look::Settled)]);
    }
}
