//! What the state directory keeps of nodes and of transitions. Blocking; called on threads that
//! may wait for a disk.

use std::sync::Arc;

use super::EngineError;
use crate::files::{Access, Directory, FileName, FileSpec, FilesError};
use crate::identity::NodeName;
use crate::rotation::transition::Transitions;
use crate::store::{Entry, Kind, NodeStore};
use crate::x509::credential::Credential;

/// The file of [`Transitions::to_json`].
const TRANSITIONS: &str = "transitions.json";

/// A credential that was made.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) node: NodeName,
    pub(super) attempt: u64,
    pub(super) credential: Arc<Credential>,
    /// Whether what was kept while it was made is to be forgotten with it.
    pub(super) is_pending: bool,
}

/// What became of saving one.
pub(super) type Saved = (Made, Result<(), Arc<FilesError>>);

/// Saves credentials, all of them together.
pub(super) fn save(nodes: &NodeStore, batch: Vec<Made>) -> Vec<Saved> {
    let entries = batch.iter().flat_map(|made| {
        let is_pending = made.is_pending && nodes.is_kept(Kind::Pending, &made.node);
        let done = is_pending.then(|| Entry::nothing(Kind::Pending, &made.node));
        std::iter::once(Entry::credential(&made.node, &made.credential)).chain(done)
    });
    let entries: Vec<_> = entries.collect();
    let saved = nodes.save(&entries).map_err(Arc::new);
    batch.into_iter().map(|made| (made, saved.clone())).collect()
}

/// Reads the record of transitions, or begins one, and says what to tell of a damaged one.
pub(super) fn read_transitions(
    directory: &Directory,
) -> Result<(Transitions, Option<String>), EngineError> {
    let Some(text) = directory.read(&FileName::parse(TRANSITIONS)?)? else {
        return Ok((Transitions::new(), None));
    };
    Ok(match Transitions::from_json(text.as_bytes()) {
        Ok(transitions) => (transitions, None),
        Err(error) => (Transitions::after_loss(), Some(error.to_string())),
    })
}

/// Writes the record of transitions.
pub(super) fn write_transitions(directory: &Directory, record: Vec<u8>) -> Result<(), FilesError> {
    let name = FileName::parse(TRANSITIONS)?;
    let file = FileSpec { name, contents: record.into(), access: Access::with_mode(0o600) };
    directory.replace(&[file]).map(drop)
}
