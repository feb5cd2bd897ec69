//! The way in: a public address on the host, its connections carried to the same address inside the world.

use super::flows::{self, Bounds, Flows, LONGEST, Own};
use super::protocol::Door;
use super::stock::{Stocks, Ware};
use crate::warden::request::{Kind, Place, Reply, Request};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
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
/// No sooner is looked again whether it is.
const TICK: Duration = Duration::from_millis(10);
/// Ports of wide ranges that are open at a time, of one address.
const MOST_WIDE: usize = 128;
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
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((client, _)) => {
                // Asked for only now: a listener that nobody comes to takes nothing from others.
                let Ok(slot) = Arc::clone(&limit).acquire_owned().await else { return };
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
    let socket: OwnedFd = stocks.take(&Ware::tcp(Place::Internet)).get().await?;
    // SAFETY: the descriptor is an unconnected TCP socket that is handed over whole.
    Ok(unsafe { TcpSocket::from_raw_fd(socket.into_raw_fd()) })
}

/// A client of a UDP port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Client(SocketAddrV4);

impl flows::Key for Client {
    fn client(&self) -> Ipv4Addr {
        *self.0.ip()
    }
}

/// Carries packets of one UDP port: a socket inside per client. A client whose socket is long in coming keeps nobody else's waiting.
async fn carry_packets(outside: Arc<UdpSocket>, inside: SocketAddrV4, stocks: Arc<Stocks>) {
    let mut flows: Flows<Client> = Flows::new(Bounds { all: MOST_FLOWS, of_one: MOST_FLOWS });
    let mut buffer = vec![0; LONGEST];
    loop {
        // Addresses of the host are of IPv4. An error is of one that could not be delivered: its client is gone.
        let Ok((length, SocketAddr::V4(client))) = outside.recv_from(&mut buffer).await else { continue };
        if let Some(way) = flows.way(Client(client)) {
            let _ = way.send(&buffer[..length]).await;
            continue;
        }
        flows.take(Client(client), buffer[..length].to_vec(), |own| {
            let (stocks, outside) = (Arc::clone(&stocks), Arc::clone(&outside));
            async move {
                if let Err(error) = carry_flow(client, own, inside, &stocks, &outside).await {
                    tracing::debug!(%error, %client, "a flow can't come in");
                }
            }
        });
    }
}

