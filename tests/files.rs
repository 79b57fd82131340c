//! The files room under real conditions: concurrent readers, other processes, kills and umasks.

#![allow(clippy::unwrap_used, reason = "a test panics")]

use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use certctl::files::{
    Access, Change, Directory, DirectoryOptions, FileName, FileSpec, FilesError, Layout,
};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);

fn file(name: &str, contents: &str, mode: u32) -> FileSpec {
    FileSpec {
        name: FileName::parse(name).unwrap(),
        contents: contents.to_owned().into(),
        access: Access::with_mode(mode),
    }
}

fn pair(number: usize) -> [FileSpec; 2] {
    let text = |what| format!("{number} {what} {}", "x".repeat(3000));
    [file("chain.pem", &text("chain"), 0o644), file("key.pem", &text("key"), 0o600)]
}

fn open(path: &Path, layout: Layout) -> Directory {
    Directory::open(path, DirectoryOptions::new(layout), || ()).unwrap()
}

fn number_in(text: &str) -> usize {
    text.split(' ').next().unwrap().parse().unwrap()
}

fn read_at(folder: impl AsFd, name: &str) -> Result<String, Errno> {
    let file = openat(folder, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(std::io::read_to_string(std::fs::File::from(file)).unwrap())
}

/// Reads the pair as a careful reader of a Secret mount does: `..data` resolved once.
fn pair_behind_data(top: &OwnedFd) -> Result<(usize, usize), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let data = openat(top, "..data", flags, Mode::empty())?;
    Ok((number_in(&read_at(&data, "chain.pem")?), number_in(&read_at(&data, "key.pem")?)))
}

