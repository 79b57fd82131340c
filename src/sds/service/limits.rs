//! What a client may cost.
//!
//! Everybody has a small share of memory that nobody can take away; whoever wants more draws it
//! from an allowance that all share, and is refused when that is used up. So one that asks for too
//! much can keep others from asking for much, but not from asking.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a request may be, in bytes. Envoy's are about 61 KB.
pub const LONGEST_REQUEST: usize = 1024 * 1024;

/// How many connections are served at once: twice the Envoys that a node is expected to have.
pub const MOST_CONNECTIONS: usize = 10_000;

/// How many streams one connection may have open. Envoy opens one for each name, and with a low
/// limit opens further connections instead: this is as many names as one stream may ask for.
pub const MOST_STREAMS: u32 = 1024;

/// How many streams of a connection are free of charge. An Envoy with one identity has two.
pub const FREE_STREAMS: usize = 4;

/// What each further stream draws, in bytes: what a stream is held to cost.
pub const COST_OF_STREAM: usize = 16 * 1024;

/// How many bytes a stream may keep of a request, and as many again for its names, free of charge.
pub const FREE_BYTES: usize = 8 * 1024;

/// What a name costs beside its length, in bytes, here and on the board.
pub const COST_OF_NAME: usize = 512;

/// What is sent under so many of a stream's names is free of charge: an Envoy asks for one, and
/// what it is sent is mostly shared with others. Beyond it each name costs what is sent under it.
pub const FREE_NAMES: usize = 16;

/// What all streams may draw together, in bytes: 1,000 names of certificates of 2 KB on each of 100
/// streams, or 16,000 streams beyond the free ones.
pub const SHARED_BYTES: usize = 256 * 1024 * 1024;

/// How much of a request, and of each connection's requests together, the client may send before
/// any of it is read, in bytes: HTTP/2's own default, which takes one request of Envoy's.
pub const WINDOW: u32 = 65_535;

/// How much may be copied into the buffer of a stream whose client does not read, in bytes; at most
/// one response, whose resources are shared, waits there.
pub const SEND_BUFFER: usize = 64 * 1024;

/// How long a client may be silent before it is asked whether it is there. On one machine a peer's
/// end closes its sockets, so this finds only the stopped and the half-open, and is rare enough to
/// let an idle agent sleep.
pub const ASK_AFTER: Duration = Duration::from_secs(300);

/// How long it may take to say so.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// How long a connection may be without its first stream.
pub const FIRST_STREAM_WITHIN: Duration = Duration::from_secs(10);

/// How long connections may take to close at the end of the service.
pub const GRACE: Duration = Duration::from_millis(500);

/// How many callers are looked at anew at once, where that takes reading: mostly they wait for the
/// same program to be read, and threads that may block are also for making certificates.
pub(super) const LOOKED_AT: usize = 4;

/// How long no connection is taken after one could not be: out of descriptors, a pause is all that
/// helps.
pub const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// How many requests a connection may make at once: all its streams' first ones and their answers,
/// twice.
pub const REQUESTS_AT_ONCE: u32 = 4096;

/// How many requests a connection may go on making in a second.
pub const REQUESTS_PER_SECOND: u32 = 1000;

/// A request on a stream that asks for so many names counts as one more: each is looked up again.
pub const NAMES_OF_A_REQUEST: usize = 16;

/// How many lines a connection may cause in the log at once.
pub const LINES_AT_ONCE: u32 = 32;

/// How often it may cause a line after that, in seconds.
pub const SECONDS_PER_LINE: u32 = 10;

/// The memory that all streams share beyond what each has for itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowance(Arc<AtomicUsize>);

/// What one stream has drawn; given back when this goes.
#[derive(Debug)]
pub(super) struct Drawn {
    allowance: Allowance,
    free: usize,
    bytes: usize,
}

impl Allowance {
    /// A share of which `free` bytes cost nothing.
    pub(super) fn share(&self, free: usize) -> Drawn {
        Drawn { allowance: self.clone(), free, bytes: 0 }
    }
}

impl Drawn {
    /// Draws or gives back, so that the share is `bytes` large; says whether there was as much.
    #[must_use]
    pub(super) fn resize(&mut self, bytes: usize) -> bool {
        let wanted = bytes.saturating_sub(self.free);
        let drawn = &self.allowance.0;
        let fits = drawn.try_update(Ordering::Relaxed, Ordering::Relaxed, |all| {
            let others = all - self.bytes;
            let enough = wanted <= self.bytes || others + wanted <= SHARED_BYTES;
            enough.then_some(others + wanted)
        });
        if fits.is_ok() {
            self.bytes = wanted;
        }
        fits.is_ok()
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        self.allowance.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Lets so much happen at once, and then so often.
#[derive(Debug)]
pub(super) struct Pace {
    at_once: u32,
    every: Duration,
    /// When everything that happened would have, at the pace.
    paid_until: Mutex<Option<Instant>>,
}

impl Pace {
    /// The pace of a connection's requests.
    pub(super) fn of_requests() -> Self {
        Self::new(REQUESTS_AT_ONCE, Duration::from_secs(1) / REQUESTS_PER_SECOND)
    }

    /// The pace of the lines that a connection causes in the log.
    pub(super) fn of_log() -> Self {
        Self::new(LINES_AT_ONCE, Duration::from_secs(1) * SECONDS_PER_LINE)
    }

    fn new(at_once: u32, every: Duration) -> Self {
        Self { at_once, every, paid_until: Mutex::new(None) }
    }

    /// How long to wait before going on: nothing, while within the pace. Who does not go on for
    /// that time has taken nothing.
    pub(super) fn take(&self) -> Duration {
        self.take_many(1)
    }

    /// The same for what counts for so many.
    pub(super) fn take_many(&self, count: u32) -> Duration {
        let now = Instant::now();
        let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        let from = paid_until.map_or(now, |until| until.max(now));
        let until = from + self.every * count.min(self.at_once);
        let wait = until.duration_since(now).saturating_sub(self.every * self.at_once);
        if wait.is_zero() {
            *paid_until = Some(until);
        }
        wait
    }
}
