//! Carrying out what the transitions plan: whose anchors are published, and who signs whom now.

use std::sync::Arc;
use std::time::Duration;

use indexmap::{IndexMap, IndexSet};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::keeping;
use super::slot::{Signer, Slot};
use super::state::State;
use crate::boards::Part;
use crate::desired::{Desired, Identity};
use crate::files::FilesError;
use crate::identity::{AuthorityName, NodeName};
use crate::rotation::transition::{
    Audience, Facts, Held, NodeFacts, Plan, Published, Served, Showing, Transition, Transitions,
};
use crate::snapshot::{Anchor, Generation, Mesh, Peers, Trust};
use crate::time::{Moment, OffsetDateTime};
use crate::x509::certificate::Certificate;

/// How soon a record that could not be written is tried again.
const RECORD_AGAIN: Duration = Duration::from_secs(30);

/// How trust moves, and what of that is yet to be done.
#[derive(Debug)]
pub(super) struct Trusting {
    transitions: Transitions,
    /// The roots of every authority of the mesh, as far as they are known.
    pub(super) roots: IndexMap<AuthorityName, Option<Vec<Anchor>>>,
    /// The nodes to be decided about once it is planned who signs them.
    pub(super) undecided: IndexSet<NodeName>,
    /// Whether to plan anew.
    pub(super) is_stale: bool,
    /// Whether the mesh is another one than is published.
    pub(super) is_edited: bool,
    /// Whether anything moves.
    pub(super) is_busy: bool,
    /// When to plan anew in any case.
    pub(super) next: Option<OffsetDateTime>,
    /// The roots, of authorities that sign under several, that not everybody has yet.
    pub(super) spreading: Vec<Certificate>,
    /// What moves.
    pub(super) moving: Vec<Transition>,
    /// The record that is being written, before what it records is published.
    pub(super) recording: Option<JoinHandle<Result<(), FilesError>>>,
    to_publish: Vec<NodeName>,
    /// Whether anything is to be published only once it is recorded.
    pub(super) is_unpublished: bool,
    /// Why the record could not be written.
    pub(super) unrecorded: Option<String>,
    /// When to try that again.
    pub(super) retry_at: Option<Instant>,
}

impl Trusting {
    pub(super) fn new(transitions: Transitions) -> Self {
        Self {
            transitions,
            roots: IndexMap::new(),
            undecided: IndexSet::new(),
            is_stale: false,
            is_edited: false,
            is_busy: false,
            next: None,
            spreading: Vec::new(),
            moving: Vec::new(),
            recording: None,
            to_publish: Vec::new(),
            is_unpublished: false,
            unrecorded: None,
            retry_at: None,
        }
    }

    /// Counts all waits anew after the clock was set.
    pub(super) fn shift(&mut self, by: time::Duration) {
        self.transitions.shift(by);
        self.is_stale = true;
    }

    /// The roots that certificates stand under, or may still be shown under.
    pub(super) fn roots_in_use(&self) -> Vec<Certificate> {
        self.transitions.roots_in_use()
    }

    fn is_due(&self, now: &Moment) -> bool {
        self.is_stale
            || self.next.is_some_and(|next| next <= now.wall())
            || self.retry_at.is_some_and(|at| at <= now.instant())
    }
}

impl State {
    /// Plans how trust moves, if that may be another plan than the last, decides about the nodes
    /// that wait for it, and publishes, after it is recorded, whom everybody accepts.
    pub(super) fn advance(&mut self, now: &Moment) {
        while self.trusting.recording.is_none() && self.trusting.is_due(now) {
            self.trusting.is_stale = false;
            let plan = self.plan(now);
            for note in &plan.notes {
                match &note.of {
                    Part::Leaf(node) | Part::Trust(node) => {
                        tracing::warn!(%node, "{}", note.text);
                    }
                    Part::Roots(authority) => tracing::warn!(%authority, "{}", note.text),
                }
            }
            self.take_signers(&plan);
            self.trusting.is_busy = !plan.transitions.is_empty();
            self.trusting.moving = plan.transitions;
            self.trusting.spreading = plan.spreading;
            self.trusting.next = plan.next;
            self.trusting.to_publish = plan.publish;
            for name in std::mem::take(&mut self.trusting.undecided) {
                self.decide(&name, now);
            }
            if plan.changed || self.trusting.unrecorded.is_some() {
                let record = self.trusting.transitions.to_json();
                let directory = Arc::clone(&self.directory);
                let write = move || keeping::write_transitions(&directory, record);
                self.trusting.recording = Some(tokio::task::spawn_blocking(write));
                self.trusting.is_unpublished = true;
            }
            // Where nothing moves, the record of that may come later: to go on from the one before
            // is to wait once more, and spares whoever waits for a new node the disk.
            if !self.trusting.is_busy || self.trusting.recording.is_none() {
                self.publish_trust(now);
            }
        }
    }

    /// Takes the outcome of recording. What cannot be recorded is done all the same: after a
    /// restart less would be known, and that is waited for again.
    pub(super) fn recorded(&mut self, outcome: Result<(), FilesError>, now: &Moment) {
        match outcome {
            Ok(()) => {
                self.trusting.unrecorded = None;
                self.trusting.retry_at = None;
            }
            Err(error) => {
                let why = format!("how trust moves cannot be recorded: {error}");
                if self.trusting.unrecorded.as_ref() != Some(&why) {
                    tracing::error!("{why}");
                }
                self.trusting.unrecorded = Some(why);
                self.trusting.retry_at = Some(now.instant() + RECORD_AGAIN);
            }
        }
        if self.trusting.is_unpublished {
            self.publish_trust(now);
        }
    }

