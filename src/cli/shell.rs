//! `certctl completions` and `certctl man`: what the shell itself wants to know.

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use miette::{IntoDiagnostic, Report};

use super::{Cli, Console, Outcome};

/// Print the completion script of a shell.
#[derive(Args, Debug)]
#[command(after_help = "Example:  certctl completions bash > /etc/bash_completion.d/certctl")]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, console: &Console) -> Result<Outcome, Report> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "certctl", &mut script);
        console.print(&String::from_utf8_lossy(&script))?;
        Ok(Outcome::Done)
    }
}

/// Print the manual page, every command included.
#[derive(Args, Debug)]
#[command(after_help = "Example:  certctl man | man -l -")]
pub(super) struct Man {}

impl Man {
    pub(super) fn run(self, console: &Console) -> Result<Outcome, Report> {
        let mut page = Vec::new();
        let mut root = Cli::command();
        root.build();
        render(&root, &mut page).into_diagnostic()?;
        console.print(&String::from_utf8_lossy(&page))?;
        Ok(Outcome::Done)
    }
}

/// One page for the whole tool: first itself, then each command in turn.
fn render(command: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    clap_mangen::Man::new(command.clone()).render(page)?;
    for subcommand in command.get_subcommands().filter(|c| c.get_name() != "help") {
        let name = subcommand.get_display_name().unwrap_or(subcommand.get_name()).to_owned();
        render(&subcommand.clone().name(name), page)?;
    }
    Ok(())
}
