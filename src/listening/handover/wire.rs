//! What the two processes say to each other: a length in four bytes, big end first, and so many
//! bytes of JSON, with descriptors beside them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::listening::listener::Origin;

/// Goes up with every change that the other side must know of.
pub(super) const VERSION: u32 = 1;
/// The longest message.
const MAX_BYTES: usize = 64 << 10;
/// The most descriptors in a message.
pub(super) const MAX_DESCRIPTORS: usize = 64;

/// One step of the hand-over.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Message {
    /// The successor wants the sockets.
    Request { version: u32 },
    /// Here they are, in this order; but they stay the predecessor's.
    Offer { sockets: Vec<Origin> },
    /// They stay where they are.
    Refusal { reason: String },
    /// The successor has them.
    Taken,
    /// The predecessor has them no more.
    Released,
}

/// One end of the conversation.
#[derive(Debug)]
pub(super) struct Link(UnixStream);

impl Link {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self(stream)
    }

    /// The effective user of the process on the other side.
    pub(super) fn peer(&self) -> io::Result<u32> {
        Ok(self.0.peer_cred()?.uid())
    }

    pub(super) async fn send(
        &self,
        message: &Message,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let json = serde_json::to_vec(message)?;
        let length = u32::try_from(json.len()).ok().filter(|_| json.len() <= MAX_BYTES);
        let length = length.ok_or_else(|| invalid("a message that is too long"))?;
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend(json);
        let mut sent = 0;
        while sent < bytes.len() {
            // Descriptors go with the first byte.
            let beside = if sent == 0 { descriptors } else { &[] };
            let rest = &bytes[sent..];
            sent +=
                self.0.async_io(Interest::WRITABLE, || send_some(&self.0, rest, beside)).await?;
        }
        Ok(())
    }

    pub(super) async fn receive(&self) -> io::Result<(Message, Vec<OwnedFd>)> {
        let mut descriptors = Vec::new();
        let mut length = [0; 4];
        self.fill(&mut length, &mut descriptors).await?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > MAX_BYTES {
            return Err(invalid("a message that is too long"));
        }
        let mut json = vec![0; length];
        self.fill(&mut json, &mut descriptors).await?;
        Ok((serde_json::from_slice(&json)?, descriptors))
    }

    async fn fill(&self, bytes: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<()> {
        let mut filled = 0;
        while filled < bytes.len() {
            let rest = &mut bytes[filled..];
            let received = self
                .0
                .async_io(Interest::READABLE, || receive_some(&self.0, rest, descriptors))
                .await?;
            if received == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += received;
        }
        Ok(())
    }
}

fn send_some(
    stream: &UnixStream,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(invalid("more sockets than can be passed at once"));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    Ok(sendmsg(stream, &[IoSlice::new(bytes)], &mut beside, flags)?)
}

fn receive_some(
    stream: &UnixStream,
    bytes: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = recvmsg(stream, &mut [IoSliceMut::new(bytes)], &mut beside, flags)?;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            descriptors.extend(passed);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) || descriptors.len() > MAX_DESCRIPTORS {
        return Err(invalid("more descriptors than are wanted"));
    }
    Ok(received.bytes)
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
