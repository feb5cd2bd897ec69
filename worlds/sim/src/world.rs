//! The world itself: sandboxes, and what is asked of it.

use crate::authority::Authority;
use crate::balancers::Balancers;
use crate::events::{Agenda, Costs, Event, Micros, micros};
use crate::network::Facts;
use crate::probes::Probes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use zonal_dns::Snapshot;
use zonal_dns::config::{Change, PUBLIC};
use zonal_dns::table::changes;
use zonal_substrate::{
    Ask, Interface, Inventory, Report, Sandbox, SandboxFigures, SandboxState, StopCause, World, ZoneTable,
};

/// How often figures are reported, virtual time: at the end of each minute.
const FIGURES: Duration = Duration::from_secs(60);

/// A virtual world.
pub struct Sim {
    inner: Mutex<Inner>,
}

/// What a sandbox is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Booting,
    Up,
    Serving,
    Stopping,
    Off,
}

pub(crate) struct Machine {
    pub sandbox: Sandbox,
    pub phase: Phase,
    /// Requests answered since figures were reported last.
    pub answered: u64,
}

pub(crate) struct Inner {
    pub now: Micros,
    pub speed: u32,
    pub costs: Costs,
    pub agenda: Agenda,
    pub facts: Facts,
    pub up: BTreeSet<String>,
    pub sandboxes: BTreeMap<String, Machine>,
    /// The sandbox behind each interface.
    pub behind: BTreeMap<String, String>,
    pub images: BTreeSet<String>,
    pub names: Snapshot,
    /// The public zones, for their TTLs.
    pub zones: BTreeMap<String, ZoneTable>,
    pub balancers: Balancers,
    pub probes: Probes,
    pub authority: Authority,
    pub reports: Vec<Report>,
    pub draws: u64,
}

impl Sim {
    /// An empty world at a time.
    #[must_use]
    pub fn new(now: Micros, costs: Costs) -> Self {
        let mut agenda = Agenda::default();
        agenda.plan(next_minute(now), Event::Figures);
        Self {
            inner: Mutex::new(Inner {
                now,
                speed: 1,
                costs,
                agenda,
                facts: Facts::default(),
                up: BTreeSet::new(),
                sandboxes: BTreeMap::new(),
                behind: BTreeMap::new(),
                images: BTreeSet::new(),
                names: Snapshot::default(),
                zones: BTreeMap::new(),
                balancers: Balancers::default(),
                probes: Probes::default(),
                authority: Authority::default(),
                reports: Vec::new(),
                draws: 0,
            }),
        }
    }

    /// When something happens next.
    #[must_use]
    pub fn due(&self) -> Option<Micros> {
        self.lock().agenda.due()
    }

    /// How many things are planned: what one more step of time may cost.
    #[must_use]
    pub fn planned(&self) -> usize {
        self.lock().agenda.len()
    }

    /// Lets happen what is due, and gives what is to be reported of it.
    pub fn advance(&self, now: Micros) -> Vec<Report> {
        let mut inner = self.lock();
        while let Some((at, event)) = inner.agenda.take(now) {
            inner.now = at.max(inner.now);
            inner.happen(event);
        }
        inner.now = now.max(inner.now);
        std::mem::take(&mut inner.reports)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World for Sim {
    fn ask(&self, asks: Vec<Ask>) {
        let mut inner = self.lock();
        for ask in asks {
            inner.take_up(ask);
        }
    }

    fn inventory(&self) -> Inventory {
        let inner = self.lock();
        let state = |machine: &Machine| match machine.phase {
            Phase::Off | Phase::Stopping => SandboxState::Stopped(StopCause::Asked),
            Phase::Booting | Phase::Up | Phase::Serving => SandboxState::Running,
        };
        let sandbox = |(id, own): (&String, &Machine)| (id.clone(), (own.sandbox.generation, state(own)));
        Inventory {
            sandboxes: inner.sandboxes.iter().map(sandbox).collect(),
            interfaces: inner.facts.interface_ids().cloned().collect(),
            networks: inner.facts.networks.keys().cloned().collect(),
            images: inner.images.iter().cloned().collect(),
        }
    }

    fn console(&self, sandbox: &str) -> Vec<u8> {
        let inner = self.lock();
        let Some(own) = inner.sandboxes.get(sandbox) else { return Vec::new() };
        let line = match own.phase {
            Phase::Serving => "user data has run; the application is modelled, nothing was executed",
            _ => "booting; nothing is executed in a virtual world",
        };
        format!("[virtual] {}: {line}\n", own.sandbox.hostname).into_bytes()
    }

    fn names_answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let inner = self.lock();
        zonal_dns::ask::asked(&inner.names, query, inner.draws)
    }

    fn describe(&self) -> &'static str {
        "sim (virtual)"
    }
}

