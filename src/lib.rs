//! certctl: a certificate authority for meshes of Envoy proxies.
//!
//! The rooms, in the order in which data moves through them:
//!
//! - [`identity`]: names that cannot be built wrong.
//! - [`time`]: the clock, lifetimes, when a certificate is due.
//! - [`x509`]: keys and certificates.
//! - [`desired`]: who should exist, from every source.
//! - [`authority`]: who signs.
//! - [`signing`]: from a public key to a chain that may be published.
//! - [`provisioning`]: a new key and its certificate.
//! - [`files`]: whole files, or none, in a directory.
//! - [`cli`]: the command line; the only room that may use all the others.

pub mod authority;
pub mod cli;
pub mod desired;
pub mod files;
pub mod identity;
pub mod provisioning;
pub mod signing;
pub mod time;
pub mod x509;
