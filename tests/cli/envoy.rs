//! `certctl envoy`.

use std::fs::File;
use std::io::Read;

use crate::support::site::Site;

const FRONT: &str = include_str!("../fixtures/envoy/front.yaml");

#[test]
fn the_walkthroughs_front() {
    let site = Site::colorapp();
    let printed = site.certctl("envoy front").done();
    assert_eq!(printed.stdout, FRONT, "if this is meant, renew tests/fixtures/envoy/front.yaml");
}

#[test]
fn the_parts_are_those_of_the_whole() {
    let site = Site::colorapp();
    let parts = site.certctl("envoy front --parts").done().stdout;
    let whole: Vec<_> = FRONT.lines().map(|line| line.trim_start_matches(['-', ' '])).collect();
    let settings = parts.lines().map(|line| line.trim_start_matches(['-', ' ']));
    for setting in settings.filter(|line| !line.starts_with('#') && !line.is_empty()) {
        assert!(whole.contains(&setting), "{setting:?} is not in the bootstrap");
    }
    for part in ["name: certctl", "callers:front", "backends:front/colorapp-green"] {
        assert!(parts.contains(part), "{part}: {parts}");
    }
}

#[test]
fn in_file_mode_the_secrets_follow_the_bootstrap() {
    let site = Site::colorapp();
    let printed = site.certctl("envoy colorapp-blue --files /certs").done().stdout;
    let names: Vec<_> = printed.lines().filter_map(|line| line.strip_prefix("# File: ")).collect();
    assert_eq!(
        names,
        ["colorapp-blue.yaml", "colorapp-blue-certificate.yaml", "colorapp-blue-callers.yaml"]
    );
    site.certctl("envoy colorapp-blue --files /certs -o here").done();
    for name in names {
        assert!(printed.contains(&site.text(&format!("here/{name}")).replace("here/", "")));
    }
}

#[test]
fn an_envoy_that_reads_a_file_reads_all_of_it_while_it_is_written_anew() {
    let site = Site::colorapp();
    site.certctl("envoy front -o here").done();
    let mut opened = File::open(site.path("here/front.yaml")).unwrap();
    site.certctl("envoy front -o here --listen 127.0.0.1:81").done();
    let mut before = String::new();
    opened.read_to_string(&mut before).unwrap();
    assert_eq!(before, FRONT);
    assert!(site.text("here/front.yaml").contains("port_value: 81"));
}

#[test]
fn what_is_not_there_is_told_with_what_may_be_meant() {
    let site = Site::colorapp();
    site.certctl("envoy frnt").failed(&["the mesh has no node \"frnt\"", "front"]);
    let run = site.certctl("envoy front --listen 80");
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("write HOST:PORT"), "{}", run.stderr);
    let run = site.certctl("envoy front --backend blue");
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("NODE=HOST:PORT"), "{}", run.stderr);
    site.certctl("envoy front --sds host:port").failed(&["--sds", "is no address"]);
}
