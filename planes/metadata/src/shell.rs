//! The sockets of the metadata service: one server per instance interface, on a listener that its caller made in the right
//! network namespace. A connection carries one request, as AWS's do.

#![allow(clippy::disallowed_methods, reason = "this is the shell: it owns sockets, tasks and timers")]

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::InstanceMetadata;
use crate::respond::{Request, Response, respond};
use crate::token::Secret;

/// Connections of one interface at a time; more wait in its backlog.
const MAX_CONNECTIONS: usize = 64;

/// A request's head is no longer.
const MAX_HEAD: usize = 8 * 1024;
const MAX_HEADERS: usize = 64;

/// How long a client may take for its request, and for taking the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much of an unasked-for body is read, so that the answer is not lost to a reset.
const MAX_LEFTOVER: usize = 64 * 1024;

/// The pause after an error of the listener, as when descriptors have run out.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// The server of one interface; dropping it closes its listener.
#[derive(Debug)]
pub struct MetadataServer {
    document: Arc<ArcSwap<InstanceMetadata>>,
    tasks: JoinSet<()>,
}

impl MetadataServer {
    /// Starts answering on the current tokio runtime (it panics outside of one). One secret does for all interfaces.
    pub fn start(listener: TcpListener, document: InstanceMetadata, secret: Secret) -> io::Result<MetadataServer> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let document = Arc::new(ArcSwap::from_pointee(document));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&document), Arc::new(secret)));
        Ok(MetadataServer { document, tasks })
    }

    /// Says what is told from now on.
    pub fn put(&self, document: InstanceMetadata) {
        self.document.store(Arc::new(document));
    }

    /// Stops, and waits until its sockets are closed.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn accept(listener: tokio::net::TcpListener, document: Arc<ArcSwap<InstanceMetadata>>, secret: Arc<Secret>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // The connections end with the server.
    let mut connections = JoinSet::new();
    loop {
        // Nobody closes the semaphore.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let (document, secret) = (Arc::clone(&document), Arc::clone(&secret));
                connections.spawn(async move {
                    // How a connection ends is the client's affair.
                    let _ = timeout(PATIENCE, converse(stream, &document, &secret)).await;
                    drop(slot);
                });
            }
            Err(_) => tokio::time::sleep(ERROR_PAUSE).await,
        }
    }
}

/// Reads a request, answers it, closes.
async fn converse(mut stream: TcpStream, document: &ArcSwap<InstanceMetadata>, secret: &Secret) -> io::Result<()> {
    let mut head = Vec::with_capacity(512);
    let answer = loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
        if let Some(answer) = answer(&head, &document.load(), secret, since_epoch()) {
            break answer;
        }
    };
    if let Some(hops) = answer.hop_limit {
        stream.set_ttl(hops.into())?;
    }
    stream.write_all(&answer.bytes).await?;
    stream.shutdown().await?;
    let mut leftover = [0; 1024];
    let mut left = MAX_LEFTOVER;
    while left > 0 {
        match stream.read(&mut leftover).await? {
            0 => break,
            read => left = left.saturating_sub(read),
        }
    }
    Ok(())
}

/// Octets to send.
struct Answer {
    bytes: Vec<u8>,
    hop_limit: Option<u8>,
}

/// The answer to what has been read, once the head is whole or can't become one.
fn answer(head: &[u8], document: &InstanceMetadata, secret: &Secret, now: Duration) -> Option<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let bad = || Some(Answer { bytes: Response::bad_request().to_bytes("GET"), hop_limit: None });
    match parsed.parse(head) {
        Ok(httparse::Status::Partial) if head.len() <= MAX_HEAD => return None,
        Ok(httparse::Status::Complete(len)) if len <= MAX_HEAD => {}
        _ => return bad(),
    }
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else { return bad() };
    let headers: Vec<(&str, &[u8])> = parsed.headers.iter().map(|header| (header.name, header.value)).collect();
    let response = respond(document, secret, now, &Request { method, target, headers: &headers });
    Some(Answer { bytes: response.to_bytes(method), hop_limit: response.hop_limit })
}

/// What tokens are counted from: an instant that a restart does not move.
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
