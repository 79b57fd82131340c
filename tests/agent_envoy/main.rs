//! The agent and real Envoys: what they are served, through rotation, change, and failure.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test panics")]

#[path = "../support/mod.rs"]
mod support;

mod light;
