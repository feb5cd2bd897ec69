//! Access logs under way: what a request and its answer come to, and the queue that records leave by.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::tls::Handshake;
use crate::core::access::{Record, TlsRecord};
use crate::core::head::RequestHead;
use crate::core::route::Scheme;

/// Records that wait for whoever takes them, at most; more are lost, and counted.
const QUEUE: usize = 8192;

/// An access log record of one of the balancers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The load balancer's ARN.
    pub balancer: String,
    /// The line, without its end.
    pub line: String,
}

/// Takes records from all cores. Nobody waits for it.
#[derive(Debug)]
pub struct Journal {
    queue: SyncSender<LogEntry>,
    lost: AtomicU64,
}

impl Journal {
    /// With its other end.
    pub fn new() -> (Self, Receiver<LogEntry>) {
        let (queue, receiver) = sync_channel(QUEUE);
        (Self { queue, lost: AtomicU64::new(0) }, receiver)
    }

    /// One more.
    pub fn write(&self, balancer: &str, line: String) {
        if self.queue.try_send(LogEntry { balancer: balancer.to_owned(), line }).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
    }

    /// Records that found no place.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

/// What one request has come to so far.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Bytes from the client.
    pub received: Cell<u64>,
    /// Bytes to the client.
    pub sent: Cell<u64>,
    /// What the target has answered; 0 for nothing yet.
    pub status: Cell<u16>,
    /// When the request had left for the target.
    pub asked: Cell<Option<Instant>>,
    /// When the head of the answer was there.
    pub heard: Cell<Option<Instant>>,
}

impl Traffic {
    /// So many more bytes from the client.
    pub fn receive(&self, bytes: usize) {
        self.received.set(self.received.get() + bytes as u64);
    }

    /// So many more bytes to the client.
    pub fn send(&self, bytes: usize) {
        self.sent.set(self.sent.get() + bytes as u64);
    }
}

/// Whom requests are from.
#[derive(Debug)]
pub struct Sender<'a> {
    /// The client.
    pub peer: SocketAddr,
    /// What its TLS has agreed on.
    pub handshake: Option<&'a Handshake>,
    /// The connection's id.
    pub connection: &'a str,
}

/// A record that is being written.
#[derive(Debug)]
pub struct Page {
    /// What is known.
    pub record: Record,
    began: Instant,
}

impl Page {
    /// Of a request, that came to a port, over HTTP/2 or not; `None` for what is none.
    pub fn new(head: Option<&RequestHead<'_, '_>>, from: &Sender<'_>, port: u16, scheme: Scheme, h2: bool) -> Self {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let named = |name: &str| {
            let mut headers = head.iter().flat_map(|head| head.headers);
            headers.find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
        };
        let socket = head.is_some_and(|head| head.upgrade)
            && named("upgrade").is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
        let grpc = named("content-type").is_some_and(|kind| kind.starts_with(b"application/grpc"));
        let request = head.map(|head| {
            let host = head.host.split_once(':').map_or(head.host, |(host, _)| host);
            let version = if h2 { "HTTP/2.0" } else { head.version.as_str() };
            format!("{} {}://{host}:{port}{} {version}", head.method, scheme.as_str(), head.target)
        });
        let record = Record {
            kind: match (scheme, h2, socket) {
                (Scheme::Http, _, true) => "ws",
                (Scheme::Https, _, true) => "wss",
                (Scheme::Https, true, _) if grpc => "grpcs",
                (Scheme::Https, true, _) => "h2",
                (Scheme::Https, ..) => "https",
                (Scheme::Http, ..) => "http",
            },
            created: unix_micros(),
            ended: 0,
            client: from.peer,
            target: None,
            times: [None; 3],
            elb_status: None,
            target_status: None,
            received: 0,
            sent: 0,
            request,
            user_agent: named("user-agent").map(text),
            tls: from.handshake.map(|tls| TlsRecord {
                cipher: tls.suite.to_owned(),
                version: tls.version.to_owned(),
                domain: tls.domain.clone(),
                certificate: tls.certificate.as_deref().map(ToOwned::to_owned),
            }),
            connection: from.connection.to_owned(),
            group: None,
            trace: None,
            rule: None,
            action: None,
            redirect: None,
            verdict: head.map(|head| head.verdict).unwrap_or_default(),
        };
        Self { record, began: Instant::now() }
    }

    /// The line, now that all is over.
    pub fn close(mut self, traffic: &Traffic, balancer: &str) -> String {
        let record = &mut self.record;
        let status = Some(traffic.status.get()).filter(|status| *status != 0);
        record.ended = unix_micros();
        record.target_status = status;
        record.elb_status = record.elb_status.or(status);
        (record.received, record.sent) = (traffic.received.get(), traffic.sent.get());
        let asked = traffic.asked.get().map(|asked| (asked, asked.duration_since(self.began)));
        record.times = match (asked, traffic.heard.get()) {
            // What is left of the answer is relayed as it comes: its beginning is at once.
            (Some((asked, took)), Some(heard)) => {
                [took, heard.saturating_duration_since(asked), Duration::ZERO].map(Some)
            }
            // It was sent, and its target or its client was waited for in vain.
            (Some((_, took)), None) if matches!(record.elb_status, Some(460 | 504)) => [Some(took), None, None],
            _ => [None; 3],
        };
        record.line(balancer)
    }
}

fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::head::{header_space, parse_request};

    #[test]
    fn a_record_is_of_the_kind_that_was_spoken() {
        let kind = |fields: &str, scheme, h2| {
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let mut space = header_space();
            let head = parse_request(head.as_bytes(), &mut space).expect("it is sound");
            let from = Sender { peer: ([127, 0, 0, 1], 1).into(), handshake: None, connection: "" };
            Page::new(Some(&head), &from, 80, scheme, h2).record.kind
        };
        let (socket, other) =
            ("Connection: upgrade\r\nUpgrade: WebSocket\r\n", "Connection: upgrade\r\nUpgrade: x\r\n");
        let call = "Content-Type: application/grpc+proto\r\n";
        assert_eq!(
            ["", socket, other, call].map(|fields| kind(fields, Scheme::Http, false)),
            ["http", "ws", "http", "http"]
        );
        assert_eq!(["", socket, other].map(|fields| kind(fields, Scheme::Https, false)), ["https", "wss", "https"]);
        assert_eq!(["", call].map(|fields| kind(fields, Scheme::Https, true)), ["h2", "grpcs"]);
    }
}
