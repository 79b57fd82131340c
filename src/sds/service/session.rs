//! One stream's task: waits, lets the pure stream decide, and sends.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::{Body, Frame, Incoming};
use tokio::sync::watch;
use tonic::Status;

use super::connection::{Open, trailers};
use super::limits::{COST_OF_NAME, Drawn, FREE_BYTES, FREE_NAMES, NAMES_OF_A_REQUEST, Pace};
use super::requests::{Requests, out_of_memory};
use super::{Resources, Shared, note};
use crate::boards::{Recipient, RecipientView, Wait};
use crate::identity::NodeName;
use crate::sds::resource::Resolution;
use crate::sds::stream::{Note, Offer, Protocol, Response};
use crate::snapshot::{Caller, View, Watcher};

/// How much of a stream is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it.
    Stream,
    /// The first response, for as long as that takes.
    OneResponse,
}

/// A stream, its caller, and what it is on the boards.
pub(super) struct Session<P: Protocol> {
    open: Open,
    extent: Extent,
    ending: watch::Receiver<bool>,
    requests: Requests<P::Request>,
    protocol: P,
    watcher: Watcher,
    /// What its node calls itself and its service.
    hints: Option<[String; 2]>,
    /// On the board from the first request on.
    recipient: Option<(Recipient, RecipientView)>,
    waits: Vec<(NodeName, Wait)>,
    names: Drawn,
    /// Whether it was told of a request that will never be served.
    complained: bool,
    /// Nothing more is to be read.
    asked: bool,
    answered: bool,
}

/// The end of a stream.
struct End(Status);

impl<P: Protocol> Session<P> {
    pub(super) fn new(open: Open, body: Incoming, extent: Extent) -> Self {
        let shared = &open.shared;
        Self {
            extent,
            ending: shared.ending.clone(),
            requests: Requests::new(body, &shared.allowance),
            protocol: P::default(),
            watcher: shared.service.snapshot.watcher(),
            hints: None,
            recipient: None,
            waits: Vec::new(),
            names: shared.allowance.share(FREE_BYTES),
            complained: false,
            asked: false,
            answered: false,
            open,
        }
    }

    /// The responses as a body. It goes on only when its client takes what it has: a client that
    /// does not read holds up one response, and its own requests.
    pub(super) fn into_body(self) -> impl Body<Data = Bytes, Error = Infallible> + Send {
        enum State<P: Protocol> {
            Open(Box<Session<P>>, VecDeque<Bytes>),
            Ended,
        }
        let first = State::Open(Box::new(self), VecDeque::new());
        StreamBody::new(stream::unfold(first, |state| async {
            let State::Open(mut session, mut pieces) = state else { return None };
            if pieces.is_empty() {
                match session.next().await {
                    Ok(response) => pieces = message(P::encode(&response)),
                    Err(End(status)) => {
                        return Some((Ok(Frame::trailers(trailers(&status))), State::Ended));
                    }
                }
            }
            let piece = pieces.pop_front()?;
            Some((Ok(Frame::data(piece)), State::Open(session, pieces)))
        }))
    }

    /// Waits for the next response.
    async fn next(&mut self) -> Result<Response, End> {
        loop {
            if self.answered && self.extent == Extent::OneResponse {
                return Err(End(Status::ok("")));
            }
            let request = tokio::select! {
                biased;
                _ = self.ending.wait_for(|ending| *ending) => return Err(End(Status::ok(""))),
                request = self.requests.next(), if !self.asked => Some(request),
                () = self.watcher.changed(), if self.recipient.is_some() => None,
            };
            if let Some(request) = request {
                let Some(request) = request else { return Err(End(Status::ok(""))) };
                self.take(request.map_err(End)?)?;
                self.asked = self.extent == Extent::OneResponse;
                let names = self.protocol.names().len();
                rest(&self.open.requests, names).await;
            }
            let view = self.view().await?;
            if let Some(response) = self.update(&view) {
                self.pay()?;
                self.answered = true;
                return Ok(response);
            }
        }
    }

    /// What its caller may see now. Where something has to be read for that, which may take its time,
    /// others are served meanwhile.
    async fn view(&mut self) -> Result<View, End> {
        loop {
            if let Some(view) = self.open.caller.view_at_once() {
                return Ok(view);
            }
            let look = look(Arc::clone(&self.open.shared), Arc::clone(&self.open.caller));
            tokio::select! {
                biased;
                _ = self.ending.wait_for(|ending| *ending) => return Err(End(Status::ok(""))),
                looked = look => looked.map_err(End)?,
            }
        }
    }

