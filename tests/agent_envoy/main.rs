//! The agent and real Envoys: what they are served, through rotation, change, and failure.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test panics")]

#[cfg(feature = "acm-pca")]
#[path = "../support/acm_pca/mod.rs"]
mod fake;
#[path = "../support/mod.rs"]
mod support;

mod load;
mod node;
mod pair;
mod recorder;
mod wire;

mod demos;
mod edits;
mod expired;
mod killed;
mod light;
mod moved;
mod new_identity;
mod outage;
mod protocol;
mod rotation;
#[cfg(feature = "acm-pca")]
mod to_aws;
