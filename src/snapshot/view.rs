//! What one caller may see.

use std::fmt;

use crate::identity::NodeName;

/// The nodes that a caller may have, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    granted: Vec<Granted>,
}

/// One node that a caller may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The node.
    pub node: NodeName,
    /// How much of the caller the node's grant pins down: `attest: any` nothing, 0.
    pub specificity: u32,
}

impl View {
    /// Takes what is granted, in mesh order.
    pub fn new(mut granted: Vec<Granted>) -> Self {
        granted.sort_by_key(|granted| std::cmp::Reverse(granted.specificity));
        Self { granted }
    }

    /// Whether the caller may have `node`.
    pub fn contains(&self, node: &NodeName) -> bool {
        self.granted.iter().any(|granted| granted.node == *node)
    }

    /// The nodes, the most specifically granted first, equals in mesh order.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeName> {
        self.granted.iter().map(|granted| &granted.node)
    }

    /// The caller's own node where it names none: the most specifically granted one. Among equals
    /// it may choose, and `hints` are what it calls itself; without a hint that fits there is none.
    pub fn own(&self, hints: &[&str]) -> Option<&NodeName> {
        let first = self.granted.first()?;
        let equals = self.granted.iter().filter(|other| other.specificity == first.specificity);
        let mut fitting = equals.clone().filter(|one| hints.contains(&one.node.as_str()));
        match (equals.clone().nth(1), fitting.next()) {
            (None, _) => Some(&first.node),
            (Some(_), hinted) => hinted.map(|granted| &granted.node),
        }
    }
}

/// Somebody on the other side of a connection, who stays the same for as long as that lasts.
pub trait Caller: Send + Sync + fmt::Debug {
    /// Who it is, in words, by the kernel's word and not its own.
    fn in_words(&self) -> String;

    /// What it may see now; the mesh decides, and the mesh changes.
    fn view(&self) -> View;
}
