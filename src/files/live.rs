//! Files behind `..data`, swapped all at once; and the way there from plain files and back.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};

use rayon::prelude::*;
use rustix::fs::FileType;

use super::flat::{disk_bytes, report};
use super::folder::{Entry, Folder};
use super::tree::{
    DATA, Generation, NEXT_NAME, Place, SIDE_BY_SIDE, Status, Tree, current_generation,
    generation_name, generation_number, live_target,
};
use super::{Access, Change, FileName, FileSpec, FilesError, Report};

/// The next `..data`, before it is renamed over it.
const NEXT_DATA: &str = "..data_tmp";

/// Makes the wanted files the live set of `top`, together with what the set already had.
pub(super) fn publish(top: &Folder, wanted: &[FileSpec]) -> Result<Report, FilesError> {
    let mut statuses = Tree::of(top)?.compare(wanted)?;
    let report = report(wanted, &statuses);
    let plain = names_at(Place::Plain, wanted, &statuses);
    if !plain.is_empty() {
        adopt(top, &plain)?;
        statuses = Tree::of(top)?.compare(wanted)?;
    }
    if statuses.iter().any(|status| status.change != Change::Kept) {
        renew(top, wanted, &statuses)?;
    }
    settle(top, wanted).map_err(FilesError::unfinished)?;
    Ok(report)
}

/// Makes every file of the live set a plain file, with the same bytes and inode throughout.
pub(super) fn dissolve(top: &Folder) -> Result<(), FilesError> {
    let Some(generation) = current_generation(top)? else { return Ok(()) };
    let plain = || {
        for name in reachable(top, &generation)? {
            copy(&generation.folder, &name, top, NEXT_NAME)?;
            rename_next(top, &name)?;
        }
        top.sync()?;
        top.remove(DATA)?;
        top.sync()
    };
    plain().map_err(|error| error.unchanged(0))?;
    remove_generations(top, &top.entries()?, |_| false).map_err(FilesError::unfinished)
}

/// Removes what an interrupted run left: unfinished generations, older ones than are kept, symlinks
/// that dangle. Returns whether there was any such thing.
pub(super) fn recover(top: &Folder, listing: &[(OsString, FileType)]) -> Result<bool, FilesError> {
    let current = current_generation(top)?;
    let held: HashSet<OsString> = match &current {
        Some(generation) => {
            generation.folder.entries()?.into_iter().map(|(name, _)| name).collect()
        }
        None => HashSet::new(),
    };
    let mut found = false;
    for (name, kind) in listing {
        let ours = *kind == FileType::Symlink
            && !held.contains(name)
            && top.read_link(name)?.is_some_and(|target| target == live_target(name));
        if name == NEXT_DATA || name == NEXT_NAME || ours {
            top.remove(name)?;
            found = true;
        }
    }
    let number = current.map(|generation| generation.number);
    let numbers = generation_numbers(listing);
    let kept = |other| Some(other) == number || Some(other) == previous(&numbers, number);
    found |= numbers.iter().any(|other| !kept(*other));
    remove_generations(top, listing, kept)?;
    Ok(found)
}

