//! The task itself.

use tokio::sync::{mpsc, oneshot, watch};

use super::handle::Command;
use super::{EngineError, Options, Status};
use crate::files::{Directory, DirectoryOptions, Layout};
use crate::snapshot::Publisher;

/// Runs until it is told to end.
pub(super) async fn run(
    options: Options,
    _publisher: Publisher,
    mut commands: mpsc::UnboundedReceiver<Command>,
    ready: watch::Sender<bool>,
) -> Result<(), EngineError> {
    let _directory = open(&options).await?;
    ready.send_replace(true);
    while let Some(command) = commands.recv().await {
        match command {
            Command::Ping(reply) => drop(reply.send(())),
            Command::Reissue { nodes, begun } => drop(begun.send(Err(nodes))),
            Command::Reload => {}
            Command::Shutdown => break,
            Command::Status(reply) => {
                let status = Status {
                    now: options.clock.now(),
                    trust_domain: options.desired.borrow().trust_domain.clone(),
                    authorities: Vec::new(),
                    nodes: Vec::new(),
                    transitions: Vec::new(),
                    problems: Vec::new(),
                };
                drop(reply.send(status));
            }
        }
    }
    Ok(())
}

/// Opens and locks the state directory. On a thread of its own, not of the runtime: that would
/// wait at its end for one that waits for a lock.
async fn open(options: &Options) -> Result<Directory, EngineError> {
    let (opened, directory) = oneshot::channel();
    let path = options.state.clone();
    let thread = std::thread::Builder::new().name("state".to_owned()).spawn(move || {
        let on_wait = || {
            tracing::warn!(
                directory = %path.display(),
                "another process holds the state directory; waiting until it lets go"
            );
        };
        let keys = DirectoryOptions::new(Layout::Flat);
        let _ = opened.send(Directory::open(&path, keys, on_wait));
    });
    thread.map_err(|cause| EngineError::Thread { cause })?;
    match directory.await {
        Ok(directory) => Ok(directory?),
        Err(_) => {
            let cause = std::io::Error::other("it ended without a result");
            Err(EngineError::Thread { cause })
        }
    }
}
