//! `certctl ca`: the authorities of a mesh, as they stand.

mod list;
mod revoke;

use clap::{Args, Subcommand};
use miette::Report;

use super::{Console, Outcome};

/// List the authorities of a mesh, or revoke a certificate of AWS Private CA.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  certctl ca list -f mesh.yaml --state certs
  certctl ca revoke 79:3F:0D:5B --authority pca --reason key-compromise")]
pub(super) struct Ca {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Revoke(revoke::Revoke),
}

impl Ca {
    pub(super) fn run(self, console: &Console) -> Result<Outcome, Report> {
        match self.command {
            Command::List(command) => command.run(console),
            Command::Revoke(command) => command.run(console),
        }
    }
}
