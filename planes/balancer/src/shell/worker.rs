//! One core: a thread with a runtime of its own, its listeners, its clients, its connections to
//! targets. Nothing of it is touched by another thread but by commands.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, spawn_local};

use super::buffer::{Buffer, Shelf};
use super::client::{self, Origin};
use super::conductor::Event;
use super::encryption::{self, Encryption};
use super::flow::{self, FlowOpen, Flows};
use super::h2::{self, Line, Lines, Seats, TargetStream};
use super::journal::Journal;
use super::own::decline_http;
use super::patience::{Idle, Pace, Patience};
use super::pool::{Kept, Pool};
use super::shared::{Active, Shared};
use super::sockets::{Sockets, Supply, accepting};
use super::tls::{Handshake, Met, TargetTls};
use super::transport::Transport;
use crate::config::{Node, ProtocolVersion, TargetProtocol};
use crate::core::route::TargetHandle;
use crate::core::trace::TraceIds;

/// Where a core listens: the balancer, its node and the port.
pub type DoorKey = (String, Node, u16);

/// What the conductor tells a core.
pub enum Command {
    /// Accept from this listener.
    Open { key: DoorKey, listener: std::net::TcpListener, door: Door },
    /// Take flows from this port.
    OpenFlows(Box<FlowOpen>),
    /// Accept no more; what is connected goes on until it is idle.
    Shut(DoorKey),
    /// Forget the waiting connections to a target.
    Purge(u64),
    /// Cut off what a target still answers.
    Cut(u64),
    /// End a balancer's connections: idle ones now, others after their answer.
    Dismiss(Arc<Shared>),
    /// Let go of it: every request that was routed before has been counted.
    Pass(Arc<dyn Send + Sync>),
}

/// A node's listening port, as its clients see it.
#[derive(Clone)]
pub struct Door {
    /// The balancer.
    pub shared: Arc<Shared>,
    /// The node.
    pub node: Node,
    /// The node's zone, as its counters have it.
    pub zone: usize,
    /// The port.
    pub port: u16,
    /// How its clients are met.
    pub encryption: encryption::Current,
}

/// Why there is no connection to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// It was refused, or there are no sockets left.
    Refused,
    /// Nobody answered in time.
    TimedOut,
    /// It accepted, but does not speak TLS as it should.
    Tls,
}

/// One core's state.
pub struct Worker {
    /// Its number.
    pub core: usize,
    /// Virtual time.
    pub pace: Pace,
    /// Takes access log records.
    pub journal: Arc<Journal>,
    /// Makes trace ids.
    pub traces: RefCell<TraceIds>,
    shelf: RefCell<Shelf>,
    /// Tells the conductor.
    pub events: mpsc::UnboundedSender<Event>,
    sockets: Arc<dyn Sockets>,
    target_tls: TargetTls,
    pool: RefCell<Pool>,
    lines: Lines,
    /// What serves the streams of clients that speak HTTP/2.
    pub seats: Seats,
    clients: RefCell<BTreeMap<u64, Rc<Client>>>,
    next_client: Cell<u64>,
    /// The flows of network load balancers.
    pub flows: Flows,
}

/// A client's connection, as the core sees it.
pub struct Client {
    shared: Arc<Shared>,
    /// The target that its request is at; 0 between requests.
    target: Cell<u64>,
    /// It must not ask again.
    pub dismissed: Cell<bool>,
    /// It has requests of its own kind: it is told, not cut off.
    streams: Cell<bool>,
    told: Notify,
    task: RefCell<Option<AbortHandle>>,
}

impl Client {
    /// Its request goes to a target.
    pub fn at(&self, target: u64) {
        self.target.set(target);
    }

    /// Its request is over.
    pub fn rest(&self) {
        self.target.set(0);
    }

    /// Its requests are streams, each a client in this list; waits until it must take no more.
    pub async fn dismissal(&self) {
        self.streams.set(true);
        if !self.dismissed.get() {
            self.told.notified().await;
        }
    }

    /// The task that ends when it is cut off.
    pub fn serve_in(&self, task: AbortHandle) {
        *self.task.borrow_mut() = Some(task);
    }

    fn dismiss(&self) {
        self.dismissed.set(true);
        if self.streams.get() {
            self.told.notify_one();
        } else if self.target.get() == 0 {
            self.abort();
        }
    }

    fn abort(&self) {
        if let Some(task) = &*self.task.borrow() {
            task.abort();
        }
    }
}

/// How often waiting connections are looked over.
const SWEEP: Duration = Duration::from_secs(1);
/// After a failed accept, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

impl Worker {
    /// A core at its beginning.
    pub fn new(
        core: usize,
        pace: Pace,
        seed: u64,
        sockets: Arc<dyn Sockets>,
        target_tls: TargetTls,
        events: mpsc::UnboundedSender<Event>,
        journal: Arc<Journal>,
    ) -> Self {
        Self {
            core,
            journal,
            pace,
            traces: RefCell::new(TraceIds::new(seed)),
            shelf: RefCell::default(),
            events,
            sockets,
            target_tls,
            pool: RefCell::default(),
            lines: Lines::default(),
            seats: Seats::default(),
            clients: RefCell::default(),
            next_client: Cell::new(1),
            flows: Flows::new(seed),
        }
    }

