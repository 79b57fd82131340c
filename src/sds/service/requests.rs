//! A stream's requests, out of the bytes of its body.

use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tonic::Status;

use super::limits::{Allowance, Drawn, FREE_BYTES, LONGEST_REQUEST};
use crate::sds::wire::{Request, Sieve};

/// Reads gRPC's length-prefixed messages
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>) without ever holding one.
pub(super) struct Requests<M> {
    body: Incoming,
    /// What has arrived and was not read.
    rest: Bytes,
    prefix: [u8; 5],
    prefixed: usize,
    message: Option<Sieve<M>>,
    drawn: Drawn,
}

impl<M: Request> Requests<M> {
    pub(super) fn new(body: Incoming, allowance: &Allowance) -> Self {
        let drawn = allowance.share(FREE_BYTES);
        let (prefix, prefixed) = ([0; 5], 0);
        Self { body, rest: Bytes::new(), prefix, prefixed, message: None, drawn }
    }

    /// The next request; none at the end. Safe to cancel.
    pub(super) async fn next(&mut self) -> Option<Result<M, Status>> {
        loop {
            match self.read() {
                Ok(Some(message)) => return Some(Ok(message)),
                Ok(None) => {}
                Err(status) => return Some(Err(status)),
            }
            // Whoever ends in the middle of a message, or is cut off, is gone all the same.
            let frame = self.body.frame().await?.ok()?;
            self.rest = frame.into_data().unwrap_or_default();
        }
    }

    /// One request out of what has arrived, if it is whole.
    fn read(&mut self) -> Result<Option<M>, Status> {
        loop {
            let Some(message) = &mut self.message else {
                let taken = self.rest.len().min(self.prefix.len() - self.prefixed);
                self.rest.copy_to_slice(&mut self.prefix[self.prefixed..][..taken]);
                self.prefixed += taken;
                if self.prefixed < self.prefix.len() {
                    return Ok(None);
                }
                self.prefixed = 0;
                self.message = Some(Sieve::new(announced(self.prefix)?));
                continue;
            };
            let part = self.rest.split_to(message.missing().min(self.rest.len()));
            message.push(&part).map_err(|error| Status::invalid_argument(error.to_string()))?;
            if !self.drawn.resize(message.held()) {
                return Err(out_of_memory());
            }
            if message.missing() > 0 {
                return Ok(None);
            }
            let message = self.message.take().map(Sieve::finish).transpose();
            let _ = self.drawn.resize(0);
            return message.map_err(|error| Status::invalid_argument(error.to_string()));
        }
    }
}

/// What a stream is told that asks for more than is left.
pub(super) fn out_of_memory() -> Status {
    Status::resource_exhausted(
        "the streams of this agent ask for more than it keeps in memory; ask for fewer names",
    )
}

/// The length of the message that a prefix announces.
fn announced(prefix: [u8; 5]) -> Result<usize, Status> {
    let [compressed, length @ ..] = prefix;
    if compressed != 0 {
        return Err(Status::unimplemented("compressed requests are not read; send them plain"));
    }
    let length = u32::from_be_bytes(length);
    usize::try_from(length).ok().filter(|length| *length <= LONGEST_REQUEST).ok_or_else(|| {
        Status::resource_exhausted(format!(
            "a request of {length} bytes; the limit is {LONGEST_REQUEST}"
        ))
    })
}
