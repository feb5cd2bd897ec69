//! What the plane is doing: every duty by its key, and the servers that fulfil it.

use super::checker::Checker;
use super::door::Opened;
use super::protocol::{Duty, Hear};
use super::stock::{Stocks, Ware};
use crate::error::{Error, Result};
use crate::warden::link::Link;
use crate::warden::request::{Kind, Place};
use crate::world::Config;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use tokio::sync::{broadcast, watch};
use zonal_balancer::config::{MetricsReport, Node, Report};
use zonal_balancer::core::flow::Transport;
use zonal_balancer::{Balancer, Sockets};
use zonal_dns::config::{Change, PUBLIC};
use zonal_dns::shell::{DnsServer, Options, Prober, ZoneStore};
use zonal_dns::steps;
use zonal_metadata::shell::MetadataServer;
use zonal_metadata::token::Secret;

/// How often a duty is tried again before it is left at that.
const MOST_TRIES: u32 = 600;

/// Everything that runs.
pub(super) struct Duties {
    told: BTreeMap<String, Duty>,
    /// Those of them that could not be taken up: what they need may come.
    failing: BTreeMap<String, u32>,
    doors: BTreeMap<String, Opened>,
    resolvers: BTreeMap<String, DnsServer>,
    metadata: BTreeMap<String, MetadataServer>,
    probers: BTreeMap<String, Prober>,
    checker: Arc<Checker>,
    /// How many times faster than real time the world's clock runs.
    speed: watch::Sender<u32>,
    balancer: Balancer,
    zones: Arc<ZoneStore>,
    /// What the zones' changes are numbered by.
    zone_revision: u64,
    stocks: Arc<Stocks>,
    upstream: Option<SocketAddr>,
    reports: broadcast::Sender<Arc<Hear>>,
    secret: [u8; 32],
    seed: u64,
    _public: Option<DnsServer>,
}

impl Duties {
    pub(super) fn start(config: &Config, link: Arc<Link>, reports: broadcast::Sender<Arc<Hear>>) -> Result<Self> {
        let stocks = Stocks::new(link);
        let started = Balancer::start(2, Arc::new(NodeSockets(Arc::clone(&stocks))), config.speed);
        let (balancer, mut heard) = started.map_err(|e| Error::Remote(e.to_string()))?;
        let told = reports.clone();
        tokio::spawn(async move {
            while let Some(report) = heard.recv().await {
                match report {
                    Report::Health(health) => drop(told.send(Arc::new(Hear::Health(health)))),
                    Report::ListenFailed { balancer, node, error, .. } => {
                        let reason = format!("listening on {}: {error}", node.address);
                        let _ = told.send(Arc::new(Hear::Failed { key: balancer, reason }));
                    }
                    Report::Applied { .. } => {}
                }
            }
        });
        let mut random = [0; 40];
        let source =
            std::fs::File::open("/dev/urandom").and_then(|mut file| io::Read::read_exact(&mut file, &mut random));
        source.map_err(|source| Error::Os { act: "read", what: "/dev/urandom".into(), source })?;
        let (mut secret, mut seed) = ([0; 32], [0; 8]);
        secret.copy_from_slice(&random[..32]);
        seed.copy_from_slice(&random[32..]);
        let seed = u64::from_le_bytes(seed);
        let zones = Arc::new(ZoneStore::new());
        let places = config.directory.join("places.json");
        if let Err(error) = zones.load_places(&places) {
            tracing::warn!(%error, path = %places.display(), "where clients are is not known");
        }
        let public = public_names(config, &zones, seed).inspect_err(|error| {
            tracing::warn!(%error, port = config.dns_port, "public names are not answered on the host");
        });
        Ok(Self {
            told: BTreeMap::new(),
            failing: BTreeMap::new(),
            doors: BTreeMap::new(),
            resolvers: BTreeMap::new(),
            metadata: BTreeMap::new(),
            probers: BTreeMap::new(),
            checker: Arc::new(Checker { stocks: Arc::clone(&stocks), public: config.public, host: config.host() }),
            speed: watch::Sender::new(config.speed.max(1.0) as u32),
            balancer,
            zones,
            zone_revision: 0,
            stocks,
            upstream: upstream(),
            reports,
            secret,
            seed,
            _public: public.ok(),
        })
    }

    /// What was told, by key.
    pub(super) fn told(&self) -> Vec<(&String, &Duty)> {
        self.told.iter().collect()
    }

    pub(super) fn stocks(&self) -> Arc<Stocks> {
        Arc::clone(&self.stocks)
    }

    pub(super) fn metrics(&self) -> Vec<MetricsReport> {
        self.balancer.metrics()
    }

    /// Takes up all of these and drops all else.
    pub(super) async fn all(&mut self, all: Vec<(String, Duty)>) {
        let all: BTreeMap<String, Duty> = all.into_iter().collect();
        self.failing.clear();
        let over: Vec<String> = self.told.keys().filter(|key| !all.contains_key(*key)).cloned().collect();
        for key in over {
            self.drop_one(&key);
        }
        for (key, duty) in all {
            self.put(key, duty).await;
        }
    }

