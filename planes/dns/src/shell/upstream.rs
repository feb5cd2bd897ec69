//! The way outside: asking the upstream resolver, over UDP and, for what is cut, over TCP; and the cache in front of it.
//!
//! A question that is open already is not asked again: whoever wants the same waits for the one answer. An answer counts only
//! from where the question went, with its id and its question; ids are drawn from a keyed hash that nobody outside knows, and each
//! question has a port of its own.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::base::Rtype;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};

use crate::cache::{self, Cache, Fetched};
use crate::name::{self, Key, WireName};

/// Questions that may be open at once.
const MAX_OPEN: usize = 256;

/// How long one try may take, and how many there are: less in all than the 5 s after which stub resolvers ask again.
const TRY_TIMEOUT: Duration = Duration::from_secs(2);
const TRIES: usize = 2;

/// Room for cached answers, in octets.
const CACHE_ROOM: usize = 2 * 1024 * 1024;

/// What is asked.
type Question = (Box<Key>, Rtype);

/// What became of a question: nothing so far, or an answer, or none.
type Outcome = Option<Option<Fetched>>;

/// A client of one upstream resolver.
pub(super) struct Forwarder {
    upstream: SocketAddr,
    cache: Mutex<Cache>,
    /// Questions that are open now, and where their askers will hear.
    asked: Mutex<BTreeMap<Question, watch::Receiver<Outcome>>>,
    /// Keyed by the operating system's own chance.
    ids: RandomState,
    next_id: AtomicU64,
    open: Arc<Semaphore>,
    started: Instant,
}

/// Whoever asks a question for all that want it. However that ends, the question is not open any more.
struct Asker<'f> {
    forwarder: &'f Forwarder,
    question: Question,
    outcome: watch::Sender<Outcome>,
}

impl Drop for Asker<'_> {
    fn drop(&mut self) {
        self.forwarder.asked().remove(&self.question);
    }
}

/// One's part in a question.
enum Part<'f> {
    Asks(Asker<'f>),
    Waits(watch::Receiver<Outcome>),
}

impl Forwarder {
    pub(super) fn new(upstream: SocketAddr) -> Forwarder {
        Forwarder {
            upstream,
            cache: Mutex::new(Cache::new(CACHE_ROOM)),
            asked: Mutex::default(),
            ids: RandomState::new(),
            next_id: AtomicU64::new(0),
            open: Arc::new(Semaphore::new(MAX_OPEN)),
            started: Instant::now(),
        }
    }

    /// A place among the questions that may be open; none when there are too many.
    pub(super) fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.open).try_acquire_owned().ok()
    }

    /// What is known without asking.
    pub(super) fn cached(&self, name: &WireName, rtype: Rtype) -> Option<Fetched> {
        self.cache().get(self.started.elapsed(), name, rtype)
    }

    /// Asks, or waits for whoever asks the same already; nothing where upstream says nothing in time.
    pub(super) async fn fetch(&self, name: &WireName, rtype: Rtype) -> Option<Fetched> {
        loop {
            match self.part(name, rtype) {
                Part::Asks(asker) => {
                    let fetched = self.ask(name, rtype).await;
                    asker.outcome.send_replace(Some(fetched.clone()));
                    return fetched;
                }
                Part::Waits(mut outcome) => {
                    if let Ok(known) = outcome.wait_for(Option::is_some).await {
                        return known.clone()?;
                    }
                    // Whoever asked gave up, as when its client is gone: another asks.
                }
            }
        }
    }

    fn part(&self, name: &WireName, rtype: Rtype) -> Part<'_> {
        let question = (name::key(name), rtype);
        let mut asked = self.asked();
        if let Some(open) = asked.get(&question) {
            return Part::Waits(open.clone());
        }
        let (outcome, heard) = watch::channel(None);
        asked.insert(question.clone(), heard);
        Part::Asks(Asker { forwarder: self, question, outcome })
    }

    async fn ask(&self, name: &WireName, rtype: Rtype) -> Option<Fetched> {
        for _ in 0..TRIES {
            let id = self.draw_id();
            let over_udp = timeout(TRY_TIMEOUT, self.ask_udp(id, name, rtype)).await;
            let Ok(Ok(mut fetched)) = over_udp else { continue };
            if fetched.is_truncated() {
                match timeout(TRY_TIMEOUT, self.ask_tcp(id, name, rtype)).await {
                    Ok(Ok(whole)) => fetched = whole,
                    _ => continue,
                }
            }
            self.cache().put(self.started.elapsed(), name, rtype, &fetched);
            return Some(fetched);
        }
        None
    }

    /// A socket of its own for each question, so that its port is hard to guess.
    async fn ask_udp(&self, id: u16, name: &WireName, rtype: Rtype) -> io::Result<Fetched> {
        let any = match self.upstream.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(self.upstream).await?;
        socket.send(&cache::upstream_query(id, name, rtype)).await?;
        let mut buffer = vec![0; 4096];
        loop {
            let len = socket.recv(&mut buffer).await?;
            // What does not belong to the question is somebody else's; the answer may still come.
            if let Some(fetched) = Fetched::read(buffer[..len].to_vec(), id, name, rtype) {
                return Ok(fetched);
            }
        }
    }

    async fn ask_tcp(&self, id: u16, name: &WireName, rtype: Rtype) -> io::Result<Fetched> {
        let mut stream = TcpStream::connect(self.upstream).await?;
        let query = cache::upstream_query(id, name, rtype);
        let mut framed = (query.len() as u16).to_be_bytes().to_vec();
        framed.extend_from_slice(&query);
        stream.write_all(&framed).await?;
        let len = stream.read_u16().await?;
        let mut message = vec![0; usize::from(len)];
        stream.read_exact(&mut message).await?;
        Fetched::read(message, id, name, rtype).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn draw_id(&self) -> u16 {
        // Any sixteen bits are as good as others.
        self.ids.hash_one(self.next_id.fetch_add(1, Ordering::Relaxed)) as u16
    }

    /// A panic while the list was held can only have lost a question.
    fn asked(&self) -> MutexGuard<'_, BTreeMap<Question, watch::Receiver<Outcome>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic while the cache was held can only have lost entries.
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
