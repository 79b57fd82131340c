//! A file's bytes, which may be a private key.

use std::fmt;

use zeroize::Zeroizing;

/// The largest file that is read or written: 16 MiB.
pub const MAX_FILE_BYTES: usize = 16 << 20;

/// Bytes that are wiped when dropped and never shown.
#[derive(Clone, Eq, PartialEq)]
pub struct Contents(Zeroizing<Vec<u8>>);

impl Contents {
    /// The bytes themselves.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Contents {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl From<String> for Contents {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<Zeroizing<Vec<u8>>> for Contents {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = self;
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
