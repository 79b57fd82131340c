//! What a connected Envoy costs the agent: two streams, each of whose requests carried 61 KB of
//! node. The service runs in a process of its own, so that nothing else is counted.

#![allow(clippy::unwrap_used, reason = "a test panics")]

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use certctl::boards::{Deliveries, Demand};
use certctl::desired::mesh_file::MeshFile;
use certctl::identity::NodeName;
use certctl::listening::incoming::{Peer, incoming};
use certctl::listening::{Listener, SocketAccess};
use certctl::sds::resource::{Resolution, Resource};
use certctl::sds::service::limits::WINDOW;
use certctl::sds::service::{Resources, Service, serve};
use certctl::sds::wire::SECRET_TYPE;
use certctl::snapshot::{Caller, Publisher, View};
use envoy_types::pb::envoy::config::core::v3::{Extension, Node};
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use envoy_types::pb::google::protobuf::Any;
use futures_util::FutureExt;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

#[allow(dead_code, reason = "one way of waiting is enough here")]
#[path = "support/wait.rs"]
mod wait;

use wait::until;

const CONNECTIONS: usize = 300;

/// How many come before those that are counted.
const WARM_UP: usize = 100;

/// Names the socket to the child.
const SOCKET: &str = "CERTCTL_TEST_SOCKET";

/// The most that one may cost, in bytes, in a build that is not optimised. Most of it is HTTP/2's
/// own: 16 KB to write into, 8 KB to read into, and 4 KB for headers.
const LIMIT: usize = 52 * 1024;

#[test]
fn what_an_envoy_with_two_streams_costs_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("sds.sock");
    let mut service = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_service_for_the_other_test", "--include-ignored"])
        .env(SOCKET, &socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the service", || socket.exists().then_some(()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let each = runtime.block_on(async {
        // What is allocated once, and what the allocator keeps for itself.
        let mut envoys = Vec::new();
        for _ in 0..WARM_UP {
            envoys.push(envoy(&socket).await);
        }
        let before = resident(service.id());
        for _ in 0..CONNECTIONS {
            envoys.push(envoy(&socket).await);
        }
        resident(service.id()).saturating_sub(before) / CONNECTIONS
    });
    service.kill().unwrap();
    service.wait().unwrap();
    println!("an Envoy with two streams: {each} bytes");
    assert!((1000..LIMIT).contains(&each), "{each} bytes for each of {CONNECTIONS} Envoys");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as another test's child"]
