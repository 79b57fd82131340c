//! What is remembered of one node.

use std::sync::Arc;

use super::anchors::{Id, Set, Table};
use super::round::Round;
use crate::identity::NodeName;
use crate::snapshot::{Anchors, Generation, Trust};
use crate::time::OffsetDateTime;

/// One node: what its ends are served, and what its certificate stands under.
#[derive(Debug)]
pub(super) struct NodeState {
    pub(super) both: End,
    pub(super) listener: End,
    pub(super) backends: Vec<(NodeName, End)>,
    /// The root of its published certificate; none before the first.
    pub(super) shown: Option<Id>,
    /// When that certificate ends, where that is known.
    pub(super) expires: Option<OffsetDateTime>,
    /// Roots of earlier certificates that may still be shown.
    pub(super) older: Vec<Older>,
    pub(super) moving: Option<Moving>,
}

/// The anchors of one end.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// What is wanted.
    pub(super) wanted: Arc<Set>,
    /// What is served: all that is wanted, and what is still needed.
    pub(super) served: Arc<Set>,
    /// What was served and is wanted no more, and since when; whether it is still needed is judged
    /// each round.
    pub(super) leaving: Vec<(Id, OffsetDateTime)>,
    /// What not everybody is known to have yet.
    pub(super) entering: Vec<Entering>,
}

/// A root on its way to those who are to trust it.
#[derive(Clone, Debug)]
pub(super) struct Entering {
    pub(super) anchor: Id,
    pub(super) since: OffsetDateTime,
    pub(super) published_at: Option<OffsetDateTime>,
    /// As of which generation of this process it is published.
    pub(super) generation: Option<Generation>,
}

/// A root that a certificate of the node stood under.
#[derive(Clone, Debug)]
pub(super) struct Older {
    pub(super) anchor: Id,
    /// When the last certificate under it ends, where that is known.
    pub(super) expires: Option<OffsetDateTime>,
    /// Since when there is a certificate under another.
    pub(super) since: Option<OffsetDateTime>,
    /// Whoever has accepted the node's certificate of this generation shows the old one no more.
    pub(super) generation: Option<Generation>,
    /// Who could not accept what took its place, if that was not waited for to the end.
    pub(super) forced: Option<String>,
}

/// A certificate that is to stand under another root.
#[derive(Clone, Debug)]
pub(super) struct Moving {
    pub(super) to: Option<Id>,
    pub(super) since: OffsetDateTime,
    /// Who could not accept it when it was not waited for any longer.
    pub(super) forced: Option<String>,
}

impl End {
    pub(super) fn new(set: Arc<Set>) -> Self {
        let wanted = Arc::clone(&set);
        Self { wanted, served: set, leaving: Vec::new(), entering: Vec::new() }
    }

    /// Nobody is known to have what is served.
    pub(super) fn doubt(&mut self, now: OffsetDateTime) {
        let entering =
            |anchor| Entering { anchor, since: now, published_at: None, generation: None };
        self.entering = self.served.ids().iter().copied().map(entering).collect();
    }

    /// Takes what is wanted: what is new begins to enter, what is gone to leave. Whether anything
    /// does.
    pub(super) fn want(
        &mut self,
        wanted: &Arc<Set>,
        is_distrusted: impl Fn(Id) -> bool,
        now: OffsetDateTime,
    ) -> bool {
        self.wanted = Arc::clone(wanted);
        if self.served.ids() == wanted.ids() {
            return !std::mem::take(&mut self.leaving).is_empty();
        }
        let new: Vec<_> =
            wanted.ids().iter().copied().filter(|id| !self.served.contains(*id)).collect();
        let entering =
            |anchor| Entering { anchor, since: now, published_at: None, generation: None };
        self.entering.extend(new.iter().copied().map(entering));
        let gone = self.served.ids().iter().copied().filter(|id| !wanted.contains(*id));
        let left = |id: &Id| self.leaving.iter().find(|(leaving, _)| leaving == id);
        let leaving: Vec<_> = gone
            .filter(|id| !is_distrusted(*id))
            .map(|id| left(&id).copied().unwrap_or((id, now)))
            .collect();
        let is_changed = !new.is_empty() || leaving != self.leaving;
        self.leaving = leaving;
        is_changed
    }

