//! Datagrams of one port: each client's go to one target over a socket of the flow's own, and what
//! comes back goes to the client from the port that it asked.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::time::Duration;

use socket2::{SockAddr, SockRef};
use tokio::net::UdpSocket;
use tokio::task::{AbortHandle, spawn_local};

use super::{Counted, Flowing, flow_socket};
use crate::core::flow::{FlowKey, FlowTable, Transport, proxy};
use crate::core::health::Time;
use crate::shell::sockets::Supply;
use crate::shell::worker::{Door, Worker};

/// A flow without datagrams ends; AWS lets nobody change it.
const IDLE: Duration = Duration::from_secs(120);
/// Flows of one port and core, at most: each holds a socket.
const MOST: usize = 4096;
/// Datagrams taken at once before other tasks have their turn.
const BATCH: usize = 64;
/// Datagrams of a flow that wait for its socket, at most; more are lost.
const MOST_WAITING: usize = 16;
/// The longest datagram.
const LONGEST: usize = 65_535;

/// A flow, as the table holds it: dropped, it is over.
struct Datagrams {
    way: Rc<Way>,
    answered: Rc<Cell<Time>>,
    /// The header before every datagram, if the target wants one.
    header: Option<[u8; proxy::LENGTH]>,
    task: AbortHandle,
    flowing: Rc<Flowing>,
}

/// Where a flow's datagrams go: its socket, once there is one.
#[derive(Default)]
struct Way {
    socket: OnceCell<UdpSocket>,
    waiting: RefCell<Vec<Vec<u8>>>,
}

impl Way {
    fn send(&self, datagram: &[u8]) {
        match self.socket.get() {
            // Without asking the runtime, which knows a new socket only later. A datagram may be lost: the
            // target's queue is full, or nobody is there.
            Some(socket) => drop(SockRef::from(socket).send(datagram)),
            None => {
                let mut waiting = self.waiting.borrow_mut();
                if waiting.len() < MOST_WAITING {
                    waiting.push(datagram.to_vec());
                }
            }
        }
    }

