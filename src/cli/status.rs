//! `certctl status` and `certctl renew`: what a running agent says, and what it can be asked for.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use miette::{Report, miette};

use super::report::{called, counted};
use super::{Console, Format, Outcome, runtime};
use crate::admin::client::{Client, ClientError};
use crate::agent::{SDS_SOCKET, admin_socket};
use crate::status::Status;

mod words;

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(1);

/// Where a running agent can be asked.
#[derive(Args, Clone, Debug)]
struct AgentArgument {
    /// The agent's admin socket [default: the one beside --sds, or else in --state].
    #[arg(long, value_name = "PATH", env = "CERTCTL_ADMIN")]
    admin: Option<PathBuf>,

    /// The SDS socket that the agent was started with [default: /run/certctl/sds.sock].
    #[arg(long, value_name = "PATH", env = "CERTCTL_SDS")]
    sds: Option<PathBuf>,

    /// The state directory that the agent was started with, where it has no SDS socket.
    #[arg(long, value_name = "DIR", env = "CERTCTL_STATE")]
    state: Option<PathBuf>,
}

impl AgentArgument {
    fn socket(&self) -> PathBuf {
        let state = self.state.clone().unwrap_or_default();
        let usual = self.state.is_none().then_some(Path::new(SDS_SOCKET));
        admin_socket(self.admin.as_deref(), self.sds.as_deref().or(usual), &state)
    }
}

/// Show what a running agent holds, who has what of it, and what is wrong.
///
/// What is wrong comes first, then authorities, nodes, trust that is moving, and every connected
/// Envoy.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  certctl status
  certctl status --sds /run/certctl/sds.sock --watch
  certctl status -o json | jq '.nodes[] | {name, state}'

Exit codes: 0 all is well, 1 no agent answers, 3 something is wrong: a certificate has ended or
cannot be renewed, an authority cannot sign, an Envoy rejected a secret, the mesh file or the files
are behind.")]
pub(super) struct StatusCommand {
    #[command(flatten)]
    agent: AgentArgument,

    /// How to print it.
    #[arg(short = 'o', long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,

    /// Look every second and print it anew when it has changed, until interrupted.
    #[arg(short, long)]
    watch: bool,
}

impl StatusCommand {
    pub(super) fn run(self, console: &Console) -> Result<Outcome, Report> {
        let socket = self.agent.socket();
        let client = Client::new(&socket);
        runtime()?.block_on(async {
            if self.watch {
                return self.watch(console, &client).await;
            }
            let status = client.status().await.map_err(refused)?;
            console.answer(self.format, &status, || words::in_words(&status))?;
            Ok(outcome(&status))
        })
    }

    async fn watch(&self, console: &Console, client: &Client) -> Result<Outcome, Report> {
        let redraws = self.format == Format::Table && io::stdout().is_terminal();
        let mut shown: Option<Status> = None;
        let mut ticks = tokio::time::interval(EVERY);
        let mut gone = false;
        loop {
            ticks.tick().await;
            let status = match client.status().await {
                Err(ClientError::Absent { .. }) if shown.is_some() => {
                    if !gone {
                        console.note("the agent is gone; waiting for the next one");
                    }
                    gone = true;
                    continue;
                }
                status => status.map_err(refused)?,
            };
            gone = false;
            if shown.as_ref().is_some_and(|shown| !differ(shown, &status)) {
                continue;
            }
            if redraws {
                console.print("\u{1b}[H\u{1b}[2J\u{1b}[3J")?;
            }
            console.answer(self.format, &status, || words::in_words(&status))?;
            if console.unread.load(Ordering::Relaxed) {
                return Ok(Outcome::Done);
            }
            shown = Some(status);
        }
    }
}

fn outcome(status: &Status) -> Outcome {
    if status.problems.is_empty() { Outcome::Done } else { Outcome::DoesNotHold }
}

/// Whether two looks differ in more than what passes by itself.
fn differ(one: &Status, other: &Status) -> bool {
    let lasting = |status: &Status| {
        let mut status = status.clone();
        status.process.now = String::new();
        status.process.memory_bytes = None;
        for recipient in &mut status.recipients {
            recipient.connected_seconds = 0;
            recipient.secrets.iter_mut().for_each(|secret| secret.lag_seconds = None);
        }
        status
    };
    lasting(one) != lasting(other)
}

/// Have a running agent make new certificates now, though none is due.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  certctl renew front --sds /run/certctl/sds.sock
  certctl renew --all --sds /run/certctl/sds.sock

The old certificates are served until the new ones are there. `certctl status` shows how they get
on.")]
pub(super) struct Renew {
    /// The nodes.
    #[arg(value_name = "NODE", required_unless_present = "all")]
    nodes: Vec<String>,

    /// Every node that the agent keeps.
    #[arg(long, conflicts_with = "nodes")]
    all: bool,

    #[command(flatten)]
    agent: AgentArgument,
}

impl Renew {
    pub(super) fn run(self, console: &Console) -> Result<Outcome, Report> {
        let client = Client::new(&self.agent.socket());
        let answer = runtime()?.block_on(client.reissue(&self.nodes)).map_err(refused)?;
        console.note(&format!("{} begun", counted(answer.begun, "renewal", "renewals")));
        Ok(Outcome::Done)
    }
}

fn refused(error: ClientError) -> Report {
    let told = match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    let help = match &error {
        ClientError::Absent { path, source }
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            format!("run this as the agent's own user: {} is private to it", called(path))
        }
        ClientError::Absent { .. } => {
            "start one with `certctl agent`, or name its socket with --sds or --admin; the agent's \
             log says where it listens"
                .to_owned()
        }
        ClientError::Foreign { path, .. } => {
            format!("if {} is the SDS socket, name it with --sds", called(path))
        }
        ClientError::Silent { .. } | ClientError::Refused(_) => return miette!("{told}"),
    };
    miette!(help = help, "{told}")
}
