//! What a name stands for at this moment, for one caller: where names, snapshot and views meet.
//!
//! A caller has the certificates, roots and expected peers of the nodes in its view and of no
//! others. The roots of authorities by their own names are public: any caller has them that is
//! granted something. Decides what is sent, and nothing about when or to whom; knows no stream.

use std::sync::Arc;

use super::names::{Accepted, Name, Validator};
use super::resource::{Resolution, Resource};
use super::secret::{self, Encoded};
use crate::boards::{Aspect, Part};
use crate::identity::{AuthorityName, NodeName, SpiffeId};
use crate::snapshot::{Node, Peers, Snapshot, View};
use cache::Cache;
use index::{FileContent, Indexes};
use peers::End;
use reason::Reason;

mod cache;
mod index;
mod peers;
mod reason;

/// Every secret that there is, by name. One for all streams; cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalogue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    snapshot: Snapshot,
    indexes: Indexes,
    cache: Cache,
}

/// What a name is about, once it is known that the caller may have it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    /// The certificate of a node; asked for by SPIFFE ID, one of that ID.
    Certificate(NodeName, Option<SpiffeId>),
    /// The roots of authorities.
    Roots(Vec<AuthorityName>, Validator),
    /// Whom a node accepts.
    Trust(NodeName, End, Validator),
}

impl Catalogue {
    /// The catalogue of what is published there.
    pub fn new(snapshot: Snapshot) -> Self {
        Self(Arc::new(Shared { snapshot, indexes: Indexes::default(), cache: Cache::default() }))
    }

    /// What `name` stands for. `hints` are what the caller calls itself, for where it is granted
    /// several nodes alike ([`View::own`]).
    ///
    /// What is not there and what is not granted are both held, so that nobody can find out what
    /// there is; only the log is told which it was.
    pub fn resolve(&self, name: &str, view: &View, hints: &[&str]) -> Resolution {
        self.0.cache.forget_gone(&self.0.snapshot.mesh());
        let made = self.subject(name, view, hints).and_then(|subject| match &subject {
            Subject::Certificate(node, id) => self.certificate(name, &subject, node, id.as_ref()),
            Subject::Roots(authorities, validator) => {
                self.roots(name, &subject, authorities, *validator)
            }
            Subject::Trust(node, end, validator) => {
                self.trust(name, &subject, (node, end), *validator)
            }
        });
        match made {
            Ok(resource) => Resolution::Ready(resource),
            Err(reason) => {
                Resolution::Held { awaits: reason.awaits().cloned(), why: reason.to_string() }
            }
        }
    }

