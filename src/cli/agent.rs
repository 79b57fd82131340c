//! `certctl agent`: keeps a mesh's certificates fresh and serves them.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use miette::{Report, miette};

use super::report::{absent, refused};
use super::{Console, MeshFileArgument, Outcome};
use crate::agent::{self, AgentError, Options};
use crate::desired::watch::WatchError;
use crate::identity::NodeName;
use crate::listening::ListeningError;
use crate::telemetry::logs;
use crate::time::parse_duration;

/// Keep a mesh's certificates fresh, and serve them to Envoys.
///
/// Reads the mesh file again whenever it changes; renews each certificate when half of its life is
/// over; serves Envoys over SDS, on a Unix socket and, where asked for, on loopback, and writes files
/// for those that read files. What was served stays served when something fails.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  certctl agent -f mesh.yaml --sds /run/certctl/sds.sock --node front    beside one Envoy
  certctl agent -f mesh.yaml --sds /run/certctl/sds.sock                 for all Envoys of a host
  certctl agent -f mesh.yaml --files /etc/envoy/certs                    for Envoys that read files
  certctl agent -f mesh.yaml --sds /run/certctl/sds.sock --replace       in the place of another one

SIGHUP reads the mesh file and the authorities again; SIGTERM and SIGINT end it in order, a second
one at once. `certctl status` shows how it gets on, `certctl envoy NODE` what an Envoy needs.")]
pub(super) struct AgentCommand {
    #[command(flatten)]
    mesh: MeshFileArgument,

    /// Serve SDS on a Unix socket here, besides any that systemd passes. Mount its directory into containers, not the socket: a
    /// mounted socket is lost when an agent that was killed starts again.
    #[arg(long, value_name = "PATH", env = "CERTCTL_SDS")]
    sds: Option<PathBuf>,

    /// Who may connect to that socket, as permission bits: 0660 with its directory's group, or 0666
    /// where `attest` in the mesh file says who may have what.
    #[arg(
        long,
        value_name = "MODE",
        env = "CERTCTL_SDS_MODE",
        default_value = "0600",
        value_parser = permission_bits
    )]
    sds_mode: u32,

    /// Serve SDS on this loopback address too, to anybody there: only nodes with `attest: any`.
    #[arg(long, value_name = "ADDRESS", env = "CERTCTL_SDS_TCP", value_parser = address)]
    sds_tcp: Option<SocketAddr>,

    /// Write files here as well, in the live layout of `certctl issue --live`.
    #[arg(long, value_name = "DIR", env = "CERTCTL_FILES")]
    files: Option<PathBuf>,

    /// Where the authorities' keys and what is served survive a restart [default: systemd's
    /// STATE_DIRECTORY if it is set, else certctl-state].
    #[arg(long, value_name = "DIR", env = "CERTCTL_STATE")]
    state: Option<PathBuf>,

    /// Keep and serve this node only; may be given several times.
    #[arg(
        long,
        value_name = "NODE",
        env = "CERTCTL_NODE",
        value_delimiter = ',',
        value_parser = NodeName::parse
    )]
    node: Vec<NodeName>,

    /// The socket that `certctl status` asks [default: the SDS socket's path and `.admin`, or
    /// admin.sock in the state directory].
    #[arg(long, value_name = "PATH", env = "CERTCTL_ADMIN")]
    admin: Option<PathBuf>,

    /// Serve /metrics, /healthz and /readyz here, such as 127.0.0.1:9464, over plain HTTP. Whoever
    /// reaches it may read them: names and times, no secrets.
    #[arg(long, value_name = "ADDRESS", env = "CERTCTL_METRICS", value_parser = address)]
    metrics: Option<SocketAddr>,

    /// The longest that a change of trust waits for Envoys that do not acknowledge it.
    #[arg(
        long,
        value_name = "DURATION",
        env = "CERTCTL_SETTLE_WITHIN",
        default_value = "1h",
        value_parser = parse_duration
    )]
    settle_within: Duration,

    /// How long a change of trust waits for what reads files, which acknowledges nothing.
    #[arg(
        long,
        value_name = "DURATION",
        env = "CERTCTL_SOAK",
        default_value = "2m",
        value_parser = parse_duration
    )]
    soak: Duration,

    /// Take the sockets over from the agent that runs here now, and let it end.
    #[arg(long)]
    replace: bool,

    /// Write no node's key or certificate to the state directory: a restart makes them all anew.
    #[arg(long)]
    no_store: bool,

    /// What to log, as RUST_LOG has it: info, debug, warn,certctl::sds=debug [default: RUST_LOG if
    /// it is set, else info].
    #[arg(long, value_name = "FILTER", env = "CERTCTL_LOG")]
    log: Option<String>,
}

impl AgentCommand {
    pub(super) fn run(self, console: &Console) -> Result<Outcome, Report> {
        if self.mesh.path == Path::new("-") {
            return Ok(misused(
                console,
                &miette!(
                    help = "name a file, so that it can be read again when it changes",
                    "an agent cannot follow standard input"
                ),
            ));
        }
        if let Err(error) = logs::start(self.log.as_deref()) {
            return Ok(misused(console, &miette!("{error}")));
        }
        let ended = agent::run(Options {
            admin: self.admin,
            clock: console.clock.clone(),
            files: self.files,
            mesh: self.mesh.path,
            metrics: self.metrics,
            nodes: self.node,
            replace: self.replace,
            sds: self.sds,
            sds_mode: self.sds_mode,
            sds_tcp: self.sds_tcp,
            settle_within: self.settle_within,
            soak: self.soak,
            state: self.state,
            store: !self.no_store,
        });
        match ended {
            Ok(()) => Ok(Outcome::Done),
            Err(error @ (AgentError::ServesNobody | AgentError::SamePlace { .. })) => {
                Ok(misused(console, &failed(error)))
            }
            Err(error) => Err(failed(error)),
        }
    }
}

fn misused(console: &Console, report: &Report) -> Outcome {
    console.error(report);
    Outcome::WrongUsage
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "write an IP address and a port, such as 127.0.0.1:9464 or [::1]:9464".to_owned()
    })
}

fn permission_bits(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .map_err(|_| "write permission bits in octal digits, such as 0600 or 0666".to_owned())
}

/// With the mesh file's own lines, where it is to blame.
fn failed(error: AgentError) -> Report {
    match error {
        AgentError::Mesh(WatchError::Refused(error)) => refused(error),
        AgentError::Mesh(WatchError::Unreadable { path, source })
            if source.kind() == io::ErrorKind::NotFound =>
        {
            absent(&path)
        }
        AgentError::UnknownNode { name, help } => {
            miette!(help = help, "the mesh has no node {name:?}")
        }
        AgentError::ServesNobody => miette!(
            help = "name a socket with --sds PATH, an address with --sds-tcp, or a directory with \
                    --files DIR",
            "{error}"
        ),
        AgentError::Listening(ListeningError::System { .. }) => miette!(
            help = "run it as a user that may make files there, or name another path",
            "{}",
            in_full(&error)
        ),
        AgentError::Mesh(WatchError::Unreadable { .. }) => {
            miette!(help = "run it as a user that may read it", "{}", in_full(&error))
        }
        error => miette!("{}", in_full(&error)),
    }
}

/// An error with its causes, each once.
fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.contains(&told) {
            text += &format!(": {told}");
        }
        cause = error.source();
    }
    text
}
