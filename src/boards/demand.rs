//! Who waits for a credential that is not there yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::identity::NodeName;

/// Counts, by node, those who wait for its credential, so that it is made before others. Cheap to
/// clone.
#[derive(Clone, Debug, Default)]
pub struct Demand(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<HashMap<NodeName, usize>>,
    changed: Notify,
}

/// Somebody waits, for as long as this lives.
#[derive(Debug)]
pub struct Wait {
    demand: Demand,
    node: NodeName,
}

impl Demand {
    /// Says that somebody waits for `node`.
    pub fn wait_for(&self, node: &NodeName) -> Wait {
        *self.waiting().entry(node.clone()).or_insert(0) += 1;
        self.0.changed.notify_one();
        Wait { demand: self.clone(), node: node.clone() }
    }

    /// Whether anybody waits for `node`.
    pub fn is_awaited(&self, node: &NodeName) -> bool {
        self.waiting().contains_key(node)
    }

    /// Those somebody waits for.
    pub fn awaited(&self) -> Vec<NodeName> {
        self.waiting().keys().cloned().collect()
    }

    /// Waits until somebody new waits, since the last call returned. For one reader, the loop.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<NodeName, usize>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut waiting = self.demand.waiting();
        if let Some(count) = waiting.get_mut(&self.node) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.node);
            }
        }
    }
}
