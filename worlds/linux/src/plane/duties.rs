//! What the plane is doing: every duty by its key, and the servers that fulfil it. Nothing here waits: what needs sockets of the
//! warden's is left to [`super::posts`].

use super::checker::Checker;
use super::cores;
use super::posts::{Means, Post};
use super::protocol::{Duty, Hear, Held};
use super::reports::Reports;
use super::stock::{Stocks, Ware};
use crate::error::{Error, Result};
use crate::warden::link::Link;
use crate::warden::request::{Kind, Place};
use crate::world::Config;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use tokio::sync::watch;
use zonal_balancer::config::{BalancerConfig, Node, Report};
use zonal_balancer::core::flow::Transport;
use zonal_balancer::{Balancer, Sockets, Supply};
use zonal_dns::config::{Change, PUBLIC, Zone};
use zonal_dns::shell::{DnsServer, Options, Probed, Prober, ZoneStore};
use zonal_dns::table::{NameSets, ZoneTable, changes};

/// Everything that runs.
pub(super) struct Duties {
    told: BTreeMap<String, Held>,
    /// The zones of which not what was told last is served: it was refused.
    refused: BTreeSet<String>,
    posts: BTreeMap<String, Post>,
    probers: BTreeMap<String, Prober>,
    checker: Arc<Checker>,
    /// How many times faster than real time the world's clock runs.
    speed: watch::Sender<u32>,
    balancer: Arc<Balancer>,
    /// What the zones' changes are numbered by.
    zone_revision: u64,
    means: Arc<Means>,
    _public: Option<DnsServer>,
}

