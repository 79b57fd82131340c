//! Connections, each with the caller on its other side.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::Connected;

use super::listener::{Listener, Socket};
use crate::snapshot::Caller;

mod shares;

use shares::{NowAndThen, Share, Shares};

/// How many connections there may be at one moment, unless said otherwise. Those beyond wait in the
/// socket's queue until one ends.
pub const MAX_CONNECTIONS: usize = 10_000;

/// Which part of them may be of callers that may have nothing, so that these shut out nobody else.
/// Those beyond are closed.
const PART_FOR_NOTHING: usize = 4;

/// How many callers are being looked at at one moment, so that a burst is.
const LOOKED_AT: usize = 64;

/// How long nothing is accepted after a failure, at first and at most: what was used up (file
/// descriptors, memory) does not come back at once.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The other side of a connection, for whoever can tell who that is.
#[derive(Debug)]
pub enum Peer<'a> {
    /// A connected Unix socket; the kernel knows who called.
    Unix(BorrowedFd<'a>),
    /// A connected TCP socket; nobody knows.
    Tcp(SocketAddr),
}

/// Says who is calling. May block: it is called on threads that may.
pub type Attest = Arc<dyn Fn(Peer<'_>) -> Arc<dyn Caller> + Send + Sync>;

/// A connection and its caller, who is also its [`Connected::ConnectInfo`].
pub struct Connection {
    bytes: Bytes,
    caller: Arc<dyn Caller>,
    _place: OwnedSemaphorePermit,
    _share: Share,
    _place_for_nothing: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
enum Bytes {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A socket that connections are taken from.
enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Looks at callers.
#[derive(Clone)]
struct Looking {
    attest: Attest,
    shares: Arc<Shares>,
    places_for_nothing: Arc<Semaphore>,
    /// That somebody has too many places, or all who may have nothing.
    line: Arc<NowAndThen>,
}

/// What is kept between two connections.
struct Accepting {
    door: Door,
    name: String,
    places: Arc<Semaphore>,
    /// That all are taken.
    line: NowAndThen,
}

/// The connections of all `listeners` together, at most `limit` at one moment. Never ends and gives
/// no error: what fails is logged and tried again. Whoever drops the stream has ceased to accept;
/// the listeners themselves stay as they are. Must be called inside a tokio runtime.
///
/// # Errors
/// When a socket cannot be made ready.
pub fn incoming(
    listeners: &[Listener],
    attest: Attest,
    limit: usize,
) -> io::Result<impl Stream<Item = io::Result<Connection>> + Send + Unpin + use<>> {
    let limit = limit.min(Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(limit));
    let accepting = listeners.iter().map(|listener| {
        let door = match listener.duplicate()? {
            Socket::Tcp(socket) => Door::Tcp(TcpListener::from_std(socket)?),
            Socket::Unix(socket) => Door::Unix(UnixListener::from_std(socket)?),
        };
        let places = Arc::clone(&places);
        let (name, line) = (listener.in_words(), NowAndThen::default());
        let accepting = Accepting { door, name, places, line };
        Ok(stream::unfold(accepting, |accepting| async move {
            let next = accepting.next().await?;
            Some((next, accepting))
        })
        .boxed())
    });
    let accepted = stream::select_all(accepting.collect::<io::Result<Vec<_>>>()?);
    let places_for_nothing = Arc::new(Semaphore::new(limit.div_ceil(PART_FOR_NOTHING)));
    let (shares, line) = (Shares::new(limit), Arc::default());
    let looking = Looking { attest, shares, places_for_nothing, line };
    let connections = accepted
        .map(move |(bytes, place)| looking.clone().look(bytes, place))
        .buffer_unordered(LOOKED_AT)
        .filter_map(|connection| std::future::ready(connection.map(Ok)));
    Ok(connections)
}

impl Looking {
    /// Learns who is calling, on a thread that may block.
    async fn look(self, bytes: Bytes, place: OwnedSemaphorePermit) -> Option<Connection> {
        let looked = tokio::task::spawn_blocking(move || {
            let caller = match &bytes {
                Bytes::Unix(stream) => (self.attest)(Peer::Unix(stream.as_fd())),
                Bytes::Tcp(stream) => (self.attest)(Peer::Tcp(stream.peer_addr().ok()?)),
            };
            let Some(share) = self.shares.take(&caller.origin()) else {
                self.closed(&*caller, "it has enough, and what is left is kept for others");
                return None;
            };
            let place_for_nothing = match caller.view().is_empty() {
                true => Some(self.place_for_nothing(&*caller)?),
                false => None,
            };
            Some(Connection {
                bytes,
                caller,
                _place: place,
                _share: share,
                _place_for_nothing: place_for_nothing,
            })
        });
        looked.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a connection was dropped: its caller could not be looked at");
            None
        })
    }

    fn place_for_nothing(&self, caller: &dyn Caller) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places_for_nothing).try_acquire_owned().ok();
        if place.is_none() {
            self.closed(caller, "too many are of callers that may have nothing");
        }
        place
    }

    fn closed(&self, caller: &dyn Caller, why: &str) {
        if self.line.is_due() {
            tracing::warn!(caller = caller.in_words(), "a connection was closed: {why}");
        }
    }
}

impl Accepting {
    /// The next connection; none when the process is ending.
    async fn next(&self) -> Option<(Bytes, OwnedSemaphorePermit)> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                if self.line.is_due() {
                    tracing::warn!(
                        socket = self.name,
                        "as many connections as are allowed: further callers wait until one ends"
                    );
                }
                Arc::clone(&self.places).acquire_owned().await.ok()?
            }
        };
        let bytes = persist(&self.name, || self.door.accept()).await;
        Some((bytes, place))
    }
}

/// Accepts until it works.
async fn persist<T, F>(name: &str, mut accept: impl FnMut() -> F) -> T
where
    F: Future<Output = io::Result<T>>,
{
    let mut pause = None;
    loop {
        match accept().await {
            Ok(accepted) => {
                if pause.is_some() {
                    tracing::info!(socket = name, "accepting connections again");
                }
                return accepted;
            }
            // The caller's own doing, and over.
            Err(error) if is_of_the_caller(&error) => {}
            Err(error) => {
                if pause.is_none() {
                    tracing::error!(
                        socket = name,
                        %error,
                        "cannot accept connections; trying again until it works (too many open \
                         files: raise the limit, LimitNOFILE= in a unit)"
                    );
                }
                let now = pause.unwrap_or(FIRST_PAUSE);
                tokio::time::sleep(now).await;
                pause = Some((now * 2).min(LONGEST_PAUSE));
            }
        }
    }
}

fn is_of_the_caller(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

impl Door {
    async fn accept(&self) -> io::Result<Bytes> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Small answers are sent at once; where that cannot be set they come later.
                let _ = stream.set_nodelay(true);
                Bytes::Tcp(stream)
            }
            Self::Unix(listener) => Bytes::Unix(listener.accept().await?.0),
        })
    }
}

impl Connection {
    /// Who is on the other side.
    pub fn caller(&self) -> &Arc<dyn Caller> {
        &self.caller
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl Connected for Connection {
    type ConnectInfo = Arc<dyn Caller>;

    fn connect_info(&self) -> Self::ConnectInfo {
        Arc::clone(&self.caller)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.bytes {
            Bytes::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Bytes::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.bytes {
            Bytes::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Bytes::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.bytes {
            Bytes::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Bytes::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.bytes {
            Bytes::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Bytes::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.bytes {
            Bytes::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Bytes::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests;
