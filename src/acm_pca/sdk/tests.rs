//! The client against a service of a few lines, over real HTTP.

use std::collections::VecDeque;

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use time::macros::datetime;
use tokio::net::TcpListener;

use super::super::ServiceError;
use super::*;
use crate::desired::acm_pca::{LeafTemplate, Rates};
use crate::time::Validity;
use crate::x509::key::KeyAlgorithm;

mod failures;
mod iam;
mod wire;

const ARN: &str = "arn:aws:acm-pca:us-east-2:111122223333:certificate-authority/11223344-1234";

/// A request as it arrived.
#[derive(Clone, Debug)]
struct Asked {
    headers: HeaderMap,
    body: Value,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// What is answered, one after another, the last one for ever; and what was asked.
#[derive(Clone, Debug, Default)]
struct Fake {
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    fn answering(answers: &[(u16, &str)]) -> Self {
        let answers = answers.iter().map(|(status, body)| (*status, (*body).to_owned()));
        Self { answers: Arc::new(Mutex::new(answers.collect())), asked: Arc::default() }
    }

    fn failing(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({ "__type": code, "message": message }).to_string();
        Self::answering(&[(status, &body)])
    }

    /// Where this is served.
    async fn endpoint(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        endpoint
    }

    /// The service for a CA that is served here.
    async fn service(&self) -> (CaArn, Arc<dyn Service>) {
        service_at(&self.endpoint().await).await
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(State(fake): State<Fake>, headers: HeaderMap, body: Bytes) -> Response {
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    fake.asked.lock().unwrap().push(Asked { headers, body });
    let mut answers = fake.answers.lock().unwrap();
    let (status, body) = match answers.len() {
        1 => answers[0].clone(),
        _ => answers.pop_front().expect("an answer"),
    };
    let json = [("content-type", "application/x-amz-json-1.1")];
    (StatusCode::from_u16(status).unwrap(), json, body).into_response()
}

/// The service at an endpoint, with credentials that no environment changes.
async fn service_at(endpoint: &str) -> (CaArn, Arc<dyn Service>) {
    let ca = ca(ARN, Some(endpoint));
    let service = sdk_with(Credentials::new("AKIDTEST", "a secret", None, None, "test")).await;
    (ca.arn.clone(), service.service(&ca))
}

async fn sdk_with(credentials: impl ProvideCredentials + 'static) -> Sdk {
    let settings = settings().region(Region::new("eu-west-1")).credentials_provider(credentials);
    let shared = OnceCell::new_with(Some(settings.load().await));
    Sdk { shared: Arc::new(shared), places: Arc::default() }
}

fn ca(arn: &str, endpoint: Option<&str>) -> PrivateCa {
    PrivateCa {
        arn: CaArn::parse(arn).unwrap(),
        endpoint: endpoint.map(str::to_owned),
        certificates: None,
        template: LeafTemplate::default(),
        rates: Rates::default(),
        max_certificates_per_hour: None,
        price_per_certificate: None,
    }
}

fn request() -> IssueRequest {
    IssueRequest {
        request: vec![0x30, 0],
        signing_key: KeyAlgorithm::EcP256,
        template: LeafTemplate::default().as_str().to_owned(),
        validity: Validity {
            not_before: datetime!(2026-11-21 12:00:00 UTC),
            not_after: datetime!(2026-11-21 13:00:01 UTC),
        },
        passthrough: None,
        idempotency_token: "token1".to_owned(),
    }
}

#[tokio::test]
async fn nothing_is_set_up_before_the_first_call_and_one_place_is_connected_to_once() {
    let sdk = Sdk::new();
    let other = ARN.replace("11223344-1234", "55667788-1234");
    let west = ARN.replace("us-east-2", "us-west-2");
    let first = sdk.service(&ca(ARN, None));
    assert!(Arc::ptr_eq(&first, &sdk.service(&ca(&other, None))));
    assert!(!Arc::ptr_eq(&first, &sdk.service(&ca(&west, None))));
    assert!(!Arc::ptr_eq(&first, &sdk.service(&ca(ARN, Some("http://127.0.0.1:1")))));
    assert!(sdk.shared.get().is_none());
    assert!(sdk.places.lock().unwrap().values().all(|remote| remote.client.get().is_none()));
}