async fn the_service_for_the_other_test() {
    let Some(socket) = std::env::var_os(SOCKET) else { return };
    let mesh = b"version: 1\ntrustDomain: example.org\nauthorities: {ca_1: {}}";
    let mesh = MeshFile::read(Path::new("mesh.yaml"), mesh).unwrap().desired;
    let publisher = Publisher::new(Arc::new(mesh));
    let any = Any { type_url: SECRET_TYPE.into(), value: vec![b'x'; 3000] }.encode_to_vec();
    let service = Service {
        snapshot: publisher.snapshot(),
        resources: Arc::new(Everything { any: any.into() }),
        demand: Demand::default(),
        deliveries: Deliveries::default(),
    };
    let listener = Listener::bind_unix(Path::new(&socket), SocketAccess::default()).unwrap();
    // A caller that may have nothing is let in while few of the places are taken by such.
    let limit = 4 * (WARM_UP + CONNECTIONS);
    let attest = Arc::new(|_: Peer<'_>| Arc::new(Anybody) as Arc<dyn Caller>);
    let connections = incoming(&[listener], attest, limit).unwrap();
    // It ends with whoever started it, if it is not ended before.
    let orphaned = tokio::task::spawn_blocking(|| {
        let _ = io::stdin().read(&mut [0]);
    });
    serve(service, connections, orphaned.map(drop)).await;
}

/// Connects, opens two streams, is served on each and says that it took it.
async fn envoy(socket: &Path) -> Envoy {
    let io = UnixStream::connect(socket).await.unwrap();
    let mut envoy = Envoy { io, windows: HashMap::new(), data: 0 };
    let served = async {
        envoy.io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        envoy.frame(4, 0, 0, &[]).await;
        for (stream, name) in [(1, "default"), (3, "ROOTCA")] {
            envoy.frame(1, 4, stream, &headers()).await;
            envoy.request(stream, name, "").await;
            let before = envoy.data;
            while envoy.data < before + 3000 {
                envoy.next().await;
            }
            envoy.request(stream, name, "1").await;
        }
        // A ping that is answered shows that all before it was read.
        envoy.frame(6, 0, 0, &[7; 8]).await;
        while envoy.next().await != (6, 1) {}
    };
    tokio::time::timeout(Duration::from_secs(30), served).await.unwrap();
    envoy
}

/// HTTP/2 by hand (RFC 9113), so that the process that counts has nothing to do with it.
struct Envoy {
    io: UnixStream,
    /// How much may be sent, by stream; 0 is the connection.
    windows: HashMap<u32, usize>,
    /// How much data has come.
    data: usize,
}

impl Envoy {
    /// Sends a request in frames as large as may be.
    async fn request(&mut self, stream: u32, name: &str, nonce: &str) {
        let extensions = vec![Extension { name: "x".repeat(100), ..Default::default() }; 590];
        let request = DiscoveryRequest {
            node: Some(Node { id: "front-1".into(), extensions, ..Default::default() }),
            resource_names: vec![name.into()],
            type_url: SECRET_TYPE.into(),
            response_nonce: nonce.into(),
            ..Default::default()
        }
        .encode_to_vec();
        assert!((60_000..65_000).contains(&request.len()), "{}", request.len());
        let length = u32::try_from(request.len()).unwrap().to_be_bytes();
        let message = [&[0], &length[..], &request].concat();
        let mut rest = &message[..];
        while !rest.is_empty() {
            let room = (*self.window(0)).min(*self.window(stream)).min(16_384);
            let (part, after) = rest.split_at(room.min(rest.len()));
            if part.is_empty() {
                self.next().await;
                continue;
            }
            self.frame(0, 0, stream, part).await;
            *self.window(0) -= part.len();
            *self.window(stream) -= part.len();
            rest = after;
        }
    }

    fn window(&mut self, stream: u32) -> &mut usize {
        self.windows.entry(stream).or_insert(WINDOW as usize)
    }

    /// Reads a frame; its kind and flags.
    async fn next(&mut self) -> (u8, u8) {
        let mut head = [0; 9];
        self.io.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.io.read_exact(&mut payload).await.unwrap();
        match head[3] {
            0 => self.data += payload.len(),
            8 => {
                let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
                let more = u32::from_be_bytes(payload[..].try_into().unwrap());
                *self.window(stream) += more as usize;
            }
            _ => {}
        }
        (head[3], head[4])
    }

    async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.io.write_all(&[&head, payload].concat()).await.unwrap();
    }
}

/// The headers of a stream, as literals (RFC 7541 section 6.2.2).
fn headers() -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let path = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "sds"),
        ("content-type", "application/grpc"),
    ];
    headers.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// The memory that a process has for itself, in bytes (proc_pid_status(5)).
fn resident(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// Has an answer to every name.
#[derive(Debug)]
struct Everything {
    any: bytes::Bytes,
}

impl Resources for Everything {
    fn resolve(&self, name: &str, _: &View, _: &[&str]) -> Resolution {
        Resolution::Ready(Arc::new(Resource {
            name: name.to_owned(),
            version: "v".repeat(64),
            any: self.any.clone(),
            aspects: Vec::new(),
        }))
    }

    fn all(&self, _: &View, _: &[&str]) -> Vec<String> {
        Vec::new()
    }

    fn depends_on(&self, _: &str, _: &View, _: &[&str]) -> Vec<NodeName> {
        Vec::new()
    }
}

#[derive(Debug)]
struct Anybody;

impl Caller for Anybody {
    fn in_words(&self) -> String {
        "uid 1337, pid 42, /usr/local/bin/envoy".to_owned()
    }

    fn view(&self) -> View {
        View::default()
    }
}
