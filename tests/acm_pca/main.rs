//! AWS Private CA: the fake that stands in for it, and moto, before the real SDK.
#![cfg(feature = "acm-pca")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test panics")]

#[path = "../support/acm_pca/mod.rs"]
mod fake;
#[path = "../support/mod.rs"]
mod support;

mod sdk;
mod world;

mod agent;
mod config_check;
mod cost;
mod crash;
mod failover;
mod faults;
mod issue;
mod moto;
mod the_fake;
