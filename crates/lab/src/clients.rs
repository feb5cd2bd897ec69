//! The simulated clients as a core: it is told what happened and says what to do;
//! time is passed in. Two shells drive it: `shell` over real sockets, and
//! [`crate::VirtualLoad`] in virtual time.
//!
//! A client does as a plain HTTP client does: it resolves the name, takes one of the
//! addresses, keeps to it for the answer's TTL, and keeps an idle connection for
//! its next request. It retries nothing. A request's latency counts from the
//! moment when its user wanted it, not from when it was sent: what waited behind a
//! stalled service counts in full (no coordinated omission).

use crate::arrivals::Arrivals;
use crate::rng::Rng;
use crate::time::At;
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long a client waits for its resolver.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Everything that a load is made from.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// Requests in a virtual second, of all clients together.
    pub rate: f64,
    /// How many clients.
    pub clients: u32,
    /// Where they turn to.
    pub route: Route,
    /// The port.
    pub port: u16,
    /// The path they ask for.
    pub path: String,
    /// After how much virtual time a client gives up.
    pub timeout: Duration,
    /// How long an idle connection is kept; `None` for a connection per request.
    pub idle: Option<Duration>,
    /// What all chance is drawn from.
    pub seed: u64,
    /// When the load begins.
    pub start: At,
    /// When the last request has arrived.
    pub end: At,
}

/// Where clients turn to, once outputs are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// A name to resolve.
    Name(String),
    /// Addresses handed out by hand: client i has number i modulo their count. Not empty.
    Addresses(Vec<Ipv4Addr>),
}

/// A request to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number, by which its end is reported.
    pub id: u64,
    /// Where to.
    pub to: Ipv4Addr,
    /// Which port.
    pub port: u16,
    /// What to say in `Host`.
    pub host: String,
    /// What to ask for.
    pub path: String,
    /// Over which connection.
    pub connection: Connection,
    /// When to give up.
    pub deadline: At,
}

/// The connection that a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// A new one, known by the request's number from here on.
    New,
    /// This idle one; a new one in its place if the server has closed it before anything was sent.
    Reuse(u64),
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// A lookup has ended.
    Resolved {
        /// Which.
        lookup: u64,
        /// How.
        answer: Answer,
    },
    /// A request has ended.
    Finished {
        /// Which.
        request: u64,
        /// How.
        outcome: Outcome,
        /// Whether its connection can carry another.
        reusable: bool,
    },
}

/// What a resolver answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Addresses, good for the TTL in virtual time.
    Addresses {
        /// One or several.
        addresses: Vec<Ipv4Addr>,
        /// The smallest TTL on the way to them.
        ttl: Duration,
    },
    /// None, or no answer.
    Failed,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask the resolver for a name's addresses.
    Resolve {
        /// The lookup's number, by which its end is reported.
        lookup: u64,
        /// The name.
        name: String,
        /// When to give up.
        deadline: At,
    },
    /// Send a request.
    Send(Request),
    /// Close an idle connection.
    Close(u64),
    /// A request is over: count it. A client's samples come in the order in which it wanted them.
    Done(Sample),
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Answered with this status code.
    Status(u16),
    /// The name did not resolve.
    NoName,
    /// The address refused the connection, or is not reachable.
    Refused,
    /// The connection broke before the answer was whole.
    Broken,
    /// What came back is not HTTP.
    Garbled,
    /// No answer in time.
    Timeout,
}

impl Outcome {
    /// Whether the client got what it wanted.
    pub fn is_ok(self) -> bool {
        matches!(self, Outcome::Status(200..=399))
    }

    /// For tables: the status code, or what went wrong.
    pub fn label(self) -> String {
        match self {
            Outcome::Status(code) => code.to_string(),
            Outcome::NoName => "no name".into(),
            Outcome::Refused => "refused".into(),
            Outcome::Broken => "broken off".into(),
            Outcome::Garbled => "not HTTP".into(),
            Outcome::Timeout => "timeout".into(),
        }
    }
}

/// A request as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Whose.
    pub client: u32,
    /// When its user wanted it.
    pub intended: At,
    /// When it was over.
    pub finished: At,
    /// How it ended.
    pub outcome: Outcome,
}

impl Sample {
    /// What the user waited.
    pub fn latency(&self) -> Duration {
        self.finished.since(self.intended)
    }
}

/// The clients of one load.
#[derive(Debug)]
pub struct Load {
    plan: LoadPlan,
    arrivals: Arrivals,
    choice: Rng,
    clients: Vec<Client>,
    flying: BTreeMap<u64, Flight>,
    lookups: BTreeMap<u64, usize>,
    next_id: u64,
}

#[derive(Debug)]
struct Client {
    rng: Rng,
    place: Place,
    idle: Vec<Idle>,
    /// What it wanted, oldest first; with its end, where it has one.
    history: VecDeque<(u64, Option<Sample>)>,
}

/// What a client knows of where to turn.
#[derive(Debug)]
enum Place {
    Unknown,
    Asking { waiting: Vec<u64> },
    Cached { address: Ipv4Addr, until: At },
    Given(Ipv4Addr),
}

#[derive(Debug)]
struct Idle {
    connection: u64,
    to: Ipv4Addr,
    since: At,
}

#[derive(Debug)]
struct Flight {
    client: usize,
    intended: At,
    /// Where it went, over which connection, once it was sent.
    sent: Option<(Ipv4Addr, u64)>,
}

