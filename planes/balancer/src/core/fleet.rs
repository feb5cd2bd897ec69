//! All targets of one balancer: which are checked, which drain, which are in no use; when the next
//! thing is due. Both worlds drive it: the shell with sockets, the simulation with modelled
//! outcomes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use super::group::Standing;
use super::health::{Checker, Outcome, Time};
use crate::config::{
    Action, BalancerConfig, CheckProtocol, Health, HealthReason, HealthReport, HealthState, Hosts, ProtocolVersion,
    Target, TargetGroup, TargetState,
};

/// The zone of addresses outside the VPC: they are in reach of every node.
pub(crate) const EVERYWHERE: &str = "all";

/// Names a target within its balancer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey {
    /// The target group's ARN.
    pub group: String,
    /// The target's id.
    pub target: String,
    /// The port it is registered with.
    pub port: u16,
}

/// A check to be made now. Its outcome goes to [`Fleet::finish`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Whom it is about.
    pub key: Arc<TargetKey>,
    /// Tells it from checks of an earlier target of that name.
    pub round: u64,
    /// Where to connect to.
    pub address: Ipv4Addr,
    /// Where to connect to.
    pub port: u16,
    /// The target's zone: the node there asks, or any if none is there.
    pub zone: String,
    /// What to ask.
    pub protocol: CheckProtocol,
    /// In what to ask.
    pub version: ProtocolVersion,
    /// Virtual time after which it has failed.
    pub timeout: Duration,
}

/// What a call brought about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Checks to be made.
    pub probes: Vec<Probe>,
    /// Targets whose health changed.
    pub reports: Vec<HealthReport>,
    /// Targets whose time to drain is over, by the clock or because the configuration names them no more: what they
    /// still have is cut off.
    pub expired: Vec<Arc<TargetKey>>,
}

/// The targets of one balancer.
#[derive(Clone, Debug)]
pub struct Fleet {
    balancer: String,
    members: BTreeMap<Arc<TargetKey>, Member>,
    /// When each member wants attention.
    agenda: BTreeSet<(Time, Arc<TargetKey>)>,
    rounds: u64,
}

#[derive(Clone, Debug)]
struct Member {
    address: Ipv4Addr,
    zone: String,
    version: ProtocolVersion,
    phase: Phase,
    round: u64,
    /// Its group's.
    slow_start: Duration,
    /// When it became healthy, if it is given its share little by little since.
    warming: Option<Time>,
}

#[derive(Clone, Debug)]
enum Phase {
    Checked(Box<Checker>),
    Unused(Health),
    Draining { until: Time },
    Drained,
}

impl Fleet {
    /// No targets yet.
    pub fn new(balancer: &str) -> Self {
        Self { balancer: balancer.to_owned(), members: BTreeMap::new(), agenda: BTreeSet::new(), rounds: 0 }
    }

    /// Takes over a configuration. Targets that it does not name are forgotten.
    pub fn apply(&mut self, config: &BalancerConfig, now: Time) -> Events {
        let mut events = Events::default();
        let used = groups_in_use(config);
        let zones: BTreeSet<&str> = config.nodes.iter().map(|node| node.zone.as_str()).collect();
        let mut named = BTreeSet::new();
        for group in &config.target_groups {
            for target in &group.targets {
                let key = Arc::new(TargetKey { group: group.id.clone(), target: target.id.clone(), port: target.port });
                named.insert(key.clone());
                let idle = if !used.contains(group.id.as_str()) {
                    Some("Target group is not configured to receive traffic from the load balancer")
                } else if target.zone != EVERYWHERE && !zones.contains(target.zone.as_str()) {
                    Some("Target is in an Availability Zone that is not enabled for the load balancer")
                } else {
                    None
                };
                self.put(key, group, target, idle, now, &mut events);
            }
        }
        let gone: Vec<_> = self.members.keys().filter(|key| !named.contains(*key)).cloned().collect();
        for key in gone {
            let Some((member, group)) = self.take(&key).zip(config.group(&key.group)) else { continue };
            // Its group is there, so that it was let go of by itself: whoever configures us saw its time come first, or gave it
            // none. Out of a zone that is served no more it goes on.
            let ended = match member.phase {
                Phase::Draining { .. } => true,
                Phase::Checked(_) => {
                    let is_served = member.zone == EVERYWHERE || zones.contains(member.zone.as_str());
                    group.deregistration_delay.is_zero() && is_served
                }
                Phase::Unused(_) | Phase::Drained => false,
            };
            if ended {
                events.expired.push(key);
            }
        }
        events
    }

