//! Who was given what, and took it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

#[cfg(doc)]
use super::away::GONE_AFTER;
use super::away::{Away, Named, is_same, named};
use crate::identity::{AuthorityName, NodeName};
use crate::snapshot::Generation;

/// What something served can be made of, and that changes by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The key and chain of a node.
    Leaf(NodeName),
    /// The roots of an authority, had by the authority's name.
    Roots(AuthorityName),
    /// The anchors of a node, and the peers that it expects.
    Trust(NodeName),
}

impl Part {
    /// The node of which it is half of the state; none of what is an authority's.
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Leaf(node) | Self::Trust(node) => Some(node),
            Self::Roots(_) => None,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(node) | Self::Trust(node) => node.fmt(f),
            Self::Roots(authority) => authority.fmt(f),
        }
    }
}

/// What something served was made of, and as of when.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Aspect {
    /// What.
    pub part: Part,
    /// As of which generation.
    pub generation: Generation,
}

/// Who is on the other side of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientView {
    /// What it calls itself: Envoy's `node.id`. Anybody can claim any.
    pub node_id: String,
    /// Its `node.cluster`.
    pub cluster: String,
    /// Its name and version: `envoy 1.40.0`.
    pub agent: String,
    /// Who it is by the kernel's word, all that is known:
    /// `uid 1337, gid 1337, pid 42 (/usr/local/bin/envoy)`.
    pub caller: String,
    /// The same in a few words: `uid 1337, pid 42, envoy`.
    pub caller_in_short: String,
}

impl fmt::Display for RecipientView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node_id.as_str() {
            "" => f.write_str(&self.caller_in_short),
            id => write!(f, "{id} ({})", self.caller_in_short),
        }
    }
}

/// One name on one stream, and how far its recipient is with it.
#[derive(Clone, Debug, Default)]
pub struct Subscription {
    /// What the name's content is made of, as of what was last sent; empty while it is held.
    pub aspects: Vec<Aspect>,
    /// The version that was last sent.
    pub sent: Option<String>,
    /// When.
    pub sent_at: Option<Instant>,
    /// The version that was last accepted.
    pub accepted: Option<String>,
    /// What that was made of.
    pub accepted_aspects: Vec<Aspect>,
    /// How long the last acceptance took from sending.
    pub took: Option<Duration>,
    /// Why what was last sent was rejected; none once something is accepted.
    pub rejected: Option<Rejection>,
    /// Whether nothing is served under the name any more. What was accepted stays in force with its
    /// recipient: nothing can be taken from an Envoy.
    pub withdrawn: bool,
}

/// What a recipient would not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The version.
    pub version: String,
    /// Why, in its words.
    pub why: String,
}

/// A stream that is there.
#[derive(Clone, Debug)]
pub struct Connected {
    /// Who is on the other side.
    pub who: RecipientView,
    /// Since when.
    pub since: Instant,
    /// What it asks for, by name.
    pub names: Vec<(String, Subscription)>,
}

/// How far one recipient is with one part of what it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Who.
    pub recipient: RecipientView,
    /// The name that it asked by.
    pub name: String,
    /// What it was made of.
    pub part: Part,
    /// The newest generation that it accepted; 0 for none.
    pub accepted: Generation,
    /// Why it did not take the newest, if it said so.
    pub rejected: Option<String>,
    /// Since when it has been away, if it is. Left out altogether once that is [`GONE_AFTER`].
    pub away_since: Option<Instant>,
}

/// Told of what happens on the board: for metrics.
pub trait Observer: Send + Sync + fmt::Debug {
    /// A stream began.
    fn connected(&self) {}
    /// A stream ended.
    fn departed(&self) {}
    /// Something was accepted, so long after it was sent.
    fn accepted(&self, _aspects: &[Aspect], _took: Duration) {}
    /// Something was rejected.
    fn rejected(&self, _aspects: &[Aspect]) {}
}