impl Inner {
    /// What costs so much real time, from now.
    pub(crate) fn after(&self, cost: Duration) -> Micros {
        self.now + micros(cost * self.speed)
    }

    fn plan(&mut self, cost: Duration, event: Event) {
        let at = self.after(cost);
        self.agenda.plan(at, event);
    }

    fn take_up(&mut self, ask: Ask) {
        match ask {
            Ask::PutNetwork(network) => {
                self.facts.networks.insert(network.id.clone(), network);
            }
            Ask::RemoveNetwork(id) => {
                self.facts.networks.remove(&id);
                self.plan(self.costs.removal, Event::NetworkGone(id));
            }
            Ask::PutSubnet(subnet) => {
                self.facts.subnets.insert(subnet.id.clone(), subnet);
            }
            Ask::RemoveSubnet(id) => {
                self.facts.subnets.remove(&id);
            }
            Ask::PutGroup(group) => {
                self.facts.groups.insert(group.id.clone(), group);
            }
            Ask::RemoveGroup(id) => {
                self.facts.groups.remove(&id);
            }
            Ask::PutInterface(interface) => {
                let (id, generation) = (interface.id.clone(), interface.generation);
                let place = |own: &Interface| (own.generation, own.beside.clone());
                if self.facts.interface(&id).is_some_and(|before| place(before) != place(&interface)) {
                    self.up.remove(&id);
                }
                self.facts.put_interface(interface);
                if !self.up.contains(&id) {
                    self.plan(self.costs.interface, Event::InterfaceUp { id, generation });
                }
            }
            Ask::RemoveInterface(id) => {
                self.facts.remove_interface(&id);
                self.up.remove(&id);
                self.plan(self.costs.removal, Event::InterfaceGone(id));
            }
            Ask::StartSandbox(sandbox) => self.start(*sandbox),
            Ask::StopSandbox { id, generation, .. } => self.stop(id, generation),
            Ask::CrashSandbox { id, generation } => {
                self.die(&id, Some(generation), StopCause::Died("its PID 1 was killed".to_owned()))
            }
            Ask::RemoveSandbox(id) => {
                if let Some(old) = self.sandboxes.remove(&id) {
                    self.behind.remove(&old.sandbox.interface);
                }
                self.plan(self.costs.removal, Event::SandboxGone(id));
            }
            Ask::PutImage { id, .. } => {
                self.images.insert(id.clone());
                self.plan(self.costs.boot, Event::ImageMade(id));
            }
            Ask::RemoveImage(id) => {
                self.images.remove(&id);
            }
            Ask::PutBalancer(config) => self.put_balancer(*config),
            Ask::RemoveBalancer(id) => self.balancers.remove(&id),
            Ask::PutZone { view, zone, confirm } => {
                if view == PUBLIC {
                    self.zones.insert(zone.name.clone(), ZoneTable::new((*zone).clone()));
                }
                let name = zone.name.clone();
                self.name(view.clone(), name, &[Change::PutZone { view, zone: *zone }], confirm);
            }
            Ask::PutNames { view, zone, names, confirm } => {
                if let Some(known) = self.zones.get_mut(&zone).filter(|_| view == PUBLIC) {
                    known.put(names.clone());
                }
                let changes: Vec<Change> = changes(&view, &zone, names).collect();
                self.name(view, zone, &changes, confirm);
            }
            Ask::RemoveZone { view, name, confirm } => {
                if view == PUBLIC {
                    self.zones.remove(&name);
                }
                self.name(view.clone(), name.clone(), &[Change::RemoveZone { view, zone: name }], confirm);
            }
            Ask::PutProbe(probe) => self.put_probe(*probe),
            Ask::RemoveProbe(id) => self.probes.remove(&id),
            Ask::LookUp { id, query } => {
                let answer = zonal_dns::ask::asked(&self.names, &query, self.draws);
                self.plan(self.costs.names, Event::Told(Box::new(Report::LookedUp { id, answer })));
            }
            Ask::IssueCertificate { id, names, days } => {
                let report = match self.authority.issue(names, days) {
                    Ok((certificate, chain, private_key)) => {
                        Report::CertificateIssued { id, certificate, chain, private_key }
                    }
                    Err(error) => Report::Failed { id, reason: error.to_string() },
                };
                self.plan(self.costs.names, Event::Told(Box::new(report)));
            }
            Ask::PutMetadata { .. } => {}
            Ask::SetZone { zone, cut } => self.set_zone(&zone, cut),
            // What costs the modelled machine real time takes so many times longer in virtual time.
            Ask::SetSpeed(speed) => self.speed = speed.max(1),
        }
    }

