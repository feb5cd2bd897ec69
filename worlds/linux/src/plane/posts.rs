//! Duties that need sockets of the warden's, each in a task of its own: the warden may be away, or have to be asked for every port, and
//! nothing else is to wait for that.

use super::door::Opened;
use super::protocol::{Duty, Hear};
use super::reports::Reports;
use super::stock::Stocks;
use crate::warden::request::{Kind, Place};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use zonal_dns::shell::{DnsServer, Options, ZoneStore};
use zonal_metadata::shell::MetadataServer;
use zonal_metadata::token::Secret;

/// How often is tried again what could not be taken up.
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// And how often at last.
const RETRY_AT_LAST: Duration = Duration::from_secs(2);
/// After so many tries: what is needed usually comes at once, with the interface or the warden, or not before somebody mends it.
const QUICK_TRIES: u32 = 60;

/// What they are fulfilled with.
pub(super) struct Means {
    pub stocks: Arc<Stocks>,
    pub zones: Arc<ZoneStore>,
    pub upstream: Option<SocketAddr>,
    pub reports: Reports,
    pub secret: [u8; 32],
    pub seed: u64,
}

/// Somebody who fulfils a duty; dropped, they stop.
pub(super) struct Post {
    wanted: watch::Sender<Duty>,
    task: AbortHandle,
}

impl Drop for Post {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Post {
    /// Begins, on the current runtime.
    pub(super) fn start(key: String, duty: Duty, means: Arc<Means>) -> Self {
        let (wanted, changes) = watch::channel(duty);
        let task = tokio::spawn(fulfil(key, changes, means)).abort_handle();
        Self { wanted, task }
    }

    /// Another version of the duty, or the same, to be looked at again.
    pub(super) fn put(&self, duty: Duty) {
        self.wanted.send_replace(duty);
    }
}

/// Who serves.
enum Server {
    Resolver { _server: DnsServer },
    Metadata(MetadataServer),
    Door(Opened),
}

async fn fulfil(key: String, mut wanted: watch::Receiver<Duty>, means: Arc<Means>) {
    let (mut server, mut tries) = (None, 0);
    loop {
        let duty = wanted.borrow_and_update().clone();
        let next = match take_up(server.take(), duty, &means).await {
            Ok(taken) => {
                server = Some(taken);
                wanted.changed().await
            }
            Err((kept, reason)) => {
                server = kept;
                if tries == 0 {
                    tracing::warn!(key, reason, "a duty could not be taken up");
                    means.reports.send(Hear::Failed { key: key.clone(), reason });
                }
                tries += 1;
                let pause = if tries < QUICK_TRIES { RETRY_EVERY } else { RETRY_AT_LAST };
                match tokio::time::timeout(pause, wanted.changed()).await {
                    // What it lacks may have come.
                    Err(_) => continue,
                    Ok(changed) => changed,
                }
            }
        };
        if next.is_err() {
            return;
        }
        tries = 0;
    }
}

/// Has a duty fulfilled by who did so before, or by somebody new; or by as much as there is of them.
async fn take_up(before: Option<Server>, duty: Duty, means: &Arc<Means>) -> Result<Server, (Option<Server>, String)> {
    let failed = |error: io::Error| (None, error.to_string());
    match (before, duty) {
        (Some(Server::Metadata(server)), Duty::Metadata { document, .. }) => {
            server.put(*document);
            Ok(Server::Metadata(server))
        }
        (_, Duty::Metadata { interface, document }) => {
            let place = Place::Metadata(interface);
            let socket = means.stocks.bind(place, Kind::Tcp, crate::network::METADATA, 80).await.map_err(failed)?;
            let server = MetadataServer::start(TcpListener::from(socket), *document, Secret::new(&means.secret));
            Ok(Server::Metadata(server.map_err(failed)?))
        }
        (before, Duty::Resolver { network, addresses, region }) => {
            // Its sockets are where the new one's will be.
            drop(before);
            let server = resolver(means, &network, &addresses, &region).await.map_err(failed)?;
            Ok(Server::Resolver { _server: server })
        }
        (before, Duty::Door(door)) => {
            let mut opened = match before {
                Some(Server::Door(opened)) => opened,
                _ => Opened::new(door.clone(), Arc::clone(&means.stocks)),
            };
            let failures = opened.put(door).await;
            let opened = Server::Door(opened);
            if failures.is_empty() { Ok(opened) } else { Err((Some(opened), failures.join("; "))) }
        }
        (before, _) => Err((before, "no sockets are needed for this".to_owned())),
    }
}

/// The resolver of a VPC, at each of these addresses.
async fn resolver(means: &Means, network: &str, addresses: &[Ipv4Addr], region: &str) -> io::Result<DnsServer> {
    let place = Place::Router(network.to_owned());
    let mut sockets = zonal_dns::shell::Sockets::default();
    for address in addresses {
        for _ in 0..super::cores() {
            let socket = means.stocks.bind(place.clone(), Kind::Udp, *address, 53).await?;
            sockets.udp.push(UdpSocket::from(socket));
        }
        sockets.tcp.push(TcpListener::from(means.stocks.bind(place.clone(), Kind::Tcp, *address, 53).await?));
    }
    DnsServer::start(&means.zones, sockets, Options::resolver(network, means.upstream, means.seed).in_region(region))
}
