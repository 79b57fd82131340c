//! Why AWS Private CA has signed nothing that may be used.

use std::time::Duration;

use futures_util::future::BoxFuture;
use thiserror::Error;

use super::health::is_of_the_ca;
use super::submission::MadeAt;
use super::{ServiceError, Submission};
use crate::authority::AuthorityError;
use crate::desired::acm_pca::CaArn;
use crate::identity::AuthorityName;
use crate::time::{Lifetime, OffsetDateTime, Validity, rfc3339, roughly};
use crate::x509::certificate::CertificateError;
use crate::x509::credential::CredentialError;
use crate::x509::key::KeyAlgorithm;
use crate::x509::profile::ProfileError;
use crate::x509::signing_request::SigningRequestError;

/// The call that fetches what AWS has taken on.
pub(super) const GET_CERTIFICATE: &str = "GetCertificate";

/// Why there is no certificate, or nothing is known of a CA.
#[derive(Debug, Error)]
pub enum SigningError {
    /// The service did not do it.
    #[error("{ca}: {call}: {cause}")]
    Service {
        /// The CA.
        ca: CaArn,
        /// The call, as AWS names it.
        call: &'static str,
        /// What came of it.
        #[source]
        cause: ServiceError,
    },
    /// The CA went down while the request waited for its turn.
    #[error("{ca} is passed over: {why}")]
    Down {
        /// The CA.
        ca: CaArn,
        /// What it did not do.
        why: String,
    },
    /// None of several CAs has signed.
    #[error("no CA of {authority} has signed: {}", each(.failures))]
    NoneSigned {
        /// The authority.
        authority: AuthorityName,
        /// How each failed, in the order in which they were asked.
        failures: Vec<SigningError>,
    },
    /// Our own limit.
    #[error(
        "{ca}: {limit} certificates were asked for within an hour, which is \
         maxCertificatesPerHour; the next one is not before {}. If that many are right, raise the \
         limit; if not, see what asks for them",
        rfc3339(*.lifts_at)
    )]
    Braked {
        /// The CA.
        ca: CaArn,
        /// The limit.
        limit: u32,
        /// When the next may be asked for.
        lifts_at: OffsetDateTime,
    },
    /// What the CA signed lately was wrong, and was paid for all the same.
    #[error(
        "{ca}: the last {count} certificates that it signed were refused, so nothing more is asked \
         for before {}; see in the log or in issue's answer how they were wrong, and what of its \
         template, or of the mesh, is to be changed",
        rfc3339(*.lifts_at)
    )]
    Doubted {
        /// The CA.
        ca: CaArn,
        /// How many in a row.
        count: u32,
        /// When the next may be asked for.
        lifts_at: OffsetDateTime,
    },
    /// AWS is not done with it.
    #[error(
        "{certificate} is still being made after {}; it is paid for and will be asked for again",
        roughly(*.after)
    )]
    InProgress {
        /// The certificate's ARN.
        certificate: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// What came back is not what was asked for.
    #[error("the certificate {certificate} is refused and thrown away: {cause}")]
    Wrong {
        /// The certificate's ARN.
        certificate: String,
        /// How it is wrong.
        #[source]
        cause: Box<WrongCertificate>,
    },
    /// A CA of the short-lived mode is asked for more than it does.
    #[error(
        "{ca} is in the short-lived mode, which signs for at most 7d, and {wanted} is wanted; \
         shorten the lifetime, or take a CA of the general-purpose mode"
    )]
    ShortLived {
        /// The CA.
        ca: CaArn,
        /// The lifetime in the mesh file.
        wanted: Lifetime,
    },
    /// No template signs a CA with so many below it.
    #[error("AWS Private CA signs CAs with at most 3 below them, and {below} are wanted")]
    TooDeep {
        /// How many.
        below: u8,
    },
    /// The CA, or one above it, allows no such CA below it.
    #[error(
        "{ca}: {subject:?} allows {allowed} CAs below it, and {wanted} are wanted; take another \
         parent, or let the nodes be signed by this CA itself"
    )]
    NoRoom {
        /// The CA.
        ca: CaArn,
        /// The subject of the one that does not allow it.
        subject: String,
        /// How many it allows.
        allowed: u32,
        /// How many would stand below it.
        wanted: u32,
    },
    /// The CA has ended or not begun.
    #[error("{ca}: {cause}")]
    Profile {
        /// The CA.
        ca: CaArn,
        /// Why it cannot sign now.
        #[source]
        cause: Box<ProfileError>,
    },
    /// There is no request to send.
    #[error(transparent)]
    Request(#[from] SigningRequestError),
    /// What must survive could not be kept, so nothing was sent.
    #[error("nothing was asked for, since it could not be kept what was: {0}")]
    Keep(#[source] KeepError),
    /// What AWS says of a CA makes none.
    #[error("what AWS says of {ca} makes no CA: {cause}")]
    Description {
        /// The CA.
        ca: CaArn,
        /// What is wrong.
        #[source]
        cause: Box<DescriptionError>,
    },
}

impl SigningError {
    /// Whether the authority signs nothing now, for whomever: all who need it may as well wait
    /// together.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Braked { .. }
            | Self::Doubted { .. }
            | Self::Down { .. }
            | Self::Profile { .. } => true,
            Self::NoneSigned { failures, .. } => failures.iter().all(Self::is_outage),
            Self::Service { cause, .. } => is_of_the_ca(cause) && !self.came_to_nothing(),
            _ => false,
        }
    }

    /// Whether it cost money all the same, as each further try will.
    pub fn is_paid_for(&self) -> bool {
        match self {
            Self::Wrong { .. } => true,
            Self::Service { .. } => self.came_to_nothing(),
            Self::NoneSigned { failures, .. } => failures.iter().any(Self::is_paid_for),
            _ => false,
        }
    }

    /// Whether AWS took the request, and there will be no certificate, however long it is waited for.
    pub(super) fn came_to_nothing(&self) -> bool {
        let Self::Service { call, cause, .. } = self else { return false };
        *call == GET_CERTIFICATE
            && matches!(cause, ServiceError::Failed { .. } | ServiceError::NotFound { .. })
    }

    /// Whether another CA might do what this one did not.
    pub(super) fn is_of_the_ca(&self) -> bool {
        match self {
            Self::Service { cause, .. } => is_of_the_ca(cause),
            Self::Doubted { .. }
            | Self::Down { .. }
            | Self::InProgress { .. }
            | Self::NoRoom { .. }
            | Self::Profile { .. } => true,
            _ => false,
        }
    }
}

