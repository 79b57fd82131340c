//! Which roots are still needed where they are not wanted any more.

use std::collections::{BTreeMap, HashMap};

use super::anchors::Id;
use super::node::End;
use super::report::{Waited, Waiting};
use super::round::{Owner, Round};
use super::{NodeState, Transitions};
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
                        round.keep(Owner::Node(at), (*id, *since), waiting);
                    }
                }
                if let Some(end) = self.nodes[at].ends_mut().nth(place) {
                    end.serve(kept, &self.table, round);
                }
            }
        }
    }

    /// The same under the names of authorities. Whoever asks by such a name means whom that
    /// authority vouches for, whoever it is: an old root stays as long as anybody is on the
    /// way from it to another.
    pub(super) fn shrink_names(&mut self, round: &mut Round<'_>) {
        for at in 0..self.names.len() {
            let Some((_, end)) = self.names.get_index(at) else { continue };
            let mut kept = Vec::new();
            for (id, since) in end.leaving.clone() {
                let mut waiting = Waiting::default();
                for ((name, node), seen) in self.nodes.iter().zip(&round.seen) {
                    // One that stays under it does so by the word of another authority.
                    if seen.to != Some(id) && node.under().any(|under| under == id) {
                        waiting.add_lazily(None, || Waited::under(name));
                    }
                }
                if !waiting.is_empty() {
                    kept.push((id, since));
                    round.keep(Owner::Name(at), (id, since), waiting);
                }
            }
            if let Some((_, end)) = self.names.get_index_mut(at) {
                end.serve(kept, &self.table, round);
            }
        }
        let is_there = |name: &AuthorityName| self.authorities.contains_key(name);
        let before = self.names.len();
        self.names.retain(|name, end| is_there(name) || !end.leaving.is_empty());
        round.changed |= self.names.len() != before;
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
            waiting.add_many(peers.len(), || names.map(|(name, _)| Waited::under(name)));
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
