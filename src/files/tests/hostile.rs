//! Symlinks and other things that lie where they should not.

use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::io::Errno;
use tempfile::TempDir;

use super::super::seam::with_hook;
use super::super::{Change, MAX_FILE_BYTES, Recovered, View, Warning};
use super::*;

#[test]
fn a_symlink_at_a_files_name_is_replaced_and_not_written_through() {
    for layout in [Layout::Flat, Layout::Live] {
        let home = TempDir::new().unwrap();
        let victim = TempDir::new().unwrap();
        let target = victim.path().join("passwd");
        std::fs::write(&target, "somebody else's").unwrap();
        symlink(&target, home.path().join("key.pem")).unwrap();

        let directory = open(home.path(), layout).unwrap();
        let name = FileName::parse("key.pem").unwrap();
        let error = directory.read(&name).unwrap_err().to_string();
        assert!(error.contains("a symlink that certctl did not make"), "{error}");
        let error = directory.create_new(&[file("key.pem", "a key")]).unwrap_err();
        assert!(matches!(error, FilesError::AlreadyExists { .. }), "{error}");

        let report = directory.publish(&[file("key.pem", "a key")]).unwrap();
        assert_eq!(report.count(Change::Written), 1);
        assert_eq!(seen(home.path(), "key.pem").as_deref(), Some("a key"));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "somebody else's");
        assert_eq!(directory.publish(&[file("key.pem", "a key")]).unwrap().count(Change::Kept), 1);
    }
}

#[test]
fn symlinks_at_our_own_names_are_refused_and_their_targets_untouched() {
    for name in ["..staging", "..commit", "..data", "..generation-1"] {
        let home = TempDir::new().unwrap();
        let victim = TempDir::new().unwrap();
        std::fs::write(victim.path().join("key.pem"), "somebody else's").unwrap();
        symlink(victim.path(), home.path().join(name)).unwrap();
        let error = open(home.path(), Layout::Flat).unwrap_err();
        assert!(matches!(error, FilesError::InTheWay { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(seen(victim.path(), "key.pem").as_deref(), Some("somebody else's"));
    }
}

#[test]
fn pipes_and_directories_at_a_files_name_neither_hang_nor_vanish() {
    let home = TempDir::new().unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, home.path().join("pipe.pem"), 0o600.into()).unwrap();
    std::fs::create_dir(home.path().join("folder.pem")).unwrap();
    for layout in [Layout::Flat, Layout::Live] {
        let directory = open(home.path(), layout).unwrap();
        let error = directory
            .publish(&[file("folder.pem", "a key"), file("other.pem", "another")])
            .unwrap_err();
        assert!(error.to_string().contains("folder.pem is a directory"), "{error}");
        assert_eq!(seen(home.path(), "other.pem"), None);
    }
    let directory = open(home.path(), Layout::Flat).unwrap();
    let pipe = FileName::parse("pipe.pem").unwrap();
    assert!(directory.read(&pipe).unwrap_err().to_string().contains("pipe"));
    directory.publish(&[file("pipe.pem", "a key")]).unwrap();
    assert_eq!(directory.read(&pipe).unwrap().unwrap().as_bytes(), b"a key");
}

#[test]
fn a_foreign_data_symlink_is_left_alone() {
    let home = TempDir::new().unwrap();
    std::fs::create_dir(home.path().join("..2026_01_02")).unwrap();
    symlink("..2026_01_02", home.path().join("..data")).unwrap();
    let error = open(home.path(), Layout::Live).unwrap_err().to_string();
    assert!(error.contains("..data is in the way"), "{error}");
    assert!(home.path().join("..2026_01_02").is_dir());
}

#[test]
fn a_commit_planted_by_another_user_is_not_put_in_place() {
    let home = TempDir::new().unwrap();
    let commit = home.path().join("..commit");
    std::fs::create_dir(&commit).unwrap();
    std::fs::write(commit.join("ca_1_cert.pem"), "a stranger's").unwrap();
    // Only root can make a stranger's directory; for others their own stands, and is rolled
    // forward.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&commit, Some(65534), None).unwrap();
        let error = open(home.path(), Layout::Flat).unwrap_err().to_string();
        assert!(error.contains("belongs to another user"), "{error}");
        assert_eq!(seen(home.path(), "ca_1_cert.pem"), None);
    } else {
        assert_eq!(open(home.path(), Layout::Flat).unwrap().recovered(), Recovered::Finished);
        assert_eq!(seen(home.path(), "ca_1_cert.pem").as_deref(), Some("a stranger's"));
    }
}

#[test]
fn a_directory_that_others_may_write_to_or_may_not_enter_is_reported() {
    let home = TempDir::new().unwrap();
    let path = home.path().to_owned();
    let open = |mode, wanted| {
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(mode)).unwrap();
        let options = DirectoryOptions { mode: wanted, ..DirectoryOptions::new(Layout::Flat) };
        Directory::open(home.path(), options, || ()).unwrap().warnings().to_vec()
    };
    assert_eq!(open(0o700, 0o700), []);
    assert_eq!(open(0o711, 0o711), []);
    assert_eq!(open(0o777, 0o700), [Warning::WritableByOthers { path: path.clone(), mode: 0o777 }]);
    let group = open(0o770, 0o700);
    assert_eq!(group, [Warning::WritableByGroup { path: path.clone(), mode: 0o770 }]);
    assert!(group[0].to_string().contains("chmod g-w "), "{}", group[0]);
    let warnings = open(0o700, 0o711);
    assert_eq!(warnings, [Warning::NotTraversable { path, mode: 0o700, wanted: 0o711 }]);
    assert!(warnings[0].to_string().contains("chmod 711 "), "{}", warnings[0]);
}

