//! `certctl envoy`: what a node's Envoy has to be told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use miette::{IntoDiagnostic, Report as Failure, WrapErr, miette};

use super::named::node;
use super::output::write_whole;
use super::{Console, MeshFileArgument, Outcome};
use crate::envoy::{Address, Document, Extent, Host, Options, Source, configuration};
use crate::identity::NodeName;

/// Print the Envoy configuration that a node needs.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  certctl envoy front -f mesh.yaml > front.yaml         a whole bootstrap: envoy -c front.yaml
  certctl envoy front -f mesh.yaml --parts              what to paste into one of your own
  certctl envoy front -f mesh.yaml --files /certs -o envoy   for certctl issue --live -o /certs

Certificates come from `certctl agent --sds PATH`, or with --files from its files.")]
pub(super) struct Envoy {
    /// The node or gateway.
    #[arg(value_name = "NODE")]
    node: String,

    #[command(flatten)]
    mesh: MeshFileArgument,

    /// The agent's socket, or HOST:PORT for one that listens on loopback TCP.
    #[arg(
        long,
        value_name = "PATH",
        env = "CERTCTL_SDS",
        default_value = "/run/certctl/sds.sock",
        conflicts_with = "files"
    )]
    sds: String,

    /// Read certificates from the files in this directory instead, as Envoy sees it.
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,

    /// Only the transport sockets and the agent's cluster, to paste into a configuration.
    #[arg(long)]
    parts: bool,

    /// Write the files into this directory instead of printing them; made when missing.
    #[arg(short, long = "out", value_name = "DIR")]
    output: Option<PathBuf>,

    /// Where Envoy takes calls for the node.
    #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:15000")]
    listen: Host,

    /// Where the node itself takes them from Envoy.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    application: Host,

    /// Where Envoy takes the node's own calls.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:15001")]
    outbound: Host,

    /// Envoy's admin interface: HOST:PORT or the path of a socket.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9901")]
    admin: Address,

    /// Where a backend is, if not at its first DNS name; may be given several times.
    #[arg(long = "backend", value_name = "NODE=HOST:PORT", value_parser = backend)]
    backends: Vec<(NodeName, Host)>,
}

impl Envoy {
    pub(super) fn run(self, console: &Console) -> Result<Outcome, Failure> {
        let desired = console.mesh(&self.mesh)?;
        let identity = node(&desired, &self.node)?;
        let source = match self.files {
            Some(directory) => Source::Files(directory),
            None => Source::Sds(address(&self.sds)?),
        };
        let options = Options {
            source,
            listen: self.listen,
            application: self.application,
            outbound: self.outbound,
            admin: self.admin,
            backends: BTreeMap::from_iter(self.backends),
        };
        let beside = self.output.as_ref().map(|path| path.display().to_string());
        let beside = beside.as_deref().unwrap_or("");
        let extent = if self.parts { Extent::Parts } else { Extent::Bootstrap };
        let documents = configuration(&desired, identity, &options, extent, beside);
        match &self.output {
            None => console.print(&printed(&documents))?,
            Some(directory) => {
                let failed = |path: &PathBuf| format!("cannot write {}", path.display());
                std::fs::create_dir_all(directory)
                    .into_diagnostic()
                    .wrap_err_with(|| failed(directory))?;
                for document in &documents {
                    let path = directory.join(&document.name);
                    write_whole(&path, document.text.as_bytes())
                        .into_diagnostic()
                        .wrap_err_with(|| failed(&path))?;
                    console.note(&format!("wrote {}", path.display()));
                }
            }
        }
        Ok(Outcome::Done)
    }
}

/// A single document as it is, so that it can be piped; several under their names.
fn printed(documents: &[Document]) -> String {
    match documents {
        [one] => one.text.clone(),
        several => several
            .iter()
            .map(|document| format!("---\n# File: {}\n{}", document.name, document.text))
            .collect(),
    }
}

/// `--sds` may name a relative path, as the agent's own flag does.
fn address(text: &str) -> Result<Address, Failure> {
    match text.parse::<Address>() {
        Ok(address) => Ok(address),
        Err(_) if !text.contains(':') && !text.is_empty() => Ok(Address::Unix(text.into())),
        Err(error) => Err(miette!("--sds: {error}")),
    }
}

fn backend(text: &str) -> Result<(NodeName, Host), String> {
    let (name, host) = text.split_once('=').ok_or("write it as NODE=HOST:PORT")?;
    let name = NodeName::parse(name).map_err(|error| error.to_string())?;
    Ok((name, host.parse().map_err(|error: crate::envoy::AddressError| error.to_string())?))
}
