//! A process that connected, as proc(5) shows it, pinned while it is looked at.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::socket::{MsgFlags, getsockopt, recv, sockopt};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::cgroup::{self, Cgroup};

/// What the kernel says of a caller, and nothing that differs between two processes alike: equal
/// facts are granted the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Facts {
    /// Effective, when it connected.
    pub(super) uid: u32,
    /// Effective, when it connected.
    pub(super) gid: u32,
    pub(super) executable: Option<PathBuf>,
    pub(super) cgroup: Cgroup,
    /// It runs as the agent's own user, and sees the files that the agent sees.
    pub(super) as_agent: bool,
}

/// Which file a program was started from, and in which state that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileIdentity {
    device: u64,
    inode: u64,
    pub(super) size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A process that was there while it was looked at.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: i32,
    /// In clock ticks since boot (proc_pid_stat(5), field 22).
    pub(super) started: u64,
    pub(super) program: Option<FileIdentity>,
    /// Why the executable is not known, where it isn't.
    pub(super) obstacle: Option<io::ErrorKind>,
    pub(super) facts: Facts,
}

/// A process of which only who it ran as is known.
#[derive(Debug)]
pub(super) struct Stranger {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// 0 where it is of a PID namespace that the agent cannot see.
    pub(super) pid: i32,
}

/// The agent itself, for those who are as it is.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) uid: u32,
    mount_namespace: Option<PathBuf>,
}

impl Agent {
    pub(super) fn new() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
            mount_namespace: fs::read_link("/proc/self/ns/mnt").ok(),
        }
    }
}

/// Looks at the process that connected `socket`. One that is gone, or of another PID namespace, is
/// a stranger.
///
/// # Errors
/// When the socket has no peer whom the kernel knows.
pub(super) fn peer_of(
    socket: BorrowedFd<'_>,
    agent: &Agent,
) -> io::Result<Result<Process, Stranger>> {
    let credentials = getsockopt(&socket, sockopt::PeerCredentials)?;
    let (uid, gid, pid) = (credentials.uid(), credentials.gid(), credentials.pid());
    let looked = Pinned::new(socket, pid).and_then(|pinned| {
        let process = pinned.look(uid, gid, agent)?;
        pinned.is_still_there(socket).then_some(process)
    });
    Ok(looked.ok_or(Stranger { uid, gid, pid }))
}

/// A process whose number is nobody else's for as long as it has not been waited for.
struct Pinned {
    pid: i32,
    descriptor: OwnedFd,
    /// The kernel itself said whose connection it is. Otherwise (before Linux 6.5) the number was
    /// looked up a moment after the connection was made: should the process have ended in between,
    /// its connection live on elsewhere, and its number be given anew, the new one is taken for it.
    by_the_kernel: bool,
}

impl Pinned {
    fn new(socket: BorrowedFd<'_>, pid: i32) -> Option<Self> {
        match getsockopt(&socket, sockopt::PeerPidfd) {
            // The number is of no use where the process has none here.
            Ok(descriptor) => (pid > 0).then_some(Self { pid, descriptor, by_the_kernel: true }),
            Err(nix::errno::Errno::ENOPROTOOPT) => Self::by_number(pid),
            Err(_) => None,
        }
    }

    fn by_number(pid: i32) -> Option<Self> {
        let descriptor = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        Some(Self { pid, descriptor, by_the_kernel: false })
    }

    fn look(&self, uid: u32, gid: u32, agent: &Agent) -> Option<Process> {
        let proc = PathBuf::from(format!("/proc/{}", self.pid));
        let started = started(self.pid)?;
        let (executable, program, obstacle) = match executable(&proc.join("exe")) {
            Ok((path, program)) => (Some(path), Some(program), None),
            Err(error) => (None, None, Some(error.kind())),
        };
        let cgroup = fs::read_to_string(proc.join("cgroup"));
        let cgroup = cgroup.map(|text| cgroup::parse(&text)).unwrap_or_default();
        let mount_namespace = fs::read_link(proc.join("ns/mnt")).ok();
        let as_agent = uid == agent.uid
            && mount_namespace.is_some()
            && mount_namespace == agent.mount_namespace;
        let facts = Facts { uid, gid, executable, cgroup, as_agent };
        Some(Process { pid: self.pid, started, program, obstacle, facts })
    }

