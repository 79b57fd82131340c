//! The commands as people type them: what they answer, what they refuse, and how they end.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test panics")]

#[path = "../support/mod.rs"]
mod support;

mod aws;
mod ca;
mod command_line;
mod config;
mod credentials;
mod docs;
mod envoy;
mod inspect;
mod sign;
mod verify;
