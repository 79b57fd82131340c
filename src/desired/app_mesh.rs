//! App Mesh manifests, read for what they say about TLS, and a mesh file that says the same.
//!
//! Pure: texts in, a text and notes out. Where the manifests leave something open (above all, who
//! signs whom) the file has a sensible choice and a remark beside it. Knows nothing of files,
//! clusters or certificates.

mod authorities;
mod graph;
mod identities;
mod names;
mod resources;
mod template;
mod translate;
mod view;
mod write;

use std::cell::RefCell;
use std::collections::BTreeMap;

use indexmap::IndexMap;
use thiserror::Error;

use super::document::parse_documents;
use super::problem::{Problem, Problems, Severity};
use crate::identity::{AuthorityName, NodeName, TrustDomain};
use crate::x509::printable::printable;
use graph::Graph;
use resources::{Origin, Resources, looks_like_ours};
use template::Masked;
use view::{Reader, View};

/// A file of manifests.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// What messages call it.
    pub name: String,
    /// YAML or JSON, possibly several documents, possibly with `${VAR}` in it.
    pub text: String,
}

/// What the user decides.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The mesh's trust domain, where it is not to be guessed.
    pub trust_domain: Option<TrustDomain>,
    /// Who signs whom, by the node's name in the mesh file.
    pub authorities: Vec<(NodeName, AuthorityName)>,
    /// Whether nodes without any TLS get an identity, too.
    pub all: bool,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Import {
    /// The text of a mesh file.
    pub mesh_file: String,
    /// What the user should know, in the order of the manifests.
    pub notes: Vec<Note>,
    /// What there was.
    pub summary: Summary,
}

/// Something that the user should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The number of the manifest, and the byte offset there.
    pub place: Option<(usize, usize)>,
    /// One sentence, without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// How much there was of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The virtual nodes in the mesh file.
    pub virtual_nodes: usize,
    /// The virtual gateways in the mesh file.
    pub virtual_gateways: usize,
    /// The authorities in the mesh file.
    pub authorities: usize,
    /// The nodes and gateways that are not in it.
    pub left_out: usize,
    /// The remarks in the mesh file that ask for a decision.
    pub choices: usize,
    /// The resources of other kinds, by kind.
    pub skipped: BTreeMap<String, usize>,
}

/// Why there is no mesh file.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The manifests are wrong. Each problem has the number of its manifest.
    #[error("the manifests cannot be read")]
    Manifests(Vec<(usize, Problem)>),
    /// `${VAR}` in what is needed, and nobody said what it stands for.
    #[error("{} not set", unset_in_words(.0))]
    Unset(Vec<UnsetVariable>),
    /// No node and no gateway.
    #[error("there is no VirtualNode and no VirtualGateway in the manifests{}", skipped_in_words(.0))]
    Nothing(BTreeMap<String, usize>),
    /// Nodes, but none with TLS.
    #[error("none of the nodes and gateways here ({0}) uses TLS, so there is no identity to make")]
    NoTls(usize),
    /// `--authority` for a node that is not there.
    #[error("there is no node {0} to choose an authority for; there are {1}")]
    UnknownNode(NodeName, String),
    /// Nothing would do as a trust domain.
    #[error("the manifests have nothing that could be the name of the trust domain; say which")]
    TrustDomain,
}

/// A variable that nobody set, and where it stands: manifest and byte offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsetVariable {
    /// Its name.
    pub name: String,
    /// Where it is needed, in the order of the manifests.
    pub places: Vec<(usize, usize)>,
}

