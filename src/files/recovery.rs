//! Finishing or undoing what an interrupted run left.

use super::folder::Folder;
use super::tree::{COMMIT, STAGING};
use super::{FilesError, Recovered, flat, live};

/// Rolls a committed run forward and drops an uncommitted one, in either layout. Interrupted
/// itself, it can be run again.
pub(super) fn recover(top: &Folder) -> Result<Recovered, FilesError> {
    let listing = top.entries()?;
    let has = |name: &str| listing.iter().any(|(entry, _)| entry == name);
    let mut recovered = Recovered::Nothing;
    if has(STAGING) {
        flat::discard_staging(top)?;
        recovered = Recovered::Dropped;
    }
    if live::recover(top, &listing)? {
        recovered = Recovered::Dropped;
    }
    if has(COMMIT) {
        flat::finish(top)?;
        recovered = Recovered::Finished;
    }
    Ok(recovered)
}
