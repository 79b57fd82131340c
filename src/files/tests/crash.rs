//! A run is killed before every single system call that changes something.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

use rustix::io::Errno;
use tempfile::TempDir;

use super::super::seam::with_hook;
use super::*;

const OLD: [(&str, &str); 3] = [
    ("chain.pem", "the old chain, longer than a write"),
    ("key.pem", "the old key, longer than a write"),
    ("same.pem", "what stays the same"),
];
const NEW: [(&str, &str); 4] = [
    ("chain.pem", "the new chain, longer than a write"),
    ("key.pem", "the new key, longer than a write"),
    ("same.pem", "what stays the same"),
    ("added.pem", "what was not there before"),
];

fn specs(files: &[(&str, &str)]) -> Vec<FileSpec> {
    files.iter().map(|(name, contents)| file(name, contents)).collect()
}

fn publish(path: &Path, layout: Layout, files: &[(&str, &str)]) -> Result<(), FilesError> {
    open(path, layout)?.publish(&specs(files)).map(|_| ())
}

/// Runs `body` with the `nth` step and all after it failing, as nothing runs in a killed process.
/// Returns whether it got that far.
fn killed_at(nth: usize, body: impl FnOnce()) -> bool {
    let taken = Rc::new(Cell::new(0));
    let counter = Rc::clone(&taken);
    let kill = move |_| {
        counter.set(counter.get() + 1);
        if counter.get() >= nth { Err(Errno::IO) } else { Ok(()) }
    };
    with_hook(kill, body);
    taken.get() >= nth
}

#[derive(Debug, Eq, PartialEq)]
enum Set {
    Mixed,
    New,
    Old,
}

/// Every file is whole, and present if it was: which set do they make?
fn whole(directory: &Path, before: &[(&str, &str)]) -> Set {
    let value = |files: &[(&str, &str)], name| {
        files.iter().find(|(file, _)| *file == name).map(|(_, contents)| (*contents).to_owned())
    };
    let (mut old, mut new) = (true, true);
    for (name, contents) in NEW {
        let found = seen(directory, name);
        let was = value(before, name);
        assert!(found == was || found.as_deref() == Some(contents), "{name}: {found:?}");
        old &= found == was;
        new &= found.as_deref() == Some(contents);
    }
    match (old, new) {
        (_, true) => Set::New,
        (true, false) => Set::Old,
        (false, false) => Set::Mixed,
    }
}

fn kill_everywhere(before: Option<Layout>, after: Layout) {
    let old: &[_] = if before.is_some() { &OLD } else { &[] };
    let mut outcomes = Vec::new();
    for nth in 1.. {
        assert!(nth < 1_000, "the run does not end");
        let home = TempDir::new().unwrap();
        let path = home.path().join("certs");
        if let Some(layout) = before {
            publish(&path, layout, &OLD).unwrap();
        }
        let killed = killed_at(nth, || drop(publish(&path, after, &NEW)));
        let set = whole(&path, old);
        // Behind `..data`, and on the way there, no moment mixes the two.
        if after == Layout::Live {
            assert_ne!(set, Set::Mixed, "killed at step {nth}");
        }
        // The run after it is killed too, again and again, each time a step further.
        for again in 1.. {
            assert!(again < 1_000, "recovery does not end");
            let recovering = killed_at(again, || drop(open(&path, after)));
            whole(&path, old);
            if !recovering {
                break;
            }
        }
        let set = whole(&path, old);
        assert_ne!(set, Set::Mixed, "killed at step {nth}, then recovered");
        outcomes.push(set);
        for entry in std::fs::read_dir(&path).unwrap() {
            let entry = entry.unwrap().path();
            assert!(entry.metadata().is_ok(), "killed at step {nth}: {entry:?} dangles");
        }

        publish(&path, after, &NEW).unwrap();
        assert_eq!(whole(&path, old), Set::New);
        let left = reserved(&path);
        match after {
            Layout::Flat => assert!(left.is_empty(), "{left:?}"),
            Layout::Live => {
                assert!(left.contains(&"..data".to_owned()) && left.len() <= 3, "{left:?}");
                assert!(left.iter().all(|n| n == "..data" || n.starts_with("..generation-")));
            }
        }
        let state = everything(&path);
        publish(&path, after, &NEW).unwrap();
        assert_eq!(state, everything(&path), "a further run changes nothing");
        if !killed {
            break;
        }
    }
    // The test itself: early kills were undone, late ones finished, and there is one turning point.
    let turn = outcomes.iter().position(|set| *set == Set::New).unwrap();
    assert!(turn > 5 && outcomes[turn..].iter().all(|set| *set == Set::New), "{outcomes:?}");
    assert!(outcomes.len() > turn + 1, "{outcomes:?}");
}

