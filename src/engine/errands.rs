//! Asking AWS what the authorities of the mesh need: beside everything else, each with a back-off of
//! its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::state::State;
use crate::hierarchy::{Means, Outcome};
use crate::identity::AuthorityName;
use crate::rotation::schedule::{Phase, Schedule, Wake};
use crate::time::Moment;

/// Twice the longest wait before AWS is asked again: a node may wait for it.
const LEFT: Duration = Duration::from_secs(60);

/// Errands that run, and those that have failed.
#[derive(Debug, Default)]
pub(super) struct Errands {
    tasks: JoinSet<Outcome>,
    running: HashMap<Id, AuthorityName>,
    failed: HashMap<AuthorityName, Failed>,
}

#[derive(Debug)]
struct Failed {
    schedule: Schedule,
    why: String,
}

/// What became of an errand.
pub(super) type Ended = Result<(Id, Outcome), JoinError>;

impl Errands {
    pub(super) async fn join_next(&mut self) -> Option<Ended> {
        self.tasks.join_next_with_id().await
    }

    /// Why nothing came of the last one for an authority.
    pub(super) fn failure(&self, authority: &AuthorityName) -> Option<&str> {
        self.failed.get(authority).map(|failed| failed.why.as_str())
    }

    /// When to ask again what failed.
    pub(super) fn next(&self) -> Option<Instant> {
        let wakes = self.failed.values().map(|failed| failed.schedule.wake());
        wakes
            .filter_map(|wake| match wake {
                Wake::After(instant) => Some(instant),
                Wake::At(_) | Wake::Never => None,
            })
            .min()
    }

    /// Tries again at once what failed.
    pub(super) fn hurry(&mut self) {
        self.failed.values_mut().for_each(|failed| failed.schedule.due_now());
    }

    fn waits(&self, authority: &AuthorityName, now: &Moment) -> bool {
        self.running.values().any(|running| running == authority)
            || self.failed.get(authority).is_some_and(|failed| {
                matches!(failed.schedule.phase(), Phase::Failed { .. })
                    && !failed.schedule.wake().is_over(now)
            })
    }
}

impl State {
    /// Begins what is to be asked now.
    pub(super) fn start_errands(&mut self, now: &Moment) {
        // What is read now may answer it.
        if self.preparing.is_some() {
            return;
        }
        for errand in self.authorities.errands(&self.desired, now.wall()) {
            let authority = errand.authority().clone();
            if self.errands.waits(&authority, now) {
                continue;
            }
            let means = Means {
                pool: self.options.pool.clone(),
                directory: Arc::clone(&self.directory),
                store: Arc::clone(&self.store),
                state: self.options.state.clone(),
            };
            if let Some(failed) = self.errands.failed.get_mut(&authority) {
                failed.schedule.begin();
            }
            let wall = now.wall();
            let task = self.errands.tasks.spawn(async move { errand.run(&means, wall).await });
            self.errands.running.insert(task.id(), authority);
        }
    }

    /// Takes what came of an errand.
    pub(super) fn errand_ended(&mut self, ended: Ended, now: &Moment) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(authority) = self.errands.running.remove(&id) else { return };
        let (is_news, failure) = match ended {
            Ok((_, outcome)) => {
                let failure = outcome.failure;
                let failure = failure.map(|failure| (failure.to_string(), failure.is_paid_for()));
                (outcome.is_news, failure)
            }
            Err(cause) => (false, Some((format!("the work was cut off: {cause}"), false))),
        };
        match failure {
            Some((why, is_paid_for)) => self.errand_failed(&authority, (why, is_paid_for), now),
            None => {
                if self.errands.failed.remove(&authority).is_some() {
                    tracing::info!(%authority, "AWS answers again");
                }
            }
        }
        if is_news {
            self.read_authorities();
        }
    }

    fn errand_failed(
        &mut self,
        authority: &AuthorityName,
        (why, is_paid_for): (String, bool),
        now: &Moment,
    ) {
        let seed = self.options.seed;
        let failed = self
            .errands
            .failed
            .entry(authority.clone())
            .or_insert_with(|| Failed { schedule: Schedule::new(seed), why: String::new() });
        let retry = match is_paid_for {
            true => failed.schedule.failed_at_a_cost(now, None),
            false => failed.schedule.failed(now, Some(LEFT)),
        };
        if retry.tell || failed.why != why {
            let retry_in = format!("{:.1}s", retry.after.as_secs_f64());
            tracing::warn!(%authority, retry_in, "not all that AWS was asked was done: {why}");
        }
        failed.why = why;
        // Those who wait for it are told why.
        self.release(authority);
    }

    /// When something is to be asked of AWS though nobody wakes the loop.
    pub(super) fn next_errand(&self, now: &Moment) -> Option<Instant> {
        let due = self.authorities.next_errand(&self.desired);
        // What is due and has failed waits for its next try; what is due and runs, for its end.
        let due = due.filter(|due| *due > now.wall()).map(|due| now.instant_of(due));
        [due, self.errands.next()].into_iter().flatten().min()
    }
}
