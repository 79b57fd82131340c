//! The agent: everything put together, and its life from start to end.
//!
//! Wires what others do and does nothing itself: the mesh file's watcher feeds the engine, the
//! engine publishes a snapshot, and SDS and files serve that. Knows the order in which they start
//! and end; the command line hands it options, and it knows nothing of flags.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::desired::Desired;
use crate::desired::problem::did_you_mean;
use crate::desired::watch::WatchError;
use crate::engine::EngineError;
use crate::identity::NodeName;
use crate::listening::handover::HandoverError;
use crate::listening::{ListeningError, activation, descriptors};
use crate::time::Clock;
use places::Places;

mod life;
mod operations;
mod places;
mod process;
mod recipients;
mod shift;
mod signals;
mod sockets;
mod task;

/// Where agents are expected to listen, unless they are told otherwise.
pub const SDS_SOCKET: &str = "/run/certctl/sds.sock";

/// The most threads that serve at once: beyond them memory grows and speed does not.
const MOST_WORKERS: usize = 4;

/// What an agent is to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its admin socket; [`admin_socket`] says where that is otherwise.
    pub admin: Option<PathBuf>,
    /// Where it has the time from.
    pub clock: Clock,
    /// A directory that it keeps files in.
    pub files: Option<PathBuf>,
    /// The mesh file.
    pub mesh: PathBuf,
    /// Where it answers probes and scrapers.
    pub metrics: Option<SocketAddr>,
    /// The nodes that it keeps; none for all.
    pub nodes: Vec<NodeName>,
    /// Whether it takes the place of the agent that runs there.
    pub replace: bool,
    /// The socket that it serves SDS on.
    pub sds: Option<PathBuf>,
    /// The permission bits of that socket.
    pub sds_mode: u32,
    /// The loopback address that it serves SDS on.
    pub sds_tcp: Option<SocketAddr>,
    /// The longest that a change of trust waits for those who do not acknowledge it.
    pub settle_within: Duration,
    /// How long what reads files is given to read them again, where trust changes.
    pub soak: Duration,
    /// Where what must survive a restart lies.
    pub state: Option<PathBuf>,
    /// Whether nodes' keys and certificates are to survive one.
    pub store: bool,
}

/// Why an agent could not start, or had to end.
#[derive(Debug, Error)]
pub enum AgentError {
    /// The loop ended though nobody ended it.
    #[error("the loop ended by itself; its log may say why")]
    Ended,
    /// The loop.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Files are to be kept in what is no directory.
    #[error("{} is there and is not a directory: name another one with --files", path.display())]
    Files {
        /// The path.
        path: PathBuf,
    },
    /// The agent that was to be replaced.
    #[error(transparent)]
    Handover(#[from] HandoverError),
    /// A socket that it needs.
    #[error(transparent)]
    Listening(#[from] ListeningError),
    /// The mesh file.
    #[error(transparent)]
    Mesh(#[from] WatchError),
    /// The address for probes and scrapers.
    #[error("cannot listen on {address} for --metrics; choose another address")]
    Metrics {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Two things in one place.
    #[error("{one} and {other} both name {}; each needs a place of its own", path.display())]
    SamePlace {
        /// What the one is asked for with.
        one: &'static str,
        /// And the other.
        other: &'static str,
        /// The place.
        path: PathBuf,
    },
    /// It is told to serve nobody: no socket, no address, no files, and no inherited socket.
    #[error("nobody would get anything from this agent")]
    ServesNobody,
    /// Something that every process may need.
    #[error("cannot {operation}")]
    System {
        /// What was being done, as a verb.
        operation: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A node that the mesh does not have.
    #[error("the mesh has no node {name:?}; {help}")]
    UnknownNode {
        /// The node as it was asked for.
        name: String,
        /// What may have been meant.
        help: String,
    },
}

/// The admin socket of an agent with these options: `admin` itself, or one beside the SDS socket,
/// or one in the state directory.
pub fn admin_socket(admin: Option<&Path>, sds: Option<&Path>, state: &Path) -> PathBuf {
    match (admin, sds) {
        (Some(admin), _) => admin.to_owned(),
        (None, Some(sds)) => {
            let mut path = sds.as_os_str().to_owned();
            path.push(".admin");
            path.into()
        }
        (None, None) => state.join("admin.sock"),
    }
}

/// Runs an agent until it is told to end, or another one has taken its place.
///
/// # Errors
/// When it cannot start. What goes wrong later is logged and tried again.
pub fn run(options: Options) -> Result<(), AgentError> {
    let system = |operation| move |source| AgentError::System { operation, source };
    // Before there are threads: it changes the environment.
    let inherited = activation::inherited()?;
    descriptors::raise_limit();
    let places = Places::of(&options, &inherited)?;
    // Beside one Envoy nothing runs at the same time for long; for many, a burst uses what is there.
    let mut runtime = match options.nodes.len() {
        1..=4 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    runtime.worker_threads(processors.min(MOST_WORKERS));
    let runtime = runtime.enable_all().build().map_err(system("start the runtime"))?;
    let result = runtime.block_on(life::live(options, places, inherited));
    // Work on other threads that nobody waits for any more must not delay the end.
    runtime.shutdown_background();
    result
}

fn check_nodes(nodes: &[NodeName], desired: &Desired) -> Result<(), AgentError> {
    match nodes.iter().find(|node| !desired.identities.contains_key(*node)) {
        None => Ok(()),
        Some(node) => {
            let known = desired.identities.keys().map(NodeName::as_str);
            let help = did_you_mean(node.as_str(), "it has", known)
                .unwrap_or_else(|| "`certctl config check` lists all of them".to_owned());
            Err(AgentError::UnknownNode { name: node.as_str().to_owned(), help })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_socket_lies_beside_the_sds_socket_unless_it_is_named() {
        let path = Path::new;
        let state = path("state");
        let sds = Some(path("/run/sds.sock"));
        assert_eq!(admin_socket(Some(path("a")), sds, state), path("a"));
        assert_eq!(admin_socket(None, sds, state), path("/run/sds.sock.admin"));
        assert_eq!(admin_socket(None, None, state), path("state/admin.sock"));
    }
}