    fn plan(&mut self, now: &Moment) -> Plan {
        let (slots, options) = (&self.slots, &self.options);
        let authorities = &self.authorities;
        let node = |name: &NodeName| match slots.get(name) {
            Some(slot) => facts(slot, options.audience),
            None => {
                NodeFacts { showing: Showing::Elsewhere, trust: None, audience: Audience::Silent }
            }
        };
        let can_sign = |name: &AuthorityName| {
            authorities.states.contains_key(name)
                && (authorities.signer(name).is_ok() || authorities.is_unread(name))
        };
        let standings = options.deliveries.standings();
        let mesh = self.publisher.snapshot().mesh();
        let facts = Facts {
            desired: &self.desired,
            roots: &self.trusting.roots,
            node: &node,
            published: Published {
                authorities: &mesh.authorities,
                generation: mesh.generation,
                audience: options.audience,
            },
            can_sign: &can_sign,
            standings: &standings,
            instant: now.instant(),
            settle_within: options.settle_within,
            soak: options.soak,
        };
        self.trusting.transitions.advance(now.wall(), &facts)
    }

    /// Lets each node be signed by whom the plan names.
    fn take_signers(&mut self, plan: &Plan) {
        for (name, slot) in &mut self.slots {
            let signer = match plan.held.get(name) {
                None => Signer::By(slot.identity.authority.clone()),
                Some(Held::By(authority)) => Signer::By(authority.clone()),
                Some(Held::Kept) => Signer::Kept,
            };
            if slot.signer != signer {
                slot.signer = signer;
                self.trusting.undecided.insert(name.clone());
            }
        }
    }

    /// Publishes whom everybody accepts, where that is not what is published, and the mesh.
    fn publish_trust(&mut self, now: &Moment) {
        self.trusting.is_unpublished = false;
        let is_edited = std::mem::take(&mut self.trusting.is_edited);
        let mut names = std::mem::take(&mut self.trusting.to_publish);
        if is_edited {
            names = self.slots.keys().cloned().collect();
        }
        let snapshot = self.publisher.snapshot();
        for name in names {
            let Some(slot) = self.slots.get_mut(&name) else { continue };
            let Some(served) = self.trusting.transitions.served(&name) else { continue };
            let mut trust = trust(&self.desired, &slot.identity, &served, 0);
            let is_same = slot.trust.as_ref().is_some_and(|old| is_same(old, &trust));
            let published = snapshot.node(&name);
            if is_same && published.is_some_and(|node| Arc::ptr_eq(&node.identity, &slot.identity))
            {
                continue;
            }
            if !is_same {
                trust.generation = self.publisher.next_generation();
                self.options.observer.published(trust.generation, slot.begun.min(now.instant()));
                slot.trust = Some(Arc::new(trust));
                self.trusting.is_stale = true;
            }
            if let Some(node) = slot.node() {
                self.publisher.set_node(node);
            }
        }
        self.publish_mesh();
    }

    fn publish_mesh(&mut self) {
        let old = self.publisher.snapshot().mesh();
        let by_name = self.trusting.transitions.served_by_name();
        let by_name = by_name.filter(|(_, anchors)| !anchors.as_slice().is_empty());
        let authorities: IndexMap<_, _> =
            by_name.map(|(name, anchors)| (name.clone(), anchors.clone())).collect();
        let desired = Arc::clone(&self.desired);
        // One that is yet to be planned for is named once it is there to be found: whoever waits for
        // it is woken by that and by nothing else.
        let is_there =
            |(name, slot): (&NodeName, &Slot)| slot.trust.is_some().then(|| name.clone());
        let nodes: Vec<_> = self.slots.iter().filter_map(is_there).collect();
        let is_same_trust =
            old.authorities == authorities && old.authorities.keys().eq(authorities.keys());
        let is_same = is_same_trust
            && old.nodes == nodes
            && (Arc::ptr_eq(&old.desired, &desired) || old.desired == desired);
        if !is_same {
            let generation = self.publisher.next_generation();
            self.publisher.set_mesh(Mesh { desired, authorities, nodes, generation });
            self.trusting.is_stale |= !is_same_trust;
        }
    }
}

fn facts(slot: &Slot, audience: Audience) -> NodeFacts<'_> {
    let showing = match &slot.shown {
        None => Showing::Nothing,
        Some(shown) => Showing::Leaf {
            root: &shown.root,
            authority: shown.authority.as_ref(),
            generation: shown.generation,
            validity: shown.credential.leaf().validity(),
        },
    };
    NodeFacts { showing, trust: slot.trust.as_deref(), audience }
}

/// Whom a node accepts: the anchors that are served now, the peers that the mesh names.
fn trust(
    desired: &Desired,
    identity: &Identity,
    served: &Served<'_>,
    generation: Generation,
) -> Trust {
    let id = |name: &NodeName| desired.identities.get(name).map(|peer| peer.spiffe_id.clone());
    let backends = identity.backends.as_ref().map(|backends| {
        let backend = |name: &NodeName| Peers {
            anchors: served.backend(name).unwrap_or(served.both()).clone(),
            expected: id(name).map(|id| vec![id]),
        };
        backends.keys().map(|name| (name.clone(), backend(name))).collect()
    });
    Trust {
        both: served.both().clone(),
        listener: Peers {
            anchors: served.listener().clone(),
            expected: desired.callers_of(identity),
        },
        backends,
        generation,
    }
}

fn is_same(one: &Trust, other: &Trust) -> bool {
    one.both == other.both && one.listener == other.listener && one.backends == other.backends
}
