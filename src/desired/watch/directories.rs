//! Directories that the system watches for us, and what it tells of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::bell::{Bell, Hints};
use super::places::Places;

/// How often things may change under our hands before that is left to the next look.
const MOST_TRIES: usize = 8;

/// The watched directories. Rings the bell when something happens to what matters in them.
pub struct Directories {
    bell: Arc<Bell>,
    /// What matters; shared with the thread that hears of changes.
    places: Arc<RwLock<Places>>,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeMap<PathBuf, (u64, u64)>,
    doubted: bool,
    #[cfg(test)]
    deaf: bool,
}

impl Directories {
    /// None yet.
    pub fn new(bell: &Arc<Bell>) -> Self {
        Self {
            bell: Arc::clone(bell),
            places: Arc::default(),
            watcher: None,
            watched: BTreeMap::new(),
            doubted: false,
            #[cfg(test)]
            deaf: false,
        }
    }

    /// Watches the directories of what `places` finds, and no others. From then on nothing that
    /// happens there goes unheard; what `places` finds is asked for again until that holds.
    ///
    /// # Errors
    /// In words, when a directory cannot be watched.
    pub fn follow(&mut self, places: impl Fn() -> Places) -> Result<(), String> {
        let mut found = places();
        for _ in 0..MOST_TRIES {
            self.places.write().unwrap_or_else(PoisonError::into_inner).clone_from(&found);
            let watching = self.watch(&found);
            let now = places();
            if now == found {
                return watching.map_err(|error| format!("cannot watch for changes: {error}"));
            }
            found = now;
        }
        self.bell.ring(Hints::CHANGED);
        Ok(())
    }

    /// Has every directory watched anew, since one may have been lost.
    pub fn doubt(&mut self) {
        self.doubted = true;
    }

    /// Has the system refuse to watch anything.
    #[cfg(test)]
    pub fn deafen(&mut self) {
        self.deaf = true;
        self.watcher = None;
    }

    fn watch(&mut self, places: &Places) -> notify::Result<()> {
        #[cfg(test)]
        if self.deaf {
            return Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch));
        }
        if self.watched == places.directories && !self.doubted {
            return Ok(());
        }
        let watcher = match &mut self.watcher {
            Some(watcher) => watcher,
            none => {
                let (bell, places) = (Arc::clone(&self.bell), Arc::clone(&self.places));
                none.insert(notify::recommended_watcher(move |event| {
                    let places = places.read().unwrap_or_else(PoisonError::into_inner);
                    if let Some(hints) = hints(&event, &places) {
                        bell.ring(hints);
                    }
                })?)
            }
        };
        let doubted = std::mem::take(&mut self.doubted);
        self.watched.retain(|path, id| {
            let kept = !doubted && places.directories.get(path) == Some(id);
            if !kept {
                // An error says that the system has forgotten it by itself.
                let _ = watcher.unwatch(path);
            }
            kept
        });
        for (path, id) in &places.directories {
            if !self.watched.contains_key(path) {
                watcher.watch(path, RecursiveMode::NonRecursive)?;
                self.watched.insert(path.clone(), *id);
            }
        }
        Ok(())
    }
}

/// What `event` means for `places`; none where it is about something else.
fn hints(event: &notify::Result<Event>, places: &Places) -> Option<Hints> {
    let Ok(event) = event else {
        return Some(Hints::LOST | Hints::CHANGED);
    };
    if event.need_rescan() {
        return Some(Hints::LOST | Hints::CHANGED);
    }
    let hints = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => Hints::WHOLE,
        EventKind::Modify(ModifyKind::Data(_)) => Hints::BEING_WRITTEN,
        EventKind::Access(_) => return None,
        _ => Hints::CHANGED,
    };
    let gone = matches!(
        event.kind,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From))
    );
    if gone && event.paths.iter().any(|path| places.directories.contains_key(path)) {
        return Some(Hints::LOST | Hints::CHANGED);
    }
    event.paths.iter().any(|path| places.names.contains(path)).then_some(hints)
}