    /// Whether what was read under its number was read of it: a number is given anew only when its
    /// process is gone, and then the descriptor has none any more (pidfd_open(2), fdinfo).
    fn is_still_there(&self, socket: BorrowedFd<'_>) -> bool {
        let path = format!("/proc/self/fdinfo/{}", self.descriptor.as_raw_fd());
        let Ok(text) = fs::read_to_string(path) else { return false };
        let pid = text.lines().find_map(|line| line.strip_prefix("Pid:"));
        let same = pid.and_then(|pid| pid.trim().parse().ok()) == Some(self.pid);
        same && (self.by_the_kernel || is_connected(socket))
    }
}

/// Whether somebody still holds the other end.
fn is_connected(socket: BorrowedFd<'_>) -> bool {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    !matches!(recv(socket.as_raw_fd(), &mut [0], flags), Ok(0))
}

/// When a process started; nothing else has both its number and this moment, unless all numbers
/// were used up within one clock tick.
pub(super) fn started(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in brackets that may itself have brackets and blanks.
    let rest = &text[text.rfind(')')? + 1..];
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The path of a process's program as it sees it, and the file that this is.
fn executable(link: &Path) -> io::Result<(PathBuf, FileIdentity)> {
    let path = fs::read_link(link)?;
    let metadata = fs::metadata(link)?;
    let bytes = path.as_os_str().as_bytes();
    // An upgrade removes a program that runs; a file may also be called so.
    let path = match bytes.strip_suffix(b" (deleted)") {
        Some(name) if metadata.nlink() == 0 => {
            PathBuf::from(std::ffi::OsString::from_vec(name.to_vec()))
        }
        _ => path,
    };
    Ok((path, FileIdentity::of(&metadata)))
}

impl FileIdentity {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::process::Command;

    use super::*;

    /// As on a kernel that does not say whose connection it is.
    #[test]
    fn a_process_pinned_by_its_number_is_believed_while_it_is_there_and_connected() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pinned = Pinned::by_number(child.id().cast_signed()).unwrap();
        let agent = Agent::new();
        let process = pinned.look(agent.uid, 0, &agent).unwrap();
        assert_eq!(process.pid, child.id().cast_signed());
        assert!(pinned.is_still_there(ours.as_fd()));
        drop(theirs);
        // A process that another test starts holds the other end until it executes its program.
        let start = tokio::time::Instant::now();
        while pinned.is_still_there(ours.as_fd()) {
            assert!(start.elapsed().as_secs() < 30, "its connection is closed");
            std::thread::yield_now();
        }
        let (ours, _theirs) = UnixStream::pair().unwrap();
        assert!(pinned.is_still_there(ours.as_fd()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!pinned.is_still_there(ours.as_fd()), "it is gone");
        assert!(Pinned::by_number(0).is_none());
    }

    #[test]
    fn a_process_that_nobody_has_waited_for_has_no_program_any_more() {
        let mut child = Command::new("true").spawn().unwrap();
        let pinned = Pinned::by_number(child.id().cast_signed()).unwrap();
        // Ended, and still in the table: only `wait` takes it out.
        let ended = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        let id = rustix::process::WaitId::PidFd(pinned.descriptor.as_fd());
        rustix::process::waitid(id, ended).unwrap();
        let agent = Agent::new();
        let process = pinned.look(agent.uid, 0, &agent).unwrap();
        assert_eq!((process.facts.executable, process.facts.as_agent), (None, false));
        child.wait().unwrap();
    }
}
