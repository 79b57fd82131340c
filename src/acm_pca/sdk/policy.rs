//! What a client may ask for, and what it asks for twice.

use aws_sdk_acmpca::config::interceptors::{
    BeforeTransmitInterceptorContextRef, InterceptorContext,
};
use aws_sdk_acmpca::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_acmpca::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_acmpca::error::{BoxError, ProvideErrorMetadata};
use aws_sdk_acmpca::operation::describe_certificate_authority::DescribeCertificateAuthorityError;
use aws_sdk_acmpca::operation::get_certificate::GetCertificateError;
use aws_sdk_acmpca::operation::get_certificate_authority_certificate::GetCertificateAuthorityCertificateError;
use aws_sdk_acmpca::operation::issue_certificate::IssueCertificateError;
use aws_sdk_acmpca::operation::revoke_certificate::RevokeCertificateError;

use super::error::{Kind, kind};

/// Every operation of AWS Private CA that is in use, as IAM names it after `acm-pca:`. A client
/// sends no other: what is not listed here is in no policy under deploy/iam either.
pub const OPERATIONS: [&str; 5] = [
    "DescribeCertificateAuthority",
    "GetCertificate",
    "GetCertificateAuthorityCertificate",
    "IssueCertificate",
    "RevokeCertificate",
];

/// Holds a client to [`OPERATIONS`], by the name of the operation on the wire.
#[derive(Debug)]
pub(super) struct Granted;

impl Intercept for Granted {
    fn name(&self) -> &'static str {
        "Granted"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        if target.strip_prefix("ACMPrivateCA.").is_some_and(|name| OPERATIONS.contains(&name)) {
            return Ok(());
        }
        Err(format!("{target:?} is not among the operations in use").into())
    }
}

/// Keeps the SDK from trying again where AWS refuses for the number of requests. Who has counted
/// them, for all that the process wants of a CA, slows them all down; a try of the SDK's own would
/// be one more, uncounted. And LimitExceededException, which the SDK takes for throttling, means
/// here that a CA has issued all that it may, or that an account has all that it may have.
#[derive(Debug)]
pub(super) struct CountedElsewhere;

impl ClassifyRetry for CountedElsewhere {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(Result::err);
        let Some(error) = error.and_then(|error| error.as_operation_error()) else {
            return RetryAction::NoActionIndicated;
        };
        let code = error
            .downcast_ref()
            .map(DescribeCertificateAuthorityError::code)
            .or_else(|| error.downcast_ref().map(GetCertificateAuthorityCertificateError::code))
            .or_else(|| error.downcast_ref().map(GetCertificateError::code))
            .or_else(|| error.downcast_ref().map(IssueCertificateError::code))
            .or_else(|| error.downcast_ref().map(RevokeCertificateError::code));
        let status = context.response().map_or(0, |response| response.status().as_u16());
        match kind(code.flatten().unwrap_or_default(), status) {
            Kind::LimitExceeded | Kind::Throttled => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "CountedElsewhere"
    }
}
