//! What a run tells besides what it did: changes of trust and their order, and what looks odd in
//! the directories.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use super::authorities::Authorities;
use super::contents::trust_roots;
use super::node::Node;
use super::report::{Report, TrustChange, roll_out};
use super::{IssueError, Order};
use crate::desired::layout::{self, Content};
use crate::files::{FileName, Layout, View};
use crate::store::Reader;
use crate::time::rfc3339;
use crate::x509::certificate::Certificate;

impl Order<'_> {
    /// Compares the trust files that lie there with those that will.
    pub(super) fn describe_trust(
        &self,
        report: &mut Report,
        authorities: &Authorities,
        nodes: &[Node<'_>],
        read: &Reader<'_>,
    ) -> Result<(), IssueError> {
        for file in layout::files(self.desired) {
            let (Content::Trust(_, set)
            | Content::ListenerTrust(_, set)
            | Content::BackendTrust(_, _, set)) = &file.content
            else {
                continue;
            };
            let old = read(&FileName::parse(file.name.clone())?)?;
            let new = match trust_roots(authorities, set) {
                Ok(new) => new,
                Err(unknown) => {
                    let outcome = if old.is_some() { "stays as it is" } else { "is not made" };
                    let name = &file.name;
                    report.notes.push(format!("{name} {outcome}: {unknown} cannot be used"));
                    continue;
                }
            };
            let Some(old) = old else { continue };
            let old = Certificate::all_from_pem(old.as_bytes()).unwrap_or_default();
            let name = |root: &Certificate| authorities.name_of(root);
            report.trust_changes.extend(TrustChange::between(&file.name, &old, &new, name));
        }
        let moved: Vec<_> = nodes.iter().filter(|node| node.moves()).collect();
        let moved: Vec<_> = moved.iter().map(|node| node.identity.name.to_string()).collect();
        report.roll_out = roll_out(&report.trust_changes, &moved);
        Ok(())
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
