//! How trust moves: which anchors each end is served now, and under which authority each node is
//! signed now, while what is wanted changes. Make before break: roots go out first, then
//! certificates move, then old roots go.
//!
//! Pure: from facts to a plan, and a record that survives a restart. Knows no clock, no file, no
//! stream; what it plans is carried out elsewhere.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use indexmap::IndexMap;
use tokio::time::Instant;

use crate::boards::{Delivery, GONE_AFTER};
use crate::desired::Desired;
use crate::identity::{AuthorityName, NodeName};
use crate::snapshot::{Anchor, Anchors, Generation, Trust};
use crate::time::{OffsetDateTime, Validity, later};
use crate::x509::certificate::Certificate;

mod anchors;
mod evidence;
mod moves;
mod names;
mod node;
mod readers;
mod record;
mod report;
mod round;
mod settle;
mod shrink;
mod spreading;

use anchors::{Id, Table};
use evidence::{Evidence, Known, Returning};
use node::{End, NodeState};
pub use record::RecordError;
pub use report::{Note, Phase, Standing, Transition, Waited, What};
use round::Round;

/// What there is at one moment.
pub struct Facts<'a> {
    /// What is wanted.
    pub desired: &'a Desired,
    /// The roots of every authority of the mesh, in its order. None where they are not known at
    /// the moment: what was known of it last stays.
    pub roots: &'a IndexMap<AuthorityName, Option<Vec<Anchor>>>,
    /// What there is of a node of the mesh.
    pub node: &'a dyn Fn(&NodeName) -> NodeFacts<'a>,
    /// What is published under the names of authorities.
    pub published: Published<'a>,
    /// Whether an authority of the mesh can sign now.
    pub can_sign: &'a dyn Fn(&AuthorityName) -> bool,
    /// How far everybody is: [`crate::boards::Deliveries::standings`].
    pub standings: &'a [Delivery],
    /// The moment of `standings`, by the clock that they are kept in.
    pub instant: Instant,
    /// After how long a step is taken although somebody is still waited for.
    pub settle_within: Duration,
    /// How long after its publication something counts as arrived where nobody answers.
    pub soak: Duration,
}

/// What there is of one node.
#[derive(Clone, Copy, Debug)]
pub struct NodeFacts<'a> {
    /// Its certificate as it is published.
    pub showing: Showing<'a>,
    /// Its trust as it is published; none before, or where another process does that.
    pub trust: Option<&'a Trust>,
    /// Who takes what is published of it.
    pub audience: Audience,
}

/// What is published under the names of authorities, for whoever asks for that: `ca_1+ca_2`.
#[derive(Clone, Copy, Debug)]
pub struct Published<'a> {
    /// The roots of each.
    pub authorities: &'a IndexMap<AuthorityName, Anchors>,
    /// Since when it is so.
    pub generation: Generation,
    /// Who takes them.
    pub audience: Audience,
}

/// The certificate that a node shows.
#[derive(Clone, Copy, Debug)]
pub enum Showing<'a> {
    /// Another process signs it, and its certificate is not known here.
    Elsewhere,
    /// It has none.
    Nothing,
    /// It has one.
    Leaf {
        /// The root that it stands under.
        root: &'a Certificate,
        /// Who signed it, where the mesh still has that authority.
        authority: Option<&'a AuthorityName>,
        /// Since when it is published.
        generation: Generation,
        /// When it is valid.
        validity: Validity,
    },
}

/// Who takes what is published of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Envoys that say on the board what they have accepted.
    Answers,
    /// Nobody who answers: files, or a node that another process serves.
    Silent,
    /// Both.
    Mixed,
}

impl Audience {
    fn answers(self) -> bool {
        self != Self::Silent
    }

    fn soaks(self) -> bool {
        self != Self::Answers
    }
}

