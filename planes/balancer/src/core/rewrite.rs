//! Heads as they go out: always written anew, from what was understood.

use std::net::SocketAddr;
use std::sync::Arc;

use super::answer::After;
use super::body::Framing;
use super::head::{RequestHead, ResponseHead, Version};
use super::known::Known;
use super::route::Scheme;
use super::sticky::{Marks, sets};
use super::trace::TraceIds;
use crate::config::{HttpSettings, ResponseHeaders, TlsHeaders, XffMode};

/// What a client's connection adds to each of its requests.
#[derive(Clone, Debug)]
pub struct Hop {
    client: String,
    /// With the client's port.
    client_and_port: String,
    /// From after X-Forwarded-For to before the host, ready to be copied.
    middle: String,
    /// The host of an HTTP/1.0 request that names none.
    node: String,
    /// The listener's port.
    port: u16,
    /// What the client's TLS adds, ready to be copied.
    tls: String,
    /// The names of that, unless they are the usual ones.
    tls_headers: Option<Arc<TlsHeaders>>,
}

impl Hop {
    /// A connection from `client` to `node`'s `port`.
    pub fn new(client: SocketAddr, node: &str, port: u16, scheme: Scheme) -> Self {
        let scheme = scheme.as_str();
        Self {
            client: client.ip().to_string(),
            client_and_port: client.to_string(),
            middle: format!("X-Forwarded-Proto: {scheme}\r\nX-Forwarded-Port: {port}\r\nHost: "),
            node: node.to_owned(),
            port,
            tls: String::new(),
            tls_headers: None,
        }
    }

    /// As it is over TLS of that version and with that cipher suite.
    #[must_use]
    pub fn with_tls(mut self, version: &str, cipher_suite: &str, headers: &Arc<TlsHeaders>) -> Self {
        self.tls = format!("{}: {version}\r\n{}: {cipher_suite}\r\n", headers.version, headers.cipher_suite);
        self.tls_headers = Some(headers.clone());
        self
    }

    /// What clients must not say themselves.
    fn says_of_tls(&self, name: &str) -> bool {
        let is_one =
            |version: &str, suite: &str| name.eq_ignore_ascii_case(version) || name.eq_ignore_ascii_case(suite);
        match &self.tls_headers {
            Some(headers) => is_one(&headers.version, &headers.cipher_suite),
            None => is_one("X-Amzn-Tls-Version", "X-Amzn-Tls-Cipher-Suite"),
        }
    }
}

/// Writes a request's head for its target; whether a header was dropped for its name.
pub fn request(
    head: &RequestHead<'_, '_>,
    hop: &Hop,
    http: &HttpSettings,
    traces: &mut TraceIds,
    seconds: u32,
    out: &mut Vec<u8>,
) -> bool {
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if http.xff_mode == XffMode::Append {
        out.extend_from_slice(b"X-Forwarded-For: ");
    }
    let (mut trace, mut length_said, mut has_connection) = (None, false, false);
    for header in head.headers {
        match Known::of(header.name) {
            Known::ForwardedFor if http.xff_mode == XffMode::Append && !header.value.is_empty() => {
                out.extend_from_slice(header.value);
                out.extend_from_slice(b", ");
            }
            Known::TraceId => trace = Some(header.value),
            Known::ContentLength => length_said = true,
            Known::Connection => has_connection = true,
            _ => {}
        }
    }
    if http.xff_mode == XffMode::Append {
        let client = if http.xff_client_port { &hop.client_and_port } else { &hop.client };
        out.extend_from_slice(client.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(hop.middle.as_bytes());
    write_host(head.host, hop, http, out);
    out.extend_from_slice(b"\r\nX-Amzn-Trace-Id: ");
    traces.write(trace, seconds, out);
    out.extend_from_slice(b"\r\n");
    if http.tls_headers {
        out.extend_from_slice(hop.tls.as_bytes());
    }
    let mut dropped = false;
    for header in head.headers {
        match Known::of(header.name) {
            Known::Other if http.drop_invalid_header_fields && !is_plain(header.name) => dropped = true,
            Known::Other if http.tls_headers && hop.says_of_tls(header.name) => {}
            Known::Other if !(has_connection && is_option(header.name, head.headers)) => copy(header, out),
            Known::ForwardedFor if http.xff_mode == XffMode::Preserve => copy(header, out),
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
    dropped
}

/// The Host. Unless it is to be preserved, a listener's port that is not 80 or 443 is added where the client
/// named none (ALB guide, Host header preservation).
fn write_host(host: &str, hop: &Hop, http: &HttpSettings, out: &mut Vec<u8>) {
    if host.is_empty() {
        out.extend_from_slice(hop.node.as_bytes());
        return;
    }
    out.extend_from_slice(host.as_bytes());
    let names_port = || host.rsplit(':').next().is_some_and(|port| port.len() < host.len() && is_number(port));
    if !http.preserve_host_header && !matches!(hop.port, 80 | 443) && !names_port() {
        out.push(b':');
        write_number(hop.port.into(), out);
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Letters, digits and hyphens.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// What an answer has that its target did not say, and what it loses.
#[derive(Clone, Debug, Default)]
pub struct Dressing {
    /// Cookies.
    pub marks: Option<Box<Marks>>,
    /// The listener's headers.
    pub headers: Option<Arc<ResponseHeaders>>,
}

impl Dressing {
    fn is_none(&self) -> bool {
        self.marks.is_none() && self.headers.is_none()
    }

    /// Whether one of a target's headers does not pass.
    fn replaces(&self, name: &str) -> bool {
        let Some(headers) = &self.headers else { return false };
        (!headers.server && name.eq_ignore_ascii_case("server"))
            || headers.set.iter().any(|(set, _)| set.eq_ignore_ascii_case(name))
    }

    fn write(&self, head: &ResponseHead<'_, '_>, out: &mut Vec<u8>) {
        if let Some(headers) = &self.headers {
            add(headers, out);
        }
        if let Some(marks) = &self.marks {
            let sets_its_own = marks.application_cookie().is_some_and(|name| {
                let mut set = head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("set-cookie"));
                set.any(|header| sets(header.value, name))
            });
            for cookie in marks.cookies(sets_its_own) {
                out.extend_from_slice(b"Set-Cookie: ");
                out.extend_from_slice(cookie.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
        }
    }
}

/// Writes the headers that a listener adds to every answer.
pub fn add(headers: &ResponseHeaders, out: &mut Vec<u8>) {
    for (name, value) in &headers.set {
        copy(&httparse::Header { name, value: value.as_bytes() }, out);
    }
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
pub fn response(head: &ResponseHead<'_, '_>, onward: Onward, after: After, dressing: &Dressing, out: &mut Vec<u8>) {
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
            Known::Other if dressing.headers.is_some() && dressing.replaces(header.name) => {}
            _ => copy(header, out),
        }
    }
    if !dressing.is_none() {
        dressing.write(head, out);
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
    write_number(length, out);
    out.extend_from_slice(b"\r\n");
}

/// In decimal, without allocating.
fn write_number(number: u64, out: &mut Vec<u8>) {
    let (mut digits, mut left, mut at) = ([0u8; 20], number, 20);
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
