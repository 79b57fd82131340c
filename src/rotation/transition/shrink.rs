//! Which roots are still needed where they are not wanted any more.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::anchors::Id;
use super::node::End;
use super::report::{Standing, Waited, Waiting, sooner};
use super::round::Round;
use super::{NodeState, Transitions};
use crate::boards::Part;
use crate::desired::{Caller, Identity, TrustSet};
use crate::identity::{AuthorityName, NodeName, SpiffeId};

/// The nodes that may show a certificate under a root, by what they are to show: those of one class
/// are admitted together.
type Holders<'a> = BTreeMap<Id, BTreeMap<(Option<Id>, &'a AuthorityName), Vec<usize>>>;

/// The peers of one end.
enum Peers {
    Everybody,
    /// By their places.
    These(Vec<usize>),
}

impl Transitions {
    /// Drops the roots that nobody needs, and serves the rest.
    pub(super) fn shrink(&mut self, round: &mut Round<'_>) {
        let is_leaving = |node: &NodeState| node.ends().any(|end| !end.leaving.is_empty());
        let mut holders: Holders<'_> = BTreeMap::new();
        let mut by_id: HashMap<&SpiffeId, usize> = HashMap::new();
        if self.nodes.values().any(is_leaving) {
            for (at, (node, seen)) in self.nodes.values().zip(&round.seen).enumerate() {
                by_id.insert(&seen.identity.spiffe_id, at);
                for id in node.under() {
                    let class = (seen.to, &seen.identity.authority);
                    holders.entry(id).or_default().entry(class).or_default().push(at);
                }
            }
        }
        for at in 0..self.nodes.len() {
            let identity = round.seen[at].identity;
            let backends = identity.backends.iter().flatten();
            let backends = backends.map(|(name, backend)| (Some(name), &backend.trust));
            let ends = [(None, &identity.trust), (None, &identity.listener.trust)];
            for (place, (backend, trust)) in ends.into_iter().chain(backends).enumerate() {
                let Some(end) = self.nodes[at].ends().nth(place) else { continue };
                let mut kept = Vec::new();
                if !end.leaving.is_empty() {
                    let peers = match (place, backend) {
                        (_, Some(name)) => Peers::These(self.places([name].into_iter())),
                        (1, None) => self.callers(identity, &by_id),
                        _ => Peers::Everybody,
                    };
                    for (id, since) in &end.leaving {
                        let waiting = self.under(round, &holders, (end, trust, &peers), *id);
                        if waiting.is_empty() {
                            continue;
                        }
                        kept.push((*id, *since));
                        let change = round.roots.entry(at).or_default();
                        if !change.kept.contains(id) {
                            change.kept.push(*id);
                        }
                        if change.added.is_empty() {
                            change.since = sooner(change.since, Some(*since));
                            if waiting.count > change.waiting.count {
                                change.waiting = waiting;
                            }
                        }
                    }
                }
                let mut ids = end.wanted.ids().to_vec();
                ids.extend(kept.iter().map(|(id, _)| *id));
                let set = match kept.is_empty() {
                    _ if end.served.ids() == ids => None,
                    true => Some(Arc::clone(&end.wanted)),
                    false => {
                        round.order.sort(&self.table, &mut ids);
                        (end.served.ids() != ids).then(|| round.sets.of(&self.table, ids))
                    }
                };
                round.changed |= set.is_some();
                if let Some(end) = self.nodes[at].ends_mut().nth(place) {
                    end.leaving = kept;
                    if let Some(set) = set {
                        end.served = set;
                        end.entering.retain(|entering| end.served.contains(entering.anchor));
                    }
                }
            }
        }
    }

    /// The peers of an end, or everybody, that it is to accept and that may stand under `root`.
    fn under(
        &self,
        round: &Round<'_>,
        holders: &Holders<'_>,
        (end, trust, peers): (&End, &TrustSet, &Peers),
        root: Id,
    ) -> Waiting {
        let mut waiting = Waiting::default();
        let mut add = |peers: &[usize]| {
            let names = peers.iter().filter_map(|peer| self.nodes.get_index(*peer));
            waiting.add_many(peers.len(), || {
                names.map(|(name, _)| Waited {
                    of: Part::Leaf(name.clone()),
                    recipient: None,
                    name: None,
                    standing: Standing::Under,
                    until: None,
                })
            });
        };
        match peers {
            Peers::Everybody => {
                for peers in holders.get(&root).into_iter().flat_map(BTreeMap::values) {
                    if peers.first().is_some_and(|peer| round.admits(&end.wanted, trust, *peer)) {
                        add(peers);
                    }
                }
            }
            Peers::These(peers) => {
                for peer in peers {
                    let is_under = self.nodes[*peer].under().any(|id| id == root);
                    if is_under && round.admits(&end.wanted, trust, *peer) {
                        add(&[*peer]);
                    }
                }
            }
        }
        waiting
    }

    fn callers(&self, identity: &Identity, by_id: &HashMap<&SpiffeId, usize>) -> Peers {
        let Some(callers) = &identity.listener.callers else { return Peers::Everybody };
        let place = |caller: &Caller| match caller {
            Caller::Node(name) => self.nodes.get_index_of(name),
            Caller::Id(id) => by_id.get(id).copied(),
        };
        Peers::These(callers.iter().filter_map(place).collect())
    }

    fn places<'a>(&self, names: impl Iterator<Item = &'a NodeName>) -> Vec<usize> {
        names.filter_map(|name| self.nodes.get_index_of(name)).collect()
    }
}