/// Builds the next generation and swaps it in.
fn renew(top: &Folder, wanted: &[FileSpec], statuses: &[Status]) -> Result<(), FilesError> {
    let (kept, written): (Vec<_>, Vec<_>) =
        wanted.iter().zip(statuses).partition(|(_, status)| status.change == Change::Kept);
    let written: Vec<_> = written.into_iter().map(|(spec, _)| spec).collect();
    let absent = names_at(Place::Absent, wanted, statuses);
    let foreign = names_at(Place::Foreign, wanted, statuses);
    let wanted_names: HashSet<&OsStr> = wanted.iter().map(|spec| spec.name.as_ref()).collect();

    let draft = Draft::begin(top)?;
    let mut linked = Vec::new();
    let prepared = (|| {
        draft.carry(|name| !wanted_names.contains(name))?;
        kept.iter().try_for_each(|(spec, _)| draft.carry_one(&spec.name))?;
        draft.folder.write_all_new(&written)?;
        // Before the swap, so that every new name appears with it; a symlink made afterwards would
        // tell no watcher to look again. Until then it dangles, which reads as absent.
        for name in absent {
            if top.read_link(name)?.is_none() {
                linked.push(name);
                top.symlink(live_target(name), name)?;
            }
        }
        draft.swap()
    })();
    if let Err(error) = prepared {
        // What cannot be undone now, the next run finds and removes.
        for name in linked {
            let _ = top.remove(name);
        }
        let _ = draft.discard();
        return Err(error.unchanged(disk_bytes(&written)));
    }
    top.sync()
        .and_then(|()| foreign.iter().try_for_each(|name| replace_by_symlink(top, name)))
        .and_then(|()| if foreign.is_empty() { Ok(()) } else { top.sync() })
        .map_err(FilesError::unfinished)
}

/// Moves plain files behind `..data`: the same inodes at every moment, so that no reader can see a
/// mixed set; what is to change in them changes by an ordinary swap afterwards.
fn adopt(top: &Folder, plain: &[&FileName]) -> Result<(), FilesError> {
    let names: HashSet<&OsStr> = plain.iter().map(|name| name.as_ref()).collect();
    let draft = Draft::begin(top)?;
    let prepared = draft
        .carry(|name| !names.contains(name))
        .and_then(|()| plain.iter().try_for_each(|name| copy(top, name, &draft.folder, name)))
        .and_then(|()| draft.folder.sync())
        .and_then(|()| draft.swap());
    if let Err(error) = prepared {
        let _ = draft.discard();
        return Err(error.unchanged(0));
    }
    // A failure from here on changes no file's bytes either.
    top.sync()
        .and_then(|()| plain.iter().try_for_each(|name| replace_by_symlink(top, name)))
        .and_then(|()| top.sync())
        .map_err(|error| error.unchanged(0))
}

/// Removes generations that no reader needs any more, and puts the modes of the others right.
fn settle(top: &Folder, wanted: &[FileSpec]) -> Result<(), FilesError> {
    let Some(current) = current_generation(top)? else { return Ok(()) };
    let mode = folder_mode(top)?;
    if current.folder.own_stat()?.st_mode & 0o7777 != mode {
        current.folder.set_mode(mode)?;
    }
    let listing = top.entries()?;
    let numbers = generation_numbers(&listing);
    let mut kept = previous(&numbers, Some(current.number));
    if let Some(number) = kept
        && let Some(folder) = top.subfolder(generation_name(number))?
    {
        // A key whose access was tightened must not stay open to others in the old generation.
        let open_to_others = |spec: &FileSpec| {
            let stat = folder.stat(&spec.name)?;
            Ok(stat.is_some_and(|stat| !spec.access.holds_for(&stat)))
        };
        let wrong = match wanted.len() {
            few if few < SIDE_BY_SIDE => {
                wanted.iter().try_fold(false, |wrong, spec| Ok(wrong || open_to_others(spec)?))
            }
            _ => wanted
                .par_iter()
                .with_min_len(256)
                .map(open_to_others)
                .try_reduce(|| false, |one, other| Ok(one || other)),
        };
        if wrong? {
            kept = None;
        }
    }
    remove_generations(top, &listing, |number| number == current.number || Some(number) == kept)
}

/// A generation that is being built.
struct Draft<'a> {
    top: &'a Folder,
    old: Option<Generation>,
    folder: Folder,
    name: String,
}

impl<'a> Draft<'a> {
    fn begin(top: &'a Folder) -> Result<Self, FilesError> {
        let old = current_generation(top)?;
        let last = generation_numbers(&top.entries()?).into_iter().max().unwrap_or(0);
        let name = generation_name(last.saturating_add(1));
        let folder = top.make_subfolder(&name).map_err(|error| error.unchanged(0))?;
        Ok(Self { top, old, folder, name })
    }

