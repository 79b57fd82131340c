//! Commands to a fake that runs as a program: JSON, POSTed to its control port. What they do is
//! what [`Fake`](super::Fake)'s methods do.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use time::Duration;

use super::authority::{Rotation, Spec, Status};
use super::fault::Trouble;
use super::server::Server;
use super::state::State;
use super::wire::{self, NoAnswer};

/// A command. Those without parameters are plain text: `"stop"`; the others objects: `{"create":
/// {"name": "ca_1"}}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum Command {
    Create(Spec),
    Misbehave(Trouble),
    Behave,
    SetStatus {
        authority: String,
        status: Status,
    },
    Rotate {
        authority: String,
        rotation: Rotation,
    },
    /// Moves the clock by seconds.
    Advance(i64),
    /// Milliseconds from IssueCertificate until GetCertificate has the certificate.
    IssuingTakes(i64),
    /// Throttles above so many calls a second.
    SetQuota {
        operation: String,
        calls: usize,
    },
    Stop,
    Restart,
    Authorities,
    Calls,
    Issued,
}

/// Obeys one command: 200, or 400 with what is wrong.
pub async fn answer(
    server: Arc<Server>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, NoAnswer> {
    let Ok(body) = request.into_body().collect().await else { return Err(NoAnswer) };
    let command = serde_json::from_slice(&body.to_bytes()).map_err(|error| error.to_string());
    // Stopping waits for connections to be gone, which those who serve them see to.
    let obeyed = tokio::task::spawn_blocking(move || obey(&server, command?)).await;
    Ok(match obeyed {
        Ok(Ok(answer)) => wire::json(200, &answer),
        Ok(Err(wrong)) => wire::json(400, &json!({ "error": wrong })),
        Err(panic) => wire::json(400, &json!({ "error": panic.to_string() })),
    })
}

fn obey(server: &Server, command: Command) -> Result<Value, String> {
    let mut state = server.shared.lock();
    match command {
        Command::Create(spec) => {
            if let Some(parent) = &spec.parent {
                known(&state, parent)?;
            }
            return Ok(json!({ "arn": state.create(spec) }));
        }
        Command::Misbehave(trouble) => {
            trouble.check()?;
            state.faults.add(trouble);
        }
        Command::Behave => state.faults.clear(),
        Command::SetStatus { authority, status } => {
            known(&state, &authority)?;
            state.authorities.entry(authority).and_modify(|authority| authority.status = status);
        }
        Command::Rotate { authority, rotation } => {
            known(&state, &authority)?;
            state.rotate(&authority, rotation);
        }
        Command::Advance(seconds) => state.clock.advance(Duration::seconds(seconds)),
        Command::IssuingTakes(milliseconds) => {
            state.issuing_takes = Duration::milliseconds(milliseconds);
        }
        Command::SetQuota { operation, calls } => {
            state.quotas.insert(operation, calls);
        }
        Command::Stop => {
            drop(state);
            server.stop();
        }
        Command::Restart => {
            drop(state);
            server.restart().map_err(|error| error.to_string())?;
        }
        Command::Authorities => {
            let names = state.authorities.values();
            let names = names.map(|authority| (authority.spec.name.clone(), json!(authority.arn)));
            return Ok(Value::Object(names.collect()));
        }
        Command::Calls => return Ok(json!(state.journal.calls())),
        Command::Issued => {
            let arns = state.issued.iter().map(|issued| {
                json!({ "arn": issued.arn, "authority": issued.authority, "revoked": issued.revoked })
            });
            return Ok(arns.collect());
        }
    }
    Ok(json!({}))
}

fn known(state: &State, authority: &str) -> Result<(), String> {
    let known = state.authorities.contains_key(authority);
    known.then_some(()).ok_or_else(|| format!("no authority {authority}"))
}
