//! The real certctl, run as its users run it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::tools;

/// Where it is.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_certctl");

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Run {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// What it answered.
    pub stdout: String,
    /// What it told besides.
    pub stderr: String,
}

/// Runs certctl in a directory, with arguments separated by spaces; `'…'` holds spaces together.
pub fn run(directory: &Path, arguments: &str) -> Run {
    command(directory, arguments).output().expect("certctl starts").into()
}

/// Runs a command that finds `input` on its standard input.
pub fn feed(mut command: Command, input: &str) -> Run {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("certctl starts");
    // One that refuses its arguments reads nothing, and closes its end.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("our own child").into()
}

/// certctl, about to be run in a directory; in the [`environment`] that is there.
pub fn command(directory: &Path, arguments: &str) -> Command {
    let mut command = bare(PROGRAM, directory);
    command.args(tools::split(arguments)).envs(environment(directory));
    command
}

/// What is in the `.env` of a directory, if there is one: `NAME=VALUE` on each line.
pub fn environment(directory: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(directory.join(".env")).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A program about to be run in a directory, without arguments. Nothing of the machine's own
/// configuration may change what the tests see: it gets `PATH` alone.
pub fn bare(program: &str, directory: &Path) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).current_dir(directory).stdin(Stdio::null());
    command
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

impl Run {
    /// All that it printed.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// What it answered, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It succeeded.
    #[track_caller]
    pub fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// It failed, and the error says all of this.
    #[track_caller]
    pub fn failed(self, words: &[&str]) -> Self {
        self.ended_with(1, words)
    }

    /// It ended with this exit code, and the error says all of this.
    #[track_caller]
    pub fn ended_with(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        let told = unwrapped(&self.stderr);
        for words in words {
            assert!(told.contains(words), "{words:?} is not in:\n{told}");
        }
        self
    }

    /// The line of the table about an authority or node: what follows its name.
    #[track_caller]
    pub fn row(&self, name: &str) -> String {
        let line = self.stdout.lines().find_map(|line| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with("  ").then(|| rest.split_whitespace().collect::<Vec<_>>().join(" "))
        });
        line.unwrap_or_else(|| panic!("no line about {name} in:\n{}\n{}", self.stdout, self.stderr))
    }

    /// The line about `name` says all of this.
    #[track_caller]
    pub fn says(self, name: &str, words: &[&str]) -> Self {
        let row = self.row(name);
        for words in words {
            assert!(row.contains(words), "{words:?} is not in {row:?}");
        }
        self
    }

    /// What it answered has this in it.
    #[track_caller]
    pub fn tells(self, words: &str) -> Self {
        assert!(self.stdout.contains(words), "{words:?} is not in:\n{}", self.stdout);
        self
    }
}

/// Text without the line breaks and margins that errors are wrapped with.
pub fn unwrapped(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_start_matches([' ', '|', '`', '-', '>']));
    lines.collect::<Vec<_>>().join(" ")
}
