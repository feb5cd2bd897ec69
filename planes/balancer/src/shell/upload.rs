//! The rest of a request's body, from the client to the target.

use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};

use super::buffer::Buffer;
use super::journal::Traffic;
use super::patience::{Idle, Patience};
use super::stream::{SendFailure, frame, send};
use crate::core::body::Body;
use crate::core::count::NodeCounts;

/// How an upload ended.
pub enum UploadEnd {
    /// All of it is with the target.
    Whole,
    /// The client closed before the end.
    ClientGone,
    /// The client sent nothing for too long.
    ClientSilent,
    /// The body breaks its framing.
    Malformed,
    /// The target takes no more.
    TargetGone,
    /// The target took nothing for too long.
    TargetSilent,
}

/// Reads, checks, frames and sends until the body ends.
#[expect(clippy::too_many_arguments, reason = "two streams with what each needs, and two counters")]
pub async fn upload(
    client: &mut (impl AsyncRead + Unpin),
    target: &mut (impl AsyncWrite + Unpin),
    input: &mut Buffer,
    body: &mut Body,
    chunked: bool,
    idle: &Idle,
    node: &NodeCounts,
    traffic: &Traffic,
) -> UploadEnd {
    // The answer's side has the connection's own.
    let mut patience = Patience::new(idle);
    let mut output = Vec::new();
    loop {
        output.clear();
        match frame(body, input, chunked, &mut output) {
            Ok(used) => {
                node.processed_bytes.add(used as u64);
                traffic.receive(used);
            }
            Err(_) => return UploadEnd::Malformed,
        }
        match send(target, &output, idle, &mut patience).await {
            Ok(()) => {}
            Err(SendFailure::Silent) => return UploadEnd::TargetSilent,
            Err(SendFailure::Unsent | SendFailure::Cut) => return UploadEnd::TargetGone,
        }
        if body.is_done() {
            return UploadEnd::Whole;
        }
        if !input.is_empty() {
            continue;
        }
        match patience.wait(idle, input.read_long(client)).await {
            Ok(Ok(1..)) => idle.touch(Instant::now()),
            Ok(Ok(0) | Err(_)) => return UploadEnd::ClientGone,
            Err(_) => return UploadEnd::ClientSilent,
        }
    }
}