    /// Takes over those files of the old generation that can be reached and are `chosen`.
    fn carry(&self, chosen: impl Fn(&OsStr) -> bool) -> Result<(), FilesError> {
        let Some(old) = &self.old else { return Ok(()) };
        let names = reachable(self.top, old)?;
        names.iter().filter(|name| chosen(name)).try_for_each(|name| self.carry_one(name))
    }

    fn carry_one(&self, name: impl AsRef<OsStr>) -> Result<(), FilesError> {
        match &self.old {
            Some(old) => copy(&old.folder, name.as_ref(), &self.folder, name.as_ref()),
            None => Ok(()),
        }
    }

    /// Points `..data` here: the moment at which every reader sees the new set.
    fn swap(&self) -> Result<(), FilesError> {
        self.folder.set_mode(folder_mode(self.top)?)?;
        self.top.symlink(&self.name, NEXT_DATA)?;
        // The generation must be on the disk under its name before anything points to it.
        self.top.sync()?;
        self.top.rename(NEXT_DATA, self.top, DATA)
    }

    fn discard(&self) -> Result<(), FilesError> {
        self.top.remove(NEXT_DATA)?;
        self.top.remove_subfolder(&self.name)
    }
}

/// The second name of a file, or where the file system has no such thing, a copy.
fn copy(
    from: &Folder,
    name: impl AsRef<OsStr>,
    to: &Folder,
    new: impl AsRef<OsStr>,
) -> Result<(), FilesError> {
    let (name, new) = (name.as_ref(), new.as_ref());
    if !from.link(name, to, new)?
        && let Entry::File(file) = from.entry(name)?
    {
        let copy = to.write_new(new, &file.read()?, Access::of(&file.stat))?;
        to.sync_file(new, &copy)?;
    }
    Ok(())
}

fn replace_by_symlink(top: &Folder, name: &FileName) -> Result<(), FilesError> {
    top.symlink(live_target(name), NEXT_NAME)?;
    rename_next(top, name)
}

fn rename_next(top: &Folder, name: impl AsRef<OsStr>) -> Result<(), FilesError> {
    top.rename(NEXT_NAME, top, name).inspect_err(|_| {
        let _ = top.remove(NEXT_NAME);
    })
}

/// Whoever may pass the directory may pass a generation; nobody else gets that far.
fn folder_mode(top: &Folder) -> Result<u32, FilesError> {
    Ok(if top.own_stat()?.st_mode & 0o077 == 0 { 0o700 } else { 0o755 })
}

/// The files of a generation that have their symlink.
fn reachable(top: &Folder, generation: &Generation) -> Result<Vec<OsString>, FilesError> {
    let mut names = Vec::new();
    for (name, _) in generation.folder.entries()? {
        if top.read_link(&name)?.is_some_and(|target| target == live_target(&name)) {
            names.push(name);
        }
    }
    Ok(names)
}

fn names_at<'a>(place: Place, wanted: &'a [FileSpec], statuses: &[Status]) -> Vec<&'a FileName> {
    let at = wanted.iter().zip(statuses).filter(|(_, status)| status.place == place);
    at.map(|(spec, _)| &spec.name).collect()
}

fn generation_numbers(listing: &[(OsString, FileType)]) -> Vec<u64> {
    listing.iter().filter_map(|(name, _)| generation_number(name)).collect()
}

fn previous(numbers: &[u64], current: Option<u64>) -> Option<u64> {
    let current = current?;
    numbers.iter().copied().filter(|number| *number < current).max()
}

fn remove_generations(
    top: &Folder,
    listing: &[(OsString, FileType)],
    kept: impl Fn(u64) -> bool,
) -> Result<(), FilesError> {
    let superfluous = generation_numbers(listing).into_iter().filter(|number| !kept(*number));
    superfluous.map(generation_name).try_for_each(|name| top.remove_subfolder(name))
}
