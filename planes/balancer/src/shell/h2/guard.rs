//! A client's bytes on their way to the h2 crate, looked at before it.
//!
//! What must not be is kept from the crate; the connection's task is told and ends the connection. A
//! connection that ends with bytes of the client's still coming takes and drops some of them first,
//! since the kernel would answer them with a reset, and that would overtake the reason.

use std::cell::Cell;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Sleep;

use crate::core::frames::{Fault, Frames};

/// How long, and how many bytes of, a client that was hung up on are taken.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 256 * 1024;

/// What a connection must end with, once there is something.
#[derive(Debug, Default)]
pub struct Alarm {
    fault: Cell<Option<Fault>>,
    raised: Notify,
}

impl Alarm {
    /// Waits for it.
    pub async fn raised(&self) -> Fault {
        loop {
            if let Some(fault) = self.fault.get() {
                return fault;
            }
            self.raised.notified().await;
        }
    }
}

/// A client's connection behind its guard.
#[derive(Debug)]
pub struct Guard<S> {
    stream: S,
    frames: Frames,
    opened: Instant,
    alarm: Rc<Alarm>,
    farewell: Farewell,
}

/// How far a connection's end has come.
#[derive(Debug)]
enum Farewell {
    Open,
    /// Our side is closed; so many bytes of the client's have been dropped.
    Lingering(Pin<Box<Sleep>>, usize),
    Over,
}

impl<S> Guard<S> {
    /// With the way to hear of it.
    pub fn new(stream: S) -> (Self, Rc<Alarm>) {
        let alarm = Rc::new(Alarm::default());
        let (frames, opened) = (Frames::default(), Instant::now());
        (Self { stream, frames, opened, alarm: alarm.clone(), farewell: Farewell::Open }, alarm)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.alarm.fault.get().is_some() {
            // Whoever was told ends the connection.
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let opened = self.opened;
        let Err((fault, good)) = self.frames.receive(&buffer.filled()[before..], &|| opened.elapsed()) else {
            return Poll::Ready(Ok(()));
        };
        self.alarm.fault.set(Some(fault));
        self.alarm.raised.notify_one();
        buffer.set_filled(before + good);
        // No bytes would mean the connection's end.
        if good > 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.frames.send(count);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices))?;
        self.frames.send(count);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        if let Farewell::Open = guard.farewell {
            ready!(Pin::new(&mut guard.stream).poll_shutdown(context))?;
            guard.farewell = Farewell::Lingering(Box::pin(tokio::time::sleep(LINGER)), 0);
        }
        if let Farewell::Lingering(limit, dropped) = &mut guard.farewell {
            let mut space = [0; 4096];
            while limit.as_mut().poll(context).is_pending() && *dropped < LINGER_BYTES {
                let mut scrap = ReadBuf::new(&mut space);
                match ready!(Pin::new(&mut guard.stream).poll_read(context, &mut scrap)) {
                    Ok(()) if !scrap.filled().is_empty() => *dropped += scrap.filled().len(),
                    // The client is done.
                    Ok(()) | Err(_) => break,
                }
            }
            guard.farewell = Farewell::Over;
        }
        Poll::Ready(Ok(()))
    }
}
