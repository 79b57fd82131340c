//! What is said of callers that may have nothing.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;

use tracing_subscriber::fmt::MakeWriter;

use super::*;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn taken(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

#[test]
fn a_caller_that_is_held_is_told_of_once_with_what_would_have_fitted() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (one, _other) = UnixStream::pair().unwrap();
    let uid = rustix::process::geteuid().as_raw();
    let (mesh, attestor) = mesh(&[
        ("front", vec![process(|selectors| selectors.uid = Some(uid + 1))]),
        (
            "blue",
            vec![process(|selectors| {
                selectors.uid = Some(uid + 2);
                selectors.pod = Some("2c48913c-b29f-11e7-9350-020968147796".to_owned());
            })],
        ),
    ]);
    let caller = attestor.process(one.as_fd());
    assert!(caller.view().is_empty());
    let told = lines.taken();
    let front = format!("front wants uid {}; this is uid {uid}. green wants", uid + 1);
    let blue = format!(
        "blue wants uid {} and pod 2c48913c-b29f-11e7-9350-020968147796; this is uid {uid} and \
         of an unknown pod",
        uid + 2
    );
    assert!(told.contains(&caller.in_words()) && told.contains(&front), "{told}");
    assert!(told.contains(&blue), "{told}");
    // Another connection of the same process, and the same one after another edit.
    assert!(attestor.process(one.as_fd()).view().is_empty());
    grant(&mesh, &[("front", vec![process(|selectors| selectors.uid = Some(uid + 9))])]);
    assert!(caller.view().is_empty());
    assert_eq!(lines.taken(), "");
}

#[test]
fn before_there_is_a_mesh_nobody_is_told_of() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let publisher =
        crate::snapshot::Publisher::new(Arc::clone(&published(MESH).snapshot.mesh().desired));
    let attestor = Attestor::new(publisher.snapshot());
    let caller = attestor.remote("127.0.0.1:1".parse().unwrap());
    assert!(caller.view().is_empty());
    assert_eq!(lines.taken(), "");
}
