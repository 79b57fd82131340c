//! Who signs for an authority of the mesh. Nothing is made here.

use std::path::Path;
use std::sync::Arc;

use super::{Authorities, AuthorityFailure};
use crate::acm_pca::RemoteAuthority;
use crate::authority::{Authority, CaChain};
use crate::desired::Desired;
use crate::files::View;
use crate::identity::AuthorityName;
use crate::store::reader;
use crate::time::OffsetDateTime;

/// An authority that is ready to sign.
#[derive(Clone, Debug)]
pub enum Signer {
    /// With a key that this process holds.
    Here(Arc<Authority>),
    /// At AWS.
    Remote(Arc<RemoteAuthority>),
}

impl Signer {
    /// Its name in the mesh.
    pub fn name(&self) -> &AuthorityName {
        match self {
            Self::Here(authority) => authority.name(),
            Self::Remote(authority) => authority.name(),
        }
    }

    /// The certificates of each CA that signs as this authority, in order of preference.
    pub fn chains(&self) -> impl Iterator<Item = &CaChain> {
        let (here, remote) = match self {
            Self::Here(authority) => (Some(authority.certificates()), None),
            Self::Remote(authority) => (None, Some(authority.cas().iter().map(|ca| &ca.chain))),
        };
        here.into_iter().chain(remote.into_iter().flatten())
    }
}

/// The authority named `name`, as it lies in its state directory, for who signs without issuing the
/// whole mesh; with it what the user should know of it and those above it. `state` is the directory
/// where local authorities live.
///
/// # Errors
/// When the mesh has no such authority, or it cannot sign: it was never made, has no key, or its
/// files do not belong together.
pub fn signer(
    desired: &Desired,
    state: &Path,
    name: &AuthorityName,
    now: OffsetDateTime,
) -> Result<(Signer, Vec<String>), Arc<AuthorityFailure>> {
    let view = View::open(state).map_err(|error| Arc::new(error.into()))?;
    let authorities = Authorities::load(desired, &reader(view.as_ref()), now);
    if !authorities.states.contains_key(name) {
        return Err(Arc::new(AuthorityFailure::NotMade));
    }
    let signer = authorities.signer(name)?;
    let related = |of: &AuthorityName| of == name || desired.above(name).any(|up| up == of);
    let notes = authorities.notes.into_iter().filter(|note| related(&note.authority));
    Ok((signer, notes.map(|note| note.text).collect()))
}
