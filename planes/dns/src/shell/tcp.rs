//! DNS over TCP (RFC 7766): pipelined queries are answered as they come, all that have arrived with one write;
//! one that has to wait for upstream holds none of those behind it up.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Pending, Responder, Step};
use crate::answer::Transport;

/// Connections of one listener; more wait in its backlog.
const MAX_CONNECTIONS: usize = 256;

/// A client that asks nothing whole, or takes nothing, for so long is let go: bytes one by one keep no connection.
const IDLE: Duration = Duration::from_secs(10);

/// Queries of one connection that may wait for upstream; of the rest nothing is read until then.
const MAX_WAITING: usize = 64;

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
            Ok((stream, client)) => {
                let responder = responder.clone();
                connections.spawn(async move {
                    // How a connection ends is the client's affair.
                    let _ = converse(stream, client.ip(), responder, IDLE).await;
                    drop(slot);
                });
            }
            Err(_) => tokio::time::sleep(ERROR_PAUSE).await,
        }
    }
}

/// Reads and answers until the client leaves.
async fn converse(mut stream: TcpStream, client: IpAddr, mut responder: Responder, idle: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::with_capacity(512);
    let mut output = Vec::with_capacity(512);
    let mut answer = Vec::new();
    // What waits for upstream ends with the connection.
    let mut fetches: JoinSet<Vec<u8>> = JoinSet::new();
    let mut patience = Instant::now() + idle;
    loop {
        let mut used = 0;
        while let Some(query) = next_query(&input[used..])? {
            used += 2 + query.len();
            let step = {
                let store = Arc::clone(&responder.store);
                let snapshot = store.current.load();
                responder.answer(&snapshot, query, (Transport::Tcp, Some(client)), &mut answer)
            };
            match step {
                Step::Send => frame(&mut output, &answer),
                Step::Nothing => {}
                Step::Fetch(pending) => match fetch_later(&responder, pending, query) {
                    Some(fetch) => drop(fetches.spawn(fetch)),
                    None => responder.counters.dropped(1),
                },
            }
            if output.len() >= FLUSH_AT {
                flush(&mut stream, &mut output).await?;
            }
        }
        input.drain(..used);
        flush(&mut stream, &mut output).await?;
        if used > 0 {
            patience = Instant::now() + idle;
        }
        let is_idle = fetches.is_empty();
        tokio::select! {
            read = timeout_at(patience, stream.read_buf(&mut input)), if fetches.len() < MAX_WAITING => match read {
                Ok(Ok(0)) if is_idle => return Ok(()),
                // It has asked all that it will and waits for the rest.
                Ok(Ok(0)) => return finish(stream, fetches, output).await,
                Ok(read) => drop(read?),
                Err(elapsed) if is_idle => return Err(elapsed.into()),
                Err(_) => patience = Instant::now() + idle,
            },
            Some(fetched) = fetches.join_next(), if !is_idle => {
                frame(&mut output, &fetched.unwrap_or_default());
                patience = Instant::now() + idle;
            }
        }
    }
}

/// Sends what is still being fetched, then leaves.
async fn finish(mut stream: TcpStream, mut fetches: JoinSet<Vec<u8>>, mut output: Vec<u8>) -> io::Result<()> {
    while let Some(fetched) = fetches.join_next().await {
        frame(&mut output, &fetched.unwrap_or_default());
        flush(&mut stream, &mut output).await?;
    }
    Ok(())
}

/// Appends an answer with its length; one that there is not is empty.
fn frame(output: &mut Vec<u8>, answer: &[u8]) {
    if !answer.is_empty() {
        // Answers over TCP are cut at 65,535 octets.
        output.extend_from_slice(&(answer.len() as u16).to_be_bytes());
        output.extend_from_slice(answer);
    }
}

/// Asks upstream within the forwarder's bound; nothing above it: then the query is not answered.
fn fetch_later(responder: &Responder, pending: Pending, query: &[u8]) -> Option<impl Future<Output = Vec<u8>> + use<>> {
    let slot = responder.forwarder.as_ref()?.slot()?;
    let (responder, query) = (responder.clone(), query.to_vec());
    Some(async move {
        let mut answer = Vec::new();
        let step = responder.fetch_and_answer(pending, &query, Transport::Tcp, &mut answer).await;
        drop(slot);
        if matches!(step, Step::Send) { answer } else { Vec::new() }
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Role;
    use crate::config::PUBLIC;
    use crate::shell::counters::Counters;
    use crate::shell::{Draws, ZoneStore};

    const SHORT: Duration = Duration::from_millis(300);

    fn responder() -> Responder {
        Responder {
            store: Arc::new(ZoneStore::new()),
            role: Role::Authoritative { view: PUBLIC.to_owned() },
            forwarder: None,
            counters: Arc::new(Counters::default()),
            draws: Draws::new(1),
        }
    }

    /// Sends octets one by one, each after a pause, until they are all sent or the other side has closed; how long that took.
    async fn trickle(octets: &[u8], pause: Duration) -> (usize, Duration) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (server, from) = listener.accept().await.expect("a connection");
        let served = tokio::spawn(converse(server, from.ip(), responder(), SHORT));
        let begun = Instant::now();
        let mut answer = [0; 64];
        for (sent, octet) in octets.iter().enumerate() {
            // Else it is still open, or has answered.
            if let Ok(Ok(0) | Err(_)) = timeout(pause, client.read(&mut answer)).await {
                return (sent, begun.elapsed());
            }
            if client.write_all(&[*octet]).await.is_err() {
                return (sent, begun.elapsed());
            }
        }
        served.abort();
        (octets.len(), begun.elapsed())
    }

    #[tokio::test]
    async fn a_query_that_comes_octet_by_octet_keeps_its_connection_no_longer_than_silence() {
        let (sent, took) = trickle(&[1; 60], SHORT / 10).await;
        assert!(sent < 60 && took >= SHORT, "{sent} octets in {took:?}");
        // Whole queries, however short, do.
        let (sent, took) = trickle(&[0; 40], SHORT / 10).await;
        assert!(sent == 40 && took > SHORT, "{sent} octets in {took:?}");
    }
}
