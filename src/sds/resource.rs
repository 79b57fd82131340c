//! What a name stands for, ready to be sent.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::boards::Aspect;
use crate::identity::NodeName;

/// A secret as it is sent, encoded once for each content and name.
#[derive(PartialEq, Eq)]
pub struct Resource {
    /// The name that it was asked by, and that is in it.
    pub name: String,
    /// A hash of what is in it, the same in every process that serves the same.
    pub version: String,
    /// An encoded `google.protobuf.Any` with an `envoy.extensions.transport_sockets.tls.v3.Secret`.
    pub any: Bytes,
    /// What it was made of.
    pub aspects: Vec<Aspect>,
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `any` may hold a private key.
        let Self { name, version, any: _, aspects } = self;
        f.debug_struct("Resource")
            .field("name", name)
            .field("version", version)
            .field("aspects", aspects)
            .finish_non_exhaustive()
    }
}

/// What there is to a name, for one caller, now.
#[derive(Clone, Debug)]
pub enum Resolution {
    /// It can be sent.
    Ready(Arc<Resource>),
    /// Nothing can be sent yet, or ever: the name is held.
    Held {
        /// The node whose credential it waits for, where it is only a matter of making it.
        awaits: Option<NodeName>,
        /// Why, in words for the log.
        why: String,
    },
}
