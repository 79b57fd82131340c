//! The loop around the pure machines: who should exist, in; what everybody has, out.
//!
//! One task owns all state. It hears of edits, of what was made and saved, of who waits, of who
//! has accepted what, and of the clock; it asks the pure machines of [`rotation`](crate::rotation)
//! what is to be done, and does it: has credentials made, saves them, publishes them. Knows
//! nothing of who serves what it publishes, nor where the mesh is read from.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{Notify, mpsc, watch};

use crate::acm_pca::{self, Pool};
use crate::boards::{Deliveries, Demand};
use crate::desired::Desired;
use crate::files::FilesError;
use crate::identity::NodeName;
pub use crate::rotation::transition::Audience;
use crate::snapshot::Publisher;
use crate::time::Clock;

mod attempts;
mod errands;
mod failing;
mod handle;
mod issuing;
mod keeping;
mod observer;
mod outages;
mod preparation;
mod report;
mod run;
mod slot;
mod state;
mod status;
mod timers;
mod trust;
mod turns;
mod work;

pub use handle::{Commands, Handle};
pub use issuing::{Issued, Issuing, IssuingError, Local, Request};
pub use observer::{Attempt, Nobody, Observer};
pub use status::{
    AuthorityStatus, CertificateStatus, FailureStatus, NodeState, NodeStatus, Status,
    TransitionStatus,
};

/// Why the loop could not begin, or ended.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The state directory refused.
    #[error("the state directory cannot be used: {0}")]
    Files(#[from] FilesError),
    /// No thread can be had to open it with.
    #[error("a thread to open the state directory with: {cause}")]
    Thread {
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The loop ended without a result.
    #[error("the loop was cut off: {cause}")]
    CutOff {
        /// How.
        #[source]
        cause: tokio::task::JoinError,
    },
}

/// What a loop works on, and how.
#[derive(Debug)]
pub struct Options {
    /// Who should exist, as it changes.
    pub desired: watch::Receiver<Arc<Desired>>,
    /// The directory of the authorities and of what is stored of nodes; made if need be, and
    /// locked for as long as the loop runs.
    pub state: PathBuf,
    /// Whether nodes' credentials are stored there. Authorities always are.
    pub store: bool,
    /// The nodes to make and publish credentials for; all, if none is named. The others count for
    /// trust alone.
    pub only: Option<Vec<NodeName>>,
    /// Where all wall time comes from.
    pub clock: Clock,
    /// Told when the wall clock was set, so that all deadlines are looked at anew.
    pub clock_changed: Arc<Notify>,
    /// Who makes credentials.
    pub issuing: Arc<dyn Issuing>,
    /// How many are in the making here at once, at most.
    pub at_once: usize,
    /// The way to AWS, for authorities that are there.
    pub pool: Pool,
    /// Who waits.
    pub demand: Demand,
    /// Who has accepted what.
    pub deliveries: Deliveries,
    /// How long a change of trust waits for those who do not follow, at most.
    pub settle_within: Duration,
    /// How long something published counts as not yet arrived where nobody answers.
    pub soak: Duration,
    /// Who takes what is published: Envoys that answer on `deliveries`, readers of files who do
    /// not, or both.
    pub audience: Audience,
    /// What decides, with a node's name, by how much its retries are put off.
    pub seed: u64,
    /// Who counts what happens.
    pub observer: Arc<dyn Observer>,
}

impl Options {
    /// A loop over `desired` with its state in `state`: all nodes, stored, signed in this process,
    /// as many at once as there are CPUs, on the machine's own clock.
    pub fn new(desired: watch::Receiver<Arc<Desired>>, state: PathBuf) -> Self {
        Self {
            desired,
            state,
            store: true,
            only: None,
            clock: Clock::system(),
            clock_changed: Arc::default(),
            issuing: Arc::new(Local),
            at_once: std::thread::available_parallelism().map_or(1, usize::from),
            pool: Pool::new(acm_pca::connect(), Clock::system()),
            demand: Demand::default(),
            deliveries: Deliveries::default(),
            settle_within: Duration::from_secs(3_600),
            soak: Duration::from_secs(120),
            audience: Audience::Answers,
            seed: random(),
            observer: Arc::new(Nobody),
        }
    }
}

/// The loop.
#[derive(Debug)]
pub struct Engine;

impl Engine {
    /// Starts a loop on the current tokio runtime. It opens and locks the state directory, waiting
    /// for whoever holds it, publishes what is stored there, and makes what is missing or due.
    pub fn start(options: Options) -> Handle {
        let publisher = Publisher::new(Arc::clone(&options.desired.borrow()));
        let snapshot = publisher.snapshot();
        let (sender, commands) = mpsc::unbounded_channel();
        let (ready, is_ready) = watch::channel(false);
        let join = tokio::spawn(run::run(options, publisher, commands, ready));
        Handle { snapshot, commands: Commands(sender), ready: is_ready, join: Some(join) }
    }
}

/// Another number in each process: replicas that fail together do not try again together.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests;
