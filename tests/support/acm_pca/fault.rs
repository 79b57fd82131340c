//! What the fake can be told to do wrong, for how long, and to whom.

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;

/// One way of misbehaving. In JSON: `"hang"`, `{"lie": "anotherKey"}`, `{"error": {"status": 400,
/// "code": "ThrottlingException", "message": "slow down"}}`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// Answers this error, and does nothing.
    Error { status: u16, code: String, message: String },
    /// Does nothing, and never answers.
    Hang,
    /// Does what was asked, and never answers: the caller times out.
    HangAfterwards,
    /// Closes the connection without having done anything.
    Drop,
    /// Does what was asked, and closes the connection without an answer.
    LoseReply,
    /// Does what was asked, and answers 200 with what is no JSON.
    NotJson,
    /// Does what was asked, and answers this many milliseconds later.
    Delay(u64),
    /// Answers well, and wrongly.
    Lie(Lie),
}

/// A wrong answer that looks right. The first ones are IssueCertificate's: they are in the
/// certificate. The others are about how a certificate is shown.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Lie {
    /// The certificate is for a key that nobody asked for.
    AnotherKey,
    /// One name more than was asked for: `added.example`.
    AddedName,
    /// The last of the names is missing.
    DroppedName,
    /// Signed by a key that is not the authority's, under the authority's name.
    AnotherIssuer,
    /// It ended an hour ago.
    Expired,
    /// It starts in an hour.
    NotYet,
    /// It ends a year later than was asked for.
    Longer,
    /// It ends after half the time that was asked for.
    Shorter,
    /// For clients alone, not for servers.
    DroppedUsage,
    /// CA:TRUE.
    Authority,
    /// PEM of no certificate.
    Garbage,
    /// The chain has the root first.
    ReversedChain,
    /// The chain has a certificate more, of an authority that nobody knows.
    ExtraCertificate,
    /// There is no chain.
    MissingChain,
    /// It shows the certificate that was issued before this one; of an authority, one with its
    /// name and another key.
    AnotherCertificate,
}

impl Lie {
    fn is_told_by(self, operation: &str) -> bool {
        use Lie::*;
        match self {
            AnotherKey | AddedName | DroppedName | DroppedUsage | AnotherIssuer | Expired
            | NotYet | Longer | Shorter | Authority => operation == "IssueCertificate",
            Garbage | ReversedChain | ExtraCertificate | MissingChain | AnotherCertificate => {
                ["GetCertificate", "GetCertificateAuthorityCertificate"].contains(&operation)
            }
        }
    }
}

/// How often.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Times {
    /// The next calls, and no more.
    Next(usize),
    /// Every call until [`behave`](super::Fake::behave).
    Forever,
}

/// A fault, and whom it strikes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trouble {
    /// An operation of the service, such as `IssueCertificate`.
    pub operation: String,
    /// The ARN of the only authority that it is about; every one's without.
    #[serde(default)]
    pub authority: Option<String>,
    pub times: Times,
    pub fault: Fault,
}

impl Trouble {
    /// Whether it makes sense.
    pub fn check(&self) -> Result<(), String> {
        let known = super::operations::NAMES.contains(&self.operation.as_str());
        let told = match &self.fault {
            Fault::Lie(lie) => lie.is_told_by(&self.operation),
            _ => true,
        };
        if known && told {
            return Ok(());
        }
        Err(format!("{} cannot do {:?}: see Lie", self.operation, self.fault))
    }
}

impl Fault {
    /// RequestInProgressException: not ready yet.
    pub fn pending() -> Self {
        Self::error(400, "RequestInProgressException", "Your request is already in progress.")
    }

    /// ThrottlingException, as AWS answers it above a rate: 400.
    pub fn throttled() -> Self {
        Self::error(400, "ThrottlingException", "Rate exceeded")
    }

    /// The other form of the same: 429.
    pub fn too_many_requests() -> Self {
        Self::error(429, "TooManyRequestsException", "Rate exceeded")
    }

    /// LimitExceededException: a quota that may be for good.
    pub fn limit_exceeded() -> Self {
        Self::error(400, "LimitExceededException", "The certificate quota has been exceeded.")
    }

    /// InvalidStateException, as from a disabled authority.
    pub fn invalid_state() -> Self {
        Self::error(400, "InvalidStateException", super::issue::NOT_ACTIVE)
    }

    /// AccessDeniedException: IAM says no.
    pub fn access_denied() -> Self {
        let message = "User: arn:aws:iam::123456789012:user/test is not authorized to perform this";
        Self::error(400, "AccessDeniedException", message)
    }

    /// RequestFailedException: the certificate will never be.
    pub fn request_failed() -> Self {
        Self::error(400, "RequestFailedException", "The request has failed.")
    }

    /// A failure of the service's own: 500.
    pub fn internal() -> Self {
        Self::error(500, "InternalFailure", "An internal error occurred.")
    }

    /// 503.
    pub fn unavailable() -> Self {
        Self::error(503, "ServiceUnavailable", "The service is not available.")
    }

    /// Any error.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::Error { status, code: code.to_owned(), message: message.to_owned() }
    }

    /// The error that it answers, if that is what it does.
    pub fn refusal(&self) -> Option<Refusal> {
        let Self::Error { status, code, message } = self else { return None };
        Some(Refusal::new(code, message.clone()).with_status(*status))
    }
}

/// The faults that are left, oldest first.
#[derive(Debug, Default)]
pub struct Faults(Vec<Trouble>);

impl Faults {
    pub fn add(&mut self, trouble: Trouble) {
        self.0.push(trouble);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault of a call, and uses it up.
    pub fn strike(&mut self, operation: &str, authority: Option<&str>) -> Option<Fault> {
        self.0.retain(|trouble| trouble.times != Times::Next(0));
        let trouble = self.0.iter_mut().find(|trouble| {
            let theirs = trouble.authority.as_deref();
            trouble.operation == operation && (theirs.is_none() || theirs == authority)
        })?;
        if let Times::Next(left) = &mut trouble.times {
            *left -= 1;
        }
        Some(trouble.fault.clone())
    }
}
