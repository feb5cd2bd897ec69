//! Where the balancers of tests get their sockets.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering::SeqCst};

use zonal_balancer::config::Node;
use zonal_balancer::core::flow::Transport;
use zonal_balancer::{HostSockets, Sockets};

/// Ports that the system picks, since a test must not pick one.
#[derive(Default)]
pub struct TestSockets {
    pub port: AtomicU16,
    /// Neither a listener nor a socket can be had.
    pub broken: AtomicBool,
}

impl Sockets for TestSockets {
    fn listen(&self, node: &Node, port: u16, shards: usize) -> io::Result<Vec<TcpListener>> {
        if self.broken.load(SeqCst) {
            return Err(io::Error::other("no sockets now"));
        }
        if port != 80 {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "only port 80 is free"));
        }
        let mut listeners = HostSockets.listen(node, self.port.load(SeqCst), 1)?;
        let real = listeners[0].local_addr()?.port();
        listeners.extend(HostSockets.listen(node, real, shards - 1)?);
        self.port.store(real, SeqCst);
        Ok(listeners)
    }

    fn connect_socket(&self, node: &Node) -> io::Result<OwnedFd> {
        if self.broken.load(SeqCst) {
            return Err(io::Error::other("no sockets now"));
        }
        HostSockets.connect_socket(node)
    }

    fn listen_datagrams(&self, node: &Node, _: u16, shards: usize) -> io::Result<Vec<UdpSocket>> {
        let mut sockets = HostSockets.listen_datagrams(node, self.port.load(SeqCst), 1)?;
        let real = sockets[0].local_addr()?.port();
        sockets.extend(HostSockets.listen_datagrams(node, real, shards - 1)?);
        self.port.store(real, SeqCst);
        Ok(sockets)
    }

    fn datagram_socket(&self, node: &Node) -> io::Result<OwnedFd> {
        HostSockets.datagram_socket(node)
    }

    fn transparent_socket(&self, node: &Node, transport: Transport) -> io::Result<OwnedFd> {
        HostSockets.transparent_socket(node, transport)
    }
}
