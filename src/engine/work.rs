//! From a node that needs a credential to one that has it: deciding, making, saving, publishing.

use std::sync::Arc;
use std::time::Duration;

use super::keeping::{self, Made, Saved};
use super::slot::{Shown, Signer, Slot};
use super::state::State;
use super::turns::Place;
use crate::identity::{AuthorityName, NodeName};
use crate::rotation::queue::Class;
use crate::rotation::schedule::Phase;
use crate::rotation::{Decision, Renewal};
use crate::time::{Moment, OffsetDateTime, later, rfc3339};

impl State {
    /// Decides about one node, and lets it wait for its turn where something is to be made.
    pub(super) fn decide(&mut self, name: &NodeName, now: &Moment) {
        let Some(slot) = self.slots.get_mut(name) else { return };
        let Signer::By(signer) = &slot.signer else {
            // Nobody can renew it as it is: it waits for its trust to move.
            slot.making = None;
            slot.due = None;
            slot.schedule.hold(slot.ends_ahead(now));
            self.turns.remove(name);
            return self.watch_the_end(name, now);
        };
        let leaf = slot.shown.as_ref().map(|shown| shown.credential.leaf());
        let chain = match self.authorities.certificates(signer, leaf) {
            Ok(chain) => chain,
            Err(why) => {
                let signer = signer.clone();
                let why = self.mute(&signer, &why);
                return self.hold(name, why, now);
            }
        };
        match slot.judge(chain, now.wall()) {
            Decision::Keep(renewal) => {
                let due = due(renewal);
                slot.making = None;
                slot.failure = None;
                slot.due = renewal_moment(renewal);
                slot.schedule.idle_until(Some(due));
                self.timers.set(name, slot.schedule.wake());
                self.turns.remove(name);
            }
            Decision::Issue(reason) => {
                let chains = self.authorities.chains(signer);
                if slot.making.as_ref().is_some_and(|making| making.is_for(slot, chains)) {
                    return self.save_again(name);
                }
                slot.making = None;
                slot.reason = reason.to_string();
                slot.schedule.due_now();
                self.enqueue(name, now);
            }
        }
    }

    /// Puts a node that is due into the queue.
    pub(super) fn enqueue(&mut self, name: &NodeName, now: &Moment) {
        let Some(slot) = self.slots.get(name) else { return };
        let class = match slot.left(now) {
            _ if self.options.demand.is_awaited(name) => Class::Awaited,
            None => Class::First,
            Some(_) => Class::Renewal,
        };
        let due = slot.due.unwrap_or(now.wall());
        self.timers.remove(name);
        let place = match &slot.signer {
            Signer::By(signer) if self.is_remote(signer) => Place::Remote,
            _ => Place::Here,
        };
        self.turns.put(name, place, class, due);
    }

    /// Wakes the nodes whose time has come.
    pub(super) fn wake(&mut self, now: &Moment) {
        while let Some(name) = self.timers.take(now) {
            self.watch_the_end(&name, now);
            let Some(slot) = self.slots.get_mut(&name) else { continue };
            match slot.schedule.phase() {
                Phase::Failed { .. } if slot.is_unsaved() => self.save_again(&name),
                Phase::Failed { .. } => {
                    slot.schedule.woken();
                    self.enqueue(&name, now);
                }
                Phase::Idle(_) => {
                    slot.begun = now.instant();
                    self.decide(&name, now);
                }
                Phase::Due | Phase::Held(_) | Phase::InFlight => {}
            }
        }
        if self.hierarchy.wake().is_over(now) {
            self.read_authorities();
        }
        self.end_outages(now);
    }

    /// Begins to save what was made, all of it together, unless something is being saved.
    pub(super) fn start_saving(&mut self) {
        if self.saving.is_some() || self.to_save.is_empty() {
            return;
        }
        let (batch, store) = (std::mem::take(&mut self.to_save), Arc::clone(&self.store));
        let save = move || keeping::save(&store, batch);
        self.saving = Some(tokio::task::spawn_blocking(save));
    }

    /// Takes the outcome of saving.
    pub(super) fn saved(&mut self, saved: Vec<Saved>, now: &Moment) {
        for (made, outcome) in saved {
            match outcome {
                Ok(()) => self.to_publish.push(made),
                Err(error) if self.is_wanted(&made) && self.is_pressing(&made.node, now) => {
                    tracing::error!(
                        node = %made.node,
                        "it cannot be saved, and what it had is near its end: it is served \
                         from memory alone, and a restart would make it anew: {error}"
                    );
                    self.to_publish.push(made);
                }
                Err(error) if self.is_wanted(&made) => {
                    self.keep_unsaved(made, format!("it cannot be saved: {error}"), now);
                }
                Err(error) => {
                    tracing::warn!(node = %made.node, "its certificate cannot be saved: {error}");
                }
            }
        }
    }

