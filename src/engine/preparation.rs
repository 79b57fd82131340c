//! What has to be read before an edit is in force: authorities, and what is stored of new nodes.
//! Blocking, and CPU-bound where a key is encrypted.

use std::sync::Arc;

use indexmap::IndexMap;
use rayon::prelude::*;

use super::slot::Shown;
use crate::desired::{self, Desired, Identity};
use crate::files::Directory;
use crate::hierarchy::{Authorities, State};
use crate::identity::AuthorityName;
use crate::rotation::adopt;
use crate::snapshot::Anchor;
use crate::store::{Held, NodeFiles, Reader, StoreError};
use crate::time::OffsetDateTime;
use crate::x509::certificate::Certificate;
use crate::x509::credential::CredentialError;
use crate::x509::verification::Roots;

/// Nodes are read side by side from so many on; fewer are not worth the threads.
const SIDE_BY_SIDE: usize = 64;

/// What is to be read.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) desired: Arc<Desired>,
    /// The authorities, where they need not be read again.
    pub(super) authorities: Option<Arc<Authorities>>,
    /// Whether those that are missing or due are made.
    pub(super) make: bool,
    /// The nodes of which it is to be read what is stored.
    pub(super) nodes: Vec<Arc<Identity>>,
    pub(super) now: OffsetDateTime,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) desired: Arc<Desired>,
    pub(super) authorities: Arc<Authorities>,
    /// Whether the authorities were read, and whether any was to be made then.
    pub(super) made: bool,
    pub(super) stored: Vec<(Arc<Identity>, Stored)>,
}

/// What is stored of a node.
#[derive(Debug)]
pub(super) enum Stored {
    /// Nothing.
    Nothing,
    /// Nothing that can be used, for this reason.
    Unusable(String),
    /// Nothing is to be stored there, for this reason.
    Refused(String),
    /// A credential that verifies, not published yet.
    Good(Box<Shown>),
}

/// Reads.
pub(super) fn prepare(directory: &Directory, order: Order) -> Prepared {
    let Order { desired, authorities, make, nodes, now } = order;
    let authorities = authorities.unwrap_or_else(|| {
        let mut authorities = Authorities::load(&desired, &|name| directory.read(name), now);
        if make {
            authorities.make(&desired, Some(directory), now);
        }
        Arc::new(authorities)
    });
    let stored = read_nodes(directory, &authorities, &nodes, now);
    Prepared { desired, authorities, made: make, stored: nodes.into_iter().zip(stored).collect() }
}

fn read_nodes(
    directory: &Directory,
    authorities: &Authorities,
    nodes: &[Arc<Identity>],
    now: OffsetDateTime,
) -> Vec<Stored> {
    let reading = match directory.reading() {
        Ok(reading) => reading,
        Err(error) => {
            return nodes.iter().map(|_| Stored::Unusable(error.to_string())).collect();
        }
    };
    let read = |name: &_| reading.read(name);
    let look = |identity: &Arc<Identity>| stored(&read, authorities, identity, now);
    match nodes.len() {
        few if few < SIDE_BY_SIDE => nodes.iter().map(look).collect(),
        _ => nodes.par_iter().map(look).collect(),
    }
}

fn stored(
    read: &Reader<'_>,
    authorities: &Authorities,
    identity: &Identity,
    now: OffsetDateTime,
) -> Stored {
    let base = &identity.files.base;
    let files = match NodeFiles::read(read, base) {
        Ok(files) => files,
        // What cannot be read may not be writable either, but that is for the attempt to say.
        Err(error) => return Stored::Unusable(error.to_string()),
    };
    let held = files.held(base);
    if let Err(refused @ StoreError::HoldsAuthority { .. }) = files.refuse_a_ca(base, &held) {
        return Stored::Refused(refused.to_string());
    }
    match held {
        Held::Nothing => Stored::Nothing,
        Held::Damaged(damage) => Stored::Unusable(damage.to_string()),
        Held::Pair { key, mut chain } => {
            if chain.is_empty() {
                return Stored::Nothing;
            }
            let leaf = chain.remove(0);
            if leaf.names().uris != [identity.spiffe_id.as_str()] {
                let words = format!("what is stored is for {:?}", leaf.names().uris);
                return Stored::Unusable(words);
            }
            let Some((authority, root)) = above(authorities, identity, (&leaf, &chain)) else {
                let words = format!("{:?} signed it, which is not in the mesh", leaf.issuer());
                return Stored::Unusable(words);
            };
            let verified = Roots::new([&root])
                .map_err(CredentialError::from)
                .and_then(|roots| adopt(key, leaf, chain, &roots, now));
            match verified {
                Ok(credential) => {
                    let credential = Arc::new(credential);
                    Stored::Good(Box::new(Shown { credential, root, authority, generation: 0 }))
                }
                Err(error) => Stored::Unusable(error.to_string()),
            }
        }
    }
}

/// What a stored leaf stands under, by name alone: an authority of the mesh, the node's own before
/// others, with its root; or, where that is about to be signed anew, a root alone.
fn above(
    authorities: &Authorities,
    identity: &Identity,
    (leaf, issuers): (&Certificate, &[Certificate]),
) -> Option<(Option<AuthorityName>, Certificate)> {
    let mut names = std::iter::once(&identity.authority).chain(authorities.states.keys());
    let signer = names.find_map(|name| {
        let chain = authorities.certificates(name).ok()?;
        let found = leaf.names_as_issuer(chain.own());
        found.then(|| (Some(name.clone()), chain.root().clone()))
    });
    signer.or_else(|| {
        let top = issuers.last().unwrap_or(leaf);
        let mut roots = authorities.states.values().filter_map(State::roots).flatten();
        roots.find(|root| top.names_as_issuer(root)).map(|root| (None, root.clone()))
    })
}

/// The roots of every authority of a mesh; none of those that are not known now.
pub(super) fn roots(
    desired: &Desired,
    authorities: &Authorities,
) -> IndexMap<AuthorityName, Option<Vec<Anchor>>> {
    let roots = desired.authorities.iter().map(|(name, kind)| {
        let trust_domain = match kind {
            desired::Authority::TrustOnly(partner) => partner.trust_domain.as_ref(),
            desired::Authority::Local(_)
            | desired::Authority::Imported(_)
            | desired::Authority::AcmPca(_) => None,
        };
        let trust_domain = trust_domain.unwrap_or(&desired.trust_domain);
        let anchors = authorities.states.get(name).and_then(State::roots).map(|roots| {
            let anchor = |certificate: &Certificate| Anchor {
                trust_domain: trust_domain.clone(),
                certificate: certificate.clone(),
            };
            roots.iter().map(anchor).collect()
        });
        (name.clone(), anchors)
    });
    roots.collect()
}
