//! The server that does the least, as a process of its own: this benchmark once more.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::process::Process;
use crate::sds_stub::Stub;

/// What makes the benchmark that server.
pub const ARGUMENT: &str = "--serve-the-least";

/// Serves on a socket until its standard input ends; each line there is a new version for all.
pub fn serve(socket: &str) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (version, watched) = watch::channel(1);
    let (stub, _) = Stub::new(watched);
    let path = PathBuf::from(socket);
    runtime.spawn(async move { stub.serve(&path).await });
    for line in std::io::stdin().lock().lines() {
        line.unwrap();
        version.send_modify(|version| *version += 1);
    }
}

/// A running one.
pub fn start(directory: &Path, socket: &str) -> Process {
    let own = std::env::current_exe().unwrap();
    Process::start(own.to_str().unwrap(), &[ARGUMENT, socket], directory)
}
