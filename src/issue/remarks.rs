//! What a run tells besides what it did: changes of trust and their order, and what looks odd in
//! the directories.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use super::node::Node;
use super::report::{Report, roll_out};
use super::trust::TrustFile;
use super::{IssueError, Order};
use crate::desired::layout::{self, Content};
use crate::files::{Layout, View};
use crate::hierarchy::Authorities;
use crate::time::rfc3339;

impl Order<'_> {
    /// Tells how trust changes, and in which order to bring that to running proxies.
    pub(super) fn describe_trust(
        &self,
        report: &mut Report,
        trust_files: &mut [TrustFile],
        nodes: &[Node<'_>],
    ) {
        for file in trust_files {
            report.notes.extend(file.remark.take());
            report.trust_changes.extend(file.change.take());
        }
        let moved = nodes.iter().filter(|node| node.moves());
        let moved: Vec<_> = moved.map(|node| node.identity.name.to_string()).collect();
        report.roll_out = match self.withdrawn(&report.trust_changes).as_slice() {
            [] => roll_out(&report.trust_changes, &moved),
            withdrawn => vec![format!(
                "no order, since {} is distrusted: have every proxy load all of it at once, and \
                 close its connections",
                withdrawn.join(" and ")
            )],
        };
    }

    /// An Envoy that watches `..data` would see no change any more, so its end is told.
    pub(super) fn note_layout(&self) -> Result<Option<String>, IssueError> {
        let was_live = match View::open(self.output)? {
            Some(view) => view.layout()? == Layout::Live,
            None => false,
        };
        Ok((was_live && self.layout == Layout::Flat).then(|| {
            "the files were behind ..data and are plain now; name --live to keep them there"
                .to_owned()
        }))
    }

    /// Nodes that are as they should be though their authority cannot sign now: in time is when to
    /// mend it.
    pub(super) fn note_unsigned(
        &self,
        authorities: &Authorities,
        nodes: &[Node<'_>],
    ) -> Vec<String> {
        let told = |name| {
            let why = authorities.why_mute(name)?;
            let kept = nodes.iter().filter(|node| node.identity.authority == *name);
            let dues: Vec<_> = kept.filter_map(Node::kept_until).collect();
            let (first, count) = (dues.iter().min()?, dues.len());
            Some(format!(
                "{name} cannot sign now, and {count} of its nodes keep good certificates, of which \
                 the first is to be renewed at {}: {why}",
                rfc3339(*first)
            ))
        };
        self.desired.authorities.keys().filter_map(told).collect()
    }

    /// Keys of authorities that others may read: an older tool's, since ours are never made so.
    pub(super) fn open_keys(&self) -> Vec<String> {
        let keys = layout::files(self.desired).into_iter();
        let keys = keys.filter(|file| matches!(file.content, Content::AuthorityKey(_)));
        keys.filter_map(|file| {
            let path = self.state.join(file.name);
            let mode = std::fs::symlink_metadata(&path).ok()?.permissions().mode() & 0o777;
            (mode & 0o077 != 0).then(|| {
                let path = path.display();
                format!("others may read the key {path} (mode {mode:o}): chmod 600 {path}")
            })
        })
        .collect()
    }

    /// Files that look like ours and belong to nothing in the mesh.
    pub(super) fn left_over(&self) -> Vec<String> {
        let apart = self.state_is_apart();
        let ours: BTreeSet<_> = layout::files(self.desired)
            .into_iter()
            .filter(|file| !(apart && matches!(file.content, Content::AuthorityKey(_))))
            .map(|file| file.name)
            .collect();
        let Ok(entries) = std::fs::read_dir(self.output) else { return Vec::new() };
        let mut names: Vec<_> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| layout::is_of_our_kind(name) && !ours.contains(name))
            .collect();
        names.sort();
        names
    }
}
