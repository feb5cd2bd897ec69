//! A client's connection: request after request, each read, routed, forwarded and answered.

use std::cell::{Cell, OnceCell};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::buffer::Buffer;
use super::exchange::{Done, Exchange, Failure};
use super::flight::InFlight;
use super::journal::{Page, Sender, Traffic};
use super::own::{describe, trace_in, write_own};
use super::patience::{Idle, Patience};
use super::pool::Kept;
use super::respond::Answering;
use super::stream::{linger, send, unix_time};
use super::tls::Handshake;
use super::transport::Transport;
use super::worker::{Client, ConnectError, Door, Worker};
use crate::config::ProtocolVersion;
use crate::core::answer::{self, After, Occasion};
use crate::core::body::{Body, Framing};
use crate::core::desync::{Reason, Treatment};
use crate::core::head::{self, Refusal, Version};
use crate::core::rewrite::{self, Dressing, Hop};
use crate::core::route::{Decision, Facts, GroupHandle, Scheme, TargetHandle};

/// Whom requests are from: the same for all that come on a connection.
pub struct Origin {
    address: Ipv4Addr,
    peer: SocketAddr,
    hop: Hop,
    handshake: Option<Box<Handshake>>,
    /// Its id, once a log has asked for it.
    id: OnceCell<String>,
}

impl Origin {
    /// Of a connection through `door`.
    pub fn new(door: &Door, peer: SocketAddr, scheme: Scheme, handshake: Option<Box<Handshake>>) -> Self {
        let address = match peer.ip() {
            IpAddr::V4(address) => address,
            IpAddr::V6(address) => address.to_ipv4_mapped().unwrap_or(Ipv4Addr::UNSPECIFIED),
        };
        let peer = (address, peer.port()).into();
        let hop = Hop::new(peer, &door.node.address.to_string(), door.port, scheme);
        let hop = match &handshake {
            Some(tls) => hop.with_tls(tls.version, tls.suite, &tls.headers),
            None => hop,
        };
        Self { address, peer, hop, handshake, id: OnceCell::new() }
    }

    /// As access logs know it.
    fn sender(&self, worker: &Worker) -> Sender<'_> {
        let connection = self.id.get_or_init(|| worker.traces.borrow_mut().connection());
        Sender { peer: self.peer, handshake: self.handshake.as_deref(), connection }
    }
}

/// Serves a connection, or a stream of one, until it ends. `idle` has just been touched.
pub async fn serve(
    worker: Rc<Worker>,
    door: Rc<Door>,
    client: Rc<Client>,
    stream: Transport,
    origin: &Origin,
    (idle, patience): (&Idle, &mut Patience),
) {
    idle.limit(worker.pace.timeout(door.shared.snapshot.load().idle_timeout));
    let mut session = Session {
        origin,
        opened: Instant::now(),
        traffic: Traffic::default(),
        page: None,
        idle,
        patience,
        input: Buffer::default(),
        output: Vec::new(),
        worker,
        door,
        client,
        stream,
    };
    loop {
        let outcome = session.next_request().await;
        session.put_away();
        // A stream has no second request.
        if session.stream.is_stream() || !matches!(outcome, Ok(After::KeepAlive)) {
            return;
        }
        session.idle.touch(Instant::now());
    }
}

/// Why a connection ends without another word.
struct Gone;

struct Session<'a> {
    worker: Rc<Worker>,
    door: Rc<Door>,
    client: Rc<Client>,
    stream: Transport,
    origin: &'a Origin,
    opened: Instant,
    /// What the present request has come to, and its access log record if there is to be one.
    traffic: Traffic,
    page: Option<Box<Page>>,
    idle: &'a Idle,
    patience: &'a mut Patience,
    /// What the client has sent.
    input: Buffer,
    /// What goes out next, to either side.
    output: Vec<u8>,
}

/// What becomes of a request.
enum Plan {
    /// It goes to a target.
    Forward(Forward),
    /// The answer is in the output.
    Answered(After),
}

struct Forward {
    route: Route,
    framing: Framing,
    wants: Wants,
    dressing: Dressing,
}

/// A connection to a target, or whom to connect to.
enum Route {
    Kept(Kept),
    New(Arc<TargetHandle>),
}

impl Route {
    fn target(&self) -> &Arc<TargetHandle> {
        match self {
            Self::Kept(kept) => &kept.target,
            Self::New(target) => target,
        }
    }
}

