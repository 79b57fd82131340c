//! A caller of whom something has to be read, such as its program, which takes as long as the test
//! says. One thread runs everything here but what may block.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, OnceLock};

use super::support::*;
use crate::snapshot::testing::view;
use crate::snapshot::{Caller, View};

/// One who is looked at for as long as nothing comes.
#[derive(Debug)]
struct Unread {
    comes: Mutex<Receiver<()>>,
    looks: Sender<()>,
    seen: OnceLock<View>,
}

impl Unread {
    /// The caller, what lets it be seen, and what tells when it is looked at.
    fn new() -> (Self, Sender<()>, Receiver<()>) {
        let (come, comes) = mpsc::channel();
        let (looks, looked) = mpsc::channel();
        (Self { comes: Mutex::new(comes), looks, seen: OnceLock::new() }, come, looked)
    }
}

impl Caller for Unread {
    fn in_words(&self) -> String {
        "a large program".into()
    }

    fn view(&self) -> View {
        let seen = self.seen.get_or_init(|| {
            self.looks.send(()).unwrap();
            // A test that has failed lets it go.
            let _ = self.comes.lock().unwrap().recv_timeout(HANG);
            view(&["front"])
        });
        seen.clone()
    }

    fn view_at_once(&self) -> Option<View> {
        self.seen.get().cloned()
    }
}

#[tokio::test]
async fn while_one_is_looked_at_others_are_served() {
    let service = Running::start();
    service.set("front", "1");
    service.set("blue", "1");
    let (unread, come, looked) = Unread::new();
    *service.next.lock().unwrap() = Some(std::sync::Arc::new(unread));
    let mut waiting = service.connect().await;
    let mut streams = [waiting.stream(&["front"]).await, waiting.stream(&["front", "blue"]).await];
    until("it is looked at", || looked.try_recv().ok()).await;
    let mut others = service.connect().await;
    let mut other = others.stream(&["blue"]).await;
    assert_eq!(content(&other.next().await.resources), ["blue=1"]);
    service.set("blue", "2");
    assert_eq!(content(&other.next().await.resources), ["blue=2"]);
    come.send(()).unwrap();
    for stream in &mut streams {
        assert_eq!(content(&stream.next().await.resources), ["front=1"]);
    }
    assert!(looked.try_recv().is_err(), "it is looked at once");
}

#[tokio::test]
async fn one_that_is_looked_at_keeps_nobody_from_ending() {
    let mut service = Running::start();
    let (unread, come, looked) = Unread::new();
    *service.next.lock().unwrap() = Some(std::sync::Arc::new(unread));
    let mut stream = service.connect().await.stream(&["front"]).await;
    until("it is looked at", || looked.try_recv().ok()).await;
    service.stop().await;
    assert!(stream.end().await.is_none());
    drop(come);
}
