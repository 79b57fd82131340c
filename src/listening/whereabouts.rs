//! Where a socket listens, for whoever chooses among several, and a form of it for other servers.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::listener::{Listener, Origin, Socket};

impl Listener {
    /// The path of the Unix socket that it listens on, if it is one and has a path.
    pub fn unix_path(&self) -> Option<PathBuf> {
        match (&self.origin, &self.socket) {
            (Origin::File(file), _) => Some(file.path.clone()),
            (_, Socket::Unix(socket)) => Some(socket.local_addr().ok()?.as_pathname()?.to_owned()),
            (_, Socket::Tcp(_)) => None,
        }
    }

    /// Whether it listens on this TCP address; port 0 stands for any.
    pub fn serves_tcp(&self, wanted: SocketAddr) -> bool {
        self.tcp_address().is_some_and(|address| {
            address.ip() == wanted.ip() && [0, address.port()].contains(&wanted.port())
        })
    }

    /// Whether a service manager holds it too.
    pub fn is_inherited(&self) -> bool {
        matches!(self.origin, Origin::Inherited { .. })
    }

    /// A second descriptor of a Unix socket for another server than [`incoming`](super::incoming)
    /// feeds. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the system refuses, or it is no Unix socket.
    pub fn to_tokio_unix(&self) -> io::Result<tokio::net::UnixListener> {
        match self.duplicate()? {
            Socket::Unix(socket) => tokio::net::UnixListener::from_std(socket),
            Socket::Tcp(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}
