//! How much is passed on before it has to be taken.
//!
//! What has been passed on and not been taken lies in memory, and memory that thousands of
//! connections have used once is not given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much is passed on in a turn, and up to one stage more.
const LONGEST: usize = 8 * 1024;

/// How much has been passed on in a turn.
#[derive(Clone, Debug, Default)]
pub(in crate::sds::service) struct Turn(Arc<AtomicUsize>);

impl Turn {
    /// What was passed on has been taken.
    pub(in crate::sds::service) fn begin(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    pub(super) fn passed(&self, length: usize) {
        self.0.fetch_add(length, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= LONGEST
    }
}
