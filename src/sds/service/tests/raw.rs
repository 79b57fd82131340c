//! A client that says what the test wants, be it allowed or not.

use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::support::within;

/// HTTP/2 by hand (RFC 9113).
pub(super) struct Raw(pub(super) UnixStream);

impl Raw {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const SETTINGS: u8 = 4;

    /// Begins, with these settings.
    pub(super) async fn begin(&mut self, settings: &[(u16, u32)]) {
        self.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let one = |(name, value): &(u16, u32)| {
            [&name.to_be_bytes()[..], &value.to_be_bytes()[..]].concat()
        };
        let settings: Vec<u8> = settings.iter().flat_map(one).collect();
        self.frame(Self::SETTINGS, 0, 0, &settings).await;
    }

    pub(super) async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.write(&[&head, payload].concat()).await;
    }

    /// Opens a stream for a method of the service.
    pub(super) async fn open(&mut self, stream: u32, method: &str) {
        let path = format!("/envoy.service.secret.v3.SecretDiscoveryService/{method}");
        let headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", &path),
            (":authority", "sds"),
            ("content-type", "application/grpc"),
        ];
        // Literal fields without indexing, each length in seven bits (RFC 7541 section 6.2.2).
        let text = |text: &str| {
            let length = u8::try_from(text.len()).unwrap();
            assert!(length < 127);
            [&[length], text.as_bytes()].concat()
        };
        let field = |(name, value): (&str, &str)| [vec![0], text(name), text(value)].concat();
        let block: Vec<u8> = headers.into_iter().flat_map(field).collect();
        self.frame(Self::HEADERS, 4, stream, &block).await;
    }

    /// Sends a request as gRPC frames it.
    pub(super) async fn request(&mut self, stream: u32, request: &DiscoveryRequest) {
        let message = request.encode_to_vec();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        self.frame(Self::DATA, 0, stream, &[&[0], &length[..], &message].concat()).await;
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        within("room to write", self.0.write_all(bytes)).await.unwrap();
    }

    /// Reads until the service ends a stream.
    pub(super) async fn ended(&mut self, stream: u32) {
        let frames = async {
            loop {
                let mut head = [0; 9];
                self.0.read_exact(&mut head).await.unwrap();
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut payload = vec![0; length as usize];
                self.0.read_exact(&mut payload).await.unwrap();
                let ends = head[4] & 1 == 1;
                if (head[3], &head[5..]) == (Self::HEADERS, &stream.to_be_bytes()[..]) && ends {
                    return;
                }
            }
        };
        within("the end of a stream", frames).await;
    }

    /// Reads until the service closes the connection.
    pub(super) async fn closed(&mut self) {
        let mut rest = Vec::new();
        // Whether it closes or resets is the same here.
        let _ = within("the end of a connection", self.0.read_to_end(&mut rest)).await;
    }
}
