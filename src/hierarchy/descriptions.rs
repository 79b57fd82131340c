//! What AWS has said of its CAs, as it is kept between runs: JSON, verified anew when it is read.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::acm_pca::KnownCa;
use crate::authority::{AuthorityError, CaChain};
use crate::desired::acm_pca::{ArnError, CaArn, PrivateCa};
use crate::time::{OffsetDateTime, TimeError, parse_moment, rfc3339};
use crate::x509::certificate::{Certificate, CertificateError};
use crate::x509::key::{KeyAlgorithm, KeyError, PublicKey};

/// The form of what is written. Another one is not read: AWS can be asked again.
const VERSION: u32 = 1;

/// One CA, and when AWS said so.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub(super) arn: CaArn,
    pub(super) endpoint: Option<String>,
    pub(super) key_algorithm: KeyAlgorithm,
    pub(super) is_short_lived: bool,
    pub(super) chain: CaChain,
    pub(super) at: OffsetDateTime,
}

/// Why kept descriptions cannot be used.
#[derive(Debug, Error)]
pub enum DescriptionsError {
    /// They are of another shape.
    #[error("it is of another shape: {0}")]
    Shape(#[from] serde_json::Error),
    /// Another release wrote them.
    #[error("it is of version {found}, and this release reads {VERSION}")]
    Version {
        /// Theirs.
        found: u32,
    },
    /// A CA's ARN is none.
    #[error(transparent)]
    Arn(#[from] ArnError),
    /// A moment is none.
    #[error(transparent)]
    Moment(#[from] TimeError),
    /// An algorithm is none, or not the one of the key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Certificates that cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Certificates that are no CA's.
    #[error(transparent)]
    Chain(#[from] AuthorityError),
}

impl Described {
    pub(super) fn new(ca: KnownCa, at: OffsetDateTime) -> Self {
        let KnownCa { ca, key_algorithm, is_short_lived, chain } = ca;
        let PrivateCa { arn, endpoint, .. } = ca;
        Self { arn, endpoint, key_algorithm, is_short_lived, chain, at }
    }

    pub(super) fn is_of(&self, ca: &PrivateCa) -> bool {
        self.arn == ca.arn && self.endpoint == ca.endpoint
    }

    /// The CA as the mesh has it, with what is known of it.
    pub(super) fn known(&self, ca: &PrivateCa) -> KnownCa {
        KnownCa {
            ca: ca.clone(),
            key_algorithm: self.key_algorithm,
            is_short_lived: self.is_short_lived,
            chain: self.chain.clone(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    version: u32,
    #[serde(default)]
    cas: Vec<StoredCa>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredCa {
    arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    key_algorithm: String,
    is_short_lived: bool,
    certificates: String,
    described_at: String,
}

/// Reads what was kept.
pub(super) fn from_json(text: &[u8]) -> Result<Vec<Described>, DescriptionsError> {
    let Stored { version, cas } = serde_json::from_slice(text)?;
    if version != VERSION {
        return Err(DescriptionsError::Version { found: version });
    }
    cas.into_iter().map(restore).collect()
}

fn restore(ca: StoredCa) -> Result<Described, DescriptionsError> {
    let chain = CaChain::new(Certificate::all_from_pem(ca.certificates.as_bytes())?)?;
    let key_algorithm = ca.key_algorithm.parse::<KeyAlgorithm>()?;
    let found = PublicKey::from_spki(chain.own().spki())?.algorithm();
    if found != key_algorithm {
        return Err(KeyError::Unsupported { found: format!("a key of {found}") }.into());
    }
    Ok(Described {
        arn: CaArn::parse(&ca.arn)?,
        endpoint: ca.endpoint,
        key_algorithm,
        is_short_lived: ca.is_short_lived,
        chain,
        at: parse_moment(&ca.described_at)?,
    })
}

/// Writes what is to be kept.
pub(super) fn to_json(described: &[Described]) -> Vec<u8> {
    let stored = |described: &Described| StoredCa {
        arn: described.arn.to_string(),
        endpoint: described.endpoint.clone(),
        key_algorithm: described.key_algorithm.to_string(),
        is_short_lived: described.is_short_lived,
        certificates: described.chain.certificates().iter().map(Certificate::to_pem).collect(),
        described_at: rfc3339(described.at),
    };
    let stored = Stored { version: VERSION, cas: described.iter().map(stored).collect() };
    // Strings and numbers alone: that cannot fail.
    serde_json::to_vec_pretty(&stored).unwrap_or_default()
}
