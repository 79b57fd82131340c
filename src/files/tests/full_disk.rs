//! The disk is full at every single step, and free again at the next.

use std::cell::Cell;
use std::rc::Rc;

use rustix::io::Errno;
use tempfile::TempDir;

use super::super::seam::with_hook;
use super::super::{Cause, Change, Outcome, View};
use super::*;

fn old() -> Vec<FileSpec> {
    vec![
        file("chain.pem", "the old chain"),
        file("key.pem", "the old key"),
        file_with_mode("touched.pem", "other access", 0o644),
        file_with_mode("touched_too.pem", "other access", 0o644),
    ]
}

fn new() -> Vec<FileSpec> {
    vec![
        file("chain.pem", "the new chain, longer than a write"),
        file("key.pem", "the new key, longer than a write"),
        file("touched.pem", "other access"),
        file("touched_too.pem", "other access"),
        file("added.pem", "added"),
    ]
}

fn fill_at_every_step(before: Layout, after: Layout) {
    let (mut unchanged, mut unfinished) = (0, 0);
    for nth in 1.. {
        assert!(nth < 1_000, "the run does not end");
        let home = TempDir::new().unwrap();
        open(home.path(), before).unwrap().publish(&old()).unwrap();
        let state = everything(home.path());

        let directory = open(home.path(), after).unwrap();
        let steps = Rc::new(Cell::new(0));
        let counter = Rc::clone(&steps);
        let fill = move |_| {
            counter.set(counter.get() + 1);
            if counter.get() == nth { Err(Errno::NOSPC) } else { Ok(()) }
        };
        let result = with_hook(fill, || directory.publish(&new()));
        let reached = steps.get() >= nth;

        if let Err(error) = &result {
            let FilesError::System { cause: Cause::DiskFull { .. }, outcome, .. } = error else {
                panic!("step {nth}: {error}")
            };
            match outcome {
                Outcome::Unchanged if before == after => {
                    unchanged += 1;
                    assert_eq!(everything(home.path()), state, "step {nth}: {error}");
                }
                // On the way to the other layout a name may have moved, but not its file.
                Outcome::Unchanged => {
                    unchanged += 1;
                    let same = View::open(home.path()).unwrap().unwrap().compare(&old()).unwrap();
                    assert_eq!(same.count(Change::Kept), 4, "step {nth}: {error}");
                    assert_eq!(seen(home.path(), "added.pem"), None);
                }
                Outcome::Unfinished => unfinished += 1,
                Outcome::Unknown => panic!("step {nth}: {error}"),
            }
        } else {
            assert!(!reached, "step {nth} failed and nobody said so");
        }
        // The same open directory goes on as soon as there is room.
        directory.publish(&new()).unwrap();
        let view = View::open(home.path()).unwrap().unwrap();
        assert_eq!(view.compare(&new()).unwrap().count(Change::Kept), 5);
        assert_eq!(view.layout().unwrap(), after);
        if !reached {
            break;
        }
    }
    assert!(unchanged > 10 && unfinished > 0, "{unchanged} unchanged, {unfinished} unfinished");
}

#[test]
fn flat() {
    fill_at_every_step(Layout::Flat, Layout::Flat);
}

#[test]
fn live() {
    fill_at_every_step(Layout::Live, Layout::Live);
}

#[test]
fn from_flat_to_live() {
    fill_at_every_step(Layout::Flat, Layout::Live);
}

#[test]
fn from_live_to_flat() {
    fill_at_every_step(Layout::Live, Layout::Flat);
}

#[test]
fn the_error_says_that_nothing_was_changed_and_how_much_to_free() {
    let home = TempDir::new().unwrap();
    let directory = open(home.path(), Layout::Flat).unwrap();
    let fill = |step: super::super::seam::Step| {
        if step.path.ends_with("key.pem") { Err(Errno::NOSPC) } else { Ok(()) }
    };
    let error = with_hook(fill, || directory.publish(&new())).unwrap_err();
    let path = home.path().join("..staging/key.pem");
    assert_eq!(
        error.to_string(),
        format!(
            "cannot write {}: the disk is full; nothing was changed; see that 20480 bytes are free \
             and run again",
            path.display()
        )
    );
    assert_eq!(everything(home.path()).len(), 0);
}

#[test]
fn a_read_only_or_forbidden_directory_is_named_with_a_way_out() {
    for (errno, words) in [
        (Errno::ROFS, "the file system is read-only; nothing was changed; choose a directory"),
        (Errno::ACCESS, "no permission; nothing was changed; run as the user that owns it"),
        (Errno::IO, "Input/output error (os error 5); nothing was changed"),
    ] {
        let home = TempDir::new().unwrap();
        let directory = open(home.path(), Layout::Live).unwrap();
        let error = with_hook(move |_| Err(errno), || directory.publish(&new())).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains(&home.path().display().to_string()), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }
}
