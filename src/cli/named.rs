//! What a command names, found in the mesh; else the names that there are.

use miette::{Report, miette};

use crate::desired::{Desired, Identity};
use crate::identity::{AuthorityName, NodeName};

/// The node of that name.
pub(super) fn node<'a>(desired: &'a Desired, name: &str) -> Result<&'a Identity, Report> {
    let found = desired.identities.iter().find(|(node, _)| node.as_str() == name);
    found.map(|(_, identity)| identity).ok_or_else(|| {
        let known = desired.identities.keys().map(NodeName::as_str);
        unknown("node", name, &known.collect::<Vec<_>>())
    })
}

/// The name of the authority of that name.
pub(super) fn authority<'a>(desired: &'a Desired, name: &str) -> Result<&'a AuthorityName, Report> {
    desired.authorities.keys().find(|authority| authority.as_str() == name).ok_or_else(|| {
        let known = desired.authorities.keys().map(AuthorityName::as_str);
        unknown("authority", name, &known.collect::<Vec<_>>())
    })
}

fn unknown(kind: &str, name: &str, known: &[&str]) -> Report {
    miette!(help = format!("it has {}", known.join(", ")), "the mesh has no {kind} {name:?}")
}
