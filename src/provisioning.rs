//! A new key and its certificate.

use thiserror::Error;

use crate::acm_pca::{KeepError, SigningError};
use crate::authority::Authority;
use crate::signing;
use crate::time::OffsetDateTime;
use crate::x509::credential::{Credential, CredentialError};
use crate::x509::key::{KeyAlgorithm, KeyError, PrivateKey};
use crate::x509::profile::LeafProfile;

mod kept;
mod pending;
mod remote;

pub use kept::StoredPendings;
pub use pending::{Pending, PendingError, Pendings};
pub use remote::{RemoteRequest, provision_remotely};

/// Why a credential could not be made.
#[derive(Debug, Error)]
pub enum ProvisioningError {
    /// No key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No certificate for it.
    #[error(transparent)]
    Certificate(#[from] CredentialError),
    /// An authority that is reached over a network has not certified it.
    #[error(transparent)]
    Remote(#[from] SigningError),
    /// What was asked of it, or is to be, cannot be read or written.
    #[error("what is asked of the authority cannot be kept: {0}")]
    Keep(#[from] KeepError),
    /// The work on a thread ended without a result.
    #[error("the work was cut off: {0}")]
    CutOff(#[source] tokio::task::JoinError),
}

/// Makes a key and has `authority` certify it. The key is new each time: a renewal that kept it
/// would also keep whoever had copied it.
///
/// # Errors
/// When the key cannot be made or the authority does not certify it.
pub fn provision(
    authority: &Authority,
    profile: &LeafProfile,
    algorithm: KeyAlgorithm,
    now: OffsetDateTime,
) -> Result<Credential, ProvisioningError> {
    let key = PrivateKey::generate(algorithm)?;
    let chain = signing::sign(authority, profile, key.public(), now)?;
    Ok(Credential::new(key, chain)?)
}

#[cfg(test)]
mod tests;
