//! A task that ends when it is told to.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a task may take to end once it is told to; then it is cut off.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// A task and the word that ends it. Dropping it lets the task know, and waits for nothing.
#[derive(Debug)]
pub(super) struct Task {
    end: oneshot::Sender<()>,
    join: JoinHandle<()>,
}

/// Completes when the task is told to end.
pub(super) struct End(oneshot::Receiver<()>);

impl End {
    pub(super) async fn told(self) {
        // Whoever would tell is gone: as good as told.
        let _ = self.0.await;
    }
}

impl Task {
    /// Starts a task that heeds the word it is given.
    pub(super) fn start<F>(run: impl FnOnce(End) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (end, ended) = oneshot::channel();
        Self { end, join: tokio::spawn(run(End(ended))) }
    }

    /// Starts a task that may be cut off at any moment.
    pub(super) fn until_told(run: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::start(|end| async {
            tokio::select! {
                () = run => {}
                () = end.told() => {}
            }
        })
    }

    /// Ends it, and waits until it has ended.
    pub(super) async fn end(mut self) {
        // One that has ended by itself hears nothing.
        let _ = self.end.send(());
        if timeout(ENDS_WITHIN, &mut self.join).await.is_err() {
            self.join.abort();
        }
    }
}
