//! Envoy's Secret Discovery Service, version 3.
//!
//! Names ([`names`]) become resources ([`resource`]) by way of the [`catalogue`], which has them
//! encoded ([`secret`]); streams are pure state machines, and the service moves bytes. Reads the
//! snapshot, speaks back on the boards, and knows nothing of how a certificate is made.

pub mod catalogue;
pub mod names;
pub mod resource;
pub mod secret;
pub mod service;
pub mod stream;
pub mod wire;
