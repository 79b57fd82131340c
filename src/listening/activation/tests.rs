//! Descriptors passed to a real process: this test program, run again.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};

use super::*;

/// What the child says, between these.
const MARK: &str = "§";

/// Runs [`what_the_child_takes`] with `passed` as its descriptor 3 and these variables, as a
/// service manager would; `$$` is the child's own number.
fn child(passed: impl Into<OwnedFd>, variables: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("exec env {variables} \"$0\" \"$@\" 3<&0 </dev/null");
    command.args(["-c", &script]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "listening::activation::tests::what_the_child_takes"]);
    command.args(["--ignored", "--nocapture"]).stdin(Stdio::from(passed.into()));
    command
}

fn said_by(mut child: Command) -> String {
    let output = child.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split(MARK).nth(1).unwrap_or_else(|| panic!("the child said: {text}")).to_owned()
}

#[test]
#[ignore = "run by the tests below, in a process of its own"]
fn what_the_child_takes() {
    let taken = inherited();
    let words = match &taken {
        Ok(listeners) => {
            let words: Vec<_> = listeners.iter().map(Listener::in_words).collect();
            format!("{words:?}")
        }
        Err(error) => error.to_string(),
    };
    println!("{MARK}{words}{MARK}");
    let Some(Socket::Unix(socket)) = taken.ok().and_then(|mut taken| Some(taken.pop()?.socket))
    else {
        return;
    };
    let flags = rustix::io::fcntl_getfd(&socket).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    assert!(std::env::var_os("LISTEN_FDS").is_none());
    socket.accept().unwrap().0.write_all(b"served").unwrap();
}

#[test]
fn a_socket_that_was_passed_is_served_under_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sds.sock");
    let socket = UnixListener::bind(&path).unwrap();
    // In the queue before the process exists.
    let mut caller = UnixStream::connect(&path).unwrap();
    let variables = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=sds";
    assert_eq!(said_by(child(socket, variables)), "[\"the inherited socket sds\"]");
    let mut answer = String::new();
    caller.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "served");
}

#[test]
fn a_passed_socket_that_nobody_can_call_is_refused() {
    let (connected, _other) = UnixStream::pair().unwrap();
    let refusals: [(OwnedFd, &str); 3] = [
        (connected.into(), "a connected socket"),
        (UnixDatagram::unbound().unwrap().into(), "datagrams"),
        (std::fs::File::open("/dev/null").unwrap().into(), "no socket"),
    ];
    for (passed, what) in refusals {
        let said = said_by(child(passed, "LISTEN_PID=$$ LISTEN_FDS=1"));
        let expected = "socket activation passed number 0 as descriptor 3, which is not a \
                        listening stream socket";
        assert!(said.starts_with(expected), "{what}: {said}");
    }
    let open = TcpListener::bind("0.0.0.0:0").unwrap();
    let said = said_by(child(open, "LISTEN_PID=$$ LISTEN_FDS=1"));
    assert!(said.contains("can be reached from other machines"), "{said}");
}

#[test]
fn sockets_that_are_for_another_process_are_not_taken() {
    let null = || std::fs::File::open("/dev/null").unwrap();
    for variables in ["LISTEN_PID=1 LISTEN_FDS=1", "LISTEN_FDS=1", "LISTEN_PID=$$"] {
        assert_eq!(said_by(child(null(), variables)), "[]", "{variables}");
    }
}

#[test]
fn a_count_that_nobody_means_is_refused() {
    let null = || std::fs::File::open("/dev/null").unwrap();
    for count in ["65", "4000000000", "-1", "one"] {
        let said = said_by(child(null(), &format!("LISTEN_PID=$$ LISTEN_FDS={count}")));
        let expected = format!("LISTEN_FDS is {count:?}: expected a number");
        assert!(said.starts_with(&expected), "{said}");
    }
}
