//! Two agents in one process, over real sockets.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

use super::*;
use crate::listening::incoming::{Attest, incoming};
use crate::listening::listener::tests::until_dead;
use crate::listening::{Listener, SocketAccess};
use crate::snapshot::{Caller, View};

const PATIENCE: Duration = Duration::from_secs(30);

/// Notes what it is asked to do.
#[derive(Clone, Debug, Default)]
struct Notes {
    notes: Arc<Mutex<Vec<&'static str>>>,
    refusal: Option<&'static str>,
}

impl Notes {
    fn taken(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.notes.lock().unwrap())
    }

    /// Waits until something was noted.
    async fn next(&self) -> &'static str {
        let noted = async {
            loop {
                if let Some(note) = self.notes.lock().unwrap().pop() {
                    return note;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, noted).await.expect("something is noted")
    }
}

impl Holder for Notes {
    async fn prepare(&mut self) -> Result<(), String> {
        self.notes.lock().unwrap().push("prepared");
        self.refusal.map_or(Ok(()), |refusal| Err(refusal.to_owned()))
    }

    async fn resume(&mut self) {
        self.notes.lock().unwrap().push("resumed");
    }
}

#[derive(Debug)]
struct Nobody;

impl Caller for Nobody {
    fn in_words(&self) -> String {
        "nobody".to_owned()
    }

    fn view(&self) -> View {
        View::default()
    }
}

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sds.sock");
    (directory, path)
}

