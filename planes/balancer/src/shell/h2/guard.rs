//! A client's bytes on their way to the h2 crate, looked at before it.
//!
//! What must not be is kept from the crate; the connection's task is told and ends the connection. A
//! connection that ends with bytes of the client's still coming takes and drops some of them first,
//! since the kernel would answer them with a reset, and that would overtake the reason.
//!
//! And our bytes on their way from it: the crate writes frame by frame, and over TLS each write is a record and a
//! system call. Here they gather until the connection's task has nothing more to say ([`Tail::poll_flush`]).

use std::cell::{Cell, RefCell};
use std::future::Future as _;
use std::io;
use std::mem::take;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Sleep;

use crate::core::frames::{Fault, Frames};
use crate::shell::worker::Worker;

/// How long, and how many bytes of, a client that was hung up on are taken.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 256 * 1024;
/// Bytes that gather, at most: as many as are written at once.
const GATHERED: usize = 64 * 1024;

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
pub struct Guard<S> {
    line: Rc<RefCell<Line<S>>>,
    opened: Instant,
    alarm: Rc<Alarm>,
    farewell: Farewell,
}

/// What writes out what has gathered.
pub struct Tail<S>(Rc<RefCell<Line<S>>>);

/// The connection itself.
struct Line<S> {
    stream: S,
    frames: Frames,
    worker: Rc<Worker>,
    /// What has gathered, and how much of it is written. No memory while there is nothing.
    gathered: Vec<u8>,
    written: usize,
    /// Whether what is flushed may still wait.
    gathers: bool,
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
    /// With the way to hear of its fault, and to write out what gathers.
    pub fn new(stream: S, worker: Rc<Worker>) -> (Self, Rc<Alarm>, Tail<S>) {
        let alarm = Rc::new(Alarm::default());
        let (frames, gathered) = (Frames::default(), Vec::new());
        let line = Line { stream, frames, worker, gathered, written: 0, gathers: false };
        let line = Rc::new(RefCell::new(line));
        let (tail, opened) = (Tail(line.clone()), Instant::now());
        (Self { line, opened, alarm: alarm.clone(), farewell: Farewell::Open }, alarm, tail)
    }
}

impl<S: AsyncWrite + Unpin> Tail<S> {
    /// From now on what is written waits for [`Tail::poll_flush`], unless it becomes too much.
    pub fn gather(&self) {
        self.0.borrow_mut().gathers = true;
    }

    /// Writes out what has gathered.
    pub fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_flush(context)
    }
}

