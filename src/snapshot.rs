//! The published state: what every node has at this moment, for whoever serves it.
//!
//! One writer, the [`Publisher`], and any number of readers. A value that is out is never changed,
//! only replaced, and who waits is woken for what it watches and for nothing else: one renewal
//! among five thousand wakes the streams of one node. Knows neither where values come from nor
//! where they go.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use indexmap::IndexMap;
use tokio::sync::Notify;

use crate::desired::{Desired, Identity};
use crate::identity::{AuthorityName, NodeName, SpiffeId, TrustDomain};
use crate::x509::certificate::Certificate;
use crate::x509::credential::Credential;

#[cfg(test)]
pub(crate) mod testing;
mod view;

pub use view::{Caller, Granted, View};

/// Counts the changes of a process's snapshot; each has a number of its own, and a later one a
/// higher. Not kept over restarts: a restarted process sends everybody everything again.
pub type Generation = u64;

/// What one node has. Its two halves change apart: each carries the generation in which it last
/// changed.
#[derive(Debug)]
pub struct Node {
    /// Who it is, what its files are called, who may ask for it.
    pub identity: Arc<Identity>,
    /// What it shows to others; none until the first one is made.
    pub leaf: Option<Leaf>,
    /// Whom it accepts.
    pub trust: Arc<Trust>,
}

/// A credential as it was published.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The key and its verified chain.
    pub credential: Arc<Credential>,
    /// Since when it is the node's.
    pub generation: Generation,
}

/// Whom a node accepts, at each of its ends.
#[derive(Debug)]
pub struct Trust {
    /// Where nothing more particular is said.
    pub both: Anchors,
    /// As a server.
    pub listener: Peers,
    /// As a client, by backend. None where it names none: it may call anyone whom `both` admits.
    pub backends: Option<IndexMap<NodeName, Peers>>,
    /// Since when this is the node's.
    pub generation: Generation,
}

/// The peers that one end accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peers {
    /// Whose leaves it verifies.
    pub anchors: Anchors,
    /// The SPIFFE IDs that it expects. None: anyone whom the anchors admit. Empty: nobody.
    pub expected: Option<Vec<SpiffeId>>,
}

/// Root certificates, each once, in mesh order. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchors(Arc<[Anchor]>);

/// A root that is trusted, and on whose behalf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The trust domain whose identities it vouches for.
    pub trust_domain: TrustDomain,
    /// The root.
    pub certificate: Certificate,
}

impl Anchors {
    /// Takes anchors in order, and each but once.
    pub fn new(anchors: impl IntoIterator<Item = Anchor>) -> Self {
        let mut once: Vec<Anchor> = Vec::new();
        for anchor in anchors {
            if !once.contains(&anchor) {
                once.push(anchor);
            }
        }
        Self(once.into())
    }

    /// The anchors, in order.
    pub fn as_slice(&self) -> &[Anchor] {
        &self.0
    }

    /// The roots alone, each once: one root may vouch for two trust domains.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.0.iter().enumerate().filter_map(|(at, anchor)| {
            let seen = self.0[..at].iter().any(|other| other.certificate == anchor.certificate);
            (!seen).then_some(&anchor.certificate)
        })
    }
}

/// What is of the mesh as a whole.
#[derive(Debug)]
pub struct Mesh {
    /// What is wanted: the file that the rest is on its way to.
    pub desired: Arc<Desired>,
    /// The roots of each authority, in mesh order.
    pub authorities: IndexMap<AuthorityName, Anchors>,
    /// The names of the nodes that are served here, in mesh order.
    pub nodes: Vec<NodeName>,
    /// Since when this is so.
    pub generation: Generation,
}

#[derive(Debug)]
struct Shared {
    mesh: RwLock<Arc<Mesh>>,
    slots: RwLock<HashMap<NodeName, Arc<Slot>>>,
    mesh_bells: Bells,
    /// Rung at every change: for those who watch all there is.
    all_bells: Bells,
    generation: AtomicU64,
}

#[derive(Debug)]
struct Slot {
    node: RwLock<Arc<Node>>,
    bells: Bells,
}

/// Those to be woken.
#[derive(Debug, Default)]
struct Bells(Mutex<Vec<Weak<Notify>>>);

impl Bells {
    fn add(&self, bell: &Arc<Notify>) {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that are gone make room before more is taken.
        if bells.len() == bells.capacity() {
            bells.retain(|bell| bell.strong_count() > 0);
        }
        bells.push(Arc::downgrade(bell));
    }

    fn remove(&self, bell: &Arc<Notify>) {
        let gone = Arc::downgrade(bell);
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bells.retain(|bell| !bell.ptr_eq(&gone));
    }

    fn ring(&self) {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bells.retain(|bell| match bell.upgrade() {
            Some(bell) => {
                bell.notify_one();
                true
            }
            None => false,
        });
    }
}

/// The writing end: there is one.
#[derive(Debug)]
pub struct Publisher(Arc<Shared>);

/// The reading end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshot(Arc<Shared>);

