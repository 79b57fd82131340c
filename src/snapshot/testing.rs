//! A published mesh for tests: from a mesh file's text, with authorities and leaves made in memory.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use time::macros::datetime;

use super::{Anchor, Anchors, Generation, Granted, Leaf, Mesh, Node, Peers, Publisher, Snapshot};
use super::{Trust, View};
use crate::authority::Authority;
use crate::desired::mesh_file::MeshFile;
use crate::desired::{self, Desired, Identity, LocalAuthority, TrustSet};
use crate::identity::{AuthorityName, NodeName, TrustDomain};
use crate::provisioning::provision;
use crate::time::{Lifetime, OffsetDateTime};
use crate::x509::credential::Credential;
use crate::x509::key::{KeyAlgorithm, PrivateKey};
use crate::x509::profile::{LeafProfile, Subject};

/// When all of it was made.
pub const NOW: OffsetDateTime = datetime!(2026-11-21 8:00 UTC);

/// The walkthrough's mesh: front may call both, blue and green expect front alone.
pub const COLORAPP: &str = "
version: 1
trustDomain: example.org
authorities: { ca_1: {}, ca_2: {} }
virtualNodes:
  front: { authority: ca_1, trust: [ca_1], backends: [blue] }
  blue: { authority: ca_1, callers: [front] }
  green: { authority: ca_2, trust: [ca_1], callers: [front] }
";

/// Publishes a mesh, every node of it with a leaf.
pub fn published(mesh: &str) -> Published {
    let desired = read(mesh);
    let publisher = Publisher::new(Arc::new(desired.clone()));
    let snapshot = publisher.snapshot();
    let authorities = IndexMap::new();
    let mut this = Published { publisher, snapshot, desired, authorities };
    this.edit(mesh);
    this
}

/// A view of these nodes, all granted alike.
pub fn view(nodes: &[&str]) -> View {
    let granted = |node: &&str| Granted { node: node_name(node), specificity: 0 };
    View::new(nodes.iter().map(granted).collect())
}

/// A node's name, which must be one.
pub fn node_name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

/// A mesh that is published, and what it takes to change it.
pub struct Published {
    /// The writing end.
    pub publisher: Publisher,
    /// The reading end.
    pub snapshot: Snapshot,
    /// What the mesh file says.
    pub desired: Desired,
    authorities: IndexMap<AuthorityName, Arc<Authority>>,
}

impl Published {
    /// Publishes another mesh in place of this one. Authorities and leaves that are there stay;
    /// what is missing is made.
    pub fn edit(&mut self, mesh: &str) {
        self.desired = read(mesh);
        let authorities: Vec<_> = self.desired.authorities.keys().cloned().collect();
        authorities.into_iter().for_each(|name| self.make_authority(name));
        let generation = self.publisher.next_generation();
        for identity in self.desired.identities.values() {
            let old = self.snapshot.node(&identity.name).and_then(|node| node.leaf.clone());
            let leaf = old.unwrap_or_else(|| self.leaf(identity, generation));
            self.publisher.set_node(self.node(identity, Some(leaf), generation));
        }
        let roots = |name: &AuthorityName| (name.clone(), self.anchors([name]));
        let names = self.desired.authorities.keys();
        let trusted = names.filter(|name| self.desired.distrusted(name).is_none());
        self.publisher.set_mesh(Mesh {
            desired: Arc::new(self.desired.clone()),
            authorities: trusted.map(roots).collect(),
            nodes: self.desired.identities.keys().cloned().collect(),
            generation,
        });
    }

    /// Gives a node a new leaf.
    pub fn renew(&self, node: &str) {
        let generation = self.publisher.next_generation();
        let leaf = self.leaf(self.identity(node), generation);
        self.set_leaf(node, Some(leaf));
    }

    /// Takes a node's leaf away, as it is before the first one is made.
    pub fn without_leaf(&self, node: &str) {
        self.set_leaf(node, None);
    }

    /// Publishes a node's trust under a new generation, changed by `change` or as it is.
    pub fn set_trust(&self, node: &str, change: impl FnOnce(&mut Trust)) {
        let old = self.snapshot.node(&node_name(node)).unwrap();
        let mut trust = Trust {
            both: old.trust.both.clone(),
            listener: old.trust.listener.clone(),
            backends: old.trust.backends.clone(),
            generation: self.publisher.next_generation(),
        };
        change(&mut trust);
        let (identity, leaf) = (Arc::clone(&old.identity), old.leaf.clone());
        self.publisher.set_node(Node { identity, leaf, trust: Arc::new(trust) });
    }

