//! The listening sockets pass from one process to its successor, and nobody who calls is refused.
//!
//! The running process waits at a socket of its own beside the one it serves, `PATH.handover`, which
//! only its own user and root may speak to. It goes like this:
//!
//! 1. The successor asks. The predecessor puts down what only one of them may hold ([`Holder`]) and
//!    sends its listening descriptors (`SCM_RIGHTS`, unix(7)). It goes on serving meanwhile.
//! 2. The successor takes up what was put down, and says that it has the sockets.
//! 3. The predecessor lets go: it leaves every file where it is, says so, and ends.
//!
//! Until the successor says that it has them, whatever goes wrong leaves the predecessor serving as
//! before: it takes up again what it had put down. At no moment does nobody hold the sockets, and
//! the file that Envoys have mounted stays the same one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::ListeningError;
use super::address::with_suffix;

mod predecessor;
mod successor;
mod wire;

pub use predecessor::{HandoverServer, Holder};
pub use successor::{Received, request};

/// How long the predecessor waits for its successor to be ready before it goes on as before.
pub const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long either waits for a word that needs no thought.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Why the sockets could not be had from the process that holds them.
#[derive(Debug, Error)]
pub enum HandoverError {
    /// The predecessor went, and its socket file with it.
    #[error(
        "the running agent ended during the hand-over and took {} with it: start again",
        path.display()
    )]
    Gone {
        /// The socket's path.
        path: PathBuf,
    },
    /// The predecessor does not answer in time.
    #[error("the running agent did not {awaited} within {within:?}")]
    Late {
        /// What it should have done.
        awaited: &'static str,
        /// How long it had.
        within: Duration,
    },
    /// The socket for it cannot be reached or was closed.
    #[error("cannot {operation}")]
    Link {
        /// What was being done, as a verb.
        operation: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Something was said that has no place there.
    #[error("the running agent is not one that this version can replace: {problem}")]
    Protocol {
        /// What was wrong.
        problem: String,
    },
    /// The predecessor wants to go on.
    #[error("the running agent keeps its sockets: {reason}")]
    Refused {
        /// Why, in its words.
        reason: String,
    },
    /// The predecessor gave up waiting and serves on.
    #[error("the running agent gave up waiting and serves on: start again")]
    Resumed,
    /// The sockets cannot be had at all.
    #[error(transparent)]
    Socket(#[from] ListeningError),
    /// Somebody else than the agent's own user waits at that path.
    #[error(
        "{} is held by uid {uid}, neither this process's user nor root: what it hands over cannot \
         be trusted",
        path.display()
    )]
    Stranger {
        /// The path of the socket for it.
        path: PathBuf,
        /// Who holds it.
        uid: u32,
    },
}

impl HandoverError {
    fn link(operation: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Link { operation, source }
    }
}

/// Where the process that serves the socket at `path` waits for its successor.
fn meeting_point(path: &Path) -> PathBuf {
    with_suffix(&path.as_os_str().to_owned(), ".handover").into()
}

/// Whether `uid` may speak for the agent: its own user, or root.
fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests;
