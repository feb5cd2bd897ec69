//! The daemon's side: [`LinuxWorld`] takes asks, has warden and plane perform them, and tells what came of it.
//!
//! Threads of its own do the talking, so that asking never blocks. What is asked of networks is done in order by one; what is asked of
//! sandboxes by several, each sandbox always by the same one, and only after the network asks that came before it. When warden or
//! plane come back after a restart, all that stands is asked again.

mod doors;
mod figures;
mod internet;
mod names;
mod plane;

pub use figures::{RealTime, WorldClock};
pub use internet::Internet;

use crate::error::{Act, Result};
use crate::frame;
use crate::network::{OWN_DOMAIN, PACKAGES};
use crate::plane::protocol::{Duty, Tell};
use crate::trust;
use crate::warden::key;
use crate::warden::link::Link;
use crate::warden::request::{Event, Reply, Request};
use crate::world::Config;
use doors::Doors;
use figures::Measures;
use plane::PlaneLink;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use zonal_dns::config::{RecordSet, Zone};
use zonal_substrate::{Ask, Inventory, Report, Sandbox, SandboxState, StopCause, World};

/// How long a call waits for a warden that restarts.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many sandboxes are started at once.
const WORKERS: usize = 4;

/// What the performer is told, in this order.
enum Word {
    Asks(Vec<Ask>),
    /// All that stands is to be asked again: the warden is another.
    Again,
    /// The control plane has asked for all that stands.
    All,
}

/// What is called with every report. From several threads.
pub type Listener = Box<dyn Fn(Report) + Send + Sync>;

/// The real world, as the daemon holds it.
pub struct LinuxWorld {
    config: Config,
    queue: Mutex<Sender<Word>>,
    direct: Link,
    /// For consoles: nothing else waits for them, nor they for anything.
    consoles: Link,
    /// Wakes who measures by the clock. Who measures ends with it.
    paced: Mutex<Sender<()>>,
}

impl LinuxWorld {
    /// Connects to a world that is up or comes up (see [`crate::supervise`]). `listener` hears every report; what is measured is measured
    /// by `clock`. It waits for nothing: [`World::inventory`] answers once the world does.
    ///
    /// # Errors
    /// When the machine has no threads left.
    pub fn connect(config: Config, clock: Arc<dyn WorldClock>, listener: Listener) -> Result<Self> {
        let direct = Link::new(&config.warden_socket(), PATIENCE);
        let consoles = direct.another();
        let tell = Arc::new(listener);
        let plane = PlaneLink::start(&config, Arc::clone(&tell));
        let (queue, asks) = channel();
        let (paced, changes) = channel();
        let counting = plane.clone();
        let (again, events) = (queue.clone(), config.warden_socket());
        let performer = Performer::new(&config, Arc::clone(&tell), plane);
        spawn("zonal-asks", move || performer.run(&asks))?;
        let heard = Arc::clone(&tell);
        spawn("zonal-events", move || hear_events(&events, &heard, &again))?;
        let link = Link::new(&config.warden_socket(), Duration::ZERO);
        let measures = Measures { link, clock, plane: counting, changes, tell };
        spawn("zonal-figures", move || measures.run())?;
        Ok(Self { config, queue: Mutex::new(queue), direct, consoles, paced: Mutex::new(paced) })
    }

