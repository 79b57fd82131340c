//! The mesh file: from YAML text to [`Desired`], everything that is wrong with it told at once.
//!
//! Pure: the files that it names are not looked at, only listed.

mod acm_pca;
mod attest;
mod authorities;
mod checks;
mod distrust;
mod nodes;
mod places;
mod resolution;
mod values;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::{IndexMap, IndexSet};
use thiserror::Error;

use super::Desired;
use super::document::{Document, Node, Spanned, Value, decode, parse_documents};
use super::problem::{Problem, Problems, Severity, place};
use super::reader::MappingReader;
use crate::identity::{DnsName, NodeName, TrustDomain};
use crate::time::{TimeError, in_words, parse_duration};
use authorities::WrittenAuthority;
use nodes::{Settings, WrittenNode};
pub use places::Places;
use values::{Texts, texts};

const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(24 * 3_600);

/// A mesh file that was read and found to be whole.
#[derive(Clone, Debug, PartialEq)]
pub struct MeshFile {
    /// What it says.
    pub desired: Desired,
    /// What its author should look at, or know.
    pub warnings: Vec<Problem>,
    /// The files that it names, in the order of the text.
    pub files: Vec<NamedFile>,
}

/// A file that a mesh file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// Where it is: relative paths begin at the mesh file's directory.
    pub path: PathBuf,
    /// The field that names it.
    pub field: &'static str,
    /// Where it is named, as byte offsets into the mesh file.
    pub span: std::ops::Range<usize>,
}

/// Why a mesh file is refused: all the reasons.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub struct MeshFileError {
    /// The mesh file.
    pub path: PathBuf,
    /// Its text, for showing the lines in question.
    pub text: String,
    /// What is wrong with it, in the order of the text, warnings included; at least one error.
    pub problems: Vec<Problem>,
}

impl fmt::Display for MeshFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut errors = self.problems.iter().filter(|p| p.severity == Severity::Error);
        let (first, others) = (errors.next(), errors.count());
        write!(f, "{}", self.path.display())?;
        if let Some(problem) = first {
            let (line, column) = place(&self.text, problem.span.start);
            write!(f, ":{line}:{column}: {}", problem.message)?;
        }
        match others {
            0 => Ok(()),
            1 => write!(f, " (and 1 more error)"),
            others => write!(f, " (and {others} more errors)"),
        }
    }
}

impl MeshFileError {
    /// All that is wrong, a line for each problem: `FILE:LINE:COLUMN: error: ...`.
    pub fn in_full(&self) -> String {
        in_full(&self.path, &self.text, &self.problems).join("\n")
    }
}

/// Each of `problems` in a line, with its place and what to do about it.
fn in_full(path: &Path, text: &str, problems: &[Problem]) -> Vec<String> {
    let line = |problem: &Problem| {
        let (line, column) = place(text, problem.span.start);
        let severity = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let help = problem.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{}:{line}:{column}: {severity}: {}{help}", path.display(), problem.message)
    };
    problems.iter().map(line).collect()
}

impl MeshFile {
    /// The warnings, a line for each: `FILE:LINE:COLUMN: warning: ...`. `path` and `contents` are
    /// those that were read.
    pub fn warnings_in_full(&self, path: &Path, contents: &[u8]) -> Vec<String> {
        in_full(path, &String::from_utf8_lossy(contents), &self.warnings)
    }

    /// Reads the mesh file `contents` that came from `path`, whose directory is where the relative
    /// paths in it begin.
    ///
    /// # Errors
    /// With every problem that was found, when one of them is an error.
    pub fn read(path: &Path, contents: &[u8]) -> Result<Self, MeshFileError> {
        let problems = Problems::new();
        let directory = path.parent().unwrap_or(Path::new(""));
        let read = match decode(contents) {
            Ok(text) => read_text(text, directory, &problems),
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        match read {
            Some((desired, files)) if !problems.has_errors() => {
                Ok(Self { desired, warnings: problems.into_vec(), files })
            }
            _ => Err(MeshFileError {
                path: path.to_owned(),
                text: String::from_utf8_lossy(contents).into_owned(),
                problems: problems.into_vec(),
            }),
        }
    }
}

/// What the readers of all parts need.
struct Scope<'a> {
    directory: &'a Path,
    problems: &'a Problems,
    files: RefCell<Vec<NamedFile>>,
}

