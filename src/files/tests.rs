//! What all tests of this room share; those that need the seam lie here, the others in `tests/`.

mod access;
mod crash;
mod full_disk;
mod hostile;
mod journal;
mod order;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Access, Directory, DirectoryOptions, FileName, FileSpec, FilesError, Layout};

/// A file of mode 0600.
fn file(name: &str, contents: &str) -> FileSpec {
    file_with_mode(name, contents, 0o600)
}

fn file_with_mode(name: &str, contents: &str, mode: u32) -> FileSpec {
    FileSpec {
        name: FileName::parse(name).unwrap(),
        contents: contents.to_owned().into(),
        access: Access::with_mode(mode),
    }
}

/// Where nobody else holds the lock, but for a process that another test is about to start: until
/// its own program runs, it has what this one has open.
fn open(path: &Path, layout: Layout) -> Result<Directory, FilesError> {
    Directory::open(path, DirectoryOptions::new(layout), || ())
}

/// What any reader gets for a name, symlinks followed.
fn seen(directory: &Path, name: &str) -> Option<String> {
    std::fs::read_to_string(directory.join(name)).ok()
}

/// Everything below a directory: path, and mode, inode, mtime and bytes (or target).
fn everything(directory: &Path) -> BTreeMap<PathBuf, (u32, u64, i64, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let about = path.symlink_metadata().unwrap();
            let (mtime, nanoseconds) = (about.mtime(), about.mtime_nsec());
            let content = if about.is_symlink() {
                path.read_link().unwrap().into_os_string().into_encoded_bytes()
            } else if about.is_dir() {
                left.push(path.clone());
                Vec::new()
            } else {
                std::fs::read(&path).unwrap()
            };
            let state = (about.mode(), about.ino(), mtime, nanoseconds, content);
            found.insert(path.strip_prefix(directory).unwrap().to_owned(), state);
        }
    }
    found
}

/// The names in a directory that are ours and not a file's.
fn reserved(directory: &Path) -> Vec<String> {
    let names = std::fs::read_dir(directory).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("..")).collect();
    names.sort();
    names
}