/// Why what AWS says of a CA cannot be used.
#[derive(Debug, Error)]
pub enum DescriptionError {
    /// Its certificates do not parse.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// They are not those of a CA.
    #[error(transparent)]
    Chain(#[from] AuthorityError),
    /// Its key is one that peers cannot judge.
    #[error("its key is {name}, which Envoy does not verify; take a CA with an RSA or EC key")]
    KeyAlgorithm {
        /// The algorithm as AWS names it.
        name: String,
    },
    /// It is said to have another key than is in its certificate.
    #[error("its key is {said} by its description and {found} by its certificate")]
    KeyDiffers {
        /// By its description.
        said: KeyAlgorithm,
        /// By its certificate.
        found: KeyAlgorithm,
    },
}

/// How a certificate is not the one that was asked for.
#[derive(Debug, Error)]
pub enum WrongCertificate {
    /// It is none.
    #[error(transparent)]
    Unreadable(#[from] CertificateError),
    /// There is not just one.
    #[error("there are {count} certificates where one belongs")]
    Several {
        /// How many.
        count: usize,
    },
    /// Other times.
    #[error(
        "it is valid from {} to {}, and {} to {} was asked for; a template or an authority that \
         takes no validity cannot be used",
        rfc3339(.found.not_before), rfc3339(.found.not_after),
        rfc3339(.asked.not_before), rfc3339(.asked.not_after)
    )]
    Times {
        /// Its own.
        found: Validity,
        /// Those that were asked for.
        asked: Validity,
    },
    /// Other names, usages or another key, or it is not trusted.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// It is no CA that leads to the root.
    #[error(transparent)]
    Ca(#[from] AuthorityError),
    /// A CA of another key.
    #[error("it is for another key")]
    Key,
    /// A CA of another name.
    #[error("it is for {found:?} and not {asked:?}")]
    Subject {
        /// Its own.
        found: String,
        /// The one that was asked for.
        asked: String,
    },
    /// A CA with more below it, or fewer.
    #[error("it allows {} CAs below it and not {asked}", limit(*.found))]
    PathLength {
        /// Its own.
        found: Option<u32>,
        /// What was asked for.
        asked: u8,
    },
}

/// Why something was not kept.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct KeepError(pub Box<dyn std::error::Error + Send + Sync>);

/// A certificate that AWS was asked for and that nobody will use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wasted {
    /// Its ARN.
    pub certificate: String,
    /// When AWS took the request.
    pub at: OffsetDateTime,
    /// Its serial as OpenSSL prints it, where it could be read.
    pub serial: Option<String>,
    /// The last second that was asked for.
    pub not_after: OffsetDateTime,
}

impl Wasted {
    /// What comes to nothing of `submission`, once AWS has said which certificate it makes.
    pub fn of(submission: &Submission, serial: Option<String>) -> Option<Self> {
        let MadeAt { certificate, at } = submission.made.clone()?;
        Some(Self { certificate, at, serial, not_after: submission.request.validity.not_after })
    }
}

/// Keeps what was asked of AWS, so that a crash pays for nothing twice.
pub trait Ledger: Send + Sync {
    /// Keeps `submission` in place of any other; it is durable when this is done.
    fn keep<'a>(&'a self, submission: &'a Submission) -> BoxFuture<'a, Result<(), KeepError>>;
    /// Writes down a certificate that is paid for and that nobody will use: whoever counts what is
    /// paid for counts it too.
    fn wasted<'a>(&'a self, wasted: &'a Wasted) -> BoxFuture<'a, ()>;
    /// Nothing will come of what was kept.
    fn forget(&self) -> BoxFuture<'_, Result<(), KeepError>>;
}

fn each(failures: &[SigningError]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn limit(path_length: Option<u32>) -> String {
    path_length.map_or_else(|| "any number of".to_owned(), |limit| limit.to_string())
}
