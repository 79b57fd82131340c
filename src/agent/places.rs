//! Where an agent listens, keeps and meets others, and that none of it stands in another's way.

use std::os::unix::fs::MetadataExt;
use std::path::{self, Path, PathBuf};

use super::process::state_directory;
use super::{AgentError, Options, admin_socket};
use crate::engine::Audience;
use crate::listening::{Listener, check_path};

/// Where everything is.
#[derive(Debug)]
pub(super) struct Places {
    /// The admin socket.
    pub(super) admin: PathBuf,
    /// Who takes what the agent publishes.
    pub(super) audience: Audience,
    /// Where a successor asks, and a predecessor is asked: both find it by what they are told alike.
    pub(super) meeting_point: PathBuf,
    /// The state directory.
    pub(super) state: PathBuf,
}

impl Places {
    /// What these options and these sockets of a service manager come to.
    pub(super) fn of(options: &Options, inherited: &[Listener]) -> Result<Self, AgentError> {
        let sds = options.sds.clone().or_else(|| inherited.iter().find_map(Listener::unix_path));
        let answers = sds.is_some() || options.sds_tcp.is_some() || !inherited.is_empty();
        let audience = match (answers, options.files.is_some()) {
            (true, true) => Audience::Mixed,
            (true, false) => Audience::Answers,
            (false, true) => Audience::Silent,
            (false, false) => return Err(AgentError::ServesNobody),
        };
        let state = state_directory(options.state.as_deref());
        let admin = admin_socket(options.admin.as_deref(), sds.as_deref(), &state);
        if let Some(sds) = &sds {
            apart(("--sds", sds), ("--admin", &admin))?;
            check_path(sds)?;
        }
        check_path(&admin)?;
        if let Some(files) = &options.files {
            apart(("--files", files), ("--state", &state))?;
            if files.metadata().is_ok_and(|there| !there.is_dir()) {
                return Err(AgentError::Files { path: files.clone() });
            }
        }
        let meeting_point = sds.unwrap_or_else(|| admin.clone());
        Ok(Self { admin, audience, meeting_point, state })
    }
}

fn apart(one: (&'static str, &Path), other: (&'static str, &Path)) -> Result<(), AgentError> {
    // What cannot be made absolute is compared as it is written.
    let whole = |path: &Path| path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if whole(one.1) != whole(other.1) && !is_same(one.1, other.1) {
        return Ok(());
    }
    Err(AgentError::SamePlace { one: one.0, other: other.0, path: one.1.to_owned() })
}

/// Whether both are there and one: by name, link or mount.
fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.dev(), found.ino()))
    };
    place(one).is_some_and(|one| Some(one) == place(other))
}
