//! What the tests share: the real certctl, also as a running agent, openssl, the tools that `make
//! tools` installs, and waiting.
//!
//! Every test crate compiles this module for itself and uses a part of it.
#![allow(dead_code, reason = "no crate uses all of it")]

pub mod agent;
pub mod application;
pub mod http;
pub mod moto;
pub mod openssl;
pub mod process;
pub mod program;
pub mod sds_client;
pub mod sds_fleet;
pub mod sds_frames;
pub mod sds_script;
pub mod sds_stub;
pub mod site;
pub mod tools;
pub mod wait;