    fn name(&mut self, view: String, zone: String, changes: &[Change], confirm: Option<u64>) {
        match self.names.changed_by(self.names.revision() + 1, changes) {
            Ok(names) => {
                self.names = names;
                if let Some(revision) = confirm {
                    self.plan(self.costs.names, Event::ZoneServed { view, zone, revision });
                }
            }
            Err(error) => self.reports.push(Report::Failed { id: format!("{view}:{zone}"), reason: error.to_string() }),
        }
    }

    fn start(&mut self, sandbox: Sandbox) {
        let (id, generation) = (sandbox.id.clone(), sandbox.generation);
        self.behind.insert(sandbox.interface.clone(), id.clone());
        let known = self.sandboxes.get(&id);
        if known.is_some_and(|own| own.sandbox.generation == generation && own.phase != Phase::Off) {
            return;
        }
        if self.facts.cut.contains(&sandbox.zone) {
            self.sandboxes.insert(id.clone(), Machine { sandbox, phase: Phase::Off, answered: 0 });
            let state = SandboxState::Stopped(StopCause::ZoneCut);
            self.reports.push(Report::Sandbox { id, generation, state });
            return;
        }
        // A reboot shuts the earlier start down first.
        let shutdown = known.filter(|own| own.phase != Phase::Off).map_or(Duration::ZERO, |_| self.costs.shutdown);
        self.sandboxes.insert(id.clone(), Machine { sandbox, phase: Phase::Booting, answered: 0 });
        self.plan(shutdown + self.costs.boot, Event::Booted { id, generation });
    }

    fn stop(&mut self, id: String, generation: u64) {
        match self.sandboxes.get_mut(&id) {
            Some(own) if own.sandbox.generation == generation && own.phase != Phase::Off => {
                own.phase = Phase::Stopping;
                self.plan(self.costs.shutdown, Event::ShutDown { id, generation });
            }
            // What does not run has stopped.
            _ => self.plan(Duration::ZERO, Event::ShutDown { id, generation }),
        }
    }

    fn die(&mut self, id: &str, generation: Option<u64>, cause: StopCause) {
        let Some(own) = self.sandboxes.get_mut(id) else { return };
        if own.phase == Phase::Off || generation.is_some_and(|generation| generation != own.sandbox.generation) {
            return;
        }
        own.phase = Phase::Off;
        let state = SandboxState::Stopped(cause);
        self.reports.push(Report::Sandbox { id: id.to_owned(), generation: own.sandbox.generation, state });
    }

