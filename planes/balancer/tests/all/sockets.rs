//! Where the balancers of tests get their sockets.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering::SeqCst};

use zonal_balancer::config::Node;
use zonal_balancer::core::flow::Transport;
use zonal_balancer::{HostSockets, Sockets, Supply};

/// Ports that the system picks, since a test must not pick one.
#[derive(Default)]
pub struct TestSockets {
    pub port: AtomicU16,
    /// Neither a listener nor a socket can be had.
    pub broken: AtomicBool,
    /// Sockets to targets are long in coming.
    pub slow: AtomicBool,
}

impl Sockets for TestSockets {
    fn listen(&self, node: &Node, port: u16, shards: usize) -> Supply<Vec<TcpListener>> {
        Supply::Now(self.listeners(node, port, shards))
    }

    fn connect_socket(&self, node: &Node) -> Supply<OwnedFd> {
        if self.broken.load(SeqCst) {
            return Supply::Now(Err(io::Error::other("no sockets now")));
        }
        if self.slow.load(SeqCst) {
            // Nobody makes one, for as long as anybody waits.
            return Supply::Later(Box::pin(std::future::pending()));
        }
        HostSockets.connect_socket(node)
    }

    fn listen_datagrams(&self, node: &Node, _: u16, shards: usize) -> Supply<Vec<UdpSocket>> {
        Supply::Now(self.datagrams(node, shards))
    }

    fn datagram_socket(&self, node: &Node) -> Supply<OwnedFd> {
        HostSockets.datagram_socket(node)
    }

    fn transparent_socket(&self, node: &Node, transport: Transport) -> Supply<OwnedFd> {
        HostSockets.transparent_socket(node, transport)
    }
}

impl TestSockets {
    fn listeners(&self, node: &Node, port: u16, shards: usize) -> io::Result<Vec<TcpListener>> {
        if self.broken.load(SeqCst) {
            return Err(io::Error::other("no sockets now"));
        }
        if port != 80 {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "only port 80 is free"));
        }
        let mut listeners = now(HostSockets.listen(node, self.port.load(SeqCst), 1))?;
        let real = listeners[0].local_addr()?.port();
        listeners.extend(now(HostSockets.listen(node, real, shards - 1))?);
        self.port.store(real, SeqCst);
        Ok(listeners)
    }

    fn datagrams(&self, node: &Node, shards: usize) -> io::Result<Vec<UdpSocket>> {
        let mut sockets = now(HostSockets.listen_datagrams(node, self.port.load(SeqCst), 1))?;
        let real = sockets[0].local_addr()?.port();
        sockets.extend(now(HostSockets.listen_datagrams(node, real, shards - 1))?);
        self.port.store(real, SeqCst);
        Ok(sockets)
    }
}

fn now<T>(supply: Supply<T>) -> io::Result<T> {
    match supply {
        Supply::Now(there) => there,
        Supply::Later(_) => Err(io::Error::other("the host's are there at once")),
    }
}
