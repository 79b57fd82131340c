//! A real watcher on real files, edited in all the ways that people and programs edit.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use time::macros::datetime;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, timeout};

use super::*;

mod named;

/// Only a test that fails waits so long.
const HANG: Duration = Duration::from_secs(30);

fn clock() -> Clock {
    Clock::fixed(datetime!(2026-11-21 08:00 UTC))
}

/// A mesh whose trust domain is `domain`.
pub(super) fn mesh(domain: &str) -> String {
    format!("version: 1\ntrustDomain: {domain}\nauthorities: {{ca_1: }}\nvirtualNodes: {{x: }}\n")
}

pub(super) async fn until<T: Clone>(
    what: &str,
    receiver: &mut Receiver<T>,
    wanted: impl FnMut(&T) -> bool,
) -> T {
    let seen = timeout(HANG, receiver.wait_for(wanted)).await;
    seen.unwrap_or_else(|_| panic!("{what}: not within {HANG:?}")).unwrap().clone()
}

/// A mesh file that is watched.
pub(super) struct Site {
    directory: tempfile::TempDir,
    watcher: Option<MeshFileWatcher>,
}

impl Site {
    /// `conf/mesh.yaml`, with `text`.
    pub(super) fn with(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("conf")).unwrap();
        let mut site = Self { directory, watcher: None };
        fs::write(site.mesh(), text).unwrap();
        site.watcher = Some(MeshFileWatcher::start(&site.mesh(), clock()).unwrap());
        site
    }

    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    pub(super) fn mesh(&self) -> PathBuf {
        self.at("conf/mesh.yaml")
    }

    pub(super) fn watcher(&self) -> &MeshFileWatcher {
        self.watcher.as_ref().unwrap()
    }

    /// What the file says, once its trust domain is `domain`.
    pub(super) async fn says(&self, domain: &str) -> Arc<Source> {
        let fits = |source: &Arc<Source>| source.desired.trust_domain.as_str() == domain;
        until(domain, &mut self.watcher().sources(), fits).await
    }

    /// The fault, once it says `part`.
    async fn faults(&self, part: &str) -> Fault {
        let fits = |c: &Condition| c.fault.as_ref().is_some_and(|f| f.text.contains(part));
        until(part, &mut self.watcher().condition(), fits).await.fault.unwrap()
    }
}

