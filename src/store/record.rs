//! What a journal's record says: of which node, what, in how many parts.
//!
//! One byte says what it is, two how long the node's name is (big-endian, as all lengths here), the
//! name follows, then each part with its length in four bytes. A record without parts says that
//! there is nothing any more.

use zeroize::Zeroizing;

/// What a record keeps of a node, or of an authority of ours. Numbers are never used again for something else; a record of a
/// number that this release does not know is kept as it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A key (PKCS#8) and its chain, the leaf first, a part for each; all in DER.
    Credential,
    /// A key and what was asked for it of an authority that is paid, in one part.
    Pending,
    /// What was asked for the CA of that name, in one part.
    Submission,
}

impl Kind {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Credential => 1,
            Self::Pending => 2,
            Self::Submission => 3,
        }
    }
}

/// A record, read.
#[derive(Clone, Debug)]
pub(super) struct Record<'a> {
    pub(super) kind: u8,
    pub(super) node: &'a str,
    pub(super) parts: Vec<&'a [u8]>,
}

/// Writes a record.
pub(super) fn encode(kind: Kind, node: &str, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length = parts.iter().map(|part| 4 + part.len()).sum::<usize>();
    // Made large enough at once, so that no part of a key stays behind where it grew out of.
    let mut bytes = Zeroizing::new(Vec::with_capacity(3 + node.len() + length));
    bytes.push(kind.number());
    bytes.extend_from_slice(&(node.len() as u16).to_be_bytes());
    bytes.extend_from_slice(node.as_bytes());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Reads a record; none if it is none of this form.
pub(super) fn decode(bytes: &[u8]) -> Option<Record<'_>> {
    let (kind, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (node, mut rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let node = std::str::from_utf8(node).ok()?;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk()?;
        let (part, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        parts.push(part);
        rest = after;
    }
    Some(Record { kind: *kind, node, parts })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(
            node in "[a-z0-9-]{1,63}",
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..4),
        ) {
            let parts: Vec<_> = parts.iter().map(Vec::as_slice).collect();
            let bytes = encode(Kind::Credential, &node, &parts);
            let record = decode(&bytes).unwrap();
            prop_assert_eq!((record.kind, record.node, record.parts), (1, node.as_str(), parts));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&bytes);
        }
    }
}
