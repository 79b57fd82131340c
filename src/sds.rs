//! Envoy's Secret Discovery Service, version 3.
//!
//! Names become resources ([`resource`]), streams are pure state machines, and the service moves
//! bytes. Reads the snapshot, speaks back on the boards, and knows nothing of how a certificate is
//! made.

pub mod resource;
