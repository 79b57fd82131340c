//! Passes HTTP/2 on with its data in small frames.
//!
//! A connection keeps a buffer of its largest frame for as long as it lasts. Envoy sends its 61 KB
//! of node in frames of 16 KB, so that thousands of connections that wait would each hold as much.
//! One frame of data may be any number of smaller ones (RFC 9113 section 6.1), as long as they are
//! not padded.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

mod stage;
mod turn;

use stage::Stage;
pub(super) use turn::Turn;

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
    /// What has been read and not been passed on.
    read: Option<Stage>,
    turn: Turn,
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
    pub(super) fn new(io: IO, turn: Turn) -> Self {
        let splitter = Splitter { head: [0; HEAD], state: State::Payload(PREFACE), more: 0 };
        Self { io, read: None, turn, splitter }
    }
}

impl<IO: AsyncRead + Unpin> SmallFrames<IO> {
    /// Reads what there is, as much as a stage takes; nothing at the end.
    fn poll_stage(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Stage>>> {
        let mut stage = Stage::take();
        let mut buffer = ReadBuf::new(&mut stage.bytes);
        let polled = Pin::new(&mut self.io).poll_read(context, &mut buffer);
        stage.end = buffer.filled().len();
        match polled {
            Poll::Ready(Ok(())) if stage.end > 0 => Poll::Ready(Ok(Some(stage))),
            polled => {
                stage.give_back();
                polled.map_ok(|()| None)
            }
        }
    }
}

impl Splitter {
    /// Passes bytes on, as many as there are and have room; says how many that were.
    fn pass(&mut self, bytes: &[u8], buffer: &mut ReadBuf<'_>) -> usize {
        let mut passed = 0;
        loop {
            self.settle();
            let bytes = &bytes[passed..];
            let room = buffer.remaining();
            match self.state {
                State::Passing(at) if room > 0 => {
                    let length = room.min(HEAD - at);
                    buffer.put_slice(&self.head[at..][..length]);
                    self.state = State::Passing(at + length);
                }
                State::Reading(at) if !bytes.is_empty() => {
                    let length = bytes.len().min(HEAD - at);
                    self.head[at..][..length].copy_from_slice(&bytes[..length]);
                    self.state = State::Reading(at + length);
                    passed += length;
                }
                State::Payload(left) if !bytes.is_empty() && room > 0 => {
                    let length = left.min(bytes.len()).min(room);
                    buffer.put_slice(&bytes[..length]);
                    self.state = State::Payload(left - length);
                    passed += length;
                }
                _ => return passed,
            }
        }
    }

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
        loop {
            let stage = match &mut this.read {
                Some(stage) => stage,
                // What was read before may end in a head that is still to be passed on.
                None => {
                    this.splitter.pass(&[], buffer);
                    if buffer.filled().len() > before || buffer.remaining() == 0 {
                        return Poll::Ready(Ok(()));
                    }
                    if this.turn.is_over() {
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    match ready!(this.poll_stage(context))? {
                        Some(stage) => this.read.insert(stage),
                        None => return Poll::Ready(Ok(())),
                    }
                }
            };
            stage.at += this.splitter.pass(&stage.bytes[stage.at..stage.end], buffer);
            if stage.at < stage.end {
                return Poll::Ready(Ok(()));
            }
            if let Some(stage) = this.read.take() {
                this.turn.passed(stage.end);
                stage.give_back();
            }
        }
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
