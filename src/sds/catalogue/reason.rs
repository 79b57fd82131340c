//! Why a name is held.

use thiserror::Error;

use crate::identity::{NodeName, SpiffeId};
use crate::sds::secret::SecretError;

/// Why there is nothing to send under a name, for the log. Repeats nothing of a name that is not
/// known to be one: what a caller writes is anything.
#[derive(Debug, Error)]
pub(super) enum Reason {
    #[error(
        "the caller is granted several nodes alike and calls itself none of them; set its node.id \
         to the name of one, or ask for that by name"
    )]
    Ambiguous,
    #[error("there is no node {node} any more")]
    Gone { node: NodeName },
    #[error("{node} names no such backend; add it to the `backends` of {node} in the mesh file")]
    NoSuchBackend { node: NodeName },
    #[error("certctl issue would write no such file for this mesh")]
    NoSuchFile,
    #[error("no name has this form")]
    NoSuchForm,
    #[error("no node of the mesh has this SPIFFE ID")]
    NoSuchId,
    #[error("the mesh has no node or authority of this name")]
    NoSuchName,
    #[error("{node} is not granted to the caller; see `attest` of {node} in the mesh file")]
    NotGranted { node: NodeName },
    #[error("{node} has no certificate yet")]
    NotYet { node: NodeName },
    #[error("nothing is granted to the caller; see `attest` in the mesh file")]
    Nothing,
    #[error("{node} has no certificate for {id} yet, only one for what it was before")]
    OtherId { node: NodeName, id: SpiffeId },
    #[error("nothing can be sent: {0}")]
    Secret(#[from] SecretError),
}

impl Reason {
    /// The node whose certificate is all that is missing.
    pub(super) fn awaits(&self) -> Option<&NodeName> {
        match self {
            Self::NotYet { node } | Self::OtherId { node, .. } => Some(node),
            _ => None,
        }
    }
}
