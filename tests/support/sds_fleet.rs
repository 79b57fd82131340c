//! Many Envoys at once, as far as a server of secrets can tell, and when each got what.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::sds_client::{Connection, Node, Stream};

/// How long anything may take before a fleet gives up.
const DEADLINE: Duration = Duration::from_secs(60);

/// One of them.
#[derive(Clone, Debug)]
pub struct Member {
    /// What it calls itself.
    pub id: String,
    /// The name that each of its streams asks for.
    pub names: Vec<String>,
}

/// How an Envoy takes what it gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Manners {
    /// It acknowledges everything, as it should.
    Acknowledges,
    /// It reads, and never answers.
    Silent,
    /// It doesn't even read.
    Deaf,
}

/// A response that somebody got.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Whose, by its place among the members.
    pub member: usize,
    /// On which of its streams.
    pub stream: usize,
    /// When it had come, and its acknowledgement was on its way.
    pub at: Instant,
    /// How long after its member had begun to connect.
    pub after: Duration,
    /// Its version.
    pub version: String,
}

/// Envoys that are connected, until it is dropped.
pub struct Fleet {
    arrivals: UnboundedReceiver<Arrival>,
    members: Vec<JoinHandle<()>>,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.members.iter().for_each(JoinHandle::abort);
    }
}

impl Fleet {
    /// Begins to connect all of them at this moment.
    pub fn connect(socket: &Path, members: Vec<Member>, manners: Manners) -> Self {
        let (sender, arrivals) = unbounded_channel();
        let members = members.into_iter().enumerate().map(|(number, member)| {
            let life = live(socket.to_owned(), number, member, manners, sender.clone());
            tokio::spawn(life)
        });
        Self { members: members.collect(), arrivals }
    }

    /// The next so many responses, whoever gets them.
    pub async fn arrivals(&mut self, count: usize) -> Vec<Arrival> {
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            let next = timeout(DEADLINE, self.arrivals.recv()).await;
            let next = next.unwrap_or_else(|_| panic!("only {} of {count} responses", all.len()));
            all.push(next.expect("members that live"));
        }
        all
    }

    /// Whether anybody has got something that nobody has asked about yet.
    pub fn is_quiet(&self) -> bool {
        self.arrivals.is_empty()
    }
}

async fn live(
    socket: PathBuf,
    number: usize,
    member: Member,
    manners: Manners,
    arrivals: UnboundedSender<Arrival>,
) {
    let begun = Instant::now();
    let node = Node::whole(&member.id);
    let connection = connect(&socket).await;
    let mut streams = Vec::new();
    for (place, name) in member.names.iter().enumerate() {
        let stream = connection.subscribe(&node, &[name], "").await.expect("a server that listens");
        let place = (number, place, begun);
        streams.push(tokio::spawn(follow(stream, place, manners, arrivals.clone())));
    }
    let _ends_with_us = Ends(streams);
    std::future::pending::<()>().await;
}

/// Aborts what it holds when it goes.
struct Ends(Vec<JoinHandle<()>>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

async fn follow(
    mut stream: Stream,
    (member, place, begun): (usize, usize, Instant),
    manners: Manners,
    arrivals: UnboundedSender<Arrival>,
) {
    if manners == Manners::Deaf {
        std::future::pending::<()>().await;
    }
    while let Some(response) = stream.next().await {
        if manners == Manners::Acknowledges {
            stream.accept(&response).expect("a stream that is open");
        }
        let (at, version) = (Instant::now(), response.version().to_owned());
        let after = at - begun;
        if arrivals.send(Arrival { member, stream: place, at, after, version }).is_err() {
            return;
        }
    }
}

/// Connects; a Unix socket whose queue is full says so at once, and is asked again.
async fn connect(socket: &Path) -> Connection {
    loop {
        match Connection::open(socket).await {
            Ok(connection) => return connection,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep(Duration::from_millis(1)).await;
            }
            Err(error) => panic!("{}: {error}", socket.display()),
        }
    }
}
