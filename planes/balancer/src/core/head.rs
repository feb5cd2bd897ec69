//! Message heads: found, read, and refused if two readers could take them for different messages.
//!
//! What a target must never be asked to interpret is refused here: bare line feeds, folded lines,
//! more than one way to tell a body's length, lengths that are not plain numbers.

use std::mem::MaybeUninit;

use super::body::Framing;
use super::desync::{Imitated, Reason, imitates};
use super::known::Known;

/// Headers in one message, at most. An ALB's quotas are about bytes only: no message of a client's own comes near.
pub const MAX_HEADERS: usize = 256;
/// Bytes in a request's head, at most (ELB quotas: 64 K).
pub const MAX_REQUEST_HEAD: usize = 64 * 1024;
/// Bytes in a request line or in one header, at most (ELB quotas: 16 K).
pub const MAX_LINE: usize = 16 * 1024;
/// Bytes in a response's head, at most (ELB quotas: 32 K).
pub const MAX_RESPONSE_HEAD: usize = 32 * 1024;

/// Addresses in X-Forwarded-For, at most (ALB guide, HTTP 463).
pub const MAX_FORWARDED_FOR: usize = 30;

/// Where `httparse` puts what it finds, without clearing it first.
pub type HeaderSpace<'b> = [MaybeUninit<httparse::Header<'b>>; MAX_HEADERS];

/// Room for one message's headers.
pub const fn header_space<'b>() -> HeaderSpace<'b> {
    [const { MaybeUninit::uninit() }; MAX_HEADERS]
}

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not HTTP, ambiguous, or larger than the limits: 400.
    #[error("malformed or ambiguous request")]
    Malformed,
    /// TRACE: 405, as an ALB answers it.
    #[error("method not supported")]
    Method,
    /// The target is longer than a request line may be: 414.
    #[error("request target too long")]
    TargetTooLong,
    /// A Transfer-Encoding other than chunked or identity: 501, as an ALB answers it.
    #[error("transfer encoding not supported")]
    TransferEncoding,
    /// Not HTTP/1.0 or HTTP/1.1: 505.
    #[error("HTTP version not supported")]
    Version,
    /// More than 30 addresses in X-Forwarded-For: 463, as an ALB answers it.
    #[error("too many addresses in X-Forwarded-For")]
    ForwardedFor,
}

impl Refusal {
    /// The status that it is answered with.
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Method => 405,
            Self::TargetTooLong => 414,
            Self::ForwardedFor => 463,
            Self::TransferEncoding => 501,
            Self::Version => 505,
        }
    }
}

/// HTTP/1.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

impl Version {
    /// As it is in request lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

/// A request's head, read and found sound.
#[derive(Debug)]
pub struct RequestHead<'h, 'b> {
    /// The method.
    pub method: &'b str,
    /// Origin form, or `*`.
    pub target: &'b str,
    /// The client's version.
    pub version: Version,
    /// Name and port that the client asked for; empty for an HTTP/1.0 client that says none.
    pub host: &'b str,
    /// All headers as they came.
    pub headers: &'h [httparse::Header<'b>],
    /// How the body is delimited.
    pub framing: Framing,
    /// Whether another request may follow on this connection.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue`.
    pub expects_continue: bool,
    /// Whether the client asks to change the protocol.
    pub upgrade: bool,
    /// The worst that is wrong with it.
    pub verdict: Reason,
}

/// A response's head, read and found sound.
#[derive(Debug)]
pub struct ResponseHead<'h, 'b> {
    /// 100 to 599.
    pub status: u16,
    /// May be empty.
    pub reason: &'b str,
    /// All headers as they came.
    pub headers: &'h [httparse::Header<'b>],
    /// How the body is delimited; for HEAD, 204, 304 and 1xx that there is none.
    pub framing: Framing,
    /// The Content-Length that it states, with or without a body.
    pub content_length: Option<u64>,
    /// Whether the connection can be used again after the body.
    pub keep_alive: bool,
}

/// Looks for the end of a request's head; `scanned` remembers how far, so that slow senders cost no
/// more than fast ones. Gives the head's length.
pub fn find_head_end(buffer: &[u8], scanned: &mut usize) -> Result<Option<usize>, Refusal> {
    let from = *scanned;
    for at in memchr::memchr_iter(b'\n', &buffer[from..]).map(|at| at + from) {
        match buffer[..at] {
            [.., b'\n', b'\r'] => return Ok(Some(at + 1)),
            [.., b'\r'] => {}
            _ => return Err(Refusal::Malformed),
        }
    }
    *scanned = buffer.len();
    if buffer.len() <= MAX_LINE {
        return Ok(None);
    }
    if memchr::memchr(b'\n', buffer).is_none_or(|at| at > MAX_LINE) {
        return Err(Refusal::TargetTooLong);
    }
    if buffer.len() > MAX_REQUEST_HEAD { Err(Refusal::Malformed) } else { Ok(None) }
}

