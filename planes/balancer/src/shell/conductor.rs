//! The thread that owns configuration and health: it opens and shuts listeners, makes health
//! checks, and swaps snapshots. No request passes through it.

mod doors;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::mpsc;
use tokio::task::spawn_local;

pub use self::doors::Bound;
use self::doors::{Beside, Kind, Opening};
use super::encryption::Ports;
use super::flow::ConductedFlows;
use super::patience::Pace;
use super::probe;
use super::shared::Shared;
use super::sockets::Sockets;
use super::tls::TargetTls;
use super::worker::{Command, DoorKey};
use crate::config::{BalancerConfig, HealthState, Report, Target};
use crate::core::fleet::{Events, Fleet, Probe, TargetKey};
use crate::core::health::{Outcome, Time};
use crate::core::route::{GroupHandle, Means, Snapshot, TargetHandle};

/// What the conductor hears.
pub enum Event {
    /// A new configuration.
    Apply(Box<BalancerConfig>, Arc<Shared>),
    /// A balancer is no more.
    Remove(String),
    /// A health check is back.
    Probed { balancer: String, key: Arc<TargetKey>, round: u64, outcome: Outcome },
    /// A draining target of this balancer may have nothing left to do.
    Rested(String),
    /// Doors that could not be opened are to be tried again.
    Reopen(String),
    /// The sockets of a door have come, or can't be had.
    Bound { key: DoorKey, number: u64, bound: io::Result<Bound> },
    /// Somebody new listens: tell everything that is so.
    Recite,
    /// Virtual time runs at another speed: look again when the next check is due.
    Tick,
    /// The whole plane ends.
    Stop,
}

/// The conductor's state.
pub struct Conductor {
    pace: Pace,
    sockets: Arc<dyn Sockets>,
    target_tls: TargetTls,
    cores: Vec<mpsc::UnboundedSender<Command>>,
    events: mpsc::UnboundedSender<Event>,
    reports: mpsc::UnboundedSender<Report>,
    balancers: BTreeMap<String, Conducted>,
    slots: u64,
    /// Doors whose sockets had to be waited for, so far.
    openings: u64,
    /// Balancers whose snapshot is behind their fleet, and in which target groups.
    behind: BTreeMap<String, BTreeSet<String>>,
    /// Reports that wait until snapshots are as they say.
    unsaid: Vec<Report>,
}

/// Events that are taken together, at most, before snapshots are made of them: a thousand targets
/// that answer at once are one new snapshot.
const BATCH: usize = 256;

/// One balancer, as the conductor knows it.
struct Conducted {
    shared: Arc<Shared>,
    config: Arc<BalancerConfig>,
    fleet: Fleet,
    targets: BTreeMap<Arc<TargetKey>, Arc<TargetHandle>>,
    /// Open, and for what.
    doors: BTreeMap<DoorKey, Kind>,
    opening: BTreeMap<DoorKey, Opening>,
    ports: Ports,
    /// Could not be opened, and that has been reported.
    failed: BTreeSet<DoorKey>,
    /// A try to come.
    retry: Option<Beside>,
    /// What it needs beside that if it is a network load balancer.
    flows: ConductedFlows,
}

/// Says, when the last core has let go of it, that all of them have passed a point.
struct Passed {
    balancer: String,
    events: mpsc::UnboundedSender<Event>,
}

impl Drop for Passed {
    fn drop(&mut self) {
        // The conductor may have ended before the cores.
        let _ = self.events.send(Event::Rested(self.balancer.clone()));
    }
}

impl Conductor {
    /// With all that it needs.
    pub fn new(
        pace: Pace,
        sockets: Arc<dyn Sockets>,
        target_tls: TargetTls,
        cores: Vec<mpsc::UnboundedSender<Command>>,
        events: mpsc::UnboundedSender<Event>,
        reports: mpsc::UnboundedSender<Report>,
    ) -> Self {
        let (balancers, behind, unsaid) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { pace, sockets, target_tls, cores, events, reports, balancers, slots: 0, openings: 0, behind, unsaid }
    }