    /// Does what it is told until nobody can tell it any more.
    pub async fn run(self: Rc<Self>, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut doors: BTreeMap<DoorKey, AbortHandle> = BTreeMap::new();
        let sweeper = spawn_local(self.clone().sweep()).abort_handle();
        while let Some(command) = commands.recv().await {
            match command {
                Command::Open { key, listener, door } => match accepting(listener) {
                    Ok(listener) => {
                        let task = spawn_local(self.clone().accept(listener, Rc::new(door)));
                        doors.insert(key, task.abort_handle());
                    }
                    // The runtime has no room for another socket: the port stays silent here.
                    Err(_) => door.shared.node(self.core, door.zone).rejected_connections.add(1),
                },
                Command::OpenFlows(open) => {
                    let key = open.key.clone();
                    doors.insert(key, spawn_local(flow::serve(self.clone(), *open)).abort_handle());
                }
                Command::Shut(key) => {
                    if let Some(task) = doors.remove(&key) {
                        task.abort();
                    }
                }
                Command::Purge(slot) => self.purge(slot),
                Command::Cut(slot) => {
                    self.purge(slot);
                    self.each_client(|client| client.target.get() == slot, Client::abort);
                    self.flows.cut(slot);
                }
                Command::Dismiss(shared) => {
                    self.each_client(|client| Arc::ptr_eq(&client.shared, &shared), Client::dismiss);
                    self.flows.dismiss(&shared);
                }
                Command::Pass(token) => drop(token),
            }
        }
        sweeper.abort();
    }

    /// Where sockets come from.
    pub fn sockets(&self) -> &Arc<dyn Sockets> {
        &self.sockets
    }

    /// An empty buffer.
    pub fn lend(&self) -> Buffer {
        self.shelf.borrow_mut().take()
    }

    /// As [`Worker::lend`], for what is only written to.
    pub fn lend_bytes(&self) -> Vec<u8> {
        self.shelf.borrow_mut().take_bytes()
    }

    /// Takes a buffer back.
    pub fn reclaim(&self, buffer: Buffer) {
        self.shelf.borrow_mut().put(buffer);
    }

    /// Takes a buffer back.
    pub fn reclaim_bytes(&self, bytes: Vec<u8>) {
        self.shelf.borrow_mut().put_bytes(bytes);
    }

    /// A connection to a target that has waited for this.
    pub fn kept(&self, target: &TargetHandle, door: &Door) -> Option<Kept> {
        self.pool.borrow_mut().take(target.slot, door.zone)
    }

    /// A connection that may serve another request.
    pub fn keep(&self, door: &Door, kept: Kept) {
        if kept.stream.is_kept() && !kept.target.draining.load(std::sync::atomic::Ordering::Relaxed) {
            self.pool.borrow_mut().put(door.zone, kept);
        }
    }

    fn purge(&self, slot: u64) {
        self.pool.borrow_mut().purge(slot);
        self.lines.purge(slot);
    }

