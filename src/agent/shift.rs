//! What works while this process is the one that keeps the state: the loop and those who stand on
//! it. A successor can only begin once all of it has ended.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};

use super::operations::Desk;
use super::places::Places;
use super::sockets::apart;
use super::task::Task;
use super::{AgentError, Options};
use crate::acm_pca::Pool;
use crate::admin::server;
use crate::boards::{Deliveries, Demand};
use crate::desired::Desired;
use crate::desired::watch::{Condition, MeshFileWatcher, Source};
use crate::engine::{self, Commands, Engine, Handle};
use crate::file_sink::FileSink;
use crate::listening::{Listener, SocketAccess};
use crate::snapshot::Snapshot;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::pages;
use crate::time::OffsetDateTime;

/// What outlives a shift.
#[derive(Debug)]
pub(super) struct Standing {
    /// Rung when the wall clock is set.
    pub(super) clock_changed: Arc<Notify>,
    /// Who has what.
    pub(super) deliveries: Deliveries,
    /// Who waits.
    pub(super) demand: Demand,
    /// Told when a loop ends that nobody ended.
    pub(super) failures: mpsc::UnboundedSender<AgentError>,
    /// What is counted.
    pub(super) metrics: Arc<Metrics>,
    /// What the agent is to do.
    pub(super) options: Options,
    /// Where everything is.
    pub(super) places: Places,
    /// The way to AWS.
    pub(super) pool: Pool,
    /// When the process started.
    pub(super) since: OffsetDateTime,
    /// The mesh file's keeper.
    pub(super) watcher: Arc<MeshFileWatcher>,
}

/// A loop that runs, and those who stand on it.
#[derive(Debug)]
pub(super) struct Shift {
    admin: Listener,
    /// Commands to the loop.
    pub(super) commands: Commands,
    /// Those who stand on the loop, and then the loop itself.
    tasks: Vec<Task>,
    /// What the loop publishes.
    pub(super) snapshot: Snapshot,
}

impl Shift {
    /// Starts the loop, waits until it has published what is stored, and starts the others.
    /// `serves` is where SDS is, or will be, served.
    pub(super) async fn start(
        standing: &Arc<Standing>,
        serves: Vec<String>,
    ) -> Result<Self, AgentError> {
        let mut sources = standing.watcher.sources();
        let first = Arc::clone(&sources.borrow_and_update().desired);
        let (desired, receiver) = watch::channel(first);
        let mut engine = Engine::start(standing.engine_options(receiver));
        engine.ready().await?;
        let (commands, snapshot) = (engine.commands(), engine.snapshot().clone());
        let sink = standing.options.files.clone().map(|path| FileSink::new(path, snapshot.clone()));
        let desk = Arc::new(Desk {
            commands: commands.clone(),
            deliveries: standing.deliveries.clone(),
            files: sink.as_ref().map(|sink| (sink.directory().to_owned(), sink.standing())),
            mesh: standing.options.mesh.clone(),
            serves,
            since: standing.since,
            watcher: Arc::clone(&standing.watcher),
        });
        let opened = standing.open(&desk).await;
        let (admin, mut tasks) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // The state must be free again before anybody hears of the failure.
                engine.shutdown().await?;
                return Err(error);
            }
        };
        tasks.push(Task::until_told(feed(sources, desired, commands.clone())));
        tasks.push(Task::until_told(tell_of_faults(standing.watcher.condition())));
        tasks.extend(sink.map(|sink| Task::until_told(async move { sink.run().await })));
        tasks.push(keep(engine, standing.failures.clone()));
        Ok(Self { admin, commands, tasks, snapshot })
    }

    /// Ends it all; the state is free for a successor then.
    pub(super) async fn end(self) {
        let admin = self.admin;
        if let Ok(Err(error)) = apart(|| admin.close()).await {
            tracing::warn!("the admin socket stays behind: {error}");
        }
        for task in self.tasks {
            task.end().await;
        }
    }
}

