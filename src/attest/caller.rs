//! One caller, for as long as its connection lasts.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::snapshot::{Caller, View};
use crate::x509::printable::printable;

use super::attestor::Attestor;
use super::index::Index;
use super::process::{Process, Stranger};

/// What is known of a caller.
#[derive(Debug)]
pub(super) enum Presented {
    Process(Process),
    Remote(SocketAddr),
    Stranger(Stranger),
    Unknown(io::Error),
}

/// A caller and what it may see.
pub(super) struct Attested {
    attestor: Arc<Attestor>,
    presented: Presented,
    /// What it may see, under the index of that number.
    seen: Mutex<Option<(u64, View)>>,
    told_of: AtomicBool,
}

impl Attested {
    pub(super) fn new(attestor: Arc<Attestor>, presented: Presented) -> Self {
        let (seen, told_of) = (Mutex::default(), AtomicBool::new(false));
        Self { attestor, presented, seen, told_of }
    }

    /// What was seen under this index.
    fn seen(&self, index: &Index) -> Option<View> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.as_ref().filter(|(number, _)| *number == index.number).map(|(_, view)| view.clone())
    }

    fn look(&self, index: &Index, sha256: impl Fn(&Process) -> Option<String>) -> View {
        match &self.presented {
            Presented::Process(process) => index.for_process(&process.facts, || sha256(process)),
            _ => index.for_anybody(),
        }
    }

    fn keep(&self, index: &Index, view: View) -> View {
        if view.is_empty() {
            self.tell(index);
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((index.number, view.clone()));
        view
    }

    /// Says once that it may have nothing, and what it would have taken.
    fn tell(&self, index: &Index) {
        if index.is_empty() || self.told_of.swap(true, Ordering::Relaxed) {
            return;
        }
        let (which, nearest) = match &self.presented {
            Presented::Process(process) => ((process.pid, process.started), Some(&process.facts)),
            Presented::Stranger(stranger) => ((stranger.pid, 0), None),
            Presented::Remote(_) | Presented::Unknown(_) => ((0, 0), None),
        };
        let Some(passed_over) = self.attestor.held.tells_of(which) else { return };
        let would_fit = match nearest {
            Some(facts) => index.nearest(facts, self.attestor.agent.uid),
            None => "only a node with attest: any".to_owned(),
        };
        tracing::warn!(
            caller = self.in_words(),
            would_fit,
            passed_over,
            "a caller is held: no node's attest: fits it"
        );
    }
}

impl Caller for Attested {
    fn in_words(&self) -> String {
        match &self.presented {
            Presented::Process(process) => process.to_string(),
            Presented::Remote(address) => format!("{address}, which TCP tells nothing more about"),
            Presented::Stranger(stranger) => stranger.to_string(),
            Presented::Unknown(error) => format!("a caller whom the kernel does not name: {error}"),
        }
    }

    fn in_short(&self) -> String {
        match &self.presented {
            Presented::Process(process) => process.in_short(),
            Presented::Remote(address) => address.to_string(),
            Presented::Stranger(Stranger { uid, pid: 0, .. }) => format!("uid {uid}"),
            Presented::Stranger(Stranger { uid, pid, .. }) => {
                format!("uid {uid}, pid {pid} (gone)")
            }
            Presented::Unknown(_) => "unknown".to_owned(),
        }
    }

    fn origin(&self) -> String {
        match &self.presented {
            Presented::Process(process) => match &process.facts.cgroup.container {
                Some(container) => format!("container {container}"),
                None => format!("process {} of {}", process.pid, process.started),
            },
            Presented::Remote(_) => "TCP".to_owned(),
            // Nobody can tell the processes of a user apart that are gone, or not to be seen.
            Presented::Stranger(stranger) => format!("user {}", stranger.uid),
            Presented::Unknown(_) => "unknown".to_owned(),
        }
    }

    fn view(&self) -> View {
        let index = self.attestor.index();
        self.seen(&index).unwrap_or_else(|| {
            let view = self.look(&index, |process| self.attestor.hashes.sha256(process));
            self.keep(&index, view)
        })
    }

    fn view_at_once(&self) -> Option<View> {
        let index = self.attestor.index();
        if let Some(view) = self.seen(&index) {
            return Some(view);
        }
        let unread = Cell::new(false);
        let view = self.look(&index, |process| {
            let known = self.attestor.hashes.known(process);
            unread.set(unread.get() || known.is_none());
            known
        });
        (!unread.get()).then(|| self.keep(&index, view))
    }
}

/// Of so many characters of the id of a pod or container people see enough.
const ENOUGH: usize = 12;

impl Process {
    fn in_short(&self) -> String {
        let facts = &self.facts;
        let mut text = format!("uid {}, pid {}", facts.uid, self.pid);
        if let Some(name) = facts.executable.as_deref().and_then(Path::file_name) {
            text += &format!(", {}", printable(&name.to_string_lossy()));
        }
        let ids = [("pod", &facts.cgroup.pod), ("container", &facts.cgroup.container)];
        for (what, id) in ids.into_iter().filter_map(|(what, id)| Some((what, id.as_ref()?))) {
            text += &format!(", {what} {}", id.chars().take(ENOUGH).collect::<String>());
        }
        text
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &self.facts;
        write!(f, "uid {}, gid {}, pid {} (", facts.uid, facts.gid, self.pid)?;
        match (&facts.executable, self.obstacle) {
            (Some(path), _) => f.write_str(&printable(&path.to_string_lossy()))?,
            (None, Some(io::ErrorKind::PermissionDenied)) => f.write_str(
                "executable unknown: the agent may not look at it; that takes root or \
                 CAP_SYS_PTRACE",
            )?,
            (None, obstacle) => {
                f.write_str("executable unknown")?;
                if let Some(obstacle) = obstacle {
                    write!(f, ": {obstacle}")?;
                }
            }
        }
        f.write_char(')')?;
        if let Some(pod) = &facts.cgroup.pod {
            write!(f, ", pod {pod}")?;
        }
        if let Some(container) = &facts.cgroup.container {
            write!(f, ", container {container}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uid, gid, pid } = self;
        write!(f, "uid {uid}, gid {gid}, ")?;
        match pid {
            0 => f.write_str("a process of a PID namespace that the agent cannot see"),
            _ => write!(f, "pid {pid} (gone before it could be looked at)"),
        }
    }
}

impl fmt::Debug for Attested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Attested").field(&self.in_words()).finish()
    }
}