impl Duties {
    pub(super) fn start(config: &Config, link: Arc<Link>, reports: Reports) -> Result<Self> {
        let stocks = Stocks::new(link);
        let started = Balancer::start(2, Arc::new(NodeSockets(Arc::clone(&stocks))), config.speed);
        let (balancer, mut heard) = started.map_err(|e| Error::Remote(e.to_string()))?;
        let told = reports.clone();
        tokio::spawn(async move {
            while let Some(report) = heard.recv().await {
                match report {
                    Report::Health(health) => told.send(Hear::Health(health)),
                    // It tries again by itself, for as long as it should listen there.
                    Report::ListenFailed { balancer, node, error, .. } => {
                        let reason = format!("listening on {}: {error}", node.address);
                        told.send(Hear::Failed { key: balancer, reason });
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
            refused: BTreeSet::new(),
            posts: BTreeMap::new(),
            probers: BTreeMap::new(),
            checker: Arc::new(Checker { stocks: Arc::clone(&stocks), public: config.public, host: config.host() }),
            speed: watch::Sender::new(config.speed.max(1.0) as u32),
            balancer: Arc::new(balancer),
            zone_revision: 0,
            means: Arc::new(Means { stocks, zones, upstream: upstream(), reports, secret, seed }),
            _public: public.ok(),
        })
    }

    pub(super) fn stocks(&self) -> Arc<Stocks> {
        Arc::clone(&self.means.stocks)
    }

    /// Has reported what balancers have counted since the last time, until that instant.
    pub(super) fn count(&self, at: i64) {
        let metrics = self.balancer.metrics();
        if !metrics.is_empty() {
            self.means.reports.send(Hear::Metrics { at, metrics });
        }
        self.sweep();
    }

    /// Throws away what connections that went on through nodes which their balancers had left have had fetched since: see [`Self::leave`].
    fn sweep(&self) {
        let balancers = self.told.values().filter_map(|held| match held {
            Held::Other(Duty::Balancer(config)) => Some(config),
            _ => None,
        });
        let nodes: BTreeSet<&str> =
            balancers.flat_map(|config| &config.nodes).map(|node| node.interface.as_str()).collect();
        self.means.stocks.forget_where(|place| match place {
            Place::Interface(interface) => !nodes.contains(interface.as_str()),
            _ => false,
        });
    }

    /// Has everything reported that is so now, for a daemon that has just come or has missed something.
    pub(super) fn recite(&self) {
        self.balancer.recite();
        for probed in self.probers.values().filter_map(Prober::last) {
            self.means.reports.send(hear(probed));
        }
    }

    /// The keys of all that is to be done.
    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        self.told.keys()
    }

    /// Takes up a duty, or changes it; whether that is news.
    pub(super) fn put(&mut self, key: &str, duty: &Duty) -> bool {
        if let Duty::Zone { view, zone } = duty {
            return self.put_zone(key, view, zone);
        }
        let held = Held::Other(duty.clone());
        let is_news = self.told.get(key) != Some(&held);
        // What listens on the host is looked at again whenever it is told.
        if is_news || matches!(duty, Duty::Door(_)) {
            self.take_up(key, duty);
            let before = self.told.insert(key.to_owned(), held);
            if let Some(Held::Other(Duty::Balancer(before))) = before {
                let nodes = if let Duty::Balancer(now) = duty { now.nodes.as_slice() } else { &[] };
                self.leave(before.nodes.iter().filter(|node| !nodes.contains(node)));
            }
        }
        is_news
    }

    /// A duty as it was told last, whole.
    pub(super) fn duty(&self, key: &str) -> Option<Duty> {
        self.told.get(key).map(Held::duty)
    }

    fn put_zone(&mut self, key: &str, view: &str, zone: &Zone) -> bool {
        // What is served already is changed name by name, so that a change costs what it changes.
        if let Some(Held::Zone { table, .. }) = self.told.get_mut(key)
            && let Some(names) = table.replace(zone.clone())
        {
            let is_news = !names.is_empty();
            if is_news || self.refused.contains(key) {
                self.serve(key, names);
            }
            return is_news;
        }
        let table = Box::new(ZoneTable::new(zone.clone()));
        self.told.insert(key.to_owned(), Held::Zone { view: view.to_owned(), table });
        self.serve_whole(key);
        true
    }

    /// Changes some names of a zone, and gives those of which that was news.
    pub(super) fn put_names(&mut self, key: &str, names: NameSets) -> NameSets {
        let Some(Held::Zone { table, .. }) = self.told.get_mut(key) else { return NameSets::new() };
        let news = table.put(names);
        if !news.is_empty() {
            self.serve(key, news.clone());
        }
        news
    }

    /// Says that a zone is answered by as it was told, or is gone as it was told; not of one that was refused.
    pub(super) fn confirm(&self, key: String, revision: u64) {
        if !self.refused.contains(&key) {
            self.means.reports.send(Hear::Served { key, revision });
        }
    }

    /// Answers by names that changed; by the whole zone, where not what was told before is answered by.
    fn serve(&mut self, key: &str, names: NameSets) {
        match self.told.get(key) {
            Some(Held::Zone { view, table }) if !self.refused.contains(key) => {
                let steps: Vec<Change> = changes(view, &table.name, names).collect();
                self.change_zone(key, &steps);
            }
            _ => self.serve_whole(key),
        }
    }

    fn serve_whole(&mut self, key: &str) {
        if let Some(Duty::Zone { view, zone }) = self.duty(key) {
            self.change_zone(key, &[Change::PutZone { view, zone: *zone }]);
        }
    }

    fn change_zone(&mut self, key: &str, steps: &[Change]) {
        match self.change_zones(steps) {
            Ok(()) => drop(self.refused.remove(key)),
            Err(reason) => {
                tracing::warn!(key, reason, "a zone is refused");
                self.refused.insert(key.to_owned());
                self.means.reports.send(Hear::Failed { key: key.to_owned(), reason });
            }
        }
    }

    fn take_up(&mut self, key: &str, duty: &Duty) {
        match duty {
            Duty::Balancer(config) => self.balance(config),
            Duty::Zone { view, zone } => drop(self.put_zone(key, view, zone)),
            Duty::Resolver { .. } | Duty::Metadata { .. } | Duty::Door(_) => match self.posts.get(key) {
                Some(post) => post.put(duty.clone()),
                None => {
                    let post = Post::start(key.to_owned(), duty.clone(), Arc::clone(&self.means));
                    self.posts.insert(key.to_owned(), post);
                }
            },
            Duty::Probe(probe) => {
                let reports = self.means.reports.clone();
                let tell = move |probed| reports.send(hear(probed));
                let way = Arc::clone(&self.checker);
                let speed = self.speed.subscribe();
                let prober = Prober::start(&self.means.zones, (**probe).clone(), speed, way, tell);
                self.probers.insert(key.to_owned(), prober);
            }
            Duty::Speed(speed) => {
                self.speed.send_replace(*speed);
                self.balancer.set_speed(f64::from(*speed));
            }
        }
    }

    fn balance(&self, config: &BalancerConfig) {
        if self.balancer.apply(config.clone()).is_ok() {
            return;
        }
        // Words come in their order, so this is no old one: its revisions are of a control plane that has begun anew.
        self.balancer.remove(&config.id);
        if let Err(error) = self.balancer.apply(config.clone()) {
            tracing::warn!(%error, "a balancer is refused");
        }
    }

    /// Throws away the sockets of nodes that are a balancer's no more: as long as there is one, there is its interface's namespace.
    fn leave<'a>(&self, nodes: impl IntoIterator<Item = &'a Node>) {
        for node in nodes {
            self.means.stocks.forget(&Place::Interface(node.interface.clone()));
        }
    }

    fn change_zones(&mut self, changes: &[Change]) -> std::result::Result<(), String> {
        self.zone_revision += 1;
        self.means.zones.change(self.zone_revision, changes).map(drop).map_err(|e| e.to_string())
    }

    /// Ends a duty.
    pub(super) fn drop_one(&mut self, key: &str) {
        self.refused.remove(key);
        self.posts.remove(key);
        match self.told.remove(key) {
            Some(Held::Zone { view, table }) => {
                // A zone that is not there any more is what was wanted.
                let _ = self.change_zones(&[Change::RemoveZone { view, zone: table.name }]);
            }
            Some(Held::Other(Duty::Balancer(config))) => {
                self.balancer.remove(&config.id);
                self.leave(&config.nodes);
            }
            Some(Held::Other(Duty::Probe(_))) => drop(self.probers.remove(key)),
            Some(Held::Other(Duty::Speed(_))) => {
                self.speed.send_replace(1);
                self.balancer.set_speed(1.0);
            }
            Some(Held::Other(_)) | None => {}
        }
    }
}

/// What a health check knows, as it is reported.
fn hear(probed: Probed) -> Hear {
    let Probed { id, healthy, address, outcome } = probed;
    Hear::Probed { id, healthy, address, outcome }
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
    let read = std::fs::read_to_string("/etc/resolv.conf");
    let text = read
        .inspect_err(|error| tracing::warn!(%error, "/etc/resolv.conf: instances resolve the world's names only"))
        .ok()?;
    let mut servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let address: Ipv4Addr = servers.find_map(|server| server.trim().parse().ok())?;
    Some(SocketAddr::from((address, 53)))
}

/// Sockets in the namespaces of balancer nodes.
struct NodeSockets(Arc<Stocks>);

impl NodeSockets {
    fn bind<T: From<OwnedFd> + Send + 'static>(
        &self,
        node: &Node,
        kind: Kind,
        port: u16,
        shards: usize,
    ) -> Supply<Vec<T>> {
        let (stocks, address) = (Arc::clone(&self.0), node.address);
        let place = Place::Interface(node.interface.clone());
        Supply::Later(Box::pin(async move {
            let mut all = Vec::new();
            for _ in 0..shards {
                all.push(T::from(stocks.bind(place.clone(), kind, address, port).await?));
            }
            Ok(all)
        }))
    }
}

impl Sockets for NodeSockets {
    fn listen(&self, node: &Node, port: u16, shards: usize) -> Supply<Vec<TcpListener>> {
        self.bind(node, Kind::Tcp, port, shards)
    }

    fn connect_socket(&self, node: &Node) -> Supply<OwnedFd> {
        self.0.take(&Ware::tcp(Place::Interface(node.interface.clone())))
    }

    fn listen_datagrams(&self, node: &Node, port: u16, shards: usize) -> Supply<Vec<UdpSocket>> {
        self.bind(node, Kind::Udp, port, shards)
    }

    fn datagram_socket(&self, node: &Node) -> Supply<OwnedFd> {
        let place = Place::Interface(node.interface.clone());
        self.0.take(&Ware { place, kind: Kind::Udp, transparent: false })
    }

    fn transparent_socket(&self, node: &Node, transport: Transport) -> Supply<OwnedFd> {
        let kind = match transport {
            Transport::Tcp => Kind::Tcp,
            Transport::Udp => Kind::Udp,
        };
        self.0.take(&Ware { place: Place::Interface(node.interface.clone()), kind, transparent: true })
    }
}