    /// Runs until told to stop.
    pub async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Event>) {
        loop {
            let due = self.balancers.values().filter_map(|one| one.fleet.due()).min();
            let now = self.now();
            let event = match due {
                None => inbox.recv().await,
                // First, so that no number of events holds up a check.
                Some(due) if due <= now => {
                    self.poll(now);
                    self.settle();
                    continue;
                }
                Some(due) => match tokio::time::timeout(self.pace.real(due - now), inbox.recv()).await {
                    Ok(event) => event,
                    Err(_) => continue,
                },
            };
            let mut next = event;
            for left in (0..BATCH).rev() {
                match next {
                    Some(Event::Stop) | None => return,
                    Some(event) => self.hear(event),
                }
                if left == 0 {
                    break;
                }
                match inbox.try_recv() {
                    Ok(event) => next = Some(event),
                    Err(_) => break,
                }
            }
            self.settle();
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Apply(config, shared) => self.apply(*config, shared),
            Event::Remove(id) => self.remove(&id),
            Event::Probed { balancer, key, round, outcome } => {
                let now = self.now();
                if let Some(one) = self.balancers.get_mut(&balancer) {
                    let events = one.fleet.finish(&key, round, outcome, now);
                    self.follow(&balancer, events);
                }
            }
            Event::Rested(balancer) => self.rest(&balancer),
            Event::Reopen(balancer) => self.put_doors(&balancer),
            Event::Bound { key, number, bound } => self.hear_bound(&key, number, bound),
            Event::Recite => self.recite(),
            Event::Tick | Event::Stop => {}
        }
    }

    /// Makes snapshots as the fleets are, and only then says so.
    fn settle(&mut self) {
        for (id, groups) in std::mem::take(&mut self.behind) {
            if let Some(one) = self.balancers.get(&id) {
                one.publish_health(&groups);
            }
        }
        for report in self.unsaid.drain(..) {
            // Who listens may have stopped; the plane goes on.
            drop(self.reports.send(report));
        }
    }

    fn now(&self) -> Time {
        self.pace.now()
    }

    fn poll(&mut self, now: Time) {
        let due: Vec<_> = self.balancers.keys().cloned().collect();
        for id in due {
            if let Some(one) = self.balancers.get_mut(&id) {
                let events = one.fleet.poll(now);
                self.follow(&id, events);
            }
        }
    }

    fn apply(&mut self, config: BalancerConfig, shared: Arc<Shared>) {
        let (now, cores) = (self.now(), self.cores.len());
        let id = config.id.clone();
        let mut changed = self.behind.remove(&id).unwrap_or_default();
        let before = self.balancers.get(&id).map(|one| one.config.clone());
        let one = self.balancers.entry(id.clone()).or_insert_with(|| Conducted {
            fleet: Fleet::new(&id),
            shared,
            config: Arc::new(config.clone()),
            targets: BTreeMap::new(),
            doors: BTreeMap::new(),
            opening: BTreeMap::new(),
            ports: Ports::default(),
            failed: BTreeSet::new(),
            retry: None,
            flows: ConductedFlows::default(),
        });
        one.config = Arc::new(config);
        one.put_groups(cores);
        let gone = one.put_targets(cores, &mut self.slots);
        let events = one.fleet.apply(&one.config, now);
        let unusable = one.ports.put(&one.config.listeners);
        for (listener, error) in unusable {
            for node in &one.config.nodes {
                let (balancer, node, error) = (id.clone(), node.clone(), error.to_string());
                self.unsaid.push(Report::ListenFailed { balancer, listener: listener.clone(), node, error });
            }
        }
        changed.extend(events.reports.iter().map(|report| report.target_group.clone()));
        // Routed by the new snapshot before the first connection is accepted on a new port.
        one.publish(before.as_deref(), &changed);
        let expired: BTreeSet<&Arc<TargetKey>> = events.expired.iter().collect();
        let ends = |key: &Arc<TargetKey>| expired.contains(key) && ConductedFlows::cuts(one.config.group(&key.group));
        let gone: Vec<_> = gone.iter().map(|target| (target.slot, ends(&target.key))).collect();
        for (slot, ends) in gone {
            self.tell(|| if ends { Command::Cut(slot) } else { Command::Purge(slot) });
        }
        self.put_doors(&id);
        self.follow(&id, events);
        let Some(one) = self.balancers.get(&id) else { return };
        self.unsaid.push(Report::Applied { balancer: id.clone(), revision: one.config.revision });
        if one.fleet.draining().next().is_some() {
            // A core may be about to send a request by the old snapshot: look once all have passed.
            let token: Arc<dyn Send + Sync> = Arc::new(Passed { balancer: id, events: self.events.clone() });
            self.tell(|| Command::Pass(token.clone()));
        }
    }

    fn remove(&mut self, id: &str) {
        let Some(one) = self.balancers.remove(id) else { return };
        one.shared.snapshot.store(Arc::default());
        one.shared.flows.store(Arc::default());
        for key in one.doors.into_keys() {
            self.tell(|| Command::Shut(key.clone()));
        }
        self.tell(|| Command::Dismiss(one.shared.clone()));
        for target in one.targets.values() {
            target.draining.store(true, Relaxed);
            self.tell(|| Command::Purge(target.slot));
        }
    }

    /// Does what the fleet asks for, after the snapshot is as the fleet has it.
    fn follow(&mut self, id: &str, events: Events) {
        let Some(one) = self.balancers.get_mut(id) else { return };
        let mut cut = Vec::new();
        if !events.reports.is_empty() {
            let groups = self.behind.entry(id.to_owned()).or_default();
            groups.extend(events.reports.iter().map(|report| report.target_group.clone()));
        }
        for report in events.reports {
            let key =
                TargetKey { group: report.target_group.clone(), target: report.target.clone(), port: report.port };
            if let Some(target) = one.targets.get(&key) {
                let state = report.health.state;
                if one.flows.ends(one.config.group(&key.group), target.slot, state) {
                    cut.push(target.slot);
                } else if state == HealthState::Unhealthy {
                    // What waits there belongs to a host that may have died without a word.
                    self.cores.iter().for_each(|core| drop(core.send(Command::Purge(target.slot))));
                }
            }
            self.unsaid.push(Report::Health(report));
        }
        for key in events.expired {
            if let Some(target) = one.targets.get(&key)
                && ConductedFlows::cuts(one.config.group(&key.group))
            {
                cut.push(target.slot);
            }
        }
        for slot in cut {
            self.tell(|| Command::Cut(slot));
        }
        let Some(one) = self.balancers.get(id) else { return };
        for probe in events.probes {
            self.send_probe(id, one, probe);
        }
    }

    fn send_probe(&self, id: &str, one: &Conducted, probe: Probe) {
        let nodes = &one.config.nodes;
        let Some(node) = nodes.iter().find(|node| node.zone == probe.zone).or(nodes.first()).cloned() else { return };
        let (sockets, events, balancer) = (self.sockets.clone(), self.events.clone(), id.to_owned());
        let tls = self.target_tls.of(probe.version).clone();
        let limit = self.pace.timeout(probe.timeout);
        spawn_local(async move {
            let (outcome, answer) = probe::ask(&probe, &node, &sockets, &tls, limit).await;
            // The conductor may have ended meanwhile.
            let _ = events.send(Event::Probed { balancer, key: probe.key, round: probe.round, outcome });
            if let Some(stream) = answer {
                probe::hear_out(stream).await;
            }
        });
    }

    fn rest(&mut self, id: &str) {
        let Some(one) = self.balancers.get_mut(id) else { return };
        let idle = |key: &&Arc<TargetKey>| one.targets.get(*key).is_none_or(|target| target.in_flight() == 0);
        let idle: Vec<_> = one.fleet.draining().filter(idle).cloned().collect();
        let mut events = Events::default();
        for key in idle {
            events.reports.extend(one.fleet.rest(&key).reports);
            if let Some(target) = one.targets.get(&key) {
                self.cores.iter().for_each(|core| drop(core.send(Command::Purge(target.slot))));
            }
        }
        self.follow(id, events);
    }

    fn recite(&mut self) {
        for (id, one) in &self.balancers {
            self.unsaid.push(Report::Applied { balancer: id.clone(), revision: one.config.revision });
            self.unsaid.extend(one.fleet.reports().into_iter().map(Report::Health));
        }
    }

    /// A core that has ended needs to be told nothing.
    fn tell(&self, command: impl Fn() -> Command) {
        self.cores.iter().for_each(|core| drop(core.send(command())));
    }
}