#[test]
fn a_reader_of_the_live_layout_never_sees_a_mixed_pair_or_misses_a_file() {
    const PUBLISHES: usize = 400;
    let home = TempDir::new().unwrap();
    // The way from the flat layout is part of what the readers live through.
    open(home.path(), Layout::Flat).publish(&pair(0)).unwrap();
    let done = AtomicBool::new(false);
    let begun = AtomicUsize::new(0);
    let (different, reads) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let top = openat(CWD, home.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    thread::scope(|scope| {
        let behind_data = scope.spawn(|| {
            let mut last = 0;
            while !done.load(Ordering::Relaxed) {
                // Before the first swap there is no `..data`; later a reader may be so slow that
                // two swaps pass it by.
                let Ok((chain, key)) = pair_behind_data(&top) else { continue };
                assert_eq!(chain, key, "a key beside the wrong chain");
                assert!(chain >= last, "back in time from {last} to {chain}");
                different.fetch_add(usize::from(chain > last), Ordering::Relaxed);
                last = chain;
            }
        });
        let by_name = scope.spawn(|| {
            let mut last = 0;
            while !done.load(Ordering::Relaxed) {
                let before = begun.load(Ordering::SeqCst);
                let read = read_at(&top, "key.pem");
                // Resolving a name may itself be so slow that two swaps pass it by.
                if read == Err(Errno::NOENT) && begun.load(Ordering::SeqCst) > before {
                    continue;
                }
                let key = number_in(&read.unwrap());
                assert!(key >= last, "back in time from {last} to {key}");
                last = key;
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
        let directory = open(home.path(), Layout::Live);
        // On a busy machine the readers get to see few of them, so it goes on until they saw enough.
        let enough = || {
            let failed = behind_data.is_finished() || by_name.is_finished();
            let (different, reads) = (&different, &reads);
            let seen = different.load(Ordering::Relaxed) > 10;
            failed || (seen && reads.load(Ordering::Relaxed) > PUBLISHES)
        };
        let last = (1..100 * PUBLISHES)
            .inspect(|number| {
                begun.store(*number, Ordering::SeqCst);
                let report = directory.publish(&pair(*number)).unwrap();
                assert_eq!(report.count(Change::Written), 2);
            })
            .find(|number| *number >= PUBLISHES && enough());
        done.store(true, Ordering::Relaxed);
        behind_data.join().unwrap();
        by_name.join().unwrap();
        let last = last.expect("the readers get to see some of so many publishes");
        assert_eq!(pair_behind_data(&top), Ok((last, last)));
    });
}

#[test]
fn a_reader_that_resolved_data_before_a_swap_still_finds_its_files() {
    let home = TempDir::new().unwrap();
    let directory = open(home.path(), Layout::Live);
    directory.publish(&pair(1)).unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolved = openat(CWD, home.path().join("..data"), flags, Mode::empty()).unwrap();
    directory.publish(&pair(2)).unwrap();
    drop(directory);
    open(home.path(), Layout::Live);
    assert_eq!(number_in(&read_at(&resolved, "key.pem").unwrap()), 1);
    // An old key is not kept for longer than that.
    open(home.path(), Layout::Live).publish(&pair(3)).unwrap();
    assert_eq!(read_at(&resolved, "key.pem"), Err(Errno::NOENT));
}

#[test]
fn a_second_run_waits_for_the_first() {
    let home = TempDir::new().unwrap();
    let path = home.path().to_owned();
    let first = open(&path, Layout::Flat);
    let (sender, events) = mpsc::channel();
    let second = thread::spawn(move || {
        let waiting = sender.clone();
        let options = DirectoryOptions::new(Layout::Flat);
        let directory = Directory::open(&path, options, || waiting.send("waiting").unwrap());
        sender.send("opened").unwrap();
        directory.unwrap().read(&FileName::parse("key.pem").unwrap()).unwrap()
    });
    assert_eq!(events.recv_timeout(DEADLINE), Ok("waiting"));
    first.publish(&pair(7)).unwrap();
    assert_eq!(events.try_recv(), Err(mpsc::TryRecvError::Empty));
    drop(first);
    assert_eq!(events.recv_timeout(DEADLINE), Ok("opened"));
    let key = second.join().unwrap().unwrap();
    assert!(key.as_bytes().starts_with(b"7 key"));
}

#[test]
fn a_directory_that_is_replaced_while_a_run_waits_is_not_written_to() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("certs");
    let first = open(&path, Layout::Flat);
    let (sender, events) = mpsc::channel();
    let second = {
        let path = path.clone();
        thread::spawn(move || {
            let options = DirectoryOptions::new(Layout::Flat);
            let directory = Directory::open(&path, options, || sender.send(()).unwrap()).unwrap();
            directory.publish(&pair(7)).unwrap();
        })
    };
    events.recv_timeout(DEADLINE).unwrap();
    std::fs::rename(&path, home.path().join("moved")).unwrap();
    drop(first);
    second.join().unwrap();
    assert!(path.join("key.pem").exists());
    assert!(!home.path().join("moved/key.pem").exists());
}

#[test]
fn of_many_that_create_one_file_at_once_one_does() {
    let home = TempDir::new().unwrap();
    let created = |number: usize| {
        let directory = open(home.path(), Layout::Flat);
        directory.create_new(&[file("ca_1_key.pem", &format!("{number} key"), 0o600)])
    };
    let outcomes: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = (0..8).map(|number| scope.spawn(move || created(number))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let winner = outcomes.iter().position(Result::is_ok).unwrap();
    let key = std::fs::read_to_string(home.path().join("ca_1_key.pem")).unwrap();
    assert_eq!(key, format!("{winner} key"));
    for outcome in outcomes.iter().enumerate().filter(|(number, _)| *number != winner) {
        assert!(matches!(outcome.1, Err(FilesError::AlreadyExists { .. })), "{outcome:?}");
    }
}

#[test]
fn threads_may_share_a_directory() {
    let home = TempDir::new().unwrap();
    let directory = open(home.path(), Layout::Live);
    thread::scope(|scope| {
        for number in 0..8 {
            let directory = &directory;
            scope.spawn(move || {
                directory.create_new(&[file(&format!("ca_{number}.pem"), "a CA", 0o600)]).unwrap();
                directory.publish(&[file(&format!("leaf_{number}.pem"), "leaf", 0o600)]).unwrap();
            });
        }
    });
    for number in 0..8 {
        assert!(home.path().join(format!("ca_{number}.pem")).symlink_metadata().unwrap().is_file());
        let leaf = home.path().join(format!("leaf_{number}.pem"));
        assert_eq!(leaf.read_link().unwrap(), Path::new(&format!("..data/leaf_{number}.pem")));
    }
}

#[test]
fn a_hundred_files_are_written_once_and_then_kept() {
    for layout in [Layout::Flat, Layout::Live] {
        let home = TempDir::new().unwrap();
        let files = |changed: usize| -> Vec<_> {
            let contents = |number| if number == changed { "other" } else { "contents" };
            (0..100).map(|n| file(&format!("{n}.pem"), contents(n), 0o600)).collect()
        };
        let directory = open(home.path(), layout);
        assert_eq!(directory.publish(&files(100)).unwrap().count(Change::Written), 100);
        let state = |n: usize| {
            let about = home.path().join(format!("{n}.pem")).metadata().unwrap();
            (about.ino(), about.modified().unwrap(), about.mode())
        };
        let before: Vec<_> = (0..100).map(state).collect();
        let target = || std::fs::read_link(home.path().join("..data")).ok();
        let generation = target();
        assert_eq!(directory.publish(&files(100)).unwrap().count(Change::Kept), 100);
        assert_eq!(before, (0..100).map(state).collect::<Vec<_>>());
        assert_eq!(generation, target());

        let report = directory.publish(&files(42)).unwrap();
        let written: Vec<_> = report.files.iter().filter(|(_, c)| *c == Change::Written).collect();
        assert_eq!(written, [&(FileName::parse("42.pem").unwrap(), Change::Written)]);
        for (number, before) in before.iter().enumerate().filter(|(number, _)| *number != 42) {
            assert_eq!(*before, state(number), "{number}.pem was touched");
        }

        // What nobody asks for any more stays.
        let one = [file("0.pem", "the only one wanted", 0o600)];
        directory.publish(&one).unwrap();
        let other = std::fs::read_to_string(home.path().join("99.pem")).unwrap();
        assert_eq!(other, "contents");
    }
}

#[test]
fn authority_files_stay_plain_in_the_live_layout() {
    let home = TempDir::new().unwrap();
    let directory = open(home.path(), Layout::Live);
    directory.create_new(&[file("ca_1_key.pem", "a CA key", 0o600)]).unwrap();
    directory.publish(&pair(1)).unwrap();
    let renewed = [file("ca_1_cert.pem", "a CA certificate", 0o644)];
    for change in [Change::Written, Change::Kept] {
        assert_eq!(directory.replace(&renewed).unwrap().count(change), 1);
    }
    for name in ["ca_1_key.pem", "ca_1_cert.pem"] {
        assert!(home.path().join(name).symlink_metadata().unwrap().is_file());
    }
    let error = directory.replace(&pair(2)).unwrap_err();
    assert!(matches!(error, FilesError::Live { .. }), "{error}");
    assert!(std::fs::read_to_string(home.path().join("key.pem")).unwrap().starts_with("1 key"));
}

const IN: &str = "CERTCTL_TEST_DIRECTORY";

/// A test binary again, running one test with [`IN`] set.
fn again(binary: &Path, test: &str, directory: &Path, umask: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "umask \"$1\"; shift; exec \"$@\"", "sh", umask]).arg(binary);
    command.args(["--exact", test, "--nocapture"]).env(IN, directory).current_dir("/");
    command
}

#[test]
fn modes_hold_whatever_the_umask() {
    const OPTIONS: DirectoryOptions = DirectoryOptions { layout: Layout::Flat, mode: 0o711 };
    if let Some(home) = std::env::var_os(IN) {
        let home = Path::new(&home);
        let flat = Directory::open(&home.join("above/flat"), OPTIONS, || ()).unwrap();
        flat.publish(&pair(1)).unwrap();
        flat.create_new(&[file("ca_1_key.pem", "a CA key", 0o600)]).unwrap();
        open(&home.join("live"), Layout::Live).publish(&pair(1)).unwrap();
        return;
    }
    // Root passes every mode, so as root an ordinary user runs it too, from a place open to it.
    let users: &[Option<u32>] =
        if rustix::process::geteuid().is_root() { &[None, Some(65534)] } else { &[None] };
    let open_to_all = TempDir::new().unwrap();
    std::fs::set_permissions(open_to_all.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let binary = open_to_all.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    for (umask, user) in
        ["0", "0777"].iter().flat_map(|umask| users.iter().map(move |u| (umask, u)))
    {
        let home = open_to_all.path().join(format!("{umask}-{user:?}"));
        std::fs::create_dir(&home).unwrap();
        let mut command = again(&binary, "modes_hold_whatever_the_umask", &home, umask);
        if let Some(user) = user {
            std::os::unix::fs::chown(&home, Some(*user), Some(*user)).unwrap();
            command.uid(*user).gid(*user);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        for (path, mode) in [
            ("above", 0o711),
            ("above/flat", 0o711),
            ("above/flat/chain.pem", 0o644),
            ("above/flat/key.pem", 0o600),
            ("above/flat/ca_1_key.pem", 0o600),
            ("live", 0o700),
            ("live/..data", 0o700),
            ("live/chain.pem", 0o644),
            ("live/key.pem", 0o600),
        ] {
            let found = home.join(path).metadata().unwrap().mode() & 0o7777;
            assert_eq!(found, mode, "umask {umask}, user {user:?}: {path} has mode {found:o}");
        }
    }
}

#[test]
fn a_process_that_is_killed_leaves_whole_files_and_no_lock() {
    if let Some(home) = std::env::var_os(IN) {
        for number in 0..100_000 {
            let layout = if number % 7 < 3 { Layout::Flat } else { Layout::Live };
            open(Path::new(&home), layout).publish(&pair(number)).unwrap();
            println!("published {number}");
        }
        return;
    }
    let home = TempDir::new().unwrap();
    for kill_after in [1, 2, 5, 9, 14, 30] {
        let test = "a_process_that_is_killed_leaves_whole_files_and_no_lock";
        let mut command = again(&std::env::current_exe().unwrap(), test, home.path(), "022");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let published = lines.filter(|line| line.starts_with("published")).take(kill_after);
        let published = published.last();
        child.kill().unwrap();
        child.wait().unwrap();
        let at_least = number_in(published.unwrap().split_once(' ').unwrap().1);

        let directory = open(home.path(), Layout::Live);
        let number = |name: &str| {
            let contents = directory.read(&FileName::parse(name).unwrap()).unwrap().unwrap();
            let text = std::str::from_utf8(contents.as_bytes()).unwrap();
            assert!(text.ends_with(&"x".repeat(3000)), "{name} is cut short");
            number_in(text)
        };
        let (chain, key) = (number("chain.pem"), number("key.pem"));
        assert_eq!(chain, key);
        assert!(key >= at_least, "{key} after {at_least}");
    }
}
