//! What went wrong, by its code and never by its text.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_acmpca::config::http::HttpResponse;
use aws_sdk_acmpca::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_acmpca::operation::get_certificate::GetCertificateError;

use super::super::ServiceError;
use crate::x509::printable::printable;

/// The longest message, in characters; what AWS says is a sentence or two.
const LONGEST: usize = 600;

/// What an error of GetCertificate means.
pub(super) fn certificate_error(
    error: SdkError<GetCertificateError, HttpResponse>,
) -> ServiceError {
    let has_failed = code(&error) == Some("RequestFailedException");
    match service_error(error) {
        ServiceError::Refused { message } if has_failed => ServiceError::Failed { message },
        other => other,
    }
}

/// Whether AWS is still at it.
pub(super) fn is_in_progress(error: &SdkError<impl ProvideErrorMetadata, HttpResponse>) -> bool {
    code(error) == Some("RequestInProgressException")
}

/// Whether AWS has done it already.
pub(super) fn is_done(error: &SdkError<impl ProvideErrorMetadata, HttpResponse>) -> bool {
    code(error) == Some("RequestAlreadyProcessedException")
}

fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// What an error of the SDK means.
pub(super) fn service_error<E>(error: SdkError<E, HttpResponse>) -> ServiceError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match &error {
        SdkError::ServiceError(context) => {
            let (error, status) = (context.err(), context.raw().status().as_u16());
            told(error.code(), error.message(), status)
        }
        // Nothing was sent: a setting such as the endpoint is wrong.
        SdkError::ConstructionFailure(_) => ServiceError::Refused { message: all_of(&error) },
        SdkError::TimeoutError(_) => {
            ServiceError::Unreachable { message: "no answer in time".to_owned() }
        }
        _ if is_about_credentials(&error) => {
            ServiceError::NoCredentials { message: all_of(&error) }
        }
        _ => ServiceError::Unreachable { message: all_of(&error) },
    }
}

/// What a code of AWS's means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Denied,
    InvalidState,
    LimitExceeded,
    NotFound,
    Refused,
    Throttled,
    Unreachable,
}

/// What a code means; where it is new to us, the status of the HTTP answer tells.
pub(super) fn kind(code: &str, status: u16) -> Kind {
    match code {
        "LimitExceededException" => Kind::LimitExceeded,
        "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "ThrottledException"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException" => Kind::Throttled,
        "ConcurrentModificationException" | "InvalidStateException" => Kind::InvalidState,
        "AccessDenied"
        | "AccessDeniedException"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "OptInRequired"
        | "RequestExpired"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => Kind::Denied,
        "ResourceNotFoundException" => Kind::NotFound,
        _ => match status {
            429 => Kind::Throttled,
            401 | 403 => Kind::Denied,
            500.. => Kind::Unreachable,
            _ => Kind::Refused,
        },
    }
}

/// What AWS's own answer means.
fn told(code: Option<&str>, message: Option<&str>, status: u16) -> ServiceError {
    let message = in_a_line(code, message, status);
    match kind(code.unwrap_or_default(), status) {
        Kind::Denied => ServiceError::Denied { message },
        Kind::InvalidState => ServiceError::InvalidState { message },
        Kind::LimitExceeded => ServiceError::LimitExceeded { message },
        Kind::NotFound => ServiceError::NotFound { message },
        Kind::Refused => ServiceError::Refused { message },
        Kind::Throttled => ServiceError::Throttled { message },
        Kind::Unreachable => ServiceError::Unreachable { message },
    }
}

/// AWS's message in one line. Where a signature did not fit, AWS repeats what was signed, the
/// session token in it: of that, nothing.
fn in_a_line(code: Option<&str>, message: Option<&str>, status: u16) -> String {
    let code = code.map_or_else(|| format!("HTTP status {status}"), str::to_owned);
    let message = if code.contains("Signature") {
        Some(
            "the signature does not fit; see that this machine's clock and its secret key are right",
        )
    } else {
        message.filter(|message| !message.is_empty())
    };
    shortened(&message.map_or_else(|| code.clone(), |message| format!("{code}: {message}")))
}

/// What the SDK says of where in itself an error came from.
const OF_THE_SDK: [&str; 4] = ["dispatch failure", "io error", "other", "service error"];

/// An error with its causes, in one line.
fn all_of(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    for cause in causes(error) {
        let cause = cause.to_string();
        // The SDK wraps some errors in others that say the same.
        let says_more = words.iter().all(|said| !said.contains(&cause));
        if says_more && !OF_THE_SDK.contains(&cause.as_str()) {
            words.push(cause);
        }
    }
    shortened(words.join(": ").trim_end_matches('.'))
}

fn shortened(text: &str) -> String {
    let mut line = printable(text);
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    line
}

fn is_about_credentials(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| cause.is::<CredentialsError>())
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
