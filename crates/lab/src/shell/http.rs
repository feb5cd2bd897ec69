//! One HTTP/1.1 exchange: a GET, and its answer read to the end. What is read is
//! counted, not kept.

use super::Sockets;
use crate::clients::{Outcome, Request};
use std::io;
use std::net::SocketAddrV4;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// A head that is longer is no answer to a lab's request.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 100;

/// How an exchange ended; with the connection, if it can carry another.
pub(super) struct Ended {
    pub outcome: Outcome,
    pub stream: Option<TcpStream>,
}

/// Whether an idle connection can be used: a server that closed it, or said something unasked, has ended it.
pub(super) fn is_open(stream: &TcpStream) -> bool {
    let mut byte = [0];
    matches!(stream.try_read(&mut byte), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
}

/// Sends the request, over `stream` if there is one.
pub(super) async fn exchange(request: &Request, stream: Option<TcpStream>, sockets: Option<&Sockets>) -> Ended {
    let mut stream = match stream {
        Some(stream) => stream,
        None => match connect(request, sockets).await {
            Ok(stream) => stream,
            Err(outcome) => {
                return Ended { outcome, stream: None };
            }
        },
    };
    match converse(request, &mut stream).await {
        Ok(Answer { status, reusable }) => {
            Ended { outcome: Outcome::Status(status), stream: reusable.then_some(stream) }
        }
        Err(outcome) => Ended { outcome, stream: None },
    }
}

async fn connect(request: &Request, sockets: Option<&Sockets>) -> Result<TcpStream, Outcome> {
    // The world's public addresses are all on loopback; a lab loads no other machine.
    if !request.to.is_loopback() {
        return Err(Outcome::Refused);
    }
    let to = SocketAddrV4::new(request.to, request.port);
    let connected = match sockets.map(|make| make()) {
        None => TcpStream::connect(to).await,
        Some(Ok(socket)) => TcpSocket::from_std_stream(socket).connect(to.into()).await,
        Some(Err(error)) => Err(error),
    };
    let stream = connected.map_err(|e| match e.kind() {
        io::ErrorKind::TimedOut => Outcome::Timeout,
        _ => Outcome::Refused,
    })?;
    // Without it small requests would wait for acknowledgements; if it cannot be set, they do.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

struct Answer {
    status: u16,
    reusable: bool,
}

/// How an answer's body ends.
enum Body {
    Length(u64),
    Chunked,
    UntilClose,
}

struct Head {
    status: u16,
    body: Body,
    keep: bool,
    length: usize,
}

async fn converse(request: &Request, stream: &mut TcpStream) -> Result<Answer, Outcome> {
    let text = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: zonal-lab\r\nAccept: */*\r\n\r\n",
        request.path,
        host(request)
    );
    stream.write_all(text.as_bytes()).await.map_err(|_| Outcome::Broken)?;
    let mut buffer = Vec::with_capacity(1024);
    let head = loop {
        match parse(&buffer)? {
            // Interim answers come before the one that counts.
            Some(head) if head.status < 200 => drop(buffer.drain(..head.length)),
            Some(head) => break head,
            None if buffer.len() > MAX_HEAD => return Err(Outcome::Garbled),
            None => more(stream, &mut buffer).await?,
        }
    };
    buffer.drain(..head.length);
    let whole = match head.body {
        Body::Length(length) => skip(stream, &mut buffer, length).await,
        Body::Chunked => skip_chunks(stream, &mut buffer).await,
        Body::UntilClose => skip_to_end(stream).await,
    };
    whole?;
    // Bytes after the answer belong to no request of ours.
    Ok(Answer { status: head.status, reusable: head.keep && buffer.is_empty() })
}

fn host(request: &Request) -> String {
    match request.port {
        80 => request.host.clone(),
        port => format!("{}:{port}", request.host),
    }
}

/// The head at the start of `buffer`, if it is there whole.
fn parse(buffer: &[u8]) -> Result<Option<Head>, Outcome> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Outcome::Garbled),
    };
    let (Some(status), Some(version)) = (response.code, response.version) else {
        return Err(Outcome::Garbled);
    };
    let (mut body, mut keep) = (Body::UntilClose, version == 1);
    for header in response.headers.iter() {
        let value = String::from_utf8_lossy(header.value).trim().to_ascii_lowercase();
        match header.name.to_ascii_lowercase().as_str() {
            // Chunked wins over a length (RFC 9112, 6.3).
            "content-length" if !matches!(body, Body::Chunked) => {
                body = Body::Length(value.parse().map_err(|_| Outcome::Garbled)?);
            }
            "transfer-encoding" if value.ends_with("chunked") => body = Body::Chunked,
            "connection" if value.contains("close") => keep = false,
            _ => {}
        }
    }
    if status < 200 || status == 204 || status == 304 {
        body = Body::Length(0);
    }
    keep &= !matches!(body, Body::UntilClose);
    Ok(Some(Head { status, body, keep, length }))
}

/// Reads some more; the end of the connection is not expected here.
async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(), Outcome> {
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => Err(Outcome::Broken),
        Ok(_) => Ok(()),
    }
}

async fn skip(stream: &mut TcpStream, buffer: &mut Vec<u8>, mut length: u64) -> Result<(), Outcome> {
    loop {
        let here = buffer.len().min(usize::try_from(length).unwrap_or(usize::MAX));
        buffer.drain(..here);
        length -= here as u64;
        if length == 0 {
            return Ok(());
        }
        more(stream, buffer).await?;
    }
}

async fn skip_chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(), Outcome> {
    loop {
        let (start, size) = match httparse::parse_chunk_size(buffer) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) if buffer.len() <= MAX_HEAD => {
                more(stream, buffer).await?;
                continue;
            }
            Ok(httparse::Status::Partial) | Err(_) => return Err(Outcome::Garbled),
        };
        buffer.drain(..start);
        if size == 0 {
            return skip_trailers(stream, buffer).await;
        }
        skip(stream, buffer, size.saturating_add(2)).await?;
    }
}

/// After the last chunk: lines up to an empty one.
async fn skip_trailers(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(), Outcome> {
    loop {
        match buffer.windows(2).position(|pair| pair == b"\r\n") {
            Some(at) => {
                buffer.drain(..at + 2);
                if at == 0 {
                    return Ok(());
                }
            }
            None if buffer.len() > MAX_HEAD => return Err(Outcome::Garbled),
            None => more(stream, buffer).await?,
        }
    }
}

async fn skip_to_end(stream: &mut TcpStream) -> Result<(), Outcome> {
    let mut waste = [0; 4096];
    loop {
        match stream.read(&mut waste).await {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(_) => return Err(Outcome::Broken),
        }
    }
}