fn bind(path: &Path) -> Listener {
    Listener::bind_unix(path, SocketAccess::default()).unwrap()
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

/// Answers every caller with its name.
fn answering(listeners: &[Listener], name: &'static str) -> JoinHandle<()> {
    let attest: Attest = Arc::new(|_| Arc::new(Nobody));
    let mut connections = incoming(listeners, attest, 1000).unwrap();
    tokio::spawn(async move {
        while let Some(connection) = connections.next().await {
            // A caller that is gone wants no answer.
            let _ = connection.unwrap().write_all(name.as_bytes()).await;
        }
    })
}

fn call(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).expect("never refused");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Somebody who calls again and again, and is never to be refused.
struct Calling {
    done: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<()>,
}

impl Calling {
    async fn begin(path: &Path) -> Self {
        let (done, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let thread = {
            let (done, calls, path) = (Arc::clone(&done), Arc::clone(&calls), path.to_owned());
            std::thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    call(&path);
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let calling = Self { done, calls, thread };
        calling.some_more().await;
        calling
    }

    /// Waits until it has called some times more.
    async fn some_more(&self) {
        let enough = self.calls.load(Ordering::Relaxed) + 10;
        let called = async {
            while self.calls.load(Ordering::Relaxed) < enough {
                assert!(!self.thread.is_finished(), "a call was refused");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, called).await.expect("calls are answered");
    }

    async fn end(self) {
        self.some_more().await;
        self.done.store(true, Ordering::Relaxed);
        tokio::task::spawn_blocking(move || self.thread.join().unwrap()).await.unwrap();
    }
}

/// Waits for a successor; gives back the listeners when it is over.
fn waiting(path: &Path, listeners: Vec<Listener>, notes: &Notes) -> JoinHandle<Vec<Listener>> {
    let server = HandoverServer::bind(path).unwrap();
    let mut notes = notes.clone();
    tokio::spawn(async move {
        server.serve(&listeners, &mut notes).await;
        listeners
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_calls_meanwhile_is_refused() {
    let (_directory, path) = place();
    let tcp = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = tcp.tcp_address();
    let listeners = vec![bind(&path), tcp];
    let before = inode(&path);
    let mut serving = answering(&listeners, "0");
    let mut waiting_one = waiting(&path, listeners, &Notes::default());
    let calling = Calling::begin(&path).await;
    for name in ["1", "2", "3", "4", "5"] {
        let received = request(&path, PATIENCE).await.unwrap().expect("somebody is there");
        let listeners = received.take().await.unwrap();
        assert_eq!(listeners[1].tcp_address(), address);
        let successor = answering(&listeners, name);
        let old = waiting_one.await.unwrap();
        serving.abort();
        let _ = serving.await;
        old.into_iter().for_each(|listener| listener.close().unwrap());
        assert_eq!(inode(&path), before);
        let path_of_call = path.clone();
        let answer = tokio::task::spawn_blocking(move || call(&path_of_call)).await.unwrap();
        assert_eq!(answer, name);
        waiting_one = waiting(&path, listeners, &Notes::default());
        serving = successor;
    }
    calling.end().await;
}

#[tokio::test]
async fn the_last_holder_takes_the_file_away_and_no_earlier_one() {
    let (_directory, path) = place();
    let notes = Notes::default();
    let waiting = waiting(&path, vec![bind(&path)], &notes);
    let received = request(&path, PATIENCE).await.unwrap().unwrap();
    let mine = received.take().await.unwrap();
    for listener in waiting.await.unwrap() {
        listener.close().unwrap();
    }
    assert_eq!(notes.taken(), ["prepared"]);
    UnixStream::connect(&path).unwrap();
    // The successor can be succeeded.
    drop(HandoverServer::bind(&path).unwrap());
    mine.into_iter().for_each(|listener| listener.close().unwrap());
    assert!(!path.exists());
    assert!(!meeting_point(&path).exists());
}

#[tokio::test]
async fn a_successor_that_dies_leaves_the_predecessor_serving() {
    let (_directory, path) = place();
    let notes = Notes::default();
    let waiting = waiting(&path, vec![bind(&path)], &notes);
    let received = request(&path, PATIENCE).await.unwrap().unwrap();
    assert_eq!(notes.taken(), ["prepared"]);
    drop(received);
    assert_eq!(notes.next().await, "resumed");
    assert!(!waiting.is_finished());
    // Another one fares better.
    let received = request(&path, PATIENCE).await.unwrap().unwrap();
    received.take().await.unwrap();
    waiting.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_successor_that_is_never_ready_is_not_waited_for() {
    let (_directory, path) = place();
    let notes = Notes::default();
    let _waiting = waiting(&path, vec![bind(&path)], &notes);
    let received = request(&path, PATIENCE).await.unwrap().unwrap();
    tokio::time::sleep(READY_WITHIN * 2).await;
    assert_eq!(notes.taken(), ["prepared", "resumed"]);
    assert!(matches!(received.take().await, Err(HandoverError::Resumed)));
}

#[tokio::test]
async fn a_predecessor_may_refuse() {
    let (_directory, path) = place();
    let notes = Notes { refusal: Some("it is stopping"), ..Notes::default() };
    let waiting = waiting(&path, vec![bind(&path)], &notes);
    let error = request(&path, PATIENCE).await.unwrap_err();
    assert_eq!(error.to_string(), "the running agent keeps its sockets: it is stopping");
    assert_eq!(notes.taken(), ["prepared"]);
    assert!(!waiting.is_finished());
}

#[tokio::test]
async fn a_killed_predecessor_leaves_its_sockets_to_the_successor() {
    let (_directory, path) = place();
    let listener = bind(&path);
    let waiting = waiting(&path, vec![listener], &Notes::default());
    let received = request(&path, PATIENCE).await.unwrap().unwrap();
    waiting.abort();
    let _ = waiting.await;
    let listeners = received.take().await.unwrap();
    let serving = answering(&listeners, "successor");
    let answer = tokio::task::spawn_blocking(move || call(&path)).await.unwrap();
    assert_eq!(answer, "successor");
    serving.abort();
}

#[tokio::test]
async fn a_predecessor_that_is_stopped_takes_its_file_along_and_that_is_said() {
    let (_directory, path) = place();
    let waiting = waiting(&path, vec![bind(&path)], &Notes::default());
    let received = request(&path, PATIENCE).await.unwrap().unwrap();
    waiting.abort();
    let _ = waiting.await;
    fs::remove_file(&path).unwrap();
    assert!(matches!(received.take().await, Err(HandoverError::Gone { .. })));
}

#[tokio::test]
async fn the_longest_path_can_be_handed_over_too() {
    let (directory, _) = place();
    let folder = directory.path().join("d".repeat(97 - directory.path().as_os_str().len()));
    let path = folder.join("sds.sock");
    assert_eq!(path.as_os_str().len(), 107);
    let waiting = waiting(&path, vec![bind(&path)], &Notes::default());
    request(&path, PATIENCE).await.unwrap().unwrap().take().await.unwrap();
    waiting.await.unwrap();
}

#[tokio::test]
async fn where_nobody_serves_there_is_nothing_to_receive() {
    let (directory, path) = place();
    assert!(request(&path, PATIENCE).await.unwrap().is_none());
    assert!(request(&directory.path().join("none/sds.sock"), PATIENCE).await.unwrap().is_none());
    // As a killed process leaves it.
    drop(std::os::unix::net::UnixListener::bind(meeting_point(&path)).unwrap());
    until_dead(&meeting_point(&path));
    assert!(request(&path, PATIENCE).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn garbage_silence_and_other_versions_change_nothing() {
    let (_directory, path) = place();
    let notes = Notes::default();
    let _waiting = waiting(&path, vec![bind(&path)], &notes);
    let connect = async || tokio::net::UnixStream::connect(meeting_point(&path)).await.unwrap();
    let _silent = connect().await;
    connect().await.write_all(&[0xff; 100]).await.unwrap();
    connect().await.write_all(b"\0\0\0\x02{}").await.unwrap();
    connect().await.write_all(b"\0\0\0\x07\"taken\"").await.unwrap();
    let newer = wire::Link::new(connect().await);
    newer.send(&wire::Message::Request { version: 2 }, &[]).await.unwrap();
    let (answer, _) = newer.receive().await.unwrap();
    let refusal = format!("{answer:?}");
    assert!(refusal.contains("version 1 of the hand-over, not 2"), "{refusal}");
    assert!(notes.taken().is_empty());
    assert!(request(&path, PATIENCE).await.unwrap().is_some());
}

mod processes;
