//! The trust files of a run: what each is to hold, and how that differs from what lies there.

use std::collections::HashMap;

use rayon::prelude::*;

use super::contents::pem;
use super::report::TrustChange;
use super::{IssueError, Order};
use crate::desired::TrustSet;
use crate::desired::layout::{self, Content};
use crate::files::{Contents, FileName};
use crate::hierarchy::Authorities;
use crate::identity::AuthorityName;
use crate::store::Reader;
use crate::x509::certificate::Certificate;

/// One trust file.
pub(super) struct TrustFile {
    /// Its name in the output directory.
    pub(super) name: String,
    /// What it is to hold; none while one of its authorities' roots are unknown.
    pub(super) contents: Option<Contents>,
    /// How that differs from what lies there.
    pub(super) change: Option<TrustChange>,
    /// What to tell of one whose content is unknown.
    pub(super) remark: Option<String>,
}

/// The roots of a set and their PEM, or the one of its authorities whose roots are unknown.
type Anchors<'a> = Result<(Vec<Certificate>, String), &'a AuthorityName>;

impl Order<'_> {
    /// Compares the trust files that lie there with those that will.
    pub(super) fn look_at_trust(
        &self,
        authorities: &Authorities,
        read: &Reader<'_>,
    ) -> Result<Vec<TrustFile>, IssueError> {
        let files = layout::files(self.desired);
        let files: Vec<(&str, &TrustSet)> = files
            .iter()
            .filter_map(|file| match &file.content {
                Content::Trust(_, set)
                | Content::ListenerTrust(_, set)
                | Content::BackendTrust(_, _, set) => Some((file.name.as_str(), *set)),
                _ => None,
            })
            .collect();
        // A thousand nodes trust a handful of sets.
        let mut anchors: HashMap<&TrustSet, Anchors<'_>> = HashMap::new();
        for (_, set) in &files {
            anchors.entry(set).or_insert_with(|| {
                trust_roots(authorities, set).map(|roots| {
                    let text = pem(&roots);
                    (roots, text)
                })
            });
        }
        files
            .par_iter()
            .map(|(name, set)| look_at(name, &anchors[set], authorities, read))
            .collect()
    }
}

fn look_at(
    name: &str,
    anchors: &Anchors<'_>,
    authorities: &Authorities,
    read: &Reader<'_>,
) -> Result<TrustFile, IssueError> {
    let old = read(&FileName::parse(name)?)?;
    let mut file = TrustFile { name: name.to_owned(), contents: None, change: None, remark: None };
    match (anchors, old) {
        (Err(unknown), old) => {
            let outcome = if old.is_some() { "stays as it is" } else { "is not made" };
            file.remark = Some(format!("{name} {outcome}: {unknown} cannot be used"));
        }
        (Ok((_, text)), Some(old)) if old.as_bytes() == text.as_bytes() => {
            file.contents = Some(old);
        }
        (Ok((roots, text)), old) => {
            file.contents = Some(text.clone().into());
            let called = |root: &Certificate| authorities.name_of(root);
            file.change = old.and_then(|old| {
                let old = Certificate::all_from_pem(old.as_bytes()).unwrap_or_default();
                TrustChange::between(name, &old, roots, called)
            });
        }
    }
    Ok(file)
}

/// The roots of a trust set, each once, in mesh order; or the one of its authorities whose roots
/// are unknown.
pub(super) fn trust_roots<'a>(
    authorities: &Authorities,
    set: &'a TrustSet,
) -> Result<Vec<Certificate>, &'a AuthorityName> {
    let mut roots: Vec<Certificate> = Vec::new();
    for name in set.names() {
        for root in authorities.states[name].roots().ok_or(name)? {
            if !roots.contains(root) {
                roots.push(root.clone());
            }
        }
    }
    Ok(roots)
}

pub(super) fn trust(authorities: &Authorities, set: &TrustSet) -> Option<String> {
    trust_roots(authorities, set).ok().map(|roots| pem(&roots))
}
