//! The process that has the sockets.

use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::time::timeout;

use super::wire::{Link, Message, VERSION};
use super::{ANSWER_WITHIN, READY_WITHIN, is_trusted, meeting_point};
use crate::listening::listener::Listener;
use crate::listening::socket_file::{self, SocketFile};
use crate::listening::{ListeningError, SocketAccess};

/// How long to wait after a failed accept.
const PAUSE: Duration = Duration::from_secs(1);

/// What only one of two processes may hold: the loop, and the lock on the state.
pub trait Holder {
    /// Puts it down, for a successor to take up. Serving goes on.
    ///
    /// # Errors
    /// The reason, in words, why that cannot be; then nothing was put down.
    fn prepare(&mut self) -> impl Future<Output = Result<(), String>> + Send;

    /// Takes it up again: there was no successor after all. The state may be held by it for a
    /// moment yet.
    fn resume(&mut self) -> impl Future<Output = ()> + Send;
}

/// Waits for a successor. Its socket goes when it is dropped.
#[derive(Debug)]
pub struct HandoverServer {
    listener: UnixListener,
    file: SocketFile,
}

impl HandoverServer {
    /// Waits beside the socket at `path`. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When somebody else waits there, or the system refuses.
    pub fn bind(path: &Path) -> Result<Self, ListeningError> {
        let path = meeting_point(path);
        let (listener, file) = socket_file::bind_anywhere(&path, SocketAccess::default())?;
        let listener = listener
            .set_nonblocking(true)
            .and_then(|()| UnixListener::from_std(listener))
            .map_err(|source| ListeningError::System { operation: "wait at", path, source })?;
        Ok(Self { listener, file })
    }

    /// Waits until `listeners` are a successor's; from then on closing them leaves their files
    /// where they are, and this process should end. Whatever goes wrong before is logged, and the
    /// waiting goes on.
    pub async fn serve(self, listeners: &[Listener], holder: &mut impl Holder) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let link = Link::new(stream);
                    match attempt(&link, listeners, holder).await {
                        Ok(true) => return self.release(&link).await,
                        Ok(false) => {}
                        Err(error) => {
                            tracing::warn!(%error, "a hand-over came to nothing; serving on");
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot be asked to hand over; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Makes room for the successor's own waiting before telling it that all is its own.
    async fn release(self, link: &Link) {
        drop(self);
        let told = timeout(ANSWER_WITHIN, link.send(&Message::Released, &[])).await;
        if !matches!(told, Ok(Ok(()))) {
            tracing::warn!("the successor could not be told that the sockets are its own");
        }
    }
}

impl Drop for HandoverServer {
    fn drop(&mut self) {
        if let Err(error) = self.file.remove() {
            tracing::warn!(%error, "the socket for handing over stays behind");
        }
    }
}

/// Whether the sockets are the successor's now.
async fn attempt(
    link: &Link,
    listeners: &[Listener],
    holder: &mut impl Holder,
) -> io::Result<bool> {
    let said = answer(link).await;
    let uid = link.peer()?;
    if !is_trusted(uid) {
        tracing::warn!(uid, "somebody who may not asked for the sockets");
        return refuse(link, "only this process's own user and root may replace it").await;
    }
    let version = match said? {
        Message::Request { version } => version,
        other => return Err(io::Error::other(format!("{other:?} where a request belongs"))),
    };
    if version != VERSION {
        let reason = format!("it speaks version {VERSION} of the hand-over, not {version}");
        return refuse(link, &reason).await;
    }
    if let Err(reason) = holder.prepare().await {
        tracing::warn!(reason, "a successor was refused");
        return refuse(link, &reason).await;
    }
    let taken = offer(link, listeners).await;
    match &taken {
        Ok(()) => listeners.iter().for_each(Listener::hand_over),
        Err(_) => holder.resume().await,
    }
    taken.map(|()| true)
}

/// Sends the sockets and waits until the successor says that it has them.
async fn offer(link: &Link, listeners: &[Listener]) -> io::Result<()> {
    let sockets = listeners.iter().map(|listener| listener.origin.clone()).collect();
    let descriptors: Vec<_> = listeners.iter().map(AsFd::as_fd).collect();
    timeout(ANSWER_WITHIN, link.send(&Message::Offer { sockets }, &descriptors)).await??;
    match timeout(READY_WITHIN, link.receive()).await?? {
        (Message::Taken, _) => Ok(()),
        (other, _) => Err(io::Error::other(format!("{other:?} from the successor"))),
    }
}

async fn refuse(link: &Link, reason: &str) -> io::Result<bool> {
    let refusal = Message::Refusal { reason: reason.to_owned() };
    timeout(ANSWER_WITHIN, link.send(&refusal, &[])).await??;
    Ok(false)
}

async fn answer(link: &Link) -> io::Result<Message> {
    Ok(timeout(ANSWER_WITHIN, link.receive()).await??.0)
}
