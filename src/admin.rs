//! The agent's own socket: how things stand, and what an operator may ask for.
//!
//! HTTP/1 over a Unix socket that its owner alone may use. Hands out no key.

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::identity::NodeName;
use crate::status::Source;

pub mod client;
pub mod server;

/// What an operator may ask of a running agent.
pub trait Operations: Source {
    /// Makes new certificates though none is due: for these nodes, or for all where none is
    /// named. Says how many were begun, or which names this agent does not keep.
    fn reissue(&self, nodes: Vec<NodeName>) -> BoxFuture<'_, Result<usize, Refusal>>;

    /// Reads the mesh file and the authorities again.
    fn reload(&self) -> BoxFuture<'_, Result<(), Refusal>>;
}

/// Why something that was asked for is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// Why, and what to do.
    pub reason: String,
}

/// The nodes for which new certificates are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reissue {
    /// Their names; none for all.
    pub nodes: Vec<String>,
}

/// How many certificates were begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// So many.
    pub begun: usize,
}

#[cfg(test)]
mod tests;
