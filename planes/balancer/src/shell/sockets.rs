//! Where sockets come from: not from here, since a socket belongs to the network namespace that it
//! was made in, and a node's namespace is not the process's.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::pin::Pin;

use socket2::{Domain, SockRef, Socket, Type};

use crate::config::Node;
use crate::core::flow::Transport;

/// What is there, or comes.
pub enum Supply<T> {
    /// There it is, or it can't be had.
    Now(io::Result<T>),
    /// Whoever wants it waits, and nobody else does.
    Later(Coming<T>),
}

/// What comes.
pub type Coming<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl<T: Send + 'static> Supply<T> {
    /// It, once it is there.
    ///
    /// # Errors
    /// It can't be had.
    pub async fn get(self) -> io::Result<T> {
        match self {
            Self::Now(there) => there,
            Self::Later(coming) => coming.await,
        }
    }

    /// The same with something done to it.
    pub fn and_then<U: Send + 'static>(self, next: impl FnOnce(T) -> io::Result<U> + Send + 'static) -> Supply<U> {
        match self {
            Self::Now(there) => Supply::Now(there.and_then(next)),
            Self::Later(coming) => Supply::Later(Box::pin(async move { coming.await.and_then(next) })),
        }
    }
}

/// Makes sockets in the namespaces of nodes. Called on the balancer's own threads, where everything
/// else waits meanwhile: what takes longer than microseconds comes later.
pub trait Sockets: Send + Sync {
    /// `shards` listening, non-blocking sockets on the node's address, sharing the port
    /// (`SO_REUSEPORT`).
    ///
    /// # Errors
    /// The system's, when the port cannot be had.
    fn listen(&self, node: &Node, port: u16, shards: usize) -> Supply<Vec<TcpListener>>;

    /// A non-blocking TCP socket in the node's namespace, not yet connected.
    ///
    /// # Errors
    /// The system's, when there are no sockets left.
    fn connect_socket(&self, node: &Node) -> Supply<OwnedFd>;

    /// `shards` non-blocking UDP sockets on the node's address, sharing the port.
    ///
    /// # Errors
    /// The system's, when the port cannot be had.
    fn listen_datagrams(&self, node: &Node, port: u16, shards: usize) -> Supply<Vec<UdpSocket>>;

    /// A non-blocking UDP socket in the node's namespace, neither bound nor connected.
    ///
    /// # Errors
    /// The system's, when there are no sockets left.
    fn datagram_socket(&self, node: &Node) -> Supply<OwnedFd>;

    /// A socket as the two above that can be bound to an address which is not the node's, and gets the
    /// answers all the same.
    ///
    /// # Errors
    /// The system's, when there are no sockets left.
    fn transparent_socket(&self, node: &Node, transport: Transport) -> Supply<OwnedFd>;
}

/// Sockets in this process's own namespace: for tests, benchmarks and the simulation's doors.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostSockets;

/// Connections that wait to be accepted, at most.
const BACKLOG: i32 = 4096;

impl Sockets for HostSockets {
    fn listen(&self, node: &Node, port: u16, shards: usize) -> Supply<Vec<TcpListener>> {
        let address = SocketAddr::V4(SocketAddrV4::new(node.address, port));
        let listen = |_| {
            let socket = tcp()?;
            socket.set_reuse_address(true)?;
            socket.set_reuse_port(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            Ok(socket.into())
        };
        Supply::Now((0..shards).map(listen).collect())
    }

    fn connect_socket(&self, _node: &Node) -> Supply<OwnedFd> {
        Supply::Now(tcp().map(OwnedFd::from))
    }

    fn listen_datagrams(&self, node: &Node, port: u16, shards: usize) -> Supply<Vec<UdpSocket>> {
        let address = SocketAddr::V4(SocketAddrV4::new(node.address, port));
        let bind = |_| {
            let socket = udp()?;
            socket.set_reuse_port(true)?;
            socket.bind(&address.into())?;
            Ok(socket.into())
        };
        Supply::Now((0..shards).map(bind).collect())
    }

    fn datagram_socket(&self, _node: &Node) -> Supply<OwnedFd> {
        Supply::Now(udp().map(OwnedFd::from))
    }

    /// An ordinary one: here every address that may come up is the host's own.
    fn transparent_socket(&self, _node: &Node, transport: Transport) -> Supply<OwnedFd> {
        let socket = match transport {
            Transport::Tcp => tcp(),
            Transport::Udp => udp(),
        };
        Supply::Now(socket.map(OwnedFd::from))
    }
}

/// A listener of this core's runtime. What it accepts sends small answers at once, not when the last ones are
/// acknowledged: Linux hands the listener's setting down, which is a system call less for each connection.
///
/// # Errors
/// The system's, when the runtime has no room for another socket.
pub fn accepting(listener: TcpListener) -> io::Result<tokio::net::TcpListener> {
    SockRef::from(&listener).set_tcp_nodelay(true)?;
    tokio::net::TcpListener::from_std(listener)
}

fn udp() -> io::Result<Socket> {
    Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), None)
}

fn tcp() -> io::Result<Socket> {
    Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn an_accepted_connection_waits_for_no_acknowledgement() -> io::Result<()> {
        let node = Node { interface: String::new(), zone: String::new(), address: Ipv4Addr::LOCALHOST };
        let listener = HostSockets.listen(&node, 0, 1).get().await?.remove(0);
        let listener = accepting(listener)?;
        let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
        let (accepted, _) = listener.accept().await?;
        assert!(accepted.nodelay()?);
        drop(client);
        Ok(())
    }
}