    /// When [`Fleet::poll`] has something to do next.
    pub fn due(&self) -> Option<Time> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// Does what is due.
    pub fn poll(&mut self, now: Time) -> Events {
        let mut events = Events::default();
        while let Some((at, key)) = self.agenda.pop_first() {
            if at > now {
                self.agenda.insert((at, key));
                break;
            }
            let Some(member) = self.members.get_mut(&key) else { continue };
            let changed = match &mut member.phase {
                Phase::Checked(checker) => {
                    let changed = checker.begin(now);
                    let check = checker.check();
                    events.probes.push(Probe {
                        key: key.clone(),
                        round: member.round,
                        address: member.address,
                        port: check.port.unwrap_or(key.port),
                        zone: member.zone.clone(),
                        protocol: check.protocol.clone(),
                        version: member.version,
                        timeout: check.timeout,
                    });
                    changed
                }
                Phase::Draining { .. } => {
                    member.phase = Phase::Drained;
                    events.expired.push(key.clone());
                    true
                }
                Phase::Unused(_) | Phase::Drained => false,
            };
            if changed {
                self.report(&key, &mut events);
            }
        }
        events
    }

    /// A check is back.
    pub fn finish(&mut self, key: &TargetKey, round: u64, outcome: Outcome, now: Time) -> Events {
        let mut events = Events::default();
        let Some((key, member)) = self.find(key) else { return events };
        let Phase::Checked(checker) = &mut member.phase else { return events };
        if member.round != round {
            return events;
        }
        let changed = checker.finish(outcome, now);
        if let Some(at) = checker.due() {
            self.agenda.insert((at, key.clone()));
        }
        if changed {
            self.warm_up(&key, now);
            self.report(&key, &mut events);
        }
        events
    }

    /// Begins or ends a target's slow start, after its health has changed. As the ALB guide has it: only
    /// where another target is healthy and warm, since somebody must carry the load meanwhile.
    fn warm_up(&mut self, key: &Arc<TargetKey>, now: Time) {
        let carried = self.group(&key.group).any(|(other, member)| {
            let warm = member.warming.is_none_or(|since| since + member.slow_start <= now);
            other != key && warm && member.state() == HealthState::Healthy
        });
        let Some(member) = self.members.get_mut(key) else { return };
        let starts = member.state() == HealthState::Healthy && !member.slow_start.is_zero() && carried;
        member.warming = starts.then_some(now);
    }

    /// A target has nothing in flight: if it drains, it is done.
    pub fn rest(&mut self, key: &TargetKey) -> Events {
        let mut events = Events::default();
        let Some((key, member)) = self.find(key) else { return events };
        if let Phase::Draining { until } = member.phase {
            member.phase = Phase::Drained;
            self.agenda.remove(&(until, key.clone()));
            self.report(&key, &mut events);
        }
        events
    }

    /// Those that drain.
    pub fn draining(&self) -> impl Iterator<Item = &Arc<TargetKey>> {
        let drains = |(_, member): &(&Arc<TargetKey>, &Member)| matches!(member.phase, Phase::Draining { .. });
        self.members.iter().filter(drains).map(|(key, _)| key)
    }

    /// A target's health; `None` if there is no such target.
    pub fn health(&self, key: &TargetKey) -> Option<Health> {
        self.members.get(key).map(Member::health)
    }

    /// What choices need to know of a target. One that is not known is in no use.
    pub fn standing(&self, key: &TargetKey) -> Standing {
        let member = self.members.get(key);
        member.map_or(Standing::from(HealthState::Unused), |member| Standing {
            state: member.state(),
            warming: member.warming,
        })
    }

    /// A report for every target, for whoever missed the changes.
    pub fn reports(&self) -> Vec<HealthReport> {
        let mut events = Events::default();
        for key in self.members.keys() {
            self.report(key, &mut events);
        }
        events.reports
    }

    /// `HealthyHostCount` and `UnHealthyHostCount` per group and zone.
    pub fn hosts(&self) -> BTreeMap<String, BTreeMap<String, Hosts>> {
        let mut hosts: BTreeMap<String, BTreeMap<String, Hosts>> = BTreeMap::new();
        for (key, member) in &self.members {
            member.count_into(hosts.entry(key.group.clone()).or_default());
        }
        hosts
    }

    /// The same of one group, by zone.
    pub fn hosts_of(&self, group: &str) -> BTreeMap<String, Hosts> {
        let mut zones = BTreeMap::new();
        self.group(group).for_each(|(_, member)| member.count_into(&mut zones));
        zones
    }

    /// The members of a group.
    fn group(&self, group: &str) -> impl Iterator<Item = (&Arc<TargetKey>, &Member)> {
        let from = TargetKey { group: group.to_owned(), target: String::new(), port: 0 };
        self.members.range(Arc::new(from)..).take_while(move |(key, _)| key.group == group)
    }

