//! Whom a node calls, as far as its Envoy has to know.

use super::{Context, Host};
use crate::desired::Identity;
use crate::identity::NodeName;

/// Where App Mesh's examples listen.
const USUAL_PORT: u16 = 8080;

/// One backend of a node.
pub(super) struct Backend<'a> {
    pub(super) name: &'a NodeName,
    /// What the mesh knows of it; nothing where it is of another mesh.
    pub(super) identity: Option<&'a Identity>,
    /// Where it is.
    pub(super) address: Host,
}

impl<'a> Context<'a> {
    /// The backends that the node names; where it names none, the nodes that name it as a caller.
    pub(super) fn backends(&self) -> Vec<Backend<'a>> {
        let all = &self.desired.identities;
        let backend = |name: &'a NodeName, port: Option<u16>| {
            let identity = all.get(name);
            let address = self.options.backends.get(name).cloned().unwrap_or_else(|| {
                let name = identity
                    .and_then(|identity| identity.dns_names.first())
                    .map_or_else(|| name.to_string(), ToString::to_string);
                Host { name, port: port.unwrap_or(USUAL_PORT) }
            });
            Backend { name, identity, address }
        };
        match &self.identity.backends {
            Some(named) => named.iter().map(|(name, it)| backend(name, it.port)).collect(),
            None => all
                .values()
                .filter(|other| other.listener.callers.is_some())
                .filter(|other| other.listener.expects(self.identity))
                .map(|other| backend(&other.name, None))
                .collect(),
        }
    }
}

impl Backend<'_> {
    /// The hosts that a call to it may name, as Envoy's `domains`.
    pub(super) fn domains(&self) -> Vec<String> {
        let own = self.name.to_string();
        let dns_names = self.identity.iter().flat_map(|identity| &identity.dns_names);
        let others: Vec<_> =
            dns_names.map(ToString::to_string).filter(|name| *name != own).collect();
        std::iter::once(own).chain(others).collect()
    }
}
