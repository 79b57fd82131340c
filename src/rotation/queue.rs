//! Whose turn it is: pure.

use std::collections::{BTreeSet, HashMap};

use crate::identity::NodeName;
use crate::time::OffsetDateTime;

/// How urgent work is; the first comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Somebody waits for it.
    Awaited,
    /// There is no credential yet, or none that is still good.
    First,
    /// There is one that is good for a while.
    Renewal,
}

/// Nodes that wait for their turn: by class, then the earliest due first, then who came first.
#[derive(Debug, Default)]
pub struct Queue {
    order: BTreeSet<(Place, NodeName)>,
    places: HashMap<NodeName, Place>,
    next: u64,
}

type Place = (Class, OffsetDateTime, u64);

impl Queue {
    /// Puts a node in its place, or into another one if it waits already.
    pub fn put(&mut self, node: &NodeName, class: Class, due: OffsetDateTime) {
        self.remove(node);
        self.next += 1;
        let place = (class, due, self.next);
        self.places.insert(node.clone(), place);
        self.order.insert((place, node.clone()));
    }

    /// Lets a node that waits come before those that nobody waits for.
    pub fn hasten(&mut self, node: &NodeName) {
        if let Some((class, due, _)) = self.places.get(node).copied()
            && class != Class::Awaited
        {
            self.put(node, Class::Awaited, due);
        }
    }

    /// Takes the node whose turn it is.
    pub fn take(&mut self) -> Option<NodeName> {
        let (_, node) = self.order.pop_first()?;
        self.places.remove(&node);
        Some(node)
    }

    /// Forgets a node.
    pub fn remove(&mut self, node: &NodeName) {
        if let Some((node, place)) = self.places.remove_entry(node) {
            self.order.remove(&(place, node));
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-21 8:00 UTC);

    fn node(name: &str) -> NodeName {
        NodeName::parse(name).unwrap()
    }

    fn order(queue: &mut Queue) -> Vec<String> {
        std::iter::from_fn(|| queue.take()).map(|node| node.to_string()).collect()
    }

    fn filled() -> Queue {
        let mut queue = Queue::default();
        queue.put(&node("renewal-late"), Class::Renewal, NOW + time::Duration::HOUR);
        queue.put(&node("renewal-early"), Class::Renewal, NOW);
        queue.put(&node("first-1"), Class::First, NOW);
        queue.put(&node("first-2"), Class::First, NOW);
        queue.put(&node("awaited"), Class::Awaited, NOW + time::Duration::HOUR);
        queue
    }

    #[test]
    fn who_is_waited_for_comes_first_then_new_ones_then_the_earliest_due() {
        let expected = ["awaited", "first-1", "first-2", "renewal-early", "renewal-late"];
        assert_eq!(order(&mut filled()), expected);
    }

    #[test]
    fn somebody_who_comes_to_wait_hastens_it() {
        let mut queue = filled();
        queue.hasten(&node("renewal-late"));
        queue.hasten(&node("awaited"));
        queue.hasten(&node("unknown"));
        let expected = ["awaited", "renewal-late", "first-1", "first-2", "renewal-early"];
        assert_eq!(order(&mut queue), expected);
    }

    #[test]
    fn a_node_waits_once_and_is_forgotten_wholly() {
        let mut queue = filled();
        queue.put(&node("first-1"), Class::Renewal, NOW - time::Duration::HOUR);
        queue.remove(&node("first-2"));
        assert_eq!(order(&mut queue), ["awaited", "first-1", "renewal-early", "renewal-late"]);
        assert_eq!(order(&mut queue), [""; 0]);
    }
}
