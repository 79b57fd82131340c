//! A server of secrets that does the least: tonic and the generated messages, one text for
//! everybody. What the load client is tried on, and the floor that the benchmark measures beside.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use envoy_types::pb::envoy::config::core::v3::{DataSource, data_source::Specifier};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_server::{
    SecretDiscoveryService, SecretDiscoveryServiceServer,
};
use envoy_types::pb::google::protobuf::Any;
use prost::Message;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use super::sds_client::SECRET;

/// As long as the key and chain of a P-256 leaf under a root.
const LENGTH: usize = 1_800;

/// What everybody is told of; its version is what is sent over the watch.
#[derive(Clone)]
pub struct Stub {
    version: watch::Receiver<u64>,
    answered: Arc<Answered>,
}

/// How the requests that followed a response were meant.
#[derive(Debug, Default)]
pub struct Answered {
    /// As acknowledgements.
    pub accepted: AtomicUsize,
    /// As refusals.
    pub rejected: AtomicUsize,
}

impl Stub {
    /// One that sends each version of the watch to everybody.
    pub fn new(version: watch::Receiver<u64>) -> (Self, Arc<Answered>) {
        let answered = Arc::new(Answered::default());
        (Self { version, answered: answered.clone() }, answered)
    }

    /// Serves on a Unix socket until it is dropped.
    pub async fn serve(self, socket: &Path) {
        let listener = UnixListener::bind(socket).expect("a free path");
        Server::builder()
            .add_service(SecretDiscoveryServiceServer::new(self))
            .serve_with_incoming(UnixListenerStream::new(listener))
            .await
            .expect("it serves");
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl SecretDiscoveryService for Stub {
    type DeltaSecretsStream = Answers<DeltaDiscoveryResponse>;
    type StreamSecretsStream = Answers<DiscoveryResponse>;

    async fn delta_secrets(
        &self,
        _: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaSecretsStream>, Status> {
        Err(Status::unimplemented("state of the world alone"))
    }

    async fn stream_secrets(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamSecretsStream>, Status> {
        let (sender, answers) = mpsc::channel(1);
        let Self { mut version, answered } = self.clone();
        let mut requests = request.into_inner();
        tokio::spawn(async move {
            let Some(Ok(first)) = requests.next().await else { return };
            let mut next = *version.borrow_and_update();
            loop {
                if sender.send(Ok(response(&first.resource_names, next))).await.is_err() {
                    return;
                }
                loop {
                    tokio::select! {
                        changed = version.changed() => {
                            if changed.is_err() { return }
                            next = *version.borrow_and_update();
                            break;
                        }
                        request = requests.next() => {
                            let Some(Ok(request)) = request else { return };
                            let counter = match request.error_detail {
                                Some(_) => &answered.rejected,
                                None => &answered.accepted,
                            };
                            counter.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn fetch_secrets(
        &self,
        _: Request<DiscoveryRequest>,
    ) -> Result<Response<DiscoveryResponse>, Status> {
        Err(Status::unimplemented("streams alone"))
    }
}

fn response(names: &[String], version: u64) -> DiscoveryResponse {
    let resources = names.iter().map(|name| {
        let text = |what: &str| DataSource {
            specifier: Some(Specifier::InlineString(format!("{what} {version:>LENGTH$}"))),
            ..DataSource::default()
        };
        let secret = tls::Secret {
            name: name.clone(),
            r#type: Some(tls::secret::Type::TlsCertificate(tls::TlsCertificate {
                certificate_chain: Some(text("chain")),
                ..tls::TlsCertificate::default()
            })),
        };
        Any { type_url: SECRET.to_owned(), value: secret.encode_to_vec() }
    });
    DiscoveryResponse {
        version_info: version.to_string(),
        resources: resources.collect(),
        type_url: SECRET.to_owned(),
        nonce: format!("nonce-{version}"),
        ..DiscoveryResponse::default()
    }
}
