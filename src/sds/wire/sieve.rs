//! Reads a request while it arrives, and keeps only what is of use.

use std::marker::PhantomData;

use super::{Node, Request, WireError};

/// Takes the bytes of one message piece by piece and lets through the fields of `M` that are read.
/// What it holds is what it kept: a few hundred bytes of Envoy's 61 KB.
#[derive(Debug)]
pub struct Sieve<M> {
    /// How much of the message has been seen.
    at: usize,
    /// How long the message is.
    end: usize,
    /// Where the node ends, while inside it.
    node_end: Option<usize>,
    next: Next,
    /// The fields let through, encoded as they came, those of the node apart.
    kept: Vec<u8>,
    node: Option<Vec<u8>>,
    message: PhantomData<M>,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    Key(Varint),
    /// The value of a number that nobody reads.
    Number(Varint),
    Length {
        field: u64,
        length: Varint,
    },
    Value {
        left: usize,
        keep: bool,
    },
}

impl<M: Request> Sieve<M> {
    /// Begins a message of `length` bytes.
    pub fn new(length: usize) -> Self {
        Self {
            at: 0,
            end: length,
            node_end: None,
            next: Next::Key(Varint::default()),
            kept: Vec::new(),
            node: None,
            message: PhantomData,
        }
    }

    /// How many bytes of the message are still to come.
    pub fn missing(&self) -> usize {
        self.end - self.at
    }

    /// How many bytes it holds.
    pub fn held(&self) -> usize {
        self.kept.capacity() + self.node.as_ref().map_or(0, Vec::capacity)
    }