impl Conducted {
    /// Swaps in a snapshot of the new configuration; what is as it was `before`, is kept.
    fn publish(&self, before: Option<&BalancerConfig>, changed: &BTreeSet<String>) {
        let mut ledger = self.shared.ledger();
        ledger.hosts = self.fleet.hosts();
        let health = |key: &TargetKey| self.fleet.standing(key);
        let means = Means { health: &health, targets: &self.targets, groups: &ledger.groups };
        let snapshot = match before {
            Some(before) => self.shared.snapshot.load().with_config(before, &self.config, changed, means),
            None => Snapshot::new(&self.config, means),
        };
        self.shared.snapshot.store(Arc::new(snapshot));
        self.flows.publish(&self.config, &self.shared, None, means);
    }

    /// Swaps in a snapshot in which the health of these groups' targets is new.
    fn publish_health(&self, groups: &BTreeSet<String>) {
        let mut ledger = self.shared.ledger();
        for group in groups {
            ledger.hosts.insert(group.clone(), self.fleet.hosts_of(group));
        }
        let health = |key: &TargetKey| self.fleet.standing(key);
        let means = Means { health: &health, targets: &self.targets, groups: &ledger.groups };
        let snapshot = self.shared.snapshot.load().with_health(&self.config, groups, means);
        self.shared.snapshot.store(Arc::new(snapshot));
        self.flows.publish(&self.config, &self.shared, Some(groups), means);
    }

