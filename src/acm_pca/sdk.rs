//! The way to AWS Private CA through AWS's SDK: the only place that knows its types.
//!
//! Nothing happens before the first call: no file is read, nobody is asked for credentials, no
//! connection is opened, so that an agent whose authorities are local pays nothing. From then on
//! all CAs of the process share one configuration and one set of credentials, found as every AWS
//! tool finds them (environment, profile, SSO, `credential_process`, web identity, ECS and EKS Pod
//! Identity, instance metadata), and those at the same service share its connections.
//!
//! It waits and retries by the SDK's own clock: a request is signed with the time at AWS, which is
//! no business of [`Clock`](crate::time::Clock).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::identity::IdentityCache;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_acmpca::Client;
use aws_sdk_acmpca::config::Builder;
use tokio::sync::OnceCell;

use self::answer::description;
use self::credentials::Hurried;
use self::error::{certificate_error, service_error};
use self::policy::{CountedElsewhere, Granted};
use self::request::{
    absolute, blob, passthrough, reason, serial_of, signing_algorithm, template_arn,
};
use super::{Answer, Connect, Description, IssueRequest, IssuedPem, RevocationReason, Service};
use crate::desired::acm_pca::{CaArn, PrivateCa};

mod answer;
mod credentials;
mod error;
mod policy;
mod request;

#[cfg(test)]
mod tests;

pub use policy::OPERATIONS;

/// How long a connection may take to be made, TLS included.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// How long one try of a call may take, from its credentials to the end of the answer.
pub const TRY_LIMIT: Duration = Duration::from_secs(5);

/// How long a call may take with all its tries, and the pauses between them.
pub const CALL_LIMIT: Duration = Duration::from_secs(10);

/// How often a call is tried where what went wrong passes by itself: a broken connection, an answer
/// that does not come, a server's own error. Throttling is not: who asks counts the requests.
pub const TRIES: u32 = 3;

/// The way to every CA of this process.
#[derive(Clone, Debug, Default)]
pub struct Sdk {
    shared: Arc<OnceCell<SdkConfig>>,
    places: Arc<Mutex<HashMap<Place, Arc<Remote>>>>,
}

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    region: String,
    endpoint: Option<String>,
}

/// The service at one place.
#[derive(Debug)]
struct Remote {
    place: Place,
    shared: Arc<OnceCell<SdkConfig>>,
    client: OnceCell<Client>,
}

impl Sdk {
    /// One that has done nothing yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Connect for Sdk {
    fn service(&self, ca: &PrivateCa) -> Arc<dyn Service> {
        let place = Place { region: ca.arn.region().to_owned(), endpoint: ca.endpoint.clone() };
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let remote = places.entry(place).or_insert_with_key(|place| {
            Arc::new(Remote {
                place: place.clone(),
                shared: self.shared.clone(),
                client: OnceCell::new(),
            })
        });
        remote.clone()
    }
}

impl Remote {
    async fn client(&self) -> &Client {
        self.client
            .get_or_init(|| async {
                let shared = self.shared.get_or_init(|| configuration(&self.place.region)).await;
                let mut settings = Builder::from(shared)
                    .region(Region::new(self.place.region.clone()))
                    .retry_classifier(CountedElsewhere)
                    .interceptor(Granted);
                if let Some(endpoint) = &self.place.endpoint {
                    settings = settings.endpoint_url(endpoint);
                }
                Client::from_conf(settings.build())
            })
            .await
    }
}

impl Service for Remote {
    fn describe<'a>(&'a self, ca: &'a CaArn) -> Answer<'a, Description> {
        Box::pin(async move {
            let call = self.client().await.describe_certificate_authority();
            let answer = call.certificate_authority_arn(ca.as_str()).send().await;
            let answer = answer.map_err(service_error)?;
            description(answer.certificate_authority)
        })
    }

    fn ca_certificate<'a>(&'a self, ca: &'a CaArn) -> Answer<'a, IssuedPem> {
        Box::pin(async move {
            let call = self.client().await.get_certificate_authority_certificate();
            let answer = call.certificate_authority_arn(ca.as_str()).send().await;
            let answer = answer.map_err(service_error)?;
            answer::issued(answer.certificate, answer.certificate_chain)
        })
    }

    fn issue<'a>(&'a self, ca: &'a CaArn, request: &'a IssueRequest) -> Answer<'a, String> {
        Box::pin(async move {
            let passthrough = request.passthrough.as_ref().map(passthrough).transpose()?;
            let call = self.client().await.issue_certificate();
            let answer = call
                .certificate_authority_arn(ca.as_str())
                .csr(blob(request))
                .signing_algorithm(signing_algorithm(request.signing_key))
                .template_arn(template_arn(ca, &request.template))
                .validity(absolute(request.validity.not_after)?)
                .validity_not_before(absolute(request.validity.not_before)?)
                .set_api_passthrough(passthrough)
                .idempotency_token(&request.idempotency_token)
                .send()
                .await;
            let answer = answer.map_err(service_error)?;
            answer::certificate_of(ca, answer.certificate_arn)
        })
    }

    fn certificate<'a>(&'a self, ca: &'a CaArn, arn: &'a str) -> Answer<'a, Option<IssuedPem>> {
        Box::pin(async move {
            let call = self.client().await.get_certificate();
            let call = call.certificate_authority_arn(ca.as_str()).certificate_arn(arn);
            match call.send().await {
                Ok(answer) => {
                    answer::issued(answer.certificate, answer.certificate_chain).map(Some)
                }
                Err(error) if error::is_in_progress(&error) => Ok(None),
                Err(error) => Err(certificate_error(error)),
            }
        })
    }

    fn revoke<'a>(
        &'a self,
        ca: &'a CaArn,
        serial: &'a str,
        why: RevocationReason,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let call = self.client().await.revoke_certificate();
            let answer = call
                .certificate_authority_arn(ca.as_str())
                .certificate_serial(serial_of(serial)?)
                .revocation_reason(reason(why))
                .send()
                .await;
            match answer {
                Ok(_) => Ok(()),
                // Somebody has asked for the same before, and that is what was wanted.
                Err(error) if error::is_in_progress(&error) || error::is_done(&error) => Ok(()),
                Err(error) => Err(service_error(error)),
            }
        })
    }
}

/// What all CAs of the process share. `region` is where roles are taken on (STS) if neither the
/// environment nor the profile names a region.
async fn configuration(region: &str) -> SdkConfig {
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(Region::new(region.to_owned()));
    let mut found = settings().region(region).load().await;
    if let Some(credentials) = found.credentials_provider() {
        let hurried = SharedCredentialsProvider::new(Hurried::new(credentials));
        found = found.into_builder().credentials_provider(hurried).build();
    }
    found
}

fn settings() -> ConfigLoader {
    let limits = TimeoutConfig::builder()
        .connect_timeout(CONNECT_LIMIT)
        .operation_attempt_timeout(TRY_LIMIT)
        .operation_timeout(CALL_LIMIT)
        .build();
    let settings = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
        .timeout_config(limits)
        .identity_cache(IdentityCache::lazy().load_timeout(TRY_LIMIT).build());
    match AppName::new("certctl") {
        Ok(name) => settings.app_name(name),
        Err(_) => settings,
    }
}