impl<S: AsyncWrite + Unpin> Line<S> {
    /// Takes of `bytes` what there is room for; at least one.
    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.gathered.len() >= GATHERED {
            ready!(self.poll_drain(context))?;
        }
        if self.gathered.capacity() == 0 {
            self.gathered = self.worker.lend_bytes();
        }
        let count = bytes.len().min(GATHERED - self.gathered.len());
        self.gathered.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    /// Gives all that has gathered to the stream.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.gathered.len() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, &self.gathered[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.frames.send(count);
            self.written += count;
        }
        self.written = 0;
        self.gathered.clear();
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.gathered.is_empty() {
            ready!(self.poll_drain(context))?;
        }
        self.worker.reclaim_bytes(take(&mut self.gathered));
        Pin::new(&mut self.stream).poll_flush(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.alarm.fault.get().is_some() {
            // Whoever was told ends the connection.
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let line = &mut *self.line.borrow_mut();
        ready!(Pin::new(&mut line.stream).poll_read(context, buffer))?;
        let opened = self.opened;
        let Err((fault, good)) = line.frames.receive(&buffer.filled()[before..], &|| opened.elapsed()) else {
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
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.line.borrow_mut().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let line = &mut *self.line.borrow_mut();
        let mut taken = 0;
        for slice in slices {
            let mut rest = &**slice;
            while !rest.is_empty() {
                match line.poll_write(context, rest) {
                    Poll::Ready(Ok(count)) => (taken, rest) = (taken + count, &rest[count..]),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending if taken == 0 => return Poll::Pending,
                    Poll::Pending => return Poll::Ready(Ok(taken)),
                }
            }
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let line = &mut *self.line.borrow_mut();
        if line.gathers { Poll::Ready(Ok(())) } else { line.poll_flush(context) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        let line = &mut *guard.line.borrow_mut();
        if let Farewell::Open = guard.farewell {
            ready!(line.poll_flush(context))?;
            ready!(Pin::new(&mut line.stream).poll_shutdown(context))?;
            guard.farewell = Farewell::Lingering(Box::pin(tokio::time::sleep(LINGER)), 0);
        }
        if let Farewell::Lingering(limit, dropped) = &mut guard.farewell {
            let mut space = [0; 4096];
            while limit.as_mut().poll(context).is_pending() && *dropped < LINGER_BYTES {
                let mut scrap = ReadBuf::new(&mut space);
                match ready!(Pin::new(&mut line.stream).poll_read(context, &mut scrap)) {
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::IoSlice;
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::mpsc;

    use super::*;
    use crate::shell::HostSockets;
    use crate::shell::journal::Journal;
    use crate::shell::patience::Pace;
    use crate::shell::tls::TargetTls;

    fn worker() -> Rc<Worker> {
        let (events, journal) = (mpsc::unbounded_channel().0, Arc::new(Journal::new().0));
        let tls = TargetTls::new().expect("settings of ours are good");
        Rc::new(Worker::new(0, Pace::new(1.0), 1, Arc::new(HostSockets), tls, events, journal))
    }

    /// Writes all of `bytes` in slices of many lengths.
    async fn write(guard: &mut Guard<tokio::io::DuplexStream>, bytes: &[u8]) {
        let (mut at, mut turn) = (0, 0);
        while at < bytes.len() {
            let (head, rest) = bytes[at..].split_at((turn * 37 % 1000).min(bytes.len() - at));
            let body = &rest[..(turn * 7919 % 20_000).min(rest.len())];
            let slices = [IoSlice::new(head), IoSlice::new(&[]), IoSlice::new(body)];
            at += poll_fn(|context| Pin::new(&mut *guard).poll_write_vectored(context, &slices)).await.expect("write");
            turn += 1;
        }
    }

    #[tokio::test]
    async fn what_gathers_is_what_arrives_whatever_pieces_it_came_in_and_goes_out_in() {
        let (ours, mut theirs) = tokio::io::duplex(777);
        let (mut guard, _alarm, tail) = Guard::new(ours, worker());
        tail.gather();
        let said: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_be_bytes).collect();
        let speak = async {
            write(&mut guard, &said).await;
            guard.flush().await.expect("it may wait");
            poll_fn(|context| tail.poll_flush(context)).await.expect("flush");
            drop((guard, tail));
        };
        let mut heard = Vec::new();
        let (_, listened) = tokio::join!(speak, theirs.read_to_end(&mut heard));
        listened.expect("read");
        assert!(heard == said, "bytes were lost, doubled or moved");
    }

    #[tokio::test]
    async fn what_is_written_waits_until_the_connection_has_nothing_more_to_say() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let (mut guard, _alarm, tail) = Guard::new(ours, worker());
        guard.write_all(b"settings").await.expect("write");
        guard.flush().await.expect("flush");
        let mut heard = [0; 64];
        assert_eq!(theirs.read(&mut heard).await.expect("read"), 8, "before it gathers, all is said at once");
        tail.gather();
        guard.write_all(b"one").await.expect("write");
        guard.flush().await.expect("flush");
        guard.write_all(b" two").await.expect("write");
        poll_fn(|context| tail.poll_flush(context)).await.expect("flush");
        assert_eq!(theirs.read(&mut heard).await.expect("read"), 7, "both in one");
    }
}
