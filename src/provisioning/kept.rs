//! Pendings in a state directory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zeroize::Zeroizing;

use super::Pendings;
use crate::acm_pca::KeepError;
use crate::identity::NodeName;
use crate::store::{Entry, Kind, NodeStore};

/// One attempt's way to what is kept. Once it is closed nothing more is kept through it, so that an
/// attempt that was overtaken writes over nothing of the next one's.
#[derive(Debug)]
pub struct StoredPendings {
    store: Arc<NodeStore>,
    is_closed: AtomicBool,
}

impl StoredPendings {
    /// One that keeps them in `store`.
    pub fn new(store: Arc<NodeStore>) -> Self {
        Self { store, is_closed: AtomicBool::new(false) }
    }

    /// Keeps nothing more.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    fn save(&self, entry: Entry) -> Result<(), KeepError> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(KeepError("something else is wanted by now".into()));
        }
        self.store.save(&[entry]).map_err(|error| KeepError(error.into()))
    }
}

impl Pendings for StoredPendings {
    fn load(&self, node: &NodeName) -> Result<Option<Zeroizing<Vec<u8>>>, KeepError> {
        self.store.pending(node).map_err(|error| KeepError(error.into()))
    }

    fn keep(&self, node: &NodeName, bytes: &[u8]) -> Result<(), KeepError> {
        self.save(Entry::pending(node, bytes))
    }

    fn forget(&self, node: &NodeName) -> Result<(), KeepError> {
        if !self.store.is_kept(Kind::Pending, node) {
            return Ok(());
        }
        self.save(Entry::nothing(Kind::Pending, node))
    }
}
