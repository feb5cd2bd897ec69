//! The way out for datagrams: UDP that leaves the world is diverted to a socket here, which is told whom each is for; what is far
//! ([`super::far`]) gets them from a socket of the host's, one per flow, and what it answers goes back in its name.
//!
//! A flow ends when it has been idle for as long as AWS's connection tracking would remember it ("Security group connection tracking" in the
//! EC2 User Guide). There are so many and no more; the one that was used longest ago gives way.

use super::far::may_leave;
use super::flows::{self, Bounds, Flows, LONGEST, Own};
use super::shares::Shares;
use super::stock::Stocks;
use crate::network::{DATAGRAM_PORT, INET_ADDRESS, PACKAGES};
use crate::warden::link::Link;
use crate::warden::request::{Kind, Place};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use zonal_substrate::SERVICES;

/// Flows of all instances at a time, and of these those of one public address.
const BOUNDS: Bounds = Bounds { all: 2048, of_one: 512 };
/// Flows whose sockets are being made at a time, and of these those of one public address; what would begin more is lost.
const MOST_BEGINNING: usize = 128;
const MOST_BEGINNING_OF_ONE: usize = 32;

/// Who speaks, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    client: SocketAddrV4,
    wanted: SocketAddrV4,
}

impl flows::Key for Key {
    fn client(&self) -> Ipv4Addr {
        *self.client.ip()
    }
}

/// How far a flow's conversation has come: AWS remembers one that went to and fro more than once for longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Talk {
    Asked,
    Answered,
    AskedAgain,
    Stream,
}

impl Talk {
    fn after(self, from_client: bool) -> Self {
        match (self, from_client) {
            (Self::Asked, false) => Self::Answered,
            (Self::Answered, true) => Self::AskedAgain,
            (Self::AskedAgain, false) => Self::Stream,
            (same, _) => same,
        }
    }

    /// How long it may be idle.
    fn patience(self) -> Duration {
        Duration::from_secs(if self == Self::Stream { 180 } else { 30 })
    }
}

