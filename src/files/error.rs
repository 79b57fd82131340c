//! What can go wrong with files, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

use super::access::Access;

/// Why files could not be read or put into place.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// An access that no file can have.
    #[error(
        "mode {:o}, owner {:?}, group {:?} cannot be given to a file: the mode has nine permission \
         bits (at most 777), and {} is no user or group",
        access.mode, access.owner, access.group, u32::MAX
    )]
    Access {
        /// What was asked for.
        access: Access,
    },
    /// [`create_new`](super::Directory::create_new) met a name that is taken.
    #[error("{} already exists and is never overwritten: move it away first", path.display())]
    AlreadyExists {
        /// The name that is taken.
        path: PathBuf,
    },
    /// One name was asked for twice.
    #[error("the file {name} is wanted twice: each name can be written once in a run")]
    Duplicate {
        /// That name.
        name: String,
    },
    /// Something lies where this module keeps its own unfinished work.
    #[error("{} is in the way: {what}; look at it, then move it away", path.display())]
    InTheWay {
        /// Where it lies.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A name that cannot be a file's.
    #[error("`{name}` cannot be a file name: {rule}")]
    Name {
        /// The name, escaped and cut.
        name: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// Something other than a regular file of this directory lies at a file's name.
    #[error(
        "{} is {what}, not a regular file of this directory, and is not followed: move it away",
        path.display()
    )]
    NotAFile {
        /// Where it lies.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A plain file was to be replaced, but the name is served through `..data`.
    #[error("{} is part of the live set behind ..data: publish it with the others", path.display())]
    Live {
        /// The name.
        path: PathBuf,
    },
    /// The directory was removed or replaced while waiting for its lock.
    #[error("{} was replaced again and again while waiting for its lock: run again", path.display())]
    Replaced {
        /// The directory.
        path: PathBuf,
    },
    /// A system call failed.
    #[error("cannot {operation} {}: {cause}{outcome}{}", path.display(), cause.advice())]
    System {
        /// What was being done, as a verb.
        operation: &'static str,
        /// To what.
        path: PathBuf,
        /// The kind of failure.
        cause: Cause,
        /// How the directory was left.
        outcome: Outcome,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
    /// A file is larger than this module reads or writes.
    #[error("{} has {size} bytes; at most {most} are handled", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The most that is handled, in bytes.
        most: usize,
    },
}

/// The kind of a failed system call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    /// Only root may give files away, and only into a group of one's own may others.
    ChangeOwner {
        /// The wanted owner and group.
        access: Access,
    },
    /// No permission.
    Denied,
    /// The disk, its inodes or the user's quota are used up.
    DiskFull {
        /// Bytes that the whole run needs on the disk, when known.
        needed: Option<u64>,
    },
    /// A file where a directory should be.
    NotADirectory,
    /// Anything else, in the system's words.
    Other(String),
    /// The file system is mounted read-only.
    ReadOnly,
}

/// How a failed run left the directory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// No file's bytes or access were changed, and what was staged is gone.
    Unchanged,
    /// The new files are committed; the next run puts those into place that are not there yet.
    Unfinished,
    /// The failure came while looking, opening or recovering.
    Unknown,
}

impl FilesError {
    pub(super) fn system(operation: &'static str, path: PathBuf, errno: Errno) -> Self {
        let cause = match errno {
            Errno::ACCESS | Errno::PERM => Cause::Denied,
            Errno::DQUOT | Errno::NOSPC => Cause::DiskFull { needed: None },
            Errno::NOTDIR => Cause::NotADirectory,
            Errno::ROFS => Cause::ReadOnly,
            other => Cause::Other(io::Error::from(other).to_string()),
        };
        Self::System { operation, path, cause, outcome: Outcome::Unknown, source: errno.into() }
    }

    pub(super) fn about_owner(mut self, wanted: Access) -> Self {
        if let Self::System { cause: cause @ Cause::Denied, .. } = &mut self {
            *cause = Cause::ChangeOwner { access: wanted };
        }
        self
    }

    pub(super) fn unchanged(mut self, needed_bytes: u64) -> Self {
        if let Self::System { cause, outcome, .. } = &mut self {
            *outcome = Outcome::Unchanged;
            if let Cause::DiskFull { needed } = cause {
                *needed = (needed_bytes > 0).then_some(needed_bytes);
            }
        }
        self
    }

    pub(super) fn unfinished(mut self) -> Self {
        if let Self::System { outcome, .. } = &mut self {
            *outcome = Outcome::Unfinished;
        }
        self
    }
}

impl Cause {
    fn advice(&self) -> String {
        match self {
            Self::ChangeOwner { .. } => {
                "; run as root, or leave the files' owner and group unset".to_owned()
            }
            Self::Denied => "; run as the user that owns it, or as root".to_owned(),
            Self::DiskFull { needed: Some(needed) } => {
                format!("; see that {needed} bytes are free and run again")
            }
            Self::DiskFull { needed: None } => "; free some space and run again".to_owned(),
            Self::NotADirectory => "; choose another directory".to_owned(),
            Self::Other(_) => String::new(),
            Self::ReadOnly => "; choose a directory that can be written".to_owned(),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChangeOwner { access: Access { owner, group, mode: _ } } => {
                formatter.write_str("only root may give a file to ")?;
                if let Some(owner) = owner {
                    write!(formatter, "user {owner}")?;
                }
                if let Some(group) = group {
                    let and = if owner.is_some() { " and " } else { "" };
                    write!(formatter, "{and}group {group} (a member of the group may do that)")?;
                }
                Ok(())
            }
            Self::Denied => formatter.write_str("no permission"),
            Self::DiskFull { .. } => formatter.write_str("the disk is full"),
            Self::NotADirectory => formatter.write_str("there is a file, not a directory"),
            Self::Other(words) => formatter.write_str(words),
            Self::ReadOnly => formatter.write_str("the file system is read-only"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unchanged => "; nothing was changed",
            Self::Unfinished => {
                "; the new files are committed, and the next run puts them in place"
            }
            Self::Unknown => "",
        })
    }
}
