//! Bodies between HTTP/2 frames and HTTP/1.1's framing, a window at a time.
//!
//! Nothing is read from a peer before its last bytes are taken by the other side, and nothing is
//! written beyond a peer's window: what a slow receiver does not take stays with the sender.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::ReadBuf;

use crate::core::body::{Body, BrokenBody};

/// Bytes that a stream's window is asked for in one go.
const WANTED: usize = 64 * 1024;

/// What a peer sends on a stream, read as HTTP/1.1: a head, then a body in that head's framing.
#[derive(Debug)]
pub struct Incoming {
    /// Text of ours that goes first: the head, a chunk's frame.
    text: Vec<u8>,
    at: usize,
    /// Bytes of the peer that follow it.
    data: Bytes,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The head is not there yet.
    Awaited,
    Body {
        stream: RecvStream,
        framing: Wrap,
    },
    Over,
}

/// How a body is framed for the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrap {
    /// The head says its length.
    Plain,
    /// In chunks; `first` until one has been written.
    Chunks {
        /// None has been written.
        first: bool,
    },
}

/// Whoever is written to as one writes to a connection, but sends no more than its peer's window takes.
pub trait Windowed {
    /// Sends what the window takes of `input`: how much that is.
    ///
    /// # Errors
    /// If the stream is broken, or `input` is no HTTP.
    fn send(&mut self, input: &[u8], context: &mut Context<'_>) -> io::Result<usize>;

    /// What was written and has not been sent.
    fn waiting(&mut self) -> &mut Vec<u8>;

    /// Takes more; as much as one write has at most waits for the peer's window.
    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.waiting().is_empty() {
            ready!(self.poll_flush(context))?;
        }
        let used = self.send(bytes, context)?;
        self.waiting().extend_from_slice(&bytes[used..]);
        Poll::Ready(Ok(bytes.len()))
    }

    /// Waits until the peer's window has taken all.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waiting = std::mem::take(self.waiting());
        let used = self.send(&waiting, context)?;
        waiting.drain(..used);
        *self.waiting() = waiting;
        if self.waiting().is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl Incoming {
    /// With a head to come.
    pub fn awaited() -> Self {
        Self { text: Vec::new(), at: 0, data: Bytes::new(), stage: Stage::Awaited }
    }

    /// Whether there is nothing yet.
    pub fn is_awaited(&self) -> bool {
        matches!(self.stage, Stage::Awaited)
    }

    /// Begins with a head; `None` for a message without a body.
    pub fn begin(&mut self, head: Vec<u8>, body: Option<(RecvStream, Wrap)>) {
        self.text = head;
        self.at = 0;
        self.stage = body.map_or(Stage::Over, |(stream, framing)| Stage::Body { stream, framing });
    }

    /// Reads what is there; nothing at the message's end.
    pub fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            self.copy(buffer)?;
            if buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            match self.advance(context) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(Ok(())),
                // What is there goes first; the error is met again at the next read.
                Poll::Ready(Err(_)) | Poll::Pending if buffer.filled().len() > before => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Moves text, then data into the buffer; the peer may send as much more.
    fn copy(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        let text = &self.text[self.at..];
        let take = text.len().min(buffer.remaining());
        buffer.put_slice(&text[..take]);
        self.at += take;
        if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
            let take = self.data.len().min(buffer.remaining());
            if take > 0 {
                buffer.put_slice(&self.data.split_to(take));
                if let Stage::Body { stream, .. } = &mut self.stage {
                    stream.flow_control().release_capacity(take).map_err(io::Error::other)?;
                }
            }
        }
        Ok(())
    }

    /// Waits for more; whether there is any.
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.text.is_empty() || !self.data.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let Stage::Body { stream, framing } = &mut self.stage else { return Poll::Ready(Ok(false)) };
        while let Some(data) = ready!(stream.poll_data(context)) {
            let data = data.map_err(io::Error::other)?;
            if data.is_empty() {
                continue;
            }
            if let Wrap::Chunks { first } = framing {
                let end = if std::mem::replace(first, false) { "" } else { "\r\n" };
                self.text.extend_from_slice(format!("{end}{:x}\r\n", data.len()).as_bytes());
            }
            self.data = data;
            return Poll::Ready(Ok(true));
        }
        let trailers = ready!(stream.poll_trailers(context)).map_err(io::Error::other)?;
        if let Wrap::Chunks { first } = *framing {
            self.text.extend_from_slice(if first { b"0\r\n" } else { b"\r\n0\r\n" });
            write_fields(&trailers.unwrap_or_default(), &mut self.text);
            self.text.extend_from_slice(b"\r\n");
        }
        self.stage = Stage::Over;
        Poll::Ready(Ok(true))
    }
}

