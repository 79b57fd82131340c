//! The pages, over real sockets.

use std::sync::Mutex;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::*;
use crate::listening::bounded;
use crate::status::{Certificate, Node, NodeState, Status};

struct Fake(Mutex<Option<Status>>);

impl Source for Fake {
    fn status(&self) -> BoxFuture<'_, Option<Status>> {
        std::future::ready(self.0.lock().unwrap().clone()).boxed()
    }
}

/// The answer of `page` to an agent that stands so.
async fn page(page: &str, status: Option<Status>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let source = Arc::new(Fake(Mutex::new(status)));
    let serving = tokio::spawn(serve(listener, source, Arc::default(), ended.map(|_| ())));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {page} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    end.send(()).unwrap();
    serving.await.unwrap().unwrap();
    answer
}

fn with(nodes: impl IntoIterator<Item = (&'static str, NodeState, bool)>) -> Option<Status> {
    let nodes = nodes.into_iter().map(|(name, state, has)| Node {
        name: name.to_owned(),
        state,
        certificate: has.then(Certificate::default),
        ..Node::default()
    });
    Some(Status { nodes: nodes.collect(), ..Status::default() })
}

#[tokio::test]
async fn an_agent_is_ready_when_every_node_has_something_valid_to_show() {
    let nodes = [("front", NodeState::Fresh, true), ("blue", NodeState::Failed, true)];
    let answer = page("/readyz", with(nodes)).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ready\n"), "{answer}");
    let nodes = [("front", NodeState::Expired, true), ("blue", NodeState::Issuing, false)];
    let answer = page("/readyz", with(nodes)).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with("2 without a valid certificate:\nfront\nblue\n"), "{answer}");
}

#[tokio::test]
async fn many_nodes_that_are_not_ready_are_not_all_named() {
    let nodes = (0..30).map(|_| ("front", NodeState::Issuing, false));
    let answer = page("/readyz", with(nodes)).await;
    assert!(answer.ends_with("front\nand 10 more\n"), "{answer}");
}

#[tokio::test]
async fn a_stuck_loop_is_neither_alive_nor_ready() {
    for name in ["/healthz", "/readyz", "/metrics"] {
        assert!(page(name, None).await.starts_with("HTTP/1.1 503 "), "{name}");
        let well = page(name, Some(Status::default())).await;
        assert!(well.starts_with("HTTP/1.1 200 "), "{name}: {well}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_holds_on_to_connections_is_let_go_and_others_have_their_turn() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let source = Arc::new(Fake(Mutex::new(with([]))));
    let serving = tokio::spawn(serve(listener, source, Arc::default(), std::future::pending()));
    let mut held = Vec::new();
    for _ in 0..bounded::MOST {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        held.push(stream);
    }
    let began = tokio::time::Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(began.elapsed() >= bounded::LASTS, "{:?}", began.elapsed());
    serving.abort();
}
