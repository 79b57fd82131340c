//! One authority of a mesh, as it lies in its state directory and ready to sign: for who signs
//! without issuing the whole mesh. Nothing is made here.

use std::path::Path;
use std::sync::Arc;

use super::{Authorities, AuthorityFailure, State};
use crate::authority::Authority;
use crate::desired::Desired;
use crate::files::View;
use crate::identity::AuthorityName;
use crate::store::reader;
use crate::time::OffsetDateTime;

/// The authority named `name`, and what the user should know of it and those above it. `state` is
/// the directory where local authorities live.
///
/// # Errors
/// When the mesh has no such authority, or it cannot sign: it was never made, has no key, or its
/// files do not belong together.
pub fn signer(
    desired: &Desired,
    state: &Path,
    name: &AuthorityName,
    now: OffsetDateTime,
) -> Result<(Arc<Authority>, Vec<String>), Arc<AuthorityFailure>> {
    let view = View::open(state).map_err(|error| Arc::new(error.into()))?;
    let mut authorities = Authorities::load(desired, &reader(view.as_ref()), now);
    match authorities.states.swap_remove(name) {
        Some(State::Ready(authority)) => {
            let related = |of: &AuthorityName| of == name || desired.above(name).any(|up| up == of);
            let notes = authorities.notes.into_iter().filter(|note| related(&note.authority));
            Ok((authority, notes.map(|note| note.text).collect()))
        }
        Some(State::Mute { why, .. } | State::Failed(why)) => Err(why),
        Some(State::TrustOnly(_)) => Err(Arc::new(AuthorityFailure::TrustOnly)),
        Some(State::ToMake { .. }) | None => Err(Arc::new(AuthorityFailure::NotMade)),
    }
}
