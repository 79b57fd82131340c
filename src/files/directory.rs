//! A directory that one run at a time may change.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::folder::Folder;
use super::lock::Lock;
use super::recovery::recover;
use super::tree::Tree;
use super::{
    Contents, FileName, FileSpec, FilesError, Journal, Layout, Report, flat, journal, live,
};

/// How to open a [`Directory`].
#[derive(Clone, Copy, Debug)]
pub struct DirectoryOptions {
    /// How the published files shall lie.
    pub layout: Layout,
    /// Permission bits of the directory, and of missing ones above it, when they are made: 0o700,
    /// or 0o711 when other users are to reach files that they own. An existing one keeps its own.
    pub mode: u32,
}

impl DirectoryOptions {
    /// This layout, in a directory that only its owner may enter.
    pub fn new(layout: Layout) -> Self {
        Self { layout, mode: 0o700 }
    }
}

/// A directory, opened, locked against other runs, and free of what an interrupted run left.
///
/// The lock is an exclusive `flock` on the directory itself (on NFS, which cannot lock directories,
/// on a file `..lock` in it), held until this is dropped. Threads may share one value: its changes
/// happen one after the other.
#[derive(Debug)]
pub struct Directory {
    top: Folder,
    layout: Layout,
    recovered: Recovered,
    warnings: Vec<Warning>,
    _lock_file: Option<OwnedFd>,
    /// Whether the last change failed, so that the next must recover first.
    failed: Mutex<bool>,
}

/// What [`Directory::open`] found of an earlier run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recovered {
    /// A run that had not committed: what it left was removed.
    Dropped,
    /// A run that had committed: its files were put in place.
    Finished,
    /// No interrupted run.
    Nothing,
}

/// Something about the directory that its owner should know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Warning {
    /// Others cannot reach the files, though the directory was asked for with their access.
    NotTraversable {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits that were asked for.
        wanted: u32,
    },
    /// Everybody in the directory's group may put names here or take them away.
    WritableByGroup {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Every user of the machine may put names here or, without the sticky bit, take them away.
    WritableByOthers {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// A directory's files as they lie now. What is published meanwhile is not seen.
#[derive(Debug)]
pub struct Reading<'a>(Tree<'a>);

impl Reading<'_> {
    /// The file's bytes, as [`Directory::read`] gives them.
    ///
    /// # Errors
    /// As [`Directory::read`].
    pub fn read(&self, name: &FileName) -> Result<Option<Contents>, FilesError> {
        self.0.read(name)
    }

    /// What lies in the directory itself, in no order.
    ///
    /// # Errors
    /// [`FilesError::System`] if it cannot be listed.
    pub fn names(&self) -> Result<HashSet<OsString>, FilesError> {
        self.0.names()
    }
}

impl Directory {
    /// Makes the directory `path`, and what is missing above it, if need be; nothing else.
    ///
    /// # Errors
    /// [`FilesError::System`] if it cannot be made.
    pub fn make(path: &Path, options: DirectoryOptions) -> Result<(), FilesError> {
        make_all(path, options.mode).map(drop)
    }

    /// Opens the directory `path`, making it (and what is missing above it) if need be, takes its
    /// lock, and finishes or undoes what an interrupted run left. If another run holds the lock,
    /// calls `on_wait` and waits for as long as that takes; don't open one directory twice in one
    /// thread.
    ///
    /// A directory that others may write to is used all the same (a Kubernetes `emptyDir` is one),
    /// and reported by [`warnings`](Self::warnings).
    ///
    /// # Errors
    /// [`FilesError::System`] if the directory cannot be made, opened, locked or recovered;
    /// [`FilesError::InTheWay`] if something lies at one of the names beginning with `..` that this
    /// module keeps for itself; [`FilesError::Replaced`].
    pub fn open(
        path: &Path,
        options: DirectoryOptions,
        on_wait: impl FnOnce(),
    ) -> Result<Self, FilesError> {
        let (top, lock_file) = open_and_lock(path, options.mode, on_wait)?;
        let warnings = warnings(&top, options.mode)?;
        let recovered = recover(&top)?;
        Ok(Self {
            top,
            layout: options.layout,
            recovered,
            warnings,
            _lock_file: lock_file,
            failed: Mutex::new(false),
        })
    }

    /// What was found of an earlier run.
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// What the directory's owner should know.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The file's bytes, in whichever layout it lies; `None` if there is no such file.
    ///
    /// # Errors
    /// [`FilesError::NotAFile`] for a directory, a special file, or a symlink other than the live
    /// layout's own, none of which is followed; [`FilesError::TooLarge`]; [`FilesError::System`].
    pub fn read(&self, name: &FileName) -> Result<Option<Contents>, FilesError> {
        Tree::of(&self.top)?.read(name)
    }

