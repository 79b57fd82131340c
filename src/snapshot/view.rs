//! What one caller may see.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use crate::identity::NodeName;

/// The nodes that a caller may have, as of one moment. Cheap to clone, and to ask however many
/// there are.
#[derive(Clone, Debug, Default, Eq)]
pub struct View {
    /// The most specific first, equals in mesh order.
    granted: Arc<[Granted]>,
    /// The places in `granted`, by the names there.
    by_name: Arc<[usize]>,
}

/// One node that a caller may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The node.
    pub node: NodeName,
    /// How much of the caller the node's grant pins down: `attest: any` nothing, 0.
    pub specificity: u32,
}

impl PartialEq for View {
    /// Whoever asks twice has mostly the same one, which is not compared name by name: a caller may
    /// have thousands, and is asked about for each secret that it is sent.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.granted, &other.granted) || self.granted == other.granted
    }
}

impl View {
    /// Takes what is granted, in mesh order.
    pub fn new(mut granted: Vec<Granted>) -> Self {
        granted.sort_by_key(|granted| Reverse(granted.specificity));
        let mut by_name: Vec<_> = (0..granted.len()).collect();
        by_name.sort_by_key(|place| &granted[*place].node);
        Self { by_name: by_name.into(), granted: granted.into() }
    }

    /// Whether the caller may have `node`.
    pub fn contains(&self, node: &NodeName) -> bool {
        self.place(node.as_str()).is_some()
    }

    /// Whether the caller may have nothing.
    pub fn is_empty(&self) -> bool {
        self.granted.is_empty()
    }

    /// The nodes, the most specifically granted first, equals in mesh order.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeName> {
        self.granted.iter().map(|granted| &granted.node)
    }

    /// The caller's own node where it names none: the most specifically granted one. Among equals
    /// it may choose, and `hints` are what it calls itself; without a hint that fits there is none.
    pub fn own(&self, hints: &[&str]) -> Option<&NodeName> {
        let first = self.granted.first()?;
        let equal = |place: &usize| self.granted[*place].specificity == first.specificity;
        if self.granted.len() == 1 || !equal(&1) {
            return Some(&first.node);
        }
        let fitting = hints.iter().filter_map(|hint| self.place(hint)).filter(equal).min();
        fitting.map(|place| &self.granted[place].node)
    }

    fn place(&self, node: &str) -> Option<usize> {
        let found =
            self.by_name.binary_search_by(|place| self.granted[*place].node.as_str().cmp(node));
        found.ok().map(|at| self.by_name[at])
    }
}

/// Somebody on the other side of a connection, who stays the same for as long as that lasts.
pub trait Caller: Send + Sync + fmt::Debug {
    /// Who it is, in words, by the kernel's word and not its own.
    fn in_words(&self) -> String;

    /// The same in a few words, for tables: enough to find it on this machine.
    fn in_short(&self) -> String {
        self.in_words()
    }

    /// Whose connections count together with its own where one may have so many: those of the same
    /// process, or container.
    fn origin(&self) -> String {
        self.in_words()
    }

    /// What it may see now; the mesh decides, and the mesh changes. May block, where that hangs on
    /// something that has to be read first.
    fn view(&self) -> View;

    /// The same where nothing has to be read; none where [`view`](Self::view) may block.
    fn view_at_once(&self) -> Option<View> {
        Some(self.view())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(granted: &[(&str, u32)]) -> View {
        let granted = granted.iter().map(|(node, specificity)| Granted {
            node: NodeName::parse(node).unwrap(),
            specificity: *specificity,
        });
        View::new(granted.collect())
    }

    fn own<'a>(view: &'a View, hints: &[&str]) -> Option<&'a str> {
        view.own(hints).map(NodeName::as_str)
    }

    #[test]
    fn only_what_is_granted_is_in_it() {
        let view = view(&[("front", 0), ("blue", 2), ("a", 1)]);
        let contains = |name| view.contains(&NodeName::parse(name).unwrap());
        assert!(["front", "blue", "a"].into_iter().all(contains));
        assert!(!["fron", "fronts", "b", "z"].into_iter().any(contains));
        let nodes: Vec<_> = view.nodes().map(NodeName::as_str).collect();
        assert_eq!(nodes, ["blue", "a", "front"]);
        assert!(!view.is_empty() && View::default().is_empty());
    }

    #[test]
    fn ones_own_node_is_the_most_specifically_granted_one() {
        assert_eq!(own(&View::default(), &["front"]), None);
        assert_eq!(own(&view(&[("front", 0)]), &[]), Some("front"));
        assert_eq!(own(&view(&[("front", 0), ("blue", 1)]), &["front"]), Some("blue"));
    }

    #[test]
    fn among_equals_the_caller_chooses() {
        let view = view(&[("front", 1), ("blue", 1), ("any", 0)]);
        assert_eq!(own(&view, &[]), None);
        assert_eq!(own(&view, &["any"]), None);
        assert_eq!(own(&view, &["who", "blue"]), Some("blue"));
        assert_eq!(own(&view, &["blue", "front"]), Some("front"));
    }
}
