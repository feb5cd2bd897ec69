//! Performs asks: what concerns networks in their order by one thread, what concerns sandboxes by several, and what concerns the plane by telling it.

use super::doors::Doors;
use super::names::{self, Question};
use super::plane::PlaneLink;
use super::{Listener, PATIENCE, Word, spawn};
use crate::network::{OWN_DOMAIN, PACKAGES};
use crate::plane::protocol::{Duty, Tell};
use crate::trust;
use crate::warden::link::Link;
use crate::warden::request::{Reply, Request};
use crate::world::Config;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SendError, Sender, channel};
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
    /// Where what is to be looked up goes.
    questions: Sender<Question>,
    doors: Doors,
    /// What the warden failed at last, each with the keys of the plane's duties that follow from it and could not be told: there the plane
    /// goes on as an earlier control plane told it, and nothing else waits for that.
    untold: BTreeMap<String, BTreeSet<String>>,
    starting: Starting,
}

/// How far the control plane's start is.
#[derive(Debug, PartialEq, Eq)]
enum Starting {
    Asking,
    /// All is asked, and the plane has heard that it was told all but these keys.
    Over(BTreeSet<String>),
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
        let (questions, asked) = channel();
        let (port, hearing) = (config.dns_port, Arc::clone(&tell));
        if let Err(error) = spawn("zonal-lookups", move || names::look_up(port, &asked, &hearing)) {
            tracing::error!(%error, "no names are looked up");
        }
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
            questions,
            doors,
            untold: BTreeMap::new(),
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
                Word::All => {
                    self.doors.all_is_known();
                    self.tell_doors();
                    self.all_is_told();
                }
            }
            // What failed may have been done by now, or be no more.
            if self.starting != Starting::Asking {
                self.all_is_told();
            }
        }
    }

    /// Has the plane end what it was not told again.
    fn all_is_told(&mut self) {
        let over = Starting::Over(self.untold.values().flatten().cloned().collect());
        if self.starting != over
            && let Starting::Over(untold) = &over
        {
            self.plane.all_is_told(untold.clone());
            self.starting = over;
        }
    }

    fn tell_doors(&mut self) {
        for (public, door) in self.doors.changes() {
            self.plane.set(door_of(public), door.map(Duty::Door));
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
                let names = format!("zone:{id}:{OWN_DOMAIN}");
                if self.ask(&id, Request::PutNetwork(network), [key.clone(), names.clone()]) {
                    self.plane.set(key, duty);
                    self.plane.set(names, Some(own_names(&id)));
                }
                return;
            }
            Ask::RemoveNetwork(id) => {
                self.plane.set(format!("resolver:{id}"), None);
                self.plane.set(format!("zone:{id}:{OWN_DOMAIN}"), None);
                self.ask(&id, Request::RemoveNetwork(id.clone()), []).then_some(Report::NetworkRemoved(id))
            }
            Ask::PutSubnet(subnet) => {
                self.ask(&subnet.id.clone(), Request::PutSubnet(subnet), []);
                None
            }
            Ask::PutGroup(group) => {
                self.doors.put_group(group.clone());
                self.ask(&group.id.clone(), Request::PutGroup(group), []);
                None
            }
            Ask::RemoveSubnet(id) | Ask::RemoveGroup(id) => {
                self.doors.remove_group(&id);
                self.ask(&id, Request::Forget(id.clone()), []);
                None
            }
            Ask::PutInterface(interface) => {
                let (id, generation) = (interface.id.clone(), interface.generation);
                let doors =
                    interface.addresses.iter().filter_map(|address| address.public).map(door_of).collect::<Vec<_>>();
                let done = self.ask(&id, Request::PutInterface(interface.clone()), doors);
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
                self.ask(&id, Request::RemoveInterface(id.clone()), []).then_some(Report::InterfaceRemoved(id))
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
                if let Err(SendError(Question { id, .. })) = self.questions.send(Question { id, query }) {
                    (self.tell)(Report::LookedUp { id, answer: None });
                }
                return;
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
                self.ask(&zone.clone(), Request::SetZone { zone, cut }, []);
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

    /// Asks the warden; a failure is told, and that the plane can't be told under these keys of what follows.
    fn ask(&mut self, id: &str, request: Request, follows: impl IntoIterator<Item = String>) -> bool {
        match self.link.ask(&request, &[]) {
            Ok(_) => {
                self.untold.remove(id);
                true
            }
            Err(error) => {
                self.untold.insert(id.to_owned(), follows.into_iter().collect());
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

/// The key of a public address's duty.
fn door_of(public: Ipv4Addr) -> String {
    format!("door:{public}")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;
    use crate::plane::testing::{DEADLINE, Directory};
    use std::os::unix::net::{UnixListener, UnixStream};
    use zonal_substrate::Network;

    /// The next list of all that stands.
    fn next_list(plane: &UnixStream) -> BTreeSet<String> {
        loop {
            if let (Tell::Only(keys), _) = frame::receive(plane, "daemon").unwrap().unwrap() {
                return keys;
            }
        }
    }

    #[test]
    fn what_the_warden_refuses_keeps_nothing_else_from_being_told_as_all() {
        let directory = Directory::new("performer");
        let config = Config::new(directory.0.clone(), (0, 0));
        std::fs::create_dir_all(config.plane_directory()).unwrap();
        let plane = UnixListener::bind(config.plane_socket()).unwrap();
        let _warden = directory.warden(|request| {
            let refused = matches!(request, Request::PutNetwork(network) if network.id == "vpc-bad");
            Some((if refused { Reply::Failed("no".to_owned()) } else { Reply::Done }, Vec::new()))
        });
        let tell: Arc<Listener> = Arc::new(Box::new(|_| ()));
        let performer = Performer::new(&config, Arc::clone(&tell), PlaneLink::start(&config, tell));
        let (queue, words) = channel();
        let performing = std::thread::spawn(move || performer.run(&words));
        let network = |id: &str| {
            Ask::PutNetwork(Network {
                id: id.to_owned(),
                cidrs: vec!["10.0.0.0/16".parse().unwrap()],
                region: "us-east-1".to_owned(),
                resolver: true,
                internet: false,
            })
        };
        queue.send(Word::Asks(vec![network("vpc-bad"), network("vpc-good")])).unwrap();
        queue.send(Word::All).unwrap();
        let (stream, _) = plane.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let of = |id: &str| [format!("resolver:{id}"), format!("zone:{id}:{OWN_DOMAIN}")];
        let all = BTreeSet::from_iter([of("vpc-bad"), of("vpc-good")].concat());
        assert_eq!(next_list(&stream), all, "what an earlier control plane told of the refused one goes on");
        queue.send(Word::Asks(vec![Ask::RemoveNetwork("vpc-bad".to_owned())])).unwrap();
        assert_eq!(next_list(&stream), BTreeSet::from(of("vpc-good")));
        drop(queue);
        performing.join().unwrap();
    }
}