#[derive(Debug)]
struct Nobody;
impl Observer for Nobody {}

/// The board. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Deliveries(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    entries: Mutex<Entries>,
    changed: Notify,
    observer: Arc<dyn Observer>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    present: HashMap<u64, Entry>,
    present_by_name: HashMap<Named, Vec<u64>>,
    away: Away,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) who: Arc<RecipientView>,
    since: Instant,
    /// Apart from their names: a map has room for three where there is one, as in nearly all.
    pub(super) subscriptions: HashMap<String, Box<Subscription>>,
}

impl Default for Deliveries {
    fn default() -> Self {
        Self::observed(Arc::new(Nobody))
    }
}

impl Deliveries {
    /// An empty board that tells `observer` what happens.
    pub fn observed(observer: Arc<dyn Observer>) -> Self {
        Self(Arc::new(Shared { entries: Mutex::default(), changed: Notify::new(), observer }))
    }

    /// Enters one stream of a recipient.
    pub fn connect(&self, who: RecipientView) -> Recipient {
        let mut entries = self.entries();
        entries.next += 1;
        let id = entries.next;
        let entry =
            Entry { who: Arc::new(who), since: Instant::now(), subscriptions: HashMap::new() };
        entries.present_by_name.entry(named(&entry.who)).or_default().push(id);
        entries.present.insert(id, entry);
        drop(entries);
        self.0.observer.connected();
        Recipient { board: self.clone(), id }
    }

    /// Every recipient that is there, with its subscriptions by name and since when it is there.
    pub fn recipients(&self) -> Vec<Connected> {
        let entries = self.entries();
        let mut ids: Vec<_> = entries.present.iter().collect();
        ids.sort_by_key(|(id, _)| **id);
        ids.into_iter()
            .map(|(_, entry)| {
                let mut names: Vec<_> = entry
                    .subscriptions
                    .iter()
                    .map(|(name, subscription)| (name.clone(), (**subscription).clone()))
                    .collect();
                names.sort_by(|(one, _), (other, _)| one.cmp(other));
                Connected { who: (*entry.who).clone(), since: entry.since, names }
            })
            .collect()
    }

    /// How far everybody is, those included who went away less than [`GONE_AFTER`] ago.
    pub fn standings(&self) -> Vec<Delivery> {
        let now = Instant::now();
        let mut entries = self.entries();
        entries.away.forget(now);
        let present = entries.present.values().map(|entry| (None, entry));
        let away = entries.away.iter().map(|(since, entry)| (Some(*since), entry));
        present.chain(away).flat_map(|(away, entry)| deliveries(away, entry)).collect()
    }

    /// Waits until the board has changed since the last call returned. For one reader, the loop.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn deliveries(away_since: Option<Instant>, entry: &Entry) -> impl Iterator<Item = Delivery> {
    entry.subscriptions.iter().flat_map(move |(name, subscription)| {
        subscription.aspects.iter().map(move |aspect| {
            let accepted =
                subscription.accepted_aspects.iter().find(|accepted| accepted.part == aspect.part);
            Delivery {
                recipient: (*entry.who).clone(),
                name: name.clone(),
                part: aspect.part.clone(),
                accepted: accepted.map_or(0, |accepted| accepted.generation),
                rejected: subscription.rejected.as_ref().map(|rejection| rejection.why.clone()),
                away_since,
            }
        })
    })
}

/// One stream of a recipient, on the board for as long as this lives.
#[derive(Debug)]
pub struct Recipient {
    board: Deliveries,
    id: u64,
}

impl Recipient {
    /// Something was sent under `name`, made of `aspects`. Who was away with the same is back:
    /// anybody can call itself by its name, but not everybody is given what it was given.
    pub fn sent(&self, name: &str, version: &str, aspects: &[Aspect]) {
        self.update(name, |subscription| {
            subscription.sent = Some(version.to_owned());
            subscription.sent_at = Some(Instant::now());
            subscription.aspects = aspects.to_vec();
            subscription.withdrawn = false;
        });
        let mut entries = self.board.entries();
        let Entries { present, away, .. } = &mut *entries;
        if let Some(entry) = present.get(&self.id) {
            away.back(&entry.who, name, aspects);
        }
    }

