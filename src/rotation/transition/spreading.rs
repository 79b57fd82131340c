//! The roots of authorities that sign under several: which of them not everybody has yet.

use std::collections::HashSet;

use super::Transitions;
use super::anchors::Id;
use crate::x509::certificate::Certificate;

impl Transitions {
    /// Those of them that somebody who is to accept them is not known to have. Nothing is to be
    /// signed under one that could as well be signed under another.
    pub(super) fn spreading(&self) -> Vec<Certificate> {
        let several = self.authorities.values().filter(|roots| roots.len() > 1);
        let mut of_several: HashSet<Id> = several.flatten().copied().collect();
        if of_several.is_empty() {
            return Vec::new();
        }
        let ends = self.nodes.values().flat_map(|node| node.ends());
        let entering: HashSet<Id> = ends
            .flat_map(|end| {
                let wanted = end.entering.iter().filter(|it| end.wanted.contains(it.anchor));
                wanted.map(|entering| entering.anchor)
            })
            .collect();
        of_several.retain(|id| entering.contains(id));
        let anchors = of_several.into_iter().filter_map(|id| self.table.anchor(id));
        anchors.map(|anchor| anchor.certificate.clone()).collect()
    }
}
