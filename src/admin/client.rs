//! The asking side.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::UnixStream;

use super::{Begun, Refusal, Reissue};
use crate::status::Status;

/// How long an agent may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most that is read of an answer: a status of 5,000 nodes and as many Envoys has about 10 MB.
const MOST_BYTES: usize = 256 << 20;

/// Why an agent gave no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody is there.
    #[error("no agent answers at {}", path.display())]
    Absent {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It did not answer in time.
    #[error("the agent at {} did not answer within 10 s; its log may say why", path.display())]
    Silent {
        /// The socket.
        path: PathBuf,
    },
    /// It spoke something else.
    #[error("what answers at {} does not speak as an agent's admin socket does", path.display())]
    Foreign {
        /// The socket.
        path: PathBuf,
        /// What was wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It would not.
    #[error(transparent)]
    Refused(Refusal),
}

/// An agent that can be asked.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// The agent whose admin socket is at `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// How things stand.
    ///
    /// # Errors
    /// When there is no answer, or none that is understood.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.ask(Method::GET, "/status", &()).await
    }

    /// Asks for new certificates of these nodes, or of all where none is named.
    ///
    /// # Errors
    /// When there is no answer, or the agent refuses.
    pub async fn reissue(&self, nodes: &[String]) -> Result<Begun, ClientError> {
        self.ask(Method::POST, "/reissue", &Reissue { nodes: nodes.to_vec() }).await
    }

    /// Asks it to read the mesh file and the authorities again.
    ///
    /// # Errors
    /// When there is no answer, or the agent refuses.
    pub async fn reload(&self) -> Result<(), ClientError> {
        self.ask(Method::POST, "/reload", &()).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let foreign = |source| ClientError::Foreign { path: self.path.clone(), source };
        let body = serde_json::to_vec(body).map_err(|error| foreign(error.into()))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "certctl")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| foreign(error.into()))?;
        let answer = tokio::time::timeout(PATIENCE, self.exchange(request)).await;
        let (status, answer) =
            answer.map_err(|_| ClientError::Silent { path: self.path.clone() })??;
        if status.is_success() {
            return serde_json::from_slice(&answer).map_err(|error| foreign(error.into()));
        }
        match serde_json::from_slice(&answer) {
            Ok(refusal) => Err(ClientError::Refused(refusal)),
            Err(_) => Err(foreign(format!("it answers with {status}").into())),
        }
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let foreign = |source| ClientError::Foreign { path: self.path.clone(), source };
        let stream = UnixStream::connect(&self.path)
            .await
            .map_err(|source| ClientError::Absent { path: self.path.clone(), source })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| foreign(error.into()))?;
        let exchange = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MOST_BYTES).collect().await?;
            Ok((status, body.to_bytes()))
        };
        let mut connection = std::pin::pin!(connection);
        let mut exchange = std::pin::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer.map_err(foreign),
            // The other side may close as soon as it has answered.
            _ = &mut connection => exchange.await.map_err(foreign),
        }
    }
}
