//! One connection: its target is chosen and connected to, then bytes are relayed until both sides
//! are done.

use std::io;
use std::net::SocketAddrV4;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::spawn_local;

use super::relay::{End, Side, relay};
use super::{Counted, Flowing, flow_socket, tls};
use crate::config::{FlowGroup, FlowProtocol};
use crate::core::flow::{FlowCounts, FlowKey, Transport, proxy};
use crate::core::route::TargetHandle;
use crate::shell::sockets::Supply;
use crate::shell::worker::{Door, Worker};

/// Takes a client in.
pub fn welcome(worker: &Rc<Worker>, client: TcpStream, peer: SocketAddrV4, door: &Rc<Door>) {
    let client = Guarded::new(client);
    let counts = door.shared.flow_counts(worker.core, door.zone);
    let key = FlowKey {
        transport: Transport::Tcp,
        source: peer,
        destination: SocketAddrV4::new(door.node.address, door.port),
        sequence: worker.flows.sequence(),
    };
    if worker.flows.is_full() {
        counts.rejected.add(1);
        return;
    }
    let snapshot = door.shared.flows.load();
    let chosen = snapshot.choose(&door.node.zone, &key);
    let (Ok(chosen), Some(protocol), Some(idle)) =
        (chosen, snapshot.protocol(door.port), snapshot.tcp_idle_timeout(door.port))
    else {
        counts.elb_resets.add(1);
        return;
    };
    if chosen.fails_open && protocol != FlowProtocol::Tls {
        counts.unhealthy_routing.add(1);
    }
    let plan = Plan { key, target: chosen.target.clone(), group: *chosen.group, idle };
    let counted = Counted::connection(protocol);
    let id = worker.flows.number();
    let flowing = Flowing::new(worker, door, &plan.target, counted, id);
    let slot = plan.target.slot;
    let task = spawn_local(async move {
        let door = flowing.door.clone();
        let counts = door.shared.flow_counts(flowing.worker.core, door.zone);
        let end = match protocol {
            // Apart, since a flow's task is as large as the largest of these, and handshakes are large.
            FlowProtocol::Tls => Box::pin(tls::carry(&flowing, client, &plan)).await,
            _ if plan.group.tls => Box::pin(tls::carry_to(&flowing, client, &plan)).await,
            _ => carry(&flowing, client, &plan).await,
        };
        count(counts, &end);
    });
    worker.flows.list(id, slot, &door.shared, task.abort_handle());
}

/// What is known of a flow before its first byte.
pub struct Plan {
    /// What it is.
    pub key: FlowKey,
    /// Where it goes.
    pub target: Arc<TargetHandle>,
    /// How.
    pub group: FlowGroup,
    /// After which silence it ends; virtual time.
    pub idle: Duration,
}

/// Why a flow has not been carried to its end.
#[derive(Debug)]
pub enum Failure {
    /// No socket could be had.
    NoSocket,
    /// The target did not accept.
    Refused,
    /// It did not even answer.
    Unreachable,
    /// The client's handshake failed.
    ClientTls,
    /// The target's did.
    TargetTls,
    /// It was relayed until one side broke off.
    Ended(End),
}

async fn carry(flowing: &Flowing, mut client: Guarded, plan: &Plan) -> Result<(), Failure> {
    let mut target = connect(flowing, plan).await?;
    let header = header(plan);
    let idle = flowing.worker.pace.timeout(plan.idle);
    let scratch = &flowing.worker.flows.scratch;
    let end = relay(scratch, client.stream_mut(), target.stream_mut(), &header, idle, |bytes| {
        flowing.carried(bytes);
    })
    .await;
    match end {
        End::Closed => {
            client.finish();
            target.finish();
            Ok(())
        }
        end => Err(Failure::Ended(end)),
    }
}

/// The PROXY header that the target wants first, if any.
pub fn header(plan: &Plan) -> Vec<u8> {
    if plan.group.proxy_protocol_v2 {
        proxy::header(Transport::Tcp, plan.key.source, plan.key.destination).to_vec()
    } else {
        Vec::new()
    }
}

/// A connection to the flow's target.
pub async fn connect(flowing: &Flowing, plan: &Plan) -> Result<Guarded, Failure> {
    let worker = &flowing.worker;
    let source = plan.group.preserve_client_ip.then_some(plan.key.source);
    let limit = worker.pace.connect_timeout();
    let socket = match flow_socket(worker.sockets(), &flowing.door.node, Transport::Tcp, source) {
        Supply::Now(socket) => socket,
        later => tokio::time::timeout(limit, later.get()).await.map_err(|_| Failure::NoSocket)?,
    };
    let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket.map_err(|_| Failure::NoSocket)?));
    match tokio::time::timeout(limit, socket.connect(plan.target.address.into())).await {
        Ok(Ok(stream)) => {
            // A connection that is gone already shows it at its first read.
            let _ = stream.set_nodelay(true);
            Ok(Guarded::new(stream))
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Err(Failure::Refused),
        Ok(Err(error)) if error.kind() == io::ErrorKind::AddrNotAvailable => Err(Failure::NoSocket),
        Ok(Err(_)) | Err(_) => Err(Failure::Unreachable),
    }
}

fn count(counts: &FlowCounts, end: &Result<(), Failure>) {
    match end {
        Ok(()) => {}
        Err(Failure::NoSocket) => {
            counts.port_allocation_errors.add(1);
            counts.elb_resets.add(1);
        }
        Err(Failure::Refused | Failure::Ended(End::Broken(Side::Target))) => counts.target_resets.add(1),
        Err(Failure::Ended(End::Broken(Side::Client))) => counts.client_resets.add(1),
        Err(Failure::Unreachable | Failure::Ended(End::Silent | End::Closed)) => counts.elb_resets.add(1),
        Err(Failure::ClientTls) => counts.client_tls_errors.add(1),
        Err(Failure::TargetTls) => counts.target_tls_errors.add(1),
    }
}

/// A connection that is reset when dropped, unless it was finished first.
pub struct Guarded(Option<TcpStream>);

impl Guarded {
    fn new(stream: TcpStream) -> Self {
        Self(Some(stream))
    }

    /// The connection.
    pub fn stream_mut(&mut self) -> &mut TcpStream {
        // It is taken out only by what takes `self`.
        self.0.as_mut().unwrap_or_else(|| unreachable!("a guarded stream is there until it is dropped"))
    }

    /// What is left to send is sent.
    pub fn finish(mut self) {
        self.0 = None;
    }

    /// Without the guard.
    pub fn into_stream(mut self) -> TcpStream {
        self.0.take().unwrap_or_else(|| unreachable!("a guarded stream is there until it is dropped"))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(stream) = &self.0 {
            reset(stream);
        }
    }
}

/// Has a connection end by a reset when it is dropped.
pub fn reset(stream: &TcpStream) {
    // It may be over already; then there is nobody to tell.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
