//! Whether a grant fits a caller, how much of the caller it pins down, and what it would have
//! taken. Pure.

use crate::desired::{Grant, Selectors};
use crate::x509::printable::printable;

use super::process::Facts;

/// How much of a caller a grant pins down. Anybody: 0. A node that grants nothing, and so is its
/// agent's own: 1. Otherwise the sum of what is said of the process, so weighted that one more
/// particular thing outweighs all the less particular ones together:
///
/// | selector | weight |
/// |---|---|
/// | `container` | 64 |
/// | `pod` | 32 |
/// | `sha256` | 16 |
/// | `executable` | 8 |
/// | `uid` | 4 |
/// | `gid` | 2 |
pub(super) fn specificity(grant: &Grant) -> u32 {
    let Grant::Process(selectors) = grant else { return ANYBODY };
    let Selectors { uid, gid, executable, sha256, pod, container } = selectors;
    let weights = [
        (container.is_some(), 64),
        (pod.is_some(), 32),
        (sha256.is_some(), 16),
        (executable.is_some(), 8),
        (uid.is_some(), 4),
        (gid.is_some(), 2),
    ];
    weights.iter().filter(|(said, _)| *said).map(|(_, weight)| weight).sum()
}

/// The specificity of what anybody may have.
pub(super) const ANYBODY: u32 = 0;
/// The specificity of a node that grants nothing to anybody.
pub(super) const AS_AGENT: u32 = 1;

/// Whether all that the selectors say holds. The hash is asked for last, and only if everything
/// else holds.
pub(super) fn fits(
    selectors: &Selectors,
    facts: &Facts,
    sha256: impl FnOnce() -> Option<String>,
) -> bool {
    let Selectors { uid, gid, executable, sha256: wanted_sha256, pod, container } = selectors;
    let says_nothing = *selectors == Selectors::default();
    !says_nothing
        && uid.is_none_or(|uid| uid == facts.uid)
        && gid.is_none_or(|gid| gid == facts.gid)
        && (executable.is_none() || *executable == facts.executable)
        && (pod.is_none() || *pod == facts.cgroup.pod)
        && (container.is_none() || *container == facts.cgroup.container)
        && (wanted_sha256.is_none() || *wanted_sha256 == sha256())
}

/// What a grant asks for that the caller has not: both as lists of words, as long as each other.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mismatch {
    pub(super) wanted: Vec<String>,
    pub(super) found: Vec<String>,
}

/// Compares selector by selector. No executable is hashed for it: a hash counts as missing where
/// the caller's is not given.
pub(super) fn mismatch(selectors: &Selectors, facts: &Facts) -> Mismatch {
    let Selectors { uid, gid, executable, sha256, pod, container } = selectors;
    let mut mismatch = Mismatch::default();
    let number = |number: Option<u32>| number.map(|number| number.to_string());
    let path = |path: &Option<std::path::PathBuf>| {
        path.as_ref().map(|path| printable(&path.to_string_lossy()))
    };
    mismatch.compare("uid", number(*uid), number(Some(facts.uid)));
    mismatch.compare("gid", number(*gid), number(Some(facts.gid)));
    mismatch.compare("executable", path(executable), path(&facts.executable));
    mismatch.compare("pod", pod.clone(), facts.cgroup.pod.clone());
    mismatch.compare("container", container.clone(), facts.cgroup.container.clone());
    if mismatch.wanted.is_empty()
        && let Some(sha256) = sha256
    {
        mismatch.wanted.push(format!("an executable of SHA-256 {sha256}"));
        mismatch.found.push("another".to_owned());
    }
    mismatch
}

impl Mismatch {
    fn compare(&mut self, what: &str, wanted: Option<String>, found: Option<String>) {
        let Some(wanted) = wanted.filter(|wanted| found.as_ref() != Some(wanted)) else { return };
        self.wanted.push(format!("{what} {wanted}"));
        self.found.push(match found {
            Some(found) => format!("{what} {found}"),
            None => format!("of an unknown {what}"),
        });
    }
}
