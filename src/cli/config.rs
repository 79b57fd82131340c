//! `certctl config`: what the mesh file says, and what it may say.

mod answer;
mod import;
mod online;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;

use answer::{Answer, Mesh, PlacedProblem, in_tables};
use clap::{Args, Subcommand};
use miette::{IntoDiagnostic, Report};
use online::Online;

use super::report::{called, contents, refusal, show};
use super::{Console, Format, MeshFileArgument, Outcome};
use crate::desired::mesh_file::{MeshFile, NamedFile, Places};
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
  certctl config check -f mesh.yaml --online

Shows everything that is wrong in one run.
Exit codes: 0 the file can be used, 1 it cannot, 3 it can, but not by what AWS says (--online).")]
struct Check {
    #[command(flatten)]
    mesh: MeshFileArgument,

    /// Ask AWS, too, about the private CAs that the file names: whether they are there, active, and
    /// do what the file wants of them. Nothing is issued, and it costs nothing.
    #[arg(long)]
    online: bool,

    /// How to print what the file says.
    #[arg(short = 'o', long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,
}

impl Check {
    fn run(self, console: &Console) -> Result<Outcome, Report> {
        let path = &self.mesh.path;
        let contents = contents(path)?;
        let text = String::from_utf8_lossy(&contents);
        let (desired, mut problems) = match MeshFile::read(path, &contents) {
            Ok(file) => {
                let mut problems = file.warnings;
                problems.extend(file.files.iter().filter_map(unusable));
                (Some(file.desired), problems)
            }
            Err(error) => (None, error.problems),
        };
        let valid = is_sound(&problems);
        let desired = desired.filter(|_| valid);
        let online = match desired.as_ref().filter(|_| self.online) {
            Some(desired) => {
                let places = Places::of(path, &contents);
                let (online, found) = Online::ask(desired, &places, console)?;
                problems.extend(found);
                Some(online)
            }
            None => None,
        };
        problems.sort_by_key(|problem| problem.span.start);
        let answer = Answer {
            file: called(path),
            valid,
            problems: problems.iter().map(|problem| PlacedProblem::of(problem, &text)).collect(),
            mesh: desired.as_ref().map(Mesh::of),
            online,
        };
        if self.format != Format::Table {
            console.answer(self.format, &answer, String::new)?;
        }
        if !valid {
            return Err(refusal(path, &text, &problems));
        }
        let holds = is_sound(&problems);
        for problem in show(path, &text, &problems) {
            let report = Report::new(problem);
            match holds {
                true => console.note(format!("{report:?}").trim_end()),
                false => console.error(&report),
            }
        }
        if let (Format::Table, Some(mesh), false) = (self.format, &answer.mesh, console.quiet) {
            console.print(&in_tables(&answer, mesh))?;
        }
        if !holds {
            return Ok(Outcome::DoesNotHold);
        }
        Ok(Outcome::Done)
    }
}

fn is_sound(problems: &[Problem]) -> bool {
    problems.iter().all(|problem| problem.severity != Severity::Error)
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
