//! Whose turn it is, for work of this process's own CPUs and for work that others do.

use crate::identity::NodeName;
use crate::rotation::queue::{Class, Queue};
use crate::time::OffsetDateTime;

/// Two queues, so that neither kind of work waits for the other.
#[derive(Debug, Default)]
pub(super) struct Turns {
    here: Queue,
    remote: Queue,
}

/// Where the work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Here,
    Remote,
}

impl Turns {
    pub(super) fn put(&mut self, node: &NodeName, place: Place, class: Class, due: OffsetDateTime) {
        self.remove(node);
        self.of(place).put(node, class, due);
    }

    /// Lets a node that waits come before those that nobody waits for.
    pub(super) fn hasten(&mut self, node: &NodeName) {
        self.here.hasten(node);
        self.remote.hasten(node);
    }

    pub(super) fn take(&mut self, place: Place) -> Option<NodeName> {
        self.of(place).take()
    }

    pub(super) fn remove(&mut self, node: &NodeName) {
        self.here.remove(node);
        self.remote.remove(node);
    }

    fn of(&mut self, place: Place) -> &mut Queue {
        match place {
            Place::Here => &mut self.here,
            Place::Remote => &mut self.remote,
        }
    }
}