    /// Serves what is wanted, and `kept` beside it.
    pub(super) fn serve(
        &mut self,
        kept: Vec<(Id, OffsetDateTime)>,
        table: &Table,
        round: &mut Round<'_>,
    ) {
        let mut ids = self.wanted.ids().to_vec();
        ids.extend(kept.iter().map(|(id, _)| *id));
        let set = match kept.is_empty() {
            _ if self.served.ids() == ids => None,
            true => Some(Arc::clone(&self.wanted)),
            false => {
                round.order.sort(table, &mut ids);
                (self.served.ids() != ids).then(|| round.sets.of(table, ids))
            }
        };
        self.leaving = kept;
        if let Some(set) = set {
            round.changed = true;
            self.served = set;
            self.entering.retain(|entering| self.served.contains(entering.anchor));
        }
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.entering.is_empty() && self.leaving.is_empty()
    }

    pub(super) fn enters(&self, anchor: Id) -> Option<&Entering> {
        self.entering.iter().find(|entering| entering.anchor == anchor)
    }
}

impl NodeState {
    pub(super) fn new(both: Arc<Set>, listener: Arc<Set>) -> Self {
        Self {
            both: End::new(both),
            listener: End::new(listener),
            backends: Vec::new(),
            shown: None,
            expires: None,
            older: Vec::new(),
            moving: None,
        }
    }

    /// Has just these backends; whether they are others. One that is new begins with what the node
    /// trusted as a whole.
    pub(super) fn name_backends<'a>(
        &mut self,
        names: impl Iterator<Item = &'a NodeName> + Clone,
    ) -> bool {
        if self.backends.iter().map(|(name, _)| name).eq(names.clone()) {
            return false;
        }
        let mut old = std::mem::take(&mut self.backends);
        for name in names {
            let known = old.iter().position(|(known, _)| known == name);
            let end = known.map_or_else(|| self.both.clone(), |at| old.swap_remove(at).1);
            self.backends.push((name.clone(), end));
        }
        true
    }

    pub(super) fn ends(&self) -> impl Iterator<Item = &End> {
        [&self.both, &self.listener].into_iter().chain(self.backends.iter().map(|(_, end)| end))
    }

    pub(super) fn ends_mut(&mut self) -> impl Iterator<Item = &mut End> {
        let backends = self.backends.iter_mut().map(|(_, end)| end);
        [&mut self.both, &mut self.listener].into_iter().chain(backends)
    }

    /// The roots that its certificate stands under, or may still be shown to stand under.
    pub(super) fn under(&self) -> impl Iterator<Item = Id> {
        self.shown.into_iter().chain(self.older.iter().map(|older| older.anchor))
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.older.is_empty() && self.moving.is_none() && self.ends().all(End::is_at_rest)
    }

    /// Whether what is published is what is served.
    pub(super) fn is_published(&self, trust: &Trust) -> bool {
        let backends = trust.backends.as_ref();
        trust.both == *self.both.served.anchors()
            && trust.listener.anchors == *self.listener.served.anchors()
            && backends.map_or(0, |backends| backends.len()) == self.backends.len()
            && self.backends.iter().all(|(name, end)| {
                let published = backends.and_then(|backends| backends.get(name));
                published.is_some_and(|peers| peers.anchors == *end.served.anchors())
            })
    }

    /// Each end with what is published of it.
    pub(super) fn beside_published<'a>(
        &'a mut self,
        trust: &'a Trust,
    ) -> impl Iterator<Item = (&'a mut End, Option<&'a Anchors>)> {
        let backends = self.backends.iter_mut().map(|(name, end)| {
            let peers = trust.backends.as_ref().and_then(|backends| backends.get(name));
            (end, peers.map(|peers| &peers.anchors))
        });
        [(&mut self.both, Some(&trust.both)), (&mut self.listener, Some(&trust.listener.anchors))]
            .into_iter()
            .chain(backends)
    }
}
