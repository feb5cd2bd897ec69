//! The way out: TCP connections that leave the world arrive at a socket here, and are made again from the host. What is near the host
//! (its own addresses, private networks, metadata services) is refused, always. AWS's services and packages are
//! answered here.

use super::door::reset;
use super::packages::Packages;
use super::services::Services;
use super::stock::Stocks;
use crate::network::{EGRESS_PORT, INET_ADDRESS, PACKAGES};
use crate::sys;
use crate::warden::request::{Kind, Place};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use zonal_substrate::SERVICES;

const MOST_CONNECTIONS: usize = 2048;
const PATIENCE: Duration = Duration::from_secs(60);

/// What the plane answers by itself.
pub(super) struct Answering {
    pub services: Services,
    pub packages: Packages,
}

/// Serves the way out, for as long as the plane runs.
pub(super) fn start(stocks: Arc<Stocks>, answering: Answering) {
    let answering = Arc::new(answering);
    tokio::spawn(async move {
        loop {
            match listener(&stocks).await {
                Ok(listener) => serve(listener, &answering).await,
                Err(error) => tracing::warn!(%error, "no way out yet"),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
}

async fn listener(stocks: &Arc<Stocks>) -> io::Result<TcpListener> {
    let link = Arc::clone(stocks.link());
    let bound = tokio::task::spawn_blocking(move || link.bind(&Place::Internet, Kind::Tcp, INET_ADDRESS, EGRESS_PORT));
    TcpListener::from_std(bound.await.map_err(io::Error::other)?.map_err(io::Error::other)?.into())
}

async fn serve(listener: TcpListener, answering: &Arc<Answering>) {
    let limit = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&limit).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((client, _)) => {
                let answering = Arc::clone(answering);
                tokio::spawn(async move {
                    carry(client, &answering).await;
                    drop(slot);
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn carry(mut client: TcpStream, answering: &Answering) {
    let Ok(wanted) = sys::original_destination(client.as_fd()) else { return reset(&client) };
    if *wanted.ip() == SERVICES {
        return answering.services.serve(client, wanted.port()).await;
    }
    if *wanted.ip() == PACKAGES {
        return answering.packages.serve(client).await;
    }
    if !may_leave(wanted) {
        return reset(&client);
    }
    match tokio::time::timeout(PATIENCE, TcpStream::connect(SocketAddr::V4(wanted))).await {
        Ok(Ok(mut server)) => {
            if tokio::io::copy_bidirectional(&mut client, &mut server).await.is_err() {
                reset(&client);
                reset(&server);
            }
        }
        _ => reset(&client),
    }
}

/// Whether an address is one that instances may reach through the host.
fn may_leave(wanted: SocketAddrV4) -> bool {
    is_far(*wanted.ip()) && !is_own(*wanted.ip())
}

/// Whether an address is the internet's: not of a private, local or otherwise special network.
fn is_far(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || a == 0
        || a >= 240
        // Carrier-grade NAT: cloud providers keep services there.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19));
    // Azure's and Alibaba's services for their machines, which have public-looking or shared addresses.
    let provider = address == Ipv4Addr::new(168, 63, 129, 16);
    !special && !provider
}

/// Whether an address is the host's own: only then can something be bound to it.
fn is_own(address: Ipv4Addr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_near_the_host_can_be_reached() {
        for near in [
            "127.0.0.1",
            "127.100.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "0.0.0.0",
            "168.63.129.16",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.192",
            "198.18.0.1",
        ] {
            assert!(!may_leave(SocketAddrV4::new(near.parse().unwrap(), 80)), "{near}");
        }
        assert!(is_far("203.0.113.80".parse().unwrap()));
        assert!(is_far("151.101.0.204".parse().unwrap()));
    }
}
