//! Access logs under way: what a request and its answer come to, and the queue that records leave by.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::core::access::Record;
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

/// A record that is being written.
#[derive(Debug)]
pub struct Page {
    /// What is known.
    pub record: Record,
    began: Instant,
}

impl Page {
    /// Of a request; `None` for what is none.
    pub fn new(head: Option<&RequestHead<'_, '_>>, client: SocketAddr, port: u16, scheme: Scheme, h2: bool) -> Self {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let agent =
            head.and_then(|head| head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("user-agent")));
        let request = head.map(|head| {
            let host = head.host.split_once(':').map_or(head.host, |(host, _)| host);
            let version = if h2 { "HTTP/2.0" } else { head.version.as_str() };
            format!("{} {}://{host}:{port}{} {version}", head.method, scheme.as_str(), head.target)
        });
        let upgrade = head.is_some_and(|head| head.upgrade);
        let record = Record {
            kind: match (scheme, h2, upgrade) {
                (Scheme::Http, _, true) => "ws",
                (Scheme::Https, _, true) => "wss",
                (Scheme::Https, true, _) => "h2",
                (Scheme::Https, ..) => "https",
                (Scheme::Http, ..) => "http",
            },
            created: unix_micros(),
            ended: 0,
            client,
            target: None,
            times: None,
            elb_status: None,
            target_status: None,
            received: 0,
            sent: 0,
            request,
            user_agent: agent.map(|header| text(header.value)),
            tls: None,
            group: None,
            trace: None,
            rule: None,
            action: None,
            redirect: None,
            verdict: head.map(|head| head.verdict).unwrap_or_default(),
        };
        Self { record, began: Instant::now() }
    }

    /// Of a connection with that TLS.
    #[must_use]
    pub fn over(mut self, cipher: Option<(&str, &str)>) -> Self {
        self.record.tls = cipher.map(|(version, suite)| (suite.to_owned(), version.to_owned()));
        self
    }

    /// The line, now that all is over.
    pub fn close(mut self, traffic: &Traffic, balancer: &str) -> String {
        let record = &mut self.record;
        let status = Some(traffic.status.get()).filter(|status| *status != 0);
        record.ended = unix_micros();
        record.target_status = status;
        record.elb_status = record.elb_status.or(status);
        (record.received, record.sent) = (traffic.received.get(), traffic.sent.get());
        if let (Some(asked), Some(heard)) = (traffic.asked.get(), traffic.heard.get()) {
            // What is left of the answer is relayed as it comes: its beginning is at once.
            record.times =
                Some([asked.duration_since(self.began), heard.saturating_duration_since(asked), Duration::ZERO]);
        }
        record.line(balancer)
    }
}

fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
