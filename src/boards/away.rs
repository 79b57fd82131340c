//! Those who went away and may come back.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::deliveries::{Aspect, Entry, RecipientView, Subscription};

/// How long somebody who went away is counted as coming back: an Envoy with its own back-off, after
/// a short outage, takes up to 25 s.
pub const GONE_AFTER: Duration = Duration::from_secs(30);

/// How many names of theirs are remembered: two for each of 10,000 Envoys. Beyond it, those of the
/// caller who has the most are forgotten first, so that one who comes and goes under ever new names
/// pushes out its own.
pub const MOST_AWAY: usize = 20_000;

/// What somebody calls itself: `node.id` and `node.cluster`.
pub(super) type Named = (String, String);

/// What remains of streams, for as long as their recipients may come back.
#[derive(Debug, Default)]
pub(super) struct Away {
    streams: HashMap<u64, (Instant, Entry)>,
    /// In the order of going. What is no longer in `streams` is passed over.
    order: VecDeque<u64>,
    by_name: HashMap<Named, Vec<u64>>,
    /// By who it was by the kernel's word, in the order of going.
    by_caller: HashMap<String, OfCaller>,
    /// How many names there are in all.
    names: usize,
}

#[derive(Debug, Default)]
struct OfCaller {
    streams: VecDeque<u64>,
    names: usize,
}

impl Away {
    /// Remembers what the stream `id`, gone at `now`, was sent.
    pub(super) fn add(&mut self, id: u64, mut entry: Entry, now: Instant) {
        entry.subscriptions.retain(|_, subscription| !subscription.aspects.is_empty());
        let names = entry.subscriptions.len();
        if names == 0 {
            return;
        }
        let who = Arc::clone(&entry.who);
        self.order.push_back(id);
        self.by_name.entry(named(&who)).or_default().push(id);
        let caller = self.by_caller.entry(who.caller.clone()).or_default();
        caller.streams.push_back(id);
        caller.names += names;
        self.names += names;
        self.streams.insert(id, (now, entry));
        while self.names > MOST_AWAY {
            let most = self.by_caller.values().max_by_key(|caller| caller.names);
            let Some(id) = most.and_then(|caller| caller.streams.front().copied()) else { break };
            self.remove(id);
        }
        // What was removed before its turn must not pile up.
        if self.order.len() > 2 * MOST_AWAY {
            self.order.retain(|id| self.streams.contains_key(id));
        }
    }

    /// Forgets who has been away for [`GONE_AFTER`].
    pub(super) fn forget(&mut self, now: Instant) {
        while let Some(id) = self.order.front().copied() {
            let since = self.streams.get(&id).map(|(since, _)| *since);
            if since.is_some_and(|since| now.duration_since(since) < GONE_AFTER) {
                return;
            }
            self.order.pop_front();
            self.remove(id);
        }
    }

    /// Somebody is back with `name`, and is sent something made of `aspects` under it.
    pub(super) fn back(&mut self, who: &RecipientView, name: &str, aspects: &[Aspect]) {
        let Some(ids) = self.by_name.get(&named(who)) else { return };
        for id in ids.clone() {
            let Some((_, entry)) = self.streams.get_mut(&id) else { continue };
            let before = entry.subscriptions.get(name);
            if before.is_some_and(|before| is_same(before, aspects))
                && entry.subscriptions.remove(name).is_some()
            {
                self.names -= 1;
                if let Some(caller) = self.by_caller.get_mut(&entry.who.caller) {
                    caller.names -= 1;
                }
            }
            if entry.subscriptions.is_empty() {
                self.remove(id);
            }
        }
    }

    /// Everybody, and since when.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(Instant, Entry)> {
        self.streams.values()
    }

    fn remove(&mut self, id: u64) {
        let Some((_, entry)) = self.streams.remove(&id) else { return };
        let name = named(&entry.who);
        if let Some(ids) = self.by_name.get_mut(&name) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_name.remove(&name);
            }
        }
        let names = entry.subscriptions.len();
        self.names -= names;
        if let Some(caller) = self.by_caller.get_mut(&entry.who.caller) {
            caller.names -= names;
            // It is nearly always the first.
            if let Some(at) = caller.streams.iter().position(|other| *other == id) {
                caller.streams.remove(at);
            }
            if caller.streams.is_empty() {
                self.by_caller.remove(&entry.who.caller);
            }
        }
    }
}

/// Whether what a name was made of is among these, as of whenever.
pub(super) fn is_same(before: &Subscription, aspects: &[Aspect]) -> bool {
    before.aspects.iter().all(|one| aspects.iter().any(|other| other.part == one.part))
}

pub(super) fn named(who: &RecipientView) -> Named {
    (who.node_id.clone(), who.cluster.clone())
}
