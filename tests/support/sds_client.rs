//! A client of the Secret Discovery Service that behaves as Envoy does on the wire, and is light
//! enough that one process can be five thousand of them.
//!
//! What it imitates is measured (Envoy 1.40): one stream for each secret, the node with all its
//! extensions in every request, an acknowledgement of each response with its version and nonce. It
//! speaks HTTP/2 through `h2` itself, without a gRPC library, and encodes what all of them send
//! alike once.

use std::io;
use std::path::Path;
use std::sync::OnceLock;

use bytes::{BufMut, Bytes, BytesMut};
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::google::rpc::Status;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tonic::codegen::http::{Method, Request};

/// The type of all that is asked for here.
pub const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
const STREAM: &str = "http://sds/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";
/// The node's number in a `DiscoveryRequest`.
const NODE_TAG: u32 = 2;
/// How much of the node an Envoy's extensions are.
const EXTENSIONS: usize = 61_000;

/// Who an Envoy says that it is, in every request.
#[derive(Clone, Debug)]
pub struct Node {
    own: Bytes,
    extensions: Bytes,
}

impl Node {
    /// One as Envoy sends it, with the extensions that it is built with: 61 kB.
    pub fn whole(id: &str) -> Self {
        Self { extensions: extensions(), ..Self::bare(id) }
    }

    /// One that says its name and version alone.
    pub fn bare(id: &str) -> Self {
        let node = core::Node {
            id: id.to_owned(),
            cluster: "certctl-tests".to_owned(),
            user_agent_name: "envoy".to_owned(),
            user_agent_version_type: Some(core::node::UserAgentVersionType::UserAgentVersion(
                "1.40.0".to_owned(),
            )),
            ..core::Node::default()
        };
        Self { own: node.encode_to_vec().into(), extensions: Bytes::new() }
    }
}

/// A connection to a server of secrets. Dropping it, and its streams, closes it.
pub struct Connection {
    requests: SendRequest<Bytes>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Connects to a Unix socket.
    pub async fn open(socket: &Path) -> io::Result<Self> {
        let socket = UnixStream::connect(socket).await?;
        let (requests, connection) =
            h2::client::handshake(socket).await.map_err(io::Error::other)?;
        // Whoever waits for an answer is told of the end.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { requests, driver })
    }

    /// Begins a stream that asks for these names as `node`; `version` is the last one accepted
    /// before a reconnect, and empty the first time.
    pub async fn subscribe(
        &self,
        node: &Node,
        names: &[&str],
        version: &str,
    ) -> io::Result<Stream> {
        let mut requests = self.requests.clone().ready().await.map_err(io::Error::other)?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(STREAM)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .map_err(io::Error::other)?;
        let (answers, requests) =
            requests.send_request(request, false).map_err(io::Error::other)?;
        let mut stream = Stream {
            requests,
            answers: Answers::Awaited(answers),
            received: BytesMut::new(),
            node: node.clone(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            accepted: version.to_owned(),
            nonce: String::new(),
        };
        stream.request(None)?;
        Ok(stream)
    }
}

/// A state-of-the-world stream.
pub struct Stream {
    requests: SendStream<Bytes>,
    answers: Answers,
    received: BytesMut,
    node: Node,
    names: Vec<String>,
    accepted: String,
    nonce: String,
}

enum Answers {
    Awaited(ResponseFuture),
    Open(RecvStream),
}

impl Stream {
    /// The next response; none when the server has ended the stream, or is gone.
    pub async fn next(&mut self) -> Option<Response> {
        if let Answers::Awaited(answer) = &mut self.answers {
            let answer = answer.await.ok()?;
            self.answers = Answers::Open(answer.into_body());
        }
        let Answers::Open(body) = &mut self.answers else { return None };
        loop {
            if let Some(message) = message(&mut self.received) {
                return Some(Response(DiscoveryResponse::decode(message).expect("a response")));
            }
            let data = body.data().await?.ok()?;
            let _ = body.flow_control().release_capacity(data.len());
            self.received.extend_from_slice(&data);
        }
    }

    /// Says that a response is in use.
    pub fn accept(&mut self, response: &Response) -> io::Result<()> {
        self.accepted.clone_from(&response.0.version_info);
        self.nonce.clone_from(&response.0.nonce);
        self.request(None)
    }

    /// Says that a response is not taken, and why.
    pub fn reject(&mut self, response: &Response, why: &str) -> io::Result<()> {
        self.nonce.clone_from(&response.0.nonce);
        self.request(Some(why))
    }

    /// Asks for other names on the same stream.
    pub fn ask_for(&mut self, names: &[&str]) -> io::Result<()> {
        self.names = names.iter().map(|name| (*name).to_owned()).collect();
        self.request(None)
    }

