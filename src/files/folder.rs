//! An open directory and the few calls made on it, all through its descriptor, none following a
//! symlink. Every call that changes something passes the [`seam`](super::seam).

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::{self, Errno};

use super::FilesError;
use super::file::OpenFile;
use super::seam::step;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
// Not blocking: a planted FIFO must not hang the run.
const LOOK: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// An open directory.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) descriptor: OwnedFd,
    path: PathBuf,
}

/// What lies at a name.
pub(super) enum Entry {
    Absent,
    File(OpenFile),
    Folder,
    Special,
    Symlink(OsString),
}

impl Folder {
    /// Opens the directory at `path`, which may itself be reached through symlinks; `None` if there
    /// is none.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, FilesError> {
        match fs::open(path, FOLDER, Mode::empty()) {
            Ok(descriptor) => Ok(Some(Self { descriptor, path: path.to_owned() })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(FilesError::system("open the directory", path.to_owned(), errno)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory `name` in this one, not followed if it is a symlink.
    pub(super) fn subfolder(&self, name: impl AsRef<OsStr>) -> Result<Option<Self>, FilesError> {
        let name = name.as_ref();
        match fs::openat(&self.descriptor, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(descriptor) => {
                let folder = Self { descriptor, path: self.path.join(name) };
                self.check_owner_of(&folder)?;
                Ok(Some(folder))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(FilesError::InTheWay {
                path: self.path.join(name),
                what: "it is not a directory, and the name is reserved for one",
            }),
            Err(errno) => Err(self.failed("open the directory", name, errno)),
        }
    }

    /// A directory under one of our names must not be another user's plant.
    fn check_owner_of(&self, folder: &Self) -> Result<(), FilesError> {
        let owner = folder.own_stat()?.st_uid;
        let us = rustix::process::geteuid().as_raw();
        if owner != us && owner != 0 && owner != self.own_stat()?.st_uid {
            return Err(FilesError::InTheWay {
                path: folder.path.clone(),
                what: "the name is reserved, and it belongs to another user",
            });
        }
        Ok(())
    }

    /// Makes the directory `name` with mode 0700, whatever the umask, and opens it.
    pub(super) fn make_subfolder(&self, name: impl AsRef<OsStr>) -> Result<Self, FilesError> {
        let name = name.as_ref();
        self.change("make the directory", name, || {
            fs::mkdirat(&self.descriptor, name, Mode::RWXU)
        })?;
        let missing = || self.failed("open the directory", name, Errno::NOENT);
        // Under a umask like 0777 only root can open it before its mode is set.
        let path_only = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = fs::openat(&self.descriptor, name, path_only, Mode::empty())
            .map_err(|errno| self.failed("open the directory", name, errno))?;
        let stat = fs::fstat(&handle).map_err(|errno| self.failed("look at", name, errno))?;
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(FilesError::InTheWay {
                path: self.path.join(name),
                what: "another user put it where this run had just made its own directory",
            });
        }
        if stat.st_mode & 0o777 != 0o700 {
            let by_handle = format!("/proc/self/fd/{}", handle.as_raw_fd());
            self.change("set the mode of", name, || {
                fs::chmodat(CWD, by_handle.as_str(), Mode::RWXU, AtFlags::empty())
            })?;
        }
        self.subfolder(name)?.ok_or_else(missing)
    }

    /// Opens what lies at `name` for reading, if it is a regular file.
    pub(super) fn entry(&self, name: impl AsRef<OsStr>) -> Result<Entry, FilesError> {
        let name = name.as_ref();
        match fs::openat(&self.descriptor, name, LOOK, Mode::empty()) {
            Ok(descriptor) => {
                let stat =
                    fs::fstat(&descriptor).map_err(|errno| self.failed("look at", name, errno))?;
                Ok(match FileType::from_raw_mode(stat.st_mode) {
                    FileType::RegularFile => {
                        Entry::File(OpenFile::new(descriptor, stat, self.path.join(name)))
                    }
                    FileType::Directory => Entry::Folder,
                    _ => Entry::Special,
                })
            }
            Err(Errno::LOOP) => match self.read_link(name)? {
                Some(target) => Ok(Entry::Symlink(target)),
                None => Ok(Entry::Absent),
            },
            Err(Errno::NOENT) => Ok(Entry::Absent),
            Err(Errno::NXIO) => Ok(Entry::Special),
            Err(errno) => Err(self.failed("read", name, errno)),
        }
    }

    /// Where the symlink `name` points; `None` if nothing or something else lies there.
    pub(super) fn read_link(
        &self,
        name: impl AsRef<OsStr>,
    ) -> Result<Option<OsString>, FilesError> {
        let name = name.as_ref();
        match fs::readlinkat(&self.descriptor, name, Vec::new()) {
            Ok(target) => Ok(Some(OsString::from_vec(target.into_bytes()))),
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(errno) => Err(self.failed("read the symlink", name, errno)),
        }
    }

    /// What `name` is, not following it if it is a symlink.
    pub(super) fn stat(&self, name: impl AsRef<OsStr>) -> Result<Option<Stat>, FilesError> {
        let name = name.as_ref();
        match fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.failed("look at", name, errno)),
        }
    }

    /// What this directory itself is.
    pub(super) fn own_stat(&self) -> Result<Stat, FilesError> {
        fs::fstat(&self.descriptor).map_err(|errno| self.failed("look at", "", errno))
    }

    /// The names in this directory with their types, in no order.
    pub(super) fn entries(&self) -> Result<Vec<(OsString, FileType)>, FilesError> {
        let failed = |errno| self.failed("list", "", errno);
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.descriptor).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = OsString::from_vec(CString::from(entry.file_name()).into_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems leave the type out of their listings.
                FileType::Unknown => match self.stat(&name)? {
                    Some(stat) => FileType::from_raw_mode(stat.st_mode),
                    None => continue,
                },
                kind => kind,
            };
            entries.push((name, kind));
        }
        Ok(entries)
    }

    /// Sets this directory's own mode.
    pub(super) fn set_mode(&self, mode: u32) -> Result<(), FilesError> {
        self.change("set the mode of", OsStr::new(""), || {
            fs::fchmod(&self.descriptor, Mode::from_raw_mode(mode))
        })
    }

    /// Gives the file `name` a second name in `other`, which must be free. Returns false if the
    /// file system cannot or may not, so that the caller copies.
    pub(super) fn link(
        &self,
        name: impl AsRef<OsStr>,
        other: &Self,
        new: impl AsRef<OsStr>,
    ) -> Result<bool, FilesError> {
        let (name, new) = (name.as_ref(), new.as_ref());
        let linked = other.change("link", new, || {
            match fs::linkat(&self.descriptor, name, &other.descriptor, new, AtFlags::empty()) {
                Ok(()) => Ok(Some(true)),
                Err(Errno::MLINK | Errno::OPNOTSUPP | Errno::PERM | Errno::XDEV) => Ok(Some(false)),
                Err(Errno::EXIST) => Ok(None),
                Err(errno) => Err(errno),
            }
        })?;
        linked.ok_or_else(|| FilesError::AlreadyExists { path: other.path.join(new) })
    }

    /// Moves `name` to `new` in `other`, over whatever file or symlink lies there.
    pub(super) fn rename(
        &self,
        name: impl AsRef<OsStr>,
        other: &Self,
        new: impl AsRef<OsStr>,
    ) -> Result<(), FilesError> {
        let (name, new) = (name.as_ref(), new.as_ref());
        other
            .change("replace", new, || fs::renameat(&self.descriptor, name, &other.descriptor, new))
    }

    /// Makes a symlink; the name must be free.
    pub(super) fn symlink(
        &self,
        target: impl AsRef<OsStr>,
        name: impl AsRef<OsStr>,
    ) -> Result<(), FilesError> {
        let (target, name) = (target.as_ref(), name.as_ref());
        self.change("make the symlink", name, || fs::symlinkat(target, &self.descriptor, name))
    }

    /// Removes a file or symlink, if it is there.
    pub(super) fn remove(&self, name: impl AsRef<OsStr>) -> Result<(), FilesError> {
        self.unlink(name.as_ref(), AtFlags::empty())
    }

    /// Removes an empty directory, if it is there.
    pub(super) fn remove_empty(&self, name: impl AsRef<OsStr>) -> Result<(), FilesError> {
        self.unlink(name.as_ref(), AtFlags::REMOVEDIR)
    }

    /// Removes the directory `name` and the files in it, if it is there.
    pub(super) fn remove_subfolder(&self, name: impl AsRef<OsStr>) -> Result<(), FilesError> {
        let name = name.as_ref();
        if let Some(folder) = self.subfolder(name)? {
            for (file, _) in folder.entries()? {
                folder.remove(&file)?;
            }
            self.remove_empty(name)?;
        }
        Ok(())
    }

    fn unlink(&self, name: &OsStr, flags: AtFlags) -> Result<(), FilesError> {
        self.change("remove", name, || match fs::unlinkat(&self.descriptor, name, flags) {
            Err(Errno::NOENT) => Ok(()),
            outcome => outcome,
        })
    }

    /// Makes the names in this directory durable.
    pub(super) fn sync(&self) -> Result<(), FilesError> {
        self.change("sync", OsStr::new(""), || fs::fsync(&self.descriptor))
    }

    /// Makes everything on this directory's file system durable, in one go.
    pub(super) fn sync_all(&self) -> Result<(), FilesError> {
        self.change("sync all of", OsStr::new(""), || fs::syncfs(&self.descriptor))
    }

    pub(super) fn change<T>(
        &self,
        operation: &'static str,
        name: &OsStr,
        call: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, FilesError> {
        step(operation, &self.path, name)
            .and_then(|()| call())
            .map_err(|errno| self.failed(operation, name, errno))
    }

    pub(super) fn failed(
        &self,
        operation: &'static str,
        name: impl AsRef<OsStr>,
        errno: Errno,
    ) -> FilesError {
        let name = name.as_ref();
        let path = if name.is_empty() { self.path.clone() } else { self.path.join(name) };
        FilesError::system(operation, path, errno)
    }
}
