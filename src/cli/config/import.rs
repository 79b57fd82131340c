//! `certctl config import`: a mesh file from App Mesh manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use miette::{IntoDiagnostic, Report, WrapErr, miette};

use super::super::output::write_whole;
use super::super::report::{called, counted, show};
use super::super::{Console, Outcome};
use crate::desired::app_mesh::{self, ImportError, Manifest, Note, Options, Summary, place};
use crate::desired::document::{MAX_BYTES, decode};
use crate::identity::{AuthorityName, NodeName, TrustDomain};

/// What manifests are called in a directory.
const ENDINGS: [&str; 6] =
    [".yaml", ".yml", ".json", ".yaml.template", ".yml.template", ".json.template"];
const MAX_DEPTH: usize = 32;

/// Make a mesh file from App Mesh manifests.
///
/// Reads the VirtualNode, VirtualGateway and Mesh resources (and the services, routers and routes
/// between them) of `appmesh.k8s.aws/v1beta2`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  certctl config import manifests/ -o mesh.yaml
  certctl config import manifest.yaml.template --set APP_NAMESPACE=colors
  certctl config import manifests/ --authority green=ca_2
  kinds=virtualnodes,virtualgateways,virtualservices,virtualrouters,gatewayroutes,meshes
  kubectl get $kinds -A -o yaml | certctl config import -

What the manifests leave open, such as who signs whom, gets a sensible value and a remark that
begins with CHOOSE. Exit codes: 0 a mesh file was made, 1 none was.")]
pub(super) struct Import {
    /// Manifests (YAML or JSON), directories of them, or `-` for standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// What ${VAR} stands for in the manifests; wins over the environment; may be given several
    /// times.
    #[arg(long = "set", value_name = "VAR=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
    /// Who signs a node's certificate; may be given several times.
    #[arg(long = "authority", value_name = "NODE=AUTHORITY", value_parser = choice)]
    authorities: Vec<(NodeName, AuthorityName)>,
    /// The SPIFFE trust domain; otherwise taken from the SDS secrets, or guessed.
    #[arg(long, value_name = "DOMAIN")]
    trust_domain: Option<TrustDomain>,
    /// Give nodes without any TLS an identity, too.
    #[arg(long)]
    all: bool,
    /// Where the mesh file goes; `-` is standard output.
    #[arg(short, long = "out", visible_alias = "output", value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Overwrite the output if it is there.
    #[arg(long)]
    force: bool,
}

impl Import {
    pub(super) fn run(self, console: &Console) -> Result<Outcome, Report> {
        let to_file = self.output != Path::new("-");
        if to_file && !self.force && fs::symlink_metadata(&self.output).is_ok() {
            return Err(exists(&self.output));
        }
        let manifests = self.manifests(console)?;
        let variables: BTreeMap<_, _> = self.variables.iter().cloned().collect();
        let lookup = |name: &str| variables.get(name).cloned().or_else(|| std::env::var(name).ok());
        let options = Options {
            trust_domain: self.trust_domain.clone(),
            authorities: self.authorities.clone(),
            all: self.all,
        };
        let import = app_mesh::import(&manifests, &lookup, &options)
            .map_err(|error| explain(error, &manifests))?;
        for note in &import.notes {
            console.note(&note_line(note, &manifests));
        }
        if to_file {
            self.write(&import.mesh_file)?;
        } else {
            console.print(&import.mesh_file)?;
        }
        console.note(&summary_line(&import.summary, manifests.len()));
        if to_file {
            let path = called(&self.output);
            console.note(&format!("Wrote {path}. Next:  certctl config check -f {path}"));
        }
        Ok(Outcome::Done)
    }

    fn manifests(&self, console: &Console) -> Result<Vec<Manifest>, Report> {
        let mut manifests = Vec::new();
        let mut seen = BTreeSet::new();
        for path in &self.paths {
            if path == Path::new("-") {
                let text = read(&mut io::stdin().lock()).wrap_err("cannot read standard input")?;
                manifests.push(Manifest { name: "standard input".to_owned(), text });
                continue;
            }
            let metadata = fs::metadata(path)
                .into_diagnostic()
                .wrap_err_with(|| format!("cannot read {}", called(path)))?;
            let mut files = Vec::new();
            if metadata.is_dir() {
                walk(path, 0, &mut files)?;
                if files.is_empty() {
                    return Err(miette!(
                        help = format!("it takes files that end in {}", ENDINGS.join(", ")),
                        "there are no manifests in {}",
                        called(path)
                    ));
                }
            } else {
                files.push(path.clone());
            }
            for file in files.into_iter().filter(|file| seen.insert(file.clone())) {
                let text = fs::File::open(&file)
                    .into_diagnostic()
                    .and_then(|mut opened| read(&mut opened))
                    .wrap_err_with(|| format!("cannot read {}", called(&file)));
                match text {
                    Ok(text) => {
                        manifests.push(Manifest { name: called(&file), text });
                    }
                    // One that only lies in the same directory need not be a manifest.
                    Err(report) if metadata.is_dir() => {
                        let cause = report.chain().last().map(ToString::to_string);
                        let cause = cause.unwrap_or_default();
                        console.note(&format!("note: {}: skipped: {cause}", called(&file)));
                    }
                    Err(report) => return Err(report),
                }
            }
        }
        Ok(manifests)
    }