    /// Goes by this socket from now on, what waited first.
    fn open(&self, socket: std::net::UdpSocket) -> io::Result<()> {
        let socket = UdpSocket::from_std(socket)?;
        for datagram in self.waiting.take() {
            let _ = SockRef::from(&socket).send(&datagram);
        }
        // There was none before: this is called once.
        let _ = self.socket.set(socket);
        Ok(())
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves a port for as long as the task lives.
pub async fn serve(worker: &Rc<Worker>, socket: &Rc<UdpSocket>, door: &Rc<Door>) {
    let table = RefCell::new(FlowTable::new(IDLE, MOST));
    let mut buffer = vec![0; proxy::LENGTH + LONGEST];
    loop {
        let now = worker.pace.now();
        let due = {
            let mut table = table.borrow_mut();
            drop(table.expire(now, |flow: &Datagrams| flow.answered.get()));
            table.due()
        };
        let wait = due.map_or(IDLE, |due| worker.pace.real(due.saturating_sub(now))).max(Duration::from_millis(10));
        // Whether there is something to read or the time is over: both are looked at.
        let _ = tokio::time::timeout(wait, socket.readable()).await;
        let now = worker.pace.now();
        for _ in 0..BATCH {
            match socket.try_recv_from(&mut buffer[proxy::LENGTH..]) {
                Ok((length, SocketAddr::V4(client))) => {
                    let mut table = table.borrow_mut();
                    take(worker, socket, door, &mut table, client, &mut buffer[..proxy::LENGTH + length], now);
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An answer that could not be delivered: its client is gone.
                Err(_) => {}
            }
        }
        tokio::task::consume_budget().await;
    }
}

/// Carries one datagram, for which `buffer` begins with room for a header.
fn take(
    worker: &Rc<Worker>,
    socket: &Rc<UdpSocket>,
    door: &Rc<Door>,
    table: &mut FlowTable<Datagrams>,
    client: SocketAddrV4,
    buffer: &mut [u8],
    now: Time,
) {
    let known = table.touch(client, now).filter(|flow| !flow.task.is_finished());
    let flow = match known {
        Some(flow) => flow,
        None => {
            let Some(flow) = begin(worker, socket, door, client, now) else { return };
            if table.insert(client, flow, now).is_err() {
                door.shared.flow_counts(worker.core, door.zone).rejected.add(1);
                return;
            }
            match table.touch(client, now) {
                Some(flow) => flow,
                None => return,
            }
        }
    };
    flow.flowing.carried(buffer.len() - proxy::LENGTH);
    let from = match &flow.header {
        Some(header) => {
            buffer[..proxy::LENGTH].copy_from_slice(header);
            0
        }
        None => proxy::LENGTH,
    };
    flow.way.send(&buffer[from..]);
}

fn begin(
    worker: &Rc<Worker>,
    outside: &Rc<UdpSocket>,
    door: &Rc<Door>,
    client: SocketAddrV4,
    now: Time,
) -> Option<Datagrams> {
    let counts = door.shared.flow_counts(worker.core, door.zone);
    let destination = SocketAddrV4::new(door.node.address, door.port);
    let key = FlowKey { transport: Transport::Udp, source: client, destination, sequence: 0 };
    let snapshot = door.shared.flows.load();
    let chosen = snapshot.choose(&door.node.zone, &key).ok()?;
    counts.unhealthy_routing.add(chosen.fails_open.into());
    let source = chosen.group.preserve_client_ip.then_some(client);
    let target = chosen.target.address;
    let supply = flow_socket(worker.sockets(), &door.node, Transport::Udp, source).and_then(move |socket| {
        let socket = std::net::UdpSocket::from(socket);
        socket.connect(target)?;
        Ok(socket)
    });
    let way = Rc::new(Way::default());
    let coming = match supply {
        Supply::Now(socket) => {
            if socket.and_then(|socket| way.open(socket)).is_err() {
                counts.port_allocation_errors.add(1);
                return None;
            }
            None
        }
        Supply::Later(coming) => Some(coming),
    };
    let id = worker.flows.number();
    let flowing = Rc::new(Flowing::new(worker, door, chosen.target, Counted::Udp, id));
    let answered = Rc::new(Cell::new(now));
    let answers = answer(flowing.clone(), way.clone(), outside.clone(), client, answered.clone());
    let (flow, opened) = (flowing.clone(), way.clone());
    let task = spawn_local(async move {
        if let Some(coming) = coming
            && coming.await.and_then(|socket| opened.open(socket)).is_err()
        {
            let counts = flow.door.shared.flow_counts(flow.worker.core, flow.door.zone);
            counts.port_allocation_errors.add(1);
            return;
        }
        answers.await;
    })
    .abort_handle();
    worker.flows.list(id, chosen.target.slot, &door.shared, task.clone());
    let header = chosen.group.proxy_protocol_v2.then(|| proxy::header(Transport::Udp, client, destination));
    Some(Datagrams { way, answered, header, task, flowing })
}

/// Carries what comes back, until the flow is over.
async fn answer(
    flowing: Rc<Flowing>,
    way: Rc<Way>,
    outside: Rc<UdpSocket>,
    client: SocketAddrV4,
    answered: Rc<Cell<Time>>,
) {
    let worker = flowing.worker.clone();
    // It is there before this begins.
    let Some(socket) = way.socket.get() else { return };
    loop {
        if socket.readable().await.is_err() {
            return;
        }
        let mut scratch = worker.flows.scratch.borrow_mut();
        // Else nothing, or nobody listens there: the flow goes on, as the next datagram may be answered.
        if let Ok(length) = socket.try_recv(&mut scratch) {
            answered.set(worker.pace.now());
            flowing.carried(length);
            // As above: it may be lost.
            let _ = SockRef::from(&*outside).send_to(&scratch[..length], &SockAddr::from(client));
        }
    }
}
