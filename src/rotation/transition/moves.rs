//! Which certificates wait before they move to another root, and for whom.

use std::collections::{HashMap, HashSet};

use super::anchors::Id;
use super::evidence::Evidence;
use super::node::{End, Moving, NodeState};
use super::readers::Readers;
use super::report::{Phase, Standing, Transition, Waited, Waiting, What, later_of};
use super::round::{Round, Seen};
use super::{Audience, Held, Showing, Transitions};
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
pub(super) struct Spread {
    general: HashMap<Vec<Id>, (Waiting, HashSet<usize>)>,
    naming: Option<Vec<Vec<(usize, Way)>>>,
    pub(super) readers: Option<Readers>,
}

/// How a node names a peer.
#[derive(Clone, Copy)]
pub(super) enum Way {
    Caller,
    Backend(usize),
}

impl Way {
    /// The end at which a node names a peer so.
    pub(super) fn end(self, node: &NodeState) -> &End {
        match self {
            Self::Caller => &node.listener,
            Self::Backend(place) => &node.backends[place].1,
        }
    }
}

impl Transitions {
    /// Lets certificates move whose new root everybody has who is to accept them, and holds the
    /// others.
    pub(super) fn move_certificates(&mut self, round: &mut Round<'_>, evidence: &Evidence<'_>) {
        let mut spread = Spread::default();
        for at in 0..self.nodes.len() {
            let Seen { identity, facts, to, is_to_move, .. } = &round.seen[at];
            let (identity, to, facts, is_to_move) = (*identity, *to, *facts, *is_to_move);
            let node = &self.nodes[at];
            let (Showing::Leaf { authority, .. }, Some(from), true) =
                (facts.showing, node.shown, is_to_move)
            else {
                round.changed |= self.nodes[at].moving.take().is_some();
                continue;
            };
            let begun = node.moving.clone().filter(|moving| moving.to == to);
            round.changed |= begun.is_none();
            let mut moving = begun.unwrap_or(Moving { to, since: round.now, forced: None });
            let mut waiting = match to {
                Some(to) => {
                    let mut waiting = spread.waiting(self, round, evidence, at);
                    let fixed = spread.fixed(self, round, evidence, (at, from, to));
                    self.tell(round, at, (&fixed, to));
                    waiting.add_all(&fixed);
                    waiting
                }
                None => Waiting::default(),
            };
            let haste = haste(round, from, facts.showing, moving.since);
            let may_move = waiting.is_empty() || haste.is_some();
            if let Some(haste) = haste.filter(|_| !waiting.is_empty() && moving.forced.is_none()) {
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
                moving.forced = Some(waiting.in_words());
                round.changed = true;
            }
            let mut until = None;
            if !may_move {
                let ends = [
                    Some(later(moving.since, round.facts.settle_within)),
                    ending_at(round.facts.desired, facts.showing),
                ];
                until = ends.into_iter().flatten().chain(waiting.ends()).min();
                ends.into_iter().for_each(|end| round.again_at(end));
                round.again_at(waiting.until);
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
                of: Part::Leaf(identity.name.clone()),
                what: What::Authority {
                    from: self.called(from),
                    to: to.map_or_else(|| identity.authority.to_string(), |to| self.called(to)),
                },
                phase: if may_move { Phase::Move } else { Phase::Spread },
                since: moving.since,
                more: waiting.more(),
                until,
                waiting: waiting.first,
                forced: moving.forced.clone(),
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
    /// By whom the node at `at` is named, and how.
    pub(super) fn naming(&mut self, round: &Round<'_>, at: usize) -> &[(usize, Way)] {
        &self.naming.get_or_insert_with(|| naming(round.facts.desired))[at]
    }

    /// Who is to accept the node at `at` under the roots of its authority, and cannot yet.
    fn waiting(
        &mut self,
        transitions: &Transitions,
        round: &Round<'_>,
        evidence: &Evidence<'_>,
        at: usize,
    ) -> Waiting {
        let nodes = &transitions.nodes;
        let roots = &round.seen[at].roots;
        let missing = |node: usize, end: &End| missing(round, evidence, (node, end), roots);
        let (general, counted) = self.general.entry(roots.clone()).or_insert_with(|| {
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
            for (name, end) in &transitions.names {
                let part = Part::Roots(name.clone());
                let of = (&part, round.facts.published.audience);
                all.add_all(&of_end(evidence, of, (end, roots)));
            }
            (all, counted)
        });
        let mut waiting = general.clone();
        let naming = self.naming.get_or_insert_with(|| naming(round.facts.desired));
        for (other, way) in naming[at].iter().filter(|(other, _)| !counted.contains(other)) {
            waiting.add_all(&missing(*other, way.end(&nodes[*other])));
        }
        waiting
    }
}

/// Who of those who hold this end is not known to have those of `roots` that are wanted there.
fn missing(
    round: &Round<'_>,
    evidence: &Evidence<'_>,
    (node, end): (usize, &End),
    roots: &[Id],
) -> Waiting {
    if !roots.iter().any(|root| end.wanted.contains(*root)) {
        return Waiting::default();
    }
    let Seen { identity, facts, .. } = &round.seen[node];
    let part = Part::Trust(identity.name.clone());
    of_end(evidence, (&part, facts.audience), (end, roots))
}

/// The same of one end, whosever it is.
fn of_end(
    evidence: &Evidence<'_>,
    whose: (&Part, Audience),
    (end, roots): (&End, &[Id]),
) -> Waiting {
    // A root that is not entering is in everything that this process ever published of it: any
    // acceptance will do.
    let (mut generation, mut since) = (Some(1), None);
    let mut wanted = roots.iter().filter(|root| end.wanted.contains(**root)).peekable();
    if wanted.peek().is_none() {
        return Waiting::default();
    }
    for entering in wanted.filter_map(|root| end.enters(*root)) {
        generation = generation.zip(entering.generation).map(|(one, other)| one.max(other));
        since = later_of(since, entering.published_at);
    }
    evidence.missing(whose, generation, since)
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
