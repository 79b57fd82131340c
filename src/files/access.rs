//! Who may read a file.

use rustix::fs::{Gid, Stat, Uid};

use super::FilesError;

/// Owner, group and permission bits of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Access {
    /// Numeric owner. `None` doesn't care: an existing file keeps its owner until its bytes change,
    /// and a file that is written belongs to whoever runs.
    pub owner: Option<u32>,
    /// Numeric group; `None` as for the owner.
    pub group: Option<u32>,
    /// Permission bits, at most `0o777`.
    pub mode: u32,
}

impl Access {
    /// Access for whoever runs, under these permission bits.
    pub fn with_mode(mode: u32) -> Self {
        Self { owner: None, group: None, mode }
    }

    pub(super) fn check(self) -> Result<(), FilesError> {
        // -1 means "leave it" to chown.
        if self.mode > 0o777 || self.owner == Some(u32::MAX) || self.group == Some(u32::MAX) {
            return Err(FilesError::Access { access: self });
        }
        Ok(())
    }

    pub(super) fn of(stat: &Stat) -> Self {
        Self { owner: Some(stat.st_uid), group: Some(stat.st_gid), mode: stat.st_mode & 0o7777 }
    }

    pub(super) fn holds_for(self, stat: &Stat) -> bool {
        self.mode == stat.st_mode & 0o7777 && !self.differs_in_owner(stat)
    }

    pub(super) fn differs_in_owner(self, stat: &Stat) -> bool {
        self.owner.is_some_and(|owner| owner != stat.st_uid)
            || self.group.is_some_and(|group| group != stat.st_gid)
    }

    pub(super) fn uid(self) -> Option<Uid> {
        self.owner.map(Uid::from_raw)
    }

    pub(super) fn gid(self) -> Option<Gid> {
        self.group.map(Gid::from_raw)
    }
}
