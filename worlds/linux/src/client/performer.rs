//! Performs asks: what concerns networks in their order by one thread, what concerns sandboxes by several, and what concerns the plane by telling it.

use super::doors::Doors;
use super::plane::PlaneLink;
use super::{Listener, PATIENCE, Word, names, spawn};
use crate::network::{OWN_DOMAIN, PACKAGES};
use crate::plane::protocol::{Duty, Tell};
use crate::trust;
use crate::warden::link::Link;
use crate::warden::request::{Reply, Request};
use crate::world::Config;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use zonal_dns::config::{RecordSet, Zone};
use zonal_substrate::{Ask, Report, Sandbox, SandboxState};

/// How many sandboxes are started at once.
const WORKERS: usize = 4;

/// Performs asks.
pub(super) struct Performer {
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
    pub(super) fn new(config: &Config, tell: Arc<Listener>, plane: PlaneLink) -> Self {
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

    pub(super) fn run(mut self, words: &Receiver<Word>) {
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
