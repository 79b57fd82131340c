//! What has arrived: new roots with those who are to trust them, new certificates with those who
//! showed the old ones.

use super::evidence::Evidence;
use super::node::Older;
use super::report::{Phase, Standing, Transition, Waited, Waiting, What, sooner};
use super::round::{RootsChange, Round, Seen};
use super::{Showing, Transitions};
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
            let mut overdue = Vec::new();
            let mut reason = String::new();
            let mut change = RootsChange::default();
            for end in self.nodes[at].ends_mut() {
                let leaving = &end.leaving;
                let wanted = &end.wanted;
                end.entering.retain(|entering| {
                    let id = entering.anchor;
                    if !wanted.contains(id) && !leaving.iter().any(|(leaving, _)| *leaving == id) {
                        round.changed = true;
                        return false;
                    }
                    let waiting =
                        evidence.missing(whose, entering.generation, entering.published_at);
                    let settles_at = later(entering.since, round.facts.settle_within);
                    if waiting.is_empty() || settles_at <= round.now {
                        round.changed = true;
                        if !waiting.is_empty() && !overdue.contains(&id) {
                            overdue.push(id);
                            reason = waiting.in_words();
                        }
                        return false;
                    }
                    round.plan.next = sooner(round.plan.next, Some(settles_at));
                    round.plan.next = sooner(round.plan.next, waiting.until);
                    if !change.added.contains(&id) {
                        change.added.push(id);
                    }
                    change.since = sooner(change.since, Some(entering.since));
                    if waiting.count > change.waiting.count {
                        change.waiting = waiting;
                    }
                    true
                });
            }
            if !overdue.is_empty() {
                let roots: Vec<_> = overdue.iter().map(|id| self.called(*id)).collect();
                let text = format!(
                    "{} is taken to trust {} after {}, though not everybody has it: {reason}",
                    identity.name,
                    roots.join(" and "),
                    in_words(round.facts.settle_within),
                );
                round.note(at, text);
            }
            if !change.added.is_empty() {
                round.roots.insert(at, change);
            }
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
                round.plan.transitions.push(Transition {
                    node: identity.name.clone(),
                    what: What::Authority {
                        from,
                        to: to.map(|to| self.called(to)).unwrap_or_default(),
                    },
                    phase: Phase::Drain,
                    since: older.since.unwrap_or(now),
                    more: waiting.more(),
                    waiting: waiting.first,
                    forced: false,
                });
                self.nodes[at].older.push(older);
            }
        }
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
