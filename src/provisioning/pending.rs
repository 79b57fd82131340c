//! A key and what was asked for it, while it has no certificate: what survives a crash, so that
//! nothing is paid for twice.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::acm_pca::{KeepError, Submission, SubmissionError};
use crate::identity::{IdentityError, NodeName};
use crate::time::in_words;
use crate::x509::key::{KeyAlgorithm, KeyError, PrivateKey};
use crate::x509::profile::LeafProfile;

const VERSION: u64 = 1;

/// Where pendings are kept, one for each node. They hold private keys: nobody else may read them.
pub trait Pendings: Send + Sync + std::fmt::Debug {
    /// What is kept for a node; nothing where nothing is.
    ///
    /// # Errors
    /// When it cannot be read.
    fn load(&self, node: &NodeName) -> Result<Option<Zeroizing<Vec<u8>>>, KeepError>;

    /// Keeps this in place of what is there; durable when it returns.
    ///
    /// # Errors
    /// When it cannot.
    fn keep(&self, node: &NodeName, bytes: &[u8]) -> Result<(), KeepError>;

    /// Leaves nothing of it; no error where there is nothing.
    ///
    /// # Errors
    /// When something stays.
    fn forget(&self, node: &NodeName) -> Result<(), KeepError>;
}

/// Why what is kept is no pending.
#[derive(Debug, Error)]
pub enum PendingError {
    /// It is no JSON of this shape. Says nothing of what stands there: it may be a key.
    #[error("it is no JSON of the shape that is written here (line {line}, column {column})")]
    Json {
        /// Where it goes wrong.
        line: usize,
        /// Where in that line.
        column: usize,
    },
    /// It was written by a later version of this program.
    #[error("it is of version {found}, and this program knows version {VERSION}")]
    Version {
        /// Its version.
        found: u64,
    },
    /// Its key is damaged.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What was asked for is damaged.
    #[error(transparent)]
    Submission(#[from] SubmissionError),
    /// It names nobody.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// A key and what was asked for it.
#[derive(Debug)]
pub struct Pending {
    /// The key.
    pub key: PrivateKey,
    /// What was asked.
    pub submission: Submission,
    wanted: Wanted,
}

/// What it is for, as far as that must not change meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    spiffe_id: String,
    dns_names: Vec<String>,
    lifetime: String,
    clock_skew: String,
    key_algorithm: String,
}

#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    version: u64,
    wanted: Wanted,
    key: Zeroizing<String>,
    submission: serde_json::Value,
}

impl Wanted {
    fn of(profile: &LeafProfile, algorithm: KeyAlgorithm) -> Self {
        Self {
            spiffe_id: profile.spiffe_id.to_string(),
            dns_names: profile.dns_names.iter().map(ToString::to_string).collect(),
            lifetime: profile.lifetime.to_string(),
            clock_skew: in_words(profile.clock_skew),
            key_algorithm: algorithm.to_string(),
        }
    }
}

impl Pending {
    /// Whether this is what is wanted now.
    pub fn is_for(&self, profile: &LeafProfile, algorithm: KeyAlgorithm) -> bool {
        self.wanted == Wanted::of(profile, algorithm)
    }

    /// From JSON.
    ///
    /// # Errors
    /// When it is damaged, or of another version.
    pub fn from_json(bytes: &[u8]) -> Result<Self, PendingError> {
        let Versioned { version } = parsed(bytes)?;
        if version != VERSION {
            return Err(PendingError::Version { found: version });
        }
        let stored: Stored = parsed(bytes)?;
        let key = PrivateKey::from_pem(stored.key.as_bytes(), None)?;
        let submission = Submission::from_json(stored.submission)?;
        Ok(Self { key, submission, wanted: stored.wanted })
    }
}

/// As JSON, with the key in it.
pub(super) fn to_json(
    (key, submission): (&PrivateKey, &Submission),
    profile: &LeafProfile,
) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    let stored = Stored {
        version: VERSION,
        wanted: Wanted::of(profile, key.algorithm()),
        key: key.to_pem(),
        submission: submission.to_json(),
    };
    // As long as it will be: what grows leaves copies of the key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024));
    serde_json::to_writer(&mut *bytes, &stored)?;
    Ok(bytes)
}

fn parsed<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, PendingError> {
    serde_json::from_slice(bytes)
        .map_err(|error| PendingError::Json { line: error.line(), column: error.column() })
}