impl Standing {
    fn engine_options(&self, desired: watch::Receiver<Arc<Desired>>) -> engine::Options {
        let only = &self.options.nodes;
        engine::Options {
            store: self.options.store,
            only: (!only.is_empty()).then(|| only.clone()),
            clock: self.options.clock.clone(),
            clock_changed: Arc::clone(&self.clock_changed),
            demand: self.demand.clone(),
            deliveries: self.deliveries.clone(),
            settle_within: self.options.settle_within,
            soak: self.options.soak,
            audience: self.places.audience,
            observer: Arc::clone(&self.metrics) as _,
            pool: self.pool.clone(),
            ..engine::Options::new(desired, self.places.state.clone())
        }
    }

    /// Opens what operators, probes and scrapers ask.
    async fn open(&self, desk: &Arc<Desk>) -> Result<(Listener, Vec<Task>), AgentError> {
        let mut tasks = Vec::new();
        if let Some(address) = self.options.metrics {
            let listener = TcpListener::bind(address)
                .await
                .map_err(|source| AgentError::Metrics { address, source })?;
            // The port may have been left to the system.
            let address = listener.local_addr().unwrap_or(address);
            tracing::info!(%address, "answers probes and scrapers");
            let (desk, metrics) = (Arc::clone(desk), Arc::clone(&self.metrics));
            tasks.push(Task::start(|end| async {
                let served = pages::serve(listener, desk, metrics, end.told()).await;
                log_end("the address for probes and scrapers", served);
            }));
        }
        let path = self.places.admin.clone();
        let admin = apart(move || Listener::bind_unix(&path, SocketAccess::default())).await??;
        let listener = admin.to_tokio_unix().map_err(|source| AgentError::System {
            operation: "listen on the admin socket",
            source,
        })?;
        let desk = Arc::clone(desk);
        tasks.push(Task::start(|end| async {
            log_end("the admin socket", server::serve(listener, desk, end.told()).await);
        }));
        Ok((admin, tasks))
    }
}

fn log_end(what: &str, ended: std::io::Result<()>) {
    if let Err(error) = ended {
        tracing::error!("{what} fails: {error}");
    }
}

/// Hands what the mesh file says on to the loop, and lets it look again when a file has changed
/// that the mesh file names.
async fn feed(
    mut sources: watch::Receiver<Arc<Source>>,
    desired: watch::Sender<Arc<Desired>>,
    commands: Commands,
) {
    while sources.changed().await.is_ok() {
        let source = Arc::clone(&sources.borrow_and_update());
        for warning in &source.warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!(
            revision = source.revision,
            "the mesh file, or a file that it names, changed"
        );
        let is_new = desired.send_if_modified(|current| {
            let is_new = **current != *source.desired;
            if is_new {
                *current = Arc::clone(&source.desired);
            }
            is_new
        });
        if !is_new {
            commands.reload();
        }
    }
}

/// Says when the mesh file cannot be used as it lies there, and when it can be again.
async fn tell_of_faults(mut condition: watch::Receiver<Condition>) {
    let mut told = Condition { fault: None, polling: None };
    loop {
        let condition_now = condition.borrow_and_update().clone();
        let Condition { fault, polling } = &condition_now;
        if *fault != told.fault {
            match fault {
                Some(fault) => tracing::warn!(
                    "the mesh file is not used as it stands, and the last good one stays in force: \
                     {}",
                    fault.text.trim_end()
                ),
                None => tracing::info!("the mesh file can be used again"),
            }
        }
        if let Some(why) = polling
            && told.polling.as_ref() != Some(why)
        {
            tracing::warn!("the mesh file is looked at every five seconds: {why}");
        }
        told = condition_now;
        if condition.changed().await.is_err() {
            return;
        }
    }
}

/// Ends the loop when it is told to, and tells when it ends by itself.
fn keep(mut engine: Handle, failures: mpsc::UnboundedSender<AgentError>) -> Task {
    Task::start(|end| async move {
        let ended = tokio::select! {
            ended = engine.ended() => ended,
            () = end.told() => {
                if let Err(error) = engine.shutdown().await {
                    tracing::error!("{error}");
                }
                return;
            }
        };
        // Nobody listens once the agent is ending.
        let _ = failures.send(ended.map_or_else(AgentError::from, |()| AgentError::Ended));
    })
}
