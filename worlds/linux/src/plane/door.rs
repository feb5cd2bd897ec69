//! The way in: a public address on the host, its connections carried to the same address inside the world.

use super::protocol::Door;
use super::stock::{Stocks, Ware};
use crate::warden::request::{Kind, Place, Reply, Request};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};

/// Connections of one public address at a time; more wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 4096;
/// How long data may go unacknowledged inside, milliseconds.
const UNANSWERED: u32 = 60_000;
/// UDP flows of one port at a time; the oldest give way.
const MOST_FLOWS: usize = 256;
/// A UDP flow without packets ends.
const FLOW_IDLE: Duration = Duration::from_secs(60);
/// How often it is looked which ports of a wide range something listens on, and whether a client still waits.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// An open door; dropped, it is shut, and its connections with it.
pub(super) struct Opened {
    door: Door,
    stocks: Arc<Stocks>,
    limit: Arc<Semaphore>,
    tasks: BTreeMap<(Kind, u16), AbortHandle>,
    watching: Option<watch::Sender<Door>>,
    all: JoinSet<()>,
}

impl Opened {
    pub(super) fn new(door: Door, stocks: Arc<Stocks>) -> Self {
        let limit = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        Self { door, stocks, limit, tasks: BTreeMap::new(), watching: None, all: JoinSet::new() }
    }

    /// Opens what is not open yet and shuts what should not be. Connections that stand go on.
    pub(super) async fn put(&mut self, door: Door) -> Vec<String> {
        self.door = door;
        match &self.watching {
            // Its ports stay open as far as they still should be.
            Some(watching) => drop(watching.send(self.door.clone())),
            None if self.door.wide.is_empty() => {}
            None => {
                let (sender, receiver) = watch::channel(self.door.clone());
                self.watching = Some(sender);
                self.all.spawn(follow(receiver, Arc::clone(&self.stocks), Arc::clone(&self.limit)));
            }
        }
        let tcp = self.door.tcp.iter().map(|port| (Kind::Tcp, *port));
        let wanted: BTreeSet<(Kind, u16)> = tcp.chain(self.door.udp.iter().map(|port| (Kind::Udp, *port))).collect();
        self.tasks.retain(|key, task| {
            let keep = wanted.contains(key) && !task.is_finished();
            if !keep {
                task.abort();
            }
            keep
        });
        let mut failures = Vec::new();
        for (kind, port) in wanted {
            if self.tasks.contains_key(&(kind, port)) {
                continue;
            }
            match open(&self.door, kind, port, &self.stocks, &self.limit).await {
                Ok(task) => {
                    self.tasks.insert((kind, port), self.all.spawn(task));
                }
                Err(error) => failures.push(format!("{}:{port}: {error}", self.door.public)),
            }
        }
        failures
    }
}

type Task = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Opens one port, and gives the task that serves it.
async fn open(door: &Door, kind: Kind, port: u16, stocks: &Arc<Stocks>, limit: &Arc<Semaphore>) -> io::Result<Task> {
    let socket = stocks.bind(Place::Host, kind, door.public, port).await?;
    let inside = SocketAddrV4::new(door.public, port);
    match kind {
        Kind::Tcp => {
            let listener = TcpListener::from_std(socket.into())?;
            Ok(Box::pin(serve(listener, inside, Arc::clone(stocks), Arc::clone(limit))))
        }
        Kind::Udp => {
            let socket = UdpSocket::from_std(socket.into())?;
            Ok(Box::pin(carry_packets(Arc::new(socket), inside, Arc::clone(stocks))))
        }
    }
}

/// Accepts connections on one port for ever.
async fn serve(listener: TcpListener, inside: SocketAddrV4, stocks: Arc<Stocks>, limit: Arc<Semaphore>) {
    // Connections outlive the listener's task only as long as the door's own set does.
    let mut connections = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&limit).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((client, _)) => {
                let stocks = Arc::clone(&stocks);
                connections.spawn(async move {
                    carry(client, inside, &stocks).await;
                    drop(slot);
                });
            }
            // Out of descriptors: what is open must end first.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Carries one connection in, until both sides have ended.
async fn carry(mut client: TcpStream, inside: SocketAddrV4, stocks: &Arc<Stocks>) {
    let _ = client.set_nodelay(true);
    let connected = match take(stocks).await {
        Ok(socket) => {
            // What is not acknowledged for so long never will be: its machine died with the connection open.
            let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::TcpUserTimeout, &UNANSWERED);
            // A machine that is off answers nothing: its client waits as long as it likes, as it would on the internet, but for
            // the handshake, which the host's kernel has made in its place.
            tokio::select! {
                connected = socket.connect(SocketAddr::V4(inside)) => connected,
                () = gone(&client) => return,
            }
        }
        Err(error) => Err(error),
    };
    match connected {
        Ok(mut server) => {
            let _ = server.set_nodelay(true);
            if tokio::io::copy_bidirectional(&mut client, &mut server).await.is_err() {
                reset(&client);
                reset(&server);
            }
        }
        // Nobody there: the client is told as if it had been refused itself.
        Err(_) => reset(&client),
    }
}