    /// What `name` would be now is what the recipient has accepted already, made of older parts:
    /// it counts as accepted as of these.
    pub fn has_already(&self, name: &str, aspects: &[Aspect]) {
        self.update(name, |subscription| {
            subscription.aspects = aspects.to_vec();
            subscription.accepted_aspects = aspects.to_vec();
            subscription.withdrawn = false;
        });
        self.board.0.changed.notify_one();
    }

    /// The recipient took what was last sent under `name`.
    pub fn accepted(&self, name: &str) {
        let took = self.update(name, |subscription| {
            subscription.accepted.clone_from(&subscription.sent);
            subscription.accepted_aspects.clone_from(&subscription.aspects);
            subscription.rejected = None;
            subscription.took = subscription.sent_at.map(|at| at.elapsed());
            (subscription.took.unwrap_or_default(), subscription.aspects.clone())
        });
        self.board.0.observer.accepted(&took.1, took.0);
        self.board.0.changed.notify_one();
    }

    /// The recipient would not take what was last sent under `name`.
    pub fn rejected(&self, name: &str, why: &str) {
        let aspects = self.update(name, |subscription| {
            let version = subscription.sent.clone().unwrap_or_default();
            subscription.rejected = Some(Rejection { version, why: why.to_owned() });
            subscription.aspects.clone()
        });
        self.board.0.observer.rejected(&aspects);
        self.board.0.changed.notify_one();
    }

    /// The recipient waits for `name`: nothing can be sent yet, or any more.
    pub fn held(&self, name: &str) {
        self.update(name, |subscription| subscription.withdrawn = subscription.sent.is_some());
    }

    /// The recipient does not want `name` any more.
    pub fn unsubscribed(&self, name: &str) {
        if let Some(entry) = self.board.entries().present.get_mut(&self.id) {
            entry.subscriptions.remove(name);
        }
        self.board.0.changed.notify_one();
    }

    fn update<T: Default>(&self, name: &str, change: impl FnOnce(&mut Subscription) -> T) -> T {
        let mut entries = self.board.entries();
        let Some(entry) = entries.present.get_mut(&self.id) else { return T::default() };
        if !entry.subscriptions.contains_key(name) {
            entry.subscriptions.insert(name.to_owned(), Box::default());
        }
        match entry.subscriptions.get_mut(name) {
            Some(subscription) => change(subscription),
            None => T::default(),
        }
    }
}

impl Entries {
    /// Takes a stream that has ended off the board, and gives what is left of it: who has come back
    /// on another stream, before the end of this one was seen, is not away with what it has there.
    fn depart(&mut self, id: u64) -> Option<Entry> {
        let mut entry = self.present.remove(&id)?;
        let name = named(&entry.who);
        let others = self.present_by_name.get_mut(&name)?;
        others.retain(|other| *other != id);
        for other in others.iter().filter_map(|other| self.present.get(other)) {
            entry.subscriptions.retain(|name, before| {
                let there = other.subscriptions.get(name);
                !there.is_some_and(|there| is_same(before, &there.aspects))
            });
        }
        if others.is_empty() {
            self.present_by_name.remove(&name);
        }
        Some(entry)
    }
}

impl Drop for Recipient {
    fn drop(&mut self) {
        let mut entries = self.board.entries();
        let now = Instant::now();
        entries.away.forget(now);
        if let Some(entry) = entries.depart(self.id) {
            entries.away.add(self.id, entry, now);
        }
        drop(entries);
        self.board.0.observer.departed();
        self.board.0.changed.notify_one();
    }
}
