//! What real Envoys do with keys and chains, and with what certctl issued.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test panics")]

#[path = "../support/mod.rs"]
mod support;

mod authority;
mod mutual_tls;
mod scripted;

mod accepted;
mod bootstrap;
mod chains;
mod ed25519;
mod key_algorithms;
mod sds;
mod validation_contexts;
mod verify;
