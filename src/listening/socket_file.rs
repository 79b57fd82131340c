//! A listening socket at a path: put there whole, in the place of a dead one, and taken away only
//! while it is ours.

use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt};
use rustix::fs::{self, AtFlags, FileType, FlockOperation, Gid, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};
use serde::{Deserialize, Serialize};

use super::address::{Place, check_path, system, with_suffix};
use super::{ListeningError, SocketAccess};

/// How many callers may wait to be accepted; the kernel lowers it to `net.core.somaxconn`. A caller
/// that finds the queue full is refused if it does not wait, as Envoy does not.
const BACKLOG: i32 = 4096;

/// How often a lock is tried, and how long after one try the next: five seconds in all.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);

/// A socket's file, known again by its inode.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct SocketFile {
    pub(super) path: PathBuf,
    device: u64,
    inode: u64,
}

/// What lies where a socket shall be.
enum Occupant {
    Nobody,
    /// A socket that refuses: whoever listened is gone.
    Dead,
}

/// Binds a socket in a file beside `path` and renames it into its place, so that at no moment
/// somebody finds a socket there that does not listen.
pub(super) fn bind(
    path: &Path,
    access: SocketAccess,
) -> Result<(UnixListener, SocketFile), ListeningError> {
    check_path(path)?;
    access.check()?;
    bind_anywhere(path, access)
}

/// The same for a socket that only we call, by way of [`Place::address`]: its path may be longer.
pub(super) fn bind_anywhere(
    path: &Path,
    access: SocketAccess,
) -> Result<(UnixListener, SocketFile), ListeningError> {
    let place = Place::make(path, access.is_shared())?;
    let _lock = lock(&place, TRIES)?;
    let occupant = occupant(&place, path)?;
    // Nobody else's, not even in another PID namespace that has the directory too.
    let temporary = format!(".certctl-{:016x}", RandomState::new().build_hasher().finish()).into();
    let bound = listen(&place, &temporary, access)
        .and_then(|(socket, stat)| put(&place, &temporary, &occupant).map(|()| (socket, stat)));
    let (socket, stat) = bound.inspect_err(|_| {
        // Best effort: the failure itself is what matters, and what is left disturbs nobody.
        let _ = fs::unlinkat(&place.directory, &temporary, AtFlags::empty());
    })?;
    let file = SocketFile { path: path.to_owned(), device: stat.st_dev, inode: stat.st_ino };
    Ok((UnixListener::from(socket), file))
}

impl SocketFile {
    /// Whether the file lies at its path.
    pub(super) fn is_there(&self) -> bool {
        std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode))
    }

    /// Takes the file away if it is still the one that we put there.
    pub(super) fn remove(&self) -> Result<(), ListeningError> {
        let place = Place::open(&self.path)?;
        let _lock = lock(&place, TRIES)?;
        match fs::statat(&place.directory, &place.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if (stat.st_dev, stat.st_ino) == (self.device, self.inode) => {
                fs::unlinkat(&place.directory, &place.name, AtFlags::empty())
                    .map_err(|errno| system("remove", &self.path, errno))
            }
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(system("look at", &self.path, errno)),
        }
    }
}

/// Keeps apart two who start at one moment, for as long as the file is open. The file stays: who
/// waits for it must not come to hold a file that is no longer there. Who holds it needs it for
/// milliseconds; one that does not give it back is told of, and not waited for.
fn lock(place: &Place, tries: u32) -> Result<OwnedFd, ListeningError> {
    let name = with_suffix(&place.name, ".lock");
    let path = place.beside(&name);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = fs::openat(&place.directory, &name, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|errno| system("open", &path, errno))?;
    for _ in 0..tries {
        match fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::park_timeout(PAUSE),
            Err(errno) => return Err(system("lock", &path, errno)),
        }
    }
    Err(ListeningError::Locked { path })
}

