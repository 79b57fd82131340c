//! `--live`: the same names behind `..data`, and the way there and back.

use crate::support::site::{Site, State};

fn target(site: &Site, name: &str) -> String {
    let link = std::fs::read_link(site.path(&format!("certs/{name}")));
    link.map(|path| path.display().to_string()).unwrap_or_default()
}

/// What a reader sees under each of our names, symlinks followed: bytes and permission bits.
fn seen(site: &Site) -> Vec<(String, Vec<u8>, u32)> {
    let names = site.everything("certs").into_keys().map(|path| path.display().to_string());
    let names = names.filter(|name| name.ends_with(".pem") && !name.contains('/'));
    names
        .map(|name| {
            let path = format!("certs/{name}");
            (name, site.read(&path), site.mode(&path))
        })
        .collect()
}

fn ca_files(site: &Site) -> Vec<State> {
    let all = site.everything("certs");
    let names = ["ca_1_key.pem", "ca_1_cert.pem", "ca_2_key.pem", "ca_2_cert.pem"];
    names.iter().map(|name| all[std::path::Path::new(name)].clone()).collect()
}

#[test]
fn the_same_names_and_bytes_from_flat_to_live_and_back() {
    let site = Site::issued();
    let (flat, cas) = (seen(&site), ca_files(&site));
    for _ in 0..2 {
        site.issue("--live").done().tells("0 files written, 13 right already");
        assert_eq!(seen(&site), flat);
        assert_eq!(target(&site, "front_key.pem"), "..data/front_key.pem");
        assert_eq!(target(&site, "ca_1_ca_2_bundle.pem"), "..data/ca_1_ca_2_bundle.pem");
        assert_eq!(ca_files(&site), cas, "the CAs are not behind ..data, where Envoy reads");
        assert!(!site.has("certs/..data/ca_1_key.pem"));
        let before = site.everything("certs");
        site.issue("--live").done().tells("0 files written, 13 right already");
        assert_eq!(site.everything("certs"), before, "a second run changes nothing");

        let run = site.issue("").done().tells("0 files written, 13 right already");
        run.tells("note    the files were behind ..data and are plain now; name --live to keep");
        assert_eq!(seen(&site), flat);
        assert_eq!(target(&site, "front_key.pem"), "");
        assert_eq!(ca_files(&site), cas);
        assert!(!site.has("certs/..data"));
    }
}

#[test]
fn a_renewal_swaps_data_once_and_leaves_the_links_alone() {
    let site = Site::colorapp();
    site.issue("--live").done();
    let before = site.everything("certs");
    let old = target(&site, "..data");
    site.issue("--live --force front").done().tells("3 files written, 10 right already");
    assert_ne!(target(&site, "..data"), old);
    let after = site.everything("certs");
    for (path, state) in &before {
        let is_link = state.0 & 0o170_000 == 0o120_000;
        if is_link && path.as_os_str() != "..data" {
            assert_eq!(after.get(path), Some(state), "{}", path.display());
        }
    }
    // A reader that resolved ..data before the swap still has its files.
    assert!(site.has(&format!("certs/{old}/front_key.pem")));
    site.verify("ca_1", "front");
    assert_eq!(site.mode("certs/front_key.pem"), 0o600);
    assert_eq!(site.mode("certs"), 0o700);
}

#[test]
fn changed_trust_goes_through_the_same_swap() {
    let site = Site::colorapp();
    site.issue("--live").done();
    let (key, old) = (site.read("certs/front_key.pem"), target(&site, "..data"));
    site.edit("ca_1, trust: [ca_1] }", "ca_1, trust: [ca_1, ca_2] }");
    site.issue("--live").done().tells("1 file written, 12 right already");
    assert_ne!(target(&site, "..data"), old);
    assert_eq!(site.read("certs/front_key.pem"), key);
    assert_eq!(site.read("certs/front_trust.pem"), site.read("certs/ca_1_ca_2_bundle.pem"));
}

#[test]
fn a_plan_reads_the_live_layout() {
    let site = Site::colorapp();
    site.issue("--live").done();
    let before = site.everything("certs");
    site.issue("--live --dry-run")
        .done()
        .says("front", &["kept"])
        .tells("0 files would be written");
    assert_eq!(site.everything("certs"), before);
}

#[test]
fn with_the_keys_apart_everything_published_is_behind_data() {
    let site = Site::colorapp();
    site.issue("--live --state state").done();
    assert_eq!(target(&site, "ca_1_cert.pem"), "..data/ca_1_cert.pem");
    assert!(!site.has("certs/ca_1_key.pem") && !site.has("state/..data"));
    let before = site.everything("certs");
    site.issue("--live --state state").done();
    assert_eq!(site.everything("certs"), before);
    site.verify("ca_1", "front");
}

#[test]
fn a_kubernetes_mount_or_anything_else_in_the_way_is_not_touched() {
    let site = Site::issued();
    std::os::unix::fs::symlink("..2026_11_21", site.path("certs/..data")).unwrap();
    let before = site.everything("certs");
    for arguments in ["--live", "", "--dry-run"] {
        site.issue(arguments).failed(&["certs/..data is in the way", "certctl did not make"]);
    }
    assert_eq!(site.everything("certs"), before);
}
