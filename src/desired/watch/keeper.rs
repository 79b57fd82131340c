//! Looks at a mesh file and what it names, and publishes what is new.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use super::bell::Bell;
use super::directories::Directories;
use super::places::Places;
use super::settling::Look;
use super::{Condition, Fault, Source, WatchError};
use crate::desired::document::MAX_BYTES;
use crate::desired::mesh_file::MeshFile;
use crate::time::Clock;

/// Which file lies at a path, and in which state: device, inode, size, then the moments of the
/// last change of its bytes and of anything about it, in seconds and nanoseconds.
type Stamp = Option<[i128; 5]>;

/// Keeps a mesh file's readers up to date. Its methods wait for the disk.
pub struct Keeper {
    path: PathBuf,
    clock: Clock,
    directories: Directories,
    /// The text of the mesh that is in force.
    text: Vec<u8>,
    /// The files that it names, as they were when that was last told.
    named: Vec<(PathBuf, Stamp)>,
    sources: watch::Sender<Arc<Source>>,
    condition: watch::Sender<Condition>,
}

impl Keeper {
    /// Reads the mesh file at `path` for the first time.
    pub fn start(path: &Path, clock: Clock, bell: &Arc<Bell>) -> Result<Self, WatchError> {
        let mut directories = Directories::new(bell);
        // Watched first and read then, so that no change falls between the two.
        let _ = directories.follow(|| Places::of([path]));
        let text = read(path)?;
        let file = MeshFile::read(path, &text)?;
        let source = Arc::new(Source {
            warnings: file.warnings_in_full(path, &text),
            desired: Arc::new(file.desired),
            revision: 1,
        });
        let named = file.files.into_iter().map(|file| (file.path, None)).collect();
        let mut keeper = Self {
            path: path.to_owned(),
            clock,
            directories,
            text,
            named,
            sources: watch::Sender::new(source),
            condition: watch::Sender::default(),
        };
        keeper.follow();
        keeper.stamp();
        Ok(keeper)
    }

    /// What the mesh file says.
    pub fn sources(&self) -> watch::Receiver<Arc<Source>> {
        self.sources.subscribe()
    }

    /// How it stands with the mesh file.
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.condition.subscribe()
    }

    /// Whether the system does not tell of changes.
    pub fn polls(&self) -> bool {
        self.condition.borrow().polling.is_some()
    }

    /// Has every directory watched anew at the next look.
    pub fn doubt(&mut self) {
        self.directories.doubt();
    }

    /// Has the system refuse to watch anything.
    #[cfg(test)]
    pub fn deafen(&mut self) {
        self.directories.deafen();
        self.follow();
    }

    /// Publishes what is new.
    pub fn look(&mut self, look: Look) {
        self.follow();
        match self.mesh() {
            Ok(changed) => {
                self.fault(None);
                let named_changed = self.stamp();
                if let Some(mut source) = changed {
                    source.revision += 1;
                    self.sources.send_replace(Arc::new(source));
                } else if named_changed {
                    self.sources.send_modify(|source| Arc::make_mut(source).revision += 1);
                }
            }
            Err(error) => {
                if look == Look::Settled {
                    self.fault(Some(error.in_full()));
                    if self.stamp() {
                        self.sources.send_modify(|source| Arc::make_mut(source).revision += 1);
                    }
                }
            }
        }
    }

    /// What the mesh file says, where that is another mesh than the one in force.
    fn mesh(&mut self) -> Result<Option<Source>, WatchError> {
        let text = read(&self.path)?;
        if text == self.text {
            return Ok(None);
        }
        let file = MeshFile::read(&self.path, &text)?;
        let warnings = file.warnings_in_full(&self.path, &text);
        let named = file.files.into_iter().map(|file| file.path);
        let before = std::mem::take(&mut self.named);
        self.named = named
            .map(|path| {
                let stamp = before.iter().find(|(known, _)| *known == path);
                let stamp = stamp.map_or_else(|| stamp_of(&path), |(_, stamp)| *stamp);
                (path, stamp)
            })
            .collect();
        self.follow();
        self.text = text;
        let current = Arc::clone(&self.sources.borrow());
        if *current.desired == file.desired && current.warnings == warnings {
            return Ok(None);
        }
        let desired = Arc::new(file.desired);
        Ok(Some(Source { desired, warnings, revision: current.revision }))
    }

    /// Watches for changes of the mesh file and what it names.
    fn follow(&mut self) {
        let paths = || std::iter::once(&self.path).chain(self.named.iter().map(|(path, _)| path));
        let places = || Places::of(paths().map(PathBuf::as_path));
        let polling = self.directories.follow(places).err();
        self.condition.send_if_modified(|condition| {
            let changed = condition.polling != polling;
            condition.polling = polling;
            changed
        });
    }

    /// Notes the state of the named files; whether any of them has another one than before.
    fn stamp(&mut self) -> bool {
        let mut changed = false;
        for (path, stamp) in &mut self.named {
            let now = stamp_of(path);
            changed |= *stamp != now;
            *stamp = now;
        }
        changed
    }

    fn fault(&self, text: Option<String>) {
        self.condition.send_if_modified(|condition| {
            if condition.fault.as_ref().map(|fault| &fault.text) == text.as_ref() {
                return false;
            }
            condition.fault = text.map(|text| Fault { text, since: self.clock.now() });
            true
        });
    }
}

/// The bytes of the mesh file at `path`.
fn read(path: &Path) -> Result<Vec<u8>, WatchError> {
    let unreadable = |source| WatchError::Unreadable { path: path.to_owned(), source };
    // Opening a pipe would wait for its writer.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(WatchError::NotAFile { path: path.to_owned() });
    }
    let mut text = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() > MAX_BYTES {
        return Err(WatchError::TooLarge { path: path.to_owned() });
    }
    Ok(text)
}

fn stamp_of(path: &Path) -> Stamp {
    let about = fs::metadata(path).ok()?;
    let moment = |seconds: i64, nanoseconds: i64| {
        i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
    };
    Some([
        about.dev().into(),
        about.ino().into(),
        about.size().into(),
        moment(about.mtime(), about.mtime_nsec()),
        moment(about.ctime(), about.ctime_nsec()),
    ])
}