    fn set_zone(&mut self, zone: &str, cut: bool) {
        if !cut {
            self.facts.cut.remove(zone);
            return;
        }
        self.facts.cut.insert(zone.to_owned());
        let inside: Vec<String> =
            self.sandboxes.iter().filter(|(_, own)| own.sandbox.zone == zone).map(|(id, _)| id.clone()).collect();
        for id in inside {
            self.die(&id, None, StopCause::ZoneCut);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::InterfaceUp { id, generation } => {
                // What was planned for an earlier place of its own is not said.
                let current = self.facts.interface(&id).is_some_and(|own| own.generation == generation);
                if current && self.up.insert(id.clone()) {
                    self.reports.push(Report::InterfaceReady { id, generation });
                }
            }
            Event::InterfaceGone(id) => self.reports.push(Report::InterfaceRemoved(id)),
            Event::NetworkGone(id) => self.reports.push(Report::NetworkRemoved(id)),
            Event::SandboxGone(id) => self.reports.push(Report::SandboxRemoved(id)),
            Event::Told(report) => self.reports.push(*report),
            Event::ImageMade(id) => self.reports.push(Report::ImageReady(id)),
            Event::ZoneServed { view, zone, revision } => {
                self.reports.push(Report::ZoneServed { view, zone, revision });
            }
            Event::Booted { id, generation } => {
                if self.turn(&id, generation, Phase::Booting, Phase::Up) {
                    self.plan(self.costs.application, Event::Serving { id: id.clone(), generation });
                    self.reports.push(Report::Sandbox { id, generation, state: SandboxState::Running });
                }
            }
            Event::Serving { id, generation } => {
                if self.turn(&id, generation, Phase::Up, Phase::Serving) && generation == 1 {
                    let state = SandboxState::UserDataDone { exit: 0 };
                    self.reports.push(Report::Sandbox { id, generation, state });
                }
            }
            Event::ShutDown { id, generation } => {
                if let Some(own) = self.sandboxes.get_mut(&id).filter(|own| own.sandbox.generation == generation) {
                    own.phase = Phase::Off;
                }
                let state = SandboxState::Stopped(StopCause::Asked);
                self.reports.push(Report::Sandbox { id, generation, state });
            }
            Event::Probed { balancer, key, round, outcome } => self.probed(&balancer, &key, round, outcome),
            Event::ProbeDue { id, round } => self.probe_from_outside(&id, round),
            Event::Balance(id) => self.balance(&id),
            Event::Figures => self.figures(),
        }
    }

    /// Moves a start of a sandbox from one phase to the next; false where it is no longer in that phase.
    fn turn(&mut self, id: &str, generation: u64, from: Phase, to: Phase) -> bool {
        let own = self.sandboxes.get_mut(id).filter(|own| own.sandbox.generation == generation && own.phase == from);
        own.map(|own| own.phase = to).is_some()
    }

    fn figures(&mut self) {
        self.agenda.plan(next_minute(self.now), Event::Figures);
        let (costs, speed) = (self.costs, self.speed);
        let mut all = Vec::new();
        for (id, own) in self.sandboxes.iter_mut().filter(|(_, own)| matches!(own.phase, Phase::Up | Phase::Serving)) {
            let answered = std::mem::take(&mut own.answered);
            let capacity = FIGURES.as_secs_f64() / f64::from(speed) * f64::from(own.sandbox.vcpus) * costs.vcpu_share;
            let busy = answered as f64 * costs.answer_cpu.as_secs_f64() / capacity;
            all.push(SandboxFigures {
                id: id.clone(),
                cpu_percent: (busy * 100.0).min(100.0),
                network_in: answered * 600,
                network_out: answered * 450,
                packets_in: answered * 4,
                packets_out: answered * 3,
            });
        }
        if !all.is_empty() {
            let minute = (self.now - micros(FIGURES)) / 1_000_000;
            self.reports.push(Report::SandboxFigures { minute, figures: all });
        }
        let metrics = self.balancers.metrics();
        if !metrics.is_empty() {
            // The last instant of the minute that they were counted in.
            self.reports.push(Report::BalancerMetrics { at: self.now - 1, metrics });
        }
    }
}

/// The end of the minute that an instant is in: minutes are the clock's, not those since the world began.
fn next_minute(now: Micros) -> Micros {
    now - now.rem_euclid(micros(FIGURES)) + micros(FIGURES)
}
