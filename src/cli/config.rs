//! `certctl config`: what the mesh file says, and what it may say.

mod answer;
mod import;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;

use answer::{Answer, Mesh, PlacedProblem, in_tables};
use clap::{Args, Subcommand};
use miette::{IntoDiagnostic, Report};

use super::report::{called, contents, refusal, show};
use super::{Console, Format, MeshFileArgument, Outcome};
use crate::desired::mesh_file::{MeshFile, NamedFile};
use crate::desired::problem::{Problem, Severity};
use crate::desired::schema::schema;

/// Check the mesh file, print its schema, or make one from App Mesh manifests.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  certctl config check -f mesh.yaml
  certctl config import manifests/ -o mesh.yaml
  certctl config schema >mesh.schema.json")]
pub(super) struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(Check),
    Import(import::Import),
    Schema(Schema),
}

impl Config {
    pub(super) fn run(self, console: &Console) -> Result<Outcome, Report> {
        match self.command {
            Command::Check(command) => command.run(console),
            Command::Import(command) => command.run(console),
            Command::Schema(command) => command.run(console),
        }
    }
}

/// Check the mesh file and the files that it names, and say who trusts whom.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  certctl config check -f mesh.yaml
  certctl config check -f mesh.yaml -o json | jq '.problems[]'

Shows everything that is wrong in one run.
Exit codes: 0 the file can be used, 1 it cannot.")]
struct Check {
    #[command(flatten)]
    mesh: MeshFileArgument,

    /// How to print what the file says.
    #[arg(short = 'o', long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,
}

impl Check {
    fn run(self, console: &Console) -> Result<Outcome, Report> {
        let path = &self.mesh.path;
        let contents = contents(path)?;
        let text = String::from_utf8_lossy(&contents);
        let (desired, problems) = match MeshFile::read(path, &contents) {
            Ok(file) => {
                let mut problems = file.warnings;
                problems.extend(file.files.iter().filter_map(unusable));
                problems.sort_by_key(|problem| problem.span.start);
                (Some(file.desired), problems)
            }
            Err(error) => (None, error.problems),
        };
        let valid = problems.iter().all(|problem| problem.severity != Severity::Error);
        let answer = Answer {
            file: called(path),
            valid,
            problems: problems.iter().map(|problem| PlacedProblem::of(problem, &text)).collect(),
            mesh: desired.as_ref().filter(|_| valid).map(Mesh::of),
        };
        if self.format != Format::Table {
            console.answer(self.format, &answer, String::new)?;
        }
        if !valid {
            return Err(refusal(path, &text, &problems));
        }
        for warning in show(path, &text, &problems) {
            console.note(format!("{:?}", Report::new(warning)).trim_end());
        }
        if let (Format::Table, Some(mesh), false) = (self.format, &answer.mesh, console.quiet) {
            console.print(&in_tables(&answer, mesh))?;
        }
        Ok(Outcome::Done)
    }
}

/// Why a file that the mesh file names cannot be used, or should not be as it is.
fn unusable(file: &NamedFile) -> Option<Problem> {
    let (path, field) = (file.path.display(), file.field);
    let refuse = |why: String| {
        let message = format!("`{field}`: cannot read {path}: {why}");
        Some(Problem::error(file.span.clone(), message))
    };
    let metadata = match fs::metadata(&file.path) {
        Ok(metadata) => metadata,
        Err(error) => return refuse(error.to_string()),
    };
    if metadata.is_dir() {
        return refuse("it is a directory".to_owned());
    }
    // Opening a pipe would wait for its writer.
    if metadata.is_file()
        && let Err(error) = File::open(&file.path)
    {
        return refuse(error.to_string());
    }
    let secret = matches!(field, "key" | "passphraseFile");
    (secret && metadata.permissions().mode() & 0o007 != 0).then(|| {
        let message = format!("`{field}`: every user of this machine may open {path}");
        Problem::warning(file.span.clone(), message).help(format!("chmod o-rwx {path}"))
    })
}

/// Print the JSON Schema of the mesh file, for editors.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  certctl config schema >mesh.schema.json

Then begin the mesh file with this line, and editors that know YAML schemas complete it:
  # yaml-language-server: $schema=mesh.schema.json")]
struct Schema {}

impl Schema {
    fn run(self, console: &Console) -> Result<Outcome, Report> {
        let text = serde_json::to_string_pretty(&schema()).into_diagnostic()?;
        console.print(&(text + "\n"))?;
        Ok(Outcome::Done)
    }
}
