//! One socket that is listened on, wherever it came from.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::ListeningError;
use super::socket_file::{self, SocketFile};

/// Who may call a Unix socket, by the file's permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketAccess {
    /// The permission bits; to connect takes write permission (unix(7)). At most 0o666.
    pub mode: u32,
    /// The file's group by number; that of the process where none is named.
    pub group: Option<u32>,
}

impl Default for SocketAccess {
    /// The owner alone.
    fn default() -> Self {
        Self { mode: 0o600, group: None }
    }
}

impl SocketAccess {
    /// Whether others than its owner may call it.
    pub(super) fn is_shared(self) -> bool {
        self.mode & 0o066 != 0
    }

    pub(super) fn check(self) -> Result<(), ListeningError> {
        let sound = self.mode & !0o666 == 0 && self.mode & 0o600 == 0o600;
        sound.then_some(()).ok_or(ListeningError::Mode { mode: self.mode })
    }
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: Socket,
    pub(super) origin: Origin,
    /// It is another process's now.
    handed_over: AtomicBool,
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Where a socket came from, which says what is to become of it at the end.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Origin {
    /// A service manager holds it too.
    Inherited {
        /// What the manager calls it.
        name: String,
    },
    /// A TCP port, which leaves nothing behind.
    Port(SocketAddr),
    /// A file that we put there.
    File(SocketFile),
}

impl Listener {
    /// Listens on a Unix socket at `path`. Missing directories above it are made, open to all if
    /// the socket is open to others than its owner, whatever the umask. A socket there that nobody
    /// listens on any more is replaced, in one step; anything else is left alone. May block for
    /// five seconds, where another process is just binding there.
    ///
    /// # Errors
    /// When the path is too long for a socket, is in use (the error says by whom), or holds
    /// something other than a socket; when the system refuses.
    pub fn bind_unix(path: &Path, access: SocketAccess) -> Result<Self, ListeningError> {
        let (socket, file) = socket_file::bind(path, access)?;
        Ok(Self::new(Socket::Unix(socket), Origin::File(file)))
    }

    /// Listens on a TCP port of this machine. Nobody is told from anybody there: callers get only
    /// what anybody may have.
    ///
    /// # Errors
    /// When the address is not a loopback address, or the system refuses.
    pub fn bind_tcp(address: SocketAddr) -> Result<Self, ListeningError> {
        if !address.ip().is_loopback() {
            return Err(ListeningError::NotLoopback { address });
        }
        let failed = |source| ListeningError::Tcp { address, source };
        let socket = TcpListener::bind(address).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self::new(Socket::Tcp(socket), Origin::Port(address)))
    }

    pub(super) fn new(socket: Socket, origin: Origin) -> Self {
        Self { socket, origin, handed_over: AtomicBool::new(false) }
    }

    /// Where it listens: `unix:/run/certctl/sds.sock`, `tcp:127.0.0.1:9901`, or what the service
    /// manager calls it.
    pub fn in_words(&self) -> String {
        match &self.origin {
            Origin::File(file) => format!("unix:{}", file.path.display()),
            Origin::Inherited { name } => format!("the inherited socket {name}"),
            Origin::Port(address) => format!("tcp:{address}"),
        }
    }

    /// The TCP address that it listens on, if it is one.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(socket) => socket.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// Ends it for good: a socket file that is still ours is removed. What a service manager or a
    /// successor holds too is left to them. A listener that is merely dropped leaves its file, as a
    /// killed process does. May block as [`bind_unix`](Self::bind_unix) does.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn close(self) -> Result<(), ListeningError> {
        match &self.origin {
            Origin::File(file) if !self.handed_over.load(Ordering::Acquire) => file.remove(),
            _ => Ok(()),
        }
    }

    /// It is another process's from now on.
    pub(super) fn hand_over(&self) {
        self.handed_over.store(true, Ordering::Release);
    }

    /// A second descriptor of the socket, ready for tokio.
    pub(super) fn duplicate(&self) -> io::Result<Socket> {
        Ok(match &self.socket {
            Socket::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                Socket::Tcp(socket.try_clone()?)
            }
            Socket::Unix(socket) => {
                socket.set_nonblocking(true)?;
                Socket::Unix(socket.try_clone()?)
            }
        })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(socket) => socket.as_fd(),
            Socket::Unix(socket) => socket.as_fd(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