    /// The version that was accepted last; empty before the first.
    pub fn accepted(&self) -> &str {
        &self.accepted
    }

    fn request(&mut self, refusal: Option<&str>) -> io::Result<()> {
        let names = self.names.clone();
        for piece in request(&self.node, names, &self.accepted, &self.nonce, refusal) {
            self.requests.send_data(piece, false).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// A request as gRPC frames it, in two pieces: the second is shared by all.
pub fn request(
    node: &Node,
    names: Vec<String>,
    accepted: &str,
    nonce: &str,
    refusal: Option<&str>,
) -> [Bytes; 2] {
    let request = DiscoveryRequest {
        version_info: accepted.to_owned(),
        node: None,
        resource_names: names,
        type_url: SECRET.to_owned(),
        response_nonce: nonce.to_owned(),
        error_detail: refusal.map(|why| Status {
            code: 13,
            message: why.to_owned(),
            details: Vec::new(),
        }),
        ..DiscoveryRequest::default()
    };
    let Node { own, extensions } = node;
    // The node comes last, and of it what all Envoys share: nothing of that is copied.
    let mut head = request.encode_to_vec();
    encode_key(NODE_TAG, WireType::LengthDelimited, &mut head);
    encode_varint((own.len() + extensions.len()) as u64, &mut head);
    let mut framed = BytesMut::with_capacity(5 + head.len() + own.len());
    framed.put_u8(0);
    framed.put_u32((head.len() + own.len() + extensions.len()) as u32);
    framed.extend_from_slice(&head);
    framed.extend_from_slice(own);
    [framed.freeze(), extensions.clone()]
}

/// What a server of secrets answered.
#[derive(Clone, Debug)]
pub struct Response(pub DiscoveryResponse);

impl Response {
    /// The version of what is in it.
    pub fn version(&self) -> &str {
        &self.0.version_info
    }

    /// What is in it.
    pub fn secrets(&self) -> Vec<tls::Secret> {
        let any = self.0.resources.iter();
        any.map(|any| tls::Secret::decode(&any.value[..]).expect("a secret")).collect()
    }

    /// The chain of the TLS certificate in it, in PEM.
    pub fn chain(&self) -> Option<String> {
        self.secrets().iter().find_map(|secret| match &secret.r#type {
            Some(tls::secret::Type::TlsCertificate(certificate)) => {
                text(certificate.certificate_chain.as_ref())
            }
            _ => None,
        })
    }

    /// The key of the TLS certificate in it, in PEM.
    pub fn key(&self) -> Option<String> {
        self.secrets().iter().find_map(|secret| match &secret.r#type {
            Some(tls::secret::Type::TlsCertificate(certificate)) => {
                text(certificate.private_key.as_ref())
            }
            _ => None,
        })
    }

    /// The roots of the validation context in it, in PEM.
    pub fn roots(&self) -> Option<String> {
        self.secrets().iter().find_map(|secret| match &secret.r#type {
            Some(tls::secret::Type::ValidationContext(context)) => {
                text(context.trusted_ca.as_ref())
            }
            _ => None,
        })
    }
}

fn text(source: Option<&core::DataSource>) -> Option<String> {
    use core::data_source::Specifier::{InlineBytes, InlineString};
    match source?.specifier.as_ref()? {
        InlineBytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        InlineString(text) => Some(text.clone()),
        _ => None,
    }
}

/// Takes a whole gRPC message from the front of what has come, where there is one.
fn message(received: &mut BytesMut) -> Option<BytesMut> {
    let length = received.get(1..5)?.try_into().map(u32::from_be_bytes).ok()? as usize;
    (received.len() >= 5 + length).then(|| {
        let mut message = received.split_to(5 + length);
        message.split_off(5)
    })
}

/// The encoded extensions of an Envoy, as many and as long as the real ones.
fn extensions() -> Bytes {
    static ENCODED: OnceLock<Bytes> = OnceLock::new();
    let encoded = ENCODED.get_or_init(|| {
        let kinds = ["filters.http", "filters.network", "clusters", "access_loggers", "matching"];
        let mut node = core::Node::default();
        for (number, kind) in (0..).zip(kinds.iter().cycle()) {
            if node.encoded_len() >= EXTENSIONS {
                break;
            }
            node.extensions.push(core::Extension {
                name: format!("envoy.{kind}.extension_{number}"),
                category: format!("envoy.{kind}"),
                type_urls: vec![format!("envoy.extensions.{kind}.extension_{number}.v3.Config")],
                ..core::Extension::default()
            });
        }
        node.encode_to_vec().into()
    });
    encoded.clone()
}
