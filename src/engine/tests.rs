//! The loop in paused time, with a signer whose slowness and failures are set by the tests.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use time::macros::datetime;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use super::*;
use crate::desired::mesh_file::MeshFile;
use crate::provisioning::provision;
use crate::snapshot::{Generation, Node, Snapshot};
use crate::time::{OffsetDateTime, Simulation};
use crate::x509::certificate::Certificate;

mod edits;
mod failures;
mod order;
mod remote;
mod renewals;
mod restarts;
mod storms;
mod transitions;

const BEGAN: OffsetDateTime = datetime!(2026-11-21 8:00 UTC);
const HOUR: Duration = Duration::from_secs(3_600);
const SECOND: Duration = Duration::from_secs(1);

const MESH: &str = "
version: 1
trustDomain: example.org
authorities: { ca_1: {}, ca_2: {} }
virtualNodes:
  front: { authority: ca_1, trust: [ca_1], backends: [blue] }
  blue: { authority: ca_1, callers: [front] }
  green: { authority: ca_2, trust: [ca_1], callers: [front] }
";

fn mesh(text: &str) -> Desired {
    MeshFile::read(Path::new("mesh.yaml"), text.as_bytes()).unwrap().desired
}

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

/// A signer that is slow and fails as it is told, and remembers what it was asked.
#[derive(Debug, Default)]
struct Fake {
    latency: Mutex<Duration>,
    /// How many of a node's next attempts fail.
    failing: Mutex<HashMap<String, usize>>,
    is_down: Mutex<bool>,
    asked: Mutex<Vec<(String, Instant)>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Fake {
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(node, _)| node.clone()).collect()
    }

    /// When a node's attempts began.
    fn attempts(&self, node: &str) -> Vec<Instant> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(asked, _)| asked == node).map(|(_, at)| *at).collect()
    }

    fn fails(&self, node: &str) -> bool {
        if *self.is_down.lock().unwrap() {
            return true;
        }
        let mut failing = self.failing.lock().unwrap();
        match failing.get_mut(node) {
            Some(0) | None => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

#[derive(Debug)]
struct Signer(Arc<Fake>);

impl Issuing for Signer {
    fn issue(&self, request: Request) -> Issued {
        let fake = Arc::clone(&self.0);
        let node = request.node.to_string();
        fake.asked.lock().unwrap().push((node.clone(), Instant::now()));
        let busy = fake.at_once.fetch_add(1, Ordering::Relaxed) + 1;
        fake.most_at_once.fetch_max(busy, Ordering::Relaxed);
        let (latency, fails) = (*fake.latency.lock().unwrap(), fake.fails(&node));
        Box::pin(async move {
            if !latency.is_zero() {
                sleep(latency).await;
            }
            fake.at_once.fetch_sub(1, Ordering::Relaxed);
            if fails {
                return Err(IssuingError::Unavailable { why: "told to fail".to_owned() });
            }
            let Request { authority, profile, algorithm, now, .. } = request;
            Ok(provision(&authority, &profile, algorithm, now)?)
        })
    }
}

/// Counts what happens.
#[derive(Debug, Default)]
struct Counts {
    woke: AtomicUsize,
    jumps: AtomicUsize,
    /// When what was published last began.
    begun: Mutex<Option<Instant>>,
}

impl Observer for Counts {
    fn woke(&self) {
        self.woke.fetch_add(1, Ordering::Relaxed);
    }

    fn published(&self, _: Generation, begun: Instant) {
        *self.begun.lock().unwrap() = Some(begun);
    }

    fn clock_jumped(&self) {
        self.jumps.fetch_add(1, Ordering::Relaxed);
    }
}

/// A loop that runs, and all that it hears from.
struct World {
    directory: Arc<TempDir>,
    mesh: watch::Sender<Arc<Desired>>,
    clock: Clock,
    hand: Simulation,
    clock_changed: Arc<Notify>,
    demand: Demand,
    fake: Arc<Fake>,
    counts: Arc<Counts>,
    handle: Handle,
}

impl World {
    async fn new(text: &str) -> Self {
        Self::with(text, |_| ()).await
    }

    async fn with(text: &str, change: impl FnOnce(&mut Options)) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let clock = Clock::simulated(BEGAN);
        Self::over(directory, clock, text, change).await
    }

    async fn over(
        directory: Arc<TempDir>,
        (clock, hand): (Clock, Simulation),
        text: &str,
        change: impl FnOnce(&mut Options),
    ) -> Self {
        let (mesh, desired) = watch::channel(Arc::new(mesh(text)));
        let mut options = Options::new(desired, directory.path().join("state"));
        let (fake, counts) = (Arc::new(Fake::default()), Arc::new(Counts::default()));
        options.issuing = Arc::new(Signer(Arc::clone(&fake)));
        options.observer = Arc::clone(&counts) as Arc<dyn Observer>;
        options.clock = clock.clone();
        options.seed = 7;
        options.at_once = 4;
        change(&mut options);
        let (clock_changed, demand) = (options.clock_changed.clone(), options.demand.clone());
        let mut handle = Engine::start(options);
        handle.ready().await.unwrap();
        Self { directory, mesh, clock, hand, clock_changed, demand, fake, counts, handle }
    }

    /// Ends it, and begins another over the same state directory at the same time.
    async fn restart(self, text: &str) -> Self {
        self.restart_with(text, |_| ()).await
    }

    async fn restart_with(self, text: &str, change: impl FnOnce(&mut Options)) -> Self {
        let Self { directory, clock, hand, handle, .. } = self;
        handle.shutdown().await.unwrap();
        Self::over(directory, (clock, hand), text, change).await
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// What is stored of the nodes.
    fn journal(&self) -> PathBuf {
        self.state().join("nodes.journal")
    }

    /// Lets nothing be stored of any node until what is returned is called.
    fn block_the_store(&self) -> impl FnOnce() + use<> {
        let (journal, away) = (self.journal(), self.directory.path().join("away"));
        std::fs::rename(&journal, &away).unwrap();
        std::fs::create_dir(&journal).unwrap();
        move || {
            std::fs::remove_dir(&journal).unwrap();
            std::fs::rename(&away, &journal).unwrap();
        }
    }

    fn edit(&self, text: &str) {
        self.mesh.send_replace(Arc::new(mesh(text)));
    }

    fn jump(&self, by: time::Duration) {
        self.hand.jump(by);
        self.clock_changed.notify_one();
    }

    fn snapshot(&self) -> &Snapshot {
        self.handle.snapshot()
    }

    fn node(&self, node: &str) -> Option<Arc<Node>> {
        self.snapshot().node(&name(node))
    }

    fn leaf(&self, node: &str) -> Option<Certificate> {
        Some(self.node(node)?.leaf.as_ref()?.credential.leaf().clone())
    }

    /// The leaf of a node that has one, as soon as that is another than `old`.
    async fn leaf_after(&self, node: &str, old: Option<&Certificate>) -> Certificate {
        self.until(|| self.leaf(node).filter(|leaf| Some(leaf) != old)).await
    }

    /// What `found` finds, as soon as it does: at the latest in a simulated month.
    async fn until<T>(&self, mut found: impl FnMut() -> Option<T>) -> T {
        let watcher = self.snapshot().watcher_of_all();
        let wait = async {
            loop {
                match found() {
                    Some(it) => return it,
                    None => watcher.changed().await,
                }
            }
        };
        tokio::time::timeout(24 * 30 * HOUR, wait).await.expect("it never came to be")
    }

    /// Waits until a node's credential was asked for so often.
    async fn until_asked(&self, node: &str, often: usize) {
        let wait = async {
            while self.fake.attempts(node).len() < often {
                sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(24 * 30 * HOUR, wait).await.expect("it was never asked for");
    }

    /// Waits until something holds that nothing is published of.
    async fn until_true(&self, holds: impl Fn() -> bool) {
        let wait = async {
            while !holds() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(24 * 30 * HOUR, wait).await.expect("it never came to be");
    }

    async fn status(&self) -> Status {
        self.handle.commands().status().await.unwrap()
    }

    async fn node_status(&self, node: &str) -> NodeStatus {
        let nodes = self.status().await.nodes;
        nodes.into_iter().find(|status| status.name == name(node)).unwrap()
    }

    async fn due(&self, node: &str) -> OffsetDateTime {
        self.node_status(node).await.certificate.unwrap().due.unwrap()
    }

    /// Waits until the loop has come to rest at this moment.
    async fn settled(&self) {
        let mut woke = usize::MAX;
        while woke != self.counts.woke.load(Ordering::Relaxed) {
            woke = self.counts.woke.load(Ordering::Relaxed);
            // Time passes only when all tasks and threads are idle.
            sleep(Duration::from_millis(10)).await;
        }
    }
}
