//! Whether somebody waits for a certificate, which may turn out while it queues.

use std::sync::Arc;

use tokio::sync::watch;

/// How urgent a request is: background at first, or waited for. Clones are one and the same.
#[derive(Clone, Debug)]
pub struct Urgency(Arc<watch::Sender<bool>>);

impl Default for Urgency {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Urgency {
    /// One that is waited for from the beginning.
    pub fn awaited() -> Self {
        let urgency = Self::default();
        urgency.hasten();
        urgency
    }

    /// Somebody waits for it by now: it goes before all that nobody waits for.
    pub fn hasten(&self) {
        self.0.send_replace(true);
    }

    /// Whether somebody waits for it.
    pub fn is_awaited(&self) -> bool {
        *self.0.borrow()
    }

    /// Until somebody waits for it.
    pub(super) async fn hastened(&self) {
        // The sender is here, so this ends only when it is so.
        let _ = self.0.subscribe().wait_for(|is_awaited| *is_awaited).await;
    }
}
