//! Connections over real sockets.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use rustix::io::Errno;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::*;
use crate::listening::SocketAccess;
use crate::snapshot::{View, testing};

/// Somebody who may have something.
#[derive(Debug)]
struct Named(String);

/// Somebody who may have nothing.
#[derive(Debug)]
struct Unwanted;

impl Caller for Unwanted {
    fn in_words(&self) -> String {
        "nobody".to_owned()
    }

    fn view(&self) -> View {
        View::default()
    }
}

impl Caller for Named {
    fn in_words(&self) -> String {
        self.0.clone()
    }

    fn view(&self) -> View {
        testing::view(&["front"])
    }
}

/// Names callers by the kind of their connection.
fn by_kind() -> Attest {
    Arc::new(|peer| {
        Arc::new(Named(match peer {
            Peer::Unix(_) => "somebody by a file".to_owned(),
            Peer::Tcp(address) => format!("somebody at {}", address.ip()),
        }))
    })
}

fn bind(path: &Path) -> Listener {
    Listener::bind_unix(path, SocketAccess::default()).unwrap()
}

async fn next<S: Stream<Item = io::Result<Connection>> + Unpin>(stream: &mut S) -> Connection {
    let next = tokio::time::timeout(Duration::from_secs(30), stream.next());
    next.await.expect("a connection comes").expect("it never ends").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_all_sockets_come_with_their_callers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sds.sock");
    let tcp = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = tcp.tcp_address().unwrap();
    let mut connections = incoming(&[bind(&path), tcp], by_kind(), 10).unwrap();
    let mut caller = UnixStream::connect(&path).await.unwrap();
    let mut connection = next(&mut connections).await;
    assert_eq!(connection.connect_info().in_words(), "somebody by a file");
    caller.write_all(b"question").await.unwrap();
    let mut bytes = [0; 8];
    connection.read_exact(&mut bytes).await.unwrap();
    connection.write_all(b"answer").await.unwrap();
    connection.shutdown().await.unwrap();
    let mut answer = String::new();
    caller.read_to_string(&mut answer).await.unwrap();
    assert_eq!((&bytes, answer.as_str()), (b"question", "answer"));
    let _caller = TcpStream::connect(address).await.unwrap();
    assert_eq!(next(&mut connections).await.caller().in_words(), "somebody at 127.0.0.1");
}

#[tokio::test]
async fn callers_beyond_the_limit_wait_until_one_goes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sds.sock");
    let mut connections = incoming(&[bind(&path)], by_kind(), 2).unwrap();
    let mut callers = Vec::new();
    for _ in 0..3 {
        callers.push(UnixStream::connect(&path).await.unwrap());
    }
    let (first, _second) = (next(&mut connections).await, next(&mut connections).await);
    // Polled now, it has had its chance: the third caller is in the queue already.
    assert!(connections.next().now_or_never().is_none());
    tokio::task::yield_now().await;
    assert!(connections.next().now_or_never().is_none());
    drop(first);
    next(&mut connections).await;
}

#[tokio::test]
async fn callers_that_may_have_nothing_shut_out_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sds.sock");
    let calls = AtomicUsize::new(0);
    let attest: Attest = Arc::new(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0..4 => Arc::new(Unwanted),
        _ => Arc::new(Named("somebody".to_owned())),
    });
    let mut connections = incoming(&[bind(&path)], attest, 8).unwrap();
    let mut callers = Vec::new();
    for _ in 0..4 {
        callers.push(UnixStream::connect(&path).await.unwrap());
    }
    // A quarter of eight; the two beyond are closed.
    let _held = [next(&mut connections).await, next(&mut connections).await];
    for _ in 0..4 {
        callers.push(UnixStream::connect(&path).await.unwrap());
    }
    let mut served = Vec::new();
    for _ in 0..4 {
        served.push(next(&mut connections).await);
        assert_eq!(served.last().unwrap().caller().in_words(), "somebody");
    }
    let closed = async {
        let mut closed = 0;
        while closed < 2 {
            let ends = callers.iter_mut().map(|caller| caller.read(&mut [0]).now_or_never());
            closed = ends.filter(|end| matches!(end, Some(Ok(0)))).count();
            tokio::task::yield_now().await;
        }
        closed
    };
    let closed = tokio::time::timeout(Duration::from_secs(30), closed).await;
    assert_eq!(closed, Ok(2));
}

#[tokio::test]
async fn an_attestor_that_fails_costs_only_its_own_connection() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sds.sock");
    let calls = AtomicUsize::new(0);
    let attest: Attest = Arc::new(move |_| {
        assert!(calls.fetch_add(1, Ordering::Relaxed) > 0, "the first one fails");
        Arc::new(Named("the second".to_owned()))
    });
    let mut connections = incoming(&[bind(&path)], attest, 1).unwrap();
    let _callers =
        [UnixStream::connect(&path).await.unwrap(), UnixStream::connect(&path).await.unwrap()];
    assert_eq!(next(&mut connections).await.caller().in_words(), "the second");
}

#[tokio::test(start_paused = true)]
async fn running_out_of_descriptors_is_waited_out_without_spinning() {
    let start = Instant::now();
    let mut attempts = 0;
    let accepted = persist("the socket", || {
        attempts += 1;
        std::future::ready(match attempts {
            1 => Err(Errno::CONNABORTED.into()),
            2..=10 => Err(Errno::MFILE.into()),
            _ => Ok("accepted"),
        })
    });
    assert_eq!(accepted.await, "accepted");
    // 20, 40, 80, 160, 320, 640 ms, then 1 s each.
    assert_eq!((attempts, start.elapsed()), (11, Duration::from_millis(1_260 + 3_000)));
}

#[tokio::test]
async fn a_caller_that_takes_all_it_can_shuts_out_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sds.sock");
    let calls = AtomicUsize::new(0);
    let attest: Attest = Arc::new(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0..20 => Arc::new(Named("greedy".to_owned())),
        _ => Arc::new(Named("modest".to_owned())),
    });
    let mut connections = incoming(&[bind(&path)], attest, 8).unwrap();
    let mut callers = Vec::new();
    for _ in 0..20 {
        callers.push(UnixStream::connect(&path).await.unwrap());
    }
    // Six of eight; the others are closed, and not waited for.
    let mut served = Vec::new();
    for _ in 0..6 {
        served.push(next(&mut connections).await);
    }
    callers.push(UnixStream::connect(&path).await.unwrap());
    served.push(next(&mut connections).await);
    let names: Vec<_> = served.iter().map(|connection| connection.caller().in_words()).collect();
    assert_eq!(names.iter().filter(|name| *name == "greedy").count(), 6);
    assert_eq!(names[6], "modest");
}