/// Reads a whole head, as [`find_head_end`] delimits it.
pub fn parse_request<'h, 'b>(head: &'b [u8], space: &'h mut HeaderSpace<'b>) -> Result<RequestHead<'h, 'b>, Refusal> {
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(head, space) {
        Ok(httparse::Status::Complete(len)) if len == head.len() => {}
        Err(httparse::Error::Version) => return Err(version_refusal(head)),
        _ => return Err(Refusal::Malformed),
    }
    let (Some(method), Some(path), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(Refusal::Malformed);
    };
    let headers: &'h [httparse::Header<'b>] = request.headers;
    if head.len() > MAX_LINE {
        check_limits(head, path, headers)?;
    }
    let version = if minor == 1 { Version::Http11 } else { Version::Http10 };
    let fields = RequestFields::collect(headers)?;
    let (authority, target) = split_target(method, path)?;
    let host = match (authority, fields.host) {
        (Some(authority), _) => authority,
        (None, Some(host)) => host,
        (None, None) if version == Version::Http10 => "",
        (None, None) => return Err(Refusal::Malformed),
    };
    let verdict = fields.verdict(method);
    Ok(RequestHead {
        method,
        target,
        version,
        host,
        headers,
        framing: fields.length.framing(version)?,
        keep_alive: fields.connection.keep_alive(version),
        expects_continue: fields.expects_continue && version == Version::Http11,
        upgrade: fields.upgrade && fields.connection.upgrade && version == Version::Http11,
        verdict,
    })
}

/// Reads a response's head if it has arrived whole: the head and its length. Targets are forgiven
/// bare line feeds, since what reaches the client is written anew.
pub fn parse_response<'h, 'b>(
    buffer: &'b [u8],
    space: &'h mut HeaderSpace<'b>,
    to_head_request: bool,
) -> Result<Option<(ResponseHead<'h, 'b>, usize)>, Refusal> {
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, buffer, space);
    let len = match parsed {
        Ok(httparse::Status::Complete(len)) if len <= MAX_RESPONSE_HEAD => len,
        Ok(httparse::Status::Partial) if buffer.len() <= MAX_RESPONSE_HEAD => return Ok(None),
        _ => return Err(Refusal::Malformed),
    };
    let (Some(status @ 100..=599), Some(minor)) = (response.code, response.version) else {
        return Err(Refusal::Malformed);
    };
    let version = if minor == 1 { Version::Http11 } else { Version::Http10 };
    let headers: &'h [httparse::Header<'b>] = response.headers;
    let mut length = Length::default();
    let mut connection = Connection::default();
    for header in headers {
        match Known::of(header.name) {
            Known::ContentLength => length.content_length(header.value)?,
            Known::TransferEncoding => length.transfer_encoding(header.value)?,
            Known::Connection => connection.read(header.value),
            _ => {}
        }
    }
    if length.coding.is_some() && length.length.is_some() {
        return Err(Refusal::Malformed);
    }
    let stated = length.framing(version)?;
    let content_length = length.length;
    let framing = match (stated, status) {
        _ if to_head_request => Framing::Length(0),
        (_, 100..=199 | 204 | 304) => Framing::Length(0),
        (Framing::Length(_), _) if content_length.is_none() => Framing::UntilClose,
        (framing, _) => framing,
    };
    let keep_alive = connection.keep_alive(version) && framing != Framing::UntilClose;
    let head =
        ResponseHead { status, reason: response.reason.unwrap_or(""), headers, framing, content_length, keep_alive };
    Ok(Some((head, len)))
}

struct RequestFields<'b> {
    host: Option<&'b str>,
    length: Length,
    connection: Connection,
    expects_continue: bool,
    upgrade: bool,
    forwarded_for: usize,
    /// Bytes beyond ASCII.
    foreign: bool,
    imitates_length: bool,
    imitates_coding: bool,
}

