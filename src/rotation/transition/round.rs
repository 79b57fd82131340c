//! One round: what is seen, what is wanted, and how that enters.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;

use super::anchors::{Id, Order, Set, Sets};
use super::node::{Entering, NodeState, Older};
use super::report::{Waiting, sooner};
use super::{Facts, NodeFacts, Note, Phase, Plan, Showing, Transition, Transitions, What};
use crate::desired::{Identity, TrustSet};
use crate::identity::AuthorityName;
use crate::time::OffsetDateTime;

/// What one advance works with. Nodes go by their place in the mesh.
pub(super) struct Round<'a> {
    pub(super) now: OffsetDateTime,
    pub(super) facts: &'a Facts<'a>,
    pub(super) seen: Vec<Seen<'a>>,
    pub(super) order: Order,
    pub(super) sets: Sets,
    /// Roots of distrusted authorities.
    pub(super) distrusted: HashSet<Id>,
    pub(super) plan: Plan,
    /// What happens to the roots of each node, as far as anything does.
    pub(super) roots: IndexMap<usize, RootsChange>,
    pub(super) changed: bool,
}

/// One node in this round.
pub(super) struct Seen<'a> {
    pub(super) identity: &'a Identity,
    pub(super) facts: NodeFacts<'a>,
    /// The root under which its certificate is to stand, where that is known.
    pub(super) to: Option<Id>,
}

#[derive(Default)]
pub(super) struct RootsChange {
    pub(super) added: Vec<Id>,
    pub(super) kept: Vec<Id>,
    pub(super) since: Option<OffsetDateTime>,
    pub(super) waiting: Waiting,
}

impl<'a> Round<'a> {
    pub(super) fn new(now: OffsetDateTime, facts: &'a Facts<'a>) -> Self {
        Self {
            now,
            facts,
            seen: Vec::new(),
            order: Order::default(),
            sets: Sets::default(),
            distrusted: HashSet::new(),
            plan: Plan::default(),
            roots: IndexMap::new(),
            changed: false,
        }
    }

    /// Asks for another round at `at`, if that is to come.
    pub(super) fn again_at(&mut self, at: Option<OffsetDateTime>) {
        let at = at.filter(|at| *at > self.now);
        self.plan.next = sooner(self.plan.next, at);
    }

    pub(super) fn note(&mut self, node: usize, text: String) {
        let node = self.seen[node].identity.name.clone();
        self.plan.notes.push(Note { node, text });
    }

    /// Whether `trust` is to accept what `peer` is to show.
    pub(super) fn admits(&self, wanted: &Set, trust: &TrustSet, peer: usize) -> bool {
        let Seen { identity, to, .. } = &self.seen[peer];
        match to {
            Some(to) => wanted.contains(*to),
            None => trust.contains(&identity.authority) && !self.distrusts(&identity.authority),
        }
    }

    pub(super) fn distrusts(&self, authority: &AuthorityName) -> bool {
        self.facts.desired.distrust.contains(authority)
    }
}

impl Transitions {
    pub(super) fn learn_roots(&mut self, round: &mut Round<'_>) {
        let mut known = IndexMap::new();
        for (name, roots) in round.facts.roots {
            let ids: Vec<_> = match (roots, self.authorities.get(name)) {
                (Some(roots), _) => {
                    let ids =
                        roots.iter().map(|it| self.table.id(&it.trust_domain, &it.certificate));
                    ids.collect()
                }
                (None, Some(ids)) => ids.clone(),
                (None, None) => continue,
            };
            known.insert(name.clone(), ids);
        }
        round.changed |= known != self.authorities;
        self.authorities = known;
        round.order = Order::new(self.authorities.values().flatten().copied());
        let distrusted = round.facts.desired.distrust.iter();
        let roots = distrusted.filter_map(|name| self.authorities.get(name)).flatten();
        round.distrusted = roots.copied().collect();
    }

