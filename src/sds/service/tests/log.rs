use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use super::super::limits::LINES_AT_ONCE;
use super::support::*;

/// What was logged on this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn read(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains("certctl")).map(str::to_owned).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// With one subscriber alone, tracing asks the thread that comes first whether anybody listens, and
/// believes it for all threads: with two, it asks both.
static SECOND: LazyLock<tracing::Dispatch> =
    LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));

fn listen() -> (Lines, tracing::subscriber::DefaultGuard) {
    LazyLock::force(&SECOND);
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::INFO)
        .with_writer(move || writer.clone())
        .finish();
    (lines, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn a_rejection_and_a_first_hold_are_one_line_each() {
    let (lines, _guard) = listen();
    let service = Running::start();
    let mut stream = service.connect().await.stream(&["front", "evil\u{202e}name"]).await;
    until("a lease", || service.is_awaited("front").then_some(())).await;
    service.set("front", "1");
    let response = stream.next().await;
    stream.send(reject(&["front"], &response, "KEY_VALUES_MISMATCH\nforged line")).await;
    stream.send(reject(&["front"], &response, "KEY_VALUES_MISMATCH\nforged line")).await;
    until("the rejection", || {
        let names = service.deliveries.recipients().remove(0).names;
        names.iter().any(|(_, subscription)| subscription.rejected.is_some()).then_some(())
    })
    .await;
    service.set("front", "2");
    stream.next().await;
    let lines = lines.read();
    let found = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert_eq!(found("held"), 2, "{lines:#?}");
    assert_eq!(found("not made yet"), 1, "{lines:#?}");
    assert_eq!(found("evil\\\\u{202e}name"), 1, "{lines:#?}");
    assert_eq!(found("WARN"), 1, "{lines:#?}");
    let rejected = lines.iter().find(|line| line.contains("WARN")).unwrap();
    for word in ["front-1 (uid 1337)", "name=\"front\"", "version=\"1\"", "KEY_VALUES_MISMATCH"] {
        assert!(rejected.contains(word), "{word}: {rejected}");
    }
}

#[tokio::test]
async fn a_client_cannot_flood_the_log() {
    let (lines, _guard) = listen();
    let service = Running::start();
    let mut client = service.connect().await;
    let names: Vec<_> = (0..500).map(|at| format!("nobody:{at}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let first = client.stream(&names).await;
    let second = client.stream(&names).await;
    until("both streams", || {
        let streams = service.deliveries.recipients();
        (streams.iter().filter(|stream| stream.names.len() == 500).count() == 2).then_some(())
    })
    .await;
    assert_eq!(lines.read().len(), LINES_AT_ONCE as usize);
    drop((first, second));
}
