//! Sockets that a service manager opened for us (sd_listen_fds(3)).

use rustix::net::sockopt;

use super::ListeningError;
use super::listener::{Listener, Origin, Socket};

/// More sockets than any unit has reason to pass.
const MAX_SOCKETS: usize = 64;

/// Takes the sockets that were passed to this process: none where none were. They close on exec,
/// and the variables that spoke of them are removed: call it once, first thing, before there are
/// threads.
///
/// # Errors
/// When something was passed that is not a listening stream socket, or nobody can tell how much.
pub fn inherited() -> Result<Vec<Listener>, ListeningError> {
    let for_us = std::env::var("LISTEN_PID").ok().and_then(|pid| pid.parse().ok());
    let Some(found) = std::env::var("LISTEN_FDS").ok() else { return Ok(Vec::new()) };
    // Children inherit variables that speak of their parent's descriptors.
    if for_us != Some(std::process::id()) {
        return Ok(Vec::new());
    }
    let count = found.parse().ok().filter(|count| *count <= MAX_SOCKETS);
    let count: usize =
        count.ok_or(ListeningError::ActivationCount { found, limit: MAX_SOCKETS })?;
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').filter(|name| !name.is_empty());
    let mut passed = listenfd::ListenFd::from_env();
    (0..count)
        .map(|at| {
            let name = names.next().map_or_else(|| format!("number {at}"), str::to_owned);
            take(&mut passed, at, name)
        })
        .collect()
}

fn take(
    passed: &mut listenfd::ListenFd,
    at: usize,
    name: String,
) -> Result<Listener, ListeningError> {
    let descriptor = at + 3;
    let taken = match passed.take_unix_listener(at) {
        Ok(socket) => Ok(socket.map(Socket::Unix)),
        Err(_) => passed.take_tcp_listener(at).map(|socket| socket.map(Socket::Tcp)),
    };
    let unfit = |source| ListeningError::Activation { name: name.clone(), descriptor, source };
    let socket = taken.map_err(|source| unfit(Some(source)))?.ok_or_else(|| unfit(None))?;
    if let Socket::Tcp(socket) = &socket
        && let Ok(address) = socket.local_addr()
        && !address.ip().is_loopback()
    {
        return Err(ListeningError::NotLoopback { address });
    }
    let listener = Listener::new(socket, Origin::Inherited { name: name.clone() });
    match sockopt::socket_acceptconn(&listener) {
        Ok(true) => Ok(listener),
        Ok(false) => Err(unfit(None)),
        Err(errno) => Err(unfit(Some(errno.into()))),
    }
}

#[cfg(test)]
mod tests;