#[test]
fn first_run_flat() {
    kill_everywhere(None, Layout::Flat);
}

#[test]
fn first_run_live() {
    kill_everywhere(None, Layout::Live);
}

#[test]
fn flat() {
    kill_everywhere(Some(Layout::Flat), Layout::Flat);
}

#[test]
fn live() {
    kill_everywhere(Some(Layout::Live), Layout::Live);
}

#[test]
fn from_flat_to_live() {
    kill_everywhere(Some(Layout::Flat), Layout::Live);
}

#[test]
fn from_live_to_flat() {
    kill_everywhere(Some(Layout::Live), Layout::Flat);
}

/// A call that fails for good, clean-up and all, must not spoil a directory that stays open.
fn fail_everywhere(before: Layout, after: Layout) {
    for nth in 1.. {
        assert!(nth < 1_000, "the run does not end");
        let home = TempDir::new().unwrap();
        publish(home.path(), before, &OLD).unwrap();
        let directory = open(home.path(), after).unwrap();
        let reached = killed_at(nth, || drop(directory.publish(&specs(&NEW))));
        let new = directory.create_new(&[file("ca_1_key.pem", "a CA key")]);
        assert!(new.is_ok(), "after a failure at step {nth}: {new:?}");
        directory.publish(&specs(&NEW)).unwrap();
        assert_eq!(whole(home.path(), &OLD), Set::New);
        if !reached {
            break;
        }
    }
}

#[test]
fn an_open_flat_directory_goes_on_after_a_failure() {
    fail_everywhere(Layout::Flat, Layout::Flat);
}

#[test]
fn an_open_live_directory_goes_on_after_a_failure() {
    fail_everywhere(Layout::Live, Layout::Live);
}

#[test]
fn an_open_directory_goes_on_after_a_failure_on_its_way_to_the_live_layout() {
    fail_everywhere(Layout::Flat, Layout::Live);
}

#[test]
fn a_name_that_is_taken_at_the_last_moment_is_not_overwritten() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("ca_1_key.pem");
    let rival = path.clone();
    let take = move |step: super::super::seam::Step| {
        if step.path == rival {
            std::fs::write(&rival, "somebody else's key").unwrap();
        }
        Ok(())
    };
    let directory = open(home.path(), Layout::Flat).unwrap();
    let ours = [file("ca_0_key.pem", "our other key"), file("ca_1_key.pem", "our key")];
    let created = with_hook(take, || directory.create_new(&ours));
    let error = created.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} already exists and is never overwritten: move it away first", path.display())
    );
    assert_eq!(seen(home.path(), "ca_1_key.pem").as_deref(), Some("somebody else's key"));
    assert_eq!(seen(home.path(), "ca_0_key.pem"), None, "all of a call or none");
    assert_eq!(reserved(home.path()), [""; 0]);
}

#[test]
fn a_new_file_is_there_whole_or_not_at_all_and_never_overwritten() {
    let key = "a CA key, longer than one write of a test";
    let spec = file("ca_1_key.pem", key);
    for nth in 1.. {
        assert!(nth < 1_000, "the run does not end");
        let home = TempDir::new().unwrap();
        let create = || open(home.path(), Layout::Live)?.create_new(std::slice::from_ref(&spec));
        let killed = killed_at(nth, || drop(create()));
        let found = seen(home.path(), "ca_1_key.pem");
        assert!(found.is_none() || found.as_deref() == Some(key), "step {nth}: {found:?}");
        match create() {
            Ok(()) => assert!(found.is_none()),
            Err(FilesError::AlreadyExists { path }) => {
                assert!(found.is_some());
                assert_eq!(path, home.path().join("ca_1_key.pem"));
            }
            Err(error) => panic!("step {nth}: {error}"),
        }
        assert_eq!(seen(home.path(), "ca_1_key.pem").as_deref(), Some(key));
        assert_eq!(reserved(home.path()), [""; 0]);
        if !killed {
            break;
        }
    }
}
