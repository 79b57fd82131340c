//! Journals: killed, full and damaged at every step and every byte.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::rc::Rc;

use proptest::prelude::*;
use rustix::io::Errno;
use tempfile::TempDir;

use super::super::seam::with_hook;
use super::super::{Cause, Outcome, framed};
use super::*;

const OLD: [&[u8]; 3] = [b"the first, longer than a write", b"", b"the third"];
const NEW: [&[u8]; 2] = [b"the fourth, longer than a write", b"the fifth"];

fn name() -> FileName {
    FileName::parse("nodes.journal").unwrap()
}

fn records(directory: &Directory) -> Vec<Vec<u8>> {
    directory.journal(&name()).unwrap().records().map(<[u8]>::to_vec).collect()
}

fn whole(records: &[&[u8]]) -> Vec<Vec<u8>> {
    records.iter().map(|record| record.to_vec()).collect()
}

fn all() -> Vec<Vec<u8>> {
    whole(&[&OLD[..], &NEW[..]].concat())
}

/// A directory with a journal of the old records, and how long that is.
fn begun(home: &TempDir) -> (Directory, u64) {
    let directory = open(home.path(), Layout::Flat).unwrap();
    let length = directory.rewrite(&name(), &OLD).unwrap();
    (directory, length)
}

/// Runs `body` with every step from the `nth` on failing, or that one alone. Whether it came so far.
fn failing(nth: usize, alone: bool, errno: Errno, body: impl FnOnce()) -> bool {
    let taken = Rc::new(Cell::new(0));
    let counter = Rc::clone(&taken);
    let fail = move |_| {
        counter.set(counter.get() + 1);
        let fails = if alone { counter.get() == nth } else { counter.get() >= nth };
        if fails { Err(errno) } else { Ok(()) }
    };
    with_hook(fail, body);
    taken.get() >= nth
}

#[test]
fn what_was_written_is_read_back_in_order_by_its_owner_alone() {
    let home = TempDir::new().unwrap();
    let (directory, length) = begun(&home);
    assert_eq!(length, OLD.iter().map(|record| framed(record.len())).sum::<u64>());
    let longer = directory.append(&name(), length, &NEW).unwrap().unwrap();
    let journal = directory.journal(&name()).unwrap();
    assert_eq!((journal.length(), journal.is_damaged()), (longer, false));
    assert_eq!(records(&directory), all());
    let file = home.path().join("nodes.journal");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(directory.rewrite(&name(), &OLD).unwrap(), length);
    assert_eq!(records(&directory), whole(&OLD));
    assert_eq!(reserved(home.path()), [""; 0]);
}

#[test]
fn where_there_is_none_it_is_empty_and_nothing_is_appended() {
    let home = TempDir::new().unwrap();
    let directory = open(home.path(), Layout::Flat).unwrap();
    assert_eq!(records(&directory), whole(&[]));
    assert_eq!(directory.append(&name(), 0, &NEW).unwrap(), None);
    assert!(!home.path().join("nodes.journal").exists());
}

#[test]
fn one_that_is_killed_at_any_step_of_appending_loses_nothing_that_was_there() {
    let mut most = 0;
    for nth in 1.. {
        assert!(nth < 1_000, "it does not end");
        let home = TempDir::new().unwrap();
        let (directory, length) = begun(&home);
        let killed = failing(nth, false, Errno::IO, || {
            drop(directory.append(&name(), length, &NEW));
        });
        drop(directory);
        let directory = open(home.path(), Layout::Flat).unwrap();
        let found = records(&directory);
        assert!(all().starts_with(&found) && found.len() >= OLD.len(), "step {nth}: {found:?}");
        most = most.max(found.len());
        // A journal that is longer than it was left is not appended to, but written anew.
        let left = directory.journal(&name()).unwrap();
        if left.is_damaged() {
            assert_eq!(directory.append(&name(), length, &NEW).unwrap(), None);
            directory.rewrite(&name(), &[&OLD[..], &NEW[..]].concat()).unwrap();
            assert_eq!(records(&directory), all());
        }
        if !killed {
            break;
        }
    }
    assert_eq!(most, OLD.len() + NEW.len());
}

