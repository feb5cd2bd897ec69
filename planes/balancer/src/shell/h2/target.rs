//! A request to a target over HTTP/2, as the HTTP/1.1 connection that an exchange writes to and
//! reads from; and the connections that such requests share.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use h2::Reason;
use h2::client::{ResponseFuture, SendRequest};
use http::header::{CONTENT_LENGTH, HeaderValue, TE};
use http::{Method, Request, Response, Uri, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::spawn_local;

use super::super::shared::Active;
use super::carry::{Incoming, Outgoing, Windowed, Wrap, add_field, write_fields};
use crate::core::body::{Body, Framing};
use crate::core::head::{header_space, parse_request};
use crate::core::route::Scheme;

/// What one stream and one connection to a target may have on their way to us.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Streams on a connection before it has said how many it takes; ALBs use no more either.
const STREAMS: usize = 128;

/// A connection to a target that many requests share.
#[derive(Debug)]
pub struct Line {
    sender: SendRequest<Bytes>,
    scheme: Scheme,
    /// Counts it.
    active: Rc<Active>,
    /// Since when nothing has been asked on it.
    pub since: Instant,
}

impl Line {
    /// Begins to speak HTTP/2 on a connection.
    ///
    /// # Errors
    /// If the target does not.
    pub async fn begin(
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        scheme: Scheme,
        active: Active,
    ) -> Result<Self, h2::Error> {
        let (sender, connection) = h2::client::Builder::new()
            .enable_push(false)
            .initial_max_send_streams(STREAMS)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(64 * 1024)
            .handshake(stream)
            .await?;
        // It ends when the target closes, or when nobody can ask on it any more.
        spawn_local(async move { drop(connection.await) });
        Ok(Self { sender, scheme, active: Rc::new(active), since: Instant::now() })
    }

    /// Whether another request may begin on it at once; an error if none ever will.
    pub fn room(&mut self) -> Result<bool, h2::Error> {
        let context = &mut Context::from_waker(std::task::Waker::noop());
        match self.sender.poll_ready(context) {
            Poll::Ready(Ok(())) => Ok(self.requests() < self.sender.current_max_send_streams()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(false),
        }
    }

    /// Requests on their way: each holds what counts the connection.
    pub fn requests(&self) -> usize {
        Rc::strong_count(&self.active) - 1
    }

    /// Counts it; to be held by each request.
    pub fn active(&self) -> &Rc<Active> {
        &self.active
    }

    /// A place for one request.
    pub fn stream(&self) -> TargetStream {
        TargetStream {
            sender: self.sender.clone(),
            scheme: self.scheme,
            request: Asking::Head,
            answer: None,
            reply: Incoming::awaited(),
            waiting: Vec::new(),
            head_only: false,
        }
    }
}

/// One request and its answer.
#[derive(Debug)]
pub struct TargetStream {
    sender: SendRequest<Bytes>,
    scheme: Scheme,
    request: Asking,
    answer: Option<ResponseFuture>,
    reply: Incoming,
    /// What has been written and waits for the target's window.
    waiting: Vec<u8>,
    head_only: bool,
}

#[derive(Debug)]
enum Asking {
    Head,
    Body(Outgoing),
    Over,
}

impl TargetStream {
    /// What is spoken beneath.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Reads the answer.
    pub fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.reply.is_awaited() {
            let Some(answer) = &mut self.answer else { return Poll::Pending };
            match Pin::new(answer).poll(context) {
                Poll::Ready(Ok(response)) => self.begin_reply(response),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.reply.poll_read(context, buffer)
    }

    /// Sends the head, which an exchange writes whole.
    fn send_head(&mut self, input: &[u8]) -> io::Result<usize> {
        let end = input.windows(4).position(|four| four == b"\r\n\r\n").ok_or(io::ErrorKind::InvalidData)? + 4;
        let mut space = header_space();
        let head = parse_request(&input[..end], &mut space).map_err(io::Error::other)?;
        let uri = Uri::builder().scheme(self.scheme.as_str()).authority(head.host).path_and_query(head.target);
        let mut request = Request::new(());
        *request.method_mut() = head.method.parse::<Method>().map_err(io::Error::other)?;
        *request.uri_mut() = uri.build().map_err(io::Error::other)?;
        *request.version_mut() = Version::HTTP_2;
        for header in head.headers {
            add_field(header.name.as_bytes(), header.value, request.headers_mut());
        }
        // Whoever takes trailers says so; gRPC asks for it.
        request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
        self.head_only = head.method == "HEAD";
        let ends = head.framing == Framing::Length(0);
        let (answer, stream) = self.sender.send_request(request, ends).map_err(io::Error::other)?;
        self.answer = Some(answer);
        self.request =
            if ends { Asking::Over } else { Asking::Body(Outgoing::new(stream, Body::with_trailers(head.framing))) };
        Ok(end)
    }

    fn begin_reply(&mut self, response: Response<h2::RecvStream>) {
        let (parts, body) = response.into_parts();
        let mut head = format!("HTTP/1.1 {} \r\n", parts.status.as_u16()).into_bytes();
        write_fields(&parts.headers, &mut head);
        let (counted, ended) = (parts.headers.contains_key(CONTENT_LENGTH), body.is_end_stream());
        let bodiless = self.head_only || matches!(parts.status.as_u16(), 204 | 304);
        match (counted, ended) {
            (true, _) => {}
            (false, true) if bodiless => {}
            (false, true) => head.extend_from_slice(b"content-length: 0\r\n"),
            (false, false) => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        head.extend_from_slice(b"\r\n");
        let wrap = if counted { Wrap::Plain } else { Wrap::Chunks { first: true } };
        self.reply.begin(head, (!ended && !bodiless).then_some((body, wrap)));
    }
}

impl Windowed for TargetStream {
    fn send(&mut self, input: &[u8], context: &mut Context<'_>) -> io::Result<usize> {
        let mut used = 0;
        while used < input.len() {
            match &mut self.request {
                Asking::Over => return Ok(input.len()),
                Asking::Body(body) => {
                    used += body.send(&input[used..], context)?;
                    if !body.is_over() {
                        break;
                    }
                    self.request = Asking::Over;
                }
                Asking::Head => used += self.send_head(&input[used..])?,
            }
        }
        Ok(used)
    }

    fn waiting(&mut self) -> &mut Vec<u8> {
        &mut self.waiting
    }
}

impl Drop for TargetStream {
    fn drop(&mut self) {
        // A request cut short must not look whole.
        if let Asking::Body(body) = &mut self.request {
            body.reset(Reason::CANCEL);
        }
    }
}