    fn write(&self, text: &str) -> Result<(), Report> {
        let path = &self.output;
        let written = if self.force {
            write_whole(path, text.as_bytes())
        } else {
            fs::File::create_new(path).and_then(|mut file| {
                file.write_all(text.as_bytes()).inspect_err(|_| drop(fs::remove_file(path)))
            })
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
            written => {
                written.into_diagnostic().wrap_err_with(|| format!("cannot write {}", called(path)))
            }
        }
    }
}

fn exists(path: &Path) -> Report {
    miette!(
        help = "choose another name, or overwrite it with --force",
        "{} is there already",
        called(path)
    )
}

/// The manifests below a directory, in order of their names. Hidden directories and links to
/// directories are not entered.
fn walk(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Report> {
    let entries = fs::read_dir(directory)
        .and_then(|entries| entries.collect::<Result<Vec<_>, _>>())
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot list {}", called(directory)))?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kind = fs::symlink_metadata(&path).into_diagnostic()?.file_type();
        if kind.is_dir() {
            if !name.starts_with('.') && depth < MAX_DEPTH {
                walk(&path, depth + 1, files)?;
            }
        } else if ENDINGS.iter().any(|ending| name.ends_with(ending)) && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn read(input: &mut dyn Read) -> Result<String, Report> {
    let mut bytes = Vec::new();
    input.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).into_diagnostic()?;
    match decode(&bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(problem) => Err(miette!("{}", problem.message)),
    }
}

/// Prints what is wrong with each manifest, and makes the error that the command ends with.
fn explain(error: ImportError, manifests: &[Manifest]) -> Report {
    match error {
        ImportError::Manifests(problems) => {
            for (number, manifest) in manifests.iter().enumerate() {
                let its = problems.iter().filter(|(of, _)| *of == number);
                let its: Vec<_> = its.map(|(_, problem)| problem.clone()).collect();
                for problem in show(Path::new(&manifest.name), &manifest.text, &its) {
                    // Nothing is left to tell if standard error is closed.
                    let _ = writeln!(io::stderr(), "{:?}", Report::new(problem));
                }
            }
            let errors = counted(problems.len(), "error", "errors");
            miette!("{errors} in the manifests; no mesh file was made")
        }
        ImportError::Unset(variables) => {
            let mut lines = Vec::new();
            for variable in &variables {
                let first = variable.places.first().copied().unwrap_or_default();
                let more = match variable.places.len() {
                    0 | 1 => String::new(),
                    count => format!(" and {} more", count - 1),
                };
                lines.push(format!("{} ({}{more})", variable.name, place(manifests, first)));
            }
            let (verb, sets) = (if lines.len() == 1 { "is" } else { "are" }, variables.iter());
            let sets: Vec<_> = sets.map(|v| format!("--set {}=...", v.name)).collect();
            miette!(
                help = format!("{}  (or set them in the environment)", sets.join(" ")),
                "{} {verb} not set",
                lines.join(", ")
            )
        }
        error @ ImportError::TrustDomain => {
            miette!(help = "say it with --trust-domain", "{error}")
        }
        error @ ImportError::UnknownNode(..) => {
            miette!(help = "--authority takes NODE=AUTHORITY", "{error}")
        }
        error @ ImportError::NoTls(_) => {
            miette!(help = "give each of them one with --all", "{error}")
        }
        error @ ImportError::Nothing(_) => miette!("{error}"),
    }
}

fn note_line(note: &Note, manifests: &[Manifest]) -> String {
    let place = note.place.map(|at| format!("{}: ", place(manifests, at))).unwrap_or_default();
    let help = note.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("note: {place}{}{help}", note.message)
}

fn summary_line(summary: &Summary, files: usize) -> String {
    let several = |count: usize, one, many| (count > 0).then(|| counted(count, one, many));
    let skipped = app_mesh::kinds_in_words(&summary.skipped);
    let skipped = (!skipped.is_empty()).then(|| format!("skipped {skipped}"));
    let parts = [
        several(summary.virtual_nodes, "virtual node", "virtual nodes"),
        several(summary.virtual_gateways, "virtual gateway", "virtual gateways"),
        several(summary.authorities, "authority", "authorities"),
        several(summary.left_out, "node left out", "nodes left out"),
        several(summary.choices, "line to CHOOSE", "lines to CHOOSE"),
        skipped,
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    format!("From {}: {}.", counted(files, "file", "files"), parts.join("; "))
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write VAR=VALUE")?;
    let valid = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        return Err(format!("{name:?} is no variable's name: letters, digits and '_'"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn choice(text: &str) -> Result<(NodeName, AuthorityName), String> {
    let (node, authority) = text.split_once('=').ok_or("write NODE=AUTHORITY")?;
    let node = NodeName::parse(node).map_err(|error| error.to_string())?;
    let authority = AuthorityName::parse(authority).map_err(|error| error.to_string())?;
    Ok((node, authority))
}
