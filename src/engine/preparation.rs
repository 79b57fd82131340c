//! What has to be read before an edit is in force: authorities, and what is stored of new nodes.
//! Blocking, and CPU-bound where a key is encrypted.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use indexmap::IndexMap;
use rayon::prelude::*;

use super::slot::Shown;
use crate::desired::{self, Desired, Identity, layout};
use crate::files::{self, Directory, FilesError};
use crate::hierarchy::{Authorities, State};
use crate::identity::AuthorityName;
use crate::rotation::adopt;
use crate::snapshot::Anchor;
use crate::store::{Held, NodeFiles, NodeStore, Reading};
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
    /// How they are read.
    pub(super) depth: Depth,
    /// The nodes of which it is to be read what is stored.
    pub(super) nodes: Vec<Arc<Identity>>,
    /// Roots that certificates may stand under though no authority of the mesh has them any more.
    pub(super) older: Vec<Certificate>,
    pub(super) now: OffsetDateTime,
}

/// How authorities are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Without their keys: what is stored of nodes must not wait for those, which may be encrypted,
    /// or lie where nobody answers.
    Certificates,
    /// With their keys.
    Keys,
    /// Those that are missing or due are made, too.
    Making,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) desired: Arc<Desired>,
    pub(super) authorities: Arc<Authorities>,
    /// How the authorities were read, where they were.
    pub(super) depth: Depth,
    pub(super) stored: Vec<(Arc<Identity>, Stored)>,
}

/// What is stored of a node.
#[derive(Debug)]
pub(super) enum Stored {
    /// Nothing.
    Nothing,
    /// Nothing that can be used, for this reason.
    Unusable(String),
    /// A credential that verifies, not published yet.
    Good {
        shown: Box<Shown>,
        /// Whether it lies in files that `issue` made, and not in the store.
        is_elsewhere: bool,
    },
}

/// What certificates may stand under: the authorities of the mesh, and the roots of those that
/// were.
type Known<'a> = (&'a Authorities, &'a [Certificate]);

/// Reads.
pub(super) fn prepare(directory: &Directory, store: &NodeStore, order: Order) -> Prepared {
    let Order { desired, authorities, depth, nodes, older, now } = order;
    let authorities = authorities.unwrap_or_else(|| {
        let read = |name: &_| directory.read(name);
        let mut authorities = match depth {
            Depth::Certificates => Authorities::load_certificates(&desired, &read, now),
            Depth::Keys | Depth::Making => Authorities::load(&desired, &read, now),
        };
        if depth == Depth::Making {
            authorities.make(&desired, Some(directory), now);
        }
        Arc::new(authorities)
    });
    let stored = match Place::open(directory, store, &authorities, &nodes) {
        Ok(place) => place.look((&authorities, &older), &nodes, now),
        Err(error) => nodes.iter().map(|_| Stored::Unusable(error.to_string())).collect(),
    };
    Prepared { desired, authorities, depth, stored: nodes.into_iter().zip(stored).collect() }
}

/// Where credentials may be stored: in the store, or in the files that `issue` makes.
struct Place<'a> {
    store: Reading,
    files: files::Reading<'a>,
    names: HashSet<OsString>,
    /// The certificates of the mesh's authorities.
    parsed: Vec<Certificate>,
}

impl<'a> Place<'a> {
    fn open(
        directory: &'a Directory,
        store: &NodeStore,
        authorities: &Authorities,
        nodes: &[Arc<Identity>],
    ) -> Result<Self, FilesError> {
        let files = directory.reading()?;
        let names = match nodes {
            [] => HashSet::new(),
            _ => files.names()?,
        };
        let store = store.read(nodes.iter().map(|identity| &identity.name))?;
        if store.is_damaged() {
            tracing::warn!(
                "a part of what is stored of the nodes is damaged, or was being written when a \
                 process was killed, and is passed over"
            );
        }
        let chains = authorities.states.keys().flat_map(|name| authorities.chains(name));
        let parsed = chains.flat_map(|chain| chain.certificates().iter().cloned()).collect();
        Ok(Self { store, files, names, parsed })
    }

    fn look(&self, known: Known<'_>, nodes: &[Arc<Identity>], now: OffsetDateTime) -> Vec<Stored> {
        let look = |identity: &Arc<Identity>| self.stored(known, identity, now);
        match nodes.len() {
            few if few < SIDE_BY_SIDE => nodes.iter().map(look).collect(),
            _ => nodes.par_iter().map(look).collect(),
        }
    }