impl Publisher {
    /// Begins with nothing of what is wanted.
    pub fn new(desired: Arc<Desired>) -> Self {
        let mesh = Mesh { desired, authorities: IndexMap::new(), nodes: Vec::new(), generation: 0 };
        Self(Arc::new(Shared {
            mesh: RwLock::new(Arc::new(mesh)),
            slots: RwLock::default(),
            mesh_bells: Bells::default(),
            all_bells: Bells::default(),
            generation: AtomicU64::new(0),
        }))
    }

    /// The reading end.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(Arc::clone(&self.0))
    }

    /// The number of the next change.
    pub fn next_generation(&self) -> Generation {
        self.0.generation.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Puts a node in its place, or in the place of what it was, and wakes who watches it. A new
    /// node, or one with another identity, is seen by who watches the mesh, and by who looks for it
    /// by its SPIFFE ID or its files, only after [`set_mesh`](Self::set_mesh).
    pub fn set_node(&self, node: Node) {
        let name = node.identity.name.clone();
        let node = Arc::new(node);
        let slot = self.slots().get(&name).cloned();
        match slot {
            Some(slot) => {
                *slot.node.write().unwrap_or_else(PoisonError::into_inner) = node;
                slot.bells.ring();
            }
            None => {
                let slot = Slot { node: RwLock::new(node), bells: Bells::default() };
                let mut slots = self.0.slots.write().unwrap_or_else(PoisonError::into_inner);
                slots.insert(name, Arc::new(slot));
            }
        }
        self.0.all_bells.ring();
    }

    /// Replaces what is of the mesh as a whole, forgets the nodes that it does not name, and wakes
    /// who watches the mesh or one of them.
    pub fn set_mesh(&self, mesh: Mesh) {
        let kept: HashSet<_> = mesh.nodes.iter().cloned().collect();
        *self.0.mesh.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(mesh);
        let mut slots = self.0.slots.write().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<_> = slots.extract_if(|name, _| !kept.contains(name)).collect();
        drop(slots);
        gone.iter().for_each(|(_, slot)| slot.bells.ring());
        self.0.mesh_bells.ring();
        self.0.all_bells.ring();
    }

    fn slots(&self) -> std::sync::RwLockReadGuard<'_, HashMap<NodeName, Arc<Slot>>> {
        self.0.slots.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    /// The mesh as a whole.
    pub fn mesh(&self) -> Arc<Mesh> {
        Arc::clone(&self.0.mesh.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// One node, as it is now.
    pub fn node(&self, name: &NodeName) -> Option<Arc<Node>> {
        let slot = self.slot(name)?;
        let node = slot.node.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&node))
    }

    /// Every node, in mesh order.
    pub fn nodes(&self) -> Vec<Arc<Node>> {
        self.mesh().nodes.iter().filter_map(|name| self.node(name)).collect()
    }

    /// The generation of the latest change.
    pub fn generation(&self) -> Generation {
        self.0.generation.load(Ordering::Relaxed)
    }

    /// Somebody to be woken; watches the mesh from the start.
    pub fn watcher(&self) -> Watcher {
        let bell = Arc::new(Notify::new());
        self.0.mesh_bells.add(&bell);
        Watcher { snapshot: self.clone(), bell, nodes: HashMap::new() }
    }

    /// Somebody to be woken at every change there is.
    pub fn watcher_of_all(&self) -> Watcher {
        let bell = Arc::new(Notify::new());
        self.0.all_bells.add(&bell);
        Watcher { snapshot: self.clone(), bell, nodes: HashMap::new() }
    }

    fn slot(&self, name: &NodeName) -> Option<Arc<Slot>> {
        self.0.slots.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

/// Waits for changes of the mesh and of chosen nodes.
#[derive(Debug)]
pub struct Watcher {
    snapshot: Snapshot,
    bell: Arc<Notify>,
    nodes: HashMap<NodeName, Weak<Slot>>,
}

impl Watcher {
    /// Watches these nodes and no others from now on. One that does not exist is not watched: when
    /// it appears the mesh changes, and whoever still wants it calls this again.
    pub fn watch(&mut self, wanted: &[NodeName]) {
        let wanted: HashSet<_> = wanted.iter().collect();
        let snapshot = &self.snapshot;
        self.nodes.retain(|name, slot| {
            // One that was removed and came back is another, though somebody may still read the old.
            let is_there = || {
                snapshot.slot(name).is_some_and(|now| std::ptr::eq(slot.as_ptr(), &raw const *now))
            };
            let kept = wanted.contains(name) && is_there();
            if !kept && let Some(slot) = slot.upgrade() {
                slot.bells.remove(&self.bell);
            }
            kept
        });
        for name in wanted {
            if !self.nodes.contains_key(name)
                && let Some(slot) = self.snapshot.slot(name)
            {
                slot.bells.add(&self.bell);
                self.nodes.insert(name.clone(), Arc::downgrade(&slot));
            }
        }
    }

    /// Waits until something watched has changed since the last call returned; several changes
    /// make one call return. Safe to cancel.
    pub async fn changed(&self) {
        self.bell.notified().await;
    }
}

#[cfg(test)]
mod tests;
