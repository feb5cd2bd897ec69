//! Heads as they go out: always written anew, from what was understood.

use super::answer::After;
use super::body::Framing;
use super::head::{Known, RequestHead, ResponseHead, Version};
use super::route::Scheme;
use super::trace::TraceIds;

/// What a client's connection adds to each of its requests.
#[derive(Clone, Debug)]
pub struct Hop {
    client: String,
    /// From after the client's address to before the host, ready to be copied.
    middle: String,
    /// The host of an HTTP/1.0 request that names none.
    node: String,
}

impl Hop {
    /// A connection from `client` to `node`'s `port`.
    pub fn new(client: &str, node: &str, port: u16, scheme: Scheme) -> Self {
        let scheme = scheme.as_str();
        let middle = format!("\r\nX-Forwarded-Proto: {scheme}\r\nX-Forwarded-Port: {port}\r\nHost: ");
        Self { client: client.to_owned(), middle, node: node.to_owned() }
    }
}

/// Writes a request's head for its target.
pub fn request(head: &RequestHead<'_, '_>, hop: &Hop, traces: &mut TraceIds, seconds: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nX-Forwarded-For: ");
    let (mut trace, mut length_said, mut has_connection) = (None, false, false);
    for header in head.headers {
        match Known::of(header.name) {
            Known::ForwardedFor if !header.value.is_empty() => {
                out.extend_from_slice(header.value);
                out.extend_from_slice(b", ");
            }
            Known::TraceId => trace = Some(header.value),
            Known::ContentLength => length_said = true,
            Known::Connection => has_connection = true,
            _ => {}
        }
    }
    out.extend_from_slice(hop.client.as_bytes());
    out.extend_from_slice(hop.middle.as_bytes());
    out.extend_from_slice(if head.host.is_empty() { hop.node.as_bytes() } else { head.host.as_bytes() });
    out.extend_from_slice(b"\r\nX-Amzn-Trace-Id: ");
    traces.write(trace, seconds, out);
    out.extend_from_slice(b"\r\n");
    for header in head.headers {
        match Known::of(header.name) {
            Known::Other if !(has_connection && is_option(header.name, head.headers)) => copy(header, out),
            Known::Expect if !head.expects_continue => copy(header, out),
            Known::Upgrade if head.upgrade => copy(header, out),
            _ => {}
        }
    }
    if head.upgrade {
        out.extend_from_slice(b"Connection: upgrade\r\n");
    }
    match head.framing {
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::Length(length) if length_said => write_length(length, out),
        Framing::Length(_) | Framing::UntilClose => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// How a response's body goes on to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onward {
    /// As many bytes as the target says, or none.
    Plain,
    /// In chunks of ours.
    Chunked,
    /// Until we close: the client knows no chunks.
    UntilClose,
}

impl Onward {
    /// For a client of that version.
    pub fn of(framing: Framing, client: Version) -> Self {
        match (framing, client) {
            (Framing::Length(_), _) => Self::Plain,
            (Framing::Chunked | Framing::UntilClose, Version::Http11) => Self::Chunked,
            (Framing::Chunked | Framing::UntilClose, Version::Http10) => Self::UntilClose,
        }
    }
}

/// Writes a response's head for the client.
pub fn response(head: &ResponseHead<'_, '_>, onward: Onward, after: After, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    let digits = [head.status / 100, head.status / 10 % 10, head.status % 10].map(|digit| b'0' + digit as u8);
    out.extend_from_slice(&digits);
    out.push(b' ');
    out.extend_from_slice(head.reason.as_bytes());
    out.extend_from_slice(b"\r\n");
    let connection = head.headers.iter().any(|header| Known::of(header.name) == Known::Connection);
    for header in head.headers {
        match Known::of(header.name) {
            Known::ContentLength | Known::TransferEncoding | Known::Connection | Known::HopByHop => {}
            Known::Upgrade if head.status != 101 => {}
            Known::Other if connection && is_option(header.name, head.headers) => {}
            _ => copy(header, out),
        }
    }
    if let (Some(length), Onward::Plain) = (head.content_length, onward)
        && !matches!(head.status, 100..=199 | 204)
    {
        write_length(length, out);
    }
    if onward == Onward::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    match head.status {
        101 => out.extend_from_slice(b"Connection: upgrade\r\n"),
        100..=199 => {}
        _ => out.extend_from_slice(after.header()),
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether a Connection header names this header as the connection's own. Only names that mean
/// nothing to us are asked about, so that no one strips a Host or a length.
fn is_option(name: &str, headers: &[httparse::Header<'_>]) -> bool {
    let connections = headers.iter().filter(|header| Known::of(header.name) == Known::Connection);
    connections
        .flat_map(|header| header.value.split(|byte| *byte == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
}

fn copy(header: &httparse::Header<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(header.name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(header.value);
    out.extend_from_slice(b"\r\n");
}

fn write_length(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Length: ");
    let (mut digits, mut left, mut at) = ([0u8; 20], length, 20);
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}
