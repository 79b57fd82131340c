//! Puts a set of files into a directory so that nothing is ever half-written, half-visible or lost.
//!
//! It takes names, bytes and access, and knows nothing of certificates. Every run is
//! level-triggered: what is already as wanted keeps its bytes, inode and mtime. A run that is cut
//! short at any system call leaves each file whole, old or new, and the next [`Directory::open`]
//! finishes or undoes it.
//!
//! Two layouts:
//!
//! - [`Layout::Flat`]: plain files. A run stages what changed in `..staging/`, makes it durable,
//!   and commits by renaming that directory to `..commit`; then each file is renamed into place.
//!   Across a crash the set is all or nothing; a reader that looks during those renames can see a
//!   new key beside an old chain.
//! - [`Layout::Live`]: `name -> ..data/name`, `..data -> ..generation-N`, as kubelet mounts a
//!   Secret. One rename of `..data` swaps the whole set, and is the only move in the directory that
//!   an Envoy with `watched_directory` sees. The generation before the current one is kept, because
//!   a reader that resolved `..data` just before the swap still has files to open (kubelet removes
//!   it at once); an older one goes, and so does a kept one whose files are open to anybody they
//!   should not be.
//!
//! Beside them there may be a [`Journal`]: one file with many small records, for what changes often.
//!
//! Only changed files are written; in the live layout unchanged ones are hard-linked from
//! generation to generation. Names that nobody asked for stay.
//!
//! Every path is walked through directory descriptors without following symlinks, modes are set
//! whatever the umask, and an exclusive `flock` on the directory keeps runs apart.

mod access;
mod contents;
mod directory;
mod error;
mod file;
mod flat;
mod folder;
mod journal;
mod live;
mod lock;
mod name;
mod recovery;
mod seam;
mod tree;
mod view;

#[cfg(test)]
mod tests;

pub use access::Access;
pub use contents::{Contents, MAX_FILE_BYTES};
pub use directory::{Directory, DirectoryOptions, Reading, Recovered, Warning};
pub use error::{Cause, FilesError, Outcome};
pub use journal::{Journal, framed};
pub use name::FileName;
pub use view::View;

/// One file as it should be.
#[derive(Clone, Debug)]
pub struct FileSpec {
    /// Its name in the directory.
    pub name: FileName,
    /// Its bytes, at most [`MAX_FILE_BYTES`].
    pub contents: Contents,
    /// Who may read it.
    pub access: Access,
}

/// How the files lie in their directory; the module's documentation draws both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Layout {
    /// Plain files.
    Flat,
    /// Symlinks through `..data`, swapped all at once.
    Live,
}

/// What a run did to one file, or would do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Change {
    /// The bytes were right; owner, group or mode were not.
    AccessChanged,
    /// Nothing was to be done.
    Kept,
    /// The file was missing, had other bytes, or was no regular file.
    Written,
}

/// What a run did, file by file, in the order that the files were asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// Each file with what became of it.
    pub files: Vec<(FileName, Change)>,
}

impl Report {
    /// How many files met `change`.
    pub fn count(&self, change: Change) -> usize {
        self.files.iter().filter(|(_, met)| *met == change).count()
    }
}
