//! A look at a directory that takes no lock, makes nothing and recovers nothing.

use std::path::Path;

use super::flat::report;
use super::folder::Folder;
use super::tree::{COMMIT, STAGING, Tree};
use super::{Contents, FileName, FileSpec, FilesError, Layout, Report};

/// A directory as its readers find it, for a plan of what a run would do.
///
/// Files that an interrupted run committed but didn't put in place are seen as if it had. A run
/// that publishes meanwhile may be seen in part.
#[derive(Debug)]
pub struct View {
    top: Folder,
}

impl View {
    /// Opens the directory; `None` if there is none.
    ///
    /// # Errors
    /// [`FilesError::System`] if it cannot be opened.
    pub fn open(path: &Path) -> Result<Option<Self>, FilesError> {
        Ok(Folder::open(path)?.map(|top| Self { top }))
    }

    /// Whether another run is at work here, or was interrupted.
    ///
    /// # Errors
    /// [`FilesError::System`] if the directory cannot be looked at.
    pub fn unfinished(&self) -> Result<bool, FilesError> {
        Ok(self.top.stat(STAGING)?.is_some() || self.top.stat(COMMIT)?.is_some())
    }

    /// The layout in which the directory's published files lie.
    ///
    /// # Errors
    /// [`FilesError::InTheWay`] if `..data` is not certctl's; [`FilesError::System`].
    pub fn layout(&self) -> Result<Layout, FilesError> {
        let generation = super::tree::current_generation(&self.top)?;
        Ok(if generation.is_some() { Layout::Live } else { Layout::Flat })
    }

    /// The file's bytes, as [`Directory::read`](super::Directory::read) gives them.
    ///
    /// # Errors
    /// As [`Directory::read`](super::Directory::read).
    pub fn read(&self, name: &FileName) -> Result<Option<Contents>, FilesError> {
        Tree::of(&self.top)?.read(name)
    }

    /// What [`Directory::publish`](super::Directory::publish) would do to each file.
    ///
    /// # Errors
    /// As [`Directory::publish`](super::Directory::publish), as far as it can be known beforehand.
    pub fn compare(&self, wanted: &[FileSpec]) -> Result<Report, FilesError> {
        Ok(report(wanted, &Tree::of(&self.top)?.compare(wanted)?))
    }
}