/// Serves the way out, for as long as the plane runs.
pub(super) fn start(stocks: Arc<Stocks>) {
    let binder = Arc::new(Binder::new(stocks.link().another()));
    tokio::spawn(async move {
        loop {
            let bound = stocks.bind(Place::Internet, Kind::Udp, INET_ADDRESS, DATAGRAM_PORT).await;
            match bound.and_then(|socket| UdpSocket::from_std(socket.into())) {
                Ok(listener) => {
                    if let Err(error) = serve(&listener, &binder).await {
                        tracing::warn!(%error, "the way out for UDP ends");
                    }
                }
                Err(error) => tracing::warn!(%error, "no way out for UDP yet"),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
}

/// Makes the sockets of flows: over a connection of its own to the warden, so that nothing else waits for them.
struct Binder {
    link: Arc<Link>,
    beginning: Arc<Shares>,
}

impl Binder {
    fn new(link: Link) -> Self {
        Self { link: Arc::new(link), beginning: Shares::new(MOST_BEGINNING, MOST_BEGINNING_OF_ONE) }
    }

    /// A socket between the routers for a flow of `client`, with an address of the world outside.
    async fn bind(&self, client: Ipv4Addr, address: SocketAddrV4) -> io::Result<UdpSocket> {
        let share = self.beginning.take(client).ok_or_else(|| io::Error::other("too many begin at once"))?;
        let link = Arc::clone(&self.link);
        let bound = tokio::task::spawn_blocking(move || {
            // The warden is at it even when the flow has given way meanwhile.
            let _share = share;
            link.bind(&Place::Internet, Kind::Udp, *address.ip(), address.port())
        });
        UdpSocket::from_std(bound.await.map_err(io::Error::other)?.map_err(io::Error::other)?.into())
    }
}

async fn serve(listener: &UdpSocket, binder: &Arc<Binder>) -> io::Result<()> {
    setsockopt(listener, sockopt::Ipv4OrigDstAddr, &true)?;
    let mut flows: Flows<Key> = Flows::new(BOUNDS);
    let mut buffer = vec![0; LONGEST];
    loop {
        let (length, key) = listener.async_io(Interest::READABLE, || receive(listener, &mut buffer)).await?;
        let Some(key) = key.filter(|key| leaves(*key.wanted.ip())) else { continue };
        // A flow's own sockets get what comes once they are there; this one came before.
        flows.take(key, buffer[..length].to_vec(), |own| {
            let binder = Arc::clone(binder);
            async move {
                if let Err(error) = carry(key, own, &binder).await {
                    tracing::debug!(%error, ?key, "a flow can't go out");
                }
            }
        });
    }
}

/// Whether datagrams for an address go out. What is answered here is answered over TCP only.
fn leaves(wanted: Ipv4Addr) -> bool {
    wanted != SERVICES && wanted != PACKAGES && may_leave(wanted)
}

/// Takes a datagram, with whom it is from and whom it is for, as far as it says so.
fn receive(listener: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, Option<Key>)> {
    let mut space = nix::cmsg_space!(nix::libc::sockaddr_in);
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrIn>(listener.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::MSG_DONTWAIT)?;
    let wanted = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4OrigDstAddr(address) => Some(SocketAddrV4::from(SockaddrIn::from(address))),
        _ => None,
    });
    let key = message.address.zip(wanted).map(|(from, wanted)| Key { client: from.into(), wanted });
    Ok((message.bytes, key))
}

/// Carries one flow until it has been idle for too long.
async fn carry(key: Key, mut own: Own, binder: &Binder) -> io::Result<()> {
    let outside = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    outside.connect(SocketAddr::V4(key.wanted)).await?;
    let inside = binder.bind(*key.client.ip(), key.wanted).await?;
    inside.connect(SocketAddr::V4(key.client)).await?;
    let mut talk = Talk::Asked;
    loop {
        // What can't be sent, or was refused, is lost, as datagrams are.
        let from_client = tokio::select! {
            packet = own.queue.recv() => {
                let Some(packet) = packet else { return Ok(()) };
                let _ = outside.send(&packet).await;
                true
            }
            ready = inside.readable() => {
                ready?;
                if !pass(&inside, &outside).await {
                    continue;
                }
                true
            }
            ready = outside.readable() => {
                ready?;
                if !pass(&outside, &inside).await {
                    continue;
                }
                false
            }
            () = tokio::time::sleep(talk.patience()) => return Ok(()),
        };
        talk = talk.after(from_client);
        own.stamp();
    }
}

/// Passes one datagram on; whether there was one.
async fn pass(from: &UdpSocket, to: &UdpSocket) -> bool {
    // Not kept: there are thousands of flows, most of them idle.
    let mut buffer = Vec::with_capacity(LONGEST);
    if from.try_recv_buf(&mut buffer).is_err() {
        return false;
    }
    let _ = to.send(&buffer).await;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_remembered_for_longer_once_it_has_gone_to_and_fro_twice() {
        let mut talk = Talk::Asked;
        let mut seen = Vec::new();
        for from_client in [true, false, false, true, true, false, true] {
            talk = talk.after(from_client);
            seen.push(talk.patience().as_secs());
        }
        assert_eq!(seen, [30, 30, 30, 30, 30, 180, 180]);
    }

    #[tokio::test]
    async fn flows_that_begin_are_few_at_a_time_though_they_give_way_before_they_have() {
        let directory = super::super::testing::Directory::new("beginning");
        let (asked, asks) = std::sync::mpsc::channel();
        let asked = std::sync::Mutex::new(asked);
        let link = directory.warden(move |_| {
            let _ = asked.lock().unwrap().send(());
            None
        });
        let binder = Arc::new(Binder::new(link.another()));
        let wanted = SocketAddrV4::new([203, 0, 113, 80].into(), 53);
        let (loud, quiet) = ([127, 100, 0, 5].into(), [127, 100, 0, 6].into());
        let begin = |client| {
            let binder = Arc::clone(&binder);
            tokio::spawn(async move { binder.bind(client, wanted).await.map(drop) })
        };
        let flows: Vec<_> = (0..MOST_BEGINNING_OF_ONE).map(|_| begin(loud)).collect();
        for flow in &flows {
            tokio::task::yield_now().await;
            flow.abort();
        }
        asks.recv_timeout(super::super::testing::DEADLINE).expect("the warden is asked");
        let refused = binder.bind(loud, wanted).await.unwrap_err();
        assert_eq!(refused.to_string(), "too many begin at once");
        // Others may begin.
        let other = begin(quiet);
        tokio::task::yield_now().await;
        assert!(!other.is_finished());
    }
}
