//! Load balancers: the balancer plane's own health checks and its counters, over modelled packets.

use crate::events::{Event, Micros, micros};
use crate::network::Source;
use crate::requests::{Ending, Port};
use crate::world::Inner;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;
use zonal_balancer::config::{BalancerConfig, CheckProtocol, MetricsReport};
use zonal_balancer::core::fleet::{Events, Fleet, Probe, TargetKey};
use zonal_balancer::core::health::Outcome;
use zonal_balancer::core::route::{GroupHandle, Means, Snapshot, TargetHandle};
use zonal_substrate::Report;

#[derive(Default)]
pub(crate) struct Balancers {
    all: BTreeMap<String, Balancer>,
    /// The balancer behind each node's interface.
    nodes: BTreeMap<String, String>,
}

pub(crate) struct Balancer {
    pub config: BalancerConfig,
    pub fleet: Fleet,
    pub metrics: MetricsReport,
    /// Flows so far: whose turn it is.
    pub flows: usize,
    /// What requests are routed by: the real balancer's own choices.
    pub snapshot: Snapshot,
    groups: BTreeMap<String, Arc<GroupHandle>>,
    targets: BTreeMap<Arc<TargetKey>, Arc<TargetHandle>>,
    /// Targets so far.
    slots: u64,
    /// When it is looked at next, if that is planned: planned once, or every probe would leave one more.
    planned: Option<Micros>,
}

impl Balancers {
    pub(crate) fn remove(&mut self, id: &str) {
        self.all.remove(id);
        self.nodes.retain(|_, balancer| balancer != id);
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Balancer> {
        self.all.get_mut(id)
    }

    /// The balancer that has a node behind an interface.
    pub(crate) fn behind(&self, interface: &str) -> Option<&str> {
        self.nodes.get(interface).map(String::as_str)
    }

    /// What was counted since this was asked last.
    pub(crate) fn metrics(&mut self) -> Vec<MetricsReport> {
        let report = |balancer: &mut Balancer| {
            let mut metrics = std::mem::take(&mut balancer.metrics);
            metrics.balancer.clone_from(&balancer.config.id);
            metrics.hosts = balancer.fleet.hosts();
            metrics
        };
        self.all.values_mut().map(report).collect()
    }
}

impl Balancer {
    fn new(config: &BalancerConfig) -> Self {
        Self {
            fleet: Fleet::new(&config.id),
            config: BalancerConfig { target_groups: Vec::new(), listeners: Vec::new(), ..config.clone() },
            metrics: MetricsReport::default(),
            flows: 0,
            snapshot: Snapshot::default(),
            groups: BTreeMap::new(),
            targets: BTreeMap::new(),
            slots: 0,
            planned: None,
        }
    }

    /// Takes over a configuration, after the health of the groups `changed`: who stays keeps its turn.
    fn put(&mut self, config: BalancerConfig, changed: &BTreeSet<String>) {
        let (mut groups, mut targets) = (std::mem::take(&mut self.groups), std::mem::take(&mut self.targets));
        for group in &config.target_groups {
            let handle = groups.remove(&group.id);
            let handle =
                handle.unwrap_or_else(|| Arc::new(GroupHandle::new(1, group.protocol, group.protocol_version)));
            for target in &group.targets {
                let key = TargetKey { group: group.id.clone(), target: target.id.clone(), port: target.port };
                let address = SocketAddrV4::new(target.address, target.port);
                let known = targets.remove(&key).filter(|known| known.address == address);
                let known = known.unwrap_or_else(|| {
                    self.slots += 1;
                    Arc::new(TargetHandle::new(self.slots, Arc::new(key), address, handle.clone(), 1))
                });
                self.targets.insert(known.key.clone(), known);
            }
            self.groups.insert(group.id.clone(), handle);
        }
        let before = std::mem::replace(&mut self.config, config);
        self.publish(Some(&before), changed);
    }

