//! Credentials within bounds. The chain asks one place after another, and on a machine that is not
//! AWS's the last ones answer nobody.

use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

/// How long the whole chain may look. Less than a try of a call may take, so that a call says what
/// it lacked and not that it took too long.
pub(super) const CREDENTIALS_LIMIT: Duration = Duration::from_secs(3);

/// Another's credentials, or an error soon.
#[derive(Debug)]
pub(super) struct Hurried(SharedCredentialsProvider);

impl Hurried {
    pub(super) fn new(inner: SharedCredentialsProvider) -> Self {
        Self(inner)
    }
}

impl ProvideCredentials for Hurried {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            tokio::time::timeout(CREDENTIALS_LIMIT, self.0.provide_credentials())
                .await
                .unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(CREDENTIALS_LIMIT)))
        })
    }
}
