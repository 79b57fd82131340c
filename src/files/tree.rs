//! What lies in a directory, whichever layout it has: finding files, reading and comparing them.

use std::collections::HashSet;
use std::ffi::OsString;

use rayon::prelude::*;
use rustix::fs::Stat;

use super::contents::Origin;
use super::file::OpenFile;
use super::folder::{Entry, Folder};
use super::{Change, Contents, FileName, FileSpec, FilesError, MAX_FILE_BYTES};

/// The flat layout's directory of files that are being staged.
pub(super) const STAGING: &str = "..staging";
/// The flat layout's directory of files that are committed and on their way into place.
pub(super) const COMMIT: &str = "..commit";
/// The live layout's symlink to the current generation.
pub(super) const DATA: &str = "..data";

/// A file or symlink before it is renamed over a name.
pub(super) const NEXT_NAME: &str = "..next";

const GENERATION: &str = "..generation-";

/// So many files and more are looked at on all cores. For fewer no threads are started: an agent
/// beside one Envoy would keep them for good.
pub(super) const SIDE_BY_SIDE: usize = 64;

/// One look at a directory: where its files are now.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    top: &'a Folder,
    committed: Option<Folder>,
    pub(super) generation: Option<Generation>,
}

/// A complete set of files of the live layout.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) folder: Folder,
    pub(super) number: u64,
}

/// Where a file was found.
pub(super) enum Found {
    Absent,
    /// Something that is neither a regular file nor a symlink of the live layout.
    Foreign(&'static str),
    /// In the current generation, reached through its symlink.
    Live(OpenFile),
    /// In the directory itself, or committed and on its way there.
    Plain(OpenFile),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    Absent,
    Foreign,
    Live,
    Plain,
}

/// How a wanted file compares with what lies there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Status {
    pub(super) change: Change,
    pub(super) place: Place,
}

const A_DIRECTORY: &str = "a directory";

impl<'a> Tree<'a> {
    pub(super) fn of(top: &'a Folder) -> Result<Self, FilesError> {
        let committed = top.subfolder(COMMIT)?;
        let generation = current_generation(top)?;
        Ok(Self { top, committed, generation })
    }

    pub(super) fn read(&self, name: &FileName) -> Result<Option<Contents>, FilesError> {
        match self.find(name)? {
            Found::Absent => Ok(None),
            Found::Foreign(what) => Err(self.foreign(name, what)),
            Found::Live(file) | Found::Plain(file) => file.read().map(Some),
        }
    }

    /// The names in the directory itself.
    pub(super) fn names(&self) -> Result<HashSet<OsString>, FilesError> {
        Ok(self.top.entries()?.into_iter().map(|(name, _)| name).collect())
    }

    /// Compares each wanted file with what lies there; many of them on all cores.
    pub(super) fn compare(&self, wanted: &[FileSpec]) -> Result<Vec<Status>, FilesError> {
        let mut names = HashSet::with_capacity(wanted.len());
        for spec in wanted {
            check(self.top, spec)?;
            if !names.insert(&spec.name) {
                return Err(FilesError::Duplicate { name: spec.name.to_string() });
            }
        }
        match wanted.len() {
            few if few < SIDE_BY_SIDE => wanted.iter().map(|spec| self.status(spec)).collect(),
            _ => wanted.par_iter().with_min_len(64).map(|spec| self.status(spec)).collect(),
        }
    }

    fn status(&self, spec: &FileSpec) -> Result<Status, FilesError> {
        if let Some(status) = self.untouched(spec)? {
            return Ok(status);
        }
        let (file, place) = match self.find(&spec.name)? {
            Found::Absent => return Ok(Status { change: Change::Written, place: Place::Absent }),
            Found::Foreign(A_DIRECTORY) => return Err(self.foreign(&spec.name, A_DIRECTORY)),
            Found::Foreign(_) => {
                return Ok(Status { change: Change::Written, place: Place::Foreign });
            }
            Found::Live(file) => (file, Place::Live),
            Found::Plain(file) => (file, Place::Plain),
        };
        let change = match file.holds(&spec.contents)? {
            true => access_change(spec, &file.stat),
            false => Change::Written,
        };
        Ok(Status { change, place })
    }

