//! Where the sockets lie, and who else is there.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};

use crate::MESH;
use crate::support::program::{self, PROGRAM};
use crate::support::{tools, wait};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The modes of a socket and of the directories that were made for it, under a umask of 077.
fn modes(flags: &str) -> [u32; 3] {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("mesh.yaml"), MESH).unwrap();
    let mut command = program::bare("sh", place.path());
    command.args(["-c", "umask 077; exec \"$@\" 2>log", "sh", PROGRAM, "agent"]);
    command
        .args(tools::split("--state state --sds run/certctl/sds.sock"))
        .args(tools::split(flags));
    let mut agent = command.spawn().unwrap();
    let socket = place.path().join("run/certctl/sds.sock");
    wait::until("the socket is there", || socket.exists().then_some(()));
    let modes = ["run", "run/certctl", "run/certctl/sds.sock"].map(|name| place.path().join(name));
    let modes = modes.map(|path| mode(&path));
    let asked = || program::run(place.path(), "status --sds run/certctl/sds.sock");
    wait::until("it serves", || (asked().code == Some(0)).then_some(()));
    assert_eq!(mode(&place.path().join("state")), 0o700);
    kill_process(Pid::from_raw(agent.id().cast_signed()).unwrap(), Signal::TERM).unwrap();
    assert!(agent.wait().unwrap().success());
    modes
}

#[test]
fn who_may_call_the_socket_can_reach_it_whatever_the_umask() {
    assert_eq!(modes("--sds-mode 0666"), [0o755, 0o755, 0o666]);
    assert_eq!(modes(""), [0o700, 0o700, 0o600], "nobody else needs to");
}

#[test]
fn directories_that_are_there_stay_as_they_are() {
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    fs::create_dir(&run).unwrap();
    fs::set_permissions(&run, fs::Permissions::from_mode(0o750)).unwrap();
    // The mesh file is read first: with a broken one there would be no socket.
    fs::write(place.path().join("mesh.yaml"), MESH).unwrap();
    fs::write(place.path().join("run/sds.sock"), "no socket").unwrap();
    program::run(place.path(), "agent --sds run/sds.sock --sds-mode 0666")
        .failed(&["not a socket"]);
    assert_eq!(mode(&run), 0o750);
}

#[test]
fn a_lock_that_somebody_keeps_is_told_of_and_not_waited_for_for_ever() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("mesh.yaml"), MESH).unwrap();
    let lock = File::create(place.path().join("sds.sock.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    program::run(place.path(), "agent --sds sds.sock")
        .failed(&["sds.sock.lock has been locked for five seconds", "start again"]);
    assert!(!place.path().join("sds.sock").exists());
}
