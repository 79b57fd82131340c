//! A server of secrets that says what a test tells it to, and shows what it is asked: how an Envoy
//! behaves is seen by what it answers.

use std::path::Path;
use std::pin::Pin;
use std::sync::mpsc::{self, Receiver, Sender};

use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource,
};
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_server::{
    SecretDiscoveryService, SecretDiscoveryServiceServer,
};
use envoy_types::pb::google::protobuf::Any;
use prost::Message;
use tokio::net::UnixListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::{UnboundedReceiverStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use super::sds_client::SECRET;
use super::wait::DEADLINE;

/// A stream in state of the world.
pub type World = Talk<DiscoveryRequest, DiscoveryResponse>;
/// A stream in delta.
pub type Delta = Talk<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

/// The server. Dropping it ends it and its streams.
pub struct Script {
    worlds: Receiver<World>,
    deltas: Receiver<Delta>,
    /// Streams that asked for another name than the one that was looked for.
    passed_over: Vec<(World, DiscoveryRequest)>,
    _runtime: tokio::runtime::Runtime,
}

/// One stream, as its server has it. Dropping it ends the stream with OK.
pub struct Talk<Q, A> {
    requests: Receiver<Q>,
    answers: UnboundedSender<Result<A, Status>>,
}

impl Script {
    /// Listens on a Unix socket.
    pub fn start(socket: &Path) -> Self {
        Self::with_streams(socket, None)
    }

    /// The same with so many streams for each connection at most.
    pub fn with_streams(socket: &Path, most: Option<u32>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (world, worlds) = mpsc::channel();
        let (delta, deltas) = mpsc::channel();
        let _entered = runtime.enter();
        let listener = UnixListener::bind(socket).expect("a free path");
        let mut server = Server::builder().max_concurrent_streams(most);
        let serving = server
            .add_service(SecretDiscoveryServiceServer::new(Opened { world, delta }))
            .serve_with_incoming(UnixListenerStream::new(listener));
        runtime.spawn(async move { serving.await.expect("it serves") });
        Self { worlds, deltas, passed_over: Vec::new(), _runtime: runtime }
    }

    /// The next stream in state of the world that asks for this name, and its first request.
    pub fn asks_for(&mut self, name: &str) -> (World, DiscoveryRequest) {
        let wanted = |request: &DiscoveryRequest| request.resource_names == [name];
        if let Some(at) = self.passed_over.iter().position(|(_, request)| wanted(request)) {
            return self.passed_over.remove(at);
        }
        loop {
            let talk = self.worlds.recv_timeout(DEADLINE);
            let talk = talk.unwrap_or_else(|_| panic!("nobody asks for {name}"));
            let request = talk.next();
            if wanted(&request) {
                return (talk, request);
            }
            self.passed_over.push((talk, request));
        }
    }

    /// The next stream in delta, and its first request.
    pub fn delta(&self) -> (Delta, DeltaDiscoveryRequest) {
        let talk = self.deltas.recv_timeout(DEADLINE).expect("somebody asks in delta");
        let request = talk.next();
        (talk, request)
    }
}

impl<Q, A> Talk<Q, A> {
    /// What comes next.
    pub fn next(&self) -> Q {
        self.requests.recv_timeout(DEADLINE).expect("another request")
    }

    /// Whether something has come that was not looked at.
    pub fn has_more(&self) -> bool {
        self.requests.try_recv().is_ok()
    }

    /// Sends this, and waits for nothing.
    pub fn say(&self, answer: A) {
        self.answers.send(Ok(answer)).expect("an open stream");
    }

    /// Ends the stream so.
    pub fn end(self, status: Status) {
        self.answers.send(Err(status)).expect("an open stream");
    }
}

impl World {
    /// Sends this, and returns the request that answers it.
    pub fn tell(&self, version: &str, secrets: Vec<tls::Secret>) -> DiscoveryRequest {
        self.say(world(version, secrets));
        let answer = self.next();
        assert_eq!(answer.response_nonce, format!("nonce-{version}"));
        answer
    }
}

/// A response, with a nonce that is made of its version.
pub fn world(version: &str, secrets: Vec<tls::Secret>) -> DiscoveryResponse {
    DiscoveryResponse {
        version_info: version.to_owned(),
        resources: secrets.iter().map(any).collect(),
        type_url: SECRET.to_owned(),
        nonce: format!("nonce-{version}"),
        ..DiscoveryResponse::default()
    }
}

/// A response with this secret under this name, or with its removal.
pub fn delta(version: &str, name: &str, secret: Option<&tls::Secret>) -> DeltaDiscoveryResponse {
    let resource = |secret| Resource {
        name: name.to_owned(),
        version: version.to_owned(),
        resource: Some(any(secret)),
        ..Resource::default()
    };
    DeltaDiscoveryResponse {
        resources: secret.map(resource).into_iter().collect(),
        removed_resources: secret.is_none().then(|| name.to_owned()).into_iter().collect(),
        type_url: SECRET.to_owned(),
        nonce: format!("nonce-{version}"),
        ..DeltaDiscoveryResponse::default()
    }
}

fn any(secret: &tls::Secret) -> Any {
    Any { type_url: SECRET.to_owned(), value: secret.encode_to_vec() }
}

/// Gives every stream to the test.
struct Opened {
    world: Sender<World>,
    delta: Sender<Delta>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn talk<Q: Send + 'static, A: Send + 'static>(
    requests: Request<Streaming<Q>>,
    opened: &Sender<Talk<Q, A>>,
) -> Result<Response<Answers<A>>, Status> {
    let (asked, asking) = mpsc::channel();
    let (answers, answering) = unbounded_channel();
    let mut requests = requests.into_inner();
    tokio::spawn(async move {
        while let Some(Ok(request)) = requests.next().await {
            if asked.send(request).is_err() {
                return;
            }
        }
    });
    let talk = Talk { requests: asking, answers };
    opened.send(talk).map_err(|_| Status::unavailable("the test is over"))?;
    Ok(Response::new(Box::pin(UnboundedReceiverStream::new(answering))))
}

#[tonic::async_trait]
impl SecretDiscoveryService for Opened {
    type DeltaSecretsStream = Answers<DeltaDiscoveryResponse>;
    type StreamSecretsStream = Answers<DiscoveryResponse>;

    async fn delta_secrets(
        &self,
        requests: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaSecretsStream>, Status> {
        talk(requests, &self.delta)
    }

    async fn stream_secrets(
        &self,
        requests: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamSecretsStream>, Status> {
        talk(requests, &self.world)
    }

    async fn fetch_secrets(
        &self,
        _: Request<DiscoveryRequest>,
    ) -> Result<Response<DiscoveryResponse>, Status> {
        Err(Status::unimplemented("streams alone"))
    }
}
