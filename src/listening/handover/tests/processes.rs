//! A predecessor that is a process of its own: this test program, run again.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use super::*;

const SOCKET: &str = "CERTCTL_TEST_SOCKET";

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn predecessor(path: &Path) -> Running {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored"]);
    command.arg("listening::handover::tests::processes::what_the_predecessor_does");
    Running(command.env(SOCKET, path).stdout(Stdio::null()).spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the tests below, in a process of its own"]
async fn what_the_predecessor_does() {
    let path = PathBuf::from(std::env::var_os(SOCKET).expect("set by the tests below"));
    let listeners = vec![bind(&path)];
    let serving = answering(&listeners, "old");
    let server = HandoverServer::bind(&path).unwrap();
    server.serve(&listeners, &mut Notes::default()).await;
    serving.abort();
    listeners.into_iter().for_each(|listener| listener.close().unwrap());
}

/// Asks until somebody is there to be asked.
async fn receive(path: &Path) -> Received {
    let asking = async {
        loop {
            match request(path, PATIENCE).await.unwrap() {
                Some(received) => return received,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("the other process starts")
}

async fn answer(path: &Path) -> String {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || call(&path)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_ends_and_the_next_one_serves_without_a_refusal() {
    let (_directory, path) = place();
    let mut running = predecessor(&path);
    // Given back unused, which also shows that it is there.
    drop(receive(&path).await);
    assert_eq!(answer(&path).await, "old");
    let before = inode(&path);
    let calling = Calling::begin(&path).await;
    let listeners = receive(&path).await.take().await.unwrap();
    let serving = answering(&listeners, "new");
    let ended = tokio::task::spawn_blocking(move || running.0.wait().unwrap()).await.unwrap();
    assert!(ended.success());
    assert_eq!((answer(&path).await.as_str(), inode(&path)), ("new", before));
    calling.end().await;
    serving.abort();
    listeners.into_iter().for_each(|listener| listener.close().unwrap());
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_in_the_middle_of_it_loses_no_socket() {
    let (_directory, path) = place();
    let mut running = predecessor(&path);
    let received = receive(&path).await;
    let before = inode(&path);
    running.0.kill().unwrap();
    running.0.wait().unwrap();
    // Calls wait in the queue, which is ours too.
    let waiting = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || call(&path))
    };
    let listeners = received.take().await.unwrap();
    let serving = answering(&listeners, "new");
    assert_eq!((waiting.await.unwrap().as_str(), inode(&path)), ("new", before));
    serving.abort();
    // What the killed one left is no obstacle.
    drop(HandoverServer::bind(&path).unwrap());
}

#[tokio::test]
async fn another_user_gets_nothing_whatever_the_file_permits() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: another user is not tried");
        return;
    }
    let (directory, path) = place();
    let notes = Notes::default();
    let waiting = waiting(&path, vec![bind(&path)], &notes);
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    open(directory.path(), 0o755);
    open(&meeting_point(&path), 0o666);
    let mut caller = Command::new("curl");
    caller.args(["--silent", "--http0.9", "--max-time", "30", "--output", "-", "--unix-socket"]);
    caller.arg(meeting_point(&path)).arg("http://agent/").uid(1337).gid(1337);
    let answer = tokio::task::spawn_blocking(move || caller.output().unwrap()).await.unwrap();
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert!(answer.contains("only this process's own user and root may replace it"), "{answer}");
    assert!(notes.taken().is_empty() && !waiting.is_finished());
}
