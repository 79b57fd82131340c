//! What was asked of AWS, as it survives a crash: JSON, without keys.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{IssueRequest, Passthrough, Usages};
use crate::desired::acm_pca::{ArnError, CaArn};
use crate::time::{OffsetDateTime, TimeError, Validity, parse_moment, rfc3339};
use crate::x509::key::{KeyAlgorithm, KeyError};
use crate::x509::pem::{self, PemError};

/// How long AWS takes the same request for the same certificate (IssueCertificate,
/// IdempotencyToken).
pub(super) const IDEMPOTENT: Duration = Duration::from_secs(300);

/// How long we rely on it: a request takes its time, and clocks differ.
const RELIED_UPON: Duration = Duration::from_secs(285);

/// A request for a certificate, which may be paid for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The CA that was asked.
    pub ca: CaArn,
    /// What it was asked, to the byte.
    pub request: IssueRequest,
    /// When that was first sent, or was about to be.
    pub first_sent: OffsetDateTime,
    /// Whether an earlier request, whose reply was lost too long ago, may have been paid for too.
    pub is_repeated: bool,
    /// The certificate, once AWS has said which it is.
    pub made: Option<MadeAt>,
}

/// A certificate that AWS makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeAt {
    /// Its ARN.
    pub certificate: String,
    /// When AWS said so.
    pub at: OffsetDateTime,
}

/// Why a kept submission cannot be read.
#[derive(Debug, Error)]
pub enum SubmissionError {
    /// It is of another shape.
    #[error("it is of another shape: {0}")]
    Shape(#[from] serde_json::Error),
    /// Its CA is none.
    #[error(transparent)]
    Arn(#[from] ArnError),
    /// A moment is none.
    #[error(transparent)]
    Moment(#[from] TimeError),
    /// The algorithm of the CA's key is none.
    #[error(transparent)]
    Algorithm(#[from] KeyError),
    /// The request is broken.
    #[error("its request is damaged: {0}")]
    Request(#[from] PemError),
    /// There is no request, or several.
    #[error("it holds {count} requests where one belongs")]
    Requests {
        /// How many.
        count: usize,
    },
}

impl Submission {
    /// Whether the same request again is the same certificate.
    pub(super) fn is_idempotent(&self, now: OffsetDateTime) -> bool {
        let age = now - self.first_sent;
        // The clock may have been set back; then nobody knows how old it is.
        !age.is_negative() && age < RELIED_UPON
    }

    /// Whether it has been asked for so long that whoever needs it turns elsewhere.
    pub(super) fn is_overdue(&self, now: OffsetDateTime) -> bool {
        now - self.first_sent >= IDEMPOTENT
    }

    /// As JSON.
    pub fn to_json(&self) -> serde_json::Value {
        let IssueRequest {
            request,
            signing_key,
            template,
            validity,
            passthrough,
            idempotency_token,
        } = &self.request;
        let stored = Stored {
            ca: self.ca.to_string(),
            request: pem::encode(pem::REQUEST, request).to_string(),
            signing_key: signing_key.to_string(),
            template: template.clone(),
            not_before: rfc3339(validity.not_before),
            not_after: rfc3339(validity.not_after),
            passthrough: passthrough.as_ref().map(|passthrough| StoredPassthrough {
                common_name: passthrough.common_name.clone(),
                uris: passthrough.uris.clone(),
                dns_names: passthrough.dns_names.clone(),
                key_encipherment: passthrough.usages.map(|usages| usages.key_encipherment),
            }),
            idempotency_token: idempotency_token.clone(),
            first_sent: rfc3339(self.first_sent),
            is_repeated: self.is_repeated,
            certificate: self.made.as_ref().map(|made| made.certificate.clone()),
            answered: self.made.as_ref().map(|made| rfc3339(made.at)),
        };
        serde_json::json!(stored)
    }

    /// From JSON.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn from_json(value: serde_json::Value) -> Result<Self, SubmissionError> {
        let stored: Stored = serde_json::from_value(value)?;
        let blocks = pem::blocks(stored.request.as_bytes())?;
        let [block] = &blocks[..] else {
            return Err(SubmissionError::Requests { count: blocks.len() });
        };
        let first_sent = parse_moment(&stored.first_sent)?;
        let made = stored.certificate.map(|certificate| {
            let at = stored.answered.as_deref().map_or(Ok(first_sent), parse_moment)?;
            Ok::<_, TimeError>(MadeAt { certificate, at })
        });
        Ok(Self {
            ca: CaArn::parse(&stored.ca)?,
            request: IssueRequest {
                request: block.der.to_vec(),
                signing_key: stored.signing_key.parse::<KeyAlgorithm>()?,
                template: stored.template,
                validity: Validity {
                    not_before: parse_moment(&stored.not_before)?,
                    not_after: parse_moment(&stored.not_after)?,
                },
                passthrough: stored.passthrough.map(|passthrough| Passthrough {
                    common_name: passthrough.common_name,
                    uris: passthrough.uris,
                    dns_names: passthrough.dns_names,
                    usages: passthrough
                        .key_encipherment
                        .map(|key_encipherment| Usages { key_encipherment }),
                }),
                idempotency_token: stored.idempotency_token,
            },
            first_sent,
            is_repeated: stored.is_repeated,
            made: made.transpose()?,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    ca: String,
    request: String,
    signing_key: String,
    template: String,
    not_before: String,
    not_after: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    passthrough: Option<StoredPassthrough>,
    idempotency_token: String,
    first_sent: String,
    is_repeated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredPassthrough {
    #[serde(skip_serializing_if = "Option::is_none")]
    common_name: Option<String>,
    uris: Vec<String>,
    dns_names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_encipherment: Option<bool>,
}
