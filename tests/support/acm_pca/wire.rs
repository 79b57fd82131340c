//! AWS JSON 1.1 over HTTP: from a request to what the service does with it, faults included.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::Value;

use super::fault::Fault;
use super::journal::Call;
use super::operations;
use super::refusal::Refusal;
use super::state::State;

/// More than the service takes of anything.
const BODY_LIMIT: usize = 1 << 20;

/// The state, which every connection changes.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// The state, for a moment.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// There is no answer: the connection closes.
#[derive(Debug)]
pub struct NoAnswer;

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("told not to answer")
    }
}

impl std::error::Error for NoAnswer {}

/// A call is under way for as long as this lives.
struct UnderWay(Shared, usize);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().journal.close(self.1);
    }
}

/// Answers one request of the service's wire.
pub async fn answer(
    shared: Shared,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, NoAnswer> {
    let header = |name: &str| request.headers().get(name)?.to_str().ok().map(str::to_owned);
    let target = header("x-amz-target").unwrap_or_default();
    let authorization = header("authorization").unwrap_or_default();
    let body = Limited::new(request.into_body(), BODY_LIMIT).collect().await;
    let Ok(body) = body.map(|body| body.to_bytes()) else { return Err(NoAnswer) };
    let Some(operation) = target.strip_prefix("ACMPrivateCA.") else {
        return Ok(refused(&Refusal::new("UnknownOperationException", target)));
    };
    let parameters: Value = serde_json::from_slice(&body).unwrap_or_default();
    let call = call(&shared, operation, &parameters);
    let (under_way, fault) = {
        let mut state = shared.lock();
        let fault = state.fault(&call);
        let number = state.journal.open(call);
        (UnderWay(shared.clone(), number), fault)
    };
    let number = under_way.1;
    match &fault {
        Some(Fault::Error { code, .. }) => {
            shared.lock().journal.settle(number, code, None);
            let refusal = fault.as_ref().and_then(Fault::refusal);
            return Ok(refusal.map_or_else(|| json(500, &Value::Null), |error| refused(&error)));
        }
        Some(Fault::Hang) => {
            shared.lock().journal.settle(number, "hung", None);
            std::future::pending::<()>().await;
        }
        Some(Fault::Drop) => {
            shared.lock().journal.settle(number, "dropped", None);
            return Err(NoAnswer);
        }
        _ => {}
    }
    let outcome = {
        let mut state = shared.lock();
        let lie = match &fault {
            Some(Fault::Lie(lie)) => Some(*lie),
            _ => None,
        };
        let outcome = authorized(&state, &authorization)
            .and_then(|()| operations::run(&mut state, operation, &body, lie));
        let told = match (&outcome, &fault) {
            (Err(refusal), _) => refusal.code.as_str(),
            (Ok(_), None | Some(Fault::Delay(_))) => "done",
            (Ok(_), Some(Fault::Lie(_))) => "lied",
            (Ok(_), Some(_)) => "done, not told",
        };
        let arn = outcome.as_ref().ok().and_then(|answer| answer["CertificateArn"].as_str());
        state.journal.settle(number, told, arn);
        outcome
    };
    match fault {
        Some(Fault::HangAfterwards) => std::future::pending::<()>().await,
        Some(Fault::LoseReply) => return Err(NoAnswer),
        Some(Fault::NotJson) => return Ok(text(200, "<html>not JSON</html>".to_owned())),
        Some(Fault::Delay(milliseconds)) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        }
        _ => {}
    }
    Ok(outcome.map_or_else(|refusal| refused(&refusal), |answer| json(200, &answer)))
}

/// Signature Version 4 must be there, for this service and region; the signature itself is not
/// checked, since the fake knows no secret.
fn authorized(state: &State, authorization: &str) -> Result<(), Refusal> {
    if !authorization.starts_with("AWS4-HMAC-SHA256 ") {
        let message = "Missing Authentication Token";
        return Err(Refusal::new("MissingAuthenticationTokenException", message));
    }
    let scope = format!("/{}/acm-pca/aws4_request", state.region);
    if authorization.contains(&scope) {
        return Ok(());
    }
    Err(Refusal::new(
        "InvalidSignatureException",
        format!(
            "Credential should be scoped to a valid region, not to another than {}.",
            state.region
        ),
    ))
}

fn call(shared: &Shared, operation: &str, parameters: &Value) -> Call {
    let text = |name: &str| parameters[name].as_str().map(str::to_owned);
    let csr = parameters["Csr"].as_str().and_then(decode_base64);
    let validity = &parameters["Validity"];
    let validity = validity["Type"].as_str().map(|kind| format!("{kind} {}", validity["Value"]));
    Call {
        operation: operation.to_owned(),
        at: shared.lock().clock.now(),
        concurrent: 0,
        authority: text("CertificateAuthorityArn"),
        certificate: text("CertificateArn"),
        idempotency_token: text("IdempotencyToken"),
        csr_sha256: csr.map(|csr| hexadecimal(digest(&SHA256, &csr).as_ref())),
        template: text("TemplateArn"),
        validity,
        signing_algorithm: text("SigningAlgorithm"),
        outcome: "under way".to_owned(),
    }
}

fn refused(refusal: &Refusal) -> Response<Full<Bytes>> {
    json(refusal.status, &refusal.body())
}

/// An answer of AWS JSON 1.1.
pub fn json(status: u16, body: &Value) -> Response<Full<Bytes>> {
    text(status, body.to_string())
}

fn text(status: u16, body: String) -> Response<Full<Bytes>> {
    let request: [u8; 16] = super::key::random();
    Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amzn-requestid", hexadecimal(&request))
        .body(Full::from(body))
        .expect("a response")
}

/// Base64 with padding, as JSON carries bytes.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let block = format!("-----BEGIN BYTES-----\n{text}\n-----END BYTES-----\n");
    pem::parse(block).ok().map(pem::Pem::into_contents)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
