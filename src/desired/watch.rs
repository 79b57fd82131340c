//! A mesh file that is followed while it changes: what it says now, and what is wrong with it.
//!
//! Knows the file and what it names, and nothing of those who use the mesh. Only what parses is
//! published, so that a broken edit leaves the last good mesh in force. A file that was closed or
//! moved into place is read at once; one that is being written in place is left alone until it is
//! closed, or nobody has written for a while, since the first half of a mesh file can be a mesh.

mod bell;
mod directories;
mod keeper;
mod places;
mod settling;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Desired;
use super::document::MAX_BYTES;
use super::mesh_file::MeshFileError;
use crate::time::{Clock, OffsetDateTime};
use bell::{Bell, Hints};
use keeper::Keeper;

/// What a mesh file says at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The mesh.
    pub desired: Arc<Desired>,
    /// What its author should look at, each as `FILE:LINE:COLUMN: warning: ...`.
    pub warnings: Vec<String>,
    /// Counts from 1, and is another one whenever the mesh or a file that it names has changed.
    pub revision: u64,
}

/// How it stands with the mesh file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Why the file as it lies there is not used. The last good mesh stays in force.
    pub fault: Option<Fault>,
    /// Why it is looked at every five seconds, where the system cannot tell of changes.
    pub polling: Option<String>,
}

/// Why a mesh file is not used as it lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// All that is wrong, a line for each problem.
    pub text: String,
    /// Since when it has been wrong in this way.
    pub since: OffsetDateTime,
}

/// Why a mesh file cannot be used.
#[derive(Debug, Error)]
pub enum WatchError {
    /// A directory, a pipe or a device.
    #[error("{} is no regular file, so that it cannot be read again; name a file", path.display())]
    NotAFile {
        /// The mesh file.
        path: PathBuf,
    },
    /// It was read, and says what cannot be.
    #[error(transparent)]
    Refused(#[from] MeshFileError),
    /// More than is read.
    #[error("{} is longer than {} MiB, and no more is read", path.display(), MAX_BYTES >> 20)]
    TooLarge {
        /// The mesh file.
        path: PathBuf,
    },
    /// It could not be read.
    #[error("cannot read the mesh file {}", path.display())]
    Unreadable {
        /// The mesh file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl WatchError {
    /// All that is wrong, a line for each problem.
    pub fn in_full(&self) -> String {
        match self {
            Self::Refused(error) => error.in_full(),
            Self::Unreadable { source, .. } => format!("{self}: {source}"),
            Self::NotAFile { .. } | Self::TooLarge { .. } => self.to_string(),
        }
    }
}

/// Follows a mesh file and the files that it names, until dropped.
#[derive(Debug)]
pub struct MeshFileWatcher {
    sources: watch::Receiver<Arc<Source>>,
    condition: watch::Receiver<Condition>,
    bell: Arc<Bell>,
    task: JoinHandle<()>,
}

impl MeshFileWatcher {
    /// Reads the mesh file at `path`, and follows it from there on. To be called within a Tokio
    /// runtime. `clock` tells since when a fault is there.
    ///
    /// # Errors
    /// When the file cannot be read, or cannot be used as it is.
    pub fn start(path: &Path, clock: Clock) -> Result<Self, WatchError> {
        let bell = Arc::new(Bell::default());
        let keeper = Keeper::start(path, clock, &bell)?;
        let (sources, condition) = (keeper.sources(), keeper.condition());
        let task = tokio::spawn(settling::follow(keeper, Arc::clone(&bell)));
        Ok(Self { sources, condition, bell, task })
    }

    /// What the mesh file says: the newest that could be used.
    pub fn sources(&self) -> watch::Receiver<Arc<Source>> {
        self.sources.clone()
    }

    /// How it stands with the mesh file. A fault changes only when the contents do, so that whoever
    /// reports each change reports each broken edit once.
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.condition.clone()
    }

    /// Has everything read again, soon. Where nothing has changed, nothing comes of it.
    pub fn reload(&self) {
        self.bell.ring(Hints::RELOAD);
    }
}

impl Drop for MeshFileWatcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
