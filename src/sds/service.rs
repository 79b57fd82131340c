//! The service itself: moves bytes between connections and the pure streams.
//!
//! `envoy.service.secret.v3.SecretDiscoveryService` over HTTP/2, one small task for each stream,
//! which sleeps until its client says something or something that it serves changes. What a client
//! may cost is bounded ([`limits`]), and a client beyond a bound loses its stream or connection and
//! disturbs nobody else's. Knows nothing of sockets or of how callers are recognised: it is handed
//! connections, each with its [`Caller`].

use std::fmt::Debug;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tonic::transport::server::Connected;

use super::catalogue::Catalogue;
use super::resource::Resolution;
use crate::boards::{Deliveries, Demand};
use crate::identity::NodeName;
use crate::snapshot::{Caller, Snapshot, View};

mod connection;
pub mod limits;
mod note;
mod requests;
mod session;
mod small_frames;
mod streams;

use connection::Connection;
use limits::{Allowance, LOOKED_AT, MOST_CONNECTIONS, PAUSE_AFTER_ERROR, Pace};

/// What names stand for.
pub trait Resources: Debug + Send + Sync {
    /// What there is to `name` for a caller that sees `view` and calls itself `hints`.
    fn resolve(&self, name: &str, view: &View, hints: &[&str]) -> Resolution;

    /// The names of all that such a caller may have.
    fn all(&self, view: &View, hints: &[&str]) -> Vec<String>;

    /// The nodes whose changes may change what [`resolve`](Self::resolve) says.
    fn depends_on(&self, name: &str, view: &View, hints: &[&str]) -> Vec<NodeName>;
}

impl Resources for Catalogue {
    fn resolve(&self, name: &str, view: &View, hints: &[&str]) -> Resolution {
        Catalogue::resolve(self, name, view, hints)
    }

    fn all(&self, view: &View, hints: &[&str]) -> Vec<String> {
        Catalogue::all(self, view, hints)
    }

    fn depends_on(&self, name: &str, view: &View, hints: &[&str]) -> Vec<NodeName> {
        Catalogue::depends_on(self, name, view, hints)
    }
}

/// What the service stands on.
#[derive(Clone, Debug)]
pub struct Service {
    /// Wakes streams.
    pub snapshot: Snapshot,
    /// What they are sent.
    pub resources: Arc<dyn Resources>,
    /// Told who waits.
    pub demand: Demand,
    /// Told who has what.
    pub deliveries: Deliveries,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    service: Service,
    allowance: Allowance,
    /// Callers that are being looked at anew.
    looking: Semaphore,
    /// Turns true when everything is to end.
    ending: watch::Receiver<bool>,
}

/// Serves every connection that `connections` gives until `shutdown` completes, and then ends every
/// stream at once, with OK, so that its client turns to whoever listens now. Never waits for a
/// client: whatever is still open after [`limits::GRACE`] is cut off.
///
/// Errors among `connections` are logged and passed over. When there are no more, those that are
/// there are served on.
pub async fn serve<C>(
    service: Service,
    connections: impl Stream<Item = io::Result<C>>,
    shutdown: impl Future<Output = ()>,
) where
    C: AsyncRead + AsyncWrite + Connected<ConnectInfo = Arc<dyn Caller>> + Send + Unpin + 'static,
{
    let (end, ending) = watch::channel(false);
    let shared = Arc::new(Shared {
        service,
        allowance: Allowance::default(),
        looking: Semaphore::new(LOOKED_AT),
        ending,
    });
    let mut connections = pin!(connections.fuse());
    let mut shutdown = pin!(shutdown);
    let mut open = JoinSet::new();
    let refusals = Pace::of_log();
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = open.join_next() => {}
            Some(connection) = connections.next() => match connection {
                Ok(_) if open.len() >= MOST_CONNECTIONS => {
                    if refusals.take().is_zero() {
                        tracing::warn!("refused a connection: {MOST_CONNECTIONS} are open");
                    }
                }
                Ok(io) => {
                    let connection = Connection::new(Arc::clone(&shared), io.connect_info());
                    open.spawn(connection.run(io));
                }
                Err(error) => {
                    if refusals.take().is_zero() {
                        tracing::warn!(%error, "could not take a connection");
                    }
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }
    // Whoever held a receiver may be gone already.
    let _ = end.send(true);
    while open.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests;
