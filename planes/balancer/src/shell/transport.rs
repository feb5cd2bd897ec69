//! A byte stream to a client or a target, whatever it is carried by.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::h2::{ClientStream, TargetStream, Windowed};
use crate::core::route::Scheme;

/// A connection that HTTP/1.1 is spoken on.
#[derive(Debug)]
pub enum Transport {
    /// As it is.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream<TcpStream>>),
    /// A client's HTTP/2 stream.
    Stream(Box<ClientStream>),
    /// A request to a target over HTTP/2.
    Target(Box<TargetStream>),
}

impl Transport {
    /// What is spoken on it.
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Plain(_) => Scheme::Http,
            // Clients speak HTTP/2 over TLS only.
            Self::Tls(_) | Self::Stream(_) => Scheme::Https,
            Self::Target(stream) => stream.scheme(),
        }
    }

    /// Whether it is a client's HTTP/2 stream.
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Whether it can be kept for another request.
    pub fn is_kept(&self) -> bool {
        matches!(self, Self::Plain(_) | Self::Tls(_))
    }

    /// Waits until a read has something to say, without a buffer to read into.
    pub async fn readable(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.readable().await,
            Self::Tls(stream) => stream.fill_buf().await.map(|_| ()),
            // Its head is there, or its end.
            Self::Stream(_) | Self::Target(_) => Ok(()),
        }
    }

    /// Whether a waiting connection is open and silent. Costs no system call unless something came:
    /// bytes that nobody asked for make a connection as unfit as its end does.
    pub fn is_quiet(&mut self) -> bool {
        let context = &mut Context::from_waker(Waker::noop());
        match self {
            Self::Plain(stream) => match stream.poll_read_ready(context) {
                Poll::Pending => true,
                Poll::Ready(Err(_)) => false,
                // A read that filled its buffer leaves the mark of more to come; only a try tells.
                Poll::Ready(Ok(())) => {
                    matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
                }
            },
            // What came may be the library's own: tickets, new keys.
            Self::Tls(stream) => {
                let mut byte = [0];
                Pin::new(&mut **stream).poll_read(context, &mut ReadBuf::new(&mut byte)).is_pending()
            }
            // Of one request each.
            Self::Stream(_) | Self::Target(_) => false,
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(context, buffer),
            Self::Stream(stream) => stream.poll_read(context, buffer),
            Self::Target(stream) => stream.poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(context, bytes),
            Self::Stream(stream) => stream.poll_write(context, bytes),
            Self::Target(stream) => stream.poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // Sockets keep nothing back.
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(context),
            Self::Stream(stream) => stream.poll_flush(context),
            Self::Target(stream) => stream.poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(context),
            // Their ends are told by their framing.
            Self::Stream(_) | Self::Target(_) => Poll::Ready(Ok(())),
        }
    }
}

/// One of the directions of a connection whose two directions are at work in one task.
#[derive(Debug)]
pub struct Half<'a>(pub &'a RefCell<&'a mut Transport>);

impl AsyncRead for Half<'_> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self.0.borrow_mut()).poll_read(context, buffer)
    }
}

impl AsyncWrite for Half<'_> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut **self.0.borrow_mut()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self.0.borrow_mut()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self.0.borrow_mut()).poll_shutdown(context)
    }
}
