//! Where a change can alter what a path leads to: each symlink on the way, and the end of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// As many symlinks as the kernel follows (path_resolution(7)).
const MOST_SYMLINKS: usize = 40;

/// The places that decide what some paths lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Files, symlinks, and names that are missing. No directory on the way to one is a symlink.
    pub names: BTreeSet<PathBuf>,
    /// The directories that those are in, each with its device and inode.
    pub directories: BTreeMap<PathBuf, (u64, u64)>,
}

impl Places {
    /// Those of `paths`, as it is now.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let mut places = Self::default();
        for path in paths {
            if let Ok(path) = std::path::absolute(path) {
                places.add(&path);
            }
        }
        places
    }

    fn add(&mut self, path: &Path) {
        let mut at = PathBuf::from("/");
        let mut rest: VecDeque<OsString> = steps(path);
        let mut symlinks = 0;
        while let Some(step) = rest.pop_front() {
            if step == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&step);
            match fs::symlink_metadata(&next) {
                Ok(about) if about.is_symlink() && symlinks < MOST_SYMLINKS => {
                    symlinks += 1;
                    self.name(&at, next.clone());
                    let Ok(target) = fs::read_link(&next) else {
                        return;
                    };
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    for step in steps(&target).into_iter().rev() {
                        rest.push_front(step);
                    }
                }
                Ok(about) if about.is_dir() && !rest.is_empty() => at = next,
                // The end of the way, or of what there is of it.
                _ => {
                    self.name(&at, next);
                    return;
                }
            }
        }
    }

    fn name(&mut self, directory: &Path, name: PathBuf) {
        if let Ok(about) = fs::metadata(directory) {
            self.directories.insert(directory.to_owned(), (about.dev(), about.ino()));
        }
        self.names.insert(name);
    }
}

fn steps(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::CurDir | Component::Prefix(_) | Component::RootDir => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn named(root: &Path, path: &str) -> Vec<String> {
        let places = Places::of([root.join(path).as_path()]);
        let root = root.canonicalize().unwrap();
        for name in &places.names {
            assert!(places.directories.contains_key(name.parent().unwrap()), "{name:?}");
        }
        let below = |path: &Path| Some(path.strip_prefix(&root).ok()?.to_str()?.to_owned());
        places.names.iter().filter_map(|path| below(path)).collect()
    }

    #[test]
    fn every_symlink_on_the_way_counts_and_so_does_the_end() {
        let site = tempfile::tempdir().unwrap();
        let root = site.path();
        fs::create_dir_all(root.join("etc/..1")).unwrap();
        fs::write(root.join("etc/..1/mesh.yaml"), "").unwrap();
        fs::write(root.join("plain"), "").unwrap();
        symlink("..1", root.join("etc/..data")).unwrap();
        symlink("..data/mesh.yaml", root.join("etc/mesh.yaml")).unwrap();
        symlink(root.join("etc"), root.join("absolute")).unwrap();
        symlink("../plain", root.join("etc/up")).unwrap();
        symlink("round", root.join("round")).unwrap();
        let mounted = ["etc/..1/mesh.yaml", "etc/..data", "etc/mesh.yaml"];
        assert_eq!(named(root, "plain"), ["plain"]);
        assert_eq!(named(root, "etc/../plain"), ["plain"]);
        assert_eq!(named(root, "etc/mesh.yaml"), mounted);
        assert_eq!(named(root, "absolute/mesh.yaml"), [&["absolute"][..], &mounted].concat());
        assert_eq!(named(root, "etc/up"), ["etc/up", "plain"]);
        assert_eq!(named(root, "round"), ["round"]);
    }

    #[test]
    fn what_is_missing_is_awaited_where_it_would_begin() {
        let site = tempfile::tempdir().unwrap();
        let root = site.path();
        assert_eq!(named(root, "none"), ["none"]);
        assert_eq!(named(root, "a/b/c"), ["a"]);
        symlink("nowhere/at/all", root.join("dangling")).unwrap();
        assert_eq!(named(root, "dangling"), ["dangling", "nowhere"]);
    }
}