    /// Takes up a duty, or changes it.
    pub(super) async fn put(&mut self, key: String, duty: Duty) {
        if self.told.get(&key) == Some(&duty) && !matches!(duty, Duty::Door(_)) {
            return;
        }
        match self.take_up(&key, &duty).await {
            Ok(()) => drop(self.failing.remove(&key)),
            Err(reason) => {
                tracing::warn!(key, reason, "a duty could not be taken up");
                self.failing.insert(key.clone(), 0);
                let _ = self.reports.send(Arc::new(Hear::Failed { key: key.clone(), reason }));
            }
        }
        self.told.insert(key, duty);
    }

    /// A balancer could not listen somewhere.
    pub(super) fn has_failed(&mut self, balancer: &str) {
        self.failing.entry(format!("balancer:{balancer}")).or_default();
    }

    /// Tries once more what could not be taken up.
    pub(super) async fn again(&mut self) {
        for (key, tried) in std::mem::take(&mut self.failing) {
            let Some(duty) = self.told.get(&key).cloned() else { continue };
            if let Duty::Balancer(config) = &duty {
                if !self.has_places(&config.nodes).await {
                    self.failing.insert(key, tried);
                    continue;
                }
                // It would refuse the same revision.
                self.balancer.remove(&config.id);
            }
            // What failed is not what is served, so the next version is no step from it.
            self.told.remove(&key);
            if self.take_up(&key, &duty).await.is_err() && tried < MOST_TRIES {
                self.failing.insert(key.clone(), tried + 1);
            }
            self.told.insert(key, duty);
        }
    }

    /// Whether all nodes of a balancer have their interfaces: until then, starting it anew would only disturb the others.
    async fn has_places(&self, nodes: &[Node]) -> bool {
        let (link, nodes) = (Arc::clone(self.stocks.link()), nodes.to_vec());
        let looked = tokio::task::spawn_blocking(move || {
            nodes
                .iter()
                .all(|node| link.sockets(&Place::Interface(node.interface.clone()), Kind::Tcp, 0, false).is_ok())
        });
        looked.await.unwrap_or(false)
    }

    async fn take_up(&mut self, key: &str, duty: &Duty) -> std::result::Result<(), String> {
        match duty {
            Duty::Balancer(config) => self.balancer.apply((**config).clone()).map_err(|e| e.to_string()),
            Duty::Zone { view, zone } => {
                // What is served already is changed name by name, so that a change costs what it changes.
                let steps = match self.told.get(key) {
                    Some(Duty::Zone { zone: old, .. }) if !self.failing.contains_key(key) => steps(view, old, zone),
                    _ => Ok(vec![Change::PutZone { view: view.clone(), zone: (**zone).clone() }]),
                };
                self.change_zones(&steps.map_err(|e| e.to_string())?)
            }
            Duty::Resolver { network, addresses, region } => {
                self.resolvers.remove(key);
                let server = self.resolver(network, addresses, region).await.map_err(|e| e.to_string())?;
                self.resolvers.insert(key.to_owned(), server);
                Ok(())
            }
            Duty::Metadata { interface, document } => {
                if let Some(server) = self.metadata.get(key) {
                    server.put((**document).clone());
                    return Ok(());
                }
                let place = Place::Metadata(interface.clone());
                let socket =
                    self.bind(place, Kind::Tcp, crate::network::METADATA, 80).await.map_err(|e| e.to_string())?;
                let server =
                    MetadataServer::start(TcpListener::from(socket), (**document).clone(), Secret::new(&self.secret));
                self.metadata.insert(key.to_owned(), server.map_err(|e| e.to_string())?);
                Ok(())
            }
            Duty::Probe(probe) => {
                let reports = self.reports.clone();
                let tell = move |probed: zonal_dns::shell::Probed| {
                    let zonal_dns::shell::Probed { id, healthy, address, outcome } = probed;
                    let _ = reports.send(Arc::new(Hear::Probed { id, healthy, address, outcome }));
                };
                let way = Arc::clone(&self.checker);
                let prober = Prober::start(&self.zones, (**probe).clone(), self.speed.subscribe(), way, tell);
                self.probers.insert(key.to_owned(), prober);
                Ok(())
            }
            Duty::Speed(speed) => {
                self.speed.send_replace(*speed);
                self.balancer.set_speed(f64::from(*speed));
                Ok(())
            }
            Duty::Door(door) => {
                let stocks = Arc::clone(&self.stocks);
                let opened = self.doors.entry(key.to_owned()).or_insert_with(|| Opened::new(door.clone(), stocks));
                let failures = opened.put(door.clone()).await;
                if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
            }
        }
    }

    fn change_zones(&mut self, changes: &[Change]) -> std::result::Result<(), String> {
        self.zone_revision += 1;
        self.zones.change(self.zone_revision, changes).map(drop).map_err(|e| e.to_string())
    }

