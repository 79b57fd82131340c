//! The real SDK, pointed at a stand-in on loopback.

use std::time::Duration;

use aws_sdk_acmpca::Client;
use aws_sdk_acmpca::config::retry::RetryConfig;
use aws_sdk_acmpca::config::timeout::TimeoutConfig;
use aws_sdk_acmpca::config::{BehaviorVersion, Builder, Config, Credentials, Region};
use aws_sdk_acmpca::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_acmpca::types::{Validity, ValidityPeriodType};

/// A client that tries once.
pub fn client(endpoint: &str, region: &str) -> Client {
    Client::from_conf(config(endpoint, region).build())
}

/// The configuration of one, to change.
pub fn config(endpoint: &str, region: &str) -> Builder {
    let timeout = TimeoutConfig::builder().operation_timeout(Duration::from_secs(30)).build();
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
        .endpoint_url(endpoint)
        .region(Region::new(region.to_owned()))
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeout)
}

/// The API's `Validity`.
pub fn validity(kind: ValidityPeriodType, value: i64) -> Validity {
    Validity::builder().r#type(kind).value(value).build().expect("both fields")
}

/// The name of the exception in an answer.
#[track_caller]
pub fn code<T, E>(answer: Result<T, SdkError<E>>) -> String
where
    E: ProvideErrorMetadata + std::fmt::Debug,
{
    match answer {
        Ok(_) => panic!("it succeeded"),
        Err(error) => match error.code() {
            Some(code) => code.to_owned(),
            None => panic!("no answer of the service: {error:?}"),
        },
    }
}
