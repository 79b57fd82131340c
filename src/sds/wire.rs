//! The discovery protocol's messages on the wire, as far as this agent reads and writes them.
//!
//! Each of Envoy's requests carries its node, about 61 KB of which all but a few strings is of no
//! use here: [`Sieve`] drops the rest as it arrives, so that neither time nor memory is spent on
//! it. Responses are put together from resources that were encoded before, without copying them.
//! Knows the shape of messages and nothing of what they mean.
//!
//! Field numbers: `envoy/service/discovery/v3/discovery.proto`, `envoy/config/core/v3/base.proto`
//! and `google/rpc/status.proto`.

use thiserror::Error;

mod response;
mod sieve;

pub use response::{delta, state_of_the_world};
pub use sieve::Sieve;

/// The type of every resource that SDS serves.
pub const SECRET_TYPE: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/// Why bytes are no request.
#[derive(Debug, Error)]
pub enum WireError {
    /// They are no protobuf, or end in the middle of it.
    #[error("the request is no protobuf message: {what}")]
    Malformed {
        /// What is wrong with them.
        what: &'static str,
    },
    /// They are protobuf, but not this message.
    #[error("the request is no discovery request")]
    Undecodable {
        /// What prost found.
        #[source]
        source: prost::DecodeError,
    },
}

/// A message that [`Sieve`] can read: which of its fields to keep.
pub trait Request: prost::Message + Default {
    /// The field that holds the node.
    const NODE: u64;
    /// The other fields to keep. All are strings or messages.
    const KEPT: &'static [u64];
}

/// `envoy.service.discovery.v3.DiscoveryRequest`: state of the world.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct DiscoveryRequest {
    /// Who asks.
    #[prost(message, optional, tag = "2")]
    pub node: Option<Node>,
    /// All that it asks for on this stream from now on.
    #[prost(string, repeated, tag = "3")]
    pub resource_names: Vec<String>,
    /// Resources of which type.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// The response that this answers, if any.
    #[prost(string, tag = "5")]
    pub response_nonce: String,
    /// Why that response was rejected; its presence is the rejection.
    #[prost(message, optional, tag = "6")]
    pub error_detail: Option<Status>,
}

impl Request for DiscoveryRequest {
    const NODE: u64 = 2;
    const KEPT: &'static [u64] = &[3, 4, 5, 6];
}

/// `envoy.service.discovery.v3.DeltaDiscoveryRequest`. What its sender says to have already is not
/// read: a stream's first request is answered in full all the same, as Envoy needs it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct DeltaDiscoveryRequest {
    /// Who asks.
    #[prost(message, optional, tag = "1")]
    pub node: Option<Node>,
    /// Resources of which type.
    #[prost(string, tag = "2")]
    pub type_url: String,
    /// What it asks for in addition.
    #[prost(string, repeated, tag = "3")]
    pub resource_names_subscribe: Vec<String>,
    /// What it asks for no more.
    #[prost(string, repeated, tag = "4")]
    pub resource_names_unsubscribe: Vec<String>,
    /// The response that this answers, if any.
    #[prost(string, tag = "6")]
    pub response_nonce: String,
    /// Why that response was rejected; its presence is the rejection.
    #[prost(message, optional, tag = "7")]
    pub error_detail: Option<Status>,
}

impl Request for DeltaDiscoveryRequest {
    const NODE: u64 = 1;
    const KEPT: &'static [u64] = &[2, 3, 4, 6, 7];
}

/// `envoy.config.core.v3.Node`: what it calls itself. Anybody can claim anything.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Node {
    /// Its name.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The service that it is of.
    #[prost(string, tag = "2")]
    pub cluster: String,
    /// The program: `envoy`.
    #[prost(string, tag = "6")]
    pub user_agent_name: String,
    /// The program's version, in words.
    #[prost(string, tag = "7")]
    pub user_agent_version: String,
    /// The program's version, in numbers, which Envoy prefers.
    #[prost(message, optional, tag = "8")]
    pub user_agent_build_version: Option<BuildVersion>,
}

impl Node {
    /// The fields to keep.
    const KEPT: &'static [u64] = &[1, 2, 6, 7, 8];

    /// The program and its version: `envoy 1.40.0`.
    pub fn agent(&self) -> String {
        let numbers = self.user_agent_build_version.as_ref().and_then(|build| build.version);
        let version = match numbers {
            Some(SemanticVersion { major, minor, patch }) => format!("{major}.{minor}.{patch}"),
            None => self.user_agent_version.clone(),
        };
        [self.user_agent_name.as_str(), &version].join(" ").trim().to_owned()
    }
}

/// `envoy.config.core.v3.BuildVersion`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct BuildVersion {
    /// The version itself.
    #[prost(message, optional, tag = "1")]
    pub version: Option<SemanticVersion>,
}

/// `envoy.type.v3.SemanticVersion`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct SemanticVersion {
    /// The first number.
    #[prost(uint32, tag = "1")]
    pub major: u32,
    /// The second.
    #[prost(uint32, tag = "2")]
    pub minor: u32,
    /// The third.
    #[prost(uint32, tag = "3")]
    pub patch: u32,
}

/// `google.rpc.Status`: why a response was rejected.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Status {
    /// In words.
    #[prost(string, tag = "2")]
    pub message: String,
}

#[cfg(test)]
mod tests;