/// Carries what comes back on one flow, until nothing has passed for a while.
async fn carry_flow(
    client: SocketAddrV4,
    mut own: Own,
    inside: SocketAddrV4,
    stocks: &Arc<Stocks>,
    outside: &UdpSocket,
) -> io::Result<()> {
    let ware = Ware { place: Place::Internet, kind: Kind::Udp, transparent: false };
    let socket = Arc::new(UdpSocket::from_std(stocks.take(&ware).get().await?.into())?);
    socket.connect(SocketAddr::V4(inside)).await?;
    own.open(&socket).await;
    let mut buffer = vec![0; LONGEST];
    loop {
        let pause = FLOW_IDLE.saturating_sub(own.idle()) + TICK;
        tokio::select! {
            // It may have been refused; the next one may be answered.
            received = socket.recv(&mut buffer) => if let Ok(length) = received {
                own.stamp();
                let _ = outside.send_to(&buffer[..length], client).await;
            },
            // One that came before it was known that there is a socket.
            datagram = own.queue.recv() => {
                let Some(datagram) = datagram else { return Ok(()) };
                let _ = socket.send(&datagram).await;
            }
            () = tokio::time::sleep(pause) => if own.idle() >= FLOW_IDLE {
                return Ok(());
            },
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
            let wanted = chosen(ports, &door, &tasks.keys().copied().collect());
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

/// Which ports of a door's wide ranges are open, of those that something listens on: the more there are, the less is wanted of them all.
/// Those that are open stay so.
fn chosen(listening: Vec<u16>, door: &Door, open: &BTreeSet<u16>) -> BTreeSet<u16> {
    let is_wide = |port: &u16| door.wide.iter().any(|(from, to)| from <= port && port <= to);
    let mut ports: Vec<u16> = listening.into_iter().filter(|port| !door.tcp.contains(port) && is_wide(port)).collect();
    ports.sort_unstable_by_key(|port| (!open.contains(port), *port));
    ports.truncate(MOST_WIDE);
    ports.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{DEADLINE, Directory};
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::time::timeout;

    #[test]
    fn an_instance_that_listens_on_everything_gets_so_many_ports_and_keeps_those_it_has() {
        let door = Door {
            public: Ipv4Addr::new(127, 100, 0, 9),
            interface: "eni-1".to_owned(),
            tcp: BTreeSet::from([1001]),
            udp: BTreeSet::new(),
            wide: vec![(1000, 60000)],
        };
        let first = chosen((5000..=u16::MAX).collect(), &door, &BTreeSet::new());
        assert_eq!(first, (5000..5000 + MOST_WIDE as u16).collect());
        let then = chosen((1000..=u16::MAX).collect(), &door, &first);
        assert_eq!(then, first);
        let fewer = chosen(vec![999, 1000, 1001, 5001, 60000, 60001], &door, &first);
        assert_eq!(fewer, BTreeSet::from([1000, 5001, 60000]));
    }

    #[tokio::test]
    async fn clients_whose_sockets_are_long_in_coming_keep_nobody_elses_datagrams_waiting() {
        use crate::warden::request::Reply;
        use std::sync::atomic::{AtomicBool, Ordering};
        let directory = Directory::new("flows");
        let first = AtomicBool::new(true);
        let link = directory.warden(move |request| match request {
            Request::Sockets { count, .. } if first.swap(false, Ordering::SeqCst) => {
                let socket =
                    |_| crate::sys::socket(nix::libc::AF_INET, nix::libc::SOCK_DGRAM | nix::libc::SOCK_NONBLOCK, 0);
                Some((Reply::Done, (0..*count).map(|number| socket(number).unwrap()).collect()))
            }
            _ => None,
        });
        let instance = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let SocketAddr::V4(inside) = instance.local_addr().unwrap() else { panic!("of IPv4") };
        let echo = async {
            let mut buffer = [0; 64];
            loop {
                let (length, from) = instance.recv_from(&mut buffer).await.unwrap();
                instance.send_to(&buffer[..length], from).await.unwrap();
            }
        };
        let outside = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let door = outside.local_addr().unwrap();
        let client = || async {
            let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            client.connect(door).await.unwrap();
            client
        };
        let answered = |client: UdpSocket| async move {
            client.send(b"hello").await.unwrap();
            let mut buffer = [0; 64];
            let heard = timeout(DEADLINE, client.recv(&mut buffer)).await.expect("an answer").unwrap();
            assert_eq!(&buffer[..heard], b"hello");
            client
        };
        let talk = async {
            let first = answered(client().await).await;
            // More than there are sockets, and the warden makes no more.
            let mut others = Vec::new();
            for _ in 0..40 {
                let other = client().await;
                other.send(b"hello").await.unwrap();
                others.push(other);
            }
            answered(first).await;
        };
        tokio::select! {
            () = talk => {}
            () = carry_packets(outside, inside, Stocks::new(link)) => {}
            () = echo => {}
        }
    }

    #[tokio::test]
    async fn a_listener_that_nobody_comes_to_takes_nothing_from_the_others() {
        let directory = Directory::new("doors");
        let stocks = Stocks::new(directory.no_warden());
        let limit = Arc::new(Semaphore::new(1));
        let mut served = JoinSet::new();
        let mut clients = Vec::new();
        for _ in 0..2 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let to = listener.local_addr().unwrap();
            let inside = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
            served.spawn(serve(listener, inside, Arc::clone(&stocks), Arc::clone(&limit)));
            // Both wait for somebody before anybody comes.
            tokio::task::yield_now().await;
            clients.push(to);
        }
        for to in clients.into_iter().rev() {
            let mut client = TcpStream::connect(to).await.unwrap();
            // There is no way inside: but it is looked for.
            timeout(DEADLINE, client.read(&mut [0])).await.expect("it is served").unwrap_err();
        }
    }

    #[tokio::test]
    async fn a_flow_that_has_given_way_leaves_no_socket_behind() {
        let directory = Directory::new("flows");
        let link = directory.warden(|_| {
            use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
            let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
            Some((Reply::Done, vec![socket(AddressFamily::Inet, SockType::Datagram, flags, None).unwrap()]))
        });
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let outside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (to, inside) = (outside.local_addr().unwrap(), server.local_addr().unwrap());
        let SocketAddr::V4(inside) = inside else { unreachable!("it is bound to an address of IPv4") };
        tokio::spawn(carry_packets(Arc::new(outside), inside, Stocks::new(link)));
        let (mut clients, mut first) = (Vec::new(), None);
        for _ in 0..=MOST_FLOWS {
            let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            client.send_to(b"hello", to).await.unwrap();
            clients.push(client);
            let (_, from) = timeout(DEADLINE, server.recv_from(&mut [0; 8])).await.expect("it comes").unwrap();
            first.get_or_insert(from);
        }
        // Where a socket is gone, the next word says so.
        let told = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        told.connect(first.unwrap()).await.unwrap();
        let gone = async {
            loop {
                let _ = told.send(b"?").await;
                let answer = timeout(LOOK_EVERY, told.recv(&mut [0])).await;
                if matches!(answer, Ok(Err(_))) {
                    return;
                }
            }
        };
        timeout(DEADLINE, gone).await.expect("its socket is closed");
    }
}