    /// A way to a target: a new connection, or a place on one.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(&self, target: Arc<TargetHandle>, door: &Door) -> Result<Kept, ConnectError> {
        let (stream, active) = match target.group.version {
            ProtocolVersion::Http1 => {
                let stream = self.dial(&target, door).await?;
                (stream, Rc::new(Active::new(&door.shared, self.core, door.zone)))
            }
            ProtocolVersion::Http2 | ProtocolVersion::Grpc => {
                let (stream, active) = self.place(&target, door).await?;
                (Transport::Target(Box::new(stream)), active)
            }
        };
        Ok(Kept { stream, target, active, since: Instant::now() })
    }

    /// A place for one request on a connection that speaks HTTP/2.
    async fn place(&self, target: &TargetHandle, door: &Door) -> Result<(TargetStream, Rc<Active>), ConnectError> {
        let (slot, zone) = (target.slot, door.zone);
        if let Some(place) = self.lines.take(slot, zone) {
            return Ok(place);
        }
        let dialling = self.lines.dial(slot, zone).await;
        if dialling.is_none()
            && let Some(place) = self.lines.take(slot, zone)
        {
            return Ok(place);
        }
        let stream = self.dial(target, door).await?;
        let (scheme, active) = (stream.scheme(), Active::new(&door.shared, self.core, zone));
        let line = Line::begin(stream, scheme, active).await.map_err(|_| ConnectError::Refused)?;
        Ok(self.lines.put(slot, zone, line))
    }

    /// A new connection to a target.
    async fn dial(&self, target: &TargetHandle, door: &Door) -> Result<Transport, ConnectError> {
        let limit = self.pace.connect_timeout();
        let socket = match self.sockets.connect_socket(&door.node) {
            Supply::Now(socket) => socket,
            later => tokio::time::timeout(limit, later.get()).await.map_err(|_| ConnectError::TimedOut)?,
        };
        let socket = socket.map_err(|_| ConnectError::Refused)?;
        let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
        let connected = tokio::time::timeout(limit, socket.connect(target.address.into())).await;
        let stream = match connected.map_err(|_| ConnectError::TimedOut)? {
            Ok(stream) => stream,
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => return Err(ConnectError::TimedOut),
            Err(_) => return Err(ConnectError::Refused),
        };
        stream.set_nodelay(true).map_err(|_| ConnectError::Refused)?;
        match target.group.protocol {
            TargetProtocol::Http => Ok(Transport::Plain(stream)),
            TargetProtocol::Https => {
                let tls = self.target_tls.of(target.group.version).connect(stream);
                let tls = tokio::time::timeout(limit, tls).await.map_err(|_| ConnectError::TimedOut)?;
                Ok(Transport::Tls(Box::new(tls.map_err(|_| ConnectError::Tls)?.into())))
            }
        }
    }

    async fn accept(self: Rc<Self>, listener: TcpListener, door: Rc<Door>) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.welcome(stream, peer, &door),
                Err(_) => {
                    door.shared.node(self.core, door.zone).rejected_connections.add(1);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn welcome(self: &Rc<Self>, stream: TcpStream, peer: std::net::SocketAddr, door: &Rc<Door>) {
        let active = Active::new(&door.shared, self.core, door.zone);
        self.admit(door, |worker, door, client| async move {
            let _active = active;
            match worker.meet(stream, &door).await {
                Some((Transport::Tls(stream), handshake)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                    // Apart, since the task is as large as the largest of these.
                    Box::pin(h2::serve(worker, door, client, stream, peer, handshake)).await;
                }
                Some((stream, handshake)) => {
                    let origin = Origin::new(&door, peer, stream.scheme(), handshake);
                    let idle = Idle::new(worker.pace.timeout(door.shared.snapshot.load().idle_timeout));
                    let mut patience = Patience::new(&idle);
                    client::serve(worker, door, client, stream, &origin, (&idle, &mut patience)).await;
                }
                None => {}
            }
        });
    }

    /// Lists a client and serves it in a task of its own.
    fn admit<F: Future<Output = ()> + 'static>(
        self: &Rc<Self>,
        door: &Rc<Door>,
        serve: impl FnOnce(Rc<Self>, Rc<Door>, Rc<Client>) -> F,
    ) {
        let (listed, client) = self.list(door);
        // It is large, and a task is moved several times before it runs.
        let serving = Box::pin(serve(self.clone(), door.clone(), client.clone()));
        let task = spawn_local(async move {
            let _listed = listed;
            serving.await;
        });
        client.serve_in(task.abort_handle());
    }

    /// Lists a client for as long as what is given lives.
    pub fn list(self: &Rc<Self>, door: &Door) -> (Listed, Rc<Client>) {
        let id = self.next_client.replace(self.next_client.get() + 1);
        let client = Rc::new(Client {
            shared: door.shared.clone(),
            target: Cell::new(0),
            dismissed: Cell::new(false),
            streams: Cell::new(false),
            told: Notify::new(),
            task: RefCell::default(),
        });
        self.clients.borrow_mut().insert(id, client.clone());
        (Listed { worker: self.clone(), id }, client)
    }

    /// Makes a client's connection what the listener says; `None` if the client does not play its
    /// part.
    async fn meet(&self, stream: TcpStream, door: &Door) -> Option<(Transport, Option<Box<Handshake>>)> {
        let (encryption, limit) = (door.encryption.load_full(), self.pace.connect_timeout());
        match &*encryption {
            Encryption::Off => Some((Transport::Plain(stream), None)),
            Encryption::Broken => None,
            Encryption::On(tls) => match tokio::time::timeout(limit, Box::pin(tls.meet(stream))).await {
                Ok(Ok(Met::Tls(stream, handshake))) => Some((Transport::Tls(stream), handshake)),
                Ok(Ok(Met::Http(stream))) => {
                    door.shared.node(self.core, door.zone).elb_error(400);
                    decline_http(stream).await;
                    None
                }
                Ok(Err(_)) | Err(_) => {
                    door.shared.node(self.core, door.zone).client_tls_errors.add(1);
                    None
                }
            },
        }
    }

    fn each_client(&self, which: impl Fn(&Client) -> bool, act: impl Fn(&Client)) {
        self.clients.borrow().values().filter(|client| which(client)).for_each(|client| act(client));
    }

    async fn sweep(self: Rc<Self>) {
        loop {
            tokio::time::sleep(SWEEP).await;
            let limit = |kept: &Kept| self.pace.timeout(kept.idle_timeout());
            self.pool.borrow_mut().sweep(Instant::now(), limit);
            let limit = |active: &Active| self.pace.timeout(active.shared().snapshot.load().idle_timeout);
            self.lines.sweep(Instant::now(), limit);
        }
    }
}

/// A client's place in the list, for as long as it is served.
pub struct Listed {
    worker: Rc<Worker>,
    id: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.worker.clients.borrow_mut().remove(&self.id);
    }
}
