//! The lock that keeps runs apart.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use rustix::fs::{self, FlockOperation, Mode, OFlags};
use rustix::io::{self, Errno};

use super::FilesError;
use super::folder::Folder;
use super::seam::step;

const LOCK_FILE: &str = "..lock";

/// What came of asking for the lock.
pub(super) enum Lock {
    /// Another run holds it.
    Held,
    /// It is ours until the directory and this file, if any, are closed.
    Taken(Option<OwnedFd>),
}

impl Folder {
    /// Takes this directory's lock, or says that another run holds it.
    pub(super) fn lock(&self, wait: bool) -> Result<Lock, FilesError> {
        let operation = match wait {
            true => FlockOperation::LockExclusive,
            false => FlockOperation::NonBlockingLockExclusive,
        };
        let flock = |file: &OwnedFd, name: &'static str| {
            step("lock", self.path(), OsStr::new(name))?;
            io::retry_on_intr(|| fs::flock(file, operation))
        };
        let (name, locked) = match flock(&self.descriptor, "") {
            Ok(()) => return Ok(Lock::Taken(None)),
            // NFS locks only what is open for writing, which a directory cannot be.
            Err(Errno::BADF) => {
                let file = self.lock_file()?;
                (LOCK_FILE, flock(&file, LOCK_FILE).map(|()| Lock::Taken(Some(file))))
            }
            Err(errno) => ("", Err(errno)),
        };
        match locked {
            Err(Errno::WOULDBLOCK) => Ok(Lock::Held),
            locked => locked.map_err(|errno| self.failed("lock", name, errno)),
        }
    }

    fn lock_file(&self) -> Result<OwnedFd, FilesError> {
        let name = OsStr::new(LOCK_FILE);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = self.change("open", name, || fs::openat(&self.descriptor, name, flags, mode))?;
        self.change("set the mode of", name, || fs::fchmod(&file, mode))?;
        Ok(file)
    }
}
