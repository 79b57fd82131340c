//! Processes that really connect: as other users, from other places, and gone.

use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{getegid, geteuid};
use tempfile::TempDir;

use super::*;
use crate::attest::process::{Agent, peer_of};
use crate::snapshot::Caller;

/// A socket that everybody may call, and a program to call it with.
struct Place {
    directory: TempDir,
    listener: UnixListener,
}

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let open = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        open(directory.path(), 0o755);
        let listener = UnixListener::bind(directory.path().join("sds.sock")).unwrap();
        open(&directory.path().join("sds.sock"), 0o666);
        Self { directory, listener }
    }

    /// A copy of curl, which connects and waits for an answer that never comes.
    fn program(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        // Not by this process: a program that somebody has open for writing cannot be executed, and
        // what another test starts holds all that is open here for a moment.
        let copied = Command::new("cp").arg(on_path("curl")).arg(&path).status().unwrap();
        assert!(copied.success());
        path
    }

    fn calling(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let socket = self.directory.path().join("sds.sock");
        command.args(["--silent", "--max-time", "60", "--unix-socket"]).arg(socket);
        command.arg("http://agent/").stdin(Stdio::null());
        command
    }

    fn run(&self, command: &mut Command) -> (Running, UnixStream) {
        let running = Running(command.spawn().unwrap());
        (running, self.accept())
    }

    fn accept(&self) -> UnixStream {
        // A process that never connects fails the test, and not the one who waits for it.
        rustix::net::sockopt::set_socket_timeout(
            &self.listener,
            rustix::net::sockopt::Timeout::Recv,
            Some(Duration::from_secs(30)),
        )
        .unwrap();
        self.listener.accept().expect("somebody connects").0
    }
}

/// Where a program lies.
fn on_path(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name));
    let found = found.filter(|path| path.is_file()).find(|path| fs::canonicalize(path).is_ok());
    found.unwrap_or_else(|| panic!("{name} is needed: make debian says how to install it"))
}

/// As coreutils compute it, so that nobody agrees with themselves.
fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

/// The user and group to run as: other ones, where this process may choose.
fn other_user(command: &mut Command) -> (u32, u32) {
    if geteuid().is_root() {
        command.uid(1337).gid(1338);
        return (1337, 1338);
    }
    eprintln!("not root: other users are not tried");
    (geteuid().as_raw(), getegid().as_raw())
}

#[test]
fn a_process_is_known_by_its_user_its_program_and_its_hash() {
    let place = Place::new();
    let program = place.program("my envoy");
    let mut command = place.calling(&program);
    let (uid, gid) = other_user(&mut command);
    let (running, stream) = place.run(&mut command);
    let hash = sha256(&program);
    let wanted = |hash: String| {
        process(|selectors| {
            selectors.uid = Some(uid);
            selectors.executable = Some(program.clone());
            selectors.sha256 = Some(hash);
        })
    };
    let (mesh, attestor) = mesh(&[
        ("front", vec![wanted(hash.clone())]),
        ("blue", vec![wanted("0".repeat(64))]),
        ("green", vec![Grant::Any, process(|selectors| selectors.gid = Some(gid))]),
    ]);
    let caller = attestor.process(stream.as_fd());
    let pid = running.0.id();
    let expected = format!("uid {uid}, gid {gid}, pid {pid} ({})", program.display());
    assert!(caller.in_words().starts_with(&expected), "{}", caller.in_words());
    assert_eq!(names(&caller.view()), ["front", "green"]);
    assert_eq!(caller.view().own(&["green"]).unwrap().as_str(), "front");
    // Somebody else's.
    grant(&mesh, &[("front", vec![process(|selectors| selectors.uid = Some(uid + 1))])]);
    assert_eq!(names(&caller.view()), ["green"]);
}

