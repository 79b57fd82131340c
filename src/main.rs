//! Parses the command line, runs it, and turns its outcome into an exit code.

use std::process::ExitCode;

use certctl::cli::{Cli, run};
use clap::Parser;

fn main() -> ExitCode {
    run(Cli::parse())
}