    /// Takes the next bytes of the message, and no more than it has.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), WireError> {
        if bytes.len() > self.missing() {
            return Err(WireError::Malformed { what: "more bytes than announced" });
        }
        while let Some((&byte, after)) = bytes.split_first() {
            if self.node_end.is_some_and(|end| self.at < end)
                && let Some(length) = self.unwanted(bytes)
            {
                bytes = &bytes[length..];
                self.at += length;
            } else if let Next::Value { left, keep } = self.next {
                let (value, after) = bytes.split_at(left.min(bytes.len()));
                if keep {
                    self.target().extend_from_slice(value);
                }
                bytes = after;
                self.at += value.len();
                self.next = Next::value(left - value.len(), keep);
            } else {
                bytes = after;
                self.at += 1;
                self.next = self.step(byte)?;
            }
            if self.node_end == Some(self.at) && matches!(self.next, Next::Key(Varint::NONE)) {
                self.node_end = None;
            }
        }
        Ok(())
    }

    /// How long the field at the front is, if all of it is there, nobody reads it, and its length
    /// is a short one. It could be read byte by byte as well; a node is hundreds of such fields.
    fn unwanted(&self, bytes: &[u8]) -> Option<usize> {
        if !matches!(self.next, Next::Key(Varint::NONE)) {
            return None;
        }
        let (key, head, length) = match *bytes {
            [key, length, ..] if length < 0x80 => (key, 2, usize::from(length)),
            [key, low, high, ..] if high < 0x80 => {
                (key, 3, usize::from(high) << 7 | usize::from(low & 0x7f))
            }
            _ => return None,
        };
        let field = u64::from(key >> 3);
        let is_short = key < 0x80 && u64::from(key & 7) == LENGTH_DELIMITED;
        if !is_short || field == 0 || self.keeps(field) {
            return None;
        }
        let all = head + length;
        let fits = all <= bytes.len() && all <= self.node_end.unwrap_or(self.end) - self.at;
        fits.then_some(all)
    }

    /// The message, once nothing is missing.
    pub fn finish(mut self) -> Result<M, WireError> {
        let whole = matches!(self.next, Next::Key(Varint::NONE)) && self.node_end.is_none();
        if !whole || self.missing() > 0 {
            return Err(WireError::Malformed { what: "it ends in the middle of a field" });
        }
        if let Some(node) = self.node {
            push_varint(&mut self.kept, M::NODE << 3 | LENGTH_DELIMITED);
            push_varint(&mut self.kept, node.len() as u64);
            self.kept.extend_from_slice(&node);
        }
        M::decode(&self.kept[..]).map_err(|source| WireError::Undecodable { source })
    }

    /// One byte of a key, a number or a length.
    fn step(&mut self, byte: u8) -> Result<Next, WireError> {
        match self.next {
            Next::Key(varint) => Ok(match varint.push(byte)? {
                Read::More(varint) => Next::Key(varint),
                Read::Whole(key) => self.key(key)?,
            }),
            Next::Number(varint) => Ok(match varint.push(byte)? {
                Read::More(varint) => Next::Number(varint),
                Read::Whole(_) => self.skip(0)?,
            }),
            Next::Length { field, length } => Ok(match length.push(byte)? {
                Read::More(length) => Next::Length { field, length },
                Read::Whole(length) => self.length(field, length)?,
            }),
            value @ Next::Value { .. } => Ok(value),
        }
    }

    fn key(&mut self, key: u64) -> Result<Next, WireError> {
        let field = key >> 3;
        if field == 0 || key > u64::from(u32::MAX) {
            return Err(WireError::Malformed { what: "a field has no valid number" });
        }
        let known = self.keeps(field) || (self.node_end.is_none() && field == M::NODE);
        match key & 7 {
            LENGTH_DELIMITED => Ok(Next::Length { field, length: Varint::NONE }),
            _ if known => Err(WireError::Malformed { what: "a field is of another type" }),
            0 => Ok(Next::Number(Varint::NONE)),
            1 => self.skip(8),
            5 => self.skip(4),
            _ => Err(WireError::Malformed { what: "a field is of no type that proto3 has" }),
        }
    }

    fn length(&mut self, field: u64, length: u64) -> Result<Next, WireError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.room()? {
            return Err(WireError::Malformed { what: "a field is longer than what it is in" });
        }
        if self.node_end.is_none() && field == M::NODE {
            self.node_end = Some(self.at + length);
            self.node.get_or_insert_default();
            return Ok(Next::Key(Varint::NONE));
        }
        let keep = self.keeps(field);
        if keep {
            let target = self.target();
            push_varint(target, field << 3 | LENGTH_DELIMITED);
            push_varint(target, length as u64);
        }
        Ok(Next::value(length, keep))
    }

    fn skip(&self, length: usize) -> Result<Next, WireError> {
        if length > self.room()? {
            return Err(WireError::Malformed { what: "a field is longer than what it is in" });
        }
        Ok(Next::value(length, false))
    }

    /// How many bytes are left of the message that the next field is in.
    fn room(&self) -> Result<usize, WireError> {
        let end = self.node_end.unwrap_or(self.end);
        end.checked_sub(self.at)
            .ok_or(WireError::Malformed { what: "a field is longer than what it is in" })
    }

    fn keeps(&self, field: u64) -> bool {
        let kept = if self.node_end.is_some() { Node::KEPT } else { M::KEPT };
        kept.contains(&field)
    }

    fn target(&mut self) -> &mut Vec<u8> {
        match (&self.node_end, &mut self.node) {
            (Some(_), Some(node)) => node,
            _ => &mut self.kept,
        }
    }
}

impl Next {
    fn value(left: usize, keep: bool) -> Self {
        if left == 0 { Self::Key(Varint::NONE) } else { Self::Value { left, keep } }
    }
}

/// The wire type of strings and messages
/// (<https://protobuf.dev/programming-guides/encoding/#structure>).
pub(super) const LENGTH_DELIMITED: u64 = 2;

/// A number that is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Varint {
    value: u64,
    bits: u32,
}

enum Read {
    More(Varint),
    Whole(u64),
}

impl Varint {
    const NONE: Self = Self { value: 0, bits: 0 };

    fn push(self, byte: u8) -> Result<Read, WireError> {
        let part = u64::from(byte & 0x7f);
        if self.bits == 63 && byte > 1 {
            return Err(WireError::Malformed { what: "a number has more than 64 bits" });
        }
        let value = self.value | part << self.bits;
        if byte & 0x80 == 0 {
            Ok(Read::Whole(value))
        } else {
            Ok(Read::More(Self { value, bits: self.bits + 7 }))
        }
    }
}

pub(super) fn push_varint(target: &mut Vec<u8>, value: u64) {
    prost::encoding::encode_varint(value, target);
}
