//! `certctl envoy`: real Envoys take what it prints, and boot from it as it is.

use std::process::{Command, Stdio};

use crate::support::application::Application;
use crate::support::http;
use crate::support::process::Envoy;
use crate::support::site::Site;
use crate::support::tools;

/// Three nodes that have everything that the configuration depends on: backends named, with a port
/// and with a trust of their own; a permissive listener; callers named, none, and any.
const MESH: &str = "\
version: 1
trustDomain: example.org
dnsSuffix: svc.example
authorities: { ca_1: {}, ca_2: {} }
virtualNodes:
  front:
    authority: ca_1
    trust: [ca_1]
    listener: { mode: permissive }
    backends: { blue: { port: 9080 }, green: { trust: [ca_2] } }
  blue: { authority: ca_1, callers: [front] }
  green: { authority: ca_2, trust: [ca_1], callers: [front] }
  shut: { authority: ca_1, callers: [] }
virtualGateways:
  gate: { authority: ca_2 }
";

#[test]
fn envoy_finds_nothing_wrong_with_any_of_it() {
    let site = Site::with(MESH);
    site.issue("--live").done();
    for node in ["front", "blue", "green", "shut", "gate"] {
        for source in ["", "--sds 127.0.0.1:9999", "--files certs"] {
            site.certctl(&format!("envoy {node} {source} -o out --backend green=[::1]:80")).done();
            accepts(&site, &format!("out/{node}.yaml"));
        }
    }
}

#[test]
fn envoys_boot_from_its_output_and_know_each_other() {
    let site = Site::with(MESH);
    site.issue("--live").done();
    let blue = node(&site, "blue", "");
    let green = node(&site, "green", "");
    let shut = node(&site, "shut", "");
    let front = node(
        &site,
        "front",
        &format!(
            "--backend blue=127.0.0.1:{} --backend green=127.0.0.1:{}",
            blue.envoy.port("inbound"),
            green.envoy.port("inbound")
        ),
    );
    for host in ["blue", "green", "blue.svc.example:9080"] {
        let answer = http::get_from(front.envoy.port("outbound"), host, "/").unwrap();
        let name = host.split('.').next().unwrap();
        assert_eq!(answer.body, format!("{name} called by spiffe://example.org/front"), "{host}");
    }
    // A permissive listener takes plain text beside TLS, and says that it knows nobody.
    let answer = http::get(front.envoy.port("inbound"), "/").unwrap();
    assert_eq!(answer.body, "front called by nobody");

    // blue expects front alone; the chain of green is trusted by nobody it might call.
    let to_blue = format!("--backend blue=127.0.0.1:{}", blue.envoy.port("inbound"));
    site.edit(
        "  shut:",
        "  stranger: { authority: ca_1, backends: { blue: {}, shut: {} } }\n  shut:",
    );
    site.issue("--live").done();
    let to_shut = format!("--backend shut=127.0.0.1:{}", shut.envoy.port("inbound"));
    let stranger = node(&site, "stranger", &format!("{to_blue} {to_shut}"));
    for host in ["blue", "shut"] {
        let answer = http::get_from(stranger.envoy.port("outbound"), host, "/").unwrap();
        assert_eq!(answer.status, 503, "{host}: {}", answer.body);
    }
    assert_eq!(blue.envoy.stat("listener.127.0.0.1_0.ssl.fail_verify_san"), 1);
    assert_eq!(shut.envoy.stat("listener.127.0.0.1_0.ssl.fail_verify_san"), 1);
}

struct Node {
    envoy: Envoy,
    _application: Application,
}

/// The Envoy of a node, from what certctl prints for it, and the application behind it.
fn node(site: &Site, name: &'static str, backends: &str) -> Node {
    let application = Application::start(name);
    let directory = &site.path("");
    site.certctl(&format!(
        "envoy {name} --files certs -o envoys --listen 127.0.0.1:0 --outbound 127.0.0.1:0 \
         --application {} {backends}",
        application.address()
    ))
    .done();
    let config = std::fs::read_to_string(directory.join(format!("envoys/{name}.yaml"))).unwrap();
    Node { envoy: Envoy::start(directory, name, &config), _application: application }
}

#[track_caller]
fn accepts(site: &Site, config: &str) {
    let judged = Command::new(tools::envoy())
        .current_dir(site.path(""))
        .args(["--mode", "validate", "--config-path", config])
        .stdin(Stdio::null())
        .output()
        .expect("Envoy starts");
    assert!(judged.status.success(), "{config}: {}", String::from_utf8_lossy(&judged.stderr));
}