#[test]
fn one_that_is_killed_at_any_step_of_rewriting_is_the_old_or_the_new() {
    let mut outcomes = Vec::new();
    for nth in 1.. {
        assert!(nth < 1_000, "it does not end");
        let home = TempDir::new().unwrap();
        let (directory, _) = begun(&home);
        let killed = failing(nth, false, Errno::IO, || drop(directory.rewrite(&name(), &NEW)));
        drop(directory);
        let directory = open(home.path(), Layout::Flat).unwrap();
        assert_eq!(reserved(home.path()), [""; 0]);
        let found = records(&directory);
        assert!(found == whole(&OLD) || found == whole(&NEW), "step {nth}: {found:?}");
        outcomes.push(found == whole(&NEW));
        if !killed {
            break;
        }
    }
    assert!(outcomes.is_sorted() && outcomes.contains(&true) && outcomes.contains(&false));
}

#[test]
fn a_full_disk_leaves_the_journal_as_it_was_and_ready_to_go_on() {
    for nth in 1.. {
        assert!(nth < 1_000, "it does not end");
        let home = TempDir::new().unwrap();
        let (directory, length) = begun(&home);
        let mut outcome = Ok(None);
        let reached = failing(nth, true, Errno::NOSPC, || {
            outcome = directory.append(&name(), length, &NEW);
        });
        match outcome {
            Err(FilesError::System { cause, outcome, .. }) => {
                assert!(matches!(cause, Cause::DiskFull { needed: Some(_) }), "{cause}");
                assert_eq!(outcome, Outcome::Unchanged);
                assert_eq!(records(&directory), whole(&OLD));
                directory.append(&name(), length, &NEW).unwrap().unwrap();
            }
            other => assert!(!reached, "{other:?}"),
        }
        assert_eq!(records(&directory), all());
        if !reached {
            break;
        }
    }
}

#[test]
fn what_was_changed_or_opened_to_others_meanwhile_is_not_appended_to() {
    let home = TempDir::new().unwrap();
    let (directory, length) = begun(&home);
    let file = home.path().join("nodes.journal");
    let refused = || assert_eq!(directory.append(&name(), length, &NEW).unwrap(), None);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    refused();
    fs::rename(&file, home.path().join("elsewhere")).unwrap();
    refused();
    symlink("elsewhere", &file).unwrap();
    refused();
    assert!(matches!(directory.journal(&name()), Err(FilesError::NotAFile { .. })));
    directory.rewrite(&name(), &NEW).unwrap();
    assert_eq!(records(&directory), whole(&NEW));
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
    let elsewhere = fs::read(home.path().join("elsewhere")).unwrap();
    assert_eq!(elsewhere.len() as u64, length, "the symlink is replaced, not followed");
}

proptest! {
    #[test]
    fn damage_costs_the_records_that_it_hits_and_no_other(
        cut in proptest::option::of(0_usize..200),
        flipped in proptest::option::of((0_usize..200, 1_u8..)),
        added in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let home = TempDir::new().unwrap();
        let (directory, length) = begun(&home);
        directory.append(&name(), length, &NEW).unwrap();
        let file = home.path().join("nodes.journal");
        let mut bytes = fs::read(&file).unwrap();
        let whole = bytes.clone();
        let flipped = flipped.map(|(at, by)| (at % bytes.len(), by));
        if let Some((at, by)) = flipped {
            bytes[at] ^= by;
        }
        if let Some(cut) = cut {
            bytes.truncate(bytes.len() - cut.min(bytes.len()));
        }
        // What is added may happen to be what was cut off.
        bytes.extend(&added);
        fs::write(&file, &bytes).unwrap();
        let mut at = 0;
        let mut expected = all();
        expected.retain(|record| {
            let frame = at..at + framed(record.len()) as usize;
            at = frame.end;
            bytes.get(frame.clone()) == whole.get(frame)
        });
        prop_assert_eq!(records(&directory), expected);
        let is_damaged = directory.journal(&name()).unwrap().is_damaged();
        // What was cut off just where a record begins was never there.
        if cut.is_none() {
            prop_assert_eq!(is_damaged, flipped.is_some() || !added.is_empty());
        }
    }
}
