//! How others speak to the loop.

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::{EngineError, Status};
use crate::identity::NodeName;
use crate::snapshot::Snapshot;

/// What the loop is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    Ping(oneshot::Sender<()>),
    Reissue { nodes: Vec<NodeName>, begun: oneshot::Sender<Result<usize, Vec<NodeName>>> },
    Reload,
    Shutdown,
    Status(oneshot::Sender<Status>),
}

/// A loop that runs.
#[derive(Debug)]
pub struct Handle {
    pub(super) snapshot: Snapshot,
    pub(super) commands: Commands,
    pub(super) ready: watch::Receiver<bool>,
    /// None once it has been waited for to the end.
    pub(super) join: Option<JoinHandle<Result<(), EngineError>>>,
}

/// Commands to a loop that runs. Cheap to clone. A loop that has ended answers nothing.
#[derive(Clone, Debug)]
pub struct Commands(pub(super) mpsc::UnboundedSender<Command>);

impl Handle {
    /// What it publishes: a mesh of no nodes until it is [`ready`](Self::ready).
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Commands to it.
    pub fn commands(&self) -> Commands {
        self.commands.clone()
    }

    /// Waits until what the state directory holds is published.
    ///
    /// # Errors
    /// When the state directory refuses; the loop has ended then.
    pub async fn ready(&mut self) -> Result<(), EngineError> {
        let ready = self.ready.wait_for(|ready| *ready).await.is_ok();
        if ready { Ok(()) } else { self.ended().await }
    }

    /// Waits until the loop has ended. Safe to cancel, and to call again.
    ///
    /// # Errors
    /// Why it ended, if nobody asked it to.
    pub async fn ended(&mut self) -> Result<(), EngineError> {
        let Some(join) = &mut self.join else { return Ok(()) };
        let outcome = join.await;
        self.join = None;
        outcome.unwrap_or_else(|cause| Err(EngineError::CutOff { cause }))
    }

    /// Ends the loop: what is being written is written, what is being made is dropped, and the
    /// state directory is free for a successor when this returns. The snapshot stays as it is.
    ///
    /// # Errors
    /// Why it ended, if it had before.
    pub async fn shutdown(mut self) -> Result<(), EngineError> {
        self.commands.send(Command::Shutdown);
        self.ended().await
    }
}

impl Commands {
    /// Makes new certificates for these nodes, or for all if none is named, and says how many
    /// that are. Nothing is begun if one is unknown; those unknown are the error. None if the loop
    /// has ended.
    pub async fn reissue(&self, nodes: Vec<NodeName>) -> Option<Result<usize, Vec<NodeName>>> {
        let (begun, answer) = oneshot::channel();
        self.send(Command::Reissue { nodes, begun });
        answer.await.ok()
    }

    /// Reads the authorities anew, and tries at once what failed.
    pub fn reload(&self) {
        self.send(Command::Reload);
    }

    /// Asks the loop to end; [`Handle::ended`] says when it has.
    pub fn shutdown(&self) {
        self.send(Command::Shutdown);
    }

    /// How it stands. None if the loop has ended.
    pub async fn status(&self) -> Option<Status> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Status(reply));
        answer.await.ok()
    }

    /// Whether the loop answers; waits until it does.
    pub async fn ping(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Ping(reply));
        answer.await.is_ok()
    }

    fn send(&self, command: Command) {
        // Who commands a loop that has ended learns it from the answer that never comes.
        let _ = self.0.send(command);
    }
}
