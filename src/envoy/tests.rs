use std::path::Path;

use super::*;
use crate::desired::mesh_file::MeshFile;

const MESH: &str = "\
version: 1
trustDomain: example.org
authorities: { ca_1: {}, ca_2: {} }
virtualNodes:
  front: { authority: ca_1 }
  blue: { authority: ca_1, dnsNames: [blue.example, other.example], callers: [front] }
  green: { authority: ca_2, callers: [], trust: [ca_1], listener: { trust: [ca_2] } }
";

fn options(source: Source) -> Options {
    let host = |text: &str| text.parse::<Host>().unwrap();
    Options {
        source,
        listen: host("0.0.0.0:1"),
        application: host("127.0.0.1:2"),
        outbound: host("127.0.0.1:3"),
        admin: "/run/admin.sock".parse().unwrap(),
        backends: BTreeMap::new(),
    }
}

fn made(node: &str, source: Source) -> Vec<Document> {
    let desired = MeshFile::read(Path::new("mesh.yaml"), MESH.as_bytes()).unwrap().desired;
    let identity = &desired.identities[&NodeName::parse(node).unwrap()];
    configuration(&desired, identity, &options(source), Extent::Bootstrap, "beside")
}

fn over_sds(node: &str) -> String {
    made(node, Source::Sds(Address::Unix("/run/sds.sock".into()))).remove(0).text
}

#[test]
fn addresses_are_read_as_people_write_them() {
    let host = |name: &str, port| Host { name: name.to_owned(), port };
    assert_eq!("127.0.0.1:80".parse(), Ok(host("127.0.0.1", 80)));
    assert_eq!("[::1]:80".parse(), Ok(host("::1", 80)));
    assert_eq!("blue.svc-1.local:80".parse(), Ok(host("blue.svc-1.local", 80)));
    assert_eq!(host("::1", 80).to_string(), "[::1]:80");
    assert_eq!("/run/a.sock".parse(), Ok(Address::Unix("/run/a.sock".into())));
    assert_eq!("unix:/run/a.sock".parse(), Ok(Address::Unix("/run/a.sock".into())));
    for text in ["", "80", "host", "host:", "host:port", "host:65536", ":80", "a b:80", "::1:80"] {
        let error = text.parse::<Address>().unwrap_err().to_string();
        assert!(error.contains("HOST:PORT"), "{text:?}: {error}");
    }
}

#[test]
fn every_secret_has_the_same_source_to_the_byte() {
    let text = over_sds("front");
    let sources: Vec<_> = text.lines().filter(|line| line.contains("sds_config:")).collect();
    let sources: Vec<_> = sources.iter().map(|line| line.trim()).collect();
    assert_eq!(sources.len(), 4, "a certificate and peers, inbound and toward blue: {text}");
    assert!(sources.iter().all(|source| *source == sources[0]), "{sources:?}");
    for setting in ["initial_fetch_timeout: 0s", "base_interval: 0.1s", "max_interval: 1s"] {
        assert!(sources[0].contains(setting), "{}", sources[0]);
    }
}

#[test]
fn who_names_no_backends_gets_those_that_name_it_as_their_caller() {
    let text = over_sds("front");
    assert!(text.contains("name: \"backends:front/blue\""), "{text}");
    assert!(text.contains("domains: [\"blue\", \"blue.example\", \"other.example\"]"), "{text}");
    assert!(text.contains("{ address: \"blue.example\", port_value: 8080 }"), "{text}");
    assert!(!text.contains("green"), "{text}");
    assert!(!over_sds("blue").contains("outbound\n"), "blue calls nobody");
}

#[test]
fn files_of_a_listener_with_its_own_trust_are_named_so() {
    let documents = made("green", Source::Files("/certs".into()));
    let names: Vec<_> = documents.iter().map(|document| document.name.as_str()).collect();
    assert_eq!(names, ["green.yaml", "green-certificate.yaml", "green-callers.yaml"]);
    assert!(documents[0].text.contains("path: \"beside/green-callers.yaml\""));
    let callers = &documents[2].text;
    assert!(callers.contains("\"/certs/green_listener_trust.pem\""), "{callers}");
    assert!(callers.contains("exact: \"spiffe:nobody\""), "an empty list is everybody: {callers}");
    assert!(callers.contains("watched_directory: { path: \"/certs\" }"), "{callers}");
}

#[test]
fn a_reason_is_given_once() {
    let text = over_sds("front");
    for reason in ["A certificate or root that is withdrawn", "0s: a name that is yet to come"] {
        assert_eq!(text.matches(reason).count(), 1, "{reason}");
    }
}
