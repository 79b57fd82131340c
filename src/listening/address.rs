//! How a Unix socket is named to the kernel.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, Mode, OFlags};
use rustix::net::SocketAddrUnix;

use super::ListeningError;

/// The longest path of a socket in bytes: `sun_path` is 108 with its final zero (unix(7)).
pub(super) const MAX_PATH: usize = 107;

/// Whether a socket at `path` can be called by its path.
///
/// # Errors
/// When the path is too long for that.
pub fn check_path(path: &Path) -> Result<(), ListeningError> {
    match path.as_os_str().len() {
        ..=MAX_PATH => Ok(()),
        length => Err(ListeningError::PathTooLong { path: path.to_owned(), length }),
    }
}

/// A file's place: its directory, held open, and its name therein.
#[derive(Debug)]
pub(super) struct Place {
    /// The directory as it was given.
    pub(super) parent: PathBuf,
    /// The name in it.
    pub(super) name: OsString,
    pub(super) directory: OwnedFd,
}

impl Place {
    /// Opens the directory of `path`.
    pub(super) fn open(path: &Path) -> Result<Self, ListeningError> {
        let (parent, name) = split(path)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = fs::open(&parent, flags, Mode::empty())
            .map_err(|errno| system("open the directory", &parent, errno))?;
        Ok(Self { parent, name, directory })
    }

    /// Opens the directory of `path`, and makes it and those above it where they are missing: for
    /// everybody to pass through if `shared`, else as the umask has it.
    pub(super) fn make(path: &Path, shared: bool) -> Result<Self, ListeningError> {
        let (parent, _) = split(path)?;
        let missing: Vec<_> = parent.ancestors().take_while(|path| !path.is_dir()).collect();
        for directory in missing.into_iter().rev().filter(|path| !path.as_os_str().is_empty()) {
            make_directory(directory, shared)
                .map_err(|source| system("make the directory", directory, source))?;
        }
        Self::open(path)
    }

    /// The path of a file beside this one.
    pub(super) fn beside(&self, name: &OsString) -> PathBuf {
        self.parent.join(name)
    }

    /// The address of a socket in this directory, also where its whole path is too long for one.
    pub(super) fn address(&self, name: &OsString) -> io::Result<SocketAddrUnix> {
        let path = self.beside(name);
        if path.as_os_str().len() <= MAX_PATH {
            return Ok(SocketAddrUnix::new(path)?);
        }
        let directory = PathBuf::from(format!("/proc/self/fd/{}", self.directory.as_raw_fd()));
        Ok(SocketAddrUnix::new(directory.join(name))?)
    }
}

/// Makes one directory. What somebody else has made meanwhile stays as it is.
fn make_directory(path: &Path, shared: bool) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o755).create(path) {
        Ok(()) if shared => {}
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => return Ok(()),
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = fs::open(path, flags, Mode::empty())?;
    // The descriptor's own link leads to what was opened, whatever its name is by now.
    let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
    Ok(fs::chmod(path, Mode::from_raw_mode(0o755))?)
}

/// The name with something behind it.
pub(super) fn with_suffix(name: &OsString, suffix: &str) -> OsString {
    let mut name = name.clone();
    name.push(suffix);
    name
}

pub(super) fn system(
    operation: &'static str,
    path: &Path,
    source: impl Into<io::Error>,
) -> ListeningError {
    ListeningError::System { operation, path: path.to_owned(), source: source.into() }
}

fn split(path: &Path) -> Result<(PathBuf, OsString), ListeningError> {
    let unfit = || ListeningError::PathUnfit { path: path.to_owned() };
    let bytes = path.as_os_str().as_bytes();
    if bytes.contains(&0) || bytes.ends_with(b"/") {
        return Err(unfit());
    }
    let name = path.file_name().ok_or_else(unfit)?;
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(unfit()),
    };
    Ok((parent.to_owned(), name.to_owned()))
}