    /// The status of a file whose wanted bytes were read from itself, which nobody touched since.
    fn untouched(&self, spec: &FileSpec) -> Result<Option<Status>, FilesError> {
        let (Some(origin), None) = (spec.contents.origin(), &self.committed) else {
            return Ok(None);
        };
        let (folder, place) = match &self.generation {
            Some(generation)
                if self
                    .top
                    .read_link(&spec.name)?
                    .is_some_and(|to| to == live_target(&spec.name)) =>
            {
                (&generation.folder, Place::Live)
            }
            _ => (self.top, Place::Plain),
        };
        Ok(folder
            .stat(&spec.name)?
            .filter(|stat| Origin::of(stat) == origin)
            .map(|stat| Status { change: access_change(spec, &stat), place }))
    }

    fn find(&self, name: &FileName) -> Result<Found, FilesError> {
        if let Some(committed) = &self.committed
            && let Entry::File(file) = committed.entry(name)?
        {
            return Ok(Found::Plain(file));
        }
        if let Some(generation) = &self.generation
            && self.top.read_link(name)?.is_some_and(|target| target == live_target(name))
        {
            return Ok(match generation.folder.entry(name)? {
                Entry::Absent => Found::Absent,
                Entry::File(file) => Found::Live(file),
                _ => Found::Foreign("a symlink to something other than a file"),
            });
        }
        Ok(match self.top.entry(name)? {
            Entry::Absent => Found::Absent,
            Entry::File(file) => Found::Plain(file),
            Entry::Folder => Found::Foreign(A_DIRECTORY),
            Entry::Special => Found::Foreign("a device, pipe or socket"),
            // Left by a first run that was cut short.
            Entry::Symlink(target) if target == live_target(name) => Found::Absent,
            Entry::Symlink(_) => Found::Foreign("a symlink that certctl did not make"),
        })
    }

    fn foreign(&self, name: &FileName, what: &'static str) -> FilesError {
        FilesError::NotAFile { path: self.top.path().join(name), what }
    }
}

fn access_change(spec: &FileSpec, stat: &Stat) -> Change {
    if spec.access.holds_for(stat) { Change::Kept } else { Change::AccessChanged }
}

/// Refuses what could not be written or read back.
pub(super) fn check(top: &Folder, spec: &FileSpec) -> Result<(), FilesError> {
    spec.access.check()?;
    let size = spec.contents.as_bytes().len();
    if size > MAX_FILE_BYTES {
        let path = top.path().join(&spec.name);
        return Err(FilesError::TooLarge { path, size: size as u64, most: MAX_FILE_BYTES });
    }
    Ok(())
}

/// The generation that `..data` points to.
pub(super) fn current_generation(top: &Folder) -> Result<Option<Generation>, FilesError> {
    let in_the_way = |what| FilesError::InTheWay { path: top.path().join(DATA), what };
    if top.stat(DATA)?.is_none() {
        return Ok(None);
    }
    let target = top.read_link(DATA)?.ok_or_else(|| in_the_way("it should be a symlink"))?;
    let number = generation_number(&target)
        .ok_or_else(|| in_the_way("it points to something that certctl did not make"))?;
    let folder = top
        .subfolder(&target)?
        .ok_or_else(|| in_the_way("it points to a directory that is gone"))?;
    Ok(Some(Generation { folder, number }))
}

/// Where the symlink of a file of the live layout points.
pub(super) fn live_target(name: impl AsRef<std::ffi::OsStr>) -> OsString {
    let mut target = OsString::from(DATA);
    target.push("/");
    target.push(name);
    target
}

pub(super) fn generation_name(number: u64) -> String {
    format!("{GENERATION}{number}")
}

/// The number of a directory named as [`generation_name`] names it.
pub(super) fn generation_number(name: impl AsRef<std::ffi::OsStr>) -> Option<u64> {
    let digits = name.as_ref().to_str()?.strip_prefix(GENERATION)?;
    let number = digits.parse().ok()?;
    (generation_name(number) == name.as_ref().to_str()?).then_some(number)
}
