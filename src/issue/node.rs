//! One node of a run: what was found, what was made, what there is to say of it.

use std::sync::Arc;

use thiserror::Error;

use super::report::{Action, CertificateLine, NodeLine};
use crate::desired::Identity;
use crate::files::{Contents, FilesError};
use crate::hierarchy::AuthorityFailure;
use crate::provisioning::ProvisioningError;
use crate::rotation::{Reason, Renewal};
use crate::store::{NodeFiles, StoreError};
use crate::time::OffsetDateTime;
use crate::x509::certificate::Certificate;
use crate::x509::credential::Credential;

/// One node and what this run does about it.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) identity: &'a Identity,
    pub(super) work: Work,
}

#[derive(Debug)]
pub(super) enum Work {
    Kept {
        files: NodeFiles,
        leaf: Box<Certificate>,
        renewal: Renewal,
    },
    /// `held` is the public key of what there is, whatever is wrong with it.
    Due {
        reason: Reason,
        had: bool,
        held: Option<Vec<u8>>,
    },
    Made {
        credential: Box<Credential>,
        renewal: Renewal,
        reason: Reason,
        had: bool,
    },
    Failed(NodeFailure),
}

/// Why a node gets nothing in this run.
#[derive(Debug, Error)]
pub(super) enum NodeFailure {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("its authority cannot sign: {0}")]
    Authority(#[from] Arc<AuthorityFailure>),
    #[error(transparent)]
    Provisioning(#[from] ProvisioningError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the run ended before it")]
    Unfinished,
}

impl Node<'_> {
    /// Takes what came of making what is due.
    pub(super) fn take(&mut self, made: Result<(Credential, Renewal), NodeFailure>) {
        let due = std::mem::replace(&mut self.work, Work::Failed(NodeFailure::Unfinished));
        self.work = match (made, due) {
            (Ok((credential, renewal)), Work::Due { reason, had, .. }) => {
                Work::Made { credential: Box::new(credential), renewal, reason, had }
            }
            (Err(failure), _) => Work::Failed(failure),
            (Ok(_), other) => other,
        };
    }

    pub(super) fn key(&self) -> Option<Contents> {
        match &self.work {
            Work::Kept { files, .. } => files.key.clone(),
            Work::Made { credential, .. } => {
                Some(credential.key().to_pem().as_bytes().to_vec().into())
            }
            Work::Due { .. } | Work::Failed(_) => None,
        }
    }

    pub(super) fn certificate(&self) -> Option<Contents> {
        match &self.work {
            Work::Kept { files, .. } => files.certificate.clone(),
            Work::Made { credential, .. } => Some(credential.leaf().to_pem().into()),
            Work::Due { .. } | Work::Failed(_) => None,
        }
    }

    pub(super) fn chain(&self) -> Option<Contents> {
        match &self.work {
            Work::Kept { files, .. } => files.chain.clone(),
            Work::Made { credential, .. } => Some(credential.chain().to_pem().into()),
            Work::Due { .. } | Work::Failed(_) => None,
        }
    }

    /// Whether its leaf goes from one authority to another in this run.
    pub(super) fn moves(&self) -> bool {
        matches!(
            &self.work,
            Work::Made { reason: Reason::Authority { .. } | Reason::AuthorityReplaced, .. }
                | Work::Due { reason: Reason::Authority { .. } | Reason::AuthorityReplaced, .. }
        )
    }

    /// When what is kept is to be renewed, or ends with its authority.
    pub(super) fn kept_until(&self) -> Option<OffsetDateTime> {
        match &self.work {
            Work::Kept { renewal: Renewal::Due(at), .. } => Some(*at),
            Work::Kept { renewal: Renewal::WithAuthority { ends }, .. } => Some(*ends),
            _ => None,
        }
    }

    pub(super) fn line(&self) -> NodeLine {
        let action = |had: &bool| if *had { Action::Renewed } else { Action::Created };
        let (action, reason, certificate) = match &self.work {
            Work::Kept { leaf, renewal, .. } => {
                (Action::Kept, None, Some(CertificateLine::of(leaf, *renewal)))
            }
            Work::Due { reason, had, .. } => (action(had), Some(reason.to_string()), None),
            Work::Made { credential, renewal, reason, had } => {
                let certificate = CertificateLine::of(credential.leaf(), *renewal);
                (action(had), Some(reason.to_string()), Some(certificate))
            }
            Work::Failed(failure) => (Action::Failed, Some(failure.to_string()), None),
        };
        NodeLine {
            name: self.identity.name.to_string(),
            authority: self.identity.authority.to_string(),
            action,
            reason,
            certificate,
        }
    }
}
