//! The serving side: `GET /status`, `POST /reissue`, `POST /reload`.

use std::io;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::UnixListener;

use super::{Begun, Operations, Refusal, Reissue};
use crate::identity::NodeName;
use crate::listening::bounded::Bounded;

/// Answers on `listener` until `end` comes, few at once and each for a short time.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: UnixListener,
    operations: Arc<dyn Operations>,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let routes = Router::new()
        .route("/status", get(status))
        .route("/reissue", post(reissue))
        .route("/reload", post(reload))
        .with_state(operations);
    axum::serve(Bounded::new(listener), routes).with_graceful_shutdown(end).await
}

type Asked = State<Arc<dyn Operations>>;

async fn status(State(operations): Asked) -> Response {
    match operations.status().await {
        Some(status) => Json(status).into_response(),
        None => {
            let reason = "the agent's loop does not answer; its log may say why".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, Json(Refusal { reason })).into_response()
        }
    }
}

async fn reissue(State(operations): Asked, Json(asked): Json<Reissue>) -> Response {
    let nodes: Result<Vec<_>, _> = asked.nodes.iter().map(|name| NodeName::parse(name)).collect();
    let begun = match nodes {
        Ok(nodes) => operations.reissue(nodes).await,
        Err(error) => Err(Refusal { reason: error.to_string() }),
    };
    answered(begun.map(|begun| Begun { begun }))
}

async fn reload(State(operations): Asked) -> Response {
    answered(operations.reload().await)
}

fn answered<T: serde::Serialize>(answer: Result<T, Refusal>) -> Response {
    match answer {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => (StatusCode::CONFLICT, Json(refusal)).into_response(),
    }
}
