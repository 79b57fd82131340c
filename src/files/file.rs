//! Reading and writing one regular file.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{self, Advice, Mode, OFlags, Stat};
use rustix::io::{self, Errno};
use zeroize::Zeroizing;

use super::folder::{Entry, Folder};
use super::{Access, Contents, FileSpec, FilesError, MAX_FILE_BYTES};

const NEW: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
// Tests cut every write in pieces, so that a run can be killed inside of a file.
const LARGEST_WRITE: usize = if cfg!(test) { 16 } else { 1 << 20 };

/// Up to this many files are synced one by one, which spares a busy disk everybody else's writes;
/// beyond it one `syncfs` is faster.
const SYNCED_ONE_BY_ONE: usize = 16;

/// A regular file, open for reading.
pub(super) struct OpenFile {
    descriptor: OwnedFd,
    pub(super) stat: Stat,
    path: PathBuf,
}

impl OpenFile {
    pub(super) fn new(descriptor: OwnedFd, stat: Stat, path: PathBuf) -> Self {
        Self { descriptor, stat, path }
    }

    /// All of the file, if it is no larger than [`MAX_FILE_BYTES`].
    pub(super) fn read(&self) -> Result<Contents, FilesError> {
        self.read_at_most(MAX_FILE_BYTES)
    }

    /// All of the file, if it is no larger than `most` bytes.
    pub(super) fn read_at_most(&self, most: usize) -> Result<Contents, FilesError> {
        let size = u64::try_from(self.stat.st_size).unwrap_or(u64::MAX);
        let too_large = || FilesError::TooLarge { path: self.path.clone(), size, most };
        let size = usize::try_from(size).map_err(|_| too_large())?;
        if size > most {
            return Err(too_large());
        }
        // One byte more shows a file that grows, and spares the read that would find the end.
        let mut bytes = Zeroizing::new(vec![0; size + 1]);
        let mut filled = 0;
        loop {
            let rest = &mut bytes[filled..];
            let asked = rest.len();
            let count = io::pread(&self.descriptor, rest, filled as u64)
                .map_err(|errno| FilesError::system("read", self.path.clone(), errno))?;
            filled += count;
            if count == 0 || count < asked && filled == size || filled > size {
                break;
            }
        }
        if filled > size {
            return Err(FilesError::system("read", self.path.clone(), Errno::AGAIN));
        }
        bytes.truncate(filled);
        Ok(Contents::read(bytes, &self.stat))
    }

    /// Whether these are the file's bytes.
    pub(super) fn holds(&self, contents: &Contents) -> Result<bool, FilesError> {
        let bytes = contents.as_bytes();
        Ok(usize::try_from(self.stat.st_size) == Ok(bytes.len()) && self.read()? == *contents)
    }
}

impl Folder {
    /// Writes new files and makes them and their names durable.
    pub(super) fn write_all_new(&self, specs: &[&FileSpec]) -> Result<(), FilesError> {
        let one_by_one = specs.len() <= SYNCED_ONE_BY_ONE;
        let mut written = Vec::new();
        for spec in specs {
            let file = self.write_new(&spec.name, &spec.contents, spec.access)?;
            if one_by_one {
                // Sends it on its way to the disk, so that one commit of the journal serves all
                // that are waited for below. A hint: where it fails, only time is lost.
                let _ = fs::fadvise(&file, 0, None, Advice::DontNeed);
                written.push((&spec.name, file));
            }
        }
        for (name, file) in written {
            self.sync_file(name, &file)?;
        }
        if one_by_one { self.sync() } else { self.sync_all() }
    }

    /// Makes a file's bytes durable.
    pub(super) fn sync_file(
        &self,
        name: impl AsRef<OsStr>,
        file: &OwnedFd,
    ) -> Result<(), FilesError> {
        self.change("sync", name.as_ref(), || fs::fsync(file))
    }

    /// Writes a new file: stricter than wanted until all of it is there, never more open.
    pub(super) fn write_new(
        &self,
        name: impl AsRef<OsStr>,
        contents: &Contents,
        access: Access,
    ) -> Result<OwnedFd, FilesError> {
        let name = name.as_ref();
        let file = self.change("write", name, || {
            fs::openat(&self.descriptor, name, NEW, Mode::RUSR | Mode::WUSR)
        })?;
        write_all(self, &file, name, contents.as_bytes())?;
        self.set_access(&file, name, access)?;
        Ok(file)
    }

    /// Gives the file `name` another owner, group or mode, if its bytes are still `contents`.
    /// Returns false, having changed nothing, if they are not.
    pub(super) fn change_access(
        &self,
        name: impl AsRef<OsStr>,
        contents: &Contents,
        access: Access,
    ) -> Result<bool, FilesError> {
        let name = name.as_ref();
        match self.entry(name)? {
            Entry::File(file) if file.holds(contents)? => {
                self.set_access(&file.descriptor, name, access)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn set_access(&self, file: &OwnedFd, name: &OsStr, access: Access) -> Result<(), FilesError> {
        let stat = fs::fstat(file).map_err(|errno| self.failed("look at", name, errno))?;
        let mut mode = stat.st_mode & 0o7777;
        let set_mode = |mode| {
            self.change("set the mode of", name, || fs::fchmod(file, Mode::from_raw_mode(mode)))
        };
        if access.differs_in_owner(&stat) {
            // The new owner and group must not get more than both modes allow, even for a moment.
            if mode & access.mode != mode {
                mode &= access.mode;
                set_mode(mode)?;
            }
            self.change("set the owner of", name, || fs::fchown(file, access.uid(), access.gid()))
                .map_err(|error| error.about_owner(access))?;
        }
        if mode != access.mode {
            set_mode(access.mode)?;
        }
        Ok(())
    }
}

/// Writes all of `bytes` to the file `name` of `folder`.
pub(super) fn write_all(
    folder: &Folder,
    file: &OwnedFd,
    name: impl AsRef<OsStr>,
    bytes: &[u8],
) -> Result<(), FilesError> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let part = &rest[..rest.len().min(LARGEST_WRITE)];
        let written = folder.change("write", name.as_ref(), || io::write(file, part))?;
        rest = &rest[written..];
    }
    Ok(())
}
