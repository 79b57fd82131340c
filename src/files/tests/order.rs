//! What must be durable before what, which a kill cannot show and a power failure would.

use std::cell::RefCell;
use std::rc::Rc;

use tempfile::TempDir;

use super::super::seam::{Step, with_hook};
use super::*;

fn steps_of(home: &TempDir, layout: Layout, specs: &[FileSpec]) -> Vec<String> {
    let directory = open(home.path(), layout).unwrap();
    let steps = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&steps);
    let root = home.path().to_owned();
    let note = move |step: Step| {
        let path = step.path.strip_prefix(&root).unwrap().display();
        log.borrow_mut().push(format!("{} {path}", step.operation).trim_end().to_owned());
        Ok(())
    };
    with_hook(note, || directory.publish(specs)).unwrap();
    steps.take()
}

fn in_order(steps: &[String], expected: &[&str]) {
    let mut rest = steps.iter();
    for wanted in expected {
        assert!(rest.any(|step| step == wanted), "`{wanted}` is missing or too early: {steps:#?}");
    }
}

fn numbered(count: usize, contents: &str) -> Vec<FileSpec> {
    (0..count).map(|number| file(&format!("{number}.pem"), contents)).collect()
}

#[test]
fn flat_files_are_durable_before_the_commit_and_the_commit_before_any_name_moves() {
    let home = TempDir::new().unwrap();
    let few = steps_of(&home, Layout::Flat, &numbered(2, "first"));
    in_order(
        &few,
        &["write ..staging/0.pem", "sync ..staging/0.pem", "sync ..staging", "replace ..commit"],
    );
    in_order(&few, &["sync ..staging/1.pem", "sync ..staging", "replace ..commit"]);
    in_order(&few, &["replace ..commit", "sync", "replace 0.pem", "sync", "remove ..commit"]);
    in_order(&few, &["replace ..commit", "sync", "replace 1.pem", "sync", "remove ..commit"]);

    let many = steps_of(&home, Layout::Flat, &numbered(100, "second"));
    in_order(&many, &["write ..staging/99.pem", "sync all of ..staging", "replace ..commit"]);
    assert_eq!(many.iter().filter(|step| step.starts_with("sync")).count(), 3, "{many:#?}");
}

#[test]
fn a_live_generation_is_durable_before_it_is_pointed_to() {
    let home = TempDir::new().unwrap();
    steps_of(&home, Layout::Live, &numbered(2, "first"));
    let mut specs = numbered(2, "first");
    specs[1] = file("1.pem", "second");
    specs.push(file("2.pem", "added"));
    let steps = steps_of(&home, Layout::Live, &specs);
    in_order(
        &steps,
        &[
            "link ..generation-2/0.pem",
            "write ..generation-2/1.pem",
            "sync ..generation-2/1.pem",
            "sync ..generation-2",
            "make the symlink 2.pem",
            "make the symlink ..data_tmp",
            "sync",
            "replace ..data",
            "sync",
        ],
    );
    // A watcher of the directory sees one move for the whole set.
    assert_eq!(steps.iter().filter(|step| step.starts_with("replace")).count(), 1, "{steps:#?}");
}