/// What the client understands and asks for.
#[derive(Clone, Copy, Debug)]
pub struct Wants {
    /// Its version.
    pub version: Version,
    /// Whether it may ask again.
    pub keep_alive: bool,
    /// Whether the request is such that no other may follow it to its target.
    pub isolated: bool,
    /// Whether it asked by HEAD.
    pub head_only: bool,
    /// Whether it waits for `100 Continue`.
    pub expects_continue: bool,
    /// Whether it wants another protocol.
    pub upgrade: bool,
    /// Whether both sides speak HTTP/2, so that trailers pass.
    pub trailers: bool,
}

impl Session<'_> {
    async fn next_request(&mut self) -> Result<After, Gone> {
        let outcome = self.serve_request().await;
        if let Some(page) = self.page.take() {
            let id = &self.door.shared.id;
            self.worker.journal.write(id, page.close(&self.traffic, id));
        }
        outcome
    }

    async fn serve_request(&mut self) -> Result<After, Gone> {
        let length = match self.read_head().await? {
            Ok(length) => length,
            Err(refusal) => return self.reject(refusal).await,
        };
        let plan = match self.plan(length) {
            Ok(plan) => plan,
            Err(refusal) => return self.reject(refusal).await,
        };
        match plan {
            Plan::Answered(after) => self.send_answer(after).await,
            Plan::Forward(forward) => self.forward(forward).await,
        }
    }

    fn put_away(&mut self) {
        self.worker.reclaim_bytes(std::mem::take(&mut self.output));
        if self.input.is_empty() {
            self.worker.reclaim(std::mem::take(&mut self.input));
        }
    }

    /// Waits for a whole head.
    async fn read_head(&mut self) -> Result<Result<usize, Refusal>, Gone> {
        let mut scanned = 0;
        loop {
            // Empty lines before a request line are nobody's (RFC 9112, 2.2).
            while scanned == 0 && self.input.bytes().starts_with(b"\r\n") {
                self.input.consume(2);
            }
            match head::find_head_end(self.input.bytes(), &mut scanned) {
                Ok(Some(length)) => return Ok(Ok(length)),
                Ok(None) => {}
                Err(refusal) => return Ok(Err(refusal)),
            }
            if self.input.is_bare() {
                // Whoever waits for its next request holds no buffer.
                match self.patience.wait(self.idle, self.stream.readable()).await {
                    Ok(Ok(())) => self.input = self.worker.lend(),
                    Ok(Err(_)) | Err(_) => return Err(Gone),
                }
            }
            match self.patience.wait(self.idle, self.input.read_from(&mut self.stream)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) => return Err(Gone),
                Err(_) if self.input.is_empty() => return Err(Gone),
                Err(_) => {
                    self.refuse(408, After::Close, false).await?;
                    return Err(Gone);
                }
            }
        }
    }

    /// Decides, and writes what goes out first: to the target, or to the client.
    fn plan(&mut self, length: usize) -> Result<Plan, Refusal> {
        let (worker, door) = (&self.worker, &self.door);
        let mut space = head::header_space();
        let (bytes, rest) = self.input.bytes().split_at(length);
        let head = head::parse_request(bytes, &mut space)?;
        let snapshot = door.shared.snapshot.load();
        let counts = door.shared.node(worker.core, door.zone);
        let isolated = match head.verdict.treatment(snapshot.http.desync) {
            Treatment::Pass => false,
            Treatment::PassAndClose => true,
            Treatment::Refuse => return Err(Refusal::Malformed),
        };
        if head.verdict != Reason::Compliant {
            counts.non_compliant_requests.add(1);
        }
        self.traffic = Traffic::default();
        self.page = snapshot.http.access_log.then(|| {
            let (scheme, h2) = (self.stream.scheme(), self.stream.is_stream());
            Box::new(Page::new(Some(&head), &self.origin.sender(worker), door.port, scheme, h2))
        });
        let now = unix_time();
        let facts = Facts {
            method: head.method,
            target: head.target,
            host: head.host,
            headers: head.headers,
            client: self.origin.address,
            port: door.port,
            scheme: self.stream.scheme(),
            now,
        };
        let aged = self.opened.elapsed() >= worker.pace.real(snapshot.http.client_keep_alive);
        let keep_alive = head.keep_alive && !isolated && !aged;
        let wants = Wants {
            version: head.version,
            keep_alive,
            isolated,
            head_only: head.method == "HEAD",
            expects_continue: head.expects_continue,
            upgrade: head.upgrade,
            trailers: false,
        };
        self.idle.limit(worker.pace.timeout(snapshot.idle_timeout));
        let (decision, evaluation) = snapshot.decide(&door.node.zone, &facts, &|| worker.pace.now());
        if evaluation.rules > 0 {
            counts.rule_evaluations.add(evaluation.rules);
        }
        if let Some(page) = &mut self.page {
            page.record.rule = evaluation.priority;
        }
        self.output = worker.lend_bytes();
        // A body that nobody takes ends the connection, unless it is here already.
        let unread = match head.framing {
            Framing::Length(left) => usize::try_from(left).ok().filter(|left| *left <= rest.len()),
            Framing::Chunked | Framing::UntilClose => None,
        };
        let keeps = keep_alive && unread.is_some() && !self.client.dismissed.get();
        let after = if keeps { After::KeepAlive } else { After::Close };
        let headers = snapshot.response_headers(door.port);
        let occasion = Occasion { now, after, head_only: wants.head_only, headers: headers.map(|headers| &**headers) };
        let plan = match decision {
            Decision::Forward(chosen) if !fits(chosen.target.group.version, self.stream.is_stream(), &facts) => {
                counts.elb_error(464);
                if let Some(page) = &mut self.page {
                    page.record.elb_status = Some(464);
                }
                answer::error(464, occasion, &mut self.output);
                Plan::Answered(occasion.after)
            }
            Decision::Forward(chosen) => {
                let wants = Wants { trailers: chosen.target.group.version != ProtocolVersion::Http1, ..wants };
                let seconds = u32::try_from(now).unwrap_or(u32::MAX);
                let mut traces = worker.traces.borrow_mut();
                if rewrite::request(&head, &self.origin.hop, &snapshot.http, &mut traces, seconds, &mut self.output) {
                    counts.dropped_invalid_header_requests.add(1);
                }
                let marks = chosen.marks(&facts, &|span| worker.pace.real(span));
                let dressing = Dressing { marks, headers: headers.cloned() };
                let target = chosen.target;
                if let Some(page) = &mut self.page {
                    page.record.action = Some("forward");
                    page.record.target = Some(target.address);
                    page.record.group = Some(target.key.group.clone());
                    page.record.trace = trace_in(&self.output);
                }
                if chosen.is_not_sticky() || chosen.fails_open {
                    let counts = target.group.counts(worker.core, door.zone);
                    counts.non_sticky_requests.add(chosen.is_not_sticky().into());
                    counts.unhealthy_routing_requests.add(chosen.fails_open.into());
                }
                target.begin(worker.core);
                self.client.at(target.slot);
                let route = worker.kept(target, door).map_or_else(|| Route::New(target.clone()), Route::Kept);
                Plan::Forward(Forward { route, framing: head.framing, wants, dressing })
            }
            own => Plan::Answered({
                if let Some(page) = &mut self.page {
                    describe(&own, &facts, &mut page.record);
                }
                write_own(own, &facts, occasion, counts, &mut self.output)
            }),
        };
        let used = match plan {
            Plan::Answered(After::KeepAlive) => length + unread.unwrap_or(0),
            _ => length,
        };
        drop(snapshot);
        counts.processed_bytes.add(used as u64);
        self.traffic.receive(used);
        self.input.consume(used);
        Ok(plan)
    }

    async fn forward(&mut self, forward: Forward) -> Result<After, Gone> {
        let wants = forward.wants;
        let target = forward.route.target().clone();
        let (worker, client) = (self.worker.clone(), self.client.clone());
        let mut request = InFlight { worker, client, shared: self.door.shared.clone(), target, ended: false };
        let outcome = self.exchange(forward, &request.target.group).await;
        request.end();
        match outcome {
            Ok((done, mut kept)) => {
                if done.target_reusable {
                    kept.since = Instant::now();
                    self.worker.keep(&self.door, kept);
                }
                if done.unread {
                    linger(&mut self.stream).await;
                }
                Ok(done.after)
            }
            Err(Failure::Answer { status, request_read }) => {
                let after = if request_read && wants.keep_alive { After::KeepAlive } else { After::Close };
                self.refuse(status, after, wants.head_only).await
            }
            Err(Failure::Unsent | Failure::Broken) => Err(Gone),
            Err(Failure::ClientGone) => {
                self.door.shared.node(self.worker.core, self.door.zone).elb_error(460);
                if let Some(page) = &mut self.page {
                    page.record.elb_status = Some(460);
                }
                Err(Gone)
            }
        }
    }

    /// Takes the request to its target and the answer back.
    async fn exchange(&mut self, forward: Forward, group: &GroupHandle) -> Result<(Done, Kept), Failure> {
        let Forward { route, framing, wants, dressing } = forward;
        let (worker, door) = (&self.worker, &self.door);
        let counts = group.counts(worker.core, door.zone);
        counts.requests.add(1);
        let begun = Cell::new(false);
        let mut reply = worker.lend();
        let mut exchange = Exchange {
            client: &mut self.stream,
            input: &mut self.input,
            body: if wants.trailers { Body::with_trailers(framing) } else { Body::new(framing) },
            framing,
            idle: self.idle,
            answering: Answering {
                reply: &mut reply,
                output: &mut self.output,
                patience: self.patience,
                node: door.shared.node(worker.core, door.zone),
                group: counts,
                wants,
                dressing: &dressing,
                traffic: &self.traffic,
                dismissed: &self.client.dismissed,
                begun: &begun,
            },
        };
        let upload = exchange.load()?;
        let connect = async |target| {
            worker.connect(target, door).await.map_err(|error| {
                if error == ConnectError::Tls {
                    counts.tls_errors.add(1);
                } else {
                    counts.connection_errors.add(1);
                }
                upload.failure(if error == ConnectError::TimedOut { 504 } else { 502 })
            })
        };
        let (mut kept, reused) = match route {
            Route::Kept(kept) => (kept, true),
            Route::New(target) => (connect(target).await?, false),
        };
        let mut outcome = exchange.run(&mut kept.stream).await;
        if reused && matches!(outcome, Err(Failure::Unsent)) {
            // It was closed while it waited and nothing was sent on it: the request is still ours.
            kept = connect(kept.target).await?;
            outcome = exchange.run(&mut kept.stream).await;
        }
        worker.reclaim(reply);
        match outcome {
            Ok(done) => Ok((done, kept)),
            Err(Failure::Unsent) => Err(upload.failure(502)),
            Err(failure) => Err(failure),
        }
    }

    /// Answers what is not taken.
    async fn reject(&mut self, refusal: Refusal) -> Result<After, Gone> {
        if refusal == Refusal::Malformed {
            self.door.shared.node(self.worker.core, self.door.zone).non_compliant_requests.add(1);
        }
        if self.door.shared.snapshot.load().http.access_log {
            self.traffic = Traffic::default();
            let (scheme, h2) = (self.stream.scheme(), self.stream.is_stream());
            let sender = self.origin.sender(&self.worker);
            self.page = Some(Box::new(Page::new(None, &sender, self.door.port, scheme, h2)));
        }
        self.refuse(refusal.status(), After::Close, false).await
    }

    /// Answers with an error of ours.
    async fn refuse(&mut self, status: u16, after: After, head_only: bool) -> Result<After, Gone> {
        self.door.shared.node(self.worker.core, self.door.zone).elb_error(status);
        self.output.clear();
        if let Some(page) = &mut self.page {
            page.record.elb_status = Some(status);
        }
        let snapshot = self.door.shared.snapshot.load_full();
        let headers = snapshot.response_headers(self.door.port).map(|headers| &**headers);
        answer::error(status, Occasion { now: unix_time(), after, head_only, headers }, &mut self.output);
        self.send_answer(after).await
    }

    async fn send_answer(&mut self, after: After) -> Result<After, Gone> {
        self.traffic.send(self.output.len());
        self.door.shared.node(self.worker.core, self.door.zone).processed_bytes.add(self.output.len() as u64);
        send(&mut self.stream, &self.output, self.idle, self.patience).await.map_err(|_| Gone)?;
        if after == After::Close {
            linger(&mut self.stream).await;
        }
        Ok(after)
    }
}

/// Whether a target group takes what a client speaks (ELB guide, HTTP 464): HTTP/1.1 goes to
/// HTTP/1.1 alone, gRPC to gRPC, which takes nothing but POST.
fn fits(version: ProtocolVersion, http2: bool, facts: &Facts<'_>) -> bool {
    let grpc = || {
        let types = facts.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("content-type"));
        types.into_iter().any(|header| header.value.starts_with(b"application/grpc"))
    };
    match version {
        ProtocolVersion::Http1 => !(http2 && grpc()),
        ProtocolVersion::Http2 => http2,
        ProtocolVersion::Grpc => http2 && facts.method == "POST",
    }
}