    fn put(
        &mut self,
        key: Arc<TargetKey>,
        group: &TargetGroup,
        target: &Target,
        idle: Option<&str>,
        now: Time,
        events: &mut Events,
    ) {
        let old = self.take(&key);
        let before = old.as_ref().map(Member::health);
        // At another address it is another target, whatever its id.
        let old = old.filter(|old| old.address == target.address);
        let warming = old.as_ref().and_then(|old| old.warming).filter(|_| target.state == TargetState::Active);
        let known_round = old.as_ref().filter(|old| matches!(old.phase, Phase::Checked(_))).map(|old| old.round);
        let next = match (target.state, idle, old.map(|old| old.phase)) {
            (TargetState::Draining, _, Some(phase @ (Phase::Draining { .. } | Phase::Drained))) => phase,
            (TargetState::Draining, ..) => Phase::Draining { until: now + group.deregistration_delay },
            (TargetState::Active, Some(why), _) => Phase::Unused(unused(HealthReason::NotInUse, why)),
            (TargetState::Active, None, Some(Phase::Checked(mut checker))) => {
                if *checker.check() != group.health_check {
                    checker.reconfigure(group.health_check.clone(), now);
                }
                Phase::Checked(checker)
            }
            (TargetState::Active, None, _) => Phase::Checked(Box::new(Checker::new(group.health_check.clone(), now))),
        };
        if let Some(at) = next.due() {
            self.agenda.insert((at, key.clone()));
        }
        let round = known_round.unwrap_or_else(|| {
            self.rounds += 1;
            self.rounds
        });
        let member = Member {
            address: target.address,
            zone: target.zone.clone(),
            version: group.protocol_version,
            phase: next,
            round,
            slow_start: group.routing.slow_start,
            warming: warming.filter(|_| !group.routing.slow_start.is_zero()),
        };
        let changed = before.as_ref() != Some(&member.health());
        self.members.insert(key.clone(), member);
        if changed {
            self.report(&key, events);
        }
    }

    fn find(&mut self, key: &TargetKey) -> Option<(Arc<TargetKey>, &mut Member)> {
        let key = self.members.get_key_value(key)?.0.clone();
        let member = self.members.get_mut(&key)?;
        Some((key, member))
    }

    /// Removes a member, from the agenda too.
    fn take(&mut self, key: &Arc<TargetKey>) -> Option<Member> {
        let member = self.members.remove(key)?;
        if let Some(at) = member.phase.due() {
            self.agenda.remove(&(at, key.clone()));
        }
        Some(member)
    }

    fn report(&self, key: &Arc<TargetKey>, events: &mut Events) {
        let Some(member) = self.members.get(key) else { return };
        events.reports.push(HealthReport {
            balancer: self.balancer.clone(),
            target_group: key.group.clone(),
            target: key.target.clone(),
            port: key.port,
            zone: member.zone.clone(),
            health: member.health(),
        });
    }
}

impl Phase {
    fn due(&self) -> Option<Time> {
        match self {
            Self::Checked(checker) => checker.due(),
            Self::Draining { until } => Some(*until),
            Self::Unused(_) | Self::Drained => None,
        }
    }
}

impl Member {
    fn count_into(&self, zones: &mut BTreeMap<String, Hosts>) {
        let zone = zones.entry(self.zone.clone()).or_default();
        match self.state() {
            HealthState::Healthy => zone.healthy += 1,
            HealthState::Unhealthy => zone.unhealthy += 1,
            HealthState::Initial | HealthState::Draining | HealthState::Unused => {}
        }
    }

    fn state(&self) -> HealthState {
        match &self.phase {
            Phase::Checked(checker) => checker.health().state,
            Phase::Unused(health) => health.state,
            Phase::Draining { .. } => HealthState::Draining,
            Phase::Drained => HealthState::Unused,
        }
    }

    fn health(&self) -> Health {
        match &self.phase {
            Phase::Checked(checker) => checker.health().clone(),
            Phase::Unused(health) => health.clone(),
            Phase::Draining { .. } => Health {
                state: HealthState::Draining,
                reason: Some(HealthReason::DeregistrationInProgress),
                description: Some("Target deregistration is in progress".to_owned()),
            },
            Phase::Drained => unused(HealthReason::NotRegistered, "Target is not registered to the target group"),
        }
    }
}

fn unused(reason: HealthReason, description: &str) -> Health {
    Health { state: HealthState::Unused, reason: Some(reason), description: Some(description.to_owned()) }
}

fn groups_in_use(config: &BalancerConfig) -> BTreeSet<&str> {
    let actions = config.listeners.iter().flat_map(|listener| {
        std::iter::once(&listener.default_action).chain(listener.rules.iter().map(|rule| &rule.action))
    });
    actions
        .flat_map(|action| match action {
            Action::Forward(forward) => &forward.groups[..],
            Action::FixedResponse { .. } | Action::Redirect(_) => &[],
        })
        .map(|group| group.target_group.as_str())
        .collect()
}
