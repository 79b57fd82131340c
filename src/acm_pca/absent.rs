//! What stands in for the SDK in a build without it: every call says so. A mesh may still name CAs
//! of AWS Private CA, and their certificates may still be trusted from a file.

use std::sync::Arc;

use super::{
    Answer, Connect, Description, IssueRequest, IssuedPem, RevocationReason, Service, ServiceError,
};
use crate::desired::acm_pca::{CaArn, PrivateCa};

/// The way to nowhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Absent;

impl Connect for Absent {
    fn service(&self, _: &PrivateCa) -> Arc<dyn Service> {
        Arc::new(Self)
    }
}

impl Service for Absent {
    fn describe<'a>(&'a self, _: &'a CaArn) -> Answer<'a, Description> {
        nothing()
    }

    fn ca_certificate<'a>(&'a self, _: &'a CaArn) -> Answer<'a, IssuedPem> {
        nothing()
    }

    fn issue<'a>(&'a self, _: &'a CaArn, _: &'a IssueRequest) -> Answer<'a, String> {
        nothing()
    }

    fn certificate<'a>(&'a self, _: &'a CaArn, _: &'a str) -> Answer<'a, Option<IssuedPem>> {
        nothing()
    }

    fn revoke<'a>(&'a self, _: &'a CaArn, _: &'a str, _: RevocationReason) -> Answer<'a, ()> {
        nothing()
    }
}

fn nothing<'a, T: Send + 'a>() -> Answer<'a, T> {
    let message = "this certctl was built without AWS Private CA; use one that was built with the \
                   Cargo feature `acm-pca`, as it is by default"
        .to_owned();
    Box::pin(std::future::ready(Err(ServiceError::Unreachable { message })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_build_without_the_sdk_says_so() {
        let arn = "arn:aws:acm-pca:us-east-2:111122223333:certificate-authority/1";
        let error = Absent.describe(&CaArn::parse(arn).unwrap()).await.unwrap_err().to_string();
        assert!(error.contains("built without AWS Private CA"), "{error}");
    }
}
