//! The sockets of the DNS plane.
//!
//! One [`ZoneStore`] holds what is served; any number of [`DnsServer`]s answer from it, each with a role and sockets that its
//! caller made (in whatever network namespace). A server is a task per socket on the runtime that starts it: over UDP a
//! socket per core with `SO_REUSEPORT` spreads the work. The way of a query takes no lock, unless it leads outside.

#![allow(clippy::disallowed_methods, reason = "this is the shell: it owns sockets, tasks and timers")]

mod counters;
mod prober;
mod tcp;
mod udp;
mod upstream;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::task::JoinSet;

pub use counters::Counts;
pub use prober::{Connecting, Probed, Prober, Way};

use crate::answer::{self, Query, Role, Transport, Upstream, Verdict};
use crate::config::{Change, DnsConfig, Place};
use crate::name::WireName;
use crate::{Error, Snapshot};
use counters::Counters;
use domain::base::Rtype;
use upstream::Forwarder;

/// What is being served, behind one pointer.
#[derive(Debug, Default)]
pub struct ZoneStore {
    current: ArcSwap<Snapshot>,
    /// Held while a snapshot is made from the one before it.
    writing: Mutex<()>,
}

impl ZoneStore {
    /// A store without zones, at revision 0.
    pub fn new() -> ZoneStore {
        ZoneStore::default()
    }

    /// Replaces all zones; returns the revision that is served. What is wrong changes nothing.
    pub fn apply(&self, config: &DnsConfig) -> Result<u64, Error> {
        self.replace(|now| now.replaced_by(config))
    }

    /// Applies changes, all or none; returns the revision that is served.
    pub fn change(&self, revision: u64, changes: &[Change]) -> Result<u64, Error> {
        self.replace(|now| now.changed_by(revision, changes))
    }

    /// Takes the table of where clients are from a file, where there is one: a JSON list of [`Place`]s. To be called before
    /// anything is served.
    pub fn load_places(&self, path: &Path) -> io::Result<()> {
        let text = match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read?,
        };
        let places: Vec<Place> = serde_json::from_slice(&text)?;
        self.change(0, &[Change::PutPlaces(places)]).map(drop).map_err(io::Error::other)
    }

    /// What is being served.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    fn replace(&self, make: impl FnOnce(&Snapshot) -> Result<Snapshot, Error>) -> Result<u64, Error> {
        // The lock guards no data, so that a panic under it leaves nothing half done.
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let next = make(&self.current.load())?;
        let revision = next.revision();
        self.current.store(Arc::new(next));
        Ok(revision)
    }
}

/// The sockets of one server, bound by the caller. Blocking or not: they are made non-blocking.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Bound to one address each (an answer leaves from the address that was asked); several with `SO_REUSEPORT` share load.
    pub udp: Vec<UdpSocket>,
    /// Listening.
    pub tcp: Vec<TcpListener>,
}

/// How a server answers.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name server or resolver. `forwards` and `upstream` go together: a resolver that forwards without an upstream
    /// fails what it would have forwarded.
    pub role: Role,
    /// Where a resolver asks for what no zone has.
    pub upstream: Option<SocketAddr>,
    /// From which the orders of values and the choices by weight are drawn.
    pub seed: u64,
}

impl Options {
    /// A name server for a view.
    pub fn authoritative(view: &str, seed: u64) -> Options {
        Options { role: Role::Authoritative { view: view.to_owned() }, upstream: None, seed }
    }

    /// The resolver of a view.
    pub fn resolver(view: &str, upstream: Option<SocketAddr>, seed: u64) -> Options {
        Options {
            role: Role::Resolver { view: view.to_owned(), forwards: upstream.is_some(), region: None },
            upstream,
            seed,
        }
    }

    /// The same, for clients that are in a region.
    #[must_use]
    pub fn in_region(mut self, name: &str) -> Options {
        if let Role::Resolver { region, .. } = &mut self.role {
            *region = Some(name.to_owned());
        }
        self
    }
}

/// A running server; dropping it closes its sockets.
#[derive(Debug)]
pub struct DnsServer {
    counters: Vec<Arc<Counters>>,
    tasks: JoinSet<()>,
}

