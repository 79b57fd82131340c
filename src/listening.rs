//! The sockets on which the agent is asked: bound, inherited or handed over by a predecessor.
//!
//! An Envoy whose mount is the socket file itself, and not its directory, cannot find a socket that
//! was unlinked and bound anew. So a listening socket outlives the process where it can: systemd
//! holds it ([`activation`]), or the old process passes it to the new one ([`handover`]). Knows
//! nothing of what is spoken on a connection, and leaves it to a closure to say who is calling.

pub mod activation;
mod address;
pub mod bounded;
pub mod descriptors;
mod error;
pub mod handover;
pub mod incoming;
mod listener;
pub mod notify;
mod socket_file;
mod whereabouts;

pub use address::check_path;
pub use error::ListeningError;
pub use listener::{Listener, SocketAccess};