    /// What is stored of a node: what can be used of store and files, the later one if both.
    fn stored(&self, known: Known<'_>, identity: &Identity, now: OffsetDateTime) -> Stored {
        let kept = self.store.credential(&identity.name, &self.parsed);
        let judge = |held, is_elsewhere| usable(held, known, identity, now, is_elsewhere);
        let filed = match self.filed(identity) {
            Held::Nothing => return judge(kept, false),
            filed => filed,
        };
        let issued = |held: &Held| held.leaf().map(|leaf| leaf.validity().not_before);
        let is_later = issued(&filed) > issued(&kept);
        let (first, other) = if is_later { (filed, kept) } else { (kept, filed) };
        match judge(first, is_later) {
            good @ Stored::Good { .. } => good,
            bad => match (judge(other, !is_later), bad) {
                (Stored::Nothing, bad) => bad,
                (good @ Stored::Good { .. }, _) | (good, Stored::Nothing) => good,
                (_, bad) => bad,
            },
        }
    }

    fn filed(&self, identity: &Identity) -> Held {
        let base = &identity.files.base;
        if !self.names.contains(OsStr::new(&layout::node_key(base))) {
            return Held::Nothing;
        }
        // What cannot be read is no worse than what is not there.
        NodeFiles::read(&|name| self.files.read(name), base)
            .map_or(Held::Nothing, |files| files.held(base))
    }
}

/// What is held, as far as it can be used for this node.
fn usable(
    held: Held,
    known: Known<'_>,
    identity: &Identity,
    now: OffsetDateTime,
    is_elsewhere: bool,
) -> Stored {
    let (key, mut chain) = match held {
        Held::Nothing => return Stored::Nothing,
        Held::Damaged(damage) => return Stored::Unusable(damage.to_string()),
        Held::Pair { chain, .. } if chain.is_empty() => return Stored::Nothing,
        Held::Pair { key, chain } => (key, chain),
    };
    let leaf = chain.remove(0);
    if leaf.names().uris != [identity.spiffe_id.as_str()] {
        return Stored::Unusable(format!("what is stored is for {:?}", leaf.names().uris));
    }
    let Some(Above { authority, root, roots }) = above(known, identity, (&leaf, &chain)) else {
        let words = format!("{:?} signed it, which is not in the mesh", leaf.issuer());
        return Stored::Unusable(words);
    };
    let verified = match roots {
        Some(roots) => adopt(key, leaf, chain, roots, now),
        None => Roots::new([&root])
            .map_err(CredentialError::from)
            .and_then(|roots| adopt(key, leaf, chain, &roots, now)),
    };
    match verified {
        Ok(credential) => {
            let credential = Arc::new(credential);
            let shown = Box::new(Shown { credential, root, authority, generation: 0 });
            Stored::Good { shown, is_elsewhere }
        }
        Err(error) => Stored::Unusable(error.to_string()),
    }
}

/// What a stored leaf stands under.
struct Above<'a> {
    /// Who signed it, where that is an authority of the mesh.
    authority: Option<AuthorityName>,
    root: Certificate,
    /// That root, where it is ready to verify with.
    roots: Option<&'a Roots>,
}

/// By name alone: an authority of the mesh, the node's own before others, with its root; or, where
/// that is about to be signed anew or is gone, a root alone.
fn above<'a>(
    (authorities, older): Known<'a>,
    identity: &Identity,
    (leaf, issuers): (&Certificate, &[Certificate]),
) -> Option<Above<'a>> {
    let mut names = std::iter::once(&identity.authority).chain(authorities.states.keys());
    let signer = names.find_map(|name| {
        let mut chains = authorities.chains(name).iter();
        let chain = chains.find(|chain| leaf.names_as_issuer(chain.own()))?;
        Some(Above {
            authority: Some(name.clone()),
            root: chain.root().clone(),
            roots: Some(chain.roots()),
        })
    });
    signer.or_else(|| {
        let top = issuers.last().unwrap_or(leaf);
        let mut roots = authorities.states.values().filter_map(State::roots).flatten().chain(older);
        let root = roots.find(|root| top.names_as_issuer(root))?.clone();
        Some(Above { authority: None, root, roots: None })
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
