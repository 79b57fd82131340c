//! Responses, in pieces to be sent one after the other.

use std::sync::Arc;

use bytes::Bytes;
use prost::encoding::encoded_len_varint;

use super::SECRET_TYPE;
use super::sieve::{LENGTH_DELIMITED, push_varint};
use crate::sds::resource::Resource;

/// An `envoy.service.discovery.v3.DiscoveryResponse`. The resources' bytes are shared, not copied.
pub fn state_of_the_world(version: &str, nonce: &str, resources: &[Arc<Resource>]) -> Vec<Bytes> {
    let mut pieces = Pieces::default();
    pieces.string(1, version);
    pieces.string(4, SECRET_TYPE);
    pieces.string(5, nonce);
    for resource in resources {
        pieces.key(2, resource.any.len());
        pieces.shared(&resource.any);
    }
    pieces.finish()
}

/// An `envoy.service.discovery.v3.DeltaDiscoveryResponse`. The resources' bytes are shared, not
/// copied.
pub fn delta(nonce: &str, resources: &[Arc<Resource>], removed: &[String]) -> Vec<Bytes> {
    let mut pieces = Pieces::default();
    pieces.string(4, SECRET_TYPE);
    pieces.string(5, nonce);
    for name in removed {
        pieces.string(6, name);
    }
    for resource in resources {
        let any = resource.any.len();
        let length = string_length(&resource.name) + string_length(&resource.version);
        pieces.key(2, length + 1 + encoded_len_varint(any as u64) + any);
        pieces.string(3, &resource.name);
        pieces.string(1, &resource.version);
        pieces.key(2, any);
        pieces.shared(&resource.any);
    }
    pieces.finish()
}

/// How long a string is with its key and length; what is empty is left out. Every field number here
/// is below 16, so that a key is one byte.
fn string_length(text: &str) -> usize {
    match text.len() {
        0 => 0,
        length => 1 + encoded_len_varint(length as u64) + length,
    }
}

#[derive(Default)]
struct Pieces {
    whole: Vec<Bytes>,
    open: Vec<u8>,
}

impl Pieces {
    fn key(&mut self, field: u64, length: usize) {
        push_varint(&mut self.open, field << 3 | LENGTH_DELIMITED);
        push_varint(&mut self.open, length as u64);
    }

    fn string(&mut self, field: u64, text: &str) {
        if !text.is_empty() {
            self.key(field, text.len());
            self.open.extend_from_slice(text.as_bytes());
        }
    }

    fn shared(&mut self, bytes: &Bytes) {
        self.whole.push(std::mem::take(&mut self.open).into());
        self.whole.push(bytes.clone());
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.whole.push(self.open.into());
        self.whole.retain(|piece| !piece.is_empty());
        self.whole
    }
}
