//! AWS Private CA: what is asked of it, and what it says.
//!
//! Knows nothing of nodes, directories or meshes; who asks says what is to be signed, and keeps
//! what must survive. All that it costs money to do goes through here.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use thiserror::Error;

use crate::desired::acm_pca::{CaArn, PrivateCa};
use crate::time::{OffsetDateTime, Validity};
use crate::x509::key::KeyAlgorithm;

#[cfg(any(test, not(feature = "acm-pca")))]
mod absent;
mod authority;
mod brake;
mod collect;
mod contact;
mod doubt;
mod error;
mod health;
mod order;
mod pool;
mod quota;
#[cfg(feature = "acm-pca")]
pub mod sdk;
mod signing;
mod submission;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod urgency;

pub use authority::{KnownCa, RemoteAuthority};
pub use contact::CaHealth;
pub use error::{DescriptionError, KeepError, Ledger, SigningError, Wasted, WrongCertificate};
pub use health::Down;
pub use order::{CaOrder, LeafOrder, Order, SHORT_LIVED};
pub use pool::{Pool, Signed};
pub use submission::{MadeAt, Submission, SubmissionError};
pub use urgency::Urgency;

/// What comes of a call.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, ServiceError>> + Send + 'a>>;

/// The calls of AWS Private CA that are in use, in types of ours: one CA's service. Each is one
/// call, or the few that the SDK makes of it where a try fails for a moment; none waits longer than
/// its implementation says.
pub trait Service: Send + Sync + fmt::Debug {
    /// DescribeCertificateAuthority.
    fn describe<'a>(&'a self, ca: &'a CaArn) -> Answer<'a, Description>;
    /// GetCertificateAuthorityCertificate: the CA's own certificate and those above it, in PEM.
    fn ca_certificate<'a>(&'a self, ca: &'a CaArn) -> Answer<'a, IssuedPem>;
    /// IssueCertificate: the ARN of the certificate that is being made. Safe to repeat for five
    /// minutes with the same request.
    fn issue<'a>(&'a self, ca: &'a CaArn, request: &'a IssueRequest) -> Answer<'a, String>;
    /// GetCertificate; none while it is being made.
    fn certificate<'a>(&'a self, ca: &'a CaArn, arn: &'a str) -> Answer<'a, Option<IssuedPem>>;
    /// RevokeCertificate. `serial` in hexadecimal digits, as `openssl x509 -text` prints it.
    fn revoke<'a>(
        &'a self,
        ca: &'a CaArn,
        serial: &'a str,
        why: RevocationReason,
    ) -> Answer<'a, ()>;
}

/// Who knows the way to a CA's service. Called once for each CA; connecting is the service's own.
pub trait Connect: Send + Sync + fmt::Debug {
    /// The service that answers for `ca`.
    fn service(&self, ca: &PrivateCa) -> Arc<dyn Service>;
}

/// The way to every CA of the process: through AWS's SDK, in a build that has it. Nothing is read or
/// asked before the first call.
pub fn connect() -> Arc<dyn Connect> {
    #[cfg(feature = "acm-pca")]
    return Arc::new(sdk::Sdk::new());
    #[cfg(not(feature = "acm-pca"))]
    return Arc::new(absent::Absent);
}

/// What AWS says of a CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Whether it signs.
    pub status: CaStatus,
    /// The algorithm of its key; none for one that we cannot judge, such as ML-DSA.
    pub key_algorithm: Option<KeyAlgorithm>,
    /// The same as AWS names it.
    pub key_algorithm_name: String,
    /// Whether it signs for at most seven days.
    pub is_short_lived: bool,
    /// Whether it is a root.
    pub is_root: bool,
    /// The last second of its certificate, where it has one.
    pub not_after: Option<OffsetDateTime>,
}

/// How a CA stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaStatus {
    /// It signs.
    Active,
    /// It does not, for the reason that AWS names: `DISABLED`, `EXPIRED`, `PENDING_CERTIFICATE`…
    Other(String),
}

/// A certificate as AWS hands it out, not looked at yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedPem {
    /// PEM: the certificate.
    pub certificate: String,
    /// PEM: those above it, its issuer first; nothing where there is none.
    pub chain: String,
}

/// All of an IssueCertificate request. Its very bytes count: AWS takes the same request for the
/// same certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueRequest {
    /// The certificate signing request, in DER.
    pub request: Vec<u8>,
    /// The CA's key, which decides how it signs.
    pub signing_key: KeyAlgorithm,
    /// The template's name, such as `EndEntityCertificate/V1`.
    pub template: String,
    /// When the certificate is to be valid, to the second.
    pub validity: Validity,
    /// Names and usages, where the template takes them from here.
    pub passthrough: Option<Passthrough>,
    /// At most 36 characters.
    pub idempotency_token: String,
}

/// What an `APIPassthrough` template puts into a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passthrough {
    /// The subject's common name; an empty subject without one.
    pub common_name: Option<String>,
    /// The URI SANs.
    pub uris: Vec<String>,
    /// The DNS SANs.
    pub dns_names: Vec<String>,
    /// The usages of a leaf, where the template leaves them to us.
    pub usages: Option<Usages>,
}

/// The usages of a leaf: digitalSignature, serverAuth and clientAuth always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usages {
    /// Whether the key may also encipher keys: RSA keys in TLS 1.2.
    pub key_encipherment: bool,
}

/// Why a certificate is revoked (RFC 5280 section 5.3.1), as far as AWS has a word for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RevocationReason {
    /// None is given.
    #[default]
    Unspecified,
    /// Somebody else has its key.
    KeyCompromise,
    /// Another has taken its place.
    Superseded,
    /// Nobody uses it any more.
    CessationOfOperation,
    /// Its holder may no longer do what it says.
    PrivilegeWithdrawn,
    /// Who it was for is called otherwise now.
    AffiliationChanged,
}

/// Why a call brought nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ServiceError {
    /// Too many requests in this second; the same one will do in the next.
    #[error("AWS throttles the requests: {message}")]
    Throttled {
        /// What it said.
        message: String,
    },
    /// A limit that does not pass by itself: certificates of a CA, CAs of an account.
    #[error("a limit of the account or the CA is reached, and waiting will not help: {message}")]
    LimitExceeded {
        /// What it said.
        message: String,
    },
    /// The CA is not in a state to do so.
    #[error("the CA is in no state to do this: {message}; `certctl ca list` shows it")]
    InvalidState {
        /// What it said.
        message: String,
    },
    /// We may not.
    #[error(
        "AWS refuses the caller: {message}; see that the role has deploy/iam/acm-pca.json for this \
         CA"
    )]
    Denied {
        /// What it said.
        message: String,
    },
    /// There are no credentials.
    #[error(
        "there are no AWS credentials: {message}; give the process a role (Pod Identity, IRSA, \
         ECS task role, instance profile) or set AWS_PROFILE"
    )]
    NoCredentials {
        /// What was tried.
        message: String,
    },
    /// There is no such CA or certificate.
    #[error("AWS knows nothing of it: {message}")]
    NotFound {
        /// What it said.
        message: String,
    },
    /// The request is wrong, and will be the next time too.
    #[error("AWS refuses the request: {message}")]
    Refused {
        /// What it said.
        message: String,
    },
    /// AWS gave up on a certificate that it had begun.
    #[error("AWS could not make the certificate: {message}")]
    Failed {
        /// What it said.
        message: String,
    },
    /// Not reached, no answer in time, or one that makes no sense; the request may have arrived.
    #[error("the service was not reached: {message}")]
    Unreachable {
        /// What happened.
        message: String,
    },
}
