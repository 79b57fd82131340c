//! Plain files: staged, committed by one rename, moved into place.

use rustix::fs::FileType;

use super::folder::{Entry, Folder};
use super::tree::{COMMIT, Place, STAGING, Status, Tree};
use super::{Access, Change, FileSpec, FilesError, Report};

/// Makes the wanted files plain files of `top`.
pub(super) fn replace(top: &Folder, wanted: &[FileSpec]) -> Result<Report, FilesError> {
    let statuses = Tree::of(top)?.compare(wanted)?;
    let live = wanted.iter().zip(&statuses).find(|(_, status)| status.place == Place::Live);
    if let Some((spec, _)) = live {
        return Err(FilesError::Live { path: top.path().join(&spec.name) });
    }
    let with = |change| {
        let wanted = wanted.iter().zip(&statuses);
        wanted.filter(move |(_, status)| status.change == change).map(|(spec, _)| spec)
    };
    let written: Vec<_> = with(Change::Written).collect();
    let touched: Vec<_> = with(Change::AccessChanged).collect();
    let mut undo = Vec::new();
    if let Err(error) = prepare(top, &written, &touched, &mut undo) {
        // What cannot be undone now, the next run finds and finishes.
        for (spec, access) in undo {
            let _ = top.change_access(&spec.name, &spec.contents, access);
        }
        let _ = discard_staging(top);
        return Err(error.unchanged(disk_bytes(&written)));
    }
    if !written.is_empty() {
        finish(top).map_err(FilesError::unfinished)?;
    }
    Ok(report(wanted, &statuses))
}

/// Makes new files whose names must be free.
pub(super) fn create_new(top: &Folder, specs: &[FileSpec]) -> Result<(), FilesError> {
    let already_exists =
        |spec: &FileSpec| Err(FilesError::AlreadyExists { path: top.path().join(&spec.name) });
    for spec in specs {
        super::tree::check(top, spec)?;
        if top.stat(&spec.name)?.is_some() {
            return already_exists(spec);
        }
    }
    let specs: Vec<_> = specs.iter().collect();
    let mut names = Vec::new();
    let mut linked = || {
        let staging = stage(top, &specs)?;
        for spec in &specs {
            // Unlike a rename, a link never replaces what is there.
            if !staging.link(&spec.name, top, &spec.name)? {
                return Err(FilesError::system(
                    "link (this file system has no hard links)",
                    top.path().join(&spec.name),
                    rustix::io::Errno::OPNOTSUPP,
                ));
            }
            names.push(&spec.name);
        }
        Ok(())
    };
    let outcome = linked().map_err(|error| error.unchanged(disk_bytes(&specs)));
    if outcome.is_err() {
        // All or none; these are the names that this call made.
        for name in names {
            let _ = top.remove(name);
        }
    }
    // On success the same: the files have their names now, and lose those in staging.
    let discarded = discard_staging(top);
    outcome?;
    top.sync().and(discarded).map_err(FilesError::unfinished)
}

/// Moves what is committed into place. Done again after a crash, it goes on where it stopped.
pub(super) fn finish(top: &Folder) -> Result<(), FilesError> {
    let Some(committed) = top.subfolder(COMMIT)? else { return Ok(()) };
    top.sync()?;
    for (name, kind) in committed.entries()? {
        if kind != FileType::RegularFile {
            let path = top.path().join(COMMIT).join(name);
            return Err(FilesError::InTheWay { path, what: "only files are committed there" });
        }
        if let Some(stat) = top.stat(&name)?
            && FileType::from_raw_mode(stat.st_mode) == FileType::Directory
        {
            let path = top.path().join(name);
            return Err(FilesError::NotAFile { path, what: "a directory" });
        }
        committed.rename(&name, top, &name)?;
    }
    top.sync()?;
    top.remove_empty(COMMIT)
}

/// Drops what was staged and not committed.
pub(super) fn discard_staging(top: &Folder) -> Result<(), FilesError> {
    top.remove_subfolder(STAGING)
}

pub(super) fn report(wanted: &[FileSpec], statuses: &[Status]) -> Report {
    let files = wanted.iter().zip(statuses);
    Report { files: files.map(|(spec, status)| (spec.name.clone(), status.change)).collect() }
}

/// What the files take on a disk with blocks of 4 KiB.
pub(super) fn disk_bytes(specs: &[&FileSpec]) -> u64 {
    specs.iter().map(|spec| (spec.contents.as_bytes().len() as u64).next_multiple_of(4096)).sum()
}

/// Everything up to and with the commit. `undo` collects the access that files had before.
fn prepare<'a>(
    top: &Folder,
    written: &[&FileSpec],
    touched: &[&'a FileSpec],
    undo: &mut Vec<(&'a FileSpec, Access)>,
) -> Result<(), FilesError> {
    if !written.is_empty() {
        stage(top, written)?;
    }
    for spec in touched {
        if let Entry::File(file) = top.entry(&spec.name)? {
            undo.push((spec, Access::of(&file.stat)));
        }
        top.change_access(&spec.name, &spec.contents, spec.access)?;
    }
    if !written.is_empty() {
        top.rename(STAGING, top, COMMIT)?;
    }
    Ok(())
}

/// Writes the files to `..staging`, durably.
fn stage(top: &Folder, specs: &[&FileSpec]) -> Result<Folder, FilesError> {
    let staging = top.make_subfolder(STAGING)?;
    staging.write_all_new(specs)?;
    Ok(staging)
}
