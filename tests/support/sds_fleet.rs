//! Many Envoys at once, as far as a server of secrets can tell, and when each got what.
//!
//! They cost as little as they can, so that a server that is measured by them is what is measured:
//! each is one small task that writes HTTP/2's frames itself, out of bytes that all share, and
//! reads into a buffer that all of a thread share.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Buf, Bytes};
use prost::Message;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::sds_client::{Node, request};
use super::sds_frames::{self as frames, Frame};

/// How long anything may take before a fleet gives up.
const DEADLINE: Duration = Duration::from_secs(60);

/// How many pieces are written at once.
const PIECES: usize = 16;

/// One of them.
#[derive(Clone, Debug)]
pub struct Member {
    /// What it calls itself.
    pub id: String,
    /// The name that each of its streams asks for.
    pub names: Vec<String>,
}

/// How an Envoy takes what it gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Manners {
    /// It acknowledges everything, as it should.
    Acknowledges,
    /// It reads, and never answers.
    Silent,
}

/// A response that somebody got.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Whose, by its place among the members.
    pub member: usize,
    /// On which of its streams.
    pub stream: usize,
    /// When it had come.
    pub at: Instant,
    /// How long after its member had begun to connect.
    pub after: Duration,
    /// Its version.
    pub version: String,
}

/// Envoys that are connected, until it is dropped.
pub struct Fleet {
    arrivals: UnboundedReceiver<Arrival>,
    members: Vec<JoinHandle<()>>,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.members.iter().for_each(JoinHandle::abort);
    }
}

impl Fleet {
    /// Begins to connect all of them at this moment.
    pub fn connect(socket: &Path, members: Vec<Member>, manners: Manners) -> Self {
        let (sender, arrivals) = unbounded_channel();
        let members = members.into_iter().enumerate().map(|(number, member)| {
            let (socket, arrivals) = (socket.to_owned(), sender.clone());
            tokio::spawn(live(socket, number, member, manners, arrivals))
        });
        Self { members: members.collect(), arrivals }
    }

    /// The next so many responses, whoever gets them.
    pub async fn arrivals(&mut self, count: usize) -> Vec<Arrival> {
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            let next = timeout(DEADLINE, self.arrivals.recv()).await;
            let next = next.unwrap_or_else(|_| panic!("only {} of {count} responses", all.len()));
            all.push(next.expect("members that live"));
        }
        all
    }

    /// Whether anybody has got something that nobody has asked about yet.
    pub fn is_quiet(&self) -> bool {
        self.arrivals.is_empty()
    }
}

/// One Envoy, until its connection ends.
async fn live(
    socket: PathBuf,
    number: usize,
    member: Member,
    manners: Manners,
    arrivals: UnboundedSender<Arrival>,
) {
    let begun = Instant::now();
    let io = connect(&socket).await;
    let mut envoy = Envoy::new(&member);
    loop {
        if envoy.write(&io).is_err() {
            return;
        }
        let interest = match envoy.unsent.is_empty() {
            true => Interest::READABLE,
            false => Interest::READABLE | Interest::WRITABLE,
        };
        if !io.ready(interest).await.is_ok_and(|ready| !ready.is_readable() || envoy.read(&io)) {
            return;
        }
        while let Some((stream, response)) = envoy.responses.pop_front() {
            let (at, version) = (Instant::now(), response.version_info.clone());
            if manners == Manners::Acknowledges {
                envoy.ask(stream, &response);
            }
            let arrival = Arrival { member: number, stream, at, after: at - begun, version };
            if arrivals.send(arrival).is_err() {
                return;
            }
        }
    }
}

/// Connects; a Unix socket whose queue is full says so at once, and is asked again.
async fn connect(socket: &Path) -> UnixStream {
    loop {
        match UnixStream::connect(socket).await {
            Ok(io) => return io,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep(Duration::from_millis(1)).await;
            }
            Err(error) => panic!("{}: {error}", socket.display()),
        }
    }
}

/// What a response is acknowledged by.
#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(string, tag = "1")]
    version_info: String,
    #[prost(string, tag = "5")]
    nonce: String,
}

/// One connection's state.
struct Envoy {
    node: Node,
    streams: Vec<Stream>,
    /// How much data may be sent on all streams together, and on a new one.
    window: i64,
    initial_window: i64,
    /// Whole frames that are on their way.
    unsent: VecDeque<Bytes>,
    /// What has come of a frame that is not whole.
    part: Vec<u8>,
    responses: VecDeque<(usize, Answer)>,
}

#[derive(Default)]
struct Stream {
    name: String,
    window: i64,
    /// The messages that wait for room.
    messages: VecDeque<Bytes>,
    received: Vec<u8>,
}

