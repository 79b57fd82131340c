//! Owner, group and mode, watched at every step.

use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;
use std::rc::Rc;

use rustix::process::geteuid;
use tempfile::TempDir;

use super::super::seam::with_hook;
use super::super::{Cause, Change, Outcome};
use super::*;

/// Publishes, and at every step looks at every file of the name `key.pem`, wherever it lies.
fn watched(
    home: &TempDir,
    layout: Layout,
    spec: &FileSpec,
    allowed: fn(&std::fs::Metadata) -> bool,
) {
    let directory = open(home.path(), layout).unwrap();
    let root = home.path().to_owned();
    let seen = Rc::new(Cell::new(0));
    let count = Rc::clone(&seen);
    let look = move |_| {
        for (path, (mode, ..)) in everything(&root) {
            if path.ends_with("key.pem") {
                let about = root.join(&path).symlink_metadata().unwrap();
                assert!(about.is_symlink() || allowed(&about), "{}: {mode:o}", path.display());
                count.set(count.get() + 1);
            }
            if path.ends_with("..staging") {
                assert_eq!(mode & 0o7777, 0o700);
            }
        }
        Ok(())
    };
    with_hook(look, || directory.publish(std::slice::from_ref(spec))).unwrap();
    assert!(seen.get() > 1, "the file was looked at while it was made");
}

#[test]
fn a_key_is_never_more_open_than_wanted_from_its_first_byte() {
    for layout in [Layout::Flat, Layout::Live] {
        let home = TempDir::new().unwrap();
        let key = file("key.pem", "a key that takes several writes");
        watched(&home, layout, &key, |about| about.mode() & 0o177 == 0);
        assert_eq!(home.path().join("key.pem").metadata().unwrap().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_file_for_another_user_is_that_users_before_it_opens_up() {
    if !geteuid().is_root() {
        // Without root nobody can give a file away; then the error must say so and change nothing.
        let home = TempDir::new().unwrap();
        let mut key = file("key.pem", "a key");
        key.access.owner = Some(0);
        let directory = open(home.path(), Layout::Flat).unwrap();
        let error = directory.publish(&[key]).unwrap_err();
        let FilesError::System { cause: Cause::ChangeOwner { .. }, outcome, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(*outcome, Outcome::Unchanged);
        assert!(error.to_string().contains("only root may give a file to user 0"), "{error}");
        assert!(everything(home.path()).is_empty());
        return;
    }
    for layout in [Layout::Flat, Layout::Live] {
        let home = TempDir::new().unwrap();
        let mut key = file_with_mode("key.pem", "a key that takes several writes", 0o640);
        key.access.owner = Some(65534);
        key.access.group = Some(65533);
        let group_reads_only_as_wanted =
            |about: &std::fs::Metadata| about.mode() & 0o040 == 0 || about.gid() == 65533;
        watched(&home, layout, &key, group_reads_only_as_wanted);
        let about = home.path().join("key.pem").metadata().unwrap();
        assert_eq!((about.uid(), about.gid(), about.mode() & 0o777), (65534, 65533, 0o640));

        // Back to a stricter access: the group that comes must not read for a moment.
        key.access = Access { owner: Some(0), group: Some(65532), mode: 0o600 };
        watched(&home, layout, &key, |about| about.mode() & 0o040 == 0 || about.gid() == 65533);
        let about = home.path().join("key.pem").metadata().unwrap();
        assert_eq!((about.uid(), about.gid(), about.mode() & 0o777), (0, 65532, 0o600));
    }
}

#[test]
fn other_access_alone_keeps_bytes_inode_and_mtime_in_the_flat_layout() {
    let home = TempDir::new().unwrap();
    let directory = open(home.path(), Layout::Flat).unwrap();
    directory.publish(&[file_with_mode("key.pem", "a key", 0o644)]).unwrap();
    let before = home.path().join("key.pem").metadata().unwrap();
    let report = directory.publish(&[file("key.pem", "a key")]).unwrap();
    let after = home.path().join("key.pem").metadata().unwrap();
    assert_eq!(report.count(Change::AccessChanged), 1);
    assert_eq!(after.mode() & 0o7777, 0o600);
    assert_eq!(
        (before.ino(), before.modified().unwrap()),
        (after.ino(), after.modified().unwrap())
    );
}

#[test]
fn a_tightened_key_stays_open_in_no_generation() {
    let home = TempDir::new().unwrap();
    let directory = open(home.path(), Layout::Live).unwrap();
    let stays = file("chain.pem", "a chain");
    for mode in [0o644, 0o600] {
        directory.publish(&[file_with_mode("key.pem", "a key", mode), stays.clone()]).unwrap();
    }
    let found = everything(home.path());
    let keys =
        found.iter().filter(|(path, _)| path.ends_with("key.pem") && path.iter().count() > 1);
    let modes: Vec<_> = keys.map(|(_, (mode, ..))| mode & 0o777).collect();
    assert_eq!(modes, [0o600]);
}

#[test]
fn a_generation_is_as_passable_as_its_directory() {
    let home = TempDir::new().unwrap();
    let directory = open(home.path(), Layout::Live).unwrap();
    for (mode, generation) in [(0o700, 0o700), (0o711, 0o755), (0o700, 0o700)] {
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(mode)).unwrap();
        directory.publish(&[file("key.pem", "a key")]).unwrap();
        let about = home.path().join("..data").metadata().unwrap();
        assert_eq!(about.mode() & 0o7777, generation);
    }
}

#[test]
fn an_access_that_no_file_can_have_is_refused() {
    let home = TempDir::new().unwrap();
    let directory = open(home.path(), Layout::Flat).unwrap();
    for access in [
        Access::with_mode(0o4755),
        Access { owner: Some(u32::MAX), group: None, mode: 0o600 },
        Access { owner: None, group: Some(u32::MAX), mode: 0o600 },
    ] {
        let spec = FileSpec { access, ..file("key.pem", "a key") };
        for error in [
            directory.publish(std::slice::from_ref(&spec)).unwrap_err(),
            directory.create_new(std::slice::from_ref(&spec)).unwrap_err(),
        ] {
            assert!(matches!(error, FilesError::Access { .. }), "{error}");
        }
    }
    assert!(everything(home.path()).is_empty());
}