/// The file as it is written: each part sound by itself, references not followed.
struct Written<'a> {
    trust_domain: TrustDomain,
    dns_suffix: Option<Spanned<DnsName>>,
    clock_skew: Duration,
    defaults: Settings<'a>,
    distrust: Option<Texts<'a>>,
    authorities: Vec<WrittenAuthority<'a>>,
    nodes: Vec<WrittenNode<'a>>,
    /// Every name under `authorities` and under `virtualNodes` and `virtualGateways`, the unusable
    /// ones too: a reference to one of those is not wrong a second time.
    authority_names: IndexSet<&'a str>,
    node_names: IndexSet<&'a str>,
}

/// None where the text is too far from a mesh file to go on. An answer may come with errors.
fn read_text(
    text: &str,
    directory: &Path,
    problems: &Problems,
) -> Option<(Desired, Vec<NamedFile>)> {
    let documents = parse_documents(text, problems)?;
    let document = the_only_one(&documents, problems)?;
    let scope = Scope { directory, problems, files: RefCell::default() };
    let written = read_document(document, &scope)?;
    let authorities = authorities::resolve(&written, problems);
    let mut desired = Desired {
        trust_domain: written.trust_domain.clone(),
        clock_skew: written.clock_skew,
        distrust: distrust::listed(&written, authorities.keys().cloned(), problems),
        authorities,
        identities: IndexMap::new(),
    };
    desired.identities = resolution::identities(&written, &desired, problems);
    distrust::check(&written, &desired, problems);
    checks::check(&written, &desired, problems);
    Some((desired, scope.files.into_inner()))
}

fn the_only_one<'a>(documents: &'a [Document], problems: &Problems) -> Option<&'a Document> {
    match documents {
        [] => {
            problems.push(
                Problem::error(0..0, "the mesh file is empty")
                    .help("begin with version: 1, trustDomain, authorities and virtualNodes"),
            );
            None
        }
        [document] => Some(document),
        [_, second, ..] => {
            let at = second.root.span.start;
            problems.push(
                Problem::error(at..at, "a second document begins here; a mesh file is one")
                    .help("remove the line with ---"),
            );
            None
        }
    }
}

