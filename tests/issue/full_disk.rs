//! No room: on a real small file system where the machine lets us mount one, and by a limit on the
//! size of files everywhere. What lies there stays as it is, and the message says so.

use crate::support::program::Run;
use crate::support::site::Site;

/// Runs certctl where no file may grow beyond so many blocks of 512 bytes.
fn limited(site: &Site, blocks: u32, arguments: &str) -> Run {
    // Ignored, so that a write fails instead of ending the program.
    site.shell(&format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""), arguments)
}

#[test]
fn a_limit_on_the_size_of_files_changes_nothing() {
    for layout in ["", " --live"] {
        let site = Site::issued();
        site.issue(layout).done();
        let before = site.everything("certs");
        for blocks in [0, 1] {
            let arguments = format!("issue -f mesh.yaml -o certs --force front{layout}");
            limited(&site, blocks, &arguments).failed(&[
                "cannot write certs/",
                "File too large",
                "nothing was changed",
            ]);
            let after = site.everything("certs");
            // The directory's own mtime moved with what was staged in it.
            assert!(site.changed(&before, &after).is_empty());
            let inodes = |look: &std::collections::BTreeMap<_, crate::support::site::State>| {
                look.values().map(|state| state.1).collect::<Vec<_>>()
            };
            assert_eq!(inodes(&after), inodes(&before));
        }
        // A run that has nothing to write needs no room.
        limited(&site, 0, &format!("issue -f mesh.yaml -o certs{layout} -q")).done();
        site.issue(&format!("--force front{layout}")).done();
        site.verify("ca_1", "front");
    }
}

#[test]
fn an_authority_whose_key_finds_no_room_is_not_made_and_not_lost() {
    let site = Site::colorapp();
    limited(&site, 0, "issue -f mesh.yaml -o certs -q")
        .failed(&["ca_1: cannot write certs/..staging/ca_1_key.pem: File too large", "ca_2: "]);
    assert!(!site.has("certs/ca_1_key.pem"));
    // Room for the key, and none for its certificate.
    limited(&site, 1, "issue -f mesh.yaml -o certs -q").failed(&["ca_1_cert.pem: File too large"]);
    let key = site.read("certs/ca_1_key.pem");
    assert!(!site.has("certs/ca_1_cert.pem"));
    site.issue("").done().says("ca_1", &["created"]);
    assert_eq!(site.read("certs/ca_1_key.pem"), key, "the key that was there is used");
    site.verify("ca_1", "front");
}

/// In a mount namespace of its own, where even who is not root may mount: a disk of 96 KiB.
const SMALL_DISK: &str = "exec unshare --user --map-root-user --mount sh -c '\
    set -e; c=$1; shift; mkdir certs; mount -t tmpfs -o size=96k none certs; \
    \"$c\" issue -f mesh.yaml -o certs -q; cp -r certs before; \
    head -c 90000 /dev/zero >certs/filler 2>/dev/null || true; \
    code=0; \"$c\" \"$@\" || code=$?; rm -f certs/filler; cp -r certs after; \
    \"$c\" \"$@\"; cp -r certs again; exit $code' sh \"$@\"";

/// The same where no such mount is allowed: the size of files is what ends.
const SMALL_FILES: &str = "set -e; c=$1; \
    \"$c\" issue -f mesh.yaml -o certs -q; cp -r certs before; \
    code=0; (trap '' XFSZ; ulimit -f 1; exec \"$@\") || code=$?; cp -r certs after; \
    \"$@\"; cp -r certs again; exit $code";

#[test]
fn a_full_disk_changes_nothing_and_the_next_run_goes_on() {
    let site = Site::colorapp();
    let probe = "unshare --user --map-root-user --mount mount -t tmpfs -o size=96k none /mnt";
    let (script, words) = match site.shell(probe, "").code {
        Some(0) => (SMALL_DISK, ["the disk is full", "bytes are free and run again"]),
        _ => (SMALL_FILES, ["File too large", "cannot write"]),
    };
    let forced = "issue -f mesh.yaml -o certs -q --force front --force colorapp-blue";
    site.shell(script, forced).failed(&words).failed(&["nothing was changed"]);
    let bytes = |name: &str| {
        let look = site.everything(name).into_iter();
        look.map(|(path, state)| (path, state.3)).collect::<Vec<_>>()
    };
    assert_eq!(bytes("after"), bytes("before"));
    assert_ne!(bytes("again"), bytes("before"));
}