    /// Saves once more what a node was made and could not be saved, if there is such a thing.
    fn save_again(&mut self, name: &NodeName) {
        let Some(slot) = self.slots.get_mut(name) else { return };
        let Some(making) = &mut slot.making else { return };
        let Some((credential, is_pending)) = making.unsaved.take() else { return };
        let (node, attempt) = (name.clone(), making.attempt);
        self.to_save.push(Made { node, attempt, credential, is_pending });
        slot.schedule.begin();
        self.timers.remove(name);
    }

    pub(super) fn is_wanted(&self, made: &Made) -> bool {
        let making = self.slots.get(&made.node).and_then(|slot| slot.making.as_ref());
        making.is_some_and(|making| making.attempt == made.attempt)
    }

    /// Whether a node has nothing good, or so little of it left that a full disk must not keep it
    /// from a new one.
    pub(super) fn is_pressing(&self, name: &NodeName, now: &Moment) -> bool {
        self.slots.get(name).is_some_and(|slot| {
            let left = slot.left(now).unwrap_or_default();
            left < slot.profile.lifetime.duration() / 5
        })
    }

    /// Publishes what was made and, where it is to be, saved.
    pub(super) fn publish(&mut self, now: &Moment) {
        for made in std::mem::take(&mut self.to_publish) {
            if !self.is_wanted(&made) {
                continue;
            }
            let generation = self.publisher.next_generation();
            let Some(slot) = self.slots.get_mut(&made.node) else { continue };
            let Some(making) = slot.making.take() else { continue };
            let Some(chain) = making.issuer_of(made.credential.leaf()).cloned() else { continue };
            let root = chain.root().clone();
            let moved = slot.shown.as_ref().is_none_or(|shown| shown.root != root);
            self.trusting.is_stale |= moved || self.trusting.is_busy;
            slot.shown = Some(Shown {
                credential: made.credential,
                root,
                authority: Some(making.signer.name().clone()),
                generation,
            });
            slot.failure = None;
            slot.is_forced = false;
            slot.told_end = false;
            if let Some(node) = slot.node() {
                self.publisher.set_node(node);
                self.options.observer.published(generation, slot.begun);
            }
            let decision = slot.judge(&chain, now.wall());
            let due = match decision {
                Decision::Keep(renewal) => {
                    slot.due = renewal_moment(renewal);
                    due(renewal)
                }
                // Too short to last until it is published; again, but in no loop.
                Decision::Issue(_) => now.wall(),
            };
            slot.schedule.succeeded(now, Some(due));
            self.timers.set(&made.node, slot.schedule.wake());
            told_issued(&made.node, slot, making.signer.name());
        }
    }

    /// Makes new certificates for these nodes, whatever they have.
    pub(super) fn reissue(
        &mut self,
        nodes: Vec<NodeName>,
        now: &Moment,
    ) -> Result<usize, Vec<NodeName>> {
        let unknown: Vec<_> =
            nodes.iter().filter(|name| !self.slots.contains_key(*name)).cloned().collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let nodes = if nodes.is_empty() { self.slots.keys().cloned().collect() } else { nodes };
        for name in &nodes {
            if let Some(slot) = self.slots.get_mut(name) {
                slot.is_forced = true;
                slot.begun = now.instant();
            }
            self.decide(name, now);
        }
        Ok(nodes.len())
    }

    /// Lets those come first whom somebody waits for by now.
    pub(super) fn hasten(&mut self) {
        for name in self.options.demand.awaited() {
            self.turns.hasten(&name);
            self.attempts.hasten(&name);
        }
    }
}

/// When to look at a kept certificate again.
fn due(renewal: Renewal) -> OffsetDateTime {
    match renewal {
        Renewal::Due(at) => at,
        // It is over in the second after its last.
        Renewal::WithAuthority { ends } => later(ends, Duration::from_secs(1)),
    }
}

fn renewal_moment(renewal: Renewal) -> Option<OffsetDateTime> {
    match renewal {
        Renewal::Due(at) => Some(at),
        Renewal::WithAuthority { .. } => None,
    }
}

fn told_issued(name: &NodeName, slot: &Slot, authority: &AuthorityName) {
    let Some(shown) = &slot.shown else { return };
    let leaf = shown.credential.leaf();
    tracing::info!(
        node = %name,
        authority = %authority,
        serial = %leaf.serial(),
        not_after = %rfc3339(leaf.validity().not_after),
        took = ?slot.begun.elapsed(),
        reason = %slot.reason,
        "new certificate"
    );
}
