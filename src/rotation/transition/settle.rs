//! What has arrived: new roots with those who are to trust them, new certificates with those who
//! showed the old ones.

use super::anchors::Id;
use super::evidence::Evidence;
use super::node::End;
use super::node::Older;
use super::report::{Note, Phase, Standing, Transition, Waited, Waiting, What, later_of, sooner};
use super::round::{Owner, RootsChange, Round, Seen};
use super::{Audience, Showing, Transitions};
use crate::boards::Part;
use crate::time::{in_words, later};

impl Transitions {
    /// Forgets about the roots that everybody has.
    pub(super) fn settle(&mut self, round: &mut Round<'_>, evidence: &Evidence<'_>) {
        for at in 0..self.nodes.len() {
            if self.nodes[at].ends().all(|end| end.entering.is_empty()) {
                continue;
            }
            let identity = round.seen[at].identity;
            let part = Part::Trust(identity.name.clone());
            let whose = (&part, round.seen[at].facts.audience);
            let mut arriving = Arriving::default();
            for end in self.nodes[at].ends_mut() {
                arriving.look(end, whose, round, evidence);
            }
            self.arrived(Owner::Node(at), part, arriving, round);
        }
    }

    /// The same for the names of authorities.
    pub(super) fn settle_names(&mut self, round: &mut Round<'_>, evidence: &Evidence<'_>) {
        for at in 0..self.names.len() {
            let Some((name, end)) = self.names.get_index_mut(at) else { continue };
            if end.entering.is_empty() {
                continue;
            }
            let part = Part::Roots(name.clone());
            let mut arriving = Arriving::default();
            arriving.look(end, (&part, round.facts.published.audience), round, evidence);
            self.arrived(Owner::Name(at), part, arriving, round);
        }
    }

    fn arrived(&self, owner: Owner, part: Part, arriving: Arriving, round: &mut Round<'_>) {
        let Arriving { overdue, reason, change } = arriving;
        if !overdue.is_empty() {
            let roots: Vec<_> = overdue.iter().map(|id| self.called(*id)).collect();
            let (roots, after) = (roots.join(" and "), in_words(round.facts.settle_within));
            let who = match &part {
                Part::Roots(name) => format!("whoever asks for {name} by name"),
                Part::Leaf(node) | Part::Trust(node) => node.to_string(),
            };
            let text = format!(
                "{who} is taken to trust {roots} after {after}, though not everybody has it: \
                 {reason}"
            );
            round.plan.notes.push(Note { of: part, text });
        }
        if !change.added.is_empty() {
            round.roots.insert(owner, change);
        }
    }

    /// Forgets about the roots of old certificates that nobody shows any more.
    pub(super) fn drain(&mut self, round: &mut Round<'_>, evidence: &Evidence<'_>) {
        for at in 0..self.nodes.len() {
            let (now, identity) = (round.now, round.seen[at].identity);
            for older in std::mem::take(&mut self.nodes[at].older) {
                let waiting = still_showing(&round.seen[at], round, &older, evidence);
                let settles_at = match round.seen[at].facts.showing {
                    Showing::Leaf { .. } => {
                        older.since.map(|since| later(since, round.facts.settle_within))
                    }
                    Showing::Elsewhere | Showing::Nothing => None,
                };
                let is_overdue = settles_at.is_some_and(|at| at <= now);
                let is_expired = older.expires.is_some_and(|expires| expires < now);
                let from = self.called(older.anchor);
                if waiting.is_empty() || is_overdue || is_expired {
                    round.changed = true;
                    if !waiting.is_empty() && !is_expired {
                        let text = format!(
                            "the certificate of {} under {from} counts as gone after {}, though \
                             not everybody has the new one: {}",
                            identity.name,
                            in_words(round.facts.settle_within),
                            waiting.in_words(),
                        );
                        round.note(at, text);
                    }
                    continue;
                }
                round.again_at(settles_at);
                round.again_at(waiting.until);
                round.again_at(older.expires.map(|expires| later(expires, SECOND)));
                let to = self.nodes[at].shown.or(round.seen[at].to);
                // To a root that is trusted wherever the old one is, nothing moves.
                let roots = &round.seen[at].roots;
                let is_alike = |to: Id| roots.contains(&to) && roots.contains(&older.anchor);
                if to.is_some_and(is_alike) {
                    self.nodes[at].older.push(older);
                    continue;
                }
                let ends = [settles_at, older.expires].into_iter().flatten().min();
                round.plan.transitions.push(Transition {
                    of: Part::Leaf(identity.name.clone()),
                    what: What::Authority {
                        from,
                        to: to.map(|to| self.called(to)).unwrap_or_default(),
                    },
                    phase: Phase::Drain,
                    since: older.since.unwrap_or(now),
                    more: waiting.more(),
                    until: sooner(ends, waiting.ends()),
                    waiting: waiting.first,
                    forced: older.forced.clone(),
                });
                self.nodes[at].older.push(older);
            }
        }
    }
}

/// What has become of the roots on their way to one owner.
#[derive(Default)]
struct Arriving {
    /// Not waited for any longer.
    overdue: Vec<Id>,
    /// Who has none of those.
    reason: String,
    /// What is waited for.
    change: RootsChange,
}

impl Arriving {
    fn look(
        &mut self,
        end: &mut End,
        whose: (&Part, Audience),
        round: &mut Round<'_>,
        evidence: &Evidence<'_>,
    ) {
        let (leaving, wanted) = (&end.leaving, &end.wanted);
        end.entering.retain(|entering| {
            let id = entering.anchor;
            if !wanted.contains(id) && !leaving.iter().any(|(leaving, _)| *leaving == id) {
                round.changed = true;
                return false;
            }
            let waiting = evidence.missing(whose, entering.generation, entering.published_at);
            let settles_at = later(entering.since, round.facts.settle_within);
            if waiting.is_empty() || settles_at <= round.now {
                round.changed = true;
                if !waiting.is_empty() && !self.overdue.contains(&id) {
                    self.overdue.push(id);
                    self.reason = waiting.in_words();
                }
                return false;
            }
            round.again_at(Some(settles_at));
            round.again_at(waiting.until);
            let change = &mut self.change;
            if !change.added.contains(&id) {
                change.added.push(id);
            }
            change.since = sooner(change.since, Some(entering.since));
            change.until = later_of(change.until, waiting.ends_by(settles_at));
            if waiting.count > change.waiting.count {
                change.waiting = waiting;
            }
            true
        });
    }
}

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

/// Who may still show a certificate under an older root.
fn still_showing(
    seen: &Seen<'_>,
    round: &Round<'_>,
    older: &Older,
    evidence: &Evidence<'_>,
) -> Waiting {
    let part = Part::Leaf(seen.identity.name.clone());
    let (standing, until) = match (seen.facts.showing, older.since) {
        (Showing::Leaf { .. }, since) => {
            return evidence.missing((&part, seen.facts.audience), older.generation, since);
        }
        // Nobody tells how far the process is that signs it: it gets the time to wait for those
        // who are to accept the new one, and then for its files to be read.
        (Showing::Elsewhere, Some(since)) => {
            let until = later(later(since, round.facts.settle_within), round.facts.soak);
            if until <= round.now {
                return Waiting::default();
            }
            (Standing::Soaking, Some(until))
        }
        (Showing::Elsewhere | Showing::Nothing, _) => (Standing::Unpublished, None),
    };
    let mut waiting = Waiting::default();
    waiting.add(Waited { of: part, recipient: None, name: None, standing, until });
    waiting
}