    /// What an empty list of names asks for, as SPIRE's agent has it: everything that the caller
    /// may have. That is the certificate of each node by its SPIFFE ID, and what its own node
    /// trusts by trust domain. Some of them may be held.
    pub fn all(&self, view: &View, hints: &[&str]) -> Vec<String> {
        let nodes = view.nodes().filter_map(|name| self.0.snapshot.node(name));
        let mut names: Vec<_> = nodes.map(|node| node.identity.spiffe_id.to_string()).collect();
        let own = view.own(hints).and_then(|own| self.0.snapshot.node(own));
        let certificates = names.len();
        for anchor in own.iter().flat_map(|own| own.trust.both.as_slice()) {
            let name = Accepted::Domain(anchor.trust_domain.clone()).to_string();
            if !names[certificates..].contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The nodes that `name` is made of and that must be watched for it, beside the mesh. None
    /// where it is not granted: what changes that changes the mesh.
    pub fn depends_on(&self, name: &str, view: &View, hints: &[&str]) -> Vec<NodeName> {
        match self.subject(name, view, hints) {
            Ok(Subject::Certificate(node, _) | Subject::Trust(node, ..)) => vec![node],
            Ok(Subject::Roots(..)) | Err(_) => Vec::new(),
        }
    }

    fn subject(&self, name: &str, view: &View, hints: &[&str]) -> Result<Subject, Reason> {
        let own = || own(view, hints);
        let this = |node: Option<NodeName>| node.map_or_else(own, |node| granted(view, &node));
        match Name::parse(name) {
            Name::Own => Ok(Subject::Certificate(own()?, None)),
            Name::Named(node) if self.0.snapshot.node(&node).is_some() => {
                Ok(Subject::Certificate(granted(view, &node)?, None))
            }
            Name::Named(name) => {
                let mesh = self.0.snapshot.mesh();
                let called = mesh.authorities.keys().find(|own| own.as_str() == name.as_str());
                let authority = called.ok_or(Reason::NoSuchName)?;
                public(view, vec![authority.clone()], Validator::Roots)
            }
            Name::Id(id) => {
                let index = self.0.indexes.of(&self.0.snapshot);
                let node = index.node(&id).ok_or(Reason::NoSuchId)?;
                Ok(Subject::Certificate(granted(view, node)?, Some(id)))
            }
            Name::Files { chain, key } => {
                let index = self.0.indexes.of(&self.0.snapshot);
                let node = index.key_pair(&chain, &key).ok_or(Reason::NoSuchFile)?;
                Ok(Subject::Certificate(granted(view, node)?, None))
            }
            Name::Trust(accepted, validator) => {
                let (node, end) = match accepted {
                    Accepted::Authorities(names) => return public(view, names, validator),
                    Accepted::File(file) => return self.file(&file, view, validator),
                    Accepted::Own => (own()?, End::Both),
                    Accepted::Domain(domain) => (own()?, End::Domain(domain)),
                    Accepted::Callers(node) => (this(node)?, End::Listener),
                    Accepted::Backends(node) => (this(node)?, End::Backends),
                    Accepted::Backend(node, backend) => (this(node)?, End::Backend(backend)),
                };
                Ok(Subject::Trust(node, end, validator))
            }
            Name::Unknown => Err(Reason::NoSuchForm),
        }
    }

    fn file(&self, file: &str, view: &View, validator: Validator) -> Result<Subject, Reason> {
        match self.0.indexes.of(&self.0.snapshot).file(file) {
            Some(FileContent::Roots(authorities)) => public(view, authorities.clone(), validator),
            Some(FileContent::Trust(node, end)) => {
                Ok(Subject::Trust(granted(view, node)?, end.clone(), validator))
            }
            Some(FileContent::Certificate(_) | FileContent::Key(_)) | None => {
                Err(Reason::NoSuchFile)
            }
        }
    }

    fn certificate(
        &self,
        name: &str,
        subject: &Subject,
        of: &NodeName,
        id: Option<&SpiffeId>,
    ) -> Result<Arc<Resource>, Reason> {
        let node = self.node(of)?;
        let leaf = node.leaf.as_ref().ok_or_else(|| Reason::NotYet { node: of.clone() })?;
        // After its path was changed in the mesh file, a node has its old leaf for a while.
        let names = leaf.credential.leaf().names();
        if let Some(id) = id.filter(|id| names.uris != [id.as_str()]) {
            return Err(Reason::OtherId { node: of.clone(), id: id.clone() });
        }
        let generation = leaf.generation;
        self.0.cache.resource(name, subject, generation, || {
            let aspect = Aspect { part: Part::Leaf(of.clone()), generation };
            Ok(resource(name, secret::certificate(name, &leaf.credential), vec![aspect]))
        })
    }

    fn trust(
        &self,
        name: &str,
        subject: &Subject,
        (of, end): (&NodeName, &End),
        validator: Validator,
    ) -> Result<Arc<Resource>, Reason> {
        let node = self.node(of)?;
        let generation = node.trust.generation;
        // Who names no backends may call any node that it trusts, as the mesh has it.
        let any = match (end, &node.trust.backends) {
            (End::Backend(backend), None) => Some((backend, self.0.snapshot.mesh())),
            _ => None,
        };
        let made_of = any.as_ref().map_or(generation, |(_, mesh)| mesh.generation.max(generation));
        self.0.cache.resource(name, subject, made_of, || {
            let peers = match &any {
                Some((backend, mesh)) => peers::toward(&node.trust, mesh, backend),
                None => peers::at(&node.trust, end),
            };
            let peers = peers.ok_or_else(|| Reason::NoSuchBackend { node: of.clone() })?;
            let aspect = Aspect { part: Part::Trust(of.clone()), generation };
            Ok(resource(name, secret::validation(name, &peers, validator)?, vec![aspect]))
        })
    }

    fn roots(
        &self,
        name: &str,
        subject: &Subject,
        authorities: &[AuthorityName],
        validator: Validator,
    ) -> Result<Arc<Resource>, Reason> {
        let mesh = self.0.snapshot.mesh();
        // The others are still to be had without one that nobody is to trust any more.
        let is_known =
            |name| mesh.authorities.contains_key(name) || mesh.desired.distrusted(name).is_some();
        if !authorities.iter().all(is_known) {
            return Err(Reason::NoSuchName);
        }
        self.0.cache.resource(name, subject, mesh.generation, || {
            // In mesh order, however they are named, so that equal sets are equal.
            let wanted = mesh.authorities.iter().filter(|(name, _)| authorities.contains(name));
            let anchors = peers::union(wanted.map(|(_, anchors)| anchors));
            let peers = Peers { anchors, expected: None };
            let aspect = |name: &AuthorityName| Aspect {
                part: Part::Roots(name.clone()),
                generation: mesh.generation,
            };
            let aspects = authorities.iter().map(aspect).collect();
            Ok(resource(name, secret::validation(name, &peers, validator)?, aspects))
        })
    }

    fn node(&self, name: &NodeName) -> Result<Arc<Node>, Reason> {
        self.0.snapshot.node(name).ok_or_else(|| Reason::Gone { node: name.clone() })
    }
}

fn resource(name: &str, encoded: Encoded, aspects: Vec<Aspect>) -> Resource {
    Resource { name: name.to_owned(), version: encoded.version, any: encoded.any, aspects }
}

fn own(view: &View, hints: &[&str]) -> Result<NodeName, Reason> {
    let ambiguous = || if view.is_empty() { Reason::Nothing } else { Reason::Ambiguous };
    view.own(hints).cloned().ok_or_else(ambiguous)
}

fn granted(view: &View, node: &NodeName) -> Result<NodeName, Reason> {
    let denied = || Reason::NotGranted { node: node.clone() };
    view.contains(node).then(|| node.clone()).ok_or_else(denied)
}

/// Roots that are no secret, for whoever may have anything at all.
fn public(
    view: &View,
    authorities: Vec<AuthorityName>,
    validator: Validator,
) -> Result<Subject, Reason> {
    if view.is_empty() {
        return Err(Reason::Nothing);
    }
    Ok(Subject::Roots(authorities, validator))
}

#[cfg(test)]
mod tests;
