//! What can go wrong before a socket listens.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use super::address::MAX_PATH;

/// Why there is no socket to listen on.
#[derive(Debug, Error)]
pub enum ListeningError {
    /// Something other than sockets was passed, or sockets that nobody can call.
    #[error(
        "socket activation passed {name} as descriptor {descriptor}, which is not a listening \
         stream socket: give the .socket unit ListenStream= alone, and Accept=no"
    )]
    Activation {
        /// What the unit calls it, or its number.
        name: String,
        /// Its number in this process.
        descriptor: usize,
        /// What the system said, if it was the system.
        #[source]
        source: Option<io::Error>,
    },
    /// `LISTEN_FDS` is no number, or more than anybody means.
    #[error("LISTEN_FDS is {found:?}: expected a number of descriptors, at most {limit}")]
    ActivationCount {
        /// The variable as it stands.
        found: String,
        /// How many are taken.
        limit: usize,
    },
    /// Somebody is listening there.
    #[error(
        "{} is in use by {by}: stop it, choose another path, or take its place with --replace",
        path.display()
    )]
    InUse {
        /// The socket's path.
        path: PathBuf,
        /// Who listens, in words.
        by: String,
    },
    /// Somebody is about to bind or remove a socket there, and does not get on.
    #[error(
        "{} has been locked for five seconds, so somebody is starting or ending there who does not \
         get on: end that process, then start again",
        path.display()
    )]
    Locked {
        /// The lock's path.
        path: PathBuf,
    },
    /// Permission bits that a socket cannot use or that lock out its owner.
    #[error(
        "mode {mode:04o} is not one for a socket: give the owner read and write (0600), and others \
         at most the same (0660, 0666)"
    )]
    Mode {
        /// The permission bits asked for.
        mode: u32,
    },
    /// What lies at the path is none of ours to remove.
    #[error("{} is there and is not a socket: remove it or choose another path", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// An address that other machines can reach.
    #[error(
        "{address} can be reached from other machines, and TCP says nothing about who is calling: \
         listen on 127.0.0.1 or [::1], or on a Unix socket"
    )]
    NotLoopback {
        /// The address asked for.
        address: SocketAddr,
    },
    /// A path longer than a socket's address can hold (unix(7), `sun_path`).
    #[error(
        "{} is {length} bytes long; a socket's path has at most {MAX_PATH}: choose a shorter one",
        path.display()
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// A path that does not name a file.
    #[error("{path:?} is not a path for a socket: name a file in a directory")]
    PathUnfit {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {operation} {}", path.display())]
    System {
        /// What was being done, as a verb.
        operation: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The system refused a TCP address.
    #[error("cannot listen on {address}")]
    Tcp {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A socket is there and nobody can tell whether it is alive.
    #[error(
        "{} is a socket that cannot be called, so nobody can tell whether it is in use: remove it \
         or choose another path",
        path.display()
    )]
    Unclear {
        /// The socket's path.
        path: PathBuf,
        /// Why it cannot be called.
        source: io::Error,
    },
}
