//! Small acts on streams that every direction needs.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::buffer::Buffer;
use super::patience::{Idle, Patience};
use crate::core::body::{Body, BrokenBody, write_chunk, write_end};

/// Bytes that are framed in one go, at most.
const BATCH: usize = 64 * 1024;

/// A client that was answered early has so long to take what is left for it, and its unread bytes are taken for no longer, so that
/// the answer is not lost to a reset.
const LINGER: Duration = Duration::from_secs(2);
/// And so many.
const LINGER_BYTES: usize = 256 * 1024;

/// Why something could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendFailure {
    /// Not a byte was taken.
    Unsent,
    /// Some were.
    Cut,
    /// The other side did not take them in time.
    Silent,
}

/// Writes all of `bytes`; in one system call if the socket takes them.
///
/// # Errors
/// See [`SendFailure`].
pub async fn send(
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    idle: &Idle,
    patience: &mut Patience,
) -> Result<(), SendFailure> {
    let mut sent = 0;
    while sent < bytes.len() {
        match patience.wait(idle, to.write(&bytes[sent..])).await {
            Ok(Ok(count @ 1..)) => {
                sent += count;
                if sent < bytes.len() {
                    idle.touch(Instant::now());
                }
            }
            Ok(Ok(0) | Err(_)) => return Err(if sent == 0 { SendFailure::Unsent } else { SendFailure::Cut }),
            Err(_) => return Err(SendFailure::Silent),
        }
    }
    match patience.wait(idle, to.flush()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(SendFailure::Cut),
        Err(_) => Err(SendFailure::Silent),
    }
}

/// Moves what is here of a body from `input` to `out`, framed anew; gives the bytes used up.
///
/// # Errors
/// If it breaks its framing.
pub fn frame(body: &mut Body, input: &mut Buffer, chunked: bool, out: &mut Vec<u8>) -> Result<usize, BrokenBody> {
    if body.is_done() {
        return Ok(0);
    }
    let mut at = 0;
    while out.len() < BATCH {
        let data = body.next(input.bytes(), &mut at)?;
        if data.is_empty() {
            break;
        }
        if chunked { write_chunk(data, out) } else { out.extend_from_slice(data) }
    }
    if chunked && body.is_done() {
        write_end(body.trailers(), out);
    }
    input.consume(at);
    Ok(at)
}

/// Says no more, and drops what the client still says for a while.
pub async fn linger(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let end = async {
        // Over TLS, this waits for a client that has stopped reading.
        if stream.shutdown().await.is_err() {
            return;
        }
        let (mut scrap, mut taken) = ([0; 4096], 0);
        while let Ok(count @ 1..) = stream.read(&mut scrap).await {
            taken += count;
            if taken > LINGER_BYTES {
                break;
            }
        }
    };
    // Whether the client is done or out of time: the connection ends.
    let _ = tokio::time::timeout(LINGER, end).await;
}

/// Seconds since 1970.
pub fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
pub(super) mod tests {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::ReadBuf;

    use super::*;

    /// The connection of a client that has said all it had to say, and takes nothing any more: as TLS does over a full buffer, it
    /// does not end.
    pub(crate) struct Stuck;

    impl AsyncRead for Stuck {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Stuck {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[test]
    fn a_client_that_takes_nothing_is_left_after_a_while() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let left = runtime.block_on(async { tokio::time::timeout(LINGER * 3, linger(&mut Stuck)).await });
        assert!(left.is_ok(), "it is waited for without end");
    }
}
