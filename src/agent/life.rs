//! The life of an agent: how it starts, what it heeds, how it ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, mpsc};

use super::places::Places;
use super::shift::{Shift, Standing};
use super::signals::{Asked, Signals};
use super::sockets::{Bound, apart, close, wanted};
use super::task::Task;
use super::{AgentError, Options, check_nodes};
use crate::acm_pca::{self, Pool};
use crate::attest::Attestor;
use crate::boards::{Deliveries, Demand};
use crate::desired::watch::MeshFileWatcher;
use crate::hierarchy::recall;
use crate::listening::Listener;
use crate::listening::descriptors::connections;
use crate::listening::handover::{HandoverServer, Holder, Received, request};
use crate::listening::incoming::{MAX_CONNECTIONS, Peer, incoming};
use crate::listening::notify::{Moment, notify};
use crate::sds::catalogue::Catalogue;
use crate::sds::service::{self, Service};
use crate::snapshot::Snapshot;
use crate::telemetry::metrics::Metrics;
use crate::time::jumps::{Alarm, tell_of_jumps};

/// How long a running agent may take to put down what its successor takes up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait between two tries to take up again what a successor did not take.
const PAUSE: Duration = Duration::from_secs(1);

/// Lives until it is told to end, or has been replaced. `inherited` are the sockets that a service
/// manager passed.
pub(super) async fn live(
    options: Options,
    places: Places,
    inherited: Vec<Listener>,
) -> Result<(), AgentError> {
    let mut signals = Signals::new()
        .map_err(|source| AgentError::System { operation: "heed signals", source })?;
    let since = options.clock.now();
    let watcher = Arc::new(MeshFileWatcher::start(&options.mesh, options.clock.clone())?);
    check_nodes(&options.nodes, &watcher.sources().borrow().desired)?;
    for warning in &watcher.sources().borrow().warnings {
        tracing::warn!("{warning}");
    }
    let metrics = Arc::new(Metrics::default());
    let pool = Pool::new(acm_pca::connect(), options.clock.clone());
    recall(&watcher.sources().borrow().desired, &places.state, &pool, since);
    let (failures, mut failed) = mpsc::unbounded_channel();
    let standing = Arc::new(Standing {
        clock_changed: Arc::default(),
        deliveries: Deliveries::observed(Arc::clone(&metrics) as _),
        demand: Demand::default(),
        failures,
        metrics,
        pool,
        options,
        places,
        since,
        watcher,
    });
    let clock = watch_clock(Arc::clone(&standing.clock_changed));
    let agent = tokio::select! {
        agent = Agent::start(Arc::clone(&standing), inherited) => agent?,
        () = stop(&mut signals) => return Ok(()),
    };
    let kept = match standing.options.nodes.len() {
        0 => standing.watcher.sources().borrow().desired.identities.len(),
        named => named,
    };
    agent.log_start(kept);
    tell(Moment::Ready);
    let ended = agent.heed(&mut signals, &mut failed).await;
    tell(Moment::Stopping);
    drop(clock);
    tokio::select! {
        () = agent.end() => {}
        () = stop(&mut signals) => tracing::warn!("told to end again: ends at once"),
    }
    ended
}

/// An agent that serves.
#[derive(Clone)]
struct Agent {
    listeners: Arc<Vec<Listener>>,
    occupied: Arc<Mutex<Occupied>>,
    standing: Arc<Standing>,
}

/// What is ended for a successor, and begun again when it does not come.
#[derive(Default)]
struct Occupied {
    service: Option<Task>,
    shift: Option<Shift>,
}

impl Agent {
    async fn start(standing: Arc<Standing>, inherited: Vec<Listener>) -> Result<Self, AgentError> {
        let options = &standing.options;
        let predecessor = match options.replace {
            true => request(&standing.places.meeting_point, PATIENCE).await?,
            false => None,
        };
        let theirs = predecessor.iter().flat_map(Received::listeners);
        let there: Vec<_> = inherited.iter().chain(theirs).collect();
        // Bound before anything else is done, so that whoever calls already waits in the queue.
        let bound = Bound::missing(options, &there).await?;
        let serves = there.into_iter().chain(bound.listeners()).map(Listener::in_words).collect();
        let (mut listeners, shift) =
            Self::take_up(&standing, serves, predecessor, inherited).await?;
        listeners.extend(bound.keep());
        let listeners = Arc::new(wanted(options, listeners).await);
        let service = Some(serve(&standing, &shift.snapshot, &listeners)?);
        let occupied = Arc::new(Mutex::new(Occupied { service, shift: Some(shift) }));
        Ok(Self { listeners, occupied, standing })
    }

    /// Starts the loop, and takes the predecessor's sockets once it runs.
    async fn take_up(
        standing: &Arc<Standing>,
        serves: Vec<String>,
        predecessor: Option<Received>,
        mut listeners: Vec<Listener>,
    ) -> Result<(Vec<Listener>, Shift), AgentError> {
        let shift = Shift::start(standing, serves).await?;
        if let Some(predecessor) = predecessor {
            match predecessor.take().await {
                Ok(taken) => listeners.extend(taken),
                Err(error) => {
                    // What the predecessor takes up again must be free.
                    shift.end().await;
                    return Err(error.into());
                }
            }
        }
        Ok((listeners, shift))
    }

