//! Keys, requests and certificates: ours before other judges, and other people's before us.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test panics")]

#[path = "../support/mod.rs"]
mod support;

mod der;
mod pkilint;

mod describe;
mod imported_authority;
mod keys;
mod profile;
mod public_keys;
mod request;
