//! What all callers share: the mesh's grants as they stand, and the agent they call.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::snapshot::{Caller, Snapshot};

use super::caller::{Attested, Presented};
use super::executable::Hashes;
use super::held::Held;
use super::index::Index;
use super::process::{Agent, peer_of};

/// Says who is calling. One for each agent.
///
/// A node's grants are read anew when the mesh is set anew ([`crate::snapshot::Publisher`]'s
/// `set_mesh`), which whoever waits for a node is woken by.
#[derive(Debug)]
pub struct Attestor {
    snapshot: Snapshot,
    index: RwLock<Option<Current>>,
    making: Mutex<u64>,
    pub(super) agent: Agent,
    pub(super) hashes: Hashes,
    pub(super) held: Held,
}

#[derive(Clone, Debug)]
struct Current {
    index: Arc<Index>,
    /// No node of the mesh was missing: one that was may have come since.
    whole: bool,
}

impl Attestor {
    /// Grants what the nodes of `snapshot` grant, at each moment.
    pub fn new(snapshot: Snapshot) -> Arc<Self> {
        Arc::new(Self {
            snapshot,
            index: RwLock::default(),
            making: Mutex::default(),
            agent: Agent::new(),
            hashes: Hashes::default(),
            held: Held::new(),
        })
    }

    /// The caller on the other side of a connected Unix socket: the process that connected, as it
    /// is now. One that is already gone is nobody in particular. May block: it reads proc(5), and
    /// an executable when a grant asks for its hash.
    pub fn process(self: &Arc<Self>, socket: BorrowedFd<'_>) -> Arc<dyn Caller> {
        let presented = match peer_of(socket, &self.agent) {
            Ok(Ok(process)) => Presented::Process(process),
            Ok(Err(stranger)) => Presented::Stranger(stranger),
            Err(error) => Presented::Unknown(error),
        };
        self.caller(presented)
    }

    /// The caller on the other side of a TCP connection: nobody in particular.
    pub fn remote(self: &Arc<Self>, address: SocketAddr) -> Arc<dyn Caller> {
        self.caller(Presented::Remote(address))
    }

    fn caller(self: &Arc<Self>, presented: Presented) -> Arc<dyn Caller> {
        let caller = Attested::new(Arc::clone(self), presented);
        // What is to be read of an executable is read here, where it may take its time.
        caller.view();
        Arc::new(caller)
    }

    /// The grants of the mesh as it is now.
    pub(super) fn index(&self) -> Arc<Index> {
        if let Some(index) = self.current() {
            return index;
        }
        let mut number = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = self.current() {
            return index;
        }
        *number += 1;
        let mesh = self.snapshot.mesh();
        let nodes: Vec<_> = mesh.nodes.iter().filter_map(|name| self.snapshot.node(name)).collect();
        let whole = nodes.len() == mesh.nodes.len();
        let identities = nodes.iter().map(|node| Arc::clone(&node.identity)).collect();
        let index = Arc::new(Index::new(*number, mesh, identities));
        let current = Current { index: Arc::clone(&index), whole };
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = Some(current);
        index
    }

    fn current(&self) -> Option<Arc<Index>> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let Current { index, whole } = index.as_ref()?;
        let of_this_mesh = Arc::ptr_eq(&index.mesh, &self.snapshot.mesh());
        (*whole && of_this_mesh).then(|| Arc::clone(index))
    }
}