    /// The next snapshot, of the last one and what has changed.
    fn publish(&mut self, before: Option<&BalancerConfig>, changed: &BTreeSet<String>) {
        let health = |key: &TargetKey| self.fleet.standing(key);
        let means = Means { health: &health, targets: &self.targets, groups: &self.groups };
        self.snapshot = match before {
            Some(before) => self.snapshot.with_config(before, &self.config, changed, means),
            None => self.snapshot.with_health(&self.config, changed, means),
        };
    }
}

/// The target groups that something happened in.
fn groups_of(events: &Events) -> BTreeSet<String> {
    events.reports.iter().map(|report| report.target_group.clone()).collect()
}

pub(crate) fn clock(now: Micros) -> Duration {
    Duration::from_micros(u64::try_from(now).unwrap_or(0))
}

impl Inner {
    pub(crate) fn put_balancer(&mut self, config: BalancerConfig) {
        let (id, now) = (config.id.clone(), clock(self.now));
        let balancer = self.balancers.all.entry(id.clone()).or_insert_with(|| Balancer::new(&config));
        let events = balancer.fleet.apply(&config, now);
        self.balancers.nodes.retain(|_, balancer| *balancer != id);
        self.balancers.nodes.extend(config.nodes.iter().map(|node| (node.interface.clone(), id.clone())));
        balancer.put(config, &groups_of(&events));
        self.follow(&id, events);
    }

    /// Does what a balancer has to do now.
    pub(crate) fn balance(&mut self, id: &str) {
        let now = clock(self.now);
        let Some(balancer) = self.balancers.get_mut(id) else { return };
        balancer.planned = balancer.planned.filter(|at| *at > self.now);
        let events = balancer.fleet.poll(now);
        self.follow(id, events);
    }

    pub(crate) fn probed(&mut self, id: &str, key: &TargetKey, round: u64, outcome: Outcome) {
        let now = clock(self.now);
        let Some(balancer) = self.balancers.get_mut(id) else { return };
        let events = balancer.fleet.finish(key, round, outcome, now);
        self.follow(id, events);
    }

    fn follow(&mut self, id: &str, events: Events) {
        if !events.reports.is_empty()
            && let Some(balancer) = self.balancers.get_mut(id)
        {
            balancer.publish(None, &groups_of(&events));
        }
        self.reports.extend(events.reports.into_iter().map(Report::TargetHealth));
        for probe in events.probes {
            let (outcome, after) = self.probe(id, &probe);
            let event =
                Event::Probed { balancer: id.to_owned(), key: (*probe.key).clone(), round: probe.round, outcome };
            self.agenda.plan(self.now + micros(after), event);
        }
        let Some(balancer) = self.balancers.all.get_mut(id) else { return };
        let due = balancer.fleet.due().map(|due| micros(due).max(self.now));
        if let Some(due) = due.filter(|due| balancer.planned.is_none_or(|planned| *due < planned)) {
            balancer.planned = Some(due);
            self.agenda.plan(due, Event::Balance(id.to_owned()));
        }
    }

    /// How a health check ends, and after how long.
    fn probe(&mut self, id: &str, probe: &Probe) -> (Outcome, Duration) {
        let node = self.balancers.all.get(id).and_then(|balancer| {
            let nodes = &balancer.config.nodes;
            nodes.iter().find(|node| node.zone == probe.zone).or_else(|| nodes.first())
        });
        let from = node.and_then(|node| self.facts.interface(&node.interface));
        let to = from.and_then(|from| self.facts.by_private(&from.network, probe.address));
        let (Some(from), Some(to)) = (from, to) else { return (Outcome::TimedOut, probe.timeout) };
        if !self.facts.reaches(Source::Inside(from), to, probe.port) {
            return (Outcome::TimedOut, probe.timeout);
        }
        let to = to.id.clone();
        if let Some(inner) = self.balancers.behind(&to).map(ToOwned::to_owned) {
            // A load balancer is asked as any client would ask it.
            let Some(client) = from.addresses.first().map(|address| address.private) else {
                return (Outcome::TimedOut, probe.timeout);
            };
            let visit = self.balanced(&inner, &to, client, probe.port);
            return match visit.ending {
                Ending::Status(status) => (Outcome::Status(status), visit.after),
                Ending::Refused => (Outcome::Failed, visit.after),
                Ending::Silence => (Outcome::TimedOut, probe.timeout),
            };
        }
        match self.port(&to) {
            Port::Answers => {
                let outcome = match probe.protocol {
                    CheckProtocol::Http { .. } | CheckProtocol::Https { .. } => Outcome::Status(200),
                    CheckProtocol::Tcp => Outcome::Connected,
                };
                (outcome, self.costs.answer * self.speed)
            }
            Port::Refuses => (Outcome::Failed, Duration::from_micros(200)),
            Port::Silent => (Outcome::TimedOut, probe.timeout),
        }
    }
}
