//! What follows a failure: another try, a wait for the authority, and word of what has ended.

use std::time::Duration;

use super::keeping::Made;
use super::slot::{Making, Slot};
use super::state::State;
use crate::hierarchy::AuthorityFailure;
use crate::identity::{AuthorityName, NodeName};
use crate::rotation::schedule::{Phase, Retry, Schedule};
use crate::time::{Moment, OffsetDateTime, later, rfc3339};

/// Why a node waits for its authority.
pub(super) enum Held {
    /// That is yet to be made, or its key to be read.
    NotYet,
    /// This is wrong.
    Failed(String),
    /// This is wrong, and told once for all who wait.
    Together(String),
}

impl State {
    /// Why a node waits for an authority that cannot sign.
    pub(super) fn mute(&self, authority: &AuthorityName, why: &AuthorityFailure) -> Held {
        let said = match why {
            AuthorityFailure::KeyUnread
            | AuthorityFailure::NotDescribed
            | AuthorityFailure::NotMade => match self.errands.failure(authority) {
                Some(failure) => failure.to_owned(),
                None => return Held::NotYet,
            },
            why => why.to_string(),
        };
        Held::Failed(format!("its authority {authority} cannot sign: {said}"))
    }

    /// What follows a failed attempt.
    pub(super) fn fail(&mut self, name: &NodeName, why: String, now: &Moment) {
        self.fail_as(name, why, now, Schedule::failed);
    }

    /// The same with a back-off of its own.
    pub(super) fn fail_as(
        &mut self,
        name: &NodeName,
        why: String,
        now: &Moment,
        failed: fn(&mut Schedule, &Moment, Option<Duration>) -> Retry,
    ) {
        let Some(slot) = self.slots.get_mut(name) else { return };
        slot.making = None;
        let left = slot.left(now);
        let retry = failed(&mut slot.schedule, now, left);
        if retry.tell || slot.failure.as_ref() != Some(&why) {
            tracing::warn!(
                node = %name,
                authority = %slot.identity.authority,
                failures = slot.schedule.failures(),
                retry_in = format!("{:.1}s", retry.after.as_secs_f64()),
                "no new certificate: {why}"
            );
        }
        slot.failure = Some(why);
        self.timers.set(name, slot.schedule.wake());
        self.watch_the_end(name, now);
    }

    /// What follows a credential that could not be saved: it is kept, and saved later, as long as
    /// nothing else is wanted.
    pub(super) fn keep_unsaved(&mut self, made: Made, why: String, now: &Moment) {
        let Some(slot) = self.slots.get_mut(&made.node) else { return };
        let unsaved = Some((made.credential, made.is_pending));
        let making = slot.making.take().map(|making| Making { unsaved, ..making });
        self.fail(&made.node, why, now);
        if let Some(slot) = self.slots.get_mut(&made.node) {
            slot.making = making;
        }
    }

    /// Lets a node wait for its authority to be mended: that is tried for all together.
    pub(super) fn hold(&mut self, name: &NodeName, why: Held, now: &Moment) {
        let Some(slot) = self.slots.get_mut(name) else { return };
        match why {
            // Its authority is made next, and if that fails, there is a reason to tell.
            Held::NotYet => slot.failure = None,
            Held::Failed(why) if slot.failure.as_ref() != Some(&why) => {
                tracing::warn!(node = %name, "no certificate can be made: {why}");
                slot.failure = Some(why);
            }
            Held::Failed(_) => {}
            Held::Together(why) => slot.failure = Some(why),
        }
        slot.making = None;
        slot.schedule.hold(slot.ends_ahead(now));
        self.turns.remove(name);
        self.hierarchy_stale = self.hierarchy_stale.or(Some(false));
        self.watch_the_end(name, now);
    }

    /// Tells once that what a node shows has ended, and sees to it that it is told in time.
    pub(super) fn watch_the_end(&mut self, name: &NodeName, now: &Moment) {
        let Some(slot) = self.slots.get_mut(name) else { return };
        if let Some(ends) = slot.ends().filter(|ends| *ends < now.wall())
            && !slot.told_end
        {
            slot.told_end = true;
            tracing::error!(
                node = %name,
                not_after = %rfc3339(ends),
                "its certificate has expired, and is served on for want of a new one: {}",
                slot.failure.as_deref().unwrap_or("none could be made in time")
            );
        }
        if let Phase::Held(_) = slot.schedule.phase() {
            slot.schedule.hold(slot.ends_ahead(now));
            self.timers.set(name, slot.schedule.wake());
        }
    }
}

impl Slot {
    /// When to tell that what it shows has ended, if that is yet to come.
    pub(super) fn ends_ahead(&self, now: &Moment) -> Option<OffsetDateTime> {
        let after = |ends| later(ends, Duration::from_secs(1));
        self.ends().filter(|ends| *ends >= now.wall()).map(after)
    }
}