/// Reads manifests and writes a mesh file (version 1) that says the same. `lookup` gives the
/// values of template variables.
///
/// # Errors
/// When a manifest cannot be read, a needed variable is not set, or there is nothing to import.
/// All problems of the manifests are reported at once.
pub fn import(
    manifests: &[Manifest],
    lookup: &dyn Fn(&str) -> Option<String>,
    options: &Options,
) -> Result<Import, ImportError> {
    let (resources, mut notes) = read(manifests, lookup)?;
    if resources.proxies.is_empty() {
        return Err(ImportError::Nothing(resources.skipped));
    }
    let mut graph = Graph::new(&resources);
    if options.all {
        graph.speaks_tls.fill(true);
    }
    if !graph.speaks_tls.contains(&true) {
        return Err(ImportError::NoTls(graph.proxies.len()));
    }
    for (node, _) in &options.authorities {
        if !graph.names.iter().any(|name| name == node.as_str()) {
            return Err(ImportError::UnknownNode(node.clone(), graph.names.join(", ")));
        }
    }
    let domain = identities::trust_domain(&resources, &graph, options.trust_domain.as_ref())
        .ok_or(ImportError::TrustDomain)?;
    let translation = translate::translate(&resources, &graph, &domain, options);
    let mesh_file = translation.mesh.render();
    notes.extend(translation.notes);
    for note in &mut notes {
        note.message = printable(&note.message);
    }
    notes.sort_by_key(|note| note.place);
    let choices =
        mesh_file.lines().filter(|line| line.trim_start().starts_with("# CHOOSE")).count();
    let summary = Summary {
        virtual_nodes: translation.mesh.nodes.len(),
        virtual_gateways: translation.mesh.gateways.len(),
        authorities: translation.mesh.authorities.len(),
        left_out: translation.left_out,
        choices,
        skipped: resources.skipped,
    };
    Ok(Import { mesh_file, notes, summary })
}

fn read(
    manifests: &[Manifest],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<(Resources, Vec<Note>), ImportError> {
    let mut resources = Resources::default();
    let mut found: Vec<(usize, Problem)> = Vec::new();
    let mut variables: IndexMap<String, Vec<(usize, usize)>> = IndexMap::new();
    for (number, manifest) in manifests.iter().enumerate() {
        let masked = Masked::new(&manifest.text);
        let unset = RefCell::default();
        for (offset, text) in documents(&masked.text) {
            let problems =
                read_document(&mut resources, number, offset, text, &masked, lookup, &unset);
            found.extend(problems.into_iter().map(|problem| (number, problem)));
        }
        for (name, places) in unset.into_inner() {
            let places = places.into_iter().map(|at| (number, at));
            variables.entry(name).or_default().extend(places);
        }
    }
    if variables.is_empty() {
        found.extend(duplicates(&mut resources, manifests));
    }
    let (mut errors, notes): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|(_, problem)| problem.severity == Severity::Error);
    if !errors.is_empty() {
        errors.extend(variables.iter().filter_map(|(name, places)| {
            let (number, at) = *places.first()?;
            let problem = Problem::error(at..at, format!("{name} is not set"));
            Some((number, problem.help(format!("--set {name}=..."))))
        }));
        return Err(ImportError::Manifests(errors));
    }
    if !variables.is_empty() {
        let variable = |(name, places)| UnsetVariable { name, places };
        return Err(ImportError::Unset(variables.into_iter().map(variable).collect()));
    }
    let note = |(number, problem): (usize, Problem)| Note {
        place: Some((number, problem.span.start)),
        message: problem.message,
        help: problem.help,
    };
    Ok((resources, notes.into_iter().map(note).collect()))
}

/// Reads one document. What is wrong with one that is not App Mesh's is none of our business.
fn read_document(
    resources: &mut Resources,
    file: usize,
    offset: usize,
    text: &str,
    masked: &Masked,
    lookup: &dyn Fn(&str) -> Option<String>,
    unset: &RefCell<IndexMap<String, Vec<usize>>>,
) -> Vec<Problem> {
    let parsing = Problems::new();
    let problems = Problems::new();
    let reader = Reader { masked, lookup, problems: &problems, offset, unset };
    let documents = parse_documents(text, &parsing);
    let ours = match &documents {
        Some(documents) => documents.iter().fold(false, |ours, document| {
            resources.read(file, View::new(&document.root, &reader)) | ours
        }),
        None => {
            let ours = looks_like_ours(text);
            if !ours {
                *resources.skipped.entry("unreadable document".to_owned()).or_default() += 1;
            }
            ours
        }
    };
    if !ours {
        let skipped = documents.is_none().then(|| {
            let at = offset + (text.len() - text.trim_start().len());
            Problem::note(at..at, "this document is not YAML and is skipped")
        });
        return skipped.into_iter().collect();
    }
    let mut parsing = parsing.into_vec();
    for problem in &mut parsing {
        problem.span = problem.span.start + offset..problem.span.end + offset;
        for (span, _) in &mut problem.related {
            *span = span.start + offset..span.end + offset;
        }
        if problem.severity == Severity::Error && text.contains("{{") {
            problem.help =
                Some("this looks like a Helm template: render it first (`helm template`)".into());
        }
    }
    parsing.extend(problems.into_vec());
    parsing
}

