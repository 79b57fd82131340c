//! Keeps what was encoded, by name, for as long as it is what the name stands for.
//!
//! A shelf for each node and one for the mesh, so that streams of different nodes hardly meet, and
//! nothing is locked for all while something is encoded. What is held is not kept: names that
//! callers make up take no room. Of a node's many possible names only the latest are kept.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use indexmap::IndexMap;

use super::Subject;
use crate::identity::NodeName;
use crate::sds::resource::Resource;
use crate::snapshot::{Generation, Mesh};

/// How many names of one node are kept, and how many of the mesh: Istio's have paths, and roots are
/// had in every combination, so that there is no end to them.
const SHELF: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Cache {
    nodes: RwLock<HashMap<NodeName, Arc<Shelf>>>,
    mesh: Arc<Shelf>,
    /// The generation of the mesh whose nodes the shelves are of.
    swept: AtomicU64,
}

#[derive(Debug, Default)]
struct Shelf(Mutex<IndexMap<String, Entry>>);

#[derive(Debug)]
struct Entry {
    subject: Subject,
    generation: Generation,
    /// Filled by whoever comes first, while the others who want it wait, and nobody else does.
    place: Place,
}

type Place = Arc<Mutex<Option<Arc<Resource>>>>;

impl Cache {
    /// What `name` stands for as of `generation`: as it was made before, or by `make`, once for all
    /// who ask at the same time. An error is not kept.
    ///
    /// # Errors
    /// That of `make`.
    pub(super) fn resource<E>(
        &self,
        name: &str,
        subject: &Subject,
        generation: Generation,
        make: impl FnOnce() -> Result<Resource, E>,
    ) -> Result<Arc<Resource>, E> {
        let shelf = self.shelf(subject);
        let Some(place) = shelf.place(name, subject, generation) else {
            return make().map(Arc::new);
        };
        let mut made = lock(&place);
        if let Some(resource) = &*made {
            return Ok(Arc::clone(resource));
        }
        match make() {
            Ok(resource) => Ok(Arc::clone(made.insert(Arc::new(resource)))),
            Err(error) => {
                shelf.clear(name, &place);
                Err(error)
            }
        }
    }

    /// Lets go of what nodes had that `mesh` does not name, their keys among it.
    pub(super) fn forget_gone(&self, mesh: &Mesh) {
        if self.swept.load(Ordering::Relaxed) == mesh.generation {
            return;
        }
        self.swept.store(mesh.generation, Ordering::Relaxed);
        let kept: HashSet<_> = mesh.nodes.iter().collect();
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|name, _| kept.contains(name));
    }

    fn shelf(&self, subject: &Subject) -> Arc<Shelf> {
        let node = match subject {
            Subject::Certificate(node, _) | Subject::Trust(node, ..) => node,
            Subject::Roots(..) => return Arc::clone(&self.mesh),
        };
        let found = self.nodes.read().unwrap_or_else(PoisonError::into_inner).get(node).cloned();
        found.unwrap_or_else(|| {
            let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(nodes.entry(node.clone()).or_default())
        })
    }
}

impl Shelf {
    /// The place for this content. None for what is older than what lies there: somebody was slow.
    fn place(&self, name: &str, subject: &Subject, generation: Generation) -> Option<Place> {
        let mut entries = lock(&self.0);
        if let Some(entry) = entries.get(name) {
            if entry.generation > generation {
                return None;
            }
            if entry.generation == generation && entry.subject == *subject {
                return Some(Arc::clone(&entry.place));
            }
        } else if entries.len() == SHELF {
            entries.shift_remove_index(0);
        }
        let place = Place::default();
        let entry = Entry { subject: subject.clone(), generation, place: Arc::clone(&place) };
        entries.insert(name.to_owned(), entry);
        Some(place)
    }

    fn clear(&self, name: &str, place: &Place) {
        let mut entries = lock(&self.0);
        if entries.get(name).is_some_and(|entry| Arc::ptr_eq(&entry.place, place)) {
            entries.shift_remove(name);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