impl<'b> RequestFields<'b> {
    fn collect(headers: &[httparse::Header<'b>]) -> Result<Self, Refusal> {
        let mut fields = Self {
            host: None,
            length: Length::default(),
            connection: Connection::default(),
            expects_continue: false,
            upgrade: false,
            forwarded_for: 0,
            foreign: false,
            imitates_length: false,
            imitates_coding: false,
        };
        for header in headers {
            match Known::of(header.name) {
                Known::Host if fields.host.is_some() => return Err(Refusal::Malformed),
                Known::Host => fields.host = Some(authority(header.value)?),
                Known::ContentLength => fields.length.content_length(header.value)?,
                Known::TransferEncoding => fields.length.transfer_encoding(header.value)?,
                Known::Connection => fields.connection.read(header.value),
                Known::Expect => fields.expects_continue |= header.value.eq_ignore_ascii_case(b"100-continue"),
                Known::Upgrade => fields.upgrade = true,
                Known::ForwardedFor if !header.value.is_empty() => {
                    fields.forwarded_for += 1 + memchr::memchr_iter(b',', header.value).count();
                    if fields.forwarded_for > MAX_FORWARDED_FOR {
                        return Err(Refusal::ForwardedFor);
                    }
                }
                Known::Other => match imitates(header.name) {
                    Some(Imitated::ContentLength) => fields.imitates_length = true,
                    Some(Imitated::TransferEncoding) => fields.imitates_coding = true,
                    None => {}
                },
                _ => {}
            }
            fields.foreign |= !header.value.is_ascii();
        }
        Ok(fields)
    }

    fn verdict(&self, method: &str) -> Reason {
        let mut worst = if self.foreign { Reason::NonCompliantHeader } else { Reason::Compliant };
        let (length, coding) = (self.length.length, self.length.coding);
        if self.imitates_length || self.imitates_coding {
            worst.or(Reason::SuspiciousHeader);
            if (length.is_some() || self.imitates_length) && (coding.is_some() || self.imitates_coding) {
                worst.or(Reason::SuspiciousTeClPresent);
            }
        }
        if length.is_none() && coding.is_none() {
            return worst;
        }
        if length.is_some() && coding.is_some() {
            worst.or(Reason::BothTeClPresent);
        }
        if self.length.repeated {
            worst.or(Reason::DuplicateContentLength);
        }
        if matches!(method, "GET" | "HEAD") {
            worst.or(match (coding, length) {
                (Some(_), _) => Reason::UndefinedTransferEncodingSemantics,
                (None, Some(0)) => Reason::GetHeadZeroContentLength,
                (None, _) => Reason::UndefinedContentLengthSemantics,
            });
        }
        worst
    }
}

/// What a message says about its body's length.
#[derive(Clone, Copy, Default)]
struct Length {
    length: Option<u64>,
    coding: Option<Coding>,
    /// The same length came twice.
    repeated: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Chunked,
    Identity,
}

impl Length {
    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        // 18 digits always fit; a sign, a list or a space is none.
        if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::Malformed);
        }
        let length = value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        match self.length.replace(length) {
            Some(other) if other != length => Err(Refusal::Malformed),
            other => {
                self.repeated |= other.is_some();
                Ok(())
            }
        }
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let coding = if value.eq_ignore_ascii_case(b"chunked") {
            Coding::Chunked
        } else if value.eq_ignore_ascii_case(b"identity") {
            Coding::Identity
        } else {
            return Err(Refusal::TransferEncoding);
        };
        match self.coding.replace(coding) {
            Some(_) => Err(Refusal::Malformed),
            None => Ok(()),
        }
    }

    fn framing(&self, version: Version) -> Result<Framing, Refusal> {
        match (self.coding, self.length) {
            (Some(_), _) if version == Version::Http10 => Err(Refusal::Malformed),
            // The coding overrides the length (RFC 9112, 6.3), which is not passed on.
            (Some(Coding::Chunked), _) => Ok(Framing::Chunked),
            (Some(Coding::Identity) | None, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

/// The Connection header's options.
#[derive(Clone, Copy, Default)]
struct Connection {
    close: bool,
    keep_alive: bool,
    upgrade: bool,
}

impl Connection {
    fn read(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }

    fn keep_alive(self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }
}

/// Authority and origin form of a request target.
fn split_target<'b>(method: &str, path: &'b str) -> Result<(Option<&'b str>, &'b str), Refusal> {
    match method {
        "TRACE" => return Err(Refusal::Method),
        "CONNECT" => return Err(Refusal::Malformed),
        _ => {}
    }
    // httparse lets obsolete text pass in targets.
    if !path.is_ascii() {
        return Err(Refusal::Malformed);
    }
    if path.starts_with('/') || (path == "*" && method == "OPTIONS") {
        return Ok((None, path));
    }
    let rest = ["http://", "https://"]
        .iter()
        .find(|scheme| path.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
        .map(|scheme| &path[scheme.len()..])
        .ok_or(Refusal::Malformed)?;
    let (host, target) = match rest.find(['/', '?']) {
        Some(at) if rest.as_bytes()[at] == b'/' => rest.split_at(at),
        // `http://host?query` has no origin form without inventing a slash.
        Some(_) => return Err(Refusal::Malformed),
        None => (rest, "/"),
    };
    if host.is_empty() {
        return Err(Refusal::Malformed);
    }
    Ok((Some(authority(host.as_bytes())?), target))
}

/// A host with an optional port: nothing that could end it early for another reader.
fn authority(value: &[u8]) -> Result<&str, Refusal> {
    let sound = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:[]%!$&'()*+;=".contains(byte);
    if !value.iter().all(sound) {
        return Err(Refusal::Malformed);
    }
    std::str::from_utf8(value).map_err(|_| Refusal::Malformed)
}

/// Another HTTP version, or no version at all.
fn version_refusal(head: &[u8]) -> Refusal {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut parts = line.split(|byte| *byte == b' ').skip(2);
    match (parts.next(), parts.next()) {
        (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None)
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Refusal::Version
        }
        _ => Refusal::Malformed,
    }
}

fn check_limits(head: &[u8], path: &str, headers: &[httparse::Header<'_>]) -> Result<(), Refusal> {
    if path.len() > MAX_LINE {
        return Err(Refusal::TargetTooLong);
    }
    let long = |header: &httparse::Header<'_>| header.name.len() + header.value.len() > MAX_LINE;
    if head.len() > MAX_REQUEST_HEAD || headers.iter().any(long) {
        return Err(Refusal::Malformed);
    }
    Ok(())
}