    fn put_groups(&mut self, cores: usize) {
        let mut ledger = self.shared.ledger();
        let mut old = std::mem::take(&mut ledger.groups);
        for group in &self.config.target_groups {
            let handle = old
                .remove(&group.id)
                .unwrap_or_else(|| Arc::new(GroupHandle::new(cores, group.protocol, group.protocol_version)));
            ledger.groups.insert(group.id.clone(), handle);
        }
        ledger.retired.extend(old);
    }

    /// Gives the slots of targets that are no more, or elsewhere.
    fn put_targets(&mut self, cores: usize, slots: &mut u64) -> Vec<Arc<TargetHandle>> {
        let mut old = std::mem::take(&mut self.targets);
        let ledger = self.shared.ledger();
        for group in &self.config.target_groups {
            let Some(group_handle) = ledger.groups.get(&group.id) else { continue };
            for target in &group.targets {
                let (key, handle) = handle(&group.id, target, group_handle, &mut old, cores, slots);
                self.targets.insert(key, handle);
            }
        }
        let gone = old.into_values();
        gone.inspect(|target| target.draining.store(true, Relaxed)).collect()
    }
}

fn handle(
    group: &str,
    target: &Target,
    group_handle: &Arc<GroupHandle>,
    old: &mut BTreeMap<Arc<TargetKey>, Arc<TargetHandle>>,
    cores: usize,
    slots: &mut u64,
) -> (Arc<TargetKey>, Arc<TargetHandle>) {
    let key = TargetKey { group: group.to_owned(), target: target.id.clone(), port: target.port };
    let address = SocketAddrV4::new(target.address, target.port);
    let draining = target.state == crate::config::TargetState::Draining;
    if let Some(known) = old.get(&key).filter(|known| known.address == address).cloned() {
        old.remove(&key);
        known.draining.store(draining, Relaxed);
        return (known.key.clone(), known);
    }
    *slots += 1;
    let key = Arc::new(key);
    let made = TargetHandle::new(*slots, key.clone(), address, group_handle.clone(), cores);
    made.draining.store(draining, Relaxed);
    (key, Arc::new(made))
}
