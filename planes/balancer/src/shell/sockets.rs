//! Where sockets come from: not from here, since a socket belongs to the network namespace that it
//! was made in, and a node's namespace is not the process's.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;

use socket2::{Domain, Socket, Type};

use crate::config::Node;

/// Makes sockets in the namespaces of nodes. Called on the balancer's own threads, which wait for
/// it: it should take microseconds.
pub trait Sockets: Send + Sync {
    /// `shards` listening, non-blocking sockets on the node's address, sharing the port
    /// (`SO_REUSEPORT`).
    ///
    /// # Errors
    /// The system's, when the port cannot be had.
    fn listen(&self, node: &Node, port: u16, shards: usize) -> io::Result<Vec<TcpListener>>;

    /// A non-blocking TCP socket in the node's namespace, not yet connected.
    ///
    /// # Errors
    /// The system's, when there are no sockets left.
    fn connect_socket(&self, node: &Node) -> io::Result<OwnedFd>;
}

/// Sockets in this process's own namespace: for tests, benchmarks and the simulation's doors.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostSockets;

/// Connections that wait to be accepted, at most.
const BACKLOG: i32 = 4096;

impl Sockets for HostSockets {
    fn listen(&self, node: &Node, port: u16, shards: usize) -> io::Result<Vec<TcpListener>> {
        let address = SocketAddr::V4(SocketAddrV4::new(node.address, port));
        let listen = |_| {
            let socket = tcp()?;
            socket.set_reuse_address(true)?;
            socket.set_reuse_port(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            Ok(socket.into())
        };
        (0..shards).map(listen).collect()
    }

    fn connect_socket(&self, _node: &Node) -> io::Result<OwnedFd> {
        Ok(tcp()?.into())
    }
}

fn tcp() -> io::Result<Socket> {
    Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)
}
