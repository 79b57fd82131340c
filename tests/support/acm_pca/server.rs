//! The port: listening, refusing, and listening again on the same one.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};

use super::control;
use super::wire::{self, NoAnswer, Shared};

/// Who answers on a port.
#[derive(Clone)]
pub enum Service {
    /// The service that is faked.
    Wire,
    /// Commands to the fake.
    Control(Arc<Server>),
}

/// The service on its port, and what it needs to go away and come back.
pub struct Server {
    pub shared: Shared,
    runtime: Handle,
    port: Mutex<Port>,
}

impl Server {
    /// Listens on a port of loopback; any for 0.
    pub fn start(runtime: Handle, shared: Shared, port: u16) -> io::Result<Self> {
        let mut port = Port::reserve(&runtime, port, Service::Wire)?;
        port.listen(&runtime, &shared)?;
        Ok(Self { shared, runtime, port: Mutex::new(port) })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.port().address
    }

    /// Refuses connections, and has closed those that there were.
    pub fn stop(&self) {
        self.port().stop();
    }

    /// Listens again.
    pub fn restart(&self) -> io::Result<()> {
        self.port().listen(&self.runtime, &self.shared)
    }

    fn port(&self) -> MutexGuard<'_, Port> {
        self.port.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A port on loopback that stays ours whether or not anybody listens.
pub struct Port {
    address: SocketAddr,
    /// Bound, never listening: while it lives nobody else gets the port, and who connects while
    /// nobody listens is refused.
    _reserved: TcpSocket,
    service: Service,
    listening: Option<Listening>,
}

struct Listening {
    task: JoinHandle<()>,
    /// Ends when the listener and its connections are gone.
    gone: mpsc::Receiver<Infallible>,
}

impl Port {
    /// Reserves a port; any for 0.
    pub fn reserve(runtime: &Handle, port: u16, service: Service) -> io::Result<Self> {
        let _entered = runtime.enter();
        let reserved = socket()?;
        reserved.bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
        let address = reserved.local_addr()?;
        Ok(Self { address, _reserved: reserved, service, listening: None })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens, unless it does.
    pub fn listen(&mut self, runtime: &Handle, shared: &Shared) -> io::Result<()> {
        if self.listening.is_some() {
            return Ok(());
        }
        let _entered = runtime.enter();
        let socket = socket()?;
        socket.bind(self.address)?;
        let listener = socket.listen(1024)?;
        let (alive, gone) = mpsc::channel();
        let serving = serve(listener, self.service.clone(), shared.clone(), alive);
        self.listening = Some(Listening { task: runtime.spawn(serving), gone });
        Ok(())
    }

    fn stop(&mut self) {
        if let Some(Listening { task, gone }) = self.listening.take() {
            task.abort();
            // Nothing is ever sent: it fails when the last sender is gone.
            let _ = gone.recv();
        }
    }
}

fn socket() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    Ok(socket)
}

async fn serve(
    listener: TcpListener,
    service: Service,
    shared: Shared,
    alive: mpsc::Sender<Infallible>,
) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let (service, shared, alive) = (service.clone(), shared.clone(), alive.clone());
        connections.spawn(async move {
            let _alive = alive;
            let answer = service_fn(|request| answer(service.clone(), shared.clone(), request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            // Fails when the caller goes away, and when there is to be no answer.
            let _ = connection.await;
        });
    }
}

async fn answer(
    service: Service,
    shared: Shared,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, NoAnswer> {
    match service {
        Service::Wire => wire::answer(shared, request).await,
        Service::Control(server) => control::answer(server, request).await,
    }
}