/// Waits until a client has given up, whatever it has sent before: that stays for whom it is for, so that readiness to read says
/// nothing, and the kernel is asked instead.
async fn gone(client: &TcpStream) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let mut ends = [PollFd::new(client.as_fd(), PollFlags::from_bits_retain(nix::libc::POLLRDHUP))];
        if poll(&mut ends, PollTimeout::ZERO) != Ok(0) {
            return;
        }
    }
}

/// Has a connection end by a reset, as its other side did.
pub(super) fn reset(stream: &TcpStream) {
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    let _ = nix::sys::socket::setsockopt(stream, nix::sys::socket::sockopt::Linger, &linger);
}

/// A socket of the world's internet.
pub(super) async fn take(stocks: &Arc<Stocks>) -> io::Result<TcpSocket> {
    let socket: OwnedFd = match stocks.take_kept(&Ware::tcp(Place::Internet)) {
        Some(kept) => kept,
        None => {
            let stocks = Arc::clone(stocks);
            tokio::task::spawn_blocking(move || stocks.take(&Ware::tcp(Place::Internet)))
                .await
                .map_err(io::Error::other)??
        }
    };
    // SAFETY: the descriptor is an unconnected TCP socket that is handed over whole.
    Ok(unsafe { TcpSocket::from_raw_fd(socket.into_raw_fd()) })
}

/// Carries packets of one UDP port: a socket inside per client.
async fn carry_packets(outside: Arc<UdpSocket>, inside: SocketAddrV4, stocks: Arc<Stocks>) {
    let mut flows: BTreeMap<SocketAddr, (Arc<UdpSocket>, tokio::time::Instant)> = BTreeMap::new();
    let mut answers = JoinSet::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        while answers.try_join_next().is_some() {}
        let Ok((length, client)) = outside.recv_from(&mut buffer).await else { continue };
        let now = tokio::time::Instant::now();
        flows.retain(|_, (socket, used)| Arc::strong_count(socket) > 1 && now - *used < FLOW_IDLE);
        if !flows.contains_key(&client) {
            if flows.len() >= MOST_FLOWS {
                let oldest = flows.iter().min_by_key(|(_, (_, used))| *used).map(|(client, _)| *client);
                oldest.map(|client| flows.remove(&client));
            }
            let link = Arc::clone(stocks.link());
            let made = tokio::task::spawn_blocking(move || link.sockets(&Place::Internet, Kind::Udp, 1, false)).await;
            let Some(socket) = made.ok().and_then(Result::ok).and_then(|mut fds| fds.pop()) else { continue };
            let Ok(socket) = UdpSocket::from_std(socket.into()) else { continue };
            if socket.connect(SocketAddr::V4(inside)).await.is_err() {
                continue;
            }
            let socket = Arc::new(socket);
            answers.spawn(answer(Arc::clone(&socket), Arc::clone(&outside), client));
            flows.insert(client, (socket, now));
        }
        if let Some((socket, used)) = flows.get_mut(&client) {
            *used = now;
            let _ = socket.send(&buffer[..length]).await;
        }
    }
}

/// Carries what comes back on one flow, until nothing has for a while.
async fn answer(socket: Arc<UdpSocket>, outside: Arc<UdpSocket>, client: SocketAddr) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(Ok(length)) = tokio::time::timeout(FLOW_IDLE, socket.recv(&mut buffer)).await {
        if outside.send_to(&buffer[..length], client).await.is_err() {
            return;
        }
    }
}

/// Follows what is listened on in wide ranges.
async fn follow(mut doors: watch::Receiver<Door>, stocks: Arc<Stocks>, limit: Arc<Semaphore>) {
    let mut open_ports = JoinSet::new();
    let mut tasks: BTreeMap<u16, AbortHandle> = BTreeMap::new();
    loop {
        let door = doors.borrow_and_update().clone();
        let (link, interface) = (Arc::clone(stocks.link()), door.interface.clone());
        let asked = tokio::task::spawn_blocking(move || link.ask(&Request::Listening(interface), &[])).await;
        if let Ok(Ok((Reply::Ports(ports), _))) = asked {
            let wanted: BTreeSet<u16> = ports
                .into_iter()
                .filter(|port| {
                    !door.tcp.contains(port) && door.wide.iter().any(|(from, to)| from <= port && port <= to)
                })
                .collect();
            tasks.retain(|port, task| {
                let keep = wanted.contains(port);
                if !keep {
                    task.abort();
                }
                keep
            });
            for port in wanted {
                if !tasks.contains_key(&port)
                    && let Ok(task) = open(&door, Kind::Tcp, port, &stocks, &limit).await
                {
                    tasks.insert(port, open_ports.spawn(task));
                }
            }
        }
        if let Ok(Err(_)) = tokio::time::timeout(LOOK_EVERY, doors.changed()).await {
            return;
        }
    }
}