    /// Takes what is wanted. What is new is served from now on; what is wanted no more stays until
    /// it is judged.
    pub(super) fn grow<'a>(&mut self, round: &mut Round<'a>) {
        let desired = round.facts.desired;
        let mut wanted: HashMap<&'a TrustSet, Arc<Set>> = HashMap::new();
        let mut of_ends = Vec::new();
        for identity in desired.identities.values() {
            let backends = identity.backends.iter().flatten().map(|(_, backend)| &backend.trust);
            for trust in [&identity.trust, &identity.listener.trust].into_iter().chain(backends) {
                let set = wanted.entry(trust).or_insert_with(|| self.wanted(round, trust));
                of_ends.push(Arc::clone(set));
            }
        }
        if !self.nodes.keys().eq(desired.identities.keys()) {
            round.changed = true;
            let mut old = std::mem::take(&mut self.nodes);
            for (name, identity) in &desired.identities {
                let node = old.swap_remove(name).unwrap_or_else(|| {
                    let set = |trust| Arc::clone(&wanted[trust]);
                    let mut node =
                        NodeState::new(set(&identity.trust), set(&identity.listener.trust));
                    if self.is_past_unknown {
                        node.ends_mut().for_each(|end| end.doubt(round.now));
                    }
                    node
                });
                self.nodes.insert(name.clone(), node);
            }
        }
        let mut of_ends = of_ends.into_iter();
        for (node, identity) in self.nodes.values_mut().zip(desired.identities.values()) {
            round.changed |= node.name_backends(identity.backends.iter().flat_map(|it| it.keys()));
            for (end, wanted) in node.ends_mut().zip(of_ends.by_ref()) {
                let is_distrusted = |id| round.distrusted.contains(&id);
                round.changed |= end.want(&wanted, is_distrusted, round.now);
            }
        }
    }

    fn wanted(&self, round: &mut Round<'_>, trust: &TrustSet) -> Arc<Set> {
        let names = trust.names().iter().filter(|name| !round.distrusts(name));
        let roots = names.filter_map(|name| self.authorities.get(name)).flatten();
        let mut ids: Vec<_> = Vec::new();
        for id in roots {
            if !ids.contains(id) {
                ids.push(*id);
            }
        }
        round.sets.of(&self.table, ids)
    }

    /// Looks at what each node shows, and at what has been published.
    pub(super) fn observe<'a>(&mut self, round: &mut Round<'a>) {
        let desired = round.facts.desired;
        for (identity, node) in desired.identities.values().zip(self.nodes.values_mut()) {
            let facts = (round.facts.node)(&identity.name);
            let to = self.authorities.get(&identity.authority).and_then(|ids| ids.first()).copied();
            let shown = match facts.showing {
                Showing::Nothing => None,
                Showing::Elsewhere => to.or(node.shown),
                Showing::Leaf { root, .. } => {
                    let is_shown = |id: &Id| {
                        let anchor = self.table.anchor(*id);
                        anchor.is_some_and(|anchor| {
                            anchor.certificate.der() == root.der()
                                && anchor.trust_domain == desired.trust_domain
                        })
                    };
                    let shown = node.shown.filter(is_shown);
                    Some(shown.unwrap_or_else(|| self.table.id(&desired.trust_domain, root)))
                }
            };
            round.changed |= node.show(shown, facts.showing, round.now);
            let is_elsewhere = matches!(facts.showing, Showing::Elsewhere);
            if is_elsewhere {
                let entering = node.ends_mut().flat_map(|end| &mut end.entering);
                entering.for_each(|entering| entering.is_published(1, entering.since));
            } else if let Some(trust) = facts.trust {
                for (end, published) in node.beside_published(trust) {
                    let Some(published) = published else { continue };
                    for entering in &mut end.entering {
                        let anchor = self.table.anchor(entering.anchor);
                        if anchor.is_some_and(|anchor| published.as_slice().contains(anchor)) {
                            round.changed |= entering.published_at.is_none();
                            entering.is_published(trust.generation, round.now);
                        }
                    }
                }
            }
            round.seen.push(Seen { identity, facts, to });
        }
    }

    /// Whether anything moves, or is to.
    pub(super) fn is_busy(&self, round: &Round<'_>) -> bool {
        self.nodes.values().zip(&round.seen).any(|(node, seen)| {
            let is_elsewhere = matches!(seen.facts.showing, Showing::Elsewhere);
            !node.is_at_rest() || (!is_elsewhere && node.shown.is_some() && node.shown != seen.to)
        })
    }

    /// How people call a root.
    pub(super) fn called(&self, id: Id) -> String {
        let authority = self.authorities.iter().find(|(_, roots)| roots.contains(&id));
        match (authority, self.table.anchor(id)) {
            (Some((name, _)), _) => name.to_string(),
            (None, Some(anchor)) => {
                let certificate = &anchor.certificate;
                certificate.common_name().map_or_else(|| certificate.subject(), str::to_owned)
            }
            (None, None) => String::new(),
        }
    }

    /// Says what is not yet published as it is served, and gathers what people see.
    pub(super) fn conclude(&self, round: Round<'_>) -> Plan {
        let Round { seen, mut plan, roots, changed, .. } = round;
        for (at, (name, node)) in self.nodes.iter().enumerate() {
            let facts = &seen[at].facts;
            let is_elsewhere = matches!(facts.showing, Showing::Elsewhere);
            if !is_elsewhere && !facts.trust.is_some_and(|trust| node.is_published(trust)) {
                plan.publish.push(name.clone());
            }
        }
        for (at, change) in roots {
            let RootsChange { added, kept, since, waiting } = change;
            let called = |ids: Vec<Id>| ids.into_iter().map(|id| self.called(id)).collect();
            plan.transitions.push(Transition {
                node: seen[at].identity.name.clone(),
                phase: if added.is_empty() { Phase::Drop } else { Phase::Spread },
                what: What::Roots { added: called(added), kept: called(kept) },
                since: since.unwrap_or(round.now),
                more: waiting.more(),
                waiting: waiting.first,
                forced: false,
            });
        }
        plan.transitions.sort_by_key(|transition| {
            let place = self.nodes.get_index_of(&transition.node);
            (place, matches!(transition.what, What::Roots { .. }))
        });
        plan.changed = changed;
        plan
    }
}

impl Entering {
    fn is_published(&mut self, generation: u64, at: OffsetDateTime) {
        self.generation.get_or_insert(generation);
        self.published_at.get_or_insert(at);
    }
}

impl NodeState {
    /// Takes the root of what is shown now. Whether that is another one.
    fn show(&mut self, shown: Option<Id>, showing: Showing<'_>, now: OffsetDateTime) -> bool {
        let is_changed = self.shown != shown;
        if is_changed {
            let is_replaced = shown.is_some();
            if let Some(anchor) = std::mem::replace(&mut self.shown, shown) {
                let since = is_replaced.then_some(now);
                let expires = self.expires.take();
                self.older.push(Older { anchor, expires, since, generation: None });
            }
            self.older.retain(|older| Some(older.anchor) != shown);
        }
        if let Showing::Leaf { generation, validity, .. } = showing {
            self.expires = Some(validity.not_after);
            for older in &mut self.older {
                older.generation.get_or_insert(generation);
                older.since.get_or_insert(now);
            }
        }
        is_changed
    }
}
