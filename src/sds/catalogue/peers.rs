//! Whom a node accepts at the end that a name asks about.

use crate::identity::{NodeName, SpiffeId, TrustDomain};
use crate::snapshot::{Anchors, Mesh, Peers, Trust};

/// Which of a node's peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// One backend.
    Backend(NodeName),
    /// The roots for one backend, whoever is expected.
    BackendRoots(NodeName),
    /// All backends.
    Backends,
    /// All, where nothing more particular is said.
    Both,
    /// The same, of one trust domain.
    Domain(TrustDomain),
    /// The callers.
    Listener,
    /// The roots for callers, whoever is expected.
    ListenerRoots,
}

/// The peers at one end. None where it is a backend that the node does not name: there would be
/// nobody to expect, and to expect anybody would not be what was asked for.
pub(super) fn at(trust: &Trust, end: &End) -> Option<Peers> {
    let roots = |anchors: &Anchors| Peers { anchors: anchors.clone(), expected: None };
    let backend = |name| trust.backends.as_ref().and_then(|backends| backends.get(name));
    Some(match end {
        End::Backend(name) => backend(name)?.clone(),
        End::BackendRoots(name) => roots(&backend(name)?.anchors),
        End::Backends => all_backends(trust),
        End::Both => roots(&trust.both),
        End::Domain(domain) => {
            let of = trust.both.as_slice().iter().filter(|anchor| anchor.trust_domain == *domain);
            roots(&Anchors::new(of.cloned()))
        }
        End::Listener => trust.listener.clone(),
        End::ListenerRoots => roots(&trust.listener.anchors),
    })
}

/// One node of the mesh, as whoever names no backends accepts it.
pub(super) fn toward(trust: &Trust, mesh: &Mesh, backend: &NodeName) -> Option<Peers> {
    let identity = mesh.desired.identities.get(backend)?;
    Some(Peers { anchors: trust.both.clone(), expected: Some(vec![identity.spiffe_id.clone()]) })
}

/// All backends together; anyone that the node trusts where it names none.
fn all_backends(trust: &Trust) -> Peers {
    let Some(backends) = &trust.backends else {
        return Peers { anchors: trust.both.clone(), expected: None };
    };
    let mut expected: Option<Vec<SpiffeId>> = Some(Vec::new());
    for backend in backends.values() {
        expected = match (expected, &backend.expected) {
            (Some(mut all), Some(ids)) => {
                let new = ids.iter().filter(|id| !all.contains(id)).cloned().collect::<Vec<_>>();
                all.extend(new);
                Some(all)
            }
            _ => None,
        };
    }
    let anchors = if backends.is_empty() {
        // Nobody is expected, and still Envoy takes no empty bundle.
        trust.both.clone()
    } else {
        union(backends.values().map(|backend| &backend.anchors))
    };
    Peers { anchors, expected }
}

/// All of these anchors, each once.
pub(super) fn union<'a>(anchors: impl Iterator<Item = &'a Anchors>) -> Anchors {
    Anchors::new(anchors.flat_map(Anchors::as_slice).cloned())
}
