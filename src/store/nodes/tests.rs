use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::files::{DirectoryOptions, Layout};
use crate::snapshot::testing::{COLORAPP, node_name, published};

struct Place {
    home: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { home: TempDir::new().unwrap() }
    }

    fn file(&self) -> std::path::PathBuf {
        self.home.path().join(JOURNAL)
    }

    fn length(&self) -> u64 {
        fs::metadata(self.file()).unwrap().len()
    }

    fn store(&self) -> NodeStore {
        open(self.home.path())
    }
}

fn open(path: &Path) -> NodeStore {
    let options = DirectoryOptions::new(Layout::Flat);
    NodeStore::new(Arc::new(Directory::open(path, options, || ()).unwrap()))
}

/// Credentials of the walkthrough's nodes, each new.
fn credential(node: &str) -> Arc<Credential> {
    let node = published(COLORAPP).snapshot.node(&node_name(node)).unwrap();
    Arc::clone(&node.leaf.as_ref().unwrap().credential)
}

fn entry(node: &str, credential: &Credential) -> Entry {
    Entry::credential(&node_name(node), credential)
}

fn leaf(store: &NodeStore, node: &str) -> Option<Certificate> {
    let node = node_name(node);
    match store.read([&node]).unwrap().credential(&node, &[]) {
        Held::Pair { key, chain } => {
            assert_eq!(key.public().spki(), chain[0].spki());
            Some(chain[0].clone())
        }
        Held::Nothing => None,
        Held::Damaged(damage) => panic!("{damage}"),
    }
}

#[test]
fn what_is_kept_last_counts_here_and_for_whoever_comes_next() {
    let place = Place::new();
    let store = place.store();
    let [old, new, blue] = ["front", "front", "blue"].map(credential);
    assert_eq!(leaf(&store, "front"), None);
    store.save(&[entry("front", &old), entry("blue", &blue)]).unwrap();
    store.save(&[entry("front", &old), entry("front", &new)]).unwrap();
    for _ in 0..2 {
        assert_eq!(leaf(&store, "front").as_ref(), Some(new.leaf()));
    }
    assert_eq!(fs::metadata(place.file()).unwrap().mode() & 0o7777, 0o600);
    drop(store);
    let store = place.store();
    assert_eq!(leaf(&store, "front").as_ref(), Some(new.leaf()));
    assert_eq!(leaf(&store, "blue").as_ref(), Some(blue.leaf()));
    store.save(&[Entry::nothing(Kind::Credential, &node_name("front"))]).unwrap();
    assert_eq!(leaf(&store, "front"), None);
    drop(store);
    assert_eq!(leaf(&place.store(), "front"), None);
}

#[test]
fn what_is_superseded_takes_no_more_than_what_counts() {
    let place = Place::new();
    let store = place.store();
    let credentials = ["front", "blue", "green"].map(credential);
    let all = |at: usize| entry(["front", "blue", "green"][at], &credentials[at]);
    store.save(&[all(0), all(1), all(2)]).unwrap();
    let once = place.length();
    let mut shrunk = 0;
    for turn in 0..60 {
        let before = place.length();
        store.save(&[all(turn % 3)]).unwrap();
        shrunk += usize::from(place.length() < before);
        assert!(place.length() <= SMALL.max(2 * once + once / 2), "{}", place.length());
    }
    assert!((1..=20).contains(&shrunk), "written anew {shrunk} times");
    drop(store);
    let store = place.store();
    for (name, credential) in ["front", "blue", "green"].iter().zip(&credentials) {
        assert_eq!(leaf(&store, name).as_ref(), Some(credential.leaf()));
    }
    // One that nobody asks for any more is kept through it, and one that is gone is not.
    store.save(&[Entry::nothing(Kind::Credential, &node_name("green"))]).unwrap();
    fs::set_permissions(place.file(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    store.save(&[all(0)]).unwrap();
    assert!(place.length() < once, "written anew, and closed to others");
    assert_eq!(fs::metadata(place.file()).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(leaf(&store, "blue").as_ref(), Some(credentials[1].leaf()));
}

#[test]
fn a_damaged_record_costs_its_own_node_and_is_gone_after_the_next_change() {
    let place = Place::new();
    let [front, blue] = ["front", "blue"].map(credential);
    place.store().save(&[entry("front", &front), entry("blue", &blue)]).unwrap();
    let mut bytes = fs::read(place.file()).unwrap();
    bytes[100] ^= 1;
    fs::write(place.file(), bytes).unwrap();
    let store = place.store();
    assert!(store.read([&node_name("blue")]).unwrap().is_damaged());
    assert_eq!(leaf(&store, "front"), None);
    assert_eq!(leaf(&store, "blue").as_ref(), Some(blue.leaf()));
    store.save(&[entry("front", &front)]).unwrap();
    assert!(!store.read([&node_name("blue")]).unwrap().is_damaged());
    assert_eq!(leaf(&store, "front").as_ref(), Some(front.leaf()));
    assert_eq!(leaf(&store, "blue").as_ref(), Some(blue.leaf()));
}

#[test]
fn what_cannot_be_read_is_told_and_nothing_is_kept_until_it_can_be() {
    let place = Place::new();
    let store = place.store();
    let [front, blue] = ["front", "blue"].map(credential);
    store.save(&[entry("front", &front)]).unwrap();
    let away = place.home.path().join("away");
    fs::rename(place.file(), &away).unwrap();
    fs::create_dir(place.file()).unwrap();
    assert!(store.save(&[entry("blue", &blue)]).is_err());
    assert!(store.read([&node_name("front")]).is_err());
    fs::remove_dir(place.file()).unwrap();
    fs::rename(&away, place.file()).unwrap();
    store.save(&[entry("blue", &blue)]).unwrap();
    assert_eq!(leaf(&store, "front").as_ref(), Some(front.leaf()));
    assert_eq!(leaf(&store, "blue").as_ref(), Some(blue.leaf()));
}

#[test]
fn a_key_of_another_credential_is_damage_and_no_key_is_shown() {
    let place = Place::new();
    let store = place.store();
    let [front, blue] = ["front", "blue"].map(credential);
    let key = front.key().to_der();
    let parts = [key.secret_pkcs8_der(), blue.leaf().der().as_ref()];
    let name = node_name("front");
    let made = Entry::new(Kind::Credential, name.as_str(), &parts);
    store.save(&[made]).unwrap();
    let reading = store.read([&name]).unwrap();
    let Held::Damaged(damage) = reading.credential(&name, &[]) else { panic!("it is taken") };
    assert_eq!(damage.to_string(), "the stored key does not belong to the stored chain");
    let shown = format!("{reading:?} {store:?} {:?}", entry("front", &front));
    let bytes = format!("{:?}", &key.secret_pkcs8_der()[36..44]);
    assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    assert!(shown.contains("front"), "{shown}");
}
