//! A file of records that grows at its end: to change one of thousands costs what that one is
//! worth, and to change all of them costs one write.
//!
//! Each record stands in a frame with its length and a checksum. Of what was being appended when a
//! run was cut short, the records that are whole count, and the rest is passed over; so is whatever
//! else does not verify, up to the next frame that does. Which record stands for what, and which
//! supersedes which, is its owner's to know.

use std::ops::Range;
use std::os::fd::OwnedFd;

use aws_lc_rs::digest::{Context, SHA256};
use rustix::fs::{self, FileType, Mode, OFlags};
use zeroize::Zeroizing;

use super::file::write_all;
use super::folder::{Entry, Folder};
use super::tree::NEXT_NAME;
use super::{Access, Contents, FileName, FilesError};

/// The largest journal that is read: 1 GiB.
const MAX_JOURNAL_BYTES: usize = 1 << 30;

/// What a frame begins with: the mark, the record's length (32 bits, little-endian), and the first
/// half of the SHA-256 of that length and the record.
const MARK: [u8; 4] = *b"\xc5cj1";
const SUM: Range<usize> = 8..24;
const HEAD: usize = SUM.end;

const ACCESS: Access = Access { owner: None, group: None, mode: 0o600 };

/// The records of a journal as they were read; they may hold keys, and are wiped when dropped.
#[derive(Debug, Default)]
pub struct Journal {
    contents: Contents,
    records: Vec<Range<usize>>,
    is_damaged: bool,
}

impl Journal {
    /// The records, in the order in which they were written.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.records.iter().map(|range| &self.contents.as_bytes()[range.clone()])
    }

    /// The record that is the `number`th, from 0 on.
    pub fn record(&self, number: usize) -> Option<&[u8]> {
        self.records.get(number).map(|range| &self.contents.as_bytes()[range.clone()])
    }

    /// Whether something in it is no whole record: a run was cut short, or the file was damaged.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// How long the file is, in bytes.
    pub fn length(&self) -> u64 {
        self.contents.as_bytes().len() as u64
    }
}

/// How many bytes a record of this many takes in its journal.
pub fn framed(record: usize) -> u64 {
    (HEAD + record) as u64
}

/// Reads a journal; an empty one where there is no such file.
pub(super) fn read(top: &Folder, name: &FileName) -> Result<Journal, FilesError> {
    let contents = match top.entry(name)? {
        Entry::Absent => Vec::new().into(),
        Entry::File(file) => file.read_at_most(MAX_JOURNAL_BYTES)?,
        _ => {
            let path = top.path().join(name);
            return Err(FilesError::NotAFile { path, what: "something else" });
        }
    };
    let (mut records, mut is_damaged, mut at) = (Vec::new(), false, 0);
    let bytes = contents.as_bytes();
    while at < bytes.len() {
        match record_at(bytes, at) {
            Some(record) => {
                at = record.end;
                records.push(record);
            }
            None => {
                is_damaged = true;
                let mut rest = bytes[at + 1..].windows(MARK.len());
                at = rest.position(|four| four == MARK).map_or(bytes.len(), |next| at + 1 + next);
            }
        }
    }
    Ok(Journal { contents, records, is_damaged })
}

/// Appends records durably and returns how long the journal is then; none, having done nothing, if
/// it is not as it was left: `length` bytes long and open to its owner alone.
pub(super) fn append(
    top: &Folder,
    name: &FileName,
    length: u64,
    records: &[&[u8]],
) -> Result<Option<u64>, FilesError> {
    let Some(file) = open(top, name, length)? else { return Ok(None) };
    let frames = frames(records);
    let appended = write_all(top, &file, name, &frames)
        .and_then(|()| top.change("sync", name.as_ref(), || fs::fdatasync(&file)));
    if let Err(error) = appended {
        // Where that fails too, the journal is not as it was left, and the next change sees it.
        let cut = || fs::ftruncate(&file, length);
        let _ = top.change("cut off the end of", name.as_ref(), cut);
        return Err(error.unchanged(frames.len() as u64));
    }
    Ok(Some(length + frames.len() as u64))
}

/// Makes these all the records of a journal, or leaves it as it is, and returns how long it is then.
pub(super) fn rewrite(top: &Folder, name: &FileName, records: &[&[u8]]) -> Result<u64, FilesError> {
    let contents = Contents::from(frames(records));
    let length = contents.as_bytes().len() as u64;
    let replaced = top
        .remove(NEXT_NAME)
        .and_then(|()| top.write_new(NEXT_NAME, &contents, ACCESS))
        .and_then(|file| top.sync_file(NEXT_NAME, &file))
        .and_then(|()| top.rename(NEXT_NAME, top, name));
    if let Err(error) = replaced {
        // What cannot be removed now, the next run removes.
        let _ = top.remove(NEXT_NAME);
        return Err(error.unchanged(length));
    }
    top.sync().map_err(FilesError::unfinished)?;
    Ok(length)
}

/// The journal, open for appending, if it is as it was left.
fn open(top: &Folder, name: &FileName, length: u64) -> Result<Option<OwnedFd>, FilesError> {
    let Some(stat) = top.stat(name)? else { return Ok(None) };
    let is_ours = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && u64::try_from(stat.st_size) == Ok(length)
        && ACCESS.holds_for(&stat);
    if !is_ours {
        return Ok(None);
    }
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(&top.descriptor, name.as_str(), flags, Mode::empty())
        .map(Some)
        .map_err(|errno| top.failed("append to", name, errno))
}

fn frames(records: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length = records.iter().map(|record| HEAD + record.len()).sum();
    // Made large enough at once, so that no part of a key stays behind where it grew out of.
    let mut frames = Zeroizing::new(Vec::with_capacity(length));
    for record in records {
        let length = (record.len() as u32).to_le_bytes();
        frames.extend_from_slice(&MARK);
        frames.extend_from_slice(&length);
        frames.extend_from_slice(&sum(length, record));
        frames.extend_from_slice(record);
    }
    frames
}

/// Where the record of a frame that begins at `at` lies, if there is a whole one.
fn record_at(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let head = bytes.get(at..at + HEAD).filter(|head| head.starts_with(&MARK))?;
    let length: [u8; 4] = head[MARK.len()..SUM.start].try_into().ok()?;
    let start = at + HEAD;
    let end = start.checked_add(u32::from_le_bytes(length) as usize)?;
    let record = bytes.get(start..end)?;
    (sum(length, record) == head[SUM]).then_some(start..end)
}

fn sum(length: [u8; 4], record: &[u8]) -> [u8; SUM.end - SUM.start] {
    let mut context = Context::new(&SHA256);
    context.update(&length);
    context.update(record);
    let mut half = [0; SUM.end - SUM.start];
    half.copy_from_slice(&context.finish().as_ref()[..SUM.end - SUM.start]);
    half
}
