//! What a node's Envoy has to be told: the YAML of its bootstrap, listener and clusters.
//!
//! Pure: from the mesh and a few addresses to text. What it writes is what Envoy 1.40 was seen to
//! need, each odd setting with its reason.

mod backends;
mod bootstrap;
mod certificates;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

use crate::desired::{Desired, Identity};
use crate::identity::NodeName;

/// Where an Envoy gets its certificates from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// From a running agent, over the Secret Discovery Service.
    Sds(Address),
    /// From the files that `certctl issue --live` or `certctl agent --files` keeps in a directory.
    Files(PathBuf),
}

/// A listening or connecting address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Tcp(Host),
    /// A Unix socket, by path.
    Unix(PathBuf),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// An IP address, or a DNS name to be resolved.
    pub name: String,
    /// The TCP port; 0 lets the kernel choose one to listen on.
    pub port: u16,
}

/// A text that is no address.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0:?} is no address; write HOST:PORT, [IPv6]:PORT, or the absolute path of a Unix socket")]
pub struct AddressError(String);

impl FromStr for Host {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.to_owned());
        if let Ok(address) = SocketAddr::from_str(text) {
            return Ok(Self { name: address.ip().to_string(), port: address.port() });
        }
        let (name, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || !name.chars().all(fits) {
            return Err(wrong());
        }
        Ok(Self { name: name.to_owned(), port: port.parse().map_err(|_| wrong())? })
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix("unix:").unwrap_or(text) {
            path if path.starts_with('/') => Ok(Self::Unix(path.into())),
            _ => text.parse().map(Self::Tcp),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

/// What a node's Envoy is to do besides mutual TLS.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its certificates come from.
    pub source: Source,
    /// Where it takes calls for its node.
    pub listen: Host,
    /// Where its node takes them from it.
    pub application: Host,
    /// Where its node's own calls go out.
    pub outbound: Host,
    /// Its admin interface, for its own host only.
    pub admin: Address,
    /// Where backends are, if not at their first DNS name.
    pub backends: BTreeMap<NodeName, Host>,
}

/// One file of YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What to call it, without a directory.
    pub name: String,
    /// The YAML.
    pub text: String,
}

/// How much of a configuration is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A bootstrap that boots as it is.
    Bootstrap,
    /// What an Envoy with a configuration of its own needs besides, for people to paste from.
    Parts,
}

/// What `identity`'s Envoy has to be told; in file mode, the files that this points at follow it,
/// named relative to `beside`, the directory that all of these will lie in.
pub fn configuration(
    desired: &Desired,
    identity: &Identity,
    options: &Options,
    extent: Extent,
    beside: &str,
) -> Vec<Document> {
    let context = Context { desired, identity, options, beside };
    let node = &identity.name;
    let first = match extent {
        Extent::Bootstrap => Document { name: format!("{node}.yaml"), text: context.bootstrap() },
        Extent::Parts => Document { name: format!("{node}-parts.yaml"), text: context.parts() },
    };
    std::iter::once(first).chain(context.secret_files()).collect()
}

/// All that the writers below read.
struct Context<'a> {
    desired: &'a Desired,
    identity: &'a Identity,
    options: &'a Options,
    beside: &'a str,
}

#[cfg(test)]
mod tests;