    /// The same for many files in a row: where they lie is looked up once.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn reading(&self) -> Result<Reading<'_>, FilesError> {
        Tree::of(&self.top).map(Reading)
    }

    /// Brings the wanted files into the directory, all or none, in its layout; files that lie in
    /// the other layout move over without changing their bytes. What is right already is not
    /// touched, and where only the access differs, that alone changes: in place in the flat layout,
    /// by a copy in the next generation in the live one, where the swap tells watchers of it.
    ///
    /// # Errors Their [`Outcome`](super::Outcome) says how the directory was left: unchanged before
    /// the commit (a full disk, a refused owner), unfinished after it, when the next run goes on.
    pub fn publish(&self, wanted: &[FileSpec]) -> Result<Report, FilesError> {
        self.change(|| match self.layout {
            Layout::Flat => {
                live::dissolve(&self.top)?;
                flat::replace(&self.top, wanted)
            }
            Layout::Live => live::publish(&self.top, wanted),
        })
    }

    /// Makes plain files, in either layout, each of which appears whole and replaces nothing.
    ///
    /// # Errors
    /// [`FilesError::AlreadyExists`] if anything lies at one of their names; else as for
    /// [`publish`](Self::publish).
    pub fn create_new(&self, specs: &[FileSpec]) -> Result<(), FilesError> {
        self.change(|| flat::create_new(&self.top, specs))
    }

    /// Brings files into the directory as [`publish`](Self::publish) does, but as plain files in
    /// either layout: for what [`create_new`](Self::create_new) made.
    ///
    /// # Errors
    /// [`FilesError::Live`] for a name that is served through `..data`; else as for
    /// [`publish`](Self::publish).
    pub fn replace(&self, wanted: &[FileSpec]) -> Result<Report, FilesError> {
        self.change(|| flat::replace(&self.top, wanted))
    }

    /// Reads the journal `name`; an empty one where there is no such file.
    ///
    /// # Errors
    /// [`FilesError::NotAFile`] if something else lies there; [`FilesError::TooLarge`] beyond 1 GiB;
    /// [`FilesError::System`].
    pub fn journal(&self, name: &FileName) -> Result<Journal, FilesError> {
        journal::read(&self.top, name)
    }

    /// Appends records to the journal `name`, which is `length` bytes long, and returns how long it
    /// is then; none, having done nothing, where it is not, or others may read it.
    ///
    /// # Errors
    /// [`FilesError::System`]; the journal is as it was then.
    pub fn append(
        &self,
        name: &FileName,
        length: u64,
        records: &[&[u8]],
    ) -> Result<Option<u64>, FilesError> {
        self.change(|| journal::append(&self.top, name, length, records))
    }

    /// Makes these all the records of the journal `name`, with mode 0600, and returns how long it is
    /// then.
    ///
    /// # Errors
    /// [`FilesError::System`]; its [`Outcome`](super::Outcome) says how the journal was left.
    pub fn rewrite(&self, name: &FileName, records: &[&[u8]]) -> Result<u64, FilesError> {
        self.change(|| journal::rewrite(&self.top, name, records))
    }

    fn change<T>(&self, body: impl FnOnce() -> Result<T, FilesError>) -> Result<T, FilesError> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if *failed {
            recover(&self.top)?;
        }
        *failed = true;
        let done = body()?;
        *failed = false;
        Ok(done)
    }
}

fn open_and_lock(
    path: &Path,
    mode: u32,
    on_wait: impl FnOnce(),
) -> Result<(Folder, Option<OwnedFd>), FilesError> {
    const ATTEMPTS: usize = 8;
    let mut on_wait = Some(on_wait);
    for _ in 0..ATTEMPTS {
        let top = make_all(path, mode)?;
        let mut lock = top.lock(false)?;
        if matches!(lock, Lock::Held) {
            if let Some(on_wait) = on_wait.take() {
                on_wait();
            }
            lock = top.lock(true)?;
        }
        // While this run waited, the directory may have been removed or replaced.
        let now = Folder::open(path)?.map(|folder| folder.own_stat()).transpose()?;
        let ours = top.own_stat()?;
        if let Lock::Taken(lock_file) = lock
            && now.is_some_and(|now| (now.st_dev, now.st_ino) == (ours.st_dev, ours.st_ino))
        {
            return Ok((top, lock_file));
        }
    }
    Err(FilesError::Replaced { path: path.to_owned() })
}

/// Opens the directory, making it and those above it durably where they are missing.
fn make_all(path: &Path, mode: u32) -> Result<Folder, FilesError> {
    let missing = || FilesError::system("make", path.to_owned(), rustix::io::Errno::NOENT);
    if let Some(folder) = Folder::open(path)? {
        return Ok(folder);
    }
    let name = path.file_name().ok_or_else(missing)?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => make_all(parent, mode)?,
        _ => Folder::open(Path::new("."))?.ok_or_else(missing)?,
    };
    match parent.make_subfolder(name) {
        Ok(folder) => folder.set_mode(mode & 0o777 | 0o700)?,
        // Another run was faster.
        Err(error) => {
            return match Folder::open(path) {
                Ok(Some(folder)) => Ok(folder),
                _ => Err(error),
            };
        }
    }
    parent.sync()?;
    Folder::open(path)?.ok_or_else(missing)
}

fn warnings(top: &Folder, wanted: u32) -> Result<Vec<Warning>, FilesError> {
    let mode = top.own_stat()?.st_mode & 0o7777;
    let path = || top.path().to_owned();
    let mut warnings = Vec::new();
    if wanted & 0o011 & !mode != 0 {
        warnings.push(Warning::NotTraversable { path: path(), mode, wanted });
    }
    if mode & 0o002 != 0 {
        warnings.push(Warning::WritableByOthers { path: path(), mode });
    } else if mode & 0o020 != 0 {
        warnings.push(Warning::WritableByGroup { path: path(), mode });
    }
    Ok(warnings)
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTraversable { path, mode, wanted } => {
                let path = path.display();
                write!(
                    formatter,
                    "other users cannot reach their files in {path} (mode {mode:o}): \
                     chmod {:o} {path}",
                    (mode | wanted & 0o011) & 0o777
                )
            }
            Self::WritableByGroup { path, mode } => {
                let path = path.display();
                write!(
                    formatter,
                    "everybody in its group may put files into {path} (mode {mode:o}), where keys \
                     are kept: chmod g-w {path}"
                )
            }
            Self::WritableByOthers { path, mode } => {
                let path = path.display();
                write!(
                    formatter,
                    "every user may put files into {path} (mode {mode:o}), where keys are kept: \
                     chmod o-w {path}"
                )
            }
        }
    }
}
