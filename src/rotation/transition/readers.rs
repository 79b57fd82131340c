//! Those who check their peers by the names of authorities, and not by what a node trusts. The mesh
//! file says nothing to them: a certificate that moves to an authority that their name does not
//! have will be refused by them, whatever is waited for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Transitions;
use super::anchors::Id;
use super::evidence::Evidence;
use super::moves::Spread;
use super::report::{Note, Standing, Waited, Waiting};
use super::round::Round;
use crate::boards::Part;
use crate::identity::AuthorityName;
use crate::time::OffsetDateTime;

/// How many are told of until nothing moves any more.
const MOST_TOLD: usize = 100;

/// Everybody who asks by the names of authorities.
#[derive(Default)]
pub(super) struct Readers {
    all: Vec<Reader>,
    /// Those who are a node, by its place.
    of_node: HashMap<usize, Vec<usize>>,
    /// Who is left behind by a certificate of whomever it may meet, by where that goes.
    general: HashMap<(Id, Id), Vec<usize>>,
}

/// One name that one Envoy asks by.
struct Reader {
    who: String,
    name: String,
    authorities: BTreeSet<AuthorityName>,
    /// The places of the nodes that it is, by what else it asks for; empty where that is unknown.
    nodes: Vec<usize>,
    /// When it counts as gone, if it is away.
    until: Option<OffsetDateTime>,
}

impl Readers {
    fn new(transitions: &Transitions, evidence: &Evidence<'_>) -> Self {
        if !evidence.everybody().any(|seen| matches!(seen.part, Part::Roots(_))) {
            return Self::default();
        }
        let mut nodes: HashMap<_, BTreeSet<usize>> = HashMap::new();
        let mut readers: BTreeMap<_, Reader> = BTreeMap::new();
        for seen in evidence.everybody() {
            match seen.part {
                Part::Leaf(node) | Part::Trust(node) => {
                    let place = transitions.nodes.get_index_of(node);
                    nodes.entry(seen.key).or_default().extend(place);
                }
                Part::Roots(authority) => {
                    let reader = readers.entry((seen.key, seen.name)).or_insert_with(|| Reader {
                        who: seen.who.to_string(),
                        name: seen.name.to_owned(),
                        authorities: BTreeSet::new(),
                        nodes: Vec::new(),
                        until: seen.until,
                    });
                    reader.authorities.insert(authority.clone());
                    // One stream that is there is enough.
                    reader.until = reader.until.and(seen.until);
                }
            }
        }
        let mut this = Self::default();
        for ((key, _), mut reader) in readers {
            reader.nodes = nodes.get(&key).into_iter().flatten().copied().collect();
            for node in &reader.nodes {
                this.of_node.entry(*node).or_default().push(this.all.len());
            }
            this.all.push(reader);
        }
        this
    }

    /// Whether a reader accepts what stands under `from`, and will never accept `to`.
    fn loses(&self, transitions: &Transitions, reader: usize, (from, to): (Id, Id)) -> bool {
        let ends = || {
            let names = self.all[reader].authorities.iter();
            names.filter_map(|name| transitions.names.get(name))
        };
        ends().any(|end| end.served.contains(from)) && !ends().any(|end| end.wanted.contains(to))
    }
}

impl Spread {
    /// Who is to accept `to` from the node at `at` instead of `from`, and never will by the name
    /// that it asks by.
    pub(super) fn fixed(
        &mut self,
        transitions: &Transitions,
        round: &Round<'_>,
        evidence: &Evidence<'_>,
        (at, from, to): (usize, Id, Id),
    ) -> Waiting {
        let known = self.readers.take();
        let mut readers = known.unwrap_or_else(|| Readers::new(transitions, evidence));
        let mut waiting = Waiting::default();
        if !readers.all.is_empty() {
            if !readers.general.contains_key(&(from, to)) {
                let may_meet = |reader: &usize| {
                    let nodes = &readers.all[*reader].nodes;
                    nodes.is_empty()
                        || nodes.iter().any(|node| transitions.meets_anybody(round, *node, to))
                };
                let loses = |reader: &usize| readers.loses(transitions, *reader, (from, to));
                let general = (0..readers.all.len()).filter(loses).filter(may_meet).collect();
                readers.general.insert((from, to), general);
            }
            // In ascending order.
            let general = &readers.general[&(from, to)];
            let mut named = BTreeSet::new();
            for (other, way) in self.naming(round, at) {
                if way.end(&transitions.nodes[*other]).wanted.contains(to) {
                    let readers_there = readers.of_node.get(other).into_iter().flatten();
                    named.extend(readers_there.copied().filter(|reader| {
                        general.binary_search(reader).is_err()
                            && readers.loses(transitions, *reader, (from, to))
                    }));
                }
            }
            let identity = round.seen[at].identity;
            for reader in general.iter().chain(&named).map(|reader| &readers.all[*reader]) {
                waiting.add_lazily(reader.until, || {
                    let names = reader.authorities.iter().chain([&identity.authority]);
                    let instead: Vec<_> = names.map(AuthorityName::as_str).collect();
                    Waited {
                        of: Part::Leaf(identity.name.clone()),
                        recipient: Some(reader.who.clone()),
                        name: Some(reader.name.clone()),
                        standing: Standing::Fixed {
                            to: identity.authority.clone(),
                            instead: instead.join("+"),
                        },
                        until: reader.until,
                    }
                });
            }
        }
        self.readers = Some(readers);
        waiting
    }
}

impl Transitions {
    /// Whether a node is to accept whoever stands under `root`, and may meet anybody.
    fn meets_anybody(&self, round: &Round<'_>, node: usize, root: Id) -> bool {
        let (state, identity) = (&self.nodes[node], round.seen[node].identity);
        let calls = identity.backends.is_none() && state.both.wanted.contains(root);
        let is_called = identity.listener.callers.is_none() && state.listener.wanted.contains(root);
        calls || is_called
    }

    /// Tells of each of those once, and of so many that the log stays readable.
    pub(super) fn tell(&mut self, round: &mut Round<'_>, at: usize, (fixed, to): (&Waiting, Id)) {
        for waited in &fixed.first {
            // Anybody can come under any number of names.
            if self.told.len() >= MOST_TOLD {
                return;
            }
            let (Some(who), Some(name)) = (&waited.recipient, &waited.name) else { continue };
            if self.told.insert((who.clone(), name.clone(), to)) {
                let of = Part::Leaf(round.seen[at].identity.name.clone());
                let text = format!("{waited}; it is waited for, but not for ever");
                round.plan.notes.push(Note { of, text });
            }
        }
    }
}