#[test]
fn sizes_are_bounded_both_ways() {
    let home = TempDir::new().unwrap();
    let directory = open(home.path(), Layout::Flat).unwrap();
    let large = std::fs::File::create(home.path().join("large.pem")).unwrap();
    large.set_len(MAX_FILE_BYTES as u64 + 1).unwrap();
    let error = directory.read(&FileName::parse("large.pem").unwrap()).unwrap_err();
    assert!(
        matches!(error, FilesError::TooLarge { size, .. } if size == MAX_FILE_BYTES as u64 + 1)
    );

    let spec = FileSpec { contents: vec![0; MAX_FILE_BYTES + 1].into(), ..file("key.pem", "") };
    assert!(matches!(directory.publish(&[spec]), Err(FilesError::TooLarge { .. })));
    assert_eq!(seen(home.path(), "key.pem"), None);
}

#[test]
fn one_name_twice_is_refused() {
    let home = TempDir::new().unwrap();
    for layout in [Layout::Flat, Layout::Live] {
        let twice = [file("key.pem", "one"), file("key.pem", "two")];
        let error = open(home.path(), layout).unwrap().publish(&twice).unwrap_err().to_string();
        assert!(error.contains("key.pem is wanted twice"), "{error}");
        assert!(everything(home.path()).is_empty());
    }
}

#[test]
fn a_view_sees_what_is_committed_and_changes_nothing() {
    let home = TempDir::new().unwrap();
    assert!(View::open(&home.path().join("missing")).unwrap().is_none());
    let new = [file("chain.pem", "the new chain"), file("key.pem", "the new key")];
    open(home.path(), Layout::Flat).unwrap().publish(&[file("key.pem", "the old key")]).unwrap();
    let mut committed = false;
    let kill = move |step: super::super::seam::Step| {
        let into_place = step.path.ends_with("chain.pem") || step.path.ends_with("key.pem");
        committed |= step.operation == "replace" && into_place;
        if committed { Err(Errno::IO) } else { Ok(()) }
    };
    let directory = open(home.path(), Layout::Flat).unwrap();
    let error = with_hook(kill, || directory.publish(&new)).unwrap_err().to_string();
    assert!(error.contains("committed, and the next run puts them in place"), "{error}");
    drop(directory);

    let state = everything(home.path());
    let view = View::open(home.path()).unwrap().unwrap();
    assert!(view.unfinished().unwrap());
    assert_eq!(view.compare(&new).unwrap().count(Change::Kept), 2);
    let key = view.read(&FileName::parse("key.pem").unwrap()).unwrap().unwrap();
    assert_eq!(key.as_bytes(), b"the new key");
    assert_eq!(everything(home.path()), state);

    assert_eq!(open(home.path(), Layout::Flat).unwrap().recovered(), Recovered::Finished);
    assert_eq!(seen(home.path(), "key.pem").as_deref(), Some("the new key"));
    assert!(!view.unfinished().unwrap());
}

#[test]
fn where_directories_cannot_be_locked_a_file_in_them_is() {
    let home = TempDir::new().unwrap();
    let like_nfs = |step: super::super::seam::Step| {
        let directory = step.operation == "lock" && !step.path.ends_with("..lock");
        if directory { Err(Errno::BADF) } else { Ok(()) }
    };
    with_hook(like_nfs, || {
        let first = open(home.path(), Layout::Flat).unwrap();
        let path = home.path().join("..lock");
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        let other = std::fs::File::open(&path).unwrap();
        assert!(other.try_lock().is_err());
        drop(first);
        other.try_lock().unwrap();
    });
}
