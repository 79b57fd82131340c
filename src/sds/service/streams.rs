//! The streams of a connection, in the task that reads and writes it.
//!
//! As tasks of their own they would wait behind those of thousands of other connections, while
//! what they are to read piles up in memory; and each word between them and their connection would
//! have to pass through the scheduler.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use futures_util::task::AtomicWaker;
use hyper::rt::Executor;

use super::small_frames::Turn;

/// How often a connection goes on before others have their turn.
const MOST_ROUNDS: usize = 32;

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where HTTP/2 leaves the streams that a client opened.
#[derive(Clone, Default)]
pub(super) struct Opened(Arc<Mutex<Vec<Stream>>>);

/// Those that are open.
pub(super) struct Streams {
    opened: Opened,
    open: FuturesUnordered<Stream>,
    turn: Turn,
    rounds: Arc<Rounds>,
    waker: Waker,
}

/// Whether there is more to do.
#[derive(Default)]
struct Rounds {
    again: AtomicBool,
    /// Whoever is in a round sees for himself that he is woken.
    within: AtomicBool,
    task: AtomicWaker,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Opened {
    fn execute(&self, stream: F) {
        self.lock().push(Box::pin(stream));
    }
}

impl Opened {
    fn lock(&self) -> MutexGuard<'_, Vec<Stream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Rounds {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    // In this order, and the other way round where rounds end, so that nothing is missed.
    fn wake_by_ref(self: &Arc<Self>) {
        self.again.store(true, Ordering::SeqCst);
        if !self.within.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

impl Streams {
    pub(super) fn new(opened: Opened, turn: Turn) -> Self {
        let rounds = Arc::new(Rounds::default());
        let waker = Waker::from(Arc::clone(&rounds));
        Self { opened, open: FuturesUnordered::new(), turn, rounds, waker }
    }

    /// Drives `http` until it ends, and the streams beside it. Safe to cancel.
    pub(super) async fn drive<T>(&mut self, mut http: Pin<&mut impl Future<Output = T>>) -> T {
        std::future::poll_fn(|context| {
            self.rounds.task.register(context.waker());
            self.rounds.within.store(true, Ordering::SeqCst);
            let ended = self.go_on(http.as_mut());
            self.rounds.within.store(false, Ordering::SeqCst);
            if self.rounds.again.load(Ordering::SeqCst) {
                context.waker().wake_by_ref();
            }
            ended
        })
        .await
    }

    /// Both in turns, for as long as one has something for the other.
    fn go_on<T>(&mut self, mut http: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        let waker = self.waker.clone();
        let mut context = Context::from_waker(&waker);
        for _ in 0..MOST_ROUNDS {
            self.rounds.again.store(false, Ordering::SeqCst);
            self.turn.begin();
            let ended = http.as_mut().poll(&mut context);
            if ended.is_ready() {
                return ended;
            }
            let opened = std::mem::take(&mut *self.opened.lock());
            self.open.extend(opened);
            while let Poll::Ready(Some(())) = self.open.poll_next_unpin(&mut context) {}
            if !self.rounds.again.load(Ordering::SeqCst) {
                break;
            }
        }
        Poll::Pending
    }
}
