//! Authorities elsewhere that do not sign now: their nodes wait together, and are tried together.

use std::time::Duration;

use tokio::time::Instant;

use super::failing::Held;
use super::slot::Signer;
use super::state::State;
use crate::hierarchy;
use crate::identity::{AuthorityName, NodeName};
use crate::rotation::schedule::{Phase, Schedule, Wake};
use crate::time::{Moment, OffsetDateTime};

/// Twice the longest wait between tries: whoever is waited for then waits no longer.
const LEFT: Duration = Duration::from_secs(60);

/// One authority that does not sign.
#[derive(Debug)]
pub(super) struct Outage {
    schedule: Schedule,
    pub(super) why: String,
    pub(super) since: OffsetDateTime,
}

impl State {
    /// Whether an authority's keys are elsewhere.
    pub(super) fn is_remote(&self, authority: &AuthorityName) -> bool {
        let state = self.authorities.states.get(authority);
        matches!(state, Some(hierarchy::State::Remote(_)))
    }

    /// Lets a node wait while its authority does not sign. Whether it has to.
    pub(super) fn is_held_up(
        &mut self,
        name: &NodeName,
        signer: &hierarchy::Signer,
        now: &Moment,
    ) -> bool {
        let Some(outage) = self.outages.get(signer.name()) else { return false };
        if !matches!(outage.schedule.phase(), Phase::Failed { .. }) {
            return false;
        }
        let why = outage.why.clone();
        self.hold(name, Held::Together(why), now);
        true
    }

    /// What follows an attempt that failed because the authority does not sign.
    pub(super) fn fell_out(
        &mut self,
        authority: &AuthorityName,
        name: &NodeName,
        why: String,
        now: &Moment,
    ) {
        let seed = self.options.seed;
        let outage = self.outages.entry(authority.clone()).or_insert_with(|| Outage {
            schedule: Schedule::new(seed),
            why: String::new(),
            since: now.wall(),
        });
        if !matches!(outage.schedule.phase(), Phase::Failed { .. }) {
            let retry = outage.schedule.failed(now, Some(LEFT));
            if retry.tell || outage.why != why {
                let retry_in = format!("{:.1}s", retry.after.as_secs_f64());
                tracing::error!(%authority, retry_in, "its nodes wait: {why}");
            }
        }
        outage.why.clone_from(&why);
        self.hold(name, Held::Together(why), now);
    }

    /// It has signed.
    pub(super) fn signs_again(&mut self, authority: &AuthorityName) {
        if let Some(outage) = self.outages.remove(authority) {
            let since = crate::time::rfc3339(outage.since);
            tracing::info!(%authority, since, "signs again: {}", outage.why);
            self.release(authority);
        }
    }

    /// Tries again what has waited long enough.
    pub(super) fn end_outages(&mut self, now: &Moment) {
        let is_over = |outage: &Outage| outage.schedule.wake().is_over(now);
        let over: Vec<_> = self
            .outages
            .iter()
            .filter(|(_, it)| is_over(it))
            .map(|(name, _)| name.clone())
            .collect();
        for authority in over {
            if let Some(outage) = self.outages.get_mut(&authority) {
                outage.schedule.woken();
            }
            self.release(&authority);
        }
    }

    /// Tries all of them at once.
    pub(super) fn forgive_outages(&mut self) {
        for authority in std::mem::take(&mut self.outages).into_keys() {
            self.release(&authority);
        }
    }

    /// When the next is tried again.
    pub(super) fn next_outage(&self) -> Option<Instant> {
        let wakes = self.outages.values().map(|outage| outage.schedule.wake());
        wakes
            .filter_map(|wake| match wake {
                Wake::After(instant) => Some(instant),
                Wake::At(_) | Wake::Never => None,
            })
            .min()
    }

    /// Decides again about the nodes that wait for an authority.
    pub(super) fn release(&mut self, authority: &AuthorityName) {
        for (name, slot) in &self.slots {
            let is_its = matches!(&slot.signer, Signer::By(signer) if signer == authority);
            if is_its && matches!(slot.schedule.phase(), Phase::Held(_)) {
                self.trusting.undecided.insert(name.clone());
            }
        }
        self.trusting.is_stale = true;
    }
}
