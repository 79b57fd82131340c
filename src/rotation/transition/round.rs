//! One round: what is seen, what is wanted, and how that enters.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;

use super::anchors::{Id, Order, Set, Sets};
use super::node::{End, Entering, NodeState, Older};
use super::report::{Waiting, sooner};
use super::{Facts, NodeFacts, Note, Phase, Plan, Showing, Transition, Transitions, What};
use crate::boards::Part;
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
    /// What happens to the roots of each node and each authority's name, as far as anything does.
    pub(super) roots: IndexMap<Owner, RootsChange>,
    pub(super) changed: bool,
}

/// Whose roots, by place. In the order in which people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Owner {
    Node(usize),
    Name(usize),
}

/// One node in this round.
pub(super) struct Seen<'a> {
    pub(super) identity: &'a Identity,
    pub(super) facts: NodeFacts<'a>,
    /// The root under which its certificate is to stand, where that is known.
    pub(super) to: Option<Id>,
    /// The roots under which its authority may sign: any of them, at any time.
    pub(super) roots: Vec<Id>,
    /// Whether it has a certificate, and is to have one of another root or of roots more.
    pub(super) is_to_move: bool,
}

#[derive(Default)]
pub(super) struct RootsChange {
    pub(super) added: Vec<Id>,
    pub(super) kept: Vec<Id>,
    pub(super) since: Option<OffsetDateTime>,
    /// When the wait for what is added ends in any case.
    pub(super) until: Option<OffsetDateTime>,
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
        let of = Part::Leaf(self.seen[node].identity.name.clone());
        self.plan.notes.push(Note { of, text });
    }

    /// A root that is wanted no more stays, for those who are waited for.
    pub(super) fn keep(&mut self, owner: Owner, of: (Id, OffsetDateTime), waiting: Waiting) {
        let (id, since) = of;
        let change = self.roots.entry(owner).or_default();
        if !change.kept.contains(&id) {
            change.kept.push(id);
        }
        if change.added.is_empty() {
            change.since = sooner(change.since, Some(since));
            if waiting.count > change.waiting.count {
                change.waiting = waiting;
            }
        }
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
        self.facts.desired.distrusted(authority).is_some()
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
        self.wanted_of(round, trust.names())
    }

    /// The roots of these authorities, but for those that are distrusted.
    pub(super) fn wanted_of<'n>(
        &self,
        round: &mut Round<'_>,
        names: impl IntoIterator<Item = &'n AuthorityName>,
    ) -> Arc<Set> {
        let names = names.into_iter().filter(|name| !round.distrusts(name));
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
            let roots = self.authorities.get(&identity.authority).cloned().unwrap_or_default();
            // An authority of several roots signs under any of them, and all are trusted alike.
            let under = |shown: Option<Id>| shown.filter(|id| roots.contains(id));
            let first = roots.first().copied();
            let shown = match facts.showing {
                Showing::Nothing => None,
                Showing::Elsewhere => under(node.shown).or(first).or(node.shown),
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
            let to = under(shown).or(first);
            let is_to_move = match facts.showing {
                Showing::Leaf { authority, .. } => {
                    let is_of_another = authority.is_some_and(|by| *by != identity.authority);
                    match to {
                        Some(to) => shown != Some(to) || (is_of_another && roots.len() > 1),
                        None => is_of_another,
                    }
                }
                Showing::Elsewhere | Showing::Nothing => false,
            };
            round.seen.push(Seen { identity, facts, to, roots, is_to_move });
        }
    }

    /// Whether anything moves, or is to.
    pub(super) fn is_busy(&self, round: &Round<'_>) -> bool {
        let is_moving = |(node, seen): (&NodeState, &Seen<'_>)| {
            let is_shown = matches!(seen.facts.showing, Showing::Leaf { .. });
            !node.is_at_rest() || seen.is_to_move || (is_shown && node.shown != seen.to)
        };
        self.nodes.values().zip(&round.seen).any(is_moving)
            || !self.names.values().all(End::is_at_rest)
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
        for (owner, change) in roots {
            let RootsChange { added, kept, since, until, waiting } = change;
            let called = |ids: Vec<Id>| ids.into_iter().map(|id| self.called(id)).collect();
            plan.transitions.push(Transition {
                of: match owner {
                    Owner::Node(at) => Part::Trust(seen[at].identity.name.clone()),
                    Owner::Name(at) => match self.names.get_index(at) {
                        Some((name, _)) => Part::Roots(name.clone()),
                        None => continue,
                    },
                },
                phase: if added.is_empty() { Phase::Drop } else { Phase::Spread },
                what: What::Roots { added: called(added), kept: called(kept) },
                since: since.unwrap_or(round.now),
                more: waiting.more(),
                until,
                waiting: waiting.first,
                forced: None,
            });
        }
        plan.transitions.sort_by_key(|transition| {
            let place = transition.of.node().and_then(|node| self.nodes.get_index_of(node));
            (place.is_none(), place, matches!(transition.what, What::Roots { .. }))
        });
        plan.changed = changed;
        plan
    }
}

impl Entering {
    pub(super) fn is_published(&mut self, generation: u64, at: OffsetDateTime) {
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
                let forced = self.moving.as_ref().and_then(|moving| moving.forced.clone());
                self.older.push(Older { anchor, expires, since, generation: None, forced });
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
