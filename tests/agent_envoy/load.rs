//! Requests through an Envoy, one after the other, all the time; and what came of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use crate::support::http;
use crate::support::wait;

/// How many failures are told of in words.
const TOLD: usize = 5;

/// Requests that are under way. Dropping it ends them.
pub struct Load {
    ending: Arc<AtomicBool>,
    requests: Arc<AtomicU64>,
    workers: Vec<JoinHandle<Vec<String>>>,
}

/// What came of them.
pub struct Tally {
    pub requests: u64,
    pub failures: Vec<String>,
}

impl Load {
    /// Asks `port` for each of these hosts, each as fast as it is answered.
    pub fn start(port: u16, hosts: &[&'static str]) -> Self {
        let (ending, requests) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let workers = hosts.iter().map(|&host| {
            let (ending, requests) = (Arc::clone(&ending), Arc::clone(&requests));
            thread::spawn(move || ask(port, host, &ending, &requests))
        });
        Self { workers: workers.collect(), ending, requests }
    }

    /// Waits until so many more requests have been answered.
    pub fn passes(&self, more: u64) {
        let until = self.requests.load(Ordering::Relaxed) + more;
        wait::until("requests are answered", || {
            (self.requests.load(Ordering::Relaxed) >= until).then_some(())
        });
    }

    /// Ends the requests, and says what came of them.
    pub fn end(mut self) -> Tally {
        self.ending.store(true, Ordering::Relaxed);
        let workers = self.workers.drain(..).collect::<Vec<_>>().into_iter();
        let failures = workers.flat_map(|worker| worker.join().expect("a worker")).collect();
        Tally { requests: self.requests.load(Ordering::Relaxed), failures }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
    }
}

impl Tally {
    /// Not one failed.
    #[track_caller]
    pub fn all_answered(&self) -> &Self {
        let told = &self.failures[..self.failures.len().min(TOLD)];
        assert!(self.failures.is_empty(), "{self}, such as\n{}", told.join("\n"));
        assert!(self.requests > 0);
        self
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} requests failed", self.failures.len(), self.requests)
    }
}

fn ask(port: u16, host: &str, ending: &AtomicBool, requests: &AtomicU64) -> Vec<String> {
    let mut failures = Vec::new();
    let wanted = format!("{host} called by ");
    while !ending.load(Ordering::Relaxed) {
        match http::get_from(port, host, "/") {
            Ok(answer) if answer.status == 200 && answer.body.starts_with(&wanted) => {}
            Ok(answer) => failures.push(format!("{host}: {} {}", answer.status, answer.body)),
            Err(error) => failures.push(format!("{host}: {error}")),
        }
        requests.fetch_add(1, Ordering::Relaxed);
    }
    failures
}
