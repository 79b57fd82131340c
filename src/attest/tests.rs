//! Real processes, and what a mesh that changes grants them.

use std::sync::Arc;

use crate::desired::{Grant, Identity, Selectors};
use crate::identity::NodeName;
use crate::snapshot::testing::{Published, node_name, published};
use crate::snapshot::{Mesh, Node, View};

use super::Attestor;

mod log;
mod many;
mod processes;

const MESH: &str = "
version: 1
trustDomain: example.org
authorities: { ca_1: {} }
virtualNodes:
  front: { authority: ca_1 }
  blue: { authority: ca_1 }
  green: { authority: ca_1 }
";

/// A mesh with these grants, in place of those that were there.
fn grant(mesh: &Published, grants: &[(&str, Vec<Grant>)]) {
    for (name, grants) in grants {
        let old = mesh.snapshot.node(&node_name(name)).unwrap();
        let identity = Identity { attest: grants.clone(), ..Identity::clone(&old.identity) };
        mesh.publisher.set_node(Node {
            identity: Arc::new(identity),
            leaf: old.leaf.clone(),
            trust: Arc::clone(&old.trust),
        });
    }
    let old = mesh.snapshot.mesh();
    set_nodes(mesh, old.nodes.clone());
}

/// The mesh with these nodes, set anew.
fn set_nodes(mesh: &Published, nodes: Vec<NodeName>) {
    let old = mesh.snapshot.mesh();
    mesh.publisher.set_mesh(Mesh {
        desired: Arc::clone(&old.desired),
        authorities: old.authorities.clone(),
        nodes,
        generation: mesh.publisher.next_generation(),
    });
}

/// A mesh whose nodes are for a user that nobody is, but for these.
fn mesh(grants: &[(&str, Vec<Grant>)]) -> (Published, Arc<Attestor>) {
    let mesh = published(MESH);
    let nobody = || vec![process(|selectors| selectors.uid = Some(4_000_000_000))];
    grant(&mesh, &["front", "blue", "green"].map(|name| (name, nobody())));
    grant(&mesh, grants);
    let attestor = Attestor::new(mesh.snapshot.clone());
    (mesh, attestor)
}

fn process(say: impl FnOnce(&mut Selectors)) -> Grant {
    let mut selectors = Selectors::default();
    say(&mut selectors);
    Grant::Process(selectors)
}

fn names(view: &View) -> Vec<&str> {
    view.nodes().map(|name| name.as_str()).collect()
}
