//! Passes HTTP/2 on with its data in small frames.
//!
//! A connection keeps a buffer of its largest frame for as long as it lasts. Envoy sends its 61 KB
//! of node in frames of 16 KB, so that thousands of connections that wait would each hold as much.
//! One frame of data may be any number of smaller ones (RFC 9113 section 6.1), as long as they are
//! not padded.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// The head of a frame, in bytes (RFC 9113 section 4.1).
const HEAD: usize = 9;

/// How much data a frame that is passed on has: with its head, it fits into the buffer that a
/// connection begins with, 8 KB.
const MOST_DATA: usize = 4096 - HEAD;

/// The kind of frames that carry requests (RFC 9113 section 6.1).
const DATA: u8 = 0;

/// The bytes before the first frame (RFC 9113 section 3.4).
const PREFACE: usize = 24;

/// What a client sends, with data in small frames. What goes to it is passed on as it is.
#[derive(Debug)]
pub(super) struct SmallFrames<IO> {
    io: IO,
    splitter: Splitter,
}

/// Where in the stream of bytes it is.
#[derive(Debug)]
struct Splitter {
    /// The head being read or passed on.
    head: [u8; HEAD],
    state: State,
    /// How much data follows in the frame that the client sent, beyond the one passed on.
    more: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// So much of a head has been read.
    Reading(usize),
    /// So much of it has been passed on.
    Passing(usize),
    /// So much is left of what follows it, or of the preface.
    Payload(usize),
}

impl<IO> SmallFrames<IO> {
    pub(super) fn new(io: IO) -> Self {
        let splitter = Splitter { head: [0; HEAD], state: State::Payload(PREFACE), more: 0 };
        Self { io, splitter }
    }
}

impl Splitter {
    /// Goes on from a state that is done.
    fn settle(&mut self) {
        loop {
            self.state = match self.state {
                State::Reading(HEAD) => {
                    let [a, b, c, kind, flags, ..] = self.head;
                    let length = u32::from_be_bytes([0, a, b, c]) as usize;
                    // What is padded, or ends its stream, is left as it is: it is rare.
                    let first = match (kind, flags) {
                        (DATA, 0) => length.min(MOST_DATA),
                        _ => length,
                    };
                    self.announce(first, length - first);
                    State::Passing(0)
                }
                State::Passing(HEAD) => {
                    let [a, b, c, ..] = self.head;
                    State::Payload(u32::from_be_bytes([0, a, b, c]) as usize)
                }
                State::Payload(0) if self.more > 0 => {
                    let next = self.more.min(MOST_DATA);
                    self.announce(next, self.more - next);
                    State::Passing(0)
                }
                State::Payload(0) => State::Reading(0),
                _ => return,
            };
        }
    }

    /// Puts a length into the head, and remembers what is left for others like it.
    fn announce(&mut self, length: usize, more: usize) {
        // Both are parts of a length of 24 bits.
        let [_, a, b, c] = u32::try_from(length).unwrap_or_default().to_be_bytes();
        self.head[..3].copy_from_slice(&[a, b, c]);
        self.more = more;
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for SmallFrames<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        while buffer.remaining() > 0 {
            this.splitter.settle();
            match this.splitter.state {
                State::Passing(passed) => {
                    let length = buffer.remaining().min(HEAD - passed);
                    buffer.put_slice(&this.splitter.head[passed..][..length]);
                    this.splitter.state = State::Passing(passed + length);
                }
                State::Reading(read) => {
                    let mut head = ReadBuf::new(&mut this.splitter.head[read..]);
                    match Pin::new(&mut this.io).poll_read(context, &mut head) {
                        Poll::Pending if buffer.filled().len() > before => break,
                        polled => ready!(polled)?,
                    }
                    let length = head.filled().len();
                    if length == 0 {
                        break;
                    }
                    this.splitter.state = State::Reading(read + length);
                }
                State::Payload(left) => {
                    let had = buffer.filled().len();
                    let mut rest = (&mut this.io).take(left as u64);
                    match Pin::new(&mut rest).poll_read(context, buffer) {
                        Poll::Pending if had > before => break,
                        polled => ready!(polled)?,
                    }
                    let length = buffer.filled().len() - had;
                    if length == 0 {
                        break;
                    }
                    this.splitter.state = State::Payload(left - length);
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for SmallFrames<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