    /// Heeds signals, successors and failures until one of them ends the agent.
    async fn heed(
        &self,
        signals: &mut Signals,
        failed: &mut mpsc::UnboundedReceiver<AgentError>,
    ) -> Result<(), AgentError> {
        let mut holder = self.clone();
        let place = self.standing.places.meeting_point.clone();
        let server = apart(move || HandoverServer::bind(&place)).await??;
        let mut replaced = std::pin::pin!(server.serve(&self.listeners, &mut holder));
        loop {
            tokio::select! {
                () = &mut replaced => {
                    tracing::info!("another agent has taken over");
                    return Ok(());
                }
                Some(error) = failed.recv() => return Err(error),
                asked = signals.next() => match asked {
                    Asked::Stop => {
                        tracing::info!("told to end");
                        return Ok(());
                    }
                    Asked::Reload => self.reload().await,
                }
            }
        }
    }

    async fn reload(&self) {
        tracing::info!("told to reload: reads the mesh file and the authorities again");
        self.standing.watcher.reload();
        if let Some(shift) = &self.occupied.lock().await.shift {
            shift.commands.reload();
        }
    }

    /// Ends it in order: those who are served first, so that they turn to whoever comes next.
    async fn end(self) {
        let Occupied { service, shift } = std::mem::take(&mut *self.occupied.lock().await);
        if let Some(service) = service {
            service.end().await;
        }
        if let Some(shift) = shift {
            shift.end().await;
        }
        let listeners = Arc::into_inner(self.listeners).unwrap_or_default();
        // What could not be closed is told of there.
        let _ = apart(|| close(listeners)).await;
    }

    fn log_start(&self, nodes: usize) {
        let sds: Vec<_> = self.listeners.iter().map(Listener::in_words).collect();
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            pid = std::process::id(),
            nodes,
            sds = sds.join(", "),
            admin = %self.standing.places.admin.display(),
            state = %self.standing.places.state.display(),
            "serves"
        );
    }
}

impl Holder for Agent {
    async fn prepare(&mut self) -> Result<(), String> {
        tracing::info!("another agent asks to take over: puts down the loop and its state");
        // Nobody is kept from it while the shift ends: a signal is heeded meanwhile.
        let shift = self.occupied.lock().await.shift.take();
        if let Some(shift) = shift {
            shift.end().await;
        }
        Ok(())
    }

    async fn resume(&mut self) {
        tracing::warn!("the other agent did not take over: takes up the loop again");
        let serves = || self.listeners.iter().map(Listener::in_words).collect();
        let shift = loop {
            match Shift::start(&self.standing, serves()).await {
                Ok(shift) => break shift,
                Err(error) => tracing::error!("cannot take up the loop again: {error}"),
            }
            tokio::time::sleep(PAUSE).await;
        };
        let service = serve(&self.standing, &shift.snapshot, &self.listeners);
        let mut occupied = self.occupied.lock().await;
        occupied.shift = Some(shift);
        let before = match service {
            Ok(service) => occupied.service.replace(service),
            Err(error) => {
                drop(self.standing.failures.send(error));
                None
            }
        };
        drop(occupied);
        // Its streams end, and whoever had them is served by the new one.
        if let Some(before) = before {
            before.end().await;
        }
    }
}

/// Begins to serve a snapshot on these sockets.
fn serve(
    standing: &Standing,
    snapshot: &Snapshot,
    listeners: &[Listener],
) -> Result<Task, AgentError> {
    let attestor = Attestor::new(snapshot.clone());
    let attest = Arc::new(move |peer: Peer<'_>| match peer {
        Peer::Unix(socket) => attestor.process(socket),
        Peer::Tcp(address) => attestor.remote(address),
    });
    let accepted = incoming(listeners, attest, connections(MAX_CONNECTIONS))
        .map_err(|source| AgentError::System { operation: "accept connections", source })?;
    let service = Service {
        snapshot: snapshot.clone(),
        resources: Arc::new(Catalogue::new(snapshot.clone())),
        demand: standing.demand.clone(),
        deliveries: standing.deliveries.clone(),
    };
    Ok(Task::start(|end| service::serve(service, accepted, end.told())))
}

/// Has `changed` rung whenever the wall clock is set, while what is returned lives.
fn watch_clock(changed: Arc<Notify>) -> Option<Task> {
    let unwatched = |error| tracing::warn!("{error}");
    let alarm = Alarm::new().map_err(unwatched).ok()?;
    Some(Task::until_told(async move {
        if let Err(error) = tell_of_jumps(alarm, changed).await {
            unwatched(error);
        }
    }))
}

/// Completes when the process is told to end.
async fn stop(signals: &mut Signals) {
    while signals.next().await != Asked::Stop {}
}

fn tell(moment: Moment) {
    if let Err(error) = notify(moment) {
        tracing::warn!("cannot tell the service manager: {error}");
    }
}