/// A message's body on its way out: HTTP/1.1 framing in, DATA frames and trailers out.
#[derive(Debug)]
pub struct Outgoing {
    stream: SendStream<Bytes>,
    body: Body,
    over: bool,
}

impl Outgoing {
    /// After the head has been sent, without the end of the stream.
    pub fn new(stream: SendStream<Bytes>, body: Body) -> Self {
        Self { stream, body, over: false }
    }

    /// Whether all of it has been sent.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Ends the stream where it is.
    pub fn reset(&mut self, reason: h2::Reason) {
        self.stream.send_reset(reason);
    }

    /// Whether the peer has ended the stream early.
    pub fn poll_reset(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_reset(context).map(|_| ())
    }

    /// Sends what the window has room for; gives the bytes of `input` that are used up, not all of
    /// them if it waits for the window.
    ///
    /// # Errors
    /// If the stream has ended, or `input` breaks its framing.
    pub fn send(&mut self, input: &[u8], context: &mut Context<'_>) -> io::Result<usize> {
        let mut used = 0;
        while used < input.len() && !self.over {
            let rest = &input[used..];
            let room = match self.room(rest.len(), context)? {
                // The end of a body needs no window.
                0 => match self.without_data(rest)? {
                    Some(count) => {
                        used += count;
                        self.finish(BytesMut::new())?;
                        continue;
                    }
                    None => break,
                },
                room => room,
            };
            let (rest, mut at, mut data) = (&rest[..rest.len().min(room)], 0, BytesMut::new());
            loop {
                let run = self.body.next(rest, &mut at).map_err(io::Error::other)?;
                if run.is_empty() {
                    break;
                }
                data.extend_from_slice(run);
            }
            used += at;
            self.finish(data)?;
            if at == 0 {
                break;
            }
        }
        // Bytes beyond the end are nobody's.
        Ok(if self.over { input.len() } else { used })
    }

    fn finish(&mut self, data: BytesMut) -> io::Result<()> {
        let ends = self.body.is_done();
        let trailers = read_fields(self.body.trailers());
        if !data.is_empty() || (ends && trailers.is_empty()) {
            self.stream.send_data(data.freeze(), ends && trailers.is_empty()).map_err(io::Error::other)?;
        }
        if ends && !trailers.is_empty() {
            self.stream.send_trailers(trailers).map_err(io::Error::other)?;
        }
        self.over = ends;
        Ok(())
    }

    /// Reads framing up to the next data; `None` if there is none before it.
    fn without_data(&mut self, input: &[u8]) -> Result<Option<usize>, io::Error> {
        let (mut trial, mut at) = (self.body.clone(), 0);
        let run = trial.next(input, &mut at).map_err(|error: BrokenBody| io::Error::other(error))?;
        if !run.is_empty() || at == 0 {
            return Ok(None);
        }
        self.body = trial;
        Ok(Some(at))
    }

    /// Bytes that may be sent now, 0 if it must wait.
    fn room(&mut self, wanted: usize, context: &mut Context<'_>) -> io::Result<usize> {
        self.stream.reserve_capacity(wanted.min(WANTED));
        loop {
            let room = self.stream.capacity();
            if room > 0 {
                return Ok(room);
            }
            match self.stream.poll_capacity(context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => return Err(io::Error::other(error)),
                Poll::Ready(None) => return Err(io::ErrorKind::BrokenPipe.into()),
                Poll::Pending => return Ok(0),
            }
        }
    }
}

/// Writes header lines.
pub fn write_fields(fields: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in fields {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Reads header lines, leaving out what HTTP/2 cannot say.
fn read_fields(lines: &[u8]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        add_field(&line[..colon], line[colon + 1..].trim_ascii(), &mut fields);
    }
    fields
}

/// Adds a field, unless it belongs to an HTTP/1.1 connection or cannot be said.
pub fn add_field(name: &[u8], value: &[u8], fields: &mut HeaderMap) {
    let own = [&b"connection"[..], b"transfer-encoding", b"keep-alive", b"proxy-connection", b"upgrade", b"host"];
    // Most are told apart by their length.
    if matches!(name.len(), 4 | 7 | 10 | 16 | 17) && own.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return;
    }
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        fields.append(name, value);
    }
}
