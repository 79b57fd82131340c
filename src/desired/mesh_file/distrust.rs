//! Authorities that nobody is to trust any more.

use super::Written;
use super::authorities::reference;
use crate::desired::problem::{Problem, Problems};
use crate::desired::{Desired, Identity, TrustSet};
use crate::identity::AuthorityName;

/// The authorities that `distrust` lists.
pub fn listed(
    written: &Written<'_>,
    authorities: impl Iterator<Item = AuthorityName>,
    problems: &Problems,
) -> Vec<AuthorityName> {
    let Some(names) = &written.distrust else {
        return Vec::new();
    };
    for name in &names.value {
        reference(name, written, problems);
    }
    authorities.filter(|known| names.value.iter().any(|n| n.value == known.as_str())).collect()
}

/// What is trusted is the root: distrust of an intermediate changes nothing where its root is
/// trusted still.
pub fn check(written: &Written<'_>, desired: &Desired, problems: &Problems) {
    for place in written.distrust.iter().flat_map(|names| &names.value) {
        let Some(name) = desired.distrust.iter().find(|name| name.as_str() == place.value) else {
            continue;
        };
        let root = desired.root_of(name);
        if desired.distrusted(root).is_some() {
            continue;
        }
        let through = |set: &TrustSet| {
            set.names().iter().find(|member| desired.root_of(member) == root).cloned()
        };
        let still = |identity: &Identity| {
            let by = identity.trust_sets().find_map(through)?;
            Some((identity.name.clone(), by))
        };
        let Some((node, by)) = desired.identities.values().find_map(still) else {
            continue;
        };
        let through = if by == *root { String::new() } else { format!(" through `{by}`") };
        let message = format!(
            "`{name}` cannot be distrusted alone: it stands under `{root}`, which `{node}` trusts\
             {through}"
        );
        problems.push(Problem::error(place.span.clone(), message).help(format!(
            "what is trusted is always a root, with all that stands under it: move the nodes to \
             another one, and distrust `{root}`"
        )));
    }
}
