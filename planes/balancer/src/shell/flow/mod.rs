//! Sockets and tasks of a network load balancer: per core, the flows that go over it.
//!
//! We are an end of every connection, which AWS's balancer is not: a client's handshake is done
//! before its target's begins. So a target that refuses shows as a reset right after the client's
//! connect, and keep-alive probes without data are answered by our kernel and do not count against
//! the idle timeout. All else that an end can see is as it would be without us: bytes, half-closes,
//! resets, and, where the group preserves it, the client's address.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use socket2::{SockAddr, Socket};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::conductor::Event;
use super::shared::Shared;
use super::sockets::{Sockets, Supply, accepting};
use super::tls::ClientTls;
use super::worker::{Door, DoorKey, Worker};
use crate::config::{AlpnPolicy, Node};
use crate::core::flow::{Counted, Transport};
use crate::core::route::TargetHandle;

mod conduct;
mod datagrams;
mod relay;
mod stream;
mod tls;

pub use conduct::ConductedFlows;

/// A port of a network load balancer, for one core to open.
pub struct FlowOpen {
    /// Where.
    pub key: DoorKey,
    /// Accepts connections, if the listener has any.
    pub connections: Option<std::net::TcpListener>,
    /// Takes datagrams, likewise.
    pub datagrams: Option<std::net::UdpSocket>,
    /// The door.
    pub door: Door,
}

/// Flows that one core has at a time, at most; what comes beyond is rejected.
const MOST: usize = 50_000;
/// After a failed accept, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Serves a port for as long as the task lives.
pub async fn serve(worker: Rc<Worker>, open: FlowOpen) {
    let door = Rc::new(open.door);
    let connections = open.connections.and_then(|listener| accepting(listener).ok());
    let datagrams = open.datagrams.and_then(|socket| UdpSocket::from_std(socket).ok());
    match (connections, datagrams) {
        (Some(listener), Some(socket)) => {
            let socket = Rc::new(socket);
            tokio::join!(accept(&worker, &listener, &door), datagrams::serve(&worker, &socket, &door));
        }
        (Some(listener), None) => accept(&worker, &listener, &door).await,
        (None, Some(socket)) => datagrams::serve(&worker, &Rc::new(socket), &door).await,
        // The runtime has no room for another socket: the port stays silent here.
        (None, None) => door.shared.flow_counts(worker.core, door.zone).rejected.add(1),
    }
}

async fn accept(worker: &Rc<Worker>, listener: &TcpListener, door: &Rc<Door>) {
    loop {
        match listener.accept().await {
            Ok((client, std::net::SocketAddr::V4(peer))) => stream::welcome(worker, client, peer, door),
            // Listeners are of IPv4.
            Ok(_) => {}
            Err(_) => {
                door.shared.flow_counts(worker.core, door.zone).rejected.add(1);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The flows of one core.
pub struct Flows {
    flows: RefCell<BTreeMap<u64, Entry>>,
    next: Cell<u64>,
    /// Differs from flow to flow, as sequence numbers do.
    sequence: Cell<u32>,
    /// What is read goes through here, so that an idle flow holds no buffer.
    scratch: RefCell<Box<[u8]>>,
    /// How targets are spoken to, made when first needed.
    client_tls: OnceCell<Option<ClientTls>>,
}

struct Entry {
    slot: u64,
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// Bytes that are moved at once.
const SCRATCH: usize = 256 * 1024;

impl Flows {
    /// None yet.
    pub fn new(seed: u64) -> Self {
        Self {
            flows: RefCell::default(),
            next: Cell::new(0),
            // Lossy on purpose: any bits will do.
            sequence: Cell::new(seed as u32),
            scratch: RefCell::new(vec![0; SCRATCH].into()),
            client_tls: OnceCell::new(),
        }
    }

    /// A number for a connection.
    fn sequence(&self) -> u32 {
        // Odd, so that all numbers come before one comes again.
        let next = self.sequence.get().wrapping_add(0x9e37_79b9);
        self.sequence.replace(next)
    }

    /// Ends all flows to a target.
    pub fn cut(&self, slot: u64) {
        self.abort(|entry| entry.slot == slot);
    }

    /// Ends all flows of a balancer.
    pub fn dismiss(&self, shared: &Arc<Shared>) {
        self.abort(|entry| Arc::ptr_eq(&entry.shared, shared));
    }

    fn abort(&self, which: impl Fn(&Entry) -> bool) {
        // A task that is aborted takes itself out later, not now.
        self.flows.borrow().values().filter(|entry| which(entry)).for_each(|entry| entry.task.abort());
    }

    fn client_tls(&self) -> Option<&ClientTls> {
        self.client_tls.get_or_init(|| ClientTls::new(AlpnPolicy::None).ok()).as_ref()
    }

    fn is_full(&self) -> bool {
        self.flows.borrow().len() >= MOST
    }

    /// Lists a flow's task under a number, so that it can be cut.
    fn list(&self, id: u64, slot: u64, shared: &Arc<Shared>, task: AbortHandle) {
        self.flows.borrow_mut().insert(id, Entry { slot, shared: shared.clone(), task });
    }

    fn number(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }
}

/// A flow that counts as active, and is in its core's list, for as long as this lives.
struct Flowing {
    worker: Rc<Worker>,
    door: Rc<Door>,
    target: Arc<TargetHandle>,
    counted: Counted,
    id: u64,
}

impl Flowing {
    fn new(worker: &Rc<Worker>, door: &Rc<Door>, target: &Arc<TargetHandle>, counted: Counted, id: u64) -> Self {
        door.shared.flow_counts(worker.core, door.zone).of(counted).begin();
        target.begin(worker.core);
        Self { worker: worker.clone(), door: door.clone(), target: target.clone(), counted, id }
    }

    fn carried(&self, bytes: usize) {
        self.door.shared.flow_counts(self.worker.core, self.door.zone).of(self.counted).carried(bytes);
    }
}

impl Drop for Flowing {
    fn drop(&mut self) {
        self.worker.flows.flows.borrow_mut().remove(&self.id);
        self.door.shared.flow_counts(self.worker.core, self.door.zone).of(self.counted).end();
        self.target.end(self.worker.core);
        if self.target.draining.load(Relaxed) {
            // The conductor may have ended meanwhile.
            let events: &mpsc::UnboundedSender<Event> = &self.worker.events;
            let _ = events.send(Event::Rested(self.door.shared.id.clone()));
        }
    }
}

/// A socket for a flow: from the node's own address, or from the client's where it is preserved.
fn flow_socket(
    sockets: &Arc<dyn Sockets>,
    node: &Node,
    transport: Transport,
    client: Option<SocketAddrV4>,
) -> Supply<OwnedFd> {
    let Some(client) = client else {
        return match transport {
            Transport::Tcp => sockets.connect_socket(node),
            Transport::Udp => sockets.datagram_socket(node),
        };
    };
    sockets.transparent_socket(node, transport).and_then(move |socket| {
        let socket = Socket::from(socket);
        // Many flows may leave from one port of a client's, each to another place.
        socket.set_reuse_address(true)?;
        if socket.bind(&SockAddr::from(client)).is_err() {
            // The port is taken: the address is what is promised.
            socket.bind(&SockAddr::from(SocketAddrV4::new(*client.ip(), 0)))?;
        }
        Ok(socket.into())
    })
}
