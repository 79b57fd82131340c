//! Sockets in real directories.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Barrier};
use std::thread;

use tempfile::TempDir;

use super::*;
use crate::listening::address::MAX_PATH;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sds.sock");
    (directory, path)
}

fn bind(path: &Path) -> Result<Listener, ListeningError> {
    Listener::bind_unix(path, SocketAccess::default())
}

/// A socket of which nobody listens any more, as a killed process leaves it.
fn leave_dead(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
    until_dead(path);
}

/// Waits until nobody listens. A process that another test starts holds every descriptor of this
/// one until it executes its program.
pub(in crate::listening) fn until_dead(path: &Path) {
    let start = tokio::time::Instant::now();
    while UnixStream::connect(path).is_ok() {
        assert!(start.elapsed().as_secs() < 30, "somebody listens at {}", path.display());
        thread::yield_now();
    }
}

fn files_in(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_socket_can_be_called_and_is_its_owners_alone() {
    let (directory, _) = place();
    let path = directory.path().join("run/certctl/sds.sock");
    let listener = bind(&path).unwrap();
    UnixStream::connect(&path).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(listener.in_words(), format!("unix:{}", path.display()));
    assert_eq!(mode(&directory.path().join("run")) & 0o700, 0o700);
}

#[test]
fn others_may_call_where_that_is_asked_for() {
    let (_directory, path) = place();
    // Anybody may give a file to their own group.
    let group = rustix::process::getegid().as_raw();
    let _listener =
        Listener::bind_unix(&path, SocketAccess { mode: 0o660, group: Some(group) }).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.permissions().mode() & 0o777, metadata.gid()), (0o660, group));
}

#[test]
fn a_mode_that_locks_out_the_owner_or_means_nothing_is_refused() {
    let (directory, path) = place();
    for mode in [0o060, 0o700, 0o4600, 0o200] {
        let refused = Listener::bind_unix(&path, SocketAccess { mode, group: None });
        let error = refused.unwrap_err().to_string();
        assert!(error.starts_with(&format!("mode {mode:04o} is not one for a socket")), "{error}");
    }
    assert!(files_in(&directory).is_empty());
}

#[test]
fn a_dead_socket_is_replaced_and_never_missing_meanwhile() {
    let (_directory, path) = place();
    leave_dead(&path);
    let (done, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let watching = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                fs::symlink_metadata(&path).expect("the socket is always there");
                looks.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut times = 0;
        while (times < 50 || looks.load(Ordering::Relaxed) < 50) && !watching.is_finished() {
            // Dropped without being closed, as by a kill.
            drop(bind(&path).unwrap());
            until_dead(&path);
            times += 1;
        }
        let _last = bind(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_live_socket_is_left_alone_and_its_process_named() {
    let (_directory, path) = place();
    let first = UnixListener::bind(&path).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    let error = bind(&path).unwrap_err().to_string();
    let us = format!("in use by process {} (", std::process::id());
    assert!(error.contains(&us) && error.contains("--replace"), "{error}");
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    drop(first);
}

#[test]
fn a_live_socket_that_answers_nobody_is_still_alive() {
    let (_directory, path) = place();
    let listener = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _fills_the_queue = UnixStream::connect(&path).unwrap();
    assert!(matches!(bind(&path), Err(ListeningError::InUse { .. })));
}

#[test]
fn what_is_no_stream_socket_is_never_touched() {
    let (directory, path) = place();
    fs::write(&path, "precious").unwrap();
    assert!(matches!(bind(&path), Err(ListeningError::NotASocket { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let link = directory.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(matches!(bind(&link), Err(ListeningError::NotASocket { .. })));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let folder = directory.path().join("folder");
    fs::create_dir(&folder).unwrap();
    assert!(matches!(bind(&folder), Err(ListeningError::NotASocket { .. })));
    let datagrams = directory.path().join("datagrams");
    let _socket = UnixDatagram::bind(&datagrams).unwrap();
    assert!(matches!(bind(&datagrams), Err(ListeningError::Unclear { .. })));
    assert!(fs::symlink_metadata(&datagrams).is_ok());
}

#[test]
fn of_many_who_start_at_one_moment_one_listens() {
    let (directory, path) = place();
    leave_dead(&path);
    let start = Arc::new(Barrier::new(8));
    let starters: Vec<_> = (0..8)
        .map(|_| {
            let (start, path) = (Arc::clone(&start), path.clone());
            thread::spawn(move || {
                start.wait();
                bind(&path)
            })
        })
        .collect();
    let results: Vec<_> = starters.into_iter().map(|starter| starter.join().unwrap()).collect();
    let listening = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(listening, 1, "{results:?}");
    let in_use =
        |result: &&Result<Listener, _>| matches!(result, Err(ListeningError::InUse { .. }));
    assert_eq!(results.iter().filter(in_use).count(), 7, "{results:?}");
    assert_eq!(files_in(&directory), ["sds.sock", "sds.sock.lock"]);
}

#[test]
fn closing_takes_away_what_is_ours_and_nothing_else() {
    let (directory, path) = place();
    bind(&path).unwrap().close().unwrap();
    assert_eq!(files_in(&directory), ["sds.sock.lock"]);
    let ours = bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let theirs = UnixListener::bind(&path).unwrap();
    ours.close().unwrap();
    UnixStream::connect(&path).unwrap();
    drop(theirs);
}

#[test]
fn the_longest_path_works_and_a_longer_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("d".repeat(90 - directory.path().as_os_str().len()));
    let path = folder.join("s".repeat(MAX_PATH - 92));
    assert_eq!(path.as_os_str().len(), MAX_PATH);
    let listener = bind(&path).unwrap();
    UnixStream::connect(&path).unwrap();
    listener.close().unwrap();
    let error = bind(&folder.join("s".repeat(MAX_PATH - 91))).unwrap_err().to_string();
    assert!(error.contains("is 108 bytes long; a socket's path has at most 107"), "{error}");
}

#[test]
fn a_path_that_names_no_file_is_refused() {
    for path in ["/", "/run/", "..", ""] {
        let error = bind(Path::new(path)).unwrap_err();
        assert!(matches!(error, ListeningError::PathUnfit { .. }), "{path:?}: {error}");
    }
}

#[test]
fn only_this_machine_may_call_over_tcp() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let error = Listener::bind_tcp(address.parse().unwrap()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{address} can be reached from other")), "{error}");
    }
    let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.tcp_address().unwrap();
    std::net::TcpStream::connect(address).unwrap();
    assert_eq!(listener.in_words(), format!("tcp:{address}"));
    let taken = Listener::bind_tcp(address).unwrap_err().to_string();
    assert_eq!(taken, format!("cannot listen on {address}"));
}
