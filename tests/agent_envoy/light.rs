//! The light client does on the wire what it is said to do: what the tests and the benchmark
//! conclude from it stands on that.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use crate::support::sds_client::{Connection, Node};
use crate::support::sds_fleet::{Fleet, Manners, Member};
use crate::support::sds_stub::Stub;

fn members(count: usize) -> Vec<Member> {
    let names = || vec!["default".to_owned(), "ROOTCA".to_owned()];
    (0..count).map(|number| Member { id: format!("envoy-{number}"), names: names() }).collect()
}

async fn connect(socket: &Path) -> Connection {
    loop {
        match Connection::open(socket).await {
            Ok(connection) => return connection,
            // The stub has not come so far yet.
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

#[tokio::test]
async fn a_light_envoy_acknowledges_and_refuses_as_envoy_does() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("sds.sock");
    let (version, watched) = watch::channel(7);
    let (stub, answered) = Stub::new(watched);
    let path = socket.clone();
    let server = tokio::spawn(async move { stub.serve(&path).await });
    let connection = connect(&socket).await;
    let mut stream = connection.subscribe(&Node::whole("one"), &["default"], "").await.unwrap();
    let first = stream.next().await.unwrap();
    assert_eq!(first.version(), "7");
    assert_eq!(first.secrets()[0].name, "default");
    assert!(first.chain().unwrap().starts_with("chain "));
    stream.accept(&first).unwrap();
    version.send_replace(8);
    let second = stream.next().await.unwrap();
    stream.reject(&second, "no such thing").unwrap();
    version.send_replace(9);
    assert_eq!(stream.next().await.unwrap().version(), "9");
    assert_eq!(stream.accepted(), "7");
    assert_eq!(answered.accepted.load(Ordering::Relaxed), 1);
    assert_eq!(answered.rejected.load(Ordering::Relaxed), 1);
    server.abort();
    drop(server.await);
}

#[tokio::test]
async fn a_fleet_gets_everything_and_acknowledges_it() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("sds.sock");
    let (version, watched) = watch::channel(1);
    let (stub, answered) = Stub::new(watched);
    let path = socket.clone();
    let server = tokio::spawn(async move { stub.serve(&path).await });
    drop(connect(&socket).await);
    let mut fleet = Fleet::connect(&socket, members(50), Manners::Acknowledges);
    let mut silent = Fleet::connect(&socket, members(5), Manners::Silent);
    let first = fleet.arrivals(100).await;
    let got = |member: usize| first.iter().filter(|arrival| arrival.member == member).count();
    assert!((0..50).all(|member| got(member) == 2));
    silent.arrivals(10).await;
    version.send_replace(2);
    assert!(fleet.arrivals(100).await.iter().all(|arrival| arrival.version == "2"));
    assert!(silent.arrivals(10).await.iter().all(|arrival| arrival.version == "2"));
    while answered.accepted.load(Ordering::Relaxed) < 200 {
        tokio::task::yield_now().await;
    }
    assert!(fleet.is_quiet());
    server.abort();
    drop(server.await);
}
