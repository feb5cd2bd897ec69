//! Small acts on streams that every direction needs.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::buffer::Buffer;
use super::patience::{Idle, Patience};
use crate::core::body::{Body, BrokenBody, write_chunk, write_end};

/// Bytes that are framed in one go, at most.
const BATCH: usize = 64 * 1024;

/// Unread bytes of a client that was answered early are taken for so long, at most, so that the answer
/// is not lost to a reset.
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
    if stream.shutdown().await.is_err() {
        return;
    }
    let drain = async {
        let (mut scrap, mut taken) = ([0; 4096], 0);
        while let Ok(count @ 1..) = stream.read(&mut scrap).await {
            taken += count;
            if taken > LINGER_BYTES {
                break;
            }
        }
    };
    // Whether the client is done or out of time: the connection ends.
    let _ = tokio::time::timeout(LINGER, drain).await;
}

/// Seconds since 1970.
pub fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