/// What is to be done now.
#[derive(Debug, Default)]
pub struct Plan {
    /// The nodes whose published anchors are not those of [`Transitions::served`], in mesh order.
    pub publish: Vec<NodeName>,
    /// The nodes that are not to be signed by the authority that is wanted, yet.
    pub held: IndexMap<NodeName, Held>,
    /// The roots, of authorities that sign under several, that not everybody has yet who is to
    /// accept them.
    pub spreading: Vec<Certificate>,
    /// What moves, for people to see; in mesh order, a node's certificate before its roots.
    pub transitions: Vec<Transition>,
    /// What an operator should hear of now, once.
    pub notes: Vec<Note>,
    /// When to ask again, even though nothing has happened; none where nothing waits for time.
    pub next: Option<OffsetDateTime>,
    /// Whether [`Transitions::to_json`] gives something new: to be written before anything of this
    /// plan is published.
    pub changed: bool,
}

/// What is done for a node instead of signing it by the authority that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// It is judged against this authority, its old one, and renewed by it when it is due.
    By(AuthorityName),
    /// It stays as it is: nobody can renew it as it is.
    Kept,
}

/// The anchors of each end of a node.
#[derive(Debug)]
pub struct Served<'a>(&'a NodeState);

impl<'a> Served<'a> {
    /// Where nothing more particular is said.
    pub fn both(&self) -> &'a Anchors {
        self.0.both.served.anchors()
    }

    /// As a server.
    pub fn listener(&self) -> &'a Anchors {
        self.0.listener.served.anchors()
    }

    /// As a client of one of the backends that it names.
    pub fn backend(&self, name: &NodeName) -> Option<&'a Anchors> {
        let (_, end) = self.0.backends.iter().find(|(backend, _)| backend == name)?;
        Some(end.served.anchors())
    }
}

/// The transitions of a mesh.
///
/// [`advance`](Self::advance) is called with every new mesh and every change of an authority;
/// after each publication (of trust or of a certificate: one advance for each certificate that a
/// node gets under another root); at [`Plan::next`]; and, while the last plan had transitions,
/// when the board of deliveries changes. It may be called at any other time too.
///
/// A certificate that was being made under one authority when the plan changed to another must not
/// be published.
#[derive(Debug, Default)]
pub struct Transitions {
    table: Table,
    /// The roots of each authority, as they were last known.
    authorities: IndexMap<AuthorityName, Vec<Id>>,
    /// What is served under the names of authorities: in mesh order, those that are gone and still
    /// needed last.
    names: IndexMap<AuthorityName, End>,
    /// In mesh order.
    nodes: IndexMap<NodeName, NodeState>,
    /// Who was told of, because a certificate moves away from the names that it asks by.
    told: BTreeSet<(String, String, Id)>,
    returning: Returning,
    /// Who takes anything of anybody, while something moves and it is known.
    recipients: Option<BTreeSet<Known>>,
    began: Option<OffsetDateTime>,
    /// The moment of the last round.
    last: Option<OffsetDateTime>,
    is_shifted: bool,
    /// Whether it is unknown what was served before.
    is_past_unknown: bool,
    /// How many anchors there were when those unused were last forgotten.
    swept: usize,
}

impl Transitions {
    /// Where nothing was served before.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where something was served before and its record is lost: nothing counts as arrived that
    /// has not been seen to arrive.
    pub fn after_loss() -> Self {
        Self { returning: Returning::Anybody, is_past_unknown: true, ..Self::default() }
    }

