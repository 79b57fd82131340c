//! One connection: HTTP/2, and which method a request is for.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http2;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::{Code, Status};

use super::Shared;
use super::limits::{
    ANSWER_WITHIN, ASK_AFTER, COST_OF_STREAM, Drawn, FIRST_STREAM_WITHIN, FREE_STREAMS, GRACE,
    MOST_STREAMS, Pace, SEND_BUFFER, WINDOW,
};
use super::requests::out_of_memory;
use super::session::{Extent, Session};
use super::small_frames::{SmallFrames, Turn};
use super::streams::{Opened, Streams};
use crate::sds::stream::{Delta, Protocol, StateOfTheWorld};
use crate::snapshot::Caller;

/// What the streams of a connection share.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) caller: Arc<dyn Caller>,
    pub(super) requests: Pace,
    pub(super) log: Pace,
    /// How many streams are open.
    open: AtomicUsize,
    /// How many were ever.
    begun: AtomicUsize,
}

/// A stream counts as open for as long as this lives.
#[derive(Debug)]
pub(super) struct Open {
    connection: Arc<Connection>,
    /// What it costs beyond the free ones.
    _drawn: Drawn,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

impl Connection {
    pub(super) fn new(shared: Arc<Shared>, caller: Arc<dyn Caller>) -> Self {
        Self {
            shared,
            caller,
            requests: Pace::of_requests(),
            log: Pace::of_log(),
            open: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
        }
    }

    /// Serves until the client goes, or everything ends.
    pub(super) async fn run<IO>(self, io: IO)
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut ending = self.shared.ending.clone();
        let this = Arc::new(self);
        let service = hyper::service::service_fn({
            let this = Arc::clone(&this);
            move |request| std::future::ready(Ok::<_, Infallible>(this.answer(request)))
        });
        let opened = Opened::default();
        let turn = Turn::default();
        let mut streams = Streams::new(opened.clone(), turn.clone());
        let io = TokioIo::new(SmallFrames::new(io, turn));
        let mut http = pin!(builder(opened).serve_connection(io, service));
        let silent = async {
            tokio::time::sleep(FIRST_STREAM_WITHIN).await;
            if this.begun.load(Ordering::Relaxed) > 0 {
                std::future::pending::<()>().await;
            }
        };
        // An error here is the client's going, or its breaking of HTTP/2: no concern of anybody's.
        tokio::select! {
            _ = streams.drive(http.as_mut()) => return,
            _ = ending.wait_for(|ending| *ending) => {}
            () = silent => return,
        }
        http.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(GRACE, streams.drive(http)).await;
    }

    fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let method = request.uri().path().strip_prefix(SERVICE).unwrap_or_default().to_owned();
        let grpc = request.headers().get(CONTENT_TYPE).is_some_and(is_grpc);
        if !grpc {
            return refused(&Status::invalid_argument("the content type is not application/grpc"));
        }
        match method.as_str() {
            "StreamSecrets" => self.stream::<StateOfTheWorld>(request, Extent::Stream),
            "DeltaSecrets" => self.stream::<Delta>(request, Extent::Stream),
            "FetchSecrets" => self.stream::<StateOfTheWorld>(request, Extent::OneResponse),
            _ => refused(&Status::unimplemented(
                "this agent serves envoy.service.secret.v3.SecretDiscoveryService alone",
            )),
        }
    }

    fn stream<P: Protocol>(
        self: &Arc<Self>,
        request: Request<Incoming>,
        extent: Extent,
    ) -> Response<Body> {
        match self.open() {
            Some(open) => {
                let session = Session::<P>::new(open, request.into_body(), extent);
                let mut response = Response::new(session.into_body().boxed_unsync());
                response.headers_mut().insert(CONTENT_TYPE, GRPC);
                response
            }
            None => refused(&out_of_memory()),
        }
    }

    fn open(self: &Arc<Self>) -> Option<Open> {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let mut drawn = self.shared.allowance.share(0);
        let cost = if before < FREE_STREAMS { 0 } else { COST_OF_STREAM };
        let fits = drawn.resize(cost);
        let open = Open { connection: Arc::clone(self), _drawn: drawn };
        fits.then_some(open)
    }
}

impl std::ops::Deref for Open {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connection.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Before the names of the methods.
const SERVICE: &str = "/envoy.service.secret.v3.SecretDiscoveryService/";

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

fn is_grpc(value: &HeaderValue) -> bool {
    let rest = value.as_bytes().strip_prefix(GRPC.as_bytes());
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// An answer that is its own end.
fn refused(status: &Status) -> Response<Body> {
    let mut response = Response::new(Empty::new().boxed_unsync());
    *response.headers_mut() = trailers(status);
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// What ends a stream.
pub(super) fn trailers(status: &Status) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if status.add_header(&mut headers).is_err() {
        headers.insert(Status::GRPC_STATUS, HeaderValue::from(Code::Internal as i32));
    }
    headers
}

fn builder(opened: Opened) -> http2::Builder<Opened> {
    let mut builder = http2::Builder::new(opened);
    builder
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .initial_connection_window_size(WINDOW)
        .initial_stream_window_size(WINDOW)
        .keep_alive_interval(ASK_AFTER)
        .keep_alive_timeout(ANSWER_WITHIN)
        .max_concurrent_streams(MOST_STREAMS)
        .max_send_buf_size(SEND_BUFFER);
    builder
}