/// Says whether the place is free to be taken.
fn occupant(place: &Place, path: &Path) -> Result<Occupant, ListeningError> {
    match fs::statat(&place.directory, &place.name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(Occupant::Nobody),
        Err(errno) => return Err(system("look at", path, errno)),
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Socket => {
            return Err(ListeningError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    // A queue that is full shows somebody alive; it must not make us wait.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let caller = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(|errno| system("call", path, errno))?;
    let address = place.address(&place.name).map_err(|source| system("call", path, source))?;
    match net::connect(&caller, &address) {
        Ok(()) => Err(ListeningError::InUse { path: path.to_owned(), by: listener_of(&caller) }),
        Err(Errno::AGAIN) => {
            let by = "a process that does not answer".to_owned();
            Err(ListeningError::InUse { path: path.to_owned(), by })
        }
        Err(Errno::CONNREFUSED) => Ok(Occupant::Dead),
        Err(Errno::NOENT) => Ok(Occupant::Nobody),
        Err(errno) => Err(ListeningError::Unclear { path: path.to_owned(), source: errno.into() }),
    }
}

/// Who listens on the other side of a connected socket: the kernel keeps who called listen(2).
fn listener_of(caller: &OwnedFd) -> String {
    let listener = getsockopt(caller, sockopt::PeerCredentials).map(|listener| listener.pid());
    // One of another PID namespace has no number here.
    let Some(pid) = listener.ok().filter(|pid| *pid != 0) else {
        return "another process".to_owned();
    };
    match std::fs::read_link(format!("/proc/{pid}/exe")) {
        Ok(executable) => format!("process {pid} ({})", executable.display()),
        Err(_) => format!("process {pid}"),
    }
}

/// A listening socket under a name that nobody calls.
fn listen(
    place: &Place,
    name: &OsString,
    access: SocketAccess,
) -> Result<(OwnedFd, fs::Stat), ListeningError> {
    let path = place.beside(name);
    let failed = |operation| {
        let path = path.clone();
        move |errno: Errno| system(operation, &path, errno)
    };
    let socket =
        net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .map_err(failed("make a socket for"))?;
    let address = place.address(name).map_err(|source| system("bind", &path, source))?;
    net::bind(&socket, &address).map_err(failed("bind"))?;
    // Before it listens: until then nobody can connect, whatever the umask left.
    set_access(place, name, access).map_err(failed("set the access of"))?;
    net::listen(&socket, BACKLOG).map_err(failed("listen on"))?;
    let stat =
        fs::statat(&place.directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("look at"))?;
    Ok((socket, stat))
}

/// Sets who may call the socket of this name. Whoever else may write to the directory may have put
/// a link to something else there since: what is changed is what was opened, if it is our socket.
fn set_access(place: &Place, name: &OsString, access: SocketAccess) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = fs::openat(&place.directory, name, flags, Mode::empty())?;
    let stat = fs::fstat(&file)?;
    let is_ours = stat.st_uid == rustix::process::geteuid().as_raw();
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket || !is_ours {
        return Err(Errno::NOTSOCK);
    }
    if let Some(group) = access.group {
        fs::chownat(&file, c"", None, Some(Gid::from_raw(group)), AtFlags::EMPTY_PATH)?;
    }
    // The descriptor's own link leads to that file and no other, whatever its name is by now.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    fs::chmodat(fs::CWD, path, Mode::from_raw_mode(access.mode), AtFlags::empty())
}

/// Renames the socket into its place; where nobody was, nobody else's is overwritten.
fn put(place: &Place, temporary: &OsString, occupant: &Occupant) -> Result<(), ListeningError> {
    let path = place.beside(&place.name);
    let flags = match occupant {
        Occupant::Dead => RenameFlags::empty(),
        Occupant::Nobody => RenameFlags::NOREPLACE,
    };
    let directory = &place.directory;
    match fs::renameat_with(directory, temporary, directory, &place.name, flags) {
        // Not every file system knows how to refuse to replace.
        Err(Errno::INVAL | Errno::NOSYS) if matches!(occupant, Occupant::Nobody) => {
            fs::renameat(directory, temporary, directory, &place.name)
        }
        put => put,
    }
    .map_err(|errno| match errno {
        Errno::EXIST => {
            ListeningError::InUse { path, by: "a process that came between".to_owned() }
        }
        errno => {
            let path: &Path = &place.beside(&place.name);
            let source: io::Error = errno.into();
            system("put the socket at", path, source)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_lock_that_is_not_given_back_is_told_of_and_one_that_is_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::open(&directory.path().join("sds.sock")).unwrap();
        let held = lock(&place, 1).unwrap();
        let told = lock(&place, 3).unwrap_err().to_string();
        let path = directory.path().join("sds.sock.lock");
        assert!(told.starts_with(&format!("{} has been locked", path.display())), "{told}");
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| lock(&place, TRIES));
            drop(held);
            waiting.join().unwrap().unwrap();
        });
    }

    #[test]
    fn only_our_own_socket_is_opened_to_others_and_never_what_a_link_leads_to() {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("key.pem");
        std::fs::write(&key, "a key").unwrap();
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&key, private).unwrap();
        let place = Place::open(&directory.path().join("sds.sock")).unwrap();
        symlink(&key, directory.path().join("link")).unwrap();
        let _socket = UnixListener::bind(directory.path().join("socket")).unwrap();
        let access = SocketAccess { mode: 0o666, group: None };
        for name in ["link", "key.pem"] {
            assert_eq!(set_access(&place, &name.into(), access), Err(Errno::NOTSOCK), "{name}");
        }
        assert_eq!(std::fs::metadata(&key).unwrap().mode() & 0o777, 0o600);
        set_access(&place, &"socket".into(), access).unwrap();
        let socket = std::fs::metadata(directory.path().join("socket")).unwrap();
        assert_eq!(socket.mode() & 0o777, 0o666);
    }
}
