//! `certctl issue` as its users meet it, good and bad days: the real program in real directories,
//! with openssl as the judge of what it makes.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test panics")]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod answers;
mod authorities;
mod colorapp;
mod full_disk;
mod hierarchy;
mod imported;
mod interrupted;
mod layouts;
mod plan;
mod reasons;
mod refusals;
mod take_over;
mod time;
mod trust;
