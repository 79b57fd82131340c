//! The process that wants the sockets.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::wire::{Link, Message, VERSION};
use super::{ANSWER_WITHIN, HandoverError, is_trusted, meeting_point};
use crate::listening::address::Place;
use crate::listening::listener::{Listener, Origin, Socket};

/// Sockets that were offered and are not ours yet. Dropping it leaves them to the predecessor.
#[derive(Debug)]
pub struct Received {
    link: Link,
    listeners: Vec<Listener>,
    path: PathBuf,
}

/// Asks the process that serves the socket at `path` for its sockets. None where nobody can be
/// asked, so that the path can be bound. When it returns, the predecessor has put down what only
/// one may hold; it waits [`READY_WITHIN`](super::READY_WITHIN) for [`Received::take`].
///
/// # Errors
/// When there is one that refuses, does not answer within `patience`, or is not to be trusted.
pub async fn request(path: &Path, patience: Duration) -> Result<Option<Received>, HandoverError> {
    let Some(link) = reach(path)? else { return Ok(None) };
    let late = |_| HandoverError::Late { awaited: "offer its sockets", within: patience };
    let (message, descriptors) = timeout(patience, async {
        let lost = HandoverError::link("ask the running agent for its sockets");
        link.send(&Message::Request { version: VERSION }, &[]).await.map_err(lost)?;
        let lost = HandoverError::link("receive the running agent's sockets");
        link.receive().await.map_err(lost)
    })
    .await
    .map_err(late)??;
    let origins = match message {
        Message::Offer { sockets } if sockets.len() == descriptors.len() => sockets,
        Message::Refusal { reason } => return Err(HandoverError::Refused { reason }),
        other => return Err(protocol(format!("it answered {other:?}"))),
    };
    let listeners = origins
        .into_iter()
        .zip(descriptors)
        .map(|(origin, descriptor)| listener(descriptor, origin))
        .collect::<Result<_, _>>()?;
    Ok(Some(Received { link, listeners, path: path.to_owned() }))
}

impl Received {
    /// The sockets on offer.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Makes the sockets ours: call it when everything else is ready to serve.
    ///
    /// # Errors
    /// When the predecessor serves on after all, or was stopped and removed its socket.
    pub async fn take(self) -> Result<Vec<Listener>, HandoverError> {
        let Self { link, listeners, path } = self;
        let released = timeout(ANSWER_WITHIN, async {
            link.send(&Message::Taken, &[]).await?;
            link.receive().await
        });
        match released.await {
            Ok(Ok((Message::Released, _))) => return Ok(listeners),
            Ok(Ok((other, _))) => return Err(protocol(format!("it answered {other:?}"))),
            Ok(Err(_)) | Err(_) => {}
        }
        // It may have given up waiting, or have died when it had heard us, or before.
        if reach(&path)?.is_some() {
            return Err(HandoverError::Resumed);
        }
        let lost = listeners.iter().find_map(|listener| match &listener.origin {
            Origin::File(file) if !file.is_there() => Some(file.path.clone()),
            _ => None,
        });
        lost.map_or(Ok(listeners), |path| Err(HandoverError::Gone { path }))
    }
}

/// Connects to where the predecessor waits, if one does.
fn reach(path: &Path) -> Result<Option<Link>, HandoverError> {
    let path = meeting_point(path);
    let failed = HandoverError::link("reach the running agent");
    let place = match Place::open(&path) {
        Ok(place) => place,
        Err(crate::listening::ListeningError::System { source, .. })
            if source.kind() == io::ErrorKind::NotFound =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let address = place.address(&place.name).map_err(&failed)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(|errno| failed(errno.into()))?;
    match net::connect(&socket, &address) {
        Ok(()) => {}
        Err(Errno::NOENT | Errno::CONNREFUSED) => return Ok(None),
        Err(errno) => return Err(failed(errno.into())),
    }
    let stream = std::os::unix::net::UnixStream::from(socket);
    let link = Link::new(UnixStream::from_std(stream).map_err(&failed)?);
    let uid = link.peer().map_err(&failed)?;
    if !is_trusted(uid) {
        return Err(HandoverError::Stranger { path, uid });
    }
    Ok(Some(link))
}

/// A listener of what was passed, if it is one.
fn listener(descriptor: OwnedFd, origin: Origin) -> Result<Listener, HandoverError> {
    let is_listening = sockopt::socket_acceptconn(&descriptor) == Ok(true)
        && sockopt::socket_type(&descriptor) == Ok(SocketType::STREAM);
    let family = sockopt::socket_domain(&descriptor);
    let socket = match family {
        Ok(AddressFamily::UNIX) if is_listening => Socket::Unix(descriptor.into()),
        Ok(AddressFamily::INET | AddressFamily::INET6) if is_listening => {
            Socket::Tcp(descriptor.into())
        }
        _ => return Err(protocol(format!("what it passed as {origin:?} does not listen"))),
    };
    Ok(Listener::new(socket, origin))
}

fn protocol(problem: String) -> HandoverError {
    HandoverError::Protocol { problem }
}
