//! Finds nodes by their SPIFFE IDs, and by what `certctl issue` calls their files.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::peers::End;
use crate::desired::TrustSet;
use crate::desired::layout::{self, Content};
use crate::identity::{AuthorityName, NodeName, SpiffeId};
use crate::snapshot::{Mesh, Snapshot};

/// The index of the mesh as it is, made anew when that has changed.
#[derive(Debug, Default)]
pub(super) struct Indexes(RwLock<Option<Arc<Index>>>);

/// The nodes of one mesh.
#[derive(Debug)]
pub(super) struct Index {
    mesh: Arc<Mesh>,
    snapshot: Snapshot,
    ids: HashMap<SpiffeId, NodeName>,
    /// Made when first asked for: only those who come from files ask.
    files: OnceLock<HashMap<String, FileContent>>,
}

/// What `certctl issue` would write into a file.
#[derive(Clone, Debug)]
pub(super) enum FileContent {
    /// A node's certificate, alone or with its chain.
    Certificate(NodeName),
    /// A node's key.
    Key(NodeName),
    /// The roots of authorities.
    Roots(Vec<AuthorityName>),
    /// The roots that a node trusts at one end.
    Trust(NodeName, End),
}

impl Indexes {
    /// The index of what is published there.
    pub(super) fn of(&self, snapshot: &Snapshot) -> Arc<Index> {
        let mesh = snapshot.mesh();
        let current = |index: &Option<Arc<Index>>| {
            index.as_ref().filter(|index| Arc::ptr_eq(&index.mesh, &mesh)).cloned()
        };
        if let Some(index) = current(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return index;
        }
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        current(&index)
            .unwrap_or_else(|| Arc::clone(index.insert(Arc::new(Index::new(mesh, snapshot)))))
    }
}

impl Index {
    fn new(mesh: Arc<Mesh>, snapshot: &Snapshot) -> Self {
        let nodes = mesh.nodes.iter().filter_map(|name| snapshot.node(name));
        let ids = nodes
            .map(|node| (node.identity.spiffe_id.clone(), node.identity.name.clone()))
            .collect();
        Self { mesh, snapshot: snapshot.clone(), ids, files: OnceLock::new() }
    }

    /// The node of this SPIFFE ID.
    pub(super) fn node(&self, id: &SpiffeId) -> Option<&NodeName> {
        self.ids.get(id)
    }

    /// The node whose certificate and key are in files of these names.
    pub(super) fn key_pair(&self, certificate: &str, key: &str) -> Option<&NodeName> {
        match (self.file(certificate)?, self.file(key)?) {
            (FileContent::Certificate(node), FileContent::Key(other)) if node == other => {
                Some(node)
            }
            _ => None,
        }
    }

    /// What is in the file of this name.
    pub(super) fn file(&self, name: &str) -> Option<&FileContent> {
        self.files.get_or_init(|| self.list_files()).get(name)
    }

    fn list_files(&self) -> HashMap<String, FileContent> {
        let mut files = HashMap::new();
        let mut add = |name: String, content| {
            files.entry(name).or_insert(content);
        };
        let roots = |set: &TrustSet| FileContent::Roots(set.names().to_vec());
        for name in self.mesh.authorities.keys() {
            let content = FileContent::Roots(vec![name.clone()]);
            add(layout::authority_certificate(name), content);
        }
        // The bundle of the whole mesh, also as it was called before any of it was distrusted.
        let known = TrustSet::of(self.mesh.authorities.keys(), |_| true);
        let whole = TrustSet::of(self.mesh.desired.authorities.keys(), |_| true);
        known.iter().chain(&whole).for_each(|set| add(layout::bundle_name(set), roots(set)));
        for node in self.mesh.nodes.iter().filter_map(|name| self.snapshot.node(name)) {
            for file in layout::of_node(&node.identity) {
                if let Some(content) = FileContent::of(file.content) {
                    add(file.name, content);
                }
            }
            for set in layout::trust_sets(&node.identity) {
                add(layout::bundle_name(set), roots(set));
            }
        }
        files
    }
}

impl FileContent {
    /// None for what is no node's.
    fn of(content: Content<'_>) -> Option<Self> {
        Some(match content {
            Content::AuthorityCertificate(_) | Content::AuthorityKey(_) | Content::Bundle(_) => {
                return None;
            }
            Content::Key(node) => Self::Key(node.clone()),
            Content::Certificate(node) | Content::Chain(node) => Self::Certificate(node.clone()),
            Content::Trust(node, _) => Self::Trust(node.clone(), End::Both),
            Content::ListenerTrust(node, _) => Self::Trust(node.clone(), End::ListenerRoots),
            Content::BackendTrust(node, backend, _) => {
                Self::Trust(node.clone(), End::BackendRoots(backend.clone()))
            }
        })
    }
}
