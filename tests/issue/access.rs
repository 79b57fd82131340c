//! Who may read the files: owner, group and mode of each node, and what is said where they cannot
//! be.

use std::os::unix::fs::MetadataExt;

use crate::support::site::Site;

fn with(files: &str) -> Site {
    Site::of(
        "ca: {}",
        &format!("front: {{ authority: ca, files: {files} }}, back: {{ authority: ca }}"),
    )
}

fn own(site: &Site) -> (u32, u32) {
    let about = std::fs::metadata(site.path("")).unwrap();
    (about.uid(), about.gid())
}

#[test]
fn the_mode_of_the_key_is_the_nodes_own() {
    let site = with("{ mode: \"0640\" }");
    site.issue("").done();
    let modes = ["front_key", "front_cert", "front_trust", "back_key", "ca_key"];
    let modes = modes.map(|name| site.mode(&format!("certs/{name}.pem")));
    assert_eq!(modes, [0o640, 0o644, 0o644, 0o600, 0o600]);
}

#[test]
fn a_changed_mode_changes_access_and_nothing_else() {
    let site = with("{ mode: \"0600\" }");
    site.issue("").done();
    let before = site.everything("certs");
    site.edit("0600", "0660");
    site.issue("--dry-run").done().tells("0 files would be written, 7 right already, 1 with other");
    assert_eq!(site.mode("certs/front_key.pem"), 0o600);
    let run = site.issue("").done().says("front", &["kept"]);
    run.tells("certs: 0 files written, 7 right already, 1 with other owner or mode");
    assert_eq!(site.mode("certs/front_key.pem"), 0o660);
    let mut after = site.everything("certs");
    after.get_mut(std::path::Path::new("front_key.pem")).unwrap().0 ^= 0o060;
    assert_eq!(after, before, "the same bytes, inodes and times");
    // Somebody opened it by hand.
    for (layout, mode) in [("", 0o644), ("--live", 0o640)] {
        let open = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(site.path("certs/front_key.pem"), open).unwrap();
        site.issue(layout).done();
        assert_eq!(site.mode("certs/front_key.pem"), 0o660, "{layout}");
    }
}

#[test]
fn numeric_ids_of_ones_own_need_no_root() {
    let site = with("{ owner: 1, group: 1 }");
    let (uid, gid) = own(&site);
    site.edit("owner: 1, group: 1", &format!("owner: {uid}, group: {gid}"));
    site.issue("").done();
    let about = std::fs::metadata(site.path("certs/front_key.pem")).unwrap();
    assert_eq!((about.uid(), about.gid()), (uid, gid));
    assert_eq!(site.mode("certs"), 0o711, "so that others reach what is theirs, and list nothing");
    let before = site.everything("certs");
    site.issue("").done();
    assert_eq!(site.everything("certs"), before);
}

#[test]
fn a_directory_that_its_readers_cannot_enter_is_told_of() {
    let site = with("{ mode: \"0600\" }");
    site.issue("").done();
    assert_eq!(site.mode("certs"), 0o700);
    let (uid, _) = own(&site);
    site.edit("mode: \"0600\"", &format!("owner: {uid}"));
    site.issue("")
        .done()
        .tells("note    other users cannot reach their files in certs (mode 700): chmod 711 certs");
    assert_eq!(site.mode("certs"), 0o700, "it is its owner's to open");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(site.path("certs"), open).unwrap();
    site.issue("").done().tells("note    every user may put files into certs (mode 777)");
}

#[test]
fn an_unknown_user_or_group_is_named_before_anything_is_made() {
    for (files, words) in [
        ("{ owner: no-such-user }", "virtualNodes.front.files.owner: this machine has no owner"),
        ("{ group: no-such-group }", "virtualNodes.front.files.group: this machine has no group"),
    ] {
        let site = with(files);
        for arguments in ["", "--dry-run"] {
            site.issue(arguments).failed(&[
                words,
                "named \"no-such-",
                "use its number, or run where",
            ]);
        }
        assert!(!site.has("certs"));
    }
}

#[test]
fn files_may_have_another_name_than_the_node() {
    let site = with("{ name: proxy }");
    site.issue("").done();
    assert!(site.has("certs/proxy_key.pem") && site.has("certs/proxy_trust.pem"));
    assert!(!site.has("certs/front_key.pem"));
    let text = site.run("x509 -in certs/proxy_cert.pem -noout -ext subjectAltName");
    assert!(text.contains("URI:spiffe://example.org/front"), "{text}");
    site.verify("ca", "proxy");
    // Under a new name there is nothing yet, and what is left over is told.
    site.edit("name: proxy", "name: other");
    let run = site.issue("").done().says("front", &["created", "there was none"]);
    run.tells("note    proxy_key.pem belongs to nothing in the mesh file; remove it if so");
    assert!(site.has("certs/proxy_key.pem"), "nothing is removed");
}

#[test]
fn an_open_key_of_a_ca_is_told_of() {
    let site = with("{}");
    site.issue("").done();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(site.path("certs/ca_key.pem"), open).unwrap();
    site.issue("").done().tells(
        "note    others may read the key certs/ca_key.pem (mode 644): chmod 600 certs/ca_key.pem",
    );
}

/// Who is root may give files away, and is refused nothing; so what an ordinary user meets is shown
/// as that user, when these tests run as root.
#[test]
fn who_is_not_root_is_told_what_only_root_may() {
    let site = with("{ owner: 12345 }");
    let everybody = || std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(site.path(""), everybody()).unwrap();
    // The program lies where another user may not look.
    // Copied by another process: one that a test beside this one starts might inherit our open
    // copy, and what is open for writing cannot be run.
    let mut copy = std::process::Command::new("cp");
    let copied = copy.arg(env!("CARGO_BIN_EXE_certctl")).arg(site.path("certctl")).status();
    assert!(copied.unwrap().success());
    let as_other =
        if own(&site).0 == 0 { "setpriv --reuid=65534 --regid=65534 --clear-groups" } else { "" };
    let run = |arguments: &str| {
        let script = format!("shift; exec {as_other} ./certctl \"$@\"");
        site.shell(&script, &format!("issue -f mesh.yaml {arguments}"))
    };
    run("-o certs")
        .failed(&["only root may give a file to user 12345; nothing was changed; run as root"]);
    assert!(!site.has("certs/front_key.pem"));
    site.edit("{ owner: 12345 }", "{}");
    run("-o certs").done();
    // Its own directory, closed.
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o500);
    std::fs::set_permissions(site.path("certs"), closed).unwrap();
    run("-o certs --force front")
        .failed(&["no permission; nothing was changed; run as the user that"]);
    run("-o certs").done();
    // Somebody else's.
    std::fs::create_dir(site.path("sealed")).unwrap();
    let sealed = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    std::fs::set_permissions(site.path("sealed"), sealed).unwrap();
    run("-o sealed/certs").failed(&["cannot open", "sealed", "no permission"]);
    let sealed = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    std::fs::set_permissions(site.path("mesh.yaml"), sealed).unwrap();
    run("-o certs").failed(&["cannot read mesh.yaml", "Permission denied"]);
}
