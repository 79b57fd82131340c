//! What the state directory keeps of nodes and of transitions. Blocking; called on threads that
//! may wait for a disk.

use std::sync::Arc;

use super::EngineError;
use crate::desired::{Identity, layout};
use crate::files::{Access, Directory, FileName, FileSpec, FilesError};
use crate::identity::NodeName;
use crate::rotation::transition::Transitions;
use crate::x509::credential::Credential;

/// The file of [`Transitions::to_json`].
const TRANSITIONS: &str = "transitions.json";

/// A credential that was made.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) node: NodeName,
    pub(super) attempt: u64,
    pub(super) identity: Arc<Identity>,
    pub(super) credential: Arc<Credential>,
}

/// What became of saving one.
pub(super) type Saved = (Made, Result<(), FilesError>);

/// Saves credentials together; where that fails, each by itself, so that one that cannot be saved
/// holds up no other.
pub(super) fn save(directory: &Directory, batch: Vec<Made>) -> Vec<Saved> {
    let together = files_of(&batch).and_then(|files| directory.replace(&files).map(drop));
    match together {
        Ok(()) => batch.into_iter().map(|made| (made, Ok(()))).collect(),
        Err(error) if batch.len() == 1 => {
            batch.into_iter().zip(std::iter::once(Err(error))).collect()
        }
        Err(_) => batch.into_iter().flat_map(|made| save(directory, vec![made])).collect(),
    }
}

fn files_of(batch: &[Made]) -> Result<Vec<FileSpec>, FilesError> {
    let mut files = Vec::with_capacity(3 * batch.len());
    for Made { identity, credential, .. } in batch {
        let base = &identity.files.base;
        let mut add = |name: String, contents, mode| {
            let access = Access::with_mode(mode);
            FileName::parse(name).map(|name| files.push(FileSpec { name, contents, access }))
        };
        let key = credential.key().to_pem().as_bytes().to_vec();
        add(layout::node_key(base), key.into(), 0o600)?;
        add(layout::node_certificate(base), credential.leaf().to_pem().into(), 0o644)?;
        add(layout::node_chain(base), credential.chain().to_pem().into(), 0o644)?;
    }
    Ok(files)
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