    /// How the world is set up.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Runs a shell in a sandbox on three descriptors; it ends with the shell's own end, which its terminal shows.
    ///
    /// # Errors
    /// When there is no such sandbox, or it does not run.
    pub fn shell(&self, sandbox: &str, fds: [BorrowedFd<'_>; 3]) -> Result<()> {
        self.direct.ask(&Request::Shell(sandbox.to_owned()), &fds).map(drop)
    }
}

/// Runs a shell in a sandbox of a world that is up, with no world held: for the command line, as root or as the world's owner.
///
/// # Errors
/// When the warden does not answer or refuses: there is no such sandbox, or it does not run.
pub fn shell(config: &Config, sandbox: &str, fds: [BorrowedFd<'_>; 3]) -> Result<()> {
    Link::new(&config.warden_socket(), Duration::ZERO).ask(&Request::Shell(sandbox.to_owned()), &fds).map(drop)
}

impl World for LinuxWorld {
    fn ask(&self, asks: Vec<Ask>) {
        if asks.iter().any(|ask| matches!(ask, Ask::SetSpeed(_))) {
            // The clock has its speed already.
            let _ = self.paced.lock().unwrap_or_else(PoisonError::into_inner).send(());
        }
        // The performer lives as long as we do.
        let _ = self.queue.lock().unwrap_or_else(PoisonError::into_inner).send(Word::Asks(asks));
    }

    fn inventory(&self) -> Inventory {
        // An empty answer would say that nothing stands; there is none before the warden answers.
        loop {
            match self.direct.ask(&Request::Inventory, &[]) {
                Ok((Reply::Inventory(inventory), _)) => return inventory,
                Ok((other, _)) => tracing::error!(?other, "the warden tells no inventory"),
                Err(error) => tracing::error!(%error, "the warden tells no inventory"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn console(&self, sandbox: &str) -> Vec<u8> {
        match self.consoles.ask(&Request::Console(sandbox.to_owned()), &[]) {
            Ok((Reply::Console(text), _)) => text,
            _ => Vec::new(),
        }
    }

    fn all_is_asked(&self) {
        let _ = self.queue.lock().unwrap_or_else(PoisonError::into_inner).send(Word::All);
    }

    fn names_answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        names::answer(self.config.dns_port, query)
    }

    fn describe(&self) -> &'static str {
        "linux"
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).act("start thread", name).map(drop)
}

/// Hears what happens to sandboxes, connecting again when the warden restarts: then all that stands is asked once more.
fn hear_events(socket: &std::path::Path, tell: &Listener, again: &Sender<Word>) {
    let (mut first, link) = (true, Link::new(socket, Duration::ZERO));
    loop {
        if let Ok(stream) = key::connect(socket)
            && frame::send(&stream, "warden", &Request::Events, &[]).is_ok()
        {
            // A holder that died took what ran with it. This is said first: what is asked again boots it.
            if !first && let Ok((Reply::Inventory(inventory), _)) = link.ask(&Request::Inventory, &[]) {
                let ended = SandboxState::Stopped(StopCause::WorldEnded);
                for (id, (generation, state)) in inventory.sandboxes.into_iter().filter(|(_, stands)| stands.1 == ended)
                {
                    tell(Report::Sandbox { id, generation, state });
                }
            }
            if !first && again.send(Word::Again).is_err() {
                return;
            }
            first = false;
            while let Ok(Some((Event { id, generation, state }, _))) = frame::receive(&stream, "warden") {
                tell(Report::Sandbox { id, generation, state });
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Performs asks.
struct Performer {
    config: Config,
    link: Link,
    tell: Arc<Listener>,
    plane: PlaneLink,
    workers: Vec<Sender<Request>>,
    /// What stands, in the order of kinds that it must be asked in again.
    standing: BTreeMap<(u8, String), Ask>,
    /// Interfaces that the warden has.
    plugged: BTreeSet<String>,
    /// Sandboxes that are to start once their interface is there. A control plane that comes up again knows that it was, and asks for
    /// both in any order.
    early: BTreeMap<String, Box<Sandbox>>,
    doors: Doors,
    /// Whose last ask the warden has failed at, so that the plane has not been told what follows from it.
    failed: BTreeSet<String>,
    /// Whether the plane is still to hear that it has been told all.
    starting: Starting,
}

/// How far the control plane's start is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Starting {
    Asking,
    /// All is asked; what failed of it is tried again.
    Asked,
    Over,
}

impl Performer {
    fn new(config: &Config, tell: Arc<Listener>, plane: PlaneLink) -> Self {
        let workers = (0..WORKERS)
            .map(|number| {
                let (sender, requests) = channel();
                let (link, tell) = (Link::new(&config.warden_socket(), PATIENCE), Arc::clone(&tell));
                // Without a thread its asks are lost, and the control plane asks again.
                if let Err(error) = spawn(&format!("zonal-sandboxes-{number}"), move || work(&link, &requests, &tell)) {
                    tracing::error!(%error, "no worker for sandboxes");
                }
                sender
            })
            .collect();
        let doors = Doors::new(config.host(), config.first_port());
        Self {
            config: config.clone(),
            link: Link::new(&config.warden_socket(), PATIENCE),
            tell,
            plane,
            workers,
            standing: BTreeMap::new(),
            plugged: BTreeSet::new(),
            early: BTreeMap::new(),
            doors,
            failed: BTreeSet::new(),
            starting: Starting::Asking,
        }
    }

    fn run(mut self, words: &Receiver<Word>) {
        while let Ok(word) = words.recv() {
            match word {
                Word::Asks(asks) => asks.into_iter().for_each(|ask| self.perform(ask)),
                Word::Again => {
                    self.plugged.clear();
                    for ask in self.standing.values().cloned().collect::<Vec<_>>() {
                        self.perform(ask);
                    }
                }
                Word::All if self.starting == Starting::Asking => self.starting = Starting::Asked,
                Word::All => {}
            }
            if self.starting == Starting::Asked && self.failed.is_empty() {
                self.starting = Starting::Over;
                self.doors.all_is_known();
                self.tell_doors();
                self.plane.all_is_told();
            }
        }
    }

    fn tell_doors(&mut self) {
        for (public, door) in self.doors.changes() {
            self.plane.set(format!("door:{public}"), door.map(Duty::Door));
        }
    }

    /// Performs one ask, and tells what came of it.
    fn perform(&mut self, ask: Ask) {
        self.note(&ask);
        let done = match ask {
            Ask::PutNetwork(network) => {
                let id = network.id.clone();
                let key = format!("resolver:{id}");
                let mut addresses = vec![crate::network::RESOLVER];
                addresses
                    .extend(network.cidrs.iter().filter_map(|cidr| crate::network::router::resolver_address(*cidr)));
                let region = network.region.clone();
                let duty = network.resolver.then(|| Duty::Resolver { network: id.clone(), addresses, region });
                let done = self.ask(&id, Request::PutNetwork(network));
                if done {
                    self.plane.set(key, duty);
                    self.plane.set(format!("zone:{id}:{OWN_DOMAIN}"), Some(own_names(&id)));
                }
                return;
            }
            Ask::RemoveNetwork(id) => {
                self.plane.set(format!("resolver:{id}"), None);
                self.plane.set(format!("zone:{id}:{OWN_DOMAIN}"), None);
                self.ask(&id, Request::RemoveNetwork(id.clone())).then_some(Report::NetworkRemoved(id))
            }
            Ask::PutSubnet(subnet) => {
                self.ask(&subnet.id.clone(), Request::PutSubnet(subnet));
                None
            }
            Ask::PutGroup(group) => {
                self.doors.put_group(group.clone());
                self.ask(&group.id.clone(), Request::PutGroup(group));
                None
            }
            Ask::RemoveSubnet(id) | Ask::RemoveGroup(id) => {
                self.doors.remove_group(&id);
                self.ask(&id, Request::Forget(id.clone()));
                None
            }
            Ask::PutInterface(interface) => {
                let (id, generation) = (interface.id.clone(), interface.generation);
                let done = self.ask(&id, Request::PutInterface(interface.clone()));
                if done {
                    self.doors.put_interface(interface);
                    self.plug(&id);
                }
                done.then_some(Report::InterfaceReady { id, generation })
            }
            Ask::RemoveInterface(id) => {
                self.plugged.remove(&id);
                self.doors.remove_interface(&id);
                self.plane.set(format!("metadata:{id}"), None);
                self.ask(&id, Request::RemoveInterface(id.clone())).then_some(Report::InterfaceRemoved(id))
            }
            Ask::StartSandbox(sandbox) if self.plugged.contains(&sandbox.interface) => {
                return self.hand_on(Request::StartSandbox(sandbox));
            }
            Ask::StartSandbox(sandbox) => {
                self.early.insert(sandbox.id.clone(), sandbox);
                return;
            }
            Ask::StopSandbox { id, generation, force } => {
                return self.hand_on(Request::StopSandbox { id, generation, force });
            }
            Ask::CrashSandbox { id, generation } => return self.hand_on(Request::CrashSandbox { id, generation }),
            Ask::RemoveSandbox(id) => return self.hand_on(Request::RemoveSandbox(id)),
            Ask::PutImage { id, sandbox } => return self.hand_on(Request::PutImage { id, sandbox }),
            Ask::RemoveImage(id) => return self.hand_on(Request::RemoveImage(id)),
            Ask::PutBalancer(config) => {
                self.doors.put_balancer(&config);
                self.plane.set(format!("balancer:{}", config.id), Some(Duty::Balancer(config)));
                None
            }
            Ask::RemoveBalancer(id) => {
                self.doors.remove_balancer(&id);
                self.plane.set(format!("balancer:{id}"), None);
                None
            }
            Ask::PutZone { view, zone, confirm } => {
                let (seen, name) = (view.clone(), zone.name.clone());
                let tell = |key| Tell::Put(key, Box::new(Duty::Zone { view, zone }));
                return self.plane.tell_zone(&seen, &name, tell, confirm);
            }
            Ask::PutNames { view, zone, names, confirm } => {
                return self.plane.tell_zone(&view, &zone, |key| Tell::Names(key, names), confirm);
            }
            Ask::RemoveZone { view, name, confirm } => {
                return self.plane.tell_zone(&view, &name, Tell::Drop, confirm);
            }
            Ask::PutProbe(probe) => {
                return self.plane.set(format!("probe:{}", probe.id), Some(Duty::Probe(probe)));
            }
            Ask::RemoveProbe(id) => return self.plane.set(format!("probe:{id}"), None),
            Ask::LookUp { id, query } => {
                let answer = names::answer(self.config.dns_port, &query);
                return (self.tell)(Report::LookedUp { id, answer });
            }
            Ask::IssueCertificate { id, names, days } => {
                return (self.tell)(match trust::issue(&self.config, names, days) {
                    Ok(trust::Issued { certificate, chain, private_key }) => {
                        Report::CertificateIssued { id, certificate, chain, private_key }
                    }
                    Err(error) => Report::Failed { id, reason: error.to_string() },
                });
            }
            Ask::PutMetadata { interface, document } => {
                return self.plane.set(format!("metadata:{interface}"), Some(Duty::Metadata { interface, document }));
            }
            Ask::SetZone { zone, cut } => {
                self.ask(&zone.clone(), Request::SetZone { zone, cut });
                None
            }
            Ask::SetSpeed(speed) => return self.plane.set("speed".to_owned(), Some(Duty::Speed(speed))),
        };
        self.tell_doors();
        if let Some(report) = done {
            (self.tell)(report);
        }
    }

    /// An interface is there: what waited for it starts.
    fn plug(&mut self, interface: &str) {
        self.plugged.insert(interface.to_owned());
        let waiting = self.early.values().filter(|sandbox| sandbox.interface == interface);
        for id in waiting.map(|sandbox| sandbox.id.clone()).collect::<Vec<_>>() {
            if let Some(sandbox) = self.early.remove(&id) {
                self.hand_on(Request::StartSandbox(sandbox));
            }
        }
    }

    /// Asks the warden; a failure is told.
    fn ask(&mut self, id: &str, request: Request) -> bool {
        match self.link.ask(&request, &[]) {
            Ok(_) => {
                self.failed.remove(id);
                true
            }
            Err(error) => {
                self.failed.insert(id.to_owned());
                (self.tell)(Report::Failed { id: id.to_owned(), reason: error.to_string() });
                false
            }
        }
    }

    /// Hands what concerns a sandbox to the one that works on it.
    fn hand_on(&self, request: Request) {
        let id = subject(&request);
        let number =
            id.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % self.workers.len();
        let _ = self.workers[number].send(request);
    }

    /// Remembers what stands.
    fn note(&mut self, ask: &Ask) {
        let kept = match ask {
            Ask::PutNetwork(network) => Some((0, &network.id)),
            Ask::PutSubnet(subnet) => Some((1, &subnet.id)),
            Ask::PutGroup(group) => Some((2, &group.id)),
            Ask::PutInterface(interface) => Some((3, &interface.id)),
            Ask::SetZone { zone, .. } => Some((4, zone)),
            Ask::StartSandbox(sandbox) => Some((5, &sandbox.id)),
            _ => None,
        };
        if let Some((kind, id)) = kept {
            self.standing.insert((kind, id.clone()), ask.clone());
            return;
        }
        let gone = match ask {
            Ask::RemoveNetwork(id) => Some((0, id)),
            Ask::RemoveSubnet(id) => Some((1, id)),
            Ask::RemoveGroup(id) => Some((2, id)),
            Ask::RemoveInterface(id) => Some((3, id)),
            Ask::StopSandbox { id, .. } | Ask::CrashSandbox { id, .. } | Ask::RemoveSandbox(id) => Some((5, id)),
            _ => None,
        };
        if let Some((kind, id)) = gone {
            if kind == 5 {
                self.early.remove(id);
            }
            self.standing.remove(&(kind, id.clone()));
        }
    }
}

/// The names of what is in no AWS, as a VPC sees them.
fn own_names(network: &str) -> Duty {
    let packages = RecordSet {
        name: format!("packages.{OWN_DOMAIN}"),
        type_: "A".to_owned(),
        ttl: 60,
        values: vec![PACKAGES.to_string()],
        ..RecordSet::default()
    };
    let zone = Zone { name: OWN_DOMAIN.to_owned(), overlay: true, records: vec![packages] };
    Duty::Zone { view: network.to_owned(), zone: Box::new(zone) }
}

/// Whose affair a request is: requests of one subject are performed in order.
fn subject(request: &Request) -> &str {
    match request {
        Request::StartSandbox(sandbox) => &sandbox.id,
        Request::StopSandbox { id, .. } | Request::CrashSandbox { id, .. } => id,
        Request::RemoveSandbox(id) | Request::RemoveImage(id) => id,
        Request::PutImage { sandbox, .. } => sandbox,
        _ => "",
    }
}

/// Performs what concerns some of the sandboxes.
fn work(link: &Link, requests: &Receiver<Request>, tell: &Listener) {
    while let Ok(request) = requests.recv() {
        let report = match link.ask(&request, &[]) {
            Ok((Reply::Stopped(cause), _)) => match request {
                Request::StartSandbox(sandbox) => {
                    let state = SandboxState::Stopped(cause);
                    Some(Report::Sandbox { id: sandbox.id, generation: sandbox.generation, state })
                }
                _ => None,
            },
            Ok(_) => match request {
                Request::RemoveSandbox(id) => Some(Report::SandboxRemoved(id)),
                Request::PutImage { id, .. } => Some(Report::ImageReady(id)),
                _ => None,
            },
            Err(error) => {
                let id = match &request {
                    Request::PutImage { id, .. } => id.as_str(),
                    other => subject(other),
                };
                Some(Report::Failed { id: id.to_owned(), reason: error.to_string() })
            }
        };
        if let Some(report) = report {
            tell(report);
        }
    }
}
