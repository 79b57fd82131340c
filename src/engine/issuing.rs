//! Who makes a credential: the seam between the loop and signers, near or far.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use thiserror::Error;

use crate::authority::Authority;
use crate::identity::NodeName;
use crate::provisioning::{ProvisioningError, provision};
use crate::time::OffsetDateTime;
use crate::x509::credential::Credential;
use crate::x509::key::KeyAlgorithm;
use crate::x509::profile::LeafProfile;

/// What is to be made.
#[derive(Clone, Debug)]
pub struct Request {
    /// For whom.
    pub node: NodeName,
    /// Who signs it.
    pub authority: Arc<Authority>,
    /// What it is to say.
    pub profile: LeafProfile,
    /// The algorithm of its key.
    pub algorithm: KeyAlgorithm,
    /// The moment of issue.
    pub now: OffsetDateTime,
}

/// Why no credential was made.
#[derive(Debug, Error)]
pub enum IssuingError {
    /// The key, the signature or its verification failed.
    #[error(transparent)]
    Provisioning(#[from] ProvisioningError),
    /// A signer that is reached over a network refused, or was not reached.
    #[error("the signer cannot sign now: {why}")]
    Unavailable {
        /// What it said, or why it was not reached.
        why: String,
    },
    /// The work ended without a result.
    #[error("the work was cut off: {cause}")]
    CutOff {
        /// How.
        #[source]
        cause: tokio::task::JoinError,
    },
}

impl IssuingError {
    /// Whether the authority signs nothing now, for whomever.
    pub(super) fn is_of_the_authority(&self) -> bool {
        matches!(self, Self::Provisioning(ProvisioningError::Remote(error)) if error.is_outage())
    }

    /// Whether it cost money all the same.
    pub(super) fn is_paid_for(&self) -> bool {
        matches!(self, Self::Provisioning(ProvisioningError::Remote(error)) if error.is_paid_for())
    }
}

/// A credential in the making.
pub type Issued = Pin<Box<dyn Future<Output = Result<Credential, IssuingError>> + Send>>;

/// Makes credentials with keys that are here. How many are in the making at once is the loop's to bound.
pub trait Issuing: Send + Sync + fmt::Debug {
    /// Makes one. What comes of it must have been verified, as every [`Credential`] is.
    fn issue(&self, request: Request) -> Issued;
}

/// Signs with keys that this process holds, on threads of its own: that is work for a CPU.
#[derive(Debug)]
pub struct Local;

impl Issuing for Local {
    fn issue(&self, request: Request) -> Issued {
        let Request { node: _, authority, profile, algorithm, now } = request;
        let work = move || provision(&authority, &profile, algorithm, now);
        let work = tokio::task::spawn_blocking(work);
        Box::pin(async move {
            match work.await {
                Ok(made) => Ok(made?),
                Err(cause) => Err(IssuingError::CutOff { cause }),
            }
        })
    }
}