    async fn bind(&self, place: Place, kind: Kind, address: Ipv4Addr, port: u16) -> io::Result<OwnedFd> {
        let link = Arc::clone(self.stocks.link());
        let bound = tokio::task::spawn_blocking(move || link.bind(&place, kind, address, port)).await;
        bound.map_err(io::Error::other)?.map_err(io::Error::other)
    }

    /// The resolver of a VPC, at each of these addresses.
    async fn resolver(&self, network: &str, addresses: &[Ipv4Addr], region: &str) -> io::Result<DnsServer> {
        let place = Place::Router(network.to_owned());
        let mut sockets = zonal_dns::shell::Sockets::default();
        for address in addresses {
            for _ in 0..cores() {
                sockets.udp.push(UdpSocket::from(self.bind(place.clone(), Kind::Udp, *address, 53).await?));
            }
            sockets.tcp.push(TcpListener::from(self.bind(place.clone(), Kind::Tcp, *address, 53).await?));
        }
        DnsServer::start(&self.zones, sockets, Options::resolver(network, self.upstream, self.seed).in_region(region))
    }

    /// Ends a duty.
    pub(super) fn drop_one(&mut self, key: &str) {
        self.failing.remove(key);
        match self.told.remove(key) {
            Some(Duty::Balancer(config)) => {
                self.balancer.remove(&config.id);
                for node in &config.nodes {
                    self.stocks.forget(&Place::Interface(node.interface.clone()));
                }
            }
            Some(Duty::Zone { view, zone }) => {
                // A zone that is not there any more is what was wanted.
                let _ = self.change_zones(&[Change::RemoveZone { view, zone: zone.name }]);
            }
            Some(Duty::Resolver { .. }) => drop(self.resolvers.remove(key)),
            Some(Duty::Metadata { .. }) => drop(self.metadata.remove(key)),
            Some(Duty::Door(_)) => drop(self.doors.remove(key)),
            Some(Duty::Probe(_)) => drop(self.probers.remove(key)),
            Some(Duty::Speed(_)) => {
                self.speed.send_replace(1);
                self.balancer.set_speed(1.0);
            }
            None => {}
        }
    }
}

/// Public names, answered on the host.
fn public_names(config: &Config, zones: &Arc<ZoneStore>, seed: u64) -> io::Result<DnsServer> {
    let at = (Ipv4Addr::LOCALHOST, config.dns_port);
    // The listener tells whether the port is taken: sockets that share it would not.
    let tcp = vec![TcpListener::bind(at)?];
    let udp = (0..cores()).map(|_| shared_udp(at.into())).collect::<io::Result<_>>()?;
    let sockets = zonal_dns::shell::Sockets { udp, tcp };
    DnsServer::start(zones, sockets, Options::authoritative(PUBLIC, seed))
}

/// As many sockets as cores share the queries to one address, up to what a machine's DNS could ever need.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(8)
}

/// A socket that shares its port with its like.
fn shared_udp(at: SocketAddr) -> io::Result<UdpSocket> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt};
    let made = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&made, sockopt::ReusePort, &true)?;
    bind(made.as_raw_fd(), &SockaddrStorage::from(at))?;
    Ok(made.into())
}

/// The machine's own resolver.
fn upstream() -> Option<SocketAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").ok()?;
    let mut servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let address: Ipv4Addr = servers.find_map(|server| server.trim().parse().ok())?;
    Some(SocketAddr::from((address, 53)))
}

/// Sockets in the namespaces of balancer nodes.
struct NodeSockets(Arc<Stocks>);

impl Sockets for NodeSockets {
    fn listen(&self, node: &Node, port: u16, shards: usize) -> io::Result<Vec<TcpListener>> {
        let place = Place::Interface(node.interface.clone());
        let bind = |_| {
            let bound = self.0.link().bind(&place, Kind::Tcp, node.address, port);
            bound.map(TcpListener::from).map_err(io::Error::other)
        };
        (0..shards).map(bind).collect()
    }

    fn connect_socket(&self, node: &Node) -> io::Result<OwnedFd> {
        self.0.take(&Ware::tcp(Place::Interface(node.interface.clone())))
    }

    fn listen_datagrams(&self, node: &Node, port: u16, shards: usize) -> io::Result<Vec<UdpSocket>> {
        let place = Place::Interface(node.interface.clone());
        let bind = |_| {
            let bound = self.0.link().bind(&place, Kind::Udp, node.address, port);
            bound.map(UdpSocket::from).map_err(io::Error::other)
        };
        (0..shards).map(bind).collect()
    }

    fn datagram_socket(&self, node: &Node) -> io::Result<OwnedFd> {
        let place = Place::Interface(node.interface.clone());
        self.0.take(&Ware { place, kind: Kind::Udp, transparent: false })
    }

    fn transparent_socket(&self, node: &Node, transport: Transport) -> io::Result<OwnedFd> {
        let kind = match transport {
            Transport::Tcp => Kind::Tcp,
            Transport::Udp => Kind::Udp,
        };
        self.0.take(&Ware { place: Place::Interface(node.interface.clone()), kind, transparent: true })
    }
}
