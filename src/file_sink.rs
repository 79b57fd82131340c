//! Keeps the files of a directory as the snapshot has them, for Envoys that read files.
//!
//! The names are those of `certctl issue`, behind the one symlink of the live layout, so that an
//! Envoy with `watched_directory` sees all of a change or nothing of it. Level-triggered: it writes
//! what differs, and what failed is tried again; what cannot be written stops nobody else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;

use crate::desired::TrustSet;
use crate::desired::layout::{self, Content};
use crate::files::{Access, Change, Contents, Directory, FileName, FileSpec, FilesError, Layout};
use crate::snapshot::{Anchors, Generation, Mesh, Node, Snapshot};
use crate::store::{UnknownAccount, access, directory_options};
use crate::x509::certificate::Certificate;

/// The first pause after a failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why the files are not as they should be.
#[derive(Debug, Error)]
pub enum FileSinkError {
    /// The directory refused.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A user or group that this machine does not know.
    #[error(transparent)]
    UnknownAccount(#[from] UnknownAccount),
    /// The work was cut off.
    #[error("writing was cut off: {0}")]
    CutOff(#[from] tokio::task::JoinError),
}

/// How the files stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The generation that they are of; 0 before the first.
    pub generation: Generation,
    /// Why they are not of the latest, if that failed.
    pub failure: Option<String>,
}

/// The directory, and the state it is to have.
#[derive(Debug)]
pub struct FileSink {
    directory: PathBuf,
    snapshot: Snapshot,
    standing: watch::Sender<Standing>,
}

impl FileSink {
    /// A sink that writes what `snapshot` has into `directory`, made when missing.
    pub fn new(directory: PathBuf, snapshot: Snapshot) -> Self {
        Self { directory, snapshot, standing: watch::Sender::default() }
    }

    /// Where it writes.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// How the files stand, as it changes.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Writes whatever changes, until this is dropped. What is being written then is still written
    /// whole.
    pub async fn run(&self) {
        let watcher = self.snapshot.watcher_of_all();
        let mut pause = FIRST_PAUSE;
        loop {
            let again = match self.write().await {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    None
                }
                Err(error) => {
                    self.tell(&error);
                    let after = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    Some(after)
                }
            };
            match again {
                None => watcher.changed().await,
                Some(after) => tokio::time::sleep(after).await,
            }
        }
    }

    async fn write(&self) -> Result<(), FileSinkError> {
        let generation = self.snapshot.generation();
        let (mesh, nodes) = (self.snapshot.mesh(), self.snapshot.nodes());
        let directory = self.directory.clone();
        let written =
            tokio::task::spawn_blocking(move || publish(&directory, &mesh, &nodes)).await??;
        self.standing.send_replace(Standing { generation, failure: None });
        if written > 0 {
            let directory = self.directory.display();
            tracing::info!(%directory, files = written, generation, "wrote files");
        }
        Ok(())
    }

    /// Each failure once, however often it is met.
    fn tell(&self, error: &FileSinkError) {
        let text = error.to_string();
        let is_new = self.standing.send_if_modified(|standing| {
            let is_new = standing.failure.as_ref() != Some(&text);
            standing.failure = Some(text.clone());
            is_new
        });
        if is_new {
            let directory = self.directory.display();
            tracing::warn!(%directory, "cannot write files, and tries again: {text}");
        }
    }
}

/// Writes what differs; returns how many files that were.
fn publish(path: &Path, mesh: &Mesh, nodes: &[Arc<Node>]) -> Result<usize, FileSinkError> {
    let files = files(mesh, nodes)?;
    let identities = nodes.iter().map(|node| &*node.identity);
    let options = directory_options(identities, Layout::Live);
    let waits = || tracing::info!(directory = %path.display(), "waits for another run");
    let directory = Directory::open(path, options, waits)?;
    let report = directory.publish(&files)?;
    Ok(report.count(Change::Written))
}

/// Every file whose content is known; what is not stays as it lies.
fn files(mesh: &Mesh, nodes: &[Arc<Node>]) -> Result<Vec<FileSpec>, FileSinkError> {
    let mut specs = Vec::new();
    let mut add = |name: String, contents: Contents, access: Access| {
        FileName::parse(name).map(|name| specs.push(FileSpec { name, contents, access }))
    };
    for node in nodes {
        let identity = &node.identity;
        for file in layout::of_node(identity) {
            let mode = match &file.content {
                Content::Key(_) => identity.files.mode,
                _ => 0o644,
            };
            if let Some(contents) = contents(node, &file.content) {
                add(file.name, contents, access(identity, mode)?)?;
            }
        }
    }
    for file in layout::files(&mesh.desired) {
        let anchors = match &file.content {
            Content::AuthorityCertificate(name) if mesh.desired.authorities[*name].is_root() => {
                mesh.authorities.get(*name).map(pem)
            }
            Content::Bundle(set) => bundle(mesh, set),
            _ => None,
        };
        if let Some(text) = anchors {
            add(file.name, text.into(), Access::with_mode(0o644))?;
        }
    }
    Ok(specs)
}

fn contents(node: &Node, content: &Content<'_>) -> Option<Contents> {
    let credential = node.leaf.as_ref().map(|leaf| &leaf.credential);
    let trust = &node.trust;
    match content {
        Content::Key(_) => Some(credential?.key().to_pem().as_bytes().to_vec().into()),
        Content::Certificate(_) => Some(credential?.leaf().to_pem().into()),
        Content::Chain(_) => Some(credential?.chain().to_pem().into()),
        Content::Trust(..) => roots(&trust.both),
        Content::ListenerTrust(..) => roots(&trust.listener.anchors),
        Content::BackendTrust(_, backend, _) => {
            roots(&trust.backends.as_ref()?.get(*backend)?.anchors)
        }
        Content::AuthorityCertificate(_) | Content::AuthorityKey(_) | Content::Bundle(_) => None,
    }
}

/// The roots of a set, each once; none while those of one of its authorities are unknown.
fn bundle(mesh: &Mesh, set: &TrustSet) -> Option<String> {
    let anchors: Option<Vec<_>> =
        set.names().iter().map(|name| Some(mesh.authorities.get(name)?.as_slice())).collect();
    Some(pem(&Anchors::new(anchors?.concat())))
}

/// None where there are none: Envoy takes no empty bundle, and what lies there may be better.
fn roots(anchors: &Anchors) -> Option<Contents> {
    (!anchors.as_slice().is_empty()).then(|| pem(anchors).into())
}

fn pem(anchors: &Anchors) -> String {
    anchors.certificates().map(Certificate::to_pem).collect()
}

#[cfg(test)]
mod tests;
