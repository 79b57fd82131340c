//! What is made how often, and what is kept.

use std::sync::Barrier;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;

use super::*;
use crate::snapshot::testing::node_name;

fn certificate(node: &str) -> Subject {
    Subject::Certificate(node_name(node), None)
}

fn made(name: &str) -> Result<Resource, ()> {
    let (name, version) = (name.to_owned(), String::new());
    Ok(Resource { name, version, any: Bytes::new(), aspects: Vec::new() })
}

/// Whether something had to be made.
fn is_new(cache: &Cache, name: &str, subject: &Subject, generation: Generation) -> bool {
    let mut new = false;
    let resource = cache.resource(name, subject, generation, || {
        new = true;
        made(name)
    });
    assert_eq!(resource.unwrap().name, name);
    new
}

#[test]
fn a_thing_is_made_once_for_all_who_want_it_at_once() {
    let (cache, count, barrier) = (Cache::default(), AtomicUsize::new(0), Barrier::new(4));
    let one = || {
        barrier.wait();
        let resource = cache.resource("n", &certificate("a"), 1, || {
            count.fetch_add(1, Ordering::Relaxed);
            made("n")
        });
        resource.unwrap()
    };
    let all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(count.load(Ordering::Relaxed), 1);
    assert!(all.iter().all(|resource| Arc::ptr_eq(resource, &all[0])));
}

#[test]
fn another_thing_is_made_while_one_is_being_made() {
    let cache = Cache::default();
    let outer = cache.resource("n", &certificate("a"), 1, || {
        assert!(is_new(&cache, "m", &certificate("a"), 1));
        assert!(is_new(&cache, "n", &certificate("b"), 1));
        made("n")
    });
    assert_eq!(outer.unwrap().name, "n");
}

#[test]
fn a_new_generation_or_another_subject_is_made_anew() {
    let cache = Cache::default();
    let roots = |name: &str| {
        Subject::Trust(
            node_name(name),
            super::super::End::Both,
            crate::sds::names::Validator::Roots,
        )
    };
    assert!(is_new(&cache, "n", &certificate("a"), 1));
    assert!(!is_new(&cache, "n", &certificate("a"), 1));
    assert!(is_new(&cache, "n", &certificate("a"), 2));
    assert!(is_new(&cache, "n", &roots("a"), 2));
    assert!(!is_new(&cache, "n", &roots("a"), 2));
}

#[test]
fn who_comes_late_with_something_old_puts_nothing_back() {
    let cache = Cache::default();
    assert!(is_new(&cache, "n", &certificate("a"), 2));
    assert!(is_new(&cache, "n", &certificate("a"), 1));
    assert!(!is_new(&cache, "n", &certificate("a"), 2));
}

#[test]
fn a_failure_is_not_kept() {
    let cache = Cache::default();
    let failed = cache.resource("n", &certificate("a"), 1, || Err("no"));
    assert_eq!(failed.err(), Some("no"));
    assert!(lock(&cache.shelf(&certificate("a")).0).is_empty());
    assert!(is_new(&cache, "n", &certificate("a"), 1));
}

#[test]
fn of_names_without_end_the_latest_are_kept() {
    let cache = Cache::default();
    for subject in [certificate("a"), Subject::Roots(Vec::new(), Default::default())] {
        for number in 0..3 * SHELF {
            assert!(is_new(&cache, &number.to_string(), &subject, 1));
        }
        assert_eq!(lock(&cache.shelf(&subject).0).len(), SHELF);
        assert!(!is_new(&cache, &(2 * SHELF).to_string(), &subject, 1));
        assert!(is_new(&cache, "0", &subject, 1));
    }
}
