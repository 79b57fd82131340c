//! Who may read a node's files, as its mesh file says it and this machine knows it.

use thiserror::Error;

use crate::desired::{Account, Identity};
use crate::files::{Access, DirectoryOptions, Layout};
use crate::identity::NodeName;

/// A user or group that this machine does not know.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "virtualNodes.{node}.files.{field}: this machine has no {field} named {name:?}; use its \
     number, or run where it exists"
)]
pub struct UnknownAccount {
    /// The node.
    pub node: NodeName,
    /// `owner` or `group`.
    pub field: &'static str,
    /// The name as given.
    pub name: String,
}

/// The access to a file of `identity` with these permission bits.
///
/// # Errors
/// When this machine does not know the owner or group by name.
pub fn access(identity: &Identity, mode: u32) -> Result<Access, UnknownAccount> {
    let unknown = |field, name: &str| UnknownAccount {
        node: identity.name.clone(),
        field,
        name: name.to_owned(),
    };
    let owner = match &identity.files.owner {
        None => None,
        Some(Account::Id(id)) => Some(*id),
        Some(Account::Name(name)) => match nix::unistd::User::from_name(name) {
            Ok(Some(user)) => Some(user.uid.as_raw()),
            _ => return Err(unknown("owner", name)),
        },
    };
    let group = match &identity.files.group {
        None => None,
        Some(Account::Id(id)) => Some(*id),
        Some(Account::Name(name)) => match nix::unistd::Group::from_name(name) {
            Ok(Some(group)) => Some(group.gid.as_raw()),
            _ => return Err(unknown("group", name)),
        },
    };
    Ok(Access { owner, group, mode })
}

/// How to make the directory for the files of these: only who issues enters it, unless files in it
/// belong to somebody else. Then others may pass through, and see no more than their own files.
pub fn directory_options<'a>(
    identities: impl IntoIterator<Item = &'a Identity>,
    layout: Layout,
) -> DirectoryOptions {
    let foreign =
        |identity: &Identity| identity.files.owner.is_some() || identity.files.group.is_some();
    let mut options = DirectoryOptions::new(layout);
    if identities.into_iter().any(foreign) {
        options.mode = 0o711;
    }
    options
}
