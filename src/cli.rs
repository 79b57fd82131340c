//! The command line: parses, asks the library, prints. No logic of its own.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Parser, Subcommand, ValueEnum};
use miette::{IntoDiagnostic, Report, WrapErr};
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

use crate::time::Clock;

mod agent;
mod ca;
mod config;
mod envoy;
mod explain;
mod inspect;
mod issue;
mod named;
mod output;
mod report;
mod shell;
mod sign;
mod status;
mod table;
mod verify;

/// Mutual TLS for Envoy: a certificate for every node of a mesh, from one file.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "\
Start here:
  certctl config import manifests/ -o mesh.yaml   with App Mesh manifests
  certctl config check -f mesh.yaml
  certctl issue -f mesh.yaml -o certs             for Envoys that read files
  certctl agent -f mesh.yaml --sds sds.sock       for Envoys that ask over SDS

Environment (a flag wins):
  CERTCTL_FILE   the mesh file, as -f
  CERTCTL_OUT    the directory that `issue` writes, as its -o
  CERTCTL_SDS    the agent's socket, as --sds
  CERTCTL_STATE  the directory of the authorities' keys, and of an agent's state, as --state
  CERTCTL_SDS_TCP, CERTCTL_FILES, CERTCTL_NODE, CERTCTL_ADMIN, CERTCTL_METRICS, CERTCTL_LOG,
  CERTCTL_SDS_MODE, CERTCTL_SETTLE_WITHIN, CERTCTL_SOAK
                 as the flags of `agent` that are called so
  NO_COLOR       if set, no colours

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 checked and it does not hold."
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command accepts.
#[derive(Args, Clone, Debug)]
struct Global {
    /// Print errors and what was asked for, nothing else.
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Issue(issue::Issue),
    Envoy(envoy::Envoy),
    Agent(agent::AgentCommand),
    Status(status::StatusCommand),
    Renew(status::Renew),
    Explain(explain::Explain),
    Sign(sign::Sign),
    Inspect(inspect::Inspect),
    Verify(verify::Verify),
    Ca(ca::Ca),
    Config(config::Config),
    Completions(shell::Completions),
    Man(shell::Man),
}

/// How a command's answer is printed. The names say it all, so the help need not list them apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
    Yaml,
}

/// The mesh file that a command reads.
#[derive(Args, Clone, Debug)]
struct MeshFileArgument {
    /// The mesh file; `-` is standard input.
    #[arg(
        short = 'f',
        long = "file",
        value_name = "FILE",
        env = "CERTCTL_FILE",
        default_value = "mesh.yaml"
    )]
    path: PathBuf,
}

/// How a command ended when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It did what was asked.
    Done,
    /// What it was asked to check does not hold.
    DoesNotHold,
    /// What it was asked for makes no sense together, and the error has been told.
    WrongUsage,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::DoesNotHold => Self::from(3),
            Outcome::WrongUsage => Self::from(2),
        }
    }
}

/// Runs the command line and prints its error, if any, to standard error.
pub fn run(cli: Cli) -> ExitCode {
    // Set once; a second run in one process keeps the first one's.
    let _ = miette::set_hook(Box::new(|_| Box::new(report::handler())));
    let console =
        Console { quiet: cli.global.quiet, clock: Clock::system(), unread: AtomicBool::default() };
    let result = match cli.command {
        Command::Issue(command) => command.run(&console),
        Command::Envoy(command) => command.run(&console),
        Command::Agent(command) => command.run(&console),
        Command::Status(command) => command.run(&console),
        Command::Renew(command) => command.run(&console),
        Command::Explain(command) => command.run(&console),
        Command::Sign(command) => command.run(&console),
        Command::Inspect(command) => command.run(&console),
        Command::Verify(command) => command.run(&console),
        Command::Ca(command) => command.run(&console),
        Command::Config(command) => command.run(&console),
        Command::Completions(command) => command.run(&console),
        Command::Man(command) => command.run(&console),
    };
    match result {
        Ok(outcome) => outcome.into(),
        Err(report) => {
            console.error(&report);
            ExitCode::FAILURE
        }
    }
}

/// What commands wait with that ask somebody: an agent, or AWS.
fn runtime() -> Result<Runtime, Report> {
    Builder::new_current_thread().enable_all().build().into_diagnostic()
}

/// What a command needs of the world besides its arguments.
struct Console {
    quiet: bool,
    clock: Clock,
    /// Whether whoever read the answers has stopped reading.
    unread: AtomicBool,
}

impl Console {
    /// Prints an answer to standard output. A reader such as `head` that has seen enough is no
    /// failure, and hides none.
    fn print(&self, text: &str) -> Result<(), Report> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.unread.store(true, Ordering::Relaxed);
                Ok(())
            }
            written => written.into_diagnostic().wrap_err("cannot print the answer"),
        }
    }

    /// Prints an answer that has both a table and a machine-readable form.
    fn answer<T: Serialize>(
        &self,
        format: Format,
        value: &T,
        table: impl FnOnce() -> String,
    ) -> Result<(), Report> {
        match format {
            Format::Table => self.print(&table()),
            Format::Json => {
                let text = serde_json::to_string_pretty(value).into_diagnostic()?;
                self.print(&(text + "\n"))
            }
            Format::Yaml => self.print(&serde_saphyr::to_string(value).into_diagnostic()?),
        }
    }

    /// Tells what went wrong, on standard error.
    fn error(&self, report: &Report) {
        // Nothing is left to tell if it is closed.
        let _ = writeln!(io::stderr(), "{report:?}");
    }

    /// Tells what is going on, on standard error, unless `--quiet`.
    fn note(&self, text: &str) {
        if !self.quiet {
            // A closed standard error must not stop the work.
            let _ = writeln!(io::stderr(), "{text}");
        }
    }
}
