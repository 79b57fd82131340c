//! What the tests share: the tools that `make tools` installs, real Envoys, and other judges.
//!
//! Every test crate compiles this module for itself and uses a part of it, hence `dead_code`;
//! helpers outside `#[test]` functions panic like tests do, which clippy cannot see.
#![allow(dead_code, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

pub mod authority;
pub mod envoy;
pub mod http;
pub mod mutual_tls;
pub mod openssl;
pub mod pkilint;
pub mod site;
pub mod tools;
pub mod wait;
