//! certctl: a certificate authority for meshes of Envoy proxies.
//!
//! The rooms, in the order in which data moves through them:
//!
//! - [`identity`]: names that cannot be built wrong.
//! - [`time`]: the clock, lifetimes, when a certificate is due.
//! - [`x509`]: keys and certificates.
//! - [`desired`]: who should exist, from every source.
//! - [`cli`]: the command line; the only room that may use all the others.

pub mod cli;
pub mod desired;
pub mod identity;
pub mod time;
pub mod x509;
