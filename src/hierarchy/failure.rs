//! Why an authority cannot sign, in words that say what to do.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::authority::AuthorityError;
use crate::files::FilesError;
use crate::identity::AuthorityName;
use crate::store::StoreError;
use crate::time::{OffsetDateTime, rfc3339};
use crate::x509::certificate::CertificateError;
use crate::x509::key::KeyError;

/// Why an authority cannot sign in this run.
#[derive(Debug, Error)]
pub enum AuthorityFailure {
    /// Its files cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A certificate file holds no certificate.
    #[error("{file}: {cause}")]
    Certificate {
        /// The file.
        file: String,
        /// What is wrong with it.
        #[source]
        cause: CertificateError,
    },
    /// A key file holds no usable key.
    #[error("{file}: {cause}")]
    Key {
        /// The file.
        file: String,
        /// What is wrong with it.
        #[source]
        cause: KeyError,
    },
    /// A certificate whose key is gone.
    #[error(
        "{certificate} is here, but {key} is not; put the key back, or, to begin a new CA, move \
         {certificate} away"
    )]
    KeyMissing {
        /// The certificate's file.
        certificate: String,
        /// The key's file.
        key: String,
    },
    /// Its certificate was looked at first.
    #[error("its key is yet to be read")]
    KeyUnread,
    /// The output directory has the CA, and the state directory has nothing of it.
    #[error(
        "{} is here, but {} holds no key for it; name the state directory that does, move \
         the CA's files there, or, to begin a new CA, move {} away",
        found.display(), state.display(), found.display()
    )]
    Elsewhere {
        /// What lies in the output directory.
        found: PathBuf,
        /// The state directory.
        state: PathBuf,
    },
    /// Key and certificate make no CA.
    #[error("{file}: {cause}")]
    Unusable {
        /// The file of its certificate.
        file: String,
        /// Why.
        #[source]
        cause: AuthorityError,
    },
    /// It begins in the future: most likely the clock has been set back since it was made. What it
    /// signed now would be worse than what there is.
    #[error("{file} is not valid before {}; set this machine's clock right", rfc3339(*.not_before))]
    NotYetValid {
        /// The file of its certificate.
        file: String,
        /// Its first second.
        not_before: OffsetDateTime,
    },
    /// The authority above cannot sign.
    #[error("its parent {parent} cannot sign: {cause}")]
    Parent {
        /// The parent.
        parent: AuthorityName,
        /// Why not.
        #[source]
        cause: Arc<AuthorityFailure>,
    },
    /// It is yet to be made, or its certificate to be signed anew.
    #[error("it is yet to be made, or signed anew")]
    NotMade,
    /// AWS has not been asked about its CAs.
    #[error("AWS has not said yet what its CAs are")]
    NotDescribed,
    /// It never signs.
    #[error("it is trusted only, and signs nothing")]
    TrustOnly,
}

impl AuthorityFailure {
    /// Whether nothing is wrong: it is yet to be made, or to be asked for.
    pub fn is_not_yet(&self) -> bool {
        matches!(self, Self::NotDescribed | Self::NotMade)
    }
}

impl From<FilesError> for AuthorityFailure {
    fn from(error: FilesError) -> Self {
        Self::Store(error.into())
    }
}
