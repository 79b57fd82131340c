//! Which certificates wait before they move to another root, and for whom.

use std::collections::{HashMap, HashSet};

use super::anchors::Id;
use super::evidence::Evidence;
use super::node::{End, Moving, NodeState};
use super::report::{Phase, Standing, Transition, Waited, Waiting, What};
use super::round::{Round, Seen};
use super::{Held, Showing, Transitions};
use crate::boards::Part;
use crate::desired::{Caller, Desired};
use crate::identity::AuthorityName;
use crate::time::{OffsetDateTime, in_words, later};

/// Why a certificate moves without waiting for those who are to accept it.
enum Haste {
    /// Its authority is distrusted.
    Distrusted,
    /// It has expired, and nobody accepts it as it is.
    Expired,
    /// It would end before they answer.
    Ending,
    /// They had their time.
    Overdue,
}

/// What moves share: those who are to accept a root from everybody, and who names whom.
#[derive(Default)]
struct Spread {
    general: HashMap<Id, (Waiting, HashSet<usize>)>,
    naming: Option<Vec<Vec<(usize, Way)>>>,
}

/// How a node names a peer.
#[derive(Clone, Copy)]
enum Way {
    Caller,
    Backend(usize),
}

impl Transitions {
    /// Lets certificates move whose new root everybody has who is to accept them, and holds the
    /// others.
    pub(super) fn move_certificates(&mut self, round: &mut Round<'_>, evidence: &Evidence<'_>) {
        let mut spread = Spread::default();
        for at in 0..self.nodes.len() {
            let Seen { identity, facts, to } = &round.seen[at];
            let (identity, to, facts) = (*identity, *to, *facts);
            let node = &self.nodes[at];
            let (Showing::Leaf { authority, .. }, Some(from)) = (facts.showing, node.shown) else {
                round.changed |= self.nodes[at].moving.take().is_some();
                continue;
            };
            let is_wanted = match to {
                Some(to) => from != to,
                None => authority.is_some_and(|authority| *authority != identity.authority),
            };
            if !is_wanted {
                round.changed |= self.nodes[at].moving.take().is_some();
                continue;
            }
            let begun = node.moving.clone().filter(|moving| moving.to == to);
            round.changed |= begun.is_none();
            let mut moving = begun.unwrap_or(Moving { to, since: round.now, forced: false });
            let mut waiting = match to {
                Some(to) => spread.waiting(self, round, evidence, (at, to)),
                None => Waiting::default(),
            };
            let haste = haste(round, from, facts.showing, moving.since);
            let may_move = waiting.is_empty() || haste.is_some();
            if let Some(haste) = haste.filter(|_| !waiting.is_empty() && !moving.forced) {
                let reason = match haste {
                    Haste::Distrusted => "its old authority being distrusted".to_owned(),
                    Haste::Expired => "its certificate having expired".to_owned(),
                    Haste::Ending => "its certificate being near its end".to_owned(),
                    Haste::Overdue => format!("after {}", in_words(round.facts.settle_within)),
                };
                let text = format!(
                    "{} moves from {} to {} {reason}, though not everybody who is to accept it can: {}",
                    identity.name,
                    self.called(from),
                    identity.authority,
                    waiting.in_words(),
                );
                round.note(at, text);
                moving.forced = true;
                round.changed = true;
            }
            if !may_move {
                round.again_at(Some(later(moving.since, round.facts.settle_within)));
                round.again_at(waiting.until);
                round.again_at(ending_at(round.facts.desired, facts.showing));
            }
            let can_move = to.is_some() && (round.facts.can_sign)(&identity.authority);
            if !(may_move && can_move) {
                let held = match self.old_signer(round, from, authority) {
                    Some(old) => Some(Held::By(old)),
                    // Nobody can sign it now; whoever is asked again and again is the new one.
                    None => (!may_move).then_some(Held::Kept),
                };
                round.plan.held.extend(held.map(|held| (identity.name.clone(), held)));
            }
            if may_move {
                waiting = Waiting::default();
                if !can_move {
                    let (of, standing) = (Part::Leaf(identity.name.clone()), Standing::NoSigner);
                    let waited = Waited { of, recipient: None, name: None, standing, until: None };
                    waiting.add(waited);
                }
            }
            round.plan.transitions.push(Transition {
                node: identity.name.clone(),
                what: What::Authority {
                    from: self.called(from),
                    to: to.map_or_else(|| identity.authority.to_string(), |to| self.called(to)),
                },
                phase: if may_move { Phase::Move } else { Phase::Spread },
                since: moving.since,
                more: waiting.more(),
                waiting: waiting.first,
                forced: moving.forced,
            });
            self.nodes[at].moving = Some(moving);
        }
    }