/// The documents of a stream with their offsets. Told apart by their `---` lines alone, so that
/// one that is broken leaves the others readable.
fn documents(text: &str) -> Vec<(usize, &str)> {
    if text.lines().any(|line| line.starts_with('%')) {
        // A directive belongs to the document after the next `---`.
        return vec![(0, text)];
    }
    let mut starts = vec![0];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let marker = line.strip_prefix("---");
        if at > 0
            && marker
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
        {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| (start, &text[start..end])).collect()
}

/// Drops resources that are there twice and the same; those that differ are errors, because
/// nobody can say which of them is applied last.
fn duplicates(resources: &mut Resources, manifests: &[Manifest]) -> Vec<(usize, Problem)> {
    let mut kept: Vec<resources::Proxy> = Vec::new();
    let mut problems = Vec::new();
    for proxy in std::mem::take(&mut resources.proxies) {
        let first = kept.iter().find(|p| p.kind == proxy.kind && p.key == proxy.key);
        match first {
            Some(first) if first.spec == proxy.spec => {}
            Some(first) => {
                let Origin { file, at } = proxy.origin;
                let (name, namespace) = (&proxy.key.name, &proxy.key.namespace);
                let message = format!(
                    "the {} {name} in the namespace {namespace} is defined here and, differently, \
                     in {}",
                    proxy.kind,
                    place(manifests, (first.origin.file, first.origin.at)),
                );
                let help = "import the manifests of one state of the mesh only";
                problems.push((file, Problem::error(at..at + name.len(), message).help(help)));
            }
            None => {
                if NodeName::parse(&proxy.key.name).is_err() {
                    let Origin { file, at } = proxy.origin;
                    let message = format!("{:?} is no name for a {}", proxy.key.name, proxy.kind);
                    problems.push((file, Problem::error(at..at, message)));
                }
                kept.push(proxy);
            }
        }
    }
    resources.proxies = kept;
    problems
}

/// A place as `name:line`.
pub fn place(manifests: &[Manifest], (file, at): (usize, usize)) -> String {
    let Some(manifest) = manifests.get(file) else {
        return String::new();
    };
    let before = manifest.text.get(..at).unwrap_or(&manifest.text);
    format!("{}:{}", manifest.name, before.matches('\n').count() + 1)
}

impl Note {
    fn at(origin: Origin, message: String) -> Self {
        Self { place: Some((origin.file, origin.at)), message, help: None }
    }
}

fn unset_in_words(variables: &[UnsetVariable]) -> String {
    let names: Vec<_> = variables.iter().map(|variable| variable.name.as_str()).collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}

fn skipped_in_words(skipped: &BTreeMap<String, usize>) -> String {
    let kinds = kinds_in_words(skipped);
    if kinds.is_empty() { kinds } else { format!(" (found: {kinds})") }
}

/// How many resources there are of each kind: `2 Pod, 3 documents without a kind`.
pub fn kinds_in_words(kinds: &BTreeMap<String, usize>) -> String {
    let kinds = kinds.iter().map(|(kind, count)| match count {
        1 => format!("1 {kind}"),
        // Kinds are names and stay as they are; what is none of ours is in words.
        _ => format!("{count} {}", kind.replacen("document", "documents", 1)),
    });
    kinds.collect::<Vec<_>>().join(", ")
}
