//! HTTP/2's frames by hand (RFC 9113), as far as a client of the Secret Discovery Service needs
//! them.

use bytes::{Bytes, BytesMut};

/// The kinds of frames (RFC 9113 section 6).
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;

/// That settings or a ping have been taken.
pub const ACK: u8 = 1;
/// That a stream ends.
pub const END_STREAM: u8 = 1;
/// That headers end.
pub const END_HEADERS: u8 = 4;

/// How much data a frame may have where nobody says otherwise.
pub const LARGEST: usize = 16_384;

/// How much data may be sent where nobody says otherwise.
pub const INITIAL_WINDOW: i64 = 65_535;

/// The setting of how much data may be sent on a new stream.
const SETTINGS_INITIAL_WINDOW_SIZE: u16 = 4;

/// How much Envoy takes before anything is read of it, on each stream and in all.
const OWN_WINDOW: u32 = 16 * 1024 * 1024;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame that has come.
pub struct Frame<'a> {
    /// See the constants.
    pub kind: u8,
    /// See the constants.
    pub flags: u8,
    /// 0 for the connection.
    pub stream: u32,
    /// What follows the head.
    pub payload: &'a [u8],
}

/// The head of a frame.
pub fn head(length: usize, kind: u8, flags: u8, stream: u32) -> Bytes {
    let [_, a, b, c] = (length as u32).to_be_bytes();
    let [d, e, f, g] = stream.to_be_bytes();
    Bytes::copy_from_slice(&[a, b, c, kind, flags, d, e, f, g])
}

/// What a connection begins with: it takes more than is ever sent to it.
pub fn opening() -> Bytes {
    let mut bytes = BytesMut::from(PREFACE);
    bytes.extend_from_slice(&head(6, SETTINGS, 0, 0));
    bytes.extend_from_slice(&SETTINGS_INITIAL_WINDOW_SIZE.to_be_bytes());
    bytes.extend_from_slice(&OWN_WINDOW.to_be_bytes());
    bytes.extend_from_slice(&head(4, WINDOW_UPDATE, 0, 0));
    bytes.extend_from_slice(&OWN_WINDOW.to_be_bytes());
    bytes.freeze()
}

/// The frame that opens a stream, as Envoy 1.40 writes it: what is shorter so is in Huffman's code,
/// the first one fills the table of headers, the others refer to it (RFC 7541 section 6).
pub fn headers(stream: u32) -> Bytes {
    /// `:method: POST`, and a `:path` that the table does not get:
    /// `/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets`.
    const PATH: &[u8] = b"\x83\x04\xac\x60\xb5\x77\x3f\xa5\xd0\x5b\x3b\x98\x85\x5d\x05\x25\
        \x85\x4a\xfd\xd9\x5f\x71\x49\x61\x53\x7c\xc8\x21\xfb\x96\xcf\x5b\x8b\x67\x73\x10\xac\
        \x6e\x4d\x85\x1d\x3b\x8a\x4b\x0a\x94\x7f";
    /// `:authority: sds`, `:scheme: http`, `te: trailers`, `content-type: application/grpc`.
    const REST: &[u8] = b"\x41\x82\x44\x88\x86\x40\x02te\x86\x4d\x83\x35\x05\xb1\x1f\
        \x5f\x8b\x1d\x75\xd0\x62\x0d\x26\x3d\x4c\x4d\x65\x64";
    let rest = match stream {
        1 => REST,
        _ => &[0x80 | 64, 0x86, 0x80 | 63, 0x80 | 62],
    };
    let block = [PATH, rest].concat();
    [head(block.len(), HEADERS, END_HEADERS, stream), block.into()].concat().into()
}

/// The first frame of what has come, if it is whole, and what is after it.
pub fn next(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let &[a, b, c, kind, flags, d, e, f, g] = bytes.first_chunk()?;
    let end = 9 + number(&[0, a, b, c]) as usize;
    let payload = bytes.get(9..end)?;
    Some((Frame { kind, flags, stream: number(&[d, e, f, g]), payload }, &bytes[end..]))
}

/// What settings say of the window of a stream.
pub fn initial_window(settings: &[u8]) -> Option<i64> {
    let name = SETTINGS_INITIAL_WINDOW_SIZE.to_be_bytes();
    let setting = settings.chunks_exact(6).find(|setting| setting[..2] == name)?;
    Some(i64::from(number(&setting[2..])))
}

/// A number of four bytes.
pub fn number(bytes: &[u8]) -> u32 {
    bytes.try_into().map(u32::from_be_bytes).expect("four bytes")
}
