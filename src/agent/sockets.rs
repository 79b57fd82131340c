//! The sockets that SDS is served on: handed over, inherited, or bound here.

use super::{AgentError, Options};
use crate::listening::{Listener, SocketAccess};

/// Sockets that were bound for an agent that is still to start; closed when it does not.
pub(super) struct Bound(Vec<Listener>);

impl Bound {
    /// Binds what these options ask for and `there` does not have.
    pub(super) async fn missing(
        options: &Options,
        there: &[&Listener],
    ) -> Result<Self, AgentError> {
        let mut bound = Self(Vec::new());
        if let Some(path) = &options.sds
            && !there.iter().any(|listener| listener.unix_path().as_ref() == Some(path))
        {
            let access = SocketAccess { mode: options.sds_mode, group: None };
            let path = path.clone();
            bound.0.push(apart(move || Listener::bind_unix(&path, access)).await??);
        }
        if let Some(address) = options.sds_tcp
            && !there.iter().any(|listener| listener.serves_tcp(address))
        {
            bound.0.push(Listener::bind_tcp(address)?);
        }
        Ok(bound)
    }

    pub(super) fn listeners(&self) -> &[Listener] {
        &self.0
    }

    /// The agent has started, and closes them itself.
    pub(super) fn keep(mut self) -> Vec<Listener> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        close(std::mem::take(&mut self.0));
    }
}

/// Of `listeners` those that these options ask for, and all that a service manager holds. The
/// others, which a predecessor served on, are closed.
pub(super) async fn wanted(options: &Options, listeners: Vec<Listener>) -> Vec<Listener> {
    let (wanted, others) = listeners.into_iter().partition(|listener: &Listener| {
        let path = listener.unix_path();
        listener.is_inherited()
            || (path.is_some() && path == options.sds)
            || options.sds_tcp.is_some_and(|address| listener.serves_tcp(address))
    });
    // Whatever becomes of them, this agent goes on.
    let _ = apart(|| close(others)).await;
    wanted
}

/// Does something with a socket's file, for which another process may have to be waited for: nobody
/// else waits meanwhile.
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AgentError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| AgentError::System {
        operation: "see to a socket's file",
        source: error.into(),
    })
}

/// Closes sockets for good.
pub(super) fn close(listeners: Vec<Listener>) {
    for listener in listeners {
        let name = listener.in_words();
        if let Err(error) = listener.close() {
            tracing::warn!("{name} stays behind: {error}");
        }
    }
}
