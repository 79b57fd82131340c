//! Anchors by number, so that five thousand nodes compare small lists, and sets of them that are
//! shared by all who have the same.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::identity::TrustDomain;
use crate::snapshot::{Anchor, Anchors};
use crate::x509::certificate::Certificate;

/// An anchor of the [`Table`]; never given to another one.
pub(super) type Id = u32;

/// Every anchor that something stands under or trusts.
#[derive(Debug, Default)]
pub(super) struct Table {
    anchors: BTreeMap<Id, Anchor>,
    next: Id,
}

impl Table {
    /// The number of an anchor, new or known.
    pub(super) fn id(&mut self, trust_domain: &TrustDomain, certificate: &Certificate) -> Id {
        let known = self.anchors.iter().find(|(_, known)| {
            known.certificate.der() == certificate.der() && known.trust_domain == *trust_domain
        });
        if let Some((id, _)) = known {
            return *id;
        }
        let anchor =
            Anchor { trust_domain: trust_domain.clone(), certificate: certificate.clone() };
        self.next += 1;
        self.anchors.insert(self.next, anchor);
        self.next
    }

    pub(super) fn anchor(&self, id: Id) -> Option<&Anchor> {
        self.anchors.get(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.anchors.len()
    }

    pub(super) fn retain(&mut self, used: &HashSet<Id>) {
        self.anchors.retain(|id, _| used.contains(id));
    }
}

/// Anchors in the order in which they are served.
#[derive(Debug)]
pub(super) struct Set {
    ids: Vec<Id>,
    anchors: Anchors,
}

impl Set {
    pub(super) fn new(table: &Table, ids: Vec<Id>) -> Arc<Self> {
        let anchors = Anchors::new(ids.iter().filter_map(|id| table.anchor(*id)).cloned());
        Arc::new(Self { ids, anchors })
    }

    pub(super) fn ids(&self) -> &[Id] {
        &self.ids
    }

    pub(super) fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    pub(super) fn contains(&self, id: Id) -> bool {
        self.ids.contains(&id)
    }
}

/// Makes each set but once a round.
#[derive(Debug, Default)]
pub(super) struct Sets(HashMap<Vec<Id>, Arc<Set>>);

impl Sets {
    pub(super) fn of(&mut self, table: &Table, ids: Vec<Id>) -> Arc<Set> {
        let made = self.0.entry(ids).or_insert_with_key(|ids| Set::new(table, ids.clone()));
        Arc::clone(made)
    }
}

/// The order in which anchors are served: as the mesh lists its authorities, so that replicas and
/// restarts agree to the byte, and a root that goes from wanted to still needed stays in its place.
#[derive(Debug, Default)]
pub(super) struct Order(HashMap<Id, usize>);

impl Order {
    pub(super) fn new(listed: impl Iterator<Item = Id>) -> Self {
        let mut places = HashMap::new();
        for (place, id) in listed.enumerate() {
            places.entry(id).or_insert(place);
        }
        Self(places)
    }

    /// Sorts, and takes each once. What the mesh lists no more comes last, by fingerprint.
    pub(super) fn sort(&self, table: &Table, ids: &mut Vec<Id>) {
        ids.sort_by_cached_key(|id| match self.0.get(id) {
            Some(place) => (*place, None),
            None => {
                let anchor = table.anchor(*id);
                let key = anchor.map(|it| (it.certificate.fingerprint(), it.trust_domain.clone()));
                (usize::MAX, key)
            }
        });
        ids.dedup();
    }
}
