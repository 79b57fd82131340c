//! `certctl agent` and `certctl status` as operators meet them: the real program, started, edited,
//! signalled, replaced and asked.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test panics")]

#[path = "../support/mod.rs"]
mod support;

mod edits;
mod grants;
mod life;
mod metrics;
mod secrets;
mod sockets;
mod status;
mod systemd;
mod trust;
mod usage;

/// Three nodes under two authorities, served to anybody.
const MESH: &str = "\
version: 1
trustDomain: example.org
authorities: { ca_1: {}, ca_2: {} }
defaults: { attest: any }
virtualNodes:
  front: { authority: ca_1, trust: [ca_1] }
  blue: { authority: ca_1, callers: [front] }
  green: { authority: ca_2, trust: [ca_1], callers: [front] }
";