fn read_document<'a>(document: &'a Document, scope: &Scope<'a>) -> Option<Written<'a>> {
    let problems = scope.problems;
    let mut reader = MappingReader::new(&document.root, "the mesh file", problems)?;
    version(&mut reader)?;
    let trust_domain = reader.required("trustDomain").and_then(|node| {
        let text = super::reader::text("trustDomain", node, problems)?;
        super::reader::parsed(&text, TrustDomain::parse, problems)
    });
    let dns_suffix = reader.parsed("dnsSuffix", DnsName::parse);
    let clock_skew = reader.parsed("clockSkew", clock_skew);
    let defaults = reader.optional("defaults").map(|_| {
        let defaults = reader.mapping("defaults", "`defaults`").map(Settings::read_defaults);
        // Unreadable ones may have said who signs.
        defaults.unwrap_or(Settings { authority: Some(None), ..Settings::default() })
    });

    let distrust = texts(&mut reader, "distrust");
    reader.must_have("authorities");
    let listed = reader.entries("authorities").unwrap_or(&[]);
    if let Some((key, Node { value: Value::Null | Value::Mapping(_), .. })) =
        reader.field("authorities")
        && listed.is_empty()
    {
        problems.push(
            Problem::error(key.span.clone(), "`authorities` names no authority")
                .help("write ca_1: {} below it for an authority that certctl makes"),
        );
    }
    let authority_names = listed.iter().map(|(key, _)| key.value.as_str()).collect();
    let authorities = listed
        .iter()
        .filter_map(|(key, node)| WrittenAuthority::read(key, node, trust_domain.as_ref(), scope))
        .collect();

    let mut kinds = [("virtualNodes", "a virtual node"), ("virtualGateways", "a virtual gateway")]
        .map(|(field, what)| {
            let at = reader.field(field).map(|(key, _)| key.span.start);
            (at, what, reader.entries(field).unwrap_or_default())
        });
    kinds.sort_by_key(|(at, ..)| Reverse(at.map(Reverse)));
    let entries = || kinds.iter().flat_map(|(_, what, entries)| entries.iter().map(|e| (*what, e)));
    let node_names = entries().map(|(_, (key, _))| key.value.as_str()).collect();
    let nodes =
        entries().filter_map(|(what, (key, node))| WrittenNode::read(key, node, what, problems));
    let nodes = differently_named(nodes.collect(), problems);
    reader.finish();

    Some(Written {
        // Stands in for a bad one, so that paths are judged all the same.
        trust_domain: match trust_domain {
            Some(domain) => domain.value,
            None => TrustDomain::parse("unknown").ok()?,
        },
        dns_suffix,
        clock_skew: clock_skew.map_or(DEFAULT_CLOCK_SKEW, |skew| skew.value),
        defaults: defaults.unwrap_or_default(),
        distrust,
        authorities,
        nodes,
        authority_names,
        node_names,
    })
}

/// `nodes` without the second of two that have one name, which is an error.
fn differently_named<'a>(nodes: Vec<WrittenNode<'a>>, problems: &Problems) -> Vec<WrittenNode<'a>> {
    let mut named: IndexMap<NodeName, WrittenNode<'_>> = IndexMap::new();
    for node in nodes {
        let Spanned { value: name, span } = node.name.clone();
        match named.get(&name) {
            None => {
                named.insert(name, node);
            }
            Some(first) => problems.push(
                Problem::error(span, format!("there are two nodes `{name}`"))
                    .related(first.name.span.clone(), "the other one")
                    .help("rename one of the two: gateways and nodes share their names"),
            ),
        }
    }
    named.into_values().collect()
}

/// Goes on without a version, for that is soon added, but not with another one: what that means
/// by the other fields is not known.
fn version(reader: &mut MappingReader<'_>) -> Option<()> {
    let Some(node) = reader.required("version") else {
        return Some(());
    };
    if matches!(&node.value, Value::Scalar { text, quoted: false } if text == "1") {
        return Some(());
    }
    let shown = match &node.value {
        Value::Scalar { text, quoted: true } => format!("{text:?} in quotes"),
        Value::Scalar { text, .. } => format!("{text:?}"),
        other => other.kind().to_owned(),
    };
    let message = format!("`version` is {shown}; this certctl reads version 1");
    reader.problems().push(Problem::error(node.span.clone(), message).help("write version: 1"));
    None
}

fn clock_skew(text: &str) -> Result<Duration, String> {
    let skew = parse_duration(text).map_err(|error: TimeError| error.to_string())?;
    if skew > MAX_CLOCK_SKEW {
        let most = in_words(MAX_CLOCK_SKEW);
        return Err(format!("a clock skew of {text} is too long; the most is {most}"));
    }
    Ok(skew)
}

/// Each kind of mapping with each field that its reader asks for, as far as `text` has them.
#[cfg(test)]
pub(super) fn fields(text: &str) -> std::collections::BTreeSet<(&'static str, &'static str)> {
    let problems = Problems::new();
    read_text(text, Path::new(""), &problems);
    problems.fields.take()
}

#[cfg(test)]
mod tests;
