//! A client's HTTP/2 stream as the HTTP/1.1 connection that a session serves: one journey for the
//! requests of both versions.
//!
//! What an HTTP/2 request could smuggle into HTTP/1.1 ends here: its head is written by us, line by
//! line, and then read with the same strictness as any other.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderMap};
use http::{Method, Request, Response, StatusCode};
use tokio::io::ReadBuf;

use super::carry::{Incoming, Outgoing, Windowed, Wrap, add_field};
use crate::core::body::{Body, Framing};
use crate::core::head::{header_space, parse_response};

/// A request with the way back.
#[derive(Debug)]
pub struct ClientStream {
    request: Incoming,
    answer: Rc<RefCell<Answer>>,
    head_only: bool,
    /// What has been written and waits for the peer's window.
    waiting: Vec<u8>,
}

#[derive(Debug)]
enum Answer {
    /// No final head yet.
    Head(SendResponse<Bytes>),
    Body(Outgoing),
    Over,
}

/// A request that HTTP/1.1 cannot carry as it is: answered with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsound;

impl ClientStream {
    /// From what the connection has accepted.
    pub fn new(request: Request<RecvStream>, answer: SendResponse<Bytes>) -> Self {
        let head_only = request.method() == Method::HEAD;
        let (parts, body) = request.into_parts();
        let ended = body.is_end_stream();
        let counted = parts.headers.contains_key(CONTENT_LENGTH);
        let mut incoming = Incoming::awaited();
        match head(&parts, ended || counted) {
            Ok(head) => {
                let wrap = if counted { Wrap::Plain } else { Wrap::Chunks { first: true } };
                incoming.begin(head, (!ended).then_some((body, wrap)));
            }
            // No HTTP/1.1 request at all: the session answers as it answers those.
            Err(Unsound) => incoming.begin(b"\n".to_vec(), None),
        }
        Self { request: incoming, answer: Rc::new(RefCell::new(Answer::Head(answer))), head_only, waiting: Vec::new() }
    }

    /// Reads the request.
    pub fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.request.poll_read(context, buffer)
    }

    /// Sees from outside whether the client has lost interest.
    pub fn watch(&self) -> Watch {
        Watch(self.answer.clone())
    }
}

impl Windowed for ClientStream {
    fn send(&mut self, input: &[u8], context: &mut Context<'_>) -> io::Result<usize> {
        let mut answer = self.answer.borrow_mut();
        let mut used = 0;
        while used < input.len() {
            match &mut *answer {
                Answer::Over => return Ok(input.len()),
                Answer::Body(body) => {
                    used += body.send(&input[used..], context)?;
                    if !body.is_over() {
                        break;
                    }
                    *answer = Answer::Over;
                }
                Answer::Head(way) => {
                    let Some((length, next)) = send_head(way, self.head_only, &input[used..])? else { break };
                    used += length;
                    if let Some(next) = next {
                        *answer = next;
                    }
                }
            }
        }
        Ok(used)
    }

    fn waiting(&mut self) -> &mut Vec<u8> {
        &mut self.waiting
    }
}

/// Sends a head if it is all there: its length, and what follows it if it is the last.
fn send_head(
    way: &mut SendResponse<Bytes>,
    head_only: bool,
    input: &[u8],
) -> io::Result<Option<(usize, Option<Answer>)>> {
    let mut space = header_space();
    let parsed = parse_response(input, &mut space, head_only);
    let Some((head, length)) = parsed.map_err(io::Error::other)? else { return Ok(None) };
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status).map_err(io::Error::other)?;
    response.headers_mut().reserve(head.headers.len());
    for header in head.headers {
        add_field(header.name.as_bytes(), header.value, response.headers_mut());
    }
    if head.status < 200 {
        way.send_informational(response).map_err(io::Error::other)?;
        return Ok(Some((length, None)));
    }
    let ends = head.framing == Framing::Length(0);
    let stream = way.send_response(response, ends).map_err(io::Error::other)?;
    let body = || Answer::Body(Outgoing::new(stream, Body::with_trailers(head.framing)));
    Ok(Some((length, Some(if ends { Answer::Over } else { body() }))))
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        // An answer cut short must not look whole.
        match &mut *self.answer.borrow_mut() {
            Answer::Head(answer) => answer.send_reset(Reason::INTERNAL_ERROR),
            Answer::Body(body) => body.reset(Reason::INTERNAL_ERROR),
            Answer::Over => {}
        }
    }
}

/// Looks at a stream that a session has.
#[derive(Debug)]
pub struct Watch(Rc<RefCell<Answer>>);

impl Watch {
    /// Ready when the client has lost interest.
    pub fn poll_reset(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut *self.0.borrow_mut() {
            Answer::Head(answer) => answer.poll_reset(context).map(|_| ()),
            Answer::Body(body) => body.poll_reset(context),
            Answer::Over => Poll::Pending,
        }
    }
}

/// The request's head in HTTP/1.1.
fn head(parts: &http::request::Parts, delimited: bool) -> Result<Vec<u8>, Unsound> {
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let host = host(parts)?;
    let mut out = Vec::with_capacity(512);
    for text in [parts.method.as_str(), " ", target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(text.as_bytes());
    }
    if let Some(host) = host {
        out.extend_from_slice(b"host: ");
        out.extend_from_slice(host.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    for (name, value) in &parts.headers {
        let value = value.as_bytes();
        // RFC 9113, 8.2.1: no white space around a value.
        if value.first().is_some_and(u8::is_ascii_whitespace) || value.last().is_some_and(u8::is_ascii_whitespace) {
            return Err(Unsound);
        }
        if *name == HOST || *name == COOKIE {
            continue;
        }
        for text in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
            out.extend_from_slice(text);
        }
    }
    write_cookies(&parts.headers, &mut out);
    if !delimited {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

/// The host asked for: `:authority`, which a Host header must not contradict.
fn host(parts: &http::request::Parts) -> Result<Option<&str>, Unsound> {
    let mut host = parts.uri.authority().map(http::uri::Authority::as_str);
    for value in parts.headers.get_all(HOST) {
        let value = value.to_str().map_err(|_| Unsound)?;
        if host.is_some_and(|host| !host.eq_ignore_ascii_case(value)) {
            return Err(Unsound);
        }
        host = Some(value);
    }
    Ok(host)
}

/// One Cookie header of all (RFC 9113, 8.2.3).
fn write_cookies(headers: &HeaderMap, out: &mut Vec<u8>) {
    let mut lead: &[u8] = b"cookie: ";
    for cookie in headers.get_all(COOKIE) {
        out.extend_from_slice(lead);
        out.extend_from_slice(cookie.as_bytes());
        lead = b"; ";
    }
    if lead == b"; " {
        out.extend_from_slice(b"\r\n");
    }
}