/// Writes `path` anew as an editor does: beside it, and then over it.
fn renamed_over(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

#[tokio::test]
async fn a_file_may_be_edited_in_every_way_one_after_the_other() {
    let site = Site::with(&mesh("d0"));
    let path = site.mesh();
    assert_eq!(site.says("d0").await.revision, 1);

    fs::write(&path, mesh("written-in-place")).unwrap();
    site.says("written-in-place").await;

    renamed_over(&path, &mesh("renamed-over"));
    site.says("renamed-over").await;

    let backup = path.with_extension("yaml~");
    fs::rename(&path, &backup).unwrap();
    fs::write(&path, mesh("vim")).unwrap();
    fs::remove_file(&backup).unwrap();
    site.says("vim").await;

    let sed = Command::new("sed").args(["-i", "s/vim/sed/"]).arg(&path).status().unwrap();
    assert!(sed.success());
    site.says("sed").await;

    fs::remove_file(&path).unwrap();
    let fault = site.faults("No such file").await;
    assert_eq!(fault.since, clock().now());
    assert_eq!(site.says("sed").await.revision, 5, "the last good mesh stays in force");
    fs::write(&path, mesh("created-again")).unwrap();
    site.says("created-again").await;
    assert_eq!(*site.watcher().condition().borrow(), Condition::default());

    let linked = site.at("conf/linked");
    fs::write(&linked, mesh("hard-link")).unwrap();
    fs::remove_file(&path).unwrap();
    fs::hard_link(&linked, &path).unwrap();
    site.says("hard-link").await;

    let mut open = OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
    open.write_all(mesh("never-closed").as_bytes()).unwrap();
    site.says("never-closed").await;
}

#[tokio::test]
async fn the_directory_may_be_replaced_and_come_back() {
    let site = Site::with(&mesh("d0"));
    let (conf, old, new) = (site.at("conf"), site.at("old"), site.at("new"));
    fs::create_dir(&new).unwrap();
    fs::write(new.join("mesh.yaml"), mesh("replaced")).unwrap();
    fs::rename(&conf, &old).unwrap();
    fs::rename(&new, &conf).unwrap();
    site.says("replaced").await;

    fs::remove_dir_all(&conf).unwrap();
    site.faults("No such file").await;
    fs::rename(&old, &conf).unwrap();
    site.says("d0").await;
    fs::write(site.mesh(), mesh("there-again")).unwrap();
    site.says("there-again").await;

    fs::remove_dir_all(&conf).unwrap();
    fs::create_dir(&conf).unwrap();
    fs::write(site.mesh(), mesh("made-again")).unwrap();
    site.says("made-again").await;
}

#[tokio::test]
async fn a_mounted_config_map_is_followed_from_swap_to_swap() {
    let site = tempfile::tempdir().unwrap();
    let mount = site.path();
    let project = |generation: &str, before: Option<&str>| {
        let name = format!("..{generation}");
        fs::create_dir(mount.join(&name)).unwrap();
        fs::write(mount.join(&name).join("mesh.yaml"), mesh(generation)).unwrap();
        symlink(&name, mount.join("..data_tmp")).unwrap();
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
        if let Some(before) = before {
            fs::remove_dir_all(mount.join(format!("..{before}"))).unwrap();
        }
    };
    project("g0", None);
    symlink("..data/mesh.yaml", mount.join("mesh.yaml")).unwrap();
    let watcher = MeshFileWatcher::start(&mount.join("mesh.yaml"), clock()).unwrap();
    let mut sources = watcher.sources();
    for (before, generation) in [("g0", "g1"), ("g1", "g2"), ("g2", "g3")] {
        project(generation, Some(before));
        let fits = |source: &Arc<Source>| source.desired.trust_domain.as_str() == generation;
        until(generation, &mut sources, fits).await;
    }
    assert_eq!(watcher.condition().borrow().fault, None);
}

#[tokio::test]
async fn a_symlink_far_away_may_be_turned_to_another_file() {
    let site = Site::with(&mesh("d0"));
    fs::write(site.at("other.yaml"), mesh("other")).unwrap();
    fs::create_dir(site.at("links")).unwrap();
    symlink(site.mesh(), site.at("links/current")).unwrap();
    symlink("links/current", site.at("mesh.yaml")).unwrap();
    let watcher = MeshFileWatcher::start(&site.at("mesh.yaml"), clock()).unwrap();
    symlink(site.at("other.yaml"), site.at("links/next")).unwrap();
    fs::rename(site.at("links/next"), site.at("links/current")).unwrap();
    let mut sources = watcher.sources();
    let is = |domain: &'static str| {
        move |source: &Arc<Source>| source.desired.trust_domain.as_str() == domain
    };
    until("the other file", &mut sources, is("other")).await;
    fs::write(site.at("other.yaml"), mesh("edited")).unwrap();
    until("the other file, edited", &mut sources, is("edited")).await;
}

#[tokio::test]
async fn a_broken_edit_is_told_once_and_in_full_and_changes_nothing() {
    let site = Site::with(&mesh("d0"));
    let broken = "version: 1\ntrustDomain: d1\nauthorites: {}\n";
    let mut condition = site.watcher().condition();
    fs::write(site.mesh(), broken).unwrap();
    let fault = site.faults("authorites").await;
    let path = site.mesh();
    assert_eq!(
        fault.text,
        format!(
            "{0}:1:1: error: the mesh file needs a field `authorities`\n{0}:3:1: error: the mesh \
             file has no field `authorites` (did you mean `authorities`? (known here: version, \
             trustDomain, dnsSuffix, clockSkew, defaults, distrust, authorities, virtualNodes, \
             virtualGateways))",
            path.display()
        )
    );
    assert_eq!(site.says("d0").await.revision, 1);

    condition.mark_unchanged();
    renamed_over(&site.mesh(), broken);
    site.watcher().reload();
    fs::write(site.mesh(), "").unwrap();
    until("another fault", &mut condition, |c| {
        let fault = c.fault.as_ref().unwrap();
        assert!(fault.text.contains("authorites") || fault.text.contains("is empty"), "{fault:?}");
        fault.text.contains("is empty")
    })
    .await;

    fs::write(site.mesh(), mesh("mended")).unwrap();
    assert_eq!(site.says("mended").await.revision, 2);
    until("no fault", &mut condition, |c| c.fault.is_none()).await;
    fs::write(site.mesh(), broken).unwrap();
    site.faults("authorites").await;
    fs::write(site.mesh(), mesh("mended")).unwrap();
    until("no fault", &mut condition, |c| c.fault.is_none()).await;
    assert_eq!(site.says("mended").await.revision, 2);
}

