//! A file's bytes, which may be a private key.

use std::fmt;

use rustix::fs::Stat;
use zeroize::Zeroizing;

/// The largest file that is read or written: 16 MiB.
pub const MAX_FILE_BYTES: usize = 16 << 20;

/// Bytes that are wiped when dropped and never shown. Those that were read from a file know it, so
/// that publishing them again need not read the file again.
#[derive(Clone, Default)]
pub struct Contents {
    bytes: Zeroizing<Vec<u8>>,
    origin: Option<Origin>,
}

/// The state of a file in which its bytes are sure to be those that were read: whatever changes
/// them changes its ctime too.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct Origin {
    device: u64,
    inode: u64,
    size: i64,
    changed: (i64, i64),
}

impl Origin {
    #[allow(
        clippy::unnecessary_cast,
        clippy::useless_conversion,
        reason = "the fields' types differ between architectures"
    )]
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as i64,
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }
}

impl Contents {
    /// Bytes that were read from a file in this state.
    pub(super) fn read(bytes: Zeroizing<Vec<u8>>, stat: &Stat) -> Self {
        Self { bytes, origin: Some(Origin::of(stat)) }
    }

    /// The bytes themselves.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn origin(&self) -> Option<Origin> {
        self.origin
    }
}

impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Contents {}

impl From<Vec<u8>> for Contents {
    fn from(bytes: Vec<u8>) -> Self {
        Zeroizing::new(bytes).into()
    }
}

impl From<String> for Contents {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<Zeroizing<Vec<u8>>> for Contents {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self { bytes, origin: None }
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, origin: _ } = self;
        write!(formatter, "Contents({} bytes)", bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_length_alone() {
        let contents = Contents::from("PRIVATE".to_owned());
        assert_eq!(format!("{contents:?}"), "Contents(7 bytes)");
    }
}
