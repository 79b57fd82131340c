//! App Mesh manifests become mesh files that say the same: read back by the mesh file's own
//! reader, and through the command line.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test panics")]

#[path = "../support/mod.rs"]
mod support;

mod command;
mod mutated;
mod refusals;
mod resources;
mod walkthroughs;

use std::fs;
use std::path::Path;

use certctl::desired::Desired;
use certctl::desired::app_mesh::{Import, Manifest, Options};
use certctl::desired::mesh_file::MeshFile;
use certctl::identity::{AuthorityName, NodeName};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/app_mesh");

/// The variables of `colors.yaml.template`, its client trusting what is in `trust`.
fn colors(trust: &str) -> impl Fn(&str) -> Option<String> {
    move |name| match name {
        "NAMESPACE" => Some("colors".to_owned()),
        "MESH" => Some("colors.example".to_owned()),
        "FRONT_TRUST" => Some(trust.to_owned()),
        _ => None,
    }
}

fn nothing(_: &str) -> Option<String> {
    None
}

fn fixture(name: &str) -> Vec<Manifest> {
    let text = fs::read_to_string(Path::new(FIXTURES).join(name)).unwrap();
    vec![Manifest { name: name.to_owned(), text }]
}

fn text(text: &str) -> Vec<Manifest> {
    vec![Manifest { name: "m.yaml".to_owned(), text: text.to_owned() }]
}

fn signed_by(node: &str, authority: &str) -> Options {
    let node = NodeName::parse(node).unwrap();
    let authority = AuthorityName::parse(authority).unwrap();
    Options { authorities: vec![(node, authority)], ..Options::default() }
}

#[track_caller]
fn desired(mesh: &str) -> Desired {
    match MeshFile::read(Path::new("mesh.yaml"), mesh.as_bytes()) {
        Ok(file) => file.desired,
        Err(error) => panic!("{error}\n{mesh}"),
    }
}

#[track_caller]
fn assert_same(import: &Import, expected: &str) {
    let (found, expected) = (desired(&import.mesh_file), desired(expected));
    assert_eq!(found.trust_domain, expected.trust_domain);
    assert_eq!(found.authorities, expected.authorities);
    for (name, identity) in &expected.identities {
        assert_eq!(found.identities.get(name), Some(identity), "{name} in\n{}", import.mesh_file);
    }
    assert_eq!(found, expected, "in\n{}", import.mesh_file);
}

fn messages(import: &Import) -> Vec<&str> {
    import.notes.iter().map(|note| note.message.as_str()).collect()
}