#[test]
fn what_hangs_on_a_program_that_was_not_read_is_not_known_at_once() {
    let place = Place::new();
    let program = place.program("envoy");
    let (_running, stream) = place.run(&mut place.calling(&program));
    let uid = geteuid().as_raw();
    let of_uid = process(|selectors| selectors.uid = Some(uid));
    let (mesh, attestor) = mesh(&[("front", vec![of_uid.clone()])]);
    let caller = attestor.process(stream.as_fd());
    assert_eq!(names(&caller.view_at_once().unwrap()), ["front"]);
    // An edit, while it is connected.
    let of_program = |hash: &str| process(|selectors| selectors.sha256 = Some(hash.to_owned()));
    grant(&mesh, &[("blue", vec![of_program(&sha256(&program))])]);
    assert!(caller.view_at_once().is_none());
    assert_eq!(names(&caller.view()), ["blue", "front"]);
    assert_eq!(names(&caller.view_at_once().unwrap()), ["blue", "front"]);
    // What was read once is known, whoever asks and whatever hangs on it.
    grant(&mesh, &[("green", vec![of_program(&"0".repeat(64))])]);
    assert_eq!(names(&caller.view_at_once().unwrap()), ["blue", "front"]);
}

#[test]
fn a_program_replaced_while_it_runs_is_still_itself() {
    let place = Place::new();
    let program = place.program("envoy");
    let hash = sha256(&program);
    let (_running, stream) = place.run(&mut place.calling(&program));
    let newer = place.directory.path().join("newer");
    fs::write(&newer, "another program").unwrap();
    fs::rename(&newer, &program).unwrap();
    let by_path = process(|selectors| selectors.executable = Some(program.clone()));
    let by_hash = |hash| vec![process(|selectors| selectors.sha256 = Some(hash))];
    let (_mesh, attestor) = mesh(&[
        ("front", by_hash(hash)),
        ("blue", by_hash(sha256(&program))),
        ("green", vec![by_path]),
    ]);
    let caller = attestor.process(stream.as_fd());
    assert_eq!(names(&caller.view()), ["front", "green"]);
}

#[test]
fn a_process_that_is_gone_is_nobody_in_particular() {
    let place = Place::new();
    let mut command = place.calling(&place.program("envoy"));
    let (uid, gid) = other_user(&mut command);
    let (mut running, stream) = place.run(&mut command);
    running.0.kill().unwrap();
    running.0.wait().unwrap();
    let (_mesh, attestor) = mesh(&[
        ("front", vec![process(|selectors| selectors.uid = Some(uid))]),
        ("blue", vec![Grant::Any]),
    ]);
    let caller = attestor.process(stream.as_fd());
    assert_eq!(names(&caller.view()), ["blue"]);
    let pid = running.0.id();
    let expected = format!("uid {uid}, gid {gid}, pid {pid} (gone before it could be looked at)");
    assert_eq!(caller.in_words(), expected);
}

