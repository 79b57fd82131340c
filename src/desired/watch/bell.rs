//! What the system tells of changes, added up until somebody listens.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// What happened to the files in question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints(u8);

impl Hints {
    /// A file was closed after writing, or moved into its place: it is whole.
    pub const WHOLE: Self = Self(1);
    /// Something was made, removed or given other permissions.
    pub const CHANGED: Self = Self(2);
    /// A file is being written.
    pub const BEING_WRITTEN: Self = Self(4);
    /// A directory may no longer be watched, or changes were lost.
    pub const LOST: Self = Self(8);
    /// Somebody wants everything read again.
    pub const RELOAD: Self = Self(16);

    /// Whether any of `others` is among these.
    pub fn any_of(self, others: &[Self]) -> bool {
        others.iter().any(|other| self.0 & other.0 != 0)
    }
}

impl std::ops::BitOr for Hints {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Hints from any thread to the one task that waits for them.
#[derive(Debug, Default)]
pub struct Bell {
    hints: AtomicU8,
    rung: Notify,
}

impl Bell {
    /// Adds `hints` to those that nobody has heard yet.
    pub fn ring(&self, hints: Hints) {
        self.hints.fetch_or(hints.0, Ordering::SeqCst);
        self.rung.notify_one();
    }

    /// Waits until there are hints, and takes them.
    pub async fn hints(&self) -> Hints {
        loop {
            let hints = self.hints.swap(0, Ordering::SeqCst);
            if hints != 0 {
                return Hints(hints);
            }
            self.rung.notified().await;
        }
    }
}
