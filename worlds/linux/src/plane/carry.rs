//! A connection that is carried from one socket to another for as long as something passes.

use super::door::reset;
use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// A peer that says nothing is asked after so many seconds whether it is still there, and again,
const KEEPALIVE: u32 = 60;
const KEEPALIVE_AGAIN: u32 = 15;
/// and given up after so many questions.
const KEEPALIVE_COUNT: u32 = 4;

/// Carries until both sides have ended, one is gone, or neither says anything for so long.
pub(super) async fn carry(mut client: TcpStream, mut server: TcpStream, idle: Duration) {
    for stream in [&client, &server] {
        // Without them, only who is gone for good stays longer.
        let _ = setsockopt(stream, sockopt::KeepAlive, &true);
        let _ = setsockopt(stream, sockopt::TcpKeepIdle, &KEEPALIVE);
        let _ = setsockopt(stream, sockopt::TcpKeepInterval, &KEEPALIVE_AGAIN);
        let _ = setsockopt(stream, sockopt::TcpKeepCount, &KEEPALIVE_COUNT);
    }
    let used = Used { start: Instant::now(), last: AtomicU64::new(0) };
    let ended = {
        let mut ends = (Noted { stream: &mut client, used: &used }, Noted { stream: &mut server, used: &used });
        tokio::select! {
            ended = tokio::io::copy_bidirectional(&mut ends.0, &mut ends.1) => ended.is_ok(),
            () = used.idle_for(idle) => false,
        }
    };
    if !ended {
        reset(&client);
        reset(&server);
    }
}

/// When something last passed.
struct Used {
    start: Instant,
    /// In milliseconds since then.
    last: AtomicU64,
}

impl Used {
    fn note(&self) {
        let passed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(passed, Ordering::Relaxed);
    }

    /// Waits until nothing has passed for so long.
    async fn idle_for(&self, limit: Duration) {
        loop {
            let deadline = self.start + Duration::from_millis(self.last.load(Ordering::Relaxed)) + limit;
            if Instant::now() >= deadline {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    }
}

/// A stream of which is noted when it is used.
struct Noted<'a> {
    stream: &'a mut TcpStream,
    used: &'a Used,
}

impl AsyncRead for Noted<'_> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut *this.stream).poll_read(context, buffer))?;
        this.used.note();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Noted<'_> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let count = ready!(Pin::new(&mut *this.stream).poll_write(context, bytes))?;
        this.used.note();
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::DEADLINE;
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    #[tokio::test]
    async fn a_connection_over_which_nothing_passes_ends_and_one_that_is_used_goes_on() {
        let (idle, limit) = (Duration::from_millis(300), DEADLINE);
        let ((mut near, client), (server, mut far)) = (pair().await, pair().await);
        let carried = tokio::spawn(carry(client, server, idle));
        let begun = Instant::now();
        // A word to and fro, until it would have been idle for long had there been none.
        while begun.elapsed() < idle * 3 {
            near.write_all(b"x").await.unwrap();
            let mut word = [0];
            timeout(limit, far.read_exact(&mut word)).await.unwrap().expect("it goes on");
            timeout(idle / 10, std::future::pending::<()>()).await.unwrap_err();
        }
        timeout(limit, carried).await.expect("it ends").unwrap();
        let ended = timeout(limit, near.read(&mut [0])).await.unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(far.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn whoever_has_died_without_a_word_is_found_out() {
        use nix::sys::socket::getsockopt;
        let ((near, client), (server, far)) = (pair().await, pair().await);
        let (client, server) = (client.into_std().unwrap(), server.into_std().unwrap());
        let watched = [client.try_clone().unwrap(), server.try_clone().unwrap()];
        let streams = [client, server].map(|stream| TcpStream::from_std(stream).unwrap());
        let [client, server] = streams;
        drop((near, far));
        timeout(DEADLINE, carry(client, server, DEADLINE)).await.expect("both have ended");
        for stream in &watched {
            assert!(getsockopt(stream, sockopt::KeepAlive).unwrap());
            assert_eq!(getsockopt(stream, sockopt::TcpKeepIdle).unwrap(), KEEPALIVE);
        }
    }
}
