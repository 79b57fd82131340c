//! Server and client, over a real socket.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use tokio::net::UnixListener;
use tokio::sync::oneshot;

use super::client::{Client, ClientError};
use super::*;
use crate::status::{Node, Status};

/// An agent that keeps `front`, and answers as it is told.
#[derive(Default)]
struct Fake {
    stuck: bool,
    asked: Mutex<Vec<Vec<NodeName>>>,
    reloads: AtomicUsize,
}

impl Source for Fake {
    fn status(&self) -> BoxFuture<'_, Option<Status>> {
        let node = Node { name: "front".to_owned(), ..Node::default() };
        let status = Status { nodes: vec![node], ..Status::default() };
        std::future::ready((!self.stuck).then_some(status)).boxed()
    }
}

impl Operations for Fake {
    fn reissue(&self, nodes: Vec<NodeName>) -> BoxFuture<'_, Result<usize, Refusal>> {
        let unknown = nodes.iter().find(|node| node.as_str() != "front");
        let answer = match unknown {
            Some(node) => Err(Refusal { reason: format!("this agent keeps no {node}") }),
            None => Ok(1),
        };
        self.asked.lock().unwrap().push(nodes);
        std::future::ready(answer).boxed()
    }

    fn reload(&self) -> BoxFuture<'_, Result<(), Refusal>> {
        self.reloads.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(())).boxed()
    }
}

/// Serves `fake` while `ask` runs.
async fn with<T>(fake: &Arc<Fake>, ask: impl AsyncFnOnce(Client) -> T) -> T {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let serving = tokio::spawn(server::serve(listener, Arc::clone(fake) as _, ended.map(|_| ())));
    let answer = ask(Client::new(&path)).await;
    end.send(()).unwrap();
    serving.await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn a_status_arrives_as_it_was_sent() {
    let fake = Arc::new(Fake::default());
    let status = with(&fake, async |client| client.status().await).await.unwrap();
    assert_eq!(status.nodes[0].name, "front");
}

#[tokio::test]
async fn what_is_asked_for_reaches_the_agent_and_its_refusal_comes_back() {
    let fake = Arc::new(Fake::default());
    with(&fake, async |client| {
        assert_eq!(client.reissue(&[]).await.unwrap(), Begun { begun: 1 });
        client.reload().await.unwrap();
        for (name, why) in [("blue", "keeps no blue"), ("no such/name", "node name")] {
            let error = client.reissue(&[name.to_owned()]).await.unwrap_err();
            assert!(matches!(error, ClientError::Refused(_)), "{error:?}");
            assert!(error.to_string().contains(why), "{error}");
        }
    })
    .await;
    assert_eq!(fake.reloads.load(Ordering::Relaxed), 1);
    assert_eq!(fake.asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_loop_that_does_not_answer_is_told_apart_from_an_agent_that_is_not_there() {
    let fake = Arc::new(Fake { stuck: true, ..Fake::default() });
    let error = with(&fake, async |client| client.status().await).await.unwrap_err();
    assert!(error.to_string().contains("loop does not answer"), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let error = Client::new(&path).status().await.unwrap_err();
    assert!(matches!(error, ClientError::Absent { .. }), "{error:?}");
    // A socket that speaks something else.
    let listener = UnixListener::bind(&path).unwrap();
    let other = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"\0\0\x0c\x04garbage").await.unwrap();
    });
    let error = Client::new(&path).status().await.unwrap_err();
    assert!(matches!(error, ClientError::Foreign { .. }), "{error:?}");
    other.await.unwrap();
}

#[tokio::test]
async fn whoever_holds_all_connections_is_waited_for() {
    let fake = Arc::new(Fake::default());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (_end, ended) = oneshot::channel::<()>();
    tokio::spawn(server::serve(listener, Arc::clone(&fake) as _, ended.map(|_| ())));
    let mut holding = Vec::new();
    for _ in 0..crate::listening::bounded::MOST {
        holding.push(tokio::net::UnixStream::connect(&path).await.unwrap());
    }
    let client = Client::new(&path);
    let mut asking = std::pin::pin!(client.reload());
    // All that is ready to happen has happened many times over.
    for _ in 0..1_000 {
        assert!(asking.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    assert_eq!(fake.reloads.load(Ordering::Relaxed), 0);
    drop(holding);
    let answered = tokio::time::timeout(std::time::Duration::from_secs(30), asking).await;
    answered.expect("a place is free").unwrap();
    assert_eq!(fake.reloads.load(Ordering::Relaxed), 1);
}
