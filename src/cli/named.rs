//! What a command names, found in the mesh; else what it may have meant.

use miette::{Report, miette};

use crate::desired::problem::did_you_mean;
use crate::desired::{Desired, Identity};
use crate::identity::{AuthorityName, NodeName};

/// The node of that name.
pub(super) fn node<'a>(desired: &'a Desired, name: &str) -> Result<&'a Identity, Report> {
    let found = desired.identities.iter().find(|(node, _)| node.as_str() == name);
    found.map(|(_, identity)| identity).ok_or_else(|| {
        not_in_the_mesh("node", name, desired.identities.keys().map(NodeName::as_str))
    })
}

/// The name of the authority of that name.
pub(super) fn authority<'a>(desired: &'a Desired, name: &str) -> Result<&'a AuthorityName, Report> {
    desired.authorities.keys().find(|authority| authority.as_str() == name).ok_or_else(|| {
        not_in_the_mesh("authority", name, desired.authorities.keys().map(AuthorityName::as_str))
    })
}

fn not_in_the_mesh<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Report {
    let help = did_you_mean(name, "it has", known)
        .unwrap_or_else(|| "`certctl config check` lists all of them".to_owned());
    miette!(help = help, "the mesh has no {kind} {name:?}")
}