    /// The roots of these authorities. Here one that is only trusted has a trust domain of its own:
    /// `partner` vouches for `partner.example`.
    pub fn anchors<'a>(&self, names: impl IntoIterator<Item = &'a AuthorityName>) -> Anchors {
        Anchors::new(names.into_iter().map(|name| {
            let own = &self.desired.trust_domain;
            let trust_domain = match &self.desired.authorities[name] {
                desired::Authority::TrustOnly(_) => {
                    TrustDomain::parse(&format!("{name}.example")).unwrap()
                }
                _ => own.clone(),
            };
            Anchor { trust_domain, certificate: self.authorities[name].root().clone() }
        }))
    }

    fn set_leaf(&self, node: &str, leaf: Option<Leaf>) {
        let old = self.snapshot.node(&node_name(node)).unwrap();
        let (identity, trust) = (Arc::clone(&old.identity), Arc::clone(&old.trust));
        self.publisher.set_node(Node { identity, leaf, trust });
    }

    fn identity(&self, node: &str) -> &Identity {
        &self.desired.identities[&node_name(node)]
    }

    fn node(&self, identity: &Identity, leaf: Option<Leaf>, generation: Generation) -> Node {
        let trusted = |set: &TrustSet| self.anchors(set.names());
        let id = |name: &NodeName| self.desired.identities[name].spiffe_id.clone();
        let expected = self.desired.callers_of(identity);
        let listener = Peers { anchors: trusted(&identity.listener.trust), expected };
        let backends = identity.backends.as_ref().map(|backends| {
            let peers = |(name, backend): (&NodeName, &desired::Backend)| {
                let anchors = trusted(&backend.trust);
                (name.clone(), Peers { anchors, expected: Some(vec![id(name)]) })
            };
            backends.iter().map(peers).collect()
        });
        let trust = Trust { both: trusted(&identity.trust), listener, backends, generation };
        // Trust that stays as it was keeps its generation.
        let old = self.snapshot.node(&identity.name).map(|old| Arc::clone(&old.trust));
        let same = |old: &Arc<Trust>| {
            (&old.both, &old.listener, &old.backends)
                == (&trust.both, &trust.listener, &trust.backends)
        };
        let trust = old.filter(same).unwrap_or_else(|| Arc::new(trust));
        Node { identity: Arc::new(identity.clone()), leaf, trust }
    }

    fn leaf(&self, identity: &Identity, generation: Generation) -> Leaf {
        let profile = LeafProfile {
            spiffe_id: identity.spiffe_id.clone(),
            dns_names: identity.dns_names.clone(),
            lifetime: identity.lifetime,
            clock_skew: self.desired.clock_skew,
        };
        let authority = &self.authorities[&identity.authority];
        let credential: Credential =
            provision(authority, &profile, identity.key_algorithm, NOW).unwrap();
        Leaf { credential: Arc::new(credential), generation }
    }

    /// Makes an authority that is not there yet, its parents first. One that the mesh file does not
    /// describe in full (imported, or trusted only) is made as a root of that name.
    fn make_authority(&mut self, name: AuthorityName) {
        if self.authorities.contains_key(&name) {
            return;
        }
        let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
        let skew = Duration::from_secs(300);
        let local = match &self.desired.authorities[&name] {
            desired::Authority::Local(local) => local.clone(),
            _ => LocalAuthority {
                subject: Subject { common_name: Some(name.to_string()), ..Subject::default() },
                key_algorithm: KeyAlgorithm::EcP256,
                lifetime: Lifetime::days(3_650),
                parent: None,
                passphrase_file: None,
            },
        };
        let chain = match &local.parent {
            None => vec![Authority::make_root(&local, skew, &key, NOW).unwrap()],
            Some(parent) => {
                self.make_authority(parent.clone());
                let parent = &self.authorities[parent];
                let own = parent.make_intermediate(&local, skew, 0, key.public(), NOW).unwrap();
                [&[own], parent.chain()].concat()
            }
        };
        let authority = Authority::new(name.clone(), key, chain).unwrap();
        self.authorities.insert(name, Arc::new(authority));
    }
}

fn read(mesh: &str) -> Desired {
    MeshFile::read(Path::new("mesh.yaml"), mesh.as_bytes()).unwrap().desired
}

#[test]
fn a_published_mesh_is_whole_and_can_be_changed() {
    let mut mesh = published(COLORAPP);
    let node = |mesh: &Published, name: &str| mesh.snapshot.node(&node_name(name)).unwrap();
    let serial = |mesh: &Published, name: &str| {
        node(mesh, name).leaf.as_ref().map(|leaf| leaf.credential.leaf().serial())
    };
    let granted = view(&["front", "green"]);
    assert!(granted.nodes().all(|name| mesh.snapshot.node(name).is_some()));
    let (blue, front) = (serial(&mesh, "blue"), serial(&mesh, "front"));
    mesh.renew("blue");
    assert_ne!(serial(&mesh, "blue"), blue);
    mesh.without_leaf("blue");
    assert_eq!(serial(&mesh, "blue"), None);
    let before = node(&mesh, "front").trust.generation;
    mesh.set_trust("front", |_| ());
    assert!(node(&mesh, "front").trust.generation > before);
    mesh.edit(&COLORAPP.replace("trust: [ca_1], backends", "trust: [ca_1, ca_2], backends"));
    assert_eq!(serial(&mesh, "front"), front);
    let both: Vec<_> = mesh.desired.authorities.keys().collect();
    assert_eq!(node(&mesh, "front").trust.both, mesh.anchors(both));
}