impl DnsServer {
    /// Starts answering on the current tokio runtime (it panics outside of one).
    ///
    /// For load, start one server per core, each with a socket of its own on a current-thread runtime of its own: cores that
    /// share a runtime wake each other for nothing.
    pub fn start(store: &Arc<ZoneStore>, sockets: Sockets, options: Options) -> io::Result<DnsServer> {
        let mut server = DnsServer { counters: Vec::new(), tasks: JoinSet::new() };
        let forwarder = options.upstream.map(|upstream| Arc::new(Forwarder::new(upstream)));
        let mut seed = options.seed;
        let mut responder = || {
            let counters = Arc::new(Counters::default());
            server.counters.push(Arc::clone(&counters));
            seed = seed.wrapping_add(1);
            Responder {
                store: Arc::clone(store),
                role: options.role.clone(),
                forwarder: forwarder.clone(),
                counters,
                draws: Draws::new(seed),
            }
        };
        for socket in sockets.udp {
            socket.set_nonblocking(true)?;
            let socket = tokio::net::UdpSocket::from_std(socket)?;
            server.tasks.spawn(udp::serve(socket, responder()));
        }
        for listener in sockets.tcp {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            server.tasks.spawn(tcp::serve(listener, responder()));
        }
        Ok(server)
    }

    /// What it did so far.
    pub fn counts(&self) -> Counts {
        self.counters.iter().map(|counters| counters.read()).fold(Counts::default(), Counts::plus)
    }

    /// Stops, and waits until its sockets are closed.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// What one socket's task answers with.
#[derive(Clone)]
struct Responder {
    store: Arc<ZoneStore>,
    role: Role,
    forwarder: Option<Arc<Forwarder>>,
    counters: Arc<Counters>,
    draws: Draws,
}

/// A query that needs upstream before it can be answered.
struct Pending {
    name: WireName,
    rtype: Rtype,
    client: Option<IpAddr>,
    draw: u64,
}

/// What to do about a query.
enum Step {
    Send,
    Nothing,
    Fetch(Pending),
}

impl Responder {
    /// Answers into `out`, if that needs nothing from upstream but what is cached.
    fn answer(
        &mut self,
        snapshot: &Snapshot,
        message: &[u8],
        (transport, client): (Transport, Option<IpAddr>),
        out: &mut Vec<u8>,
    ) -> Step {
        let query = Query { message, transport, client, draw: self.draws.next() };
        let verdict = answer::answer(snapshot, &self.role, &query, Upstream::NotAsked, out);
        let Verdict::Fetch { name, rtype } = verdict else { return self.counted(transport, &verdict) };
        let cached = self.forwarder.as_ref().and_then(|forwarder| forwarder.cached(&name, rtype));
        match cached {
            Some(fetched) => {
                let verdict = answer::answer(snapshot, &self.role, &query, Upstream::Answered(&fetched), out);
                self.counted(transport, &verdict)
            }
            None => Step::Fetch(Pending { name, rtype, client, draw: query.draw }),
        }
    }

    /// Fetches, then answers into `out`.
    async fn fetch_and_answer(
        &self,
        pending: Pending,
        message: &[u8],
        transport: Transport,
        out: &mut Vec<u8>,
    ) -> Step {
        let fetched = match &self.forwarder {
            Some(forwarder) => forwarder.fetch(&pending.name, pending.rtype).await,
            None => None,
        };
        self.counters.fetched();
        let upstream = fetched.as_ref().map_or(Upstream::Failed, Upstream::Answered);
        let query = Query { message, transport, client: pending.client, draw: pending.draw };
        let verdict = answer::answer(&self.store.current.load(), &self.role, &query, upstream, out);
        self.counted(transport, &verdict)
    }

    fn counted(&self, transport: Transport, verdict: &Verdict) -> Step {
        match verdict {
            Verdict::Answered { rcode, truncated } => {
                self.counters.answered(transport, *rcode, *truncated);
                Step::Send
            }
            Verdict::Drop | Verdict::Fetch { .. } => {
                self.counters.dropped(1);
                Step::Nothing
            }
        }
    }
}

/// SplitMix64: a number per query, cheap, evenly spread.
#[derive(Clone, Debug)]
struct Draws(u64);

impl Draws {
    fn new(seed: u64) -> Draws {
        Draws(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
