//! As a unit of systemd: its socket, its directories, its notifications. What the manager does is
//! done here by a shell, which knows its own process id and so the one of the agent that it becomes;
//! what systemd itself does with a socket is tried with its own program for that.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::MESH;
use crate::support::program::{self, PROGRAM};
use crate::support::{tools, wait};

/// A child that does not outlive its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_agent_takes_its_socket_from_systemd_and_tells_it_when_it_serves() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    fs::write(path("mesh.yaml"), MESH).unwrap();
    let socket = UnixListener::bind(path("sds.sock")).unwrap();
    let manager = UnixDatagram::bind(path("notify.sock")).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // Who calls before the agent is there waits in the queue.
    let early = UnixStream::connect(path("sds.sock")).unwrap();
    let unit = "export LISTEN_PID=$$; exec \"$0\" agent 3<&0 </dev/null";
    let mut command: Command = program::bare("sh", place.path());
    command
        .args(["-c", unit, PROGRAM])
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", "sds")
        .env("NOTIFY_SOCKET", path("notify.sock"))
        .env("STATE_DIRECTORY", path("state"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .stdin(OwnedFd::from(socket.try_clone().unwrap()));
    let mut agent = Ended(command.spawn().unwrap());
    let told = || {
        let mut bytes = [0; 100];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    assert_eq!(told(), format!("READY=1\nMAINPID={}", agent.0.id()));
    // It is asked beside its socket, as one that was told of it by --sds is.
    let ask = || program::run(place.path(), "status --sds sds.sock -o json");
    wait::until("every node is fresh", || {
        let status = ask().json();
        let nodes = status["nodes"].as_array().unwrap();
        nodes.iter().all(|node| node["state"] == "fresh").then_some(())
    });
    assert!(path("state/ca_1_key.pem").exists());
    drop(early);
    let pid = Pid::from_raw(agent.0.id().cast_signed()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(told(), "STOPPING=1");
    assert!(agent.0.wait().unwrap().success());
    assert!(path("sds.sock").exists() && !path("sds.sock.admin").exists());
    UnixStream::connect(path("sds.sock")).expect("systemd holds the socket on");
}

#[test]
fn systemd_itself_starts_an_agent_with_the_first_caller_and_hands_it_the_socket() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    fs::write(path("mesh.yaml"), MESH).unwrap();
    let socket = path("sds.sock");
    let activate = tools::system("systemd-socket-activate");
    let mut command: Command = program::bare(activate.to_str().unwrap(), place.path());
    command.arg("--listen").arg(&socket).args(["--fdname=sds", PROGRAM]);
    command.args(tools::split("agent -f mesh.yaml --state state"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut agent = Ended(command.spawn().unwrap());
    // It is there before it listens.
    let early = wait::until("somebody listens", || UnixStream::connect(&socket).ok());
    wait::until("every node is fresh", || {
        let asked = program::run(place.path(), "status --sds sds.sock -o json");
        let status = (asked.code == Some(0)).then(|| asked.json())?;
        assert_eq!(status["process"]["pid"], agent.0.id());
        let nodes = status["nodes"].as_array().unwrap();
        nodes.iter().all(|node| node["state"] == "fresh").then_some(())
    });
    let pid = Pid::from_raw(agent.0.id().cast_signed()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(agent.0.wait().unwrap().success());
    assert!(socket.exists(), "it is systemd's");
    drop(early);
}