    /// What the ends of a node of the mesh are to be served, as of the last plan.
    pub fn served(&self, node: &NodeName) -> Option<Served<'_>> {
        self.nodes.get(node).map(Served)
    }

    /// The anchors to be served under the name of each authority, as of the last plan. None for one
    /// that nobody is to trust.
    pub fn served_by_name(&self) -> impl Iterator<Item = (&AuthorityName, &Anchors)> {
        self.names.iter().map(|(name, end)| (name, end.served.anchors()))
    }

    /// The roots that a certificate of any node may stand under.
    pub fn roots_in_use(&self) -> Vec<Certificate> {
        let ids: BTreeSet<_> = self.nodes.values().flat_map(NodeState::under).collect();
        let anchors = ids.into_iter().filter_map(|id| self.table.anchor(id));
        anchors.map(|anchor| anchor.certificate.clone()).collect()
    }

    /// Plans what is to be done now.
    pub fn advance<'a>(&mut self, now: OffsetDateTime, facts: &'a Facts<'a>) -> Plan {
        self.follow_clock(now);
        let began = *self.began.get_or_insert(now);
        // Moments are to the second.
        let returned_by = later(began, GONE_AFTER + Duration::from_secs(1));
        let mut round = Round::new(now, facts);
        round.changed = std::mem::take(&mut self.is_shifted);
        self.learn_roots(&mut round);
        self.grow(&mut round);
        self.grow_names(&mut round);
        self.observe(&mut round);
        self.observe_names(&mut round);
        let returning = std::mem::take(&mut self.returning);
        let is_busy = self.is_busy(&round);
        let evidence = Evidence::new(facts, is_busy, (&returning, returned_by), now);
        self.settle(&mut round, &evidence);
        self.settle_names(&mut round, &evidence);
        round.plan.spreading = self.spreading();
        self.drain(&mut round, &evidence);
        self.move_certificates(&mut round, &evidence);
        self.shrink(&mut round);
        self.shrink_names(&mut round);
        let is_unknown = matches!(returning, Returning::Anybody) && now < returned_by;
        let recipients = (is_busy && !is_unknown).then(|| evidence.recipients());
        if now < returned_by {
            self.returning = returning;
        }
        if !is_busy {
            self.told.clear();
        }
        round.changed |= recipients != self.recipients;
        self.recipients = recipients;
        self.is_past_unknown = false;
        self.sweep();
        self.conclude(round)
    }

    /// Counts all waits from so much later: for a wall clock that was set forward, or a machine
    /// that slept, in which time nobody could have answered. One that was set back is noticed.
    pub fn shift(&mut self, by: time::Duration) {
        self.change_moments(|at| *at = at.saturating_add(by));
        self.last = self.last.map(|last| last.saturating_add(by));
        self.is_shifted = true;
    }

    /// Lets no wait begin in the future.
    fn follow_clock(&mut self, now: OffsetDateTime) {
        match self.last {
            Some(last) if now < last => self.shift(now - last),
            Some(_) => {}
            None => self.change_moments(|at| *at = now.min(*at)),
        }
        self.last = Some(now);
    }

    fn change_moments(&mut self, change: impl Fn(&mut OffsetDateTime)) {
        self.began.iter_mut().for_each(&change);
        for node in self.nodes.values_mut() {
            node.moving.iter_mut().for_each(|moving| change(&mut moving.since));
            node.older.iter_mut().flat_map(|older| &mut older.since).for_each(&change);
        }
        let of_nodes = self.nodes.values_mut().flat_map(NodeState::ends_mut);
        for end in of_nodes.chain(self.names.values_mut()) {
            end.leaving.iter_mut().for_each(|(_, since)| change(since));
            for entering in &mut end.entering {
                change(&mut entering.since);
                entering.published_at.iter_mut().for_each(&change);
            }
        }
    }

    /// Forgets anchors that nobody has or wants any more.
    fn sweep(&mut self) {
        if self.table.len() < 2 * self.swept + 32 {
            return;
        }
        let used: HashSet<Id> = self.used().collect();
        self.table.retain(&used);
        self.swept = self.table.len();
    }

    /// Every anchor that anybody has or wants, some of them more than once.
    fn used(&self) -> impl Iterator<Item = Id> {
        let of_node = |node: &'_ NodeState| {
            let ids = node.under().chain(node.moving.iter().filter_map(|moving| moving.to));
            let served = node.ends().flat_map(|end| end.served.ids().iter().copied());
            ids.chain(served).collect::<Vec<_>>()
        };
        let known = self.authorities.values().flatten();
        let by_name = self.names.values().flat_map(|end| end.served.ids());
        known.chain(by_name).copied().chain(self.nodes.values().flat_map(of_node))
    }
}

#[cfg(test)]
mod tests;
