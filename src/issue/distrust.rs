//! Where the roots of distrusted authorities are trusted all the same.

use super::Order;
use super::report::TrustChange;
use super::trust::trust_roots;
use crate::desired::TrustSet;
use crate::files::{Contents, FileName};
use crate::hierarchy::Authorities;
use crate::store::Reader;
use crate::x509::certificate::Certificate;
use crate::x509::printable::printable;

impl Order<'_> {
    /// The distrusted authorities whose roots leave trust files.
    pub(super) fn withdrawn(&self, changes: &[TrustChange]) -> Vec<String> {
        let removed = |name: &str| changes.iter().any(|c| c.removed.iter().any(|r| r == name));
        let distrusted = self.desired.distrust.iter().map(ToString::to_string);
        distrusted.filter(|name| removed(name)).collect()
    }

    /// What `distrust` alone does not reach: roots that another authority shares, which only the
    /// certificates tell, and files in `left_over` that nobody writes any more.
    pub(super) fn note_distrust(
        &self,
        authorities: &Authorities,
        left_over: &[String],
        read: &Reader<'_>,
    ) -> Vec<String> {
        let mut notes = Vec::new();
        for name in &self.desired.distrust {
            let Some(roots) = authorities.states[name].roots() else {
                notes.push(format!(
                    "{name} is distrusted, and its certificate is not here to tell whether another \
                     authority has the same root"
                ));
                continue;
            };
            let still_in = |certificates: &[Certificate]| {
                certificates.iter().any(|certificate| roots.contains(certificate))
            };
            let shared = |set: &TrustSet| {
                trust_roots(authorities, set).is_ok_and(|anchors| still_in(&anchors))
            };
            let nodes = self.desired.identities.values();
            let mut nodes = nodes.filter(|identity| identity.trust_sets().any(shared));
            if let Some(node) = nodes.next() {
                let others = match nodes.count() {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                notes.push(format!(
                    "{name} is distrusted, and {}{others} trusts its root all the same: another \
                     authority has that root too; distrust that one as well",
                    node.name
                ));
            }
            for file in left_over {
                let held = FileName::parse(file).ok().and_then(|name| read(&name).ok().flatten());
                let held = held.as_ref().map_or(&[][..], Contents::as_bytes);
                if still_in(&Certificate::all_from_pem(held).unwrap_or_default()) {
                    let file = printable(file);
                    notes.push(format!(
                        "{file} is left over and holds the root of {name}, which is distrusted: \
                         have nothing load it, and remove it"
                    ));
                }
            }
        }
        notes
    }
}
