//! Runs that end in the middle: killed, interrupted, or two at once. What lies there stays usable.

use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use certctl::x509::certificate::Certificate;
use certctl::x509::key::PrivateKey;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::site::{COLORAPP, Site};
use crate::support::wait::until;

const NODES: [(&str, &str); 3] =
    [("front", "ca_1"), ("colorapp-blue", "ca_1"), ("colorapp-green", "ca_2")];
const FORCE: &str = "--force front --force colorapp-blue --force colorapp-green";

/// How often a run is killed: every behaviour is met in the few, and the many are for the soak.
fn kills() -> u32 {
    if std::env::var_os("CERTCTL_SOAK").is_some() { 250 } else { 13 }
}

fn signal(child: &Child, signal: Signal) {
    let id = Pid::from_child(child);
    // It may have ended by itself.
    let _ = kill_process(id, signal);
}

/// Every file of the mesh that is there is whole PEM; CA keys are those given.
fn is_whole(site: &Site, ca_keys: &[Vec<u8>]) {
    for (path, state) in site.everything("certs") {
        let name = path.display().to_string();
        // A directory, a symlink, or what was being prepared.
        if name.starts_with("..") || state.0 & 0o170_000 == 0o040_000 || !name.ends_with(".pem") {
            continue;
        }
        let text = site.read(&format!("certs/{name}"));
        if name.ends_with("_key.pem") {
            PrivateKey::from_pem(&text, None).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(site.mode(&format!("certs/{name}")), 0o600, "{name}");
        } else {
            Certificate::all_from_pem(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
    for (name, key) in ["ca_1", "ca_2"].into_iter().zip(ca_keys) {
        assert_eq!(&site.read(&format!("certs/{name}_key.pem")), key, "{name}");
    }
}

fn ca_keys(site: &Site) -> Vec<Vec<u8>> {
    ["ca_1", "ca_2"].map(|name| site.read(&format!("certs/{name}_key.pem"))).into()
}

/// The next run completes what is missing, and openssl accepts all of it.
fn completes(site: &Site, layout: &str) {
    site.issue(layout).done();
    NODES.iter().for_each(|(node, ca)| site.verify(ca, node));
    let left: Vec<_> = site.everything("certs").into_keys().collect();
    let left =
        left.iter().filter(|path| path.starts_with("..staging") || path.starts_with("..commit"));
    assert_eq!(left.count(), 0);
    let before = site.everything("certs");
    site.issue(layout).done();
    assert_eq!(site.everything("certs"), before);
}

/// Kills re-issuing runs at moments spread over one run's whole length, each a little later than
/// the last, until `deaths` of them have died of it: on a busy machine many end before they are
/// seen at work.
fn kill_again_and_again(site: &Site, layout: &str, how: Signal, deaths: u32) {
    let ca_keys = ca_keys(site);
    let (mut died, mut rounds) = (0, 0);
    while rounds < kills() || died < deaths {
        assert!(rounds < 20 * kills(), "only {died} of {rounds} runs died before they ended");
        // In steps of the run itself rather than of time: how far it has come shows in its
        // directory.
        let round = rounds % kills();
        rounds += 1;
        let mut child = site
            .command(&format!("issue -f mesh.yaml -o certs -q {layout} {FORCE}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut seen = 0;
        // Each look takes some microseconds; a run is over after some hundred of them.
        while child.try_wait().unwrap().is_none() {
            let busy = site.path("certs").read_dir().unwrap().flatten().any(|entry| {
                let name = entry.file_name();
                ["..staging", "..commit", "..data_tmp"].iter().any(|own| name == *own)
            });
            seen += u32::from(busy);
            if seen > round * 3 {
                break;
            }
        }
        signal(&child, how);
        died += u32::from(child.wait().unwrap().code().is_none());
        is_whole(site, &ca_keys);
        if round.is_multiple_of(5) {
            completes(site, layout);
        }
    }
    completes(site, layout);
    is_whole(site, &ca_keys);
}

#[test]
fn killed_at_any_moment_in_the_flat_layout() {
    kill_again_and_again(&Site::issued(), "", Signal::KILL, kills() / 4);
}

#[test]
fn killed_at_any_moment_in_the_live_layout() {
    let site = Site::issued();
    site.issue("--live").done();
    kill_again_and_again(&site, "--live", Signal::KILL, kills() / 8);
}

#[test]
fn interrupted_and_terminated() {
    let site = Site::issued();
    for how in [Signal::INT, Signal::TERM] {
        kill_again_and_again(&site, "", how, 0);
    }
}

#[test]
fn killed_while_the_first_keys_are_made() {
    for round in 0..kills() {
        // RSA takes long enough to be met in the middle.
        let site = Site::with(
            &COLORAPP.replace("ca_1: {}", "ca_1: { local: { keyAlgorithm: rsa-2048 } }"),
        );
        let mut child =
            site.command("issue -f mesh.yaml -o certs -q").stderr(Stdio::null()).spawn().unwrap();
        // From the moment that the first file is there.
        let mut looks = 0;
        while child.try_wait().unwrap().is_none() && looks <= round * 4 {
            looks += u32::from(site.has("certs/ca_2_key.pem") || site.has("certs/..staging"));
        }
        signal(&child, Signal::KILL);
        child.wait().unwrap();
        let keys: Vec<_> = ["ca_1", "ca_2"]
            .map(|name| std::fs::read(site.path(&format!("certs/{name}_key.pem"))).ok())
            .into();
        completes(&site, "");
        for (name, key) in ["ca_1", "ca_2"].iter().zip(keys) {
            let now = site.read(&format!("certs/{name}_key.pem"));
            assert!(key.is_none_or(|key| key == now), "{name}: a key that was there is kept");
        }
    }
}

#[test]
fn one_run_waits_for_the_other_and_says_so() {
    let site = Site::issued();
    let lock = File::open(site.path("certs")).unwrap();
    lock.lock().unwrap();
    let mut child = site
        .command("issue -f mesh.yaml -o certs --force front")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert_eq!(line, "waiting for another run in certs\n");
    assert!(child.try_wait().unwrap().is_none(), "it waits");
    lock.unlock().unwrap();
    let run = crate::support::program::Run::from(child.wait_with_output().unwrap());
    run.done().says("front", &["renewed"]);
    site.verify("ca_1", "front");
    assert!(!matches!(lock.try_lock(), Err(TryLockError::WouldBlock)), "the lock is free again");
}

#[test]
fn two_runs_with_exchanged_directories_wait_in_one_order() {
    let site = Site::colorapp();
    for name in ["a", "b"] {
        std::fs::create_dir(site.path(name)).unwrap();
    }
    std::os::unix::fs::symlink("a", site.path("z")).unwrap();
    let lock = File::open(site.path("a")).unwrap();
    lock.lock().unwrap();
    for arguments in ["-o a --state b", "-o b --state a", "-o b --state z"] {
        let mut child = site
            .command(&format!("issue -f mesh.yaml {arguments}"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let free = File::open(site.path("b")).unwrap().try_lock();
        signal(&child, Signal::KILL);
        child.wait().unwrap();
        assert!(line.starts_with("waiting for another run in "), "{line}");
        assert!(free.is_ok(), "{arguments}: who waits for a holds nothing");
    }
}

#[test]
fn many_runs_at_once_leave_one_consistent_mesh() {
    let site = Site::colorapp();
    let mut children: Vec<_> = (0..8)
        .map(|n| {
            let force = if n % 2 == 0 { "" } else { "--force front" };
            let mut command = site.command(&format!("issue -f mesh.yaml -o certs -q {force}"));
            if n == 0 { command.stderr(Stdio::null()).spawn() } else { command.spawn() }.unwrap()
        })
        .collect();
    for child in &mut children {
        let status = until("a run ends", || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0));
    }
    NODES.iter().for_each(|(node, ca)| site.verify(ca, node));
    let before = site.everything("certs");
    site.issue("").done();
    assert_eq!(site.everything("certs"), before);
}