    /// Who can renew a certificate under the root that it stands under.
    fn old_signer(
        &self,
        round: &Round<'_>,
        from: Id,
        signed_by: Option<&AuthorityName>,
    ) -> Option<AuthorityName> {
        let is_able = |name: &&AuthorityName| {
            self.authorities.get(*name).is_some_and(|roots| roots.contains(&from))
                && !round.distrusts(name)
                && (round.facts.can_sign)(name)
        };
        signed_by.into_iter().chain(self.authorities.keys()).find(is_able).cloned()
    }
}

fn haste(
    round: &Round<'_>,
    from: Id,
    showing: Showing<'_>,
    since: OffsetDateTime,
) -> Option<Haste> {
    let Showing::Leaf { validity, .. } = showing else { return None };
    if round.distrusted.contains(&from) {
        return Some(Haste::Distrusted);
    }
    if validity.not_after < round.now {
        return Some(Haste::Expired);
    }
    if ending_at(round.facts.desired, showing).is_some_and(|at| at <= round.now) {
        return Some(Haste::Ending);
    }
    (later(since, round.facts.settle_within) <= round.now).then_some(Haste::Overdue)
}

/// When four fifths of a certificate's life are gone: it was due long ago, and nobody renewed it.
fn ending_at(desired: &Desired, showing: Showing<'_>) -> Option<OffsetDateTime> {
    let Showing::Leaf { validity, .. } = showing else { return None };
    let issued_at = later(validity.not_before, desired.clock_skew).min(validity.not_after);
    Some(issued_at + (validity.not_after - issued_at) * 4 / 5)
}

impl Spread {
    /// Who is to accept `to` from the node at `at`, and cannot yet.
    fn waiting(
        &mut self,
        transitions: &Transitions,
        round: &Round<'_>,
        evidence: &Evidence<'_>,
        (at, to): (usize, Id),
    ) -> Waiting {
        let nodes = &transitions.nodes;
        let missing = |node: usize, end: &End| missing(round, evidence, (node, end), to);
        let (general, counted) = self.general.entry(to).or_insert_with(|| {
            let (mut all, mut counted) = (Waiting::default(), HashSet::new());
            for (other, node) in nodes.values().enumerate() {
                let mut waiting = missing(other, &node.both);
                if waiting.is_empty() && round.seen[other].identity.listener.callers.is_none() {
                    waiting = missing(other, &node.listener);
                }
                if !waiting.is_empty() {
                    all.add_all(&waiting);
                    counted.insert(other);
                }
            }
            (all, counted)
        });
        let mut waiting = general.clone();
        let naming = self.naming.get_or_insert_with(|| naming(round.facts.desired));
        for (other, way) in naming[at].iter().filter(|(other, _)| !counted.contains(other)) {
            let NodeState { listener, backends, .. } = &nodes[*other];
            let end = match way {
                Way::Caller => listener,
                Way::Backend(place) => &backends[*place].1,
            };
            waiting.add_all(&missing(*other, end));
        }
        waiting
    }
}

/// Who of those who hold this end is not known to have `root`, if that is wanted there.
fn missing(
    round: &Round<'_>,
    evidence: &Evidence<'_>,
    (node, end): (usize, &End),
    root: Id,
) -> Waiting {
    if !end.wanted.contains(root) {
        return Waiting::default();
    }
    let Seen { identity, facts, .. } = &round.seen[node];
    let (generation, since) = match end.enters(root) {
        Some(entering) => (entering.generation, entering.published_at),
        // It is in everything that this process ever published of it: any acceptance will do.
        None => (Some(1), None),
    };
    let part = Part::Trust(identity.name.clone());
    evidence.missing((&part, facts.audience), generation, since)
}

/// By whom each node is named, and how.
fn naming(desired: &Desired) -> Vec<Vec<(usize, Way)>> {
    let mut naming = vec![Vec::new(); desired.identities.len()];
    let by_id: HashMap<_, _> =
        desired.identities.values().enumerate().map(|(at, it)| (&it.spiffe_id, at)).collect();
    for (at, identity) in desired.identities.values().enumerate() {
        for caller in identity.listener.callers.iter().flatten() {
            let named = match caller {
                Caller::Node(name) => desired.identities.get_index_of(name),
                Caller::Id(id) => by_id.get(id).copied(),
            };
            if let Some(named) = named {
                naming[named].push((at, Way::Caller));
            }
        }
        for (place, name) in identity.backends.iter().flat_map(|it| it.keys()).enumerate() {
            if let Some(named) = desired.identities.get_index_of(name) {
                naming[named].push((at, Way::Backend(place)));
            }
        }
    }
    naming
}
