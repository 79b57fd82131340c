//! `certctl completions` and `certctl man`: what the shell itself wants to know.

use std::fmt::Write as _;
use std::io;

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man as Page;
use miette::{IntoDiagnostic, Report};

use super::{Cli, Console, Outcome};

/// Print the completion script of a shell.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  certctl completions bash >/etc/bash_completion.d/certctl
  certctl completions zsh >/usr/local/share/zsh/site-functions/_certctl
  certctl completions fish >~/.config/fish/completions/certctl.fish")]
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
#[command(after_help = "\
Examples:
  certctl man | man -l -
  certctl man >/usr/local/share/man/man1/certctl.1")]
pub(super) struct Man {}

impl Man {
    pub(super) fn run(self, console: &Console) -> Result<Outcome, Report> {
        let mut root = Cli::command();
        root.build();
        console.print(&page(&root).into_diagnostic()?)?;
        Ok(Outcome::Done)
    }
}

/// What every rendered part begins with (how to write an apostrophe), and a page needs once.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// One page for the whole tool: first itself, then each command as a section.
fn page(root: &Command) -> io::Result<String> {
    let page = Page::new(root.clone());
    let mut text = PREAMBLE.to_owned() + &rendered(|out| page.render_title(out))?;
    for render in [Page::render_name_section, Page::render_synopsis_section] {
        text += &rendered(|out| render(&page, out))?;
    }
    text += &rendered(|out| page.render_options_section(out))?;
    text += ".SH NOTES\n";
    text += &as_written(root);
    for command in root.get_subcommands() {
        sections(command, "certctl", &mut text)?;
    }
    Ok(text)
}

fn sections(command: &Command, above: &str, text: &mut String) -> io::Result<()> {
    if command.get_name() == "help" {
        return Ok(());
    }
    let name = format!("{above} {}", command.get_name());
    let page = Page::new(command.clone().name(name.clone()));
    let _ = writeln!(text, ".SH \"{}\"", name.to_uppercase());
    for (heading, section) in [
        (".SH DESCRIPTION", rendered(|out| page.render_description_section(out))?),
        (".SH SYNOPSIS", rendered(|out| page.render_synopsis_section(out))?),
        (".SH OPTIONS", rendered(|out| page.render_options_section(out))?),
    ] {
        *text += section.replace(heading, ".PP").as_str();
    }
    *text += ".PP\n";
    *text += &as_written(command);
    command.get_subcommands().try_for_each(|below| sections(below, &name, text))
}

/// The end of a command's help line by line: examples are not to be filled up to paragraphs.
fn as_written(command: &Command) -> String {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines = help.lines().map(|line| {
        let line = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
        // A line that begins with a dot would be a command.
        if line.starts_with('.') { format!("\\&{line}\n") } else { line + "\n" }
    });
    format!(".nf\n{}.fi\n", lines.collect::<String>())
}

/// What is rendered, without the preamble.
fn rendered(render: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> io::Result<String> {
    let mut bytes = Vec::new();
    render(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).replace(PREAMBLE, ""))
}