#[test]
fn who_inherits_a_connection_is_not_taken_for_who_made_it() {
    let place = Place::new();
    // The parent connects, leaves the connection to a child and ends.
    let script = "import os, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
if os.fork() == 0:
    connection.recv(1)
";
    let mut parent = Command::new("python3")
        .args(["-c", script])
        .arg(place.directory.path().join("sds.sock"))
        .spawn()
        .unwrap();
    let mut stream = place.accept();
    assert!(parent.wait().unwrap().success());
    let (_mesh, attestor) = mesh(&[
        ("front", vec![process(|selectors| selectors.uid = Some(geteuid().as_raw()))]),
        ("blue", vec![]),
    ]);
    let caller = attestor.process(stream.as_fd());
    assert!(caller.in_words().contains("gone before"), "{}", caller.in_words());
    assert!(caller.view().is_empty());
    // The child is there: it goes when the connection does.
    stream.set_nonblocking(true).unwrap();
    let nothing = stream.read(&mut [0]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_node_that_grants_nothing_is_for_who_is_as_the_agent_is() {
    let place = Place::new();
    let path = place.directory.path().join("sds.sock");
    let itself = UnixStream::connect(&path).unwrap();
    let accepted = place.accept();
    let (_mesh, attestor) = mesh(&[("front", vec![]), ("blue", vec![Grant::Any])]);
    let caller = attestor.process(accepted.as_fd());
    assert_eq!(names(&caller.view()), ["front", "blue"]);
    assert_eq!(caller.view().own(&[]).unwrap().as_str(), "front");
    assert!(caller.in_words().contains(&format!("pid {} (", std::process::id())));
    drop(itself);
    if !geteuid().is_root() {
        eprintln!("not root: another user and another mount namespace are not tried");
        return;
    }
    let program = place.program("envoy");
    let (_running, stream) = place.run(place.calling(&program).uid(1337));
    assert_eq!(names(&attestor.process(stream.as_fd()).view()), ["blue"]);
    let namespaces = Command::new("unshare").args(["--mount", "true"]).status();
    if !namespaces.is_ok_and(|status| status.success()) {
        eprintln!("no mount namespaces here: one's own is not tried");
        return;
    }
    let call = place.calling(&program);
    let mut elsewhere = Command::new("unshare");
    elsewhere.arg("--mount").arg(call.get_program()).args(call.get_args());
    let (_running, stream) = place.run(&mut elsewhere);
    let caller = attestor.process(stream.as_fd());
    assert_eq!(names(&caller.view()), ["blue"], "{}", caller.in_words());
}

#[test]
fn over_tcp_nobody_is_anybody_in_particular() {
    let (_mesh, attestor) = mesh(&[
        ("front", vec![]),
        ("blue", vec![Grant::Any]),
        ("green", vec![process(|selectors| selectors.uid = Some(geteuid().as_raw()))]),
    ]);
    let caller = attestor.remote("127.0.0.1:4321".parse().unwrap());
    assert_eq!(names(&caller.view()), ["blue"]);
    assert!(caller.in_words().starts_with("127.0.0.1:4321, "), "{}", caller.in_words());
}

#[test]
fn the_facts_are_those_that_the_system_shows() {
    let (one, _other) = UnixStream::pair().unwrap();
    let process = peer_of(one.as_fd(), &Agent::new()).unwrap().unwrap();
    assert_eq!(process.pid, std::process::id().cast_signed());
    assert_eq!(process.facts.executable, Some(std::env::current_exe().unwrap()));
    assert!(process.facts.as_agent);
    // Clock ticks are hundredths of a second (proc_pid_stat(5), USER_HZ).
    let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime).tv_sec;
    let started = i64::try_from(process.started).unwrap() / 100;
    assert!((1..=up).contains(&started), "started at {started} s of {up} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mesh_that_comes_to_want_a_hash_gets_it_from_async_threads_too() {
    let place = Place::new();
    let (_running, stream) = place.run(&mut place.calling(&place.program("envoy")));
    let hash = sha256(&place.directory.path().join("envoy"));
    let (mesh, attestor) = mesh(&[]);
    let caller: Arc<dyn Caller> = attestor.process(stream.as_fd());
    assert!(caller.view().is_empty());
    grant(&mesh, &[("front", vec![process(|selectors| selectors.sha256 = Some(hash))])]);
    let view = tokio::spawn(async move { caller.view() }).await.unwrap();
    assert_eq!(names(&view), ["front"]);
}

#[test]
fn connections_count_together_by_process() {
    let place = Place::new();
    let (_mesh, attestor) = mesh(&[]);
    let own: Vec<_> = (0..2)
        .map(|_| {
            let calling = UnixStream::connect(place.directory.path().join("sds.sock")).unwrap();
            let origin = attestor.process(place.accept().as_fd()).origin();
            drop(calling);
            origin
        })
        .collect();
    assert_eq!(own[0], own[1]);
    let origin = |command: &mut Command| {
        let (_running, socket) = place.run(command);
        attestor.process(socket.as_fd()).origin()
    };
    let program = place.program("curl");
    let others = [0, 1].map(|_| origin(&mut place.calling(&program)));
    // In a container, all that runs there is one.
    let inside = own[0].starts_with("container ");
    assert_eq!((others[0] == others[1], others[0] == own[0]), (inside, inside));
    let remote = |port| attestor.remote(([127, 0, 0, 1], port).into()).origin();
    assert_eq!(remote(1), remote(2));
}