    fn take(&mut self, mut request: P::Request) -> Result<(), End> {
        let node = P::node(&mut request);
        if self.recipient.is_none() {
            let who = note::recipient(node.as_ref(), &*self.open.caller);
            let recipient = self.open.shared.service.deliveries.connect(who.clone());
            self.recipient = Some((recipient, who));
        }
        if let (None, Some(node)) = (&self.hints, node) {
            self.hints = Some([node.id, node.cluster]);
        }
        let notes = self.protocol.request(request);
        let notes =
            notes.map_err(|refusal| End(Status::resource_exhausted(refusal.to_string())))?;
        self.pay()?;
        self.tell(notes);
        Ok(())
    }

    /// Draws what its names cost.
    fn pay(&mut self) -> Result<(), End> {
        let names = self.protocol.names().into_iter();
        let names: usize = names.map(|name| name.len() + COST_OF_NAME).sum();
        let paid = self.names.resize(names + self.protocol.bytes_beyond(FREE_NAMES));
        if paid { Ok(()) } else { Err(End(out_of_memory())) }
    }

    /// Looks at what there is now. First is said what to watch for, so that nothing changes unseen.
    fn update(&mut self, view: &View) -> Option<Response> {
        let service = &self.open.shared.service;
        let caller = &*self.open.caller;
        let hints = self.hints.as_ref().map(|hints| hints.each_ref().map(String::as_str));
        let hints = hints.as_ref().map_or(&[][..], |hints| &hints[..]);
        let resources = &*service.resources;
        let mut nodes: Vec<NodeName> = match self.protocol.is_wildcard() {
            true => view.nodes().cloned().collect(),
            false => Vec::new(),
        };
        for name in self.protocol.names() {
            nodes.extend(resources.depends_on(name, view, hints));
        }
        self.watcher.watch(&nodes);
        let update = self.protocol.update(&Seen { resources, caller, view, hints });
        self.waits.retain(|(node, _)| update.awaits.contains(node));
        for node in update.awaits {
            if !self.waits.iter().any(|(waited, _)| *waited == node) {
                let wait = service.demand.wait_for(&node);
                self.waits.push((node, wait));
            }
        }
        self.tell(update.notes);
        update.response
    }

    fn tell(&mut self, notes: Vec<Note>) {
        let Some((recipient, who)) = &self.recipient else { return };
        for note in notes {
            let repeated = matches!(note, Note::ForeignType { .. } | Note::TooLong { .. });
            if !(repeated && std::mem::replace(&mut self.complained, true)) {
                note::tell(note, recipient, who, &self.open.log);
            }
        }
    }
}

/// Has what a caller may see looked at on a thread that may block.
async fn look(shared: Arc<Shared>, caller: Arc<dyn Caller>) -> Result<(), Status> {
    // Never closed. Streams that wait here may find that what was read for another will do.
    let _place = shared.looking.acquire().await;
    if caller.view_at_once().is_some() {
        return Ok(());
    }
    let looked = tokio::task::spawn_blocking(move || drop(caller.view())).await;
    looked.map_err(|_| Status::unavailable("the caller could not be looked at"))
}

/// Lets others go first, and keeps to the pace of requests; this one is about so many names.
async fn rest(pace: &Pace, names: usize) {
    tokio::task::coop::consume_budget().await;
    let count = u32::try_from(1 + names / NAMES_OF_A_REQUEST).unwrap_or(u32::MAX);
    loop {
        let wait = pace.take_many(count);
        if wait.is_zero() {
            return;
        }
        tokio::time::sleep(wait).await;
    }
}

/// What there is for the caller of one stream.
struct Seen<'a> {
    resources: &'a dyn Resources,
    caller: &'a dyn Caller,
    view: &'a View,
    hints: &'a [&'a str],
}

impl Offer for Seen<'_> {
    fn resolve(&self, name: &str) -> Resolution {
        let resolution = self.resources.resolve(name, self.view, self.hints);
        // What was found may be newer than the view: it is sent to whom it is granted still. The
        // mesh has changed then, and wakes this stream again.
        let is_ready = matches!(resolution, Resolution::Ready(_));
        if is_ready && self.caller.view_at_once().as_ref() != Some(self.view) {
            let why = "what the caller may have is just changing".to_owned();
            return Resolution::Held { awaits: None, why };
        }
        resolution
    }

    fn all(&self) -> Vec<String> {
        self.resources.all(self.view, self.hints)
    }
}

/// A gRPC message of these pieces.
fn message(pieces: Vec<Bytes>) -> VecDeque<Bytes> {
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let mut pieces = VecDeque::from(pieces);
    let first = pieces.pop_front().unwrap_or_default();
    let mut head = BytesMut::with_capacity(5 + first.len());
    head.put_u8(0);
    head.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    head.put(first);
    pieces.push_front(head.freeze());
    pieces
}
