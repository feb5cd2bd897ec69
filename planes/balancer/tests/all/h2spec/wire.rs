//! Frames as bytes: what a client may send and what it should never send, and reading what comes
//! back. Header blocks are written by hand, so that each byte of HPACK is the test's own.

use std::io::{self, Read, Write};

use crate::support::World;
use crate::tls::{Kind, TlsStream, connect};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
pub const WEIGHED: u8 = 0x20;
/// A message of one HEADERS frame.
pub const WHOLE: u8 = END_STREAM | END_HEADERS;

pub const ENABLE_PUSH: u16 = 2;
pub const INITIAL_WINDOW_SIZE: u16 = 4;
pub const MAX_FRAME_SIZE: u16 = 5;
/// What neither side may exceed before it is told of more.
pub const FRAME_SIZE: usize = 16_384;

/// A frame, whether it makes sense or not.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("tests' frames are short");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub fn data(stream: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, payload)
}

pub fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, flags, stream, block)
}

pub fn continuation(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(CONTINUATION, flags, stream, block)
}

/// The five bytes of a priority; `weight` is one less than it means.
pub fn priority_of(on: u32, exclusive: bool, weight: u8) -> Vec<u8> {
    let on = on | u32::from(exclusive) << 31;
    [&on.to_be_bytes()[..], &[weight]].concat()
}

pub fn priority(stream: u32, on: u32, exclusive: bool, weight: u8) -> Vec<u8> {
    frame(PRIORITY, 0, stream, &priority_of(on, exclusive, weight))
}

pub fn rst_stream(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        values.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(SETTINGS, 0, 0, &payload)
}

pub fn ping() -> Vec<u8> {
    frame(PING, 0, 0, b"pingpong")
}

pub fn go_away(code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[[0; 4], code.to_be_bytes()].concat())
}

pub fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

/// A field as a literal with a new name, not indexed (RFC 7541, 6.2.2).
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let mut block = vec![0];
    for text in [name, value] {
        length(text.len(), &mut block);
        block.extend(text.as_bytes());
    }
    block
}

/// A string's length with a prefix of 7 bits (RFC 7541, 5.1).
fn length(length: usize, out: &mut Vec<u8>) {
    match u8::try_from(length) {
        Ok(short @ 0..127) => out.push(short),
        _ => {
            out.push(127);
            let mut rest = length - 127;
            while rest >= 128 {
                out.push(u8::try_from(rest % 128).expect("below 128") | 0x80);
                rest /= 128;
            }
            out.push(u8::try_from(rest).expect("below 128"));
        }
    }
}

pub fn fields(all: &[(&str, &str)]) -> Vec<u8> {
    all.iter().flat_map(|(name, value)| field(name, value)).collect()
}

/// The header block of a request for `/`.
pub fn request(method: &str) -> Vec<u8> {
    fields(&[(":method", method), (":scheme", "https"), (":path", "/"), (":authority", "www.example.com")])
}

/// As [`request`], with more behind it.
pub fn request_with(method: &str, more: &[(&str, &str)]) -> Vec<u8> {
    [request(method), fields(more)].concat()
}

/// A field of 4,000 bytes.
pub fn long_field() -> Vec<u8> {
    field("x-dummy", &"x".repeat(4000))
}

/// A whole request without a body.
pub fn get(stream: u32) -> Vec<u8> {
    headers(stream, WHOLE, &request("GET"))
}

/// A request's head, its body to follow.
pub fn post(stream: u32) -> Vec<u8> {
    headers(stream, END_HEADERS, &request("POST"))
}

/// A frame of the balancer's.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The error code, of RST_STREAM and GOAWAY.
    pub fn code(&self) -> Option<u32> {
        let at = match self.kind {
            RST_STREAM => 0,
            GOAWAY => 4,
            _ => return None,
        };
        self.payload.get(at..at + 4).map(|code| code.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

/// A client that negotiates HTTP/2 and then writes what it is given.
pub struct Peer {
    stream: TlsStream,
    buffer: Vec<u8>,
}

impl Peer {
    /// Before any byte of HTTP/2.
    pub fn bare(world: &World) -> Self {
        let kind = Kind { alpn: &[b"h2"], ..Kind::default() };
        let stream = connect(world, &kind).expect("the handshake succeeds");
        Self { stream, buffer: Vec::new() }
    }

    /// After both sides have agreed on their settings.
    pub fn greeted(world: &World) -> Self {
        let mut peer = Self::bare(world);
        peer.send(&[PREFACE, &settings(&[])].concat());
        let mut acknowledged = false;
        while !acknowledged {
            let frame = peer.read().expect("the balancer answers a preface").expect("it stays open");
            acknowledged = frame.kind == SETTINGS && frame.flags & ACK != 0;
        }
        peer
    }

    /// Writes; that the balancer has closed is seen when reading.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
    }

    /// The next frame, `None` if the connection has ended. Acknowledges settings.
    pub fn read(&mut self) -> io::Result<Option<Frame>> {
        let Some(head) = self.take(9)? else { return Ok(None) };
        let number = |bytes: &[u8]| bytes.iter().fold(0u32, |value, byte| value << 8 | u32::from(*byte));
        let length = usize::try_from(number(&head[..3])).expect("24 bits");
        let Some(payload) = self.take(length)? else { return Ok(None) };
        let frame = Frame { kind: head[3], flags: head[4], stream: number(&head[5..]) & (u32::MAX >> 1), payload };
        if frame.kind == SETTINGS && frame.flags & ACK == 0 {
            self.send(&self::frame(SETTINGS, ACK, 0, &[]));
        }
        Ok(Some(frame))
    }

    fn take(&mut self, count: usize) -> io::Result<Option<Vec<u8>>> {
        let mut space = [0; 16 * 1024];
        while self.buffer.len() < count {
            match self.stream.read(&mut space) {
                Ok(0) => return Ok(None),
                Ok(more) => self.buffer.extend_from_slice(&space[..more]),
                // Closed with bytes of ours unread, or without a farewell in TLS.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(self.buffer.drain(..count).collect()))
    }
}
