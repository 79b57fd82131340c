//! What is said on one stream, as pure state machines: no sockets, no clock, no tasks.
//!
//! Two protocols, state of the world and delta, over one table of names. Both are level-triggered:
//! [`Protocol::update`] compares what there is now with what was last sent, and so answers a first
//! request, a change of subscription, a change of content and a name that appears in the same way,
//! and never the same state twice. What cannot be served is held: an answer that says "no" makes
//! Envoy go on without a certificate.
//!
//! Follows <https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol> where Envoy does.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use super::resource::{Resolution, Resource};
use super::wire;
use crate::identity::NodeName;

mod delta;
mod names;
mod state_of_the_world;

pub use delta::Delta;
pub use names::Names;
pub use state_of_the_world::StateOfTheWorld;

/// How many names a stream may ask for. Envoy asks for one.
pub const MOST_NAMES: usize = 1000;

/// How long a name may be, in bytes: as a path, since a file's path may be one. What is longer is
/// never served.
pub const LONGEST_NAME: usize = 4096;

/// The name that stands for all that the caller may have.
const WILDCARD: &str = "*";

/// What there is for one caller at this moment.
pub trait Offer {
    /// What a name stands for.
    fn resolve(&self, name: &str) -> Resolution;

    /// The names of all that the caller may have.
    fn all(&self) -> Vec<String>;
}

/// One of the two protocols, for one stream.
pub trait Protocol: Debug + Default + Send + 'static {
    /// What it reads.
    type Request: wire::Request;

    /// Takes a request. Whatever there is to send as its answer comes from the
    /// [`update`](Self::update) after it.
    fn request(&mut self, request: Self::Request) -> Result<Vec<Note>, Refusal>;

    /// Compares what there is with what was sent.
    fn update(&mut self, offer: &dyn Offer) -> Update;

    /// The names of the stream.
    fn table(&self) -> &Names;

    /// The names that the stream asks for, in the order of asking.
    fn names(&self) -> Vec<&str> {
        self.table().iter().collect()
    }

    /// How many bytes it was sent under names of its own choice, but for the first `few`: each name
    /// makes another resource, though many ask for the same.
    fn bytes_beyond(&self, few: usize) -> usize {
        self.table().bytes_beyond(few)
    }

    /// Whether it asks for all that its caller may have.
    fn is_wildcard(&self) -> bool {
        self.table().is_wildcard()
    }

    /// The node that a request says it is from.
    fn node(request: &mut Self::Request) -> Option<wire::Node>;

    /// A response as it goes onto the wire.
    fn encode(response: &Response) -> Vec<Bytes>;
}

/// What is to be done at this moment.
#[derive(Debug, Default)]
pub struct Update {
    /// To be sent.
    pub response: Option<Response>,
    /// To be told.
    pub notes: Vec<Note>,
    /// The nodes whose credentials names on this stream wait for, each once.
    pub awaits: Vec<NodeName>,
}

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Of all its resources together; not used in delta.
    pub version: String,
    /// By which it will be acknowledged.
    pub nonce: String,
    /// What there is.
    pub resources: Vec<Arc<Resource>>,
    /// The names of what was there and is no more; delta alone can say that.
    pub removed: Vec<String>,
}

/// Something that happened, for the board and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The recipient took what was last sent under a name.
    Accepted {
        /// The name.
        name: String,
    },
    /// A request asks for resources of another type, which this service will never have.
    ForeignType {
        /// The type.
        type_url: String,
    },
    /// What a name stands for changed, but not its content, and the recipient has that already.
    HasAlready(Arc<Resource>),
    /// Nothing can be sent under a name yet, or any more.
    Held {
        /// The name.
        name: String,
        /// Why, in words.
        why: String,
    },
    /// The recipient would not take what was last sent under a name.
    Rejected {
        /// The name.
        name: String,
        /// The version that was sent.
        version: String,
        /// Why, in the recipient's words.
        why: String,
    },
    /// Something new is in the response, or what was in one is served again.
    Sent(Arc<Resource>),
    /// A name is longer than [`LONGEST_NAME`], and left out of account.
    TooLong {
        /// How long, in bytes.
        length: usize,
    },
    /// The recipient does not want a name any more.
    Unsubscribed {
        /// The name.
        name: String,
    },
}

/// Why a stream is ended.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// It asks for too much.
    #[error(
        "a stream may ask for {MOST_NAMES} names and this one asks for more; open another stream, \
         or ask for all by an empty list"
    )]
    TooManyNames,
}

/// Whether a request is for something else than secrets. On a service with one type of resource
/// the type may be left out.
fn foreign_type(type_url: &str) -> Option<Note> {
    let ours = type_url.is_empty() || type_url == wire::SECRET_TYPE;
    (!ours).then(|| Note::ForeignType { type_url: type_url.to_owned() })
}

#[cfg(test)]
mod tests;