#[tokio::test]
async fn what_says_the_same_changes_nothing() {
    let site = Site::with(&mesh("d0"));
    let mut sources = site.watcher().sources();
    for text in [mesh("d0"), format!("# a comment\n{}", mesh("d0")), mesh("d0")] {
        renamed_over(&site.mesh(), &text);
        site.watcher().reload();
    }
    renamed_over(&site.mesh(), &mesh("d1"));
    let source = until("another mesh", &mut sources, |source| source.revision > 1).await;
    assert_eq!((source.revision, source.desired.trust_domain.as_str()), (2, "d1"));
}

#[tokio::test]
async fn what_cannot_be_followed_is_refused_at_the_start() {
    let site = Site::with(&mesh("d0"));
    fs::write(site.at("broken"), "version: 2\n").unwrap();
    fs::write(site.at("large"), vec![b' '; MAX_BYTES + 1]).unwrap();
    for (path, part) in [
        ("none", "cannot read the mesh file"),
        ("conf", "no regular file"),
        ("large", "longer than 16 MiB"),
        ("broken", "`version` is \"2\""),
    ] {
        let error = MeshFileWatcher::start(&site.at(path), clock()).unwrap_err();
        assert!(error.in_full().contains(part), "{}", error.in_full());
        assert!(error.in_full().contains(&format!("/{path}")), "{}", error.in_full());
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_watched_the_files_are_looked_at_all_the_same() {
    let site = Site::with(&mesh("d0"));
    let bell = Arc::new(Bell::default());
    let mut keeper = Keeper::start(&site.mesh(), clock(), &bell).unwrap();
    keeper.deafen();
    let (mut sources, condition) = (keeper.sources(), keeper.condition());
    let polling = condition.borrow().polling.clone().unwrap();
    assert!(polling.starts_with("cannot watch for changes: OS file watch limit"), "{polling}");
    let started = Instant::now();
    let task = tokio::spawn(settling::follow(keeper, bell));
    fs::write(site.mesh(), mesh("d1")).unwrap();
    sources.wait_for(|s| s.desired.trust_domain.as_str() == "d1").await.unwrap();
    assert!(started.elapsed() <= Duration::from_secs(6), "{:?}", started.elapsed());
    task.abort();
}

#[tokio::test]
async fn a_directory_that_is_not_there_cannot_be_watched() {
    let site = Site::with(&mesh("d0"));
    let mut places = places::Places::default();
    places.directories.insert(site.at("none"), (1, 1));
    let mut directories = directories::Directories::new(&Arc::default());
    let error = directories.follow(|| places.clone()).unwrap_err();
    assert!(error.starts_with("cannot watch for changes: "), "{error}");
}

/// Prints what it takes from the end of a write to a new mesh.
#[tokio::test]
async fn a_save_is_there_within_milliseconds() {
    let site = Site::with(&mesh("d"));
    let mut sources = site.watcher().sources();
    let mut took = Vec::new();
    for round in 0..20 {
        let domain = format!("d{round}");
        fs::write(site.mesh(), mesh(&domain)).unwrap();
        let saved = Instant::now();
        until("a save", &mut sources, |s| s.desired.trust_domain.as_str() == domain).await;
        took.push(saved.elapsed());
    }
    took.sort();
    println!("from a save to the new mesh: median {:?}, worst {:?}", took[10], took[19]);
}
