//! The pages that a probe or a scraper asks for: `/healthz`, `/readyz`, `/metrics`.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::metrics::{MEDIA_TYPE, Metrics};
use crate::listening::bounded::Bounded;
use crate::status::Source;

/// At most so many nodes are named by `/readyz`.
const MOST_NAMED: usize = 20;

/// What the pages are made of.
#[derive(Clone)]
struct Pages {
    source: Arc<dyn Source>,
    metrics: Arc<Metrics>,
}

/// Answers on `listener` until `end` comes. There is no authentication, and nothing secret; so few
/// connections at once, and so short, that nobody can use up what the agent needs.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    source: Arc<dyn Source>,
    metrics: Arc<Metrics>,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let pages = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(text))
        .with_state(Pages { source, metrics });
    axum::serve(Bounded::new(listener), pages).with_graceful_shutdown(end).await
}

/// Alive: the loop answers.
async fn healthz(State(pages): State<Pages>) -> Response {
    match pages.source.status().await {
        Some(_) => "alive\n".into_response(),
        None => stuck(),
    }
}

/// Ready: every node has something valid to show.
async fn readyz(State(pages): State<Pages>) -> Response {
    let Some(status) = pages.source.status().await else { return stuck() };
    let lacking: Vec<_> = status.without_valid_credential().collect();
    if lacking.is_empty() {
        return "ready\n".into_response();
    }
    let mut text = format!("{} without a valid certificate:\n", lacking.len());
    for name in lacking.iter().take(MOST_NAMED) {
        text += &format!("{name}\n");
    }
    if lacking.len() > MOST_NAMED {
        text += &format!("and {} more\n", lacking.len() - MOST_NAMED);
    }
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn text(State(pages): State<Pages>) -> Response {
    let Some(status) = pages.source.status().await else { return stuck() };
    match pages.metrics.text(&status) {
        Ok(text) => ([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn stuck() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the loop does not answer\n").into_response()
}

#[cfg(test)]
mod tests;
