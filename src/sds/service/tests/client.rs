//! Clients that speak as Envoy does.

use std::path::Path;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_client::SecretDiscoveryServiceClient;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::rpc;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use super::support::within;
use crate::sds::wire::SECRET_TYPE;

/// A connection of an Envoy.
pub(super) struct Client(pub(super) SecretDiscoveryServiceClient<Channel>, Channel);

impl Client {
    pub(super) async fn connect(socket: &Path) -> Self {
        let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display())).unwrap();
        let channel = within("a connection", endpoint.connect()).await.unwrap();
        Self(SecretDiscoveryServiceClient::new(channel.clone()), channel)
    }

    /// A state-of-the-world stream that asks for these names.
    pub(super) async fn stream(
        &mut self,
        names: &[&str],
    ) -> Stream<DiscoveryRequest, DiscoveryResponse> {
        let (requests, receiver) = mpsc::channel(16);
        requests.send(ask(names)).await.unwrap();
        let responses = self.0.stream_secrets(ReceiverStream::new(receiver));
        let responses = within("a stream", responses).await.unwrap().into_inner();
        Stream { requests, responses }
    }

    /// A delta stream that asks for these names.
    pub(super) async fn delta(
        &mut self,
        names: &[&str],
    ) -> Stream<DeltaDiscoveryRequest, DeltaDiscoveryResponse> {
        let (requests, receiver) = mpsc::channel(16);
        let request = DeltaDiscoveryRequest {
            node: Some(node()),
            type_url: SECRET_TYPE.into(),
            resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        };
        requests.send(request).await.unwrap();
        let responses = self.0.delta_secrets(ReceiverStream::new(receiver));
        let responses = within("a stream", responses).await.unwrap().into_inner();
        Stream { requests, responses }
    }

    /// How a method ends that is sent something else than a request.
    pub(super) async fn status_of(&mut self, method: &str, message: Wrong) -> Status {
        let path = format!("/envoy.service.secret.v3.{method}").parse().unwrap();
        let mut grpc = tonic::client::Grpc::new(self.1.clone());
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<Wrong, DiscoveryResponse>::default();
        let requests = futures_util::stream::once(std::future::ready(message))
            .chain(futures_util::stream::pending());
        let responses = grpc.streaming(tonic::Request::new(requests), path, codec);
        match within("a stream", responses).await {
            Err(status) => status,
            Ok(responses) => within("its end", responses.into_inner().message()).await.unwrap_err(),
        }
    }
}

/// A message that no request is.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct Wrong {
    /// Where the names are in a request.
    #[prost(uint32, tag = "3")]
    pub(super) names: u32,
}

/// An open stream.
pub(super) struct Stream<Q, R> {
    pub(super) requests: mpsc::Sender<Q>,
    pub(super) responses: Streaming<R>,
}

impl<Q, R> Stream<Q, R> {
    pub(super) async fn send(&self, request: Q) {
        within("room for a request", self.requests.send(request)).await.unwrap();
    }

    pub(super) async fn next(&mut self) -> R {
        within("a response", self.responses.message()).await.unwrap().unwrap()
    }

    /// How the stream ends: none for OK.
    pub(super) async fn end(&mut self) -> Option<Status> {
        match within("the end of a stream", self.responses.message()).await {
            Ok(None) => None,
            Ok(Some(_)) => panic!("a response instead of the end"),
            Err(status) => Some(status),
        }
    }
}

pub(super) fn node() -> Node {
    Node {
        id: "front-1".into(),
        cluster: "front".into(),
        user_agent_name: "envoy".into(),
        ..Default::default()
    }
}

pub(super) fn ask(names: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        node: Some(node()),
        resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
        type_url: SECRET_TYPE.into(),
        ..Default::default()
    }
}

/// Takes a response, asking for these names from now on.
pub(super) fn accept(names: &[&str], response: &DiscoveryResponse) -> DiscoveryRequest {
    DiscoveryRequest {
        version_info: response.version_info.clone(),
        response_nonce: response.nonce.clone(),
        ..ask(names)
    }
}

pub(super) fn reject(names: &[&str], response: &DiscoveryResponse, why: &str) -> DiscoveryRequest {
    let error = rpc::Status { code: 13, message: why.into(), ..Default::default() };
    DiscoveryRequest { error_detail: Some(error), ..accept(names, response) }
}

/// What is in a response.
pub(super) fn content(resources: &[Any]) -> Vec<String> {
    let text = |any: &Any| String::from_utf8(any.value.clone()).unwrap().trim_end().to_owned();
    resources.iter().map(text).collect()
}