impl Load {
    /// Clients that have not asked anything yet.
    pub fn new(plan: LoadPlan) -> Load {
        let clients = (0..plan.clients as usize)
            .map(|i| Client {
                rng: Rng::new(plan.seed, 2 + i as u64),
                place: match &plan.route {
                    Route::Addresses(all) if !all.is_empty() => Place::Given(all[i % all.len()]),
                    _ => Place::Unknown,
                },
                idle: Vec::new(),
                history: VecDeque::new(),
            })
            .collect();
        Load {
            arrivals: Arrivals::new(plan.seed, plan.rate, plan.start, plan.end),
            choice: Rng::new(plan.seed, 1),
            clients,
            flying: BTreeMap::new(),
            lookups: BTreeMap::new(),
            next_id: 0,
            plan,
        }
    }

    /// When [`Input::Tick`] is due next; `None` when no more requests come.
    pub fn due(&self) -> Option<At> {
        self.arrivals.due()
    }

    /// Whether nothing comes any more, and nothing is under way.
    pub fn is_over(&self) -> bool {
        self.due().is_none() && self.flying.is_empty()
    }

    /// From `now` on, `factor` times the planned rate.
    pub fn set_factor(&mut self, now: At, factor: f64) {
        self.arrivals.set_factor(now, factor);
    }

    /// No more requests; what is under way ends as it will.
    pub fn stop(&mut self) {
        self.arrivals.stop();
    }

    /// Takes what has happened, and adds what to do to `out`. What is unknown here, such as the end of a
    /// request that has ended already, is ignored.
    pub fn handle(&mut self, now: At, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Tick => {
                while let Some(intended) = self.arrivals.take(now) {
                    self.arrive(now, intended, out);
                }
            }
            Input::Resolved { lookup, answer } => self.resolved(now, lookup, answer, out),
            Input::Finished { request, outcome, reusable } => self.finished(now, request, outcome, reusable, out),
        }
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn arrive(&mut self, now: At, intended: At, out: &mut Vec<Output>) {
        let (request, index) = (self.id(), self.choice.below(self.clients.len()));
        self.flying.insert(request, Flight { client: index, intended, sent: None });
        let client = &mut self.clients[index];
        client.history.push_back((request, None));
        match &mut client.place {
            Place::Given(address) => {
                let address = *address;
                self.send(now, request, address, out);
            }
            Place::Cached { address, until } if now < *until => {
                let address = *address;
                self.send(now, request, address, out);
            }
            Place::Asking { waiting } => waiting.push(request),
            Place::Cached { .. } | Place::Unknown => {
                client.place = Place::Asking { waiting: vec![request] };
                let lookup = self.id();
                self.lookups.insert(lookup, index);
                let name = self.host(None);
                out.push(Output::Resolve { lookup, name, deadline: now.plus(RESOLVE_TIMEOUT.max(self.plan.timeout)) });
            }
        }
    }

    fn resolved(&mut self, now: At, lookup: u64, answer: Answer, out: &mut Vec<Output>) {
        let Some(index) = self.lookups.remove(&lookup) else {
            return;
        };
        let client = &mut self.clients[index];
        let Place::Asking { waiting } = std::mem::replace(&mut client.place, Place::Unknown) else {
            return;
        };
        match answer {
            Answer::Addresses { mut addresses, ttl } if !addresses.is_empty() => {
                // Sorted, so that a client's choice is its own, and not the order that a server rotates.
                addresses.sort_unstable();
                let address = addresses[client.rng.below(addresses.len())];
                client.place = Place::Cached { address, until: now.plus(ttl) };
                waiting.into_iter().for_each(|request| self.send(now, request, address, out));
            }
            _ => waiting.into_iter().for_each(|request| self.finished(now, request, Outcome::NoName, false, out)),
        }
    }

    fn send(&mut self, now: At, request: u64, to: Ipv4Addr, out: &mut Vec<Output>) {
        let Some(flight) = self.flying.get_mut(&request) else {
            return;
        };
        let keep = self.plan.idle.unwrap_or_default();
        let idle = &mut self.clients[flight.client].idle;
        idle.retain(|one| {
            let fresh = now.since(one.since) < keep;
            if !fresh {
                out.push(Output::Close(one.connection));
            }
            fresh
        });
        let (connection, number) = match idle.iter().rposition(|one| one.to == to) {
            Some(at) => {
                let number = idle.swap_remove(at).connection;
                (Connection::Reuse(number), number)
            }
            None => (Connection::New, request),
        };
        flight.sent = Some((to, number));
        let (host, path) = (self.host(Some(to)), self.plan.path.clone());
        let deadline = now.plus(self.plan.timeout);
        out.push(Output::Send(Request { id: request, to, port: self.plan.port, host, path, connection, deadline }));
    }

    fn finished(&mut self, now: At, request: u64, outcome: Outcome, reusable: bool, out: &mut Vec<Output>) {
        let Some(flight) = self.flying.remove(&request) else {
            return;
        };
        let client = &mut self.clients[flight.client];
        if let (Some((to, connection)), true) = (flight.sent, reusable) {
            match self.plan.idle {
                Some(_) => client.idle.push(Idle { connection, to, since: now }),
                None => out.push(Output::Close(connection)),
            }
        }
        let sample = Sample { client: flight.client as u32, intended: flight.intended, finished: now, outcome };
        if let Some(slot) = client.history.iter_mut().find(|(id, _)| *id == request) {
            slot.1 = Some(sample);
        }
        while let Some(&(_, Some(sample))) = client.history.front() {
            client.history.pop_front();
            out.push(Output::Done(sample));
        }
    }

    /// What goes into `Host`, and into the question of a lookup.
    fn host(&self, to: Option<Ipv4Addr>) -> String {
        match (&self.plan.route, to) {
            (Route::Name(name), _) => name.clone(),
            (Route::Addresses(_), Some(to)) => to.to_string(),
            (Route::Addresses(_), None) => String::new(),
        }
    }
}
