//! When which node is to be woken: one deadline for each, the soonest first.

use std::collections::{BTreeSet, HashMap};

use tokio::time::Instant;

use crate::identity::NodeName;
use crate::rotation::schedule::Wake;
use crate::time::{Moment, OffsetDateTime};

/// Deadlines by the wall and by the timers, each kept in its own time: a clock that is set makes
/// none of them wrong.
#[derive(Debug, Default)]
pub(super) struct Timers {
    at: BTreeSet<(OffsetDateTime, NodeName)>,
    after: BTreeSet<(Instant, NodeName)>,
    set: HashMap<NodeName, Wake>,
}

impl Timers {
    /// Sets a node's deadline, in place of the one it had.
    pub(super) fn set(&mut self, node: &NodeName, wake: Wake) {
        self.remove(node);
        match wake {
            Wake::Never => return,
            Wake::At(at) => drop(self.at.insert((at, node.clone()))),
            Wake::After(instant) => drop(self.after.insert((instant, node.clone()))),
        }
        self.set.insert(node.clone(), wake);
    }

    /// Forgets a node.
    pub(super) fn remove(&mut self, node: &NodeName) {
        match self.set.remove(node) {
            None | Some(Wake::Never) => {}
            Some(Wake::At(at)) => drop(self.at.remove(&(at, node.clone()))),
            Some(Wake::After(instant)) => drop(self.after.remove(&(instant, node.clone()))),
        }
    }

    /// When the soonest goes off.
    pub(super) fn next(&self, now: &Moment) -> Option<Instant> {
        let at = self.at.first().map(|(at, _)| now.instant_of(*at));
        let after = self.after.first().map(|(instant, _)| *instant);
        at.into_iter().chain(after).min()
    }

    /// Takes a node whose deadline is over.
    pub(super) fn take(&mut self, now: &Moment) -> Option<NodeName> {
        let at = self.at.first().filter(|(at, _)| Wake::At(*at).is_over(now));
        let after = self.after.first().filter(|(instant, _)| *instant <= now.instant());
        let node = at.map(|(_, node)| node).or(after.map(|(_, node)| node))?.clone();
        self.remove(&node);
        Some(node)
    }
}
