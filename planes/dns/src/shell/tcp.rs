//! DNS over TCP (RFC 7766): pipelined queries are answered in order, all that have arrived with one write.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Responder, Step};
use crate::answer::Transport;

/// Connections of one listener; more wait in its backlog.
const MAX_CONNECTIONS: usize = 256;

/// A client that says nothing, or takes nothing, for so long is let go.
const IDLE: Duration = Duration::from_secs(10);

/// No query is longer; whoever announces one is let go.
const MAX_QUERY: usize = 4096;

/// Answers are written when so many octets are waiting.
const FLUSH_AT: usize = 64 * 1024;

/// The pause after an error of the listener, as when descriptors have run out.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// Accepts for ever.
pub(super) async fn serve(listener: TcpListener, responder: Responder) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // The connections end with the server.
    let mut connections = JoinSet::new();
    loop {
        // Nobody closes the semaphore.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let responder = responder.clone();
                connections.spawn(async move {
                    // How a connection ends is the client's affair.
                    let _ = converse(stream, responder).await;
                    drop(slot);
                });
            }
            Err(_) => tokio::time::sleep(ERROR_PAUSE).await,
        }
    }
}

/// Reads and answers until the client leaves.
async fn converse(mut stream: TcpStream, mut responder: Responder) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::with_capacity(512);
    let mut output = Vec::with_capacity(512);
    let mut answer = Vec::new();
    loop {
        let mut used = 0;
        while let Some(query) = next_query(&input[used..])? {
            used += 2 + query.len();
            let step = {
                let store = Arc::clone(&responder.store);
                let snapshot = store.current.load();
                responder.answer(&snapshot, query, Transport::Tcp, &mut answer)
            };
            let step = match step {
                Step::Fetch(pending) => responder.fetch_in_slot(pending, query, &mut answer).await,
                step => step,
            };
            if let Step::Send = step {
                // Answers over TCP are cut at 65,535 octets.
                output.extend_from_slice(&(answer.len() as u16).to_be_bytes());
                output.extend_from_slice(&answer);
            }
            if output.len() >= FLUSH_AT {
                flush(&mut stream, &mut output).await?;
            }
        }
        input.drain(..used);
        flush(&mut stream, &mut output).await?;
        if timeout(IDLE, stream.read_buf(&mut input)).await?? == 0 {
            return Ok(());
        }
    }
}

/// The query at the front, once it is whole.
fn next_query(input: &[u8]) -> io::Result<Option<&[u8]>> {
    let [high, low, rest @ ..] = input else { return Ok(None) };
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    if len > MAX_QUERY {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(rest.get(..len))
}

async fn flush(stream: &mut TcpStream, output: &mut Vec<u8>) -> io::Result<()> {
    if !output.is_empty() {
        timeout(IDLE, stream.write_all(output)).await??;
        output.clear();
    }
    Ok(())
}

impl Responder {
    /// Asks upstream within the forwarder's bound; above it the query is not answered.
    async fn fetch_in_slot(&self, pending: super::Pending, query: &[u8], answer: &mut Vec<u8>) -> Step {
        match self.forwarder.as_ref().and_then(|forwarder| forwarder.slot()) {
            Some(_slot) => self.fetch_and_answer(pending, query, Transport::Tcp, answer).await,
            None => {
                self.counters.dropped(1);
                Step::Nothing
            }
        }
    }
}