impl Envoy {
    fn new(member: &Member) -> Self {
        let mut envoy = Self {
            node: Node::whole(&member.id),
            streams: Vec::new(),
            window: frames::INITIAL_WINDOW,
            initial_window: frames::INITIAL_WINDOW,
            unsent: VecDeque::from([frames::opening()]),
            part: Vec::new(),
            responses: VecDeque::new(),
        };
        for (at, name) in member.names.iter().enumerate() {
            envoy.unsent.push_back(frames::headers(id(at)));
            let window = envoy.initial_window;
            envoy.streams.push(Stream { name: name.clone(), window, ..Stream::default() });
            envoy.ask(at, &Answer::default());
        }
        envoy
    }

    /// Asks for the name of a stream, answering what it got last.
    fn ask(&mut self, stream: usize, last: &Answer) {
        let name = self.streams[stream].name.clone();
        let message = request(&self.node, vec![name], &last.version_info, &last.nonce, None);
        self.streams[stream].messages.extend(message);
    }

    /// Puts data into frames, as far as the windows allow.
    fn frame(&mut self) {
        for (at, stream) in self.streams.iter_mut().enumerate() {
            while let Some(message) = stream.messages.front_mut() {
                let room = self.window.min(stream.window).clamp(0, frames::LARGEST as i64);
                let length = message.len().min(room as usize);
                if length == 0 {
                    break;
                }
                self.window -= length as i64;
                stream.window -= length as i64;
                self.unsent.push_back(frames::head(length, frames::DATA, 0, id(at)));
                self.unsent.push_back(message.split_to(length));
                if message.is_empty() {
                    stream.messages.pop_front();
                }
            }
        }
    }

    /// Writes as much as the other side takes now.
    fn write(&mut self, io: &UnixStream) -> io::Result<()> {
        self.frame();
        while !self.unsent.is_empty() {
            let mut slices = [IoSlice::new(&[]); PIECES];
            for (slice, piece) in slices.iter_mut().zip(&self.unsent) {
                *slice = IoSlice::new(piece);
            }
            let mut written = match io.try_write_vectored(&slices) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            while let Some(piece) = self.unsent.front_mut() {
                let length = piece.len().min(written);
                piece.advance(length);
                written -= length;
                if !piece.is_empty() {
                    break;
                }
                self.unsent.pop_front();
            }
        }
        Ok(())
    }

    /// Reads what there is; says whether there may be more some day.
    fn read(&mut self, io: &UnixStream) -> bool {
        thread_local! {
            static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 128 * 1024]);
        }
        BUFFER.with_borrow_mut(|buffer| {
            let length = match io.try_read(buffer) {
                Ok(0) => return false,
                Ok(length) => length,
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            };
            let mut part = std::mem::take(&mut self.part);
            let mut rest = match part.is_empty() {
                true => &buffer[..length],
                false => {
                    part.extend_from_slice(&buffer[..length]);
                    &part
                }
            };
            while let Some((frame, after)) = frames::next(rest) {
                if !self.take(&frame) {
                    return false;
                }
                rest = after;
            }
            self.part = rest.to_vec();
            true
        })
    }

    /// Takes a frame; says whether the connection and its streams go on.
    fn take(&mut self, frame: &Frame<'_>) -> bool {
        let at = (frame.stream as usize).saturating_sub(1) / 2;
        match frame.kind {
            frames::DATA => {
                let Some(stream) = self.streams.get_mut(at) else { return false };
                stream.received.extend_from_slice(frame.payload);
                while let Some(answer) = message(&mut stream.received) {
                    self.responses.push_back((at, answer));
                }
            }
            frames::SETTINGS if frame.flags & frames::ACK == 0 => {
                if let Some(window) = frames::initial_window(frame.payload) {
                    let more = window - self.initial_window;
                    self.initial_window = window;
                    self.streams.iter_mut().for_each(|stream| stream.window += more);
                }
                self.unsent.push_back(frames::head(0, frames::SETTINGS, frames::ACK, 0));
            }
            frames::PING if frame.flags & frames::ACK == 0 => {
                let length = frame.payload.len();
                self.unsent.push_back(frames::head(length, frames::PING, frames::ACK, 0));
                self.unsent.push_back(Bytes::copy_from_slice(frame.payload));
            }
            frames::WINDOW_UPDATE => {
                let more = i64::from(frames::number(frame.payload));
                match frame.stream {
                    0 => self.window += more,
                    _ => self.streams[at].window += more,
                }
            }
            frames::HEADERS => return frame.flags & frames::END_STREAM == 0,
            frames::GOAWAY | frames::RST_STREAM => return false,
            _ => {}
        }
        true
    }
}

/// The number of a member's stream in HTTP/2.
fn id(at: usize) -> u32 {
    2 * at as u32 + 1
}

/// Takes a whole gRPC message from the front of what has come, where there is one.
fn message(received: &mut Vec<u8>) -> Option<Answer> {
    let end = 5 + frames::number(received.get(1..5)?) as usize;
    let answer = Answer::decode(received.get(5..end)?).expect("a response");
    received.drain(..end);
    if received.is_empty() {
        *received = Vec::new();
    }
    Some(answer)
}
