//! Which target a new flow goes to: by a hash of what the flow is, among those that are eligible.
//!
//! As the NLB guide has it ("Routing algorithm", "Sticky sessions"): the hash covers protocol, both
//! addresses and ports, and TCP's sequence number, so that two connections from one port may go to
//! two targets; datagrams have no such number, so one port's all go to one. With stickiness by
//! source address nothing but that address counts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{
    Action, BalancerConfig, FlowGroup, FlowListener, FlowProtocol, GroupRouting, HealthState, TargetGroup, TargetState,
};
use crate::core::fleet::{EVERYWHERE, TargetKey};
use crate::core::route::{Means, TargetHandle, are_too_few};

/// What a flow is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    /// How it comes.
    pub transport: Transport,
    /// The client.
    pub source: SocketAddrV4,
    /// The node and its port.
    pub destination: SocketAddrV4,
    /// Of TCP, a number of the connection's own; 0 of UDP.
    pub sequence: u32,
}

/// What carries a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A connection.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Where a flow goes.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'s> {
    /// Its target, for life.
    pub target: &'s Arc<TargetHandle>,
    /// Its group's settings.
    pub group: &'s FlowGroup,
    /// Whether it was chosen of all that are in use, since too few are healthy.
    pub fails_open: bool,
}

/// Why a flow goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoFlow {
    /// The port is listened on no more.
    Closed,
    /// There is no target in reach of the node.
    NoTarget,
}

/// Configuration and health at one instant, as flows see it.
#[derive(Debug, Default)]
pub struct FlowSnapshot {
    ports: Arc<BTreeMap<u16, PortView>>,
    groups: Vec<Arc<GroupView>>,
    /// Where in `groups` each is; ports know them by that.
    places: Arc<BTreeMap<String, usize>>,
}

#[derive(Debug)]
struct PortView {
    listener: FlowListener,
    /// Groups by weight, by their places; those of weight 0 are left out.
    groups: Vec<(u64, usize)>,
}

#[derive(Debug)]
struct GroupView {
    settings: FlowGroup,
    /// Whom nodes of any zone choose from; the rest is by zone.
    all: Eligible,
    by_zone: Option<BTreeMap<String, Eligible>>,
}

/// Those who take new flows.
#[derive(Debug)]
struct Eligible {
    targets: Vec<Arc<TargetHandle>>,
    /// Whether they are all that are in use, healthy or not, since too few are healthy.
    fails_open: bool,
}

impl FlowSnapshot {
    /// Joins a configuration with the health of its targets.
    pub fn new(config: &BalancerConfig, means: Means<'_>) -> Self {
        let (mut groups, mut places) = (Vec::new(), BTreeMap::new());
        for group in &config.target_groups {
            if let Some(view) = view(config, group, means) {
                places.insert(group.id.clone(), groups.len());
                groups.push(view);
            }
        }
        let ports = config.listeners.iter().filter_map(|listener| {
            let Action::Forward(shares) = &listener.default_action else { return None };
            let groups = shares.groups.iter().filter(|share| share.weight > 0);
            let groups =
                groups.filter_map(|share| Some((u64::from(share.weight), *places.get(share.target_group.as_str())?)));
            Some((listener.port, PortView { listener: listener.flow?, groups: groups.collect() }))
        });
        Self { ports: Arc::new(ports.collect()), groups, places: Arc::new(places) }
    }

    /// The next one, after the health of targets of the groups `changed`: nothing else is made anew.
    #[must_use]
    pub fn with_health(&self, config: &BalancerConfig, changed: &BTreeSet<String>, means: Means<'_>) -> Self {
        let mut groups = self.groups.clone();
        for id in changed {
            if let Some(at) = self.places.get(id)
                && let Some(group) = config.group(id).and_then(|group| view(config, group, means))
            {
                groups[*at] = group;
            }
        }
        Self { ports: self.ports.clone(), groups, places: self.places.clone() }
    }

    /// The target of a new flow that came to a node in `zone`.
    ///
    /// # Errors
    /// See [`NoFlow`].
    pub fn choose(&self, zone: &str, key: &FlowKey) -> Result<Chosen<'_>, NoFlow> {
        let port = self.ports.get(&key.destination.port()).ok_or(NoFlow::Closed)?;
        let group = port.group(key, &self.groups).ok_or(NoFlow::NoTarget)?;
        let Eligible { targets, fails_open } = match &group.by_zone {
            None => &group.all,
            Some(zones) => zones.get(zone).ok_or(NoFlow::NoTarget)?,
        };
        let target = if group.settings.sticky { nearest(targets, key) } else { at(targets, hash(key)) }
            .ok_or(NoFlow::NoTarget)?;
        Ok(Chosen { target, group: &group.settings, fails_open: *fails_open })
    }

    /// After which silence a TCP flow of this port ends; `None` where the port is listened on no more.
    pub fn tcp_idle_timeout(&self, port: u16) -> Option<Duration> {
        self.ports.get(&port).map(|port| port.listener.tcp_idle_timeout)
    }

    /// The protocol of a port.
    pub fn protocol(&self, port: u16) -> Option<FlowProtocol> {
        self.ports.get(&port).map(|port| port.listener.protocol)
    }
}

/// A group with its targets as they are now; `None` if it takes no flows.
fn view(config: &BalancerConfig, group: &TargetGroup, means: Means<'_>) -> Option<Arc<GroupView>> {
    let settings = group.flow?;
    let active = group.targets.iter().filter(|target| target.state == TargetState::Active);
    let registered: Vec<_> = active
        .filter_map(|target| {
            let key = TargetKey { group: group.id.clone(), target: target.id.clone(), port: target.port };
            Some((target.zone.as_str(), (means.health)(&key).state, means.targets.get(&key)?))
        })
        .collect();
    Some(Arc::new(GroupView {
        settings,
        all: eligible(&registered, &group.routing, |_| true),
        by_zone: (!group.cross_zone).then(|| {
            let of = |zone: &str| eligible(&registered, &group.routing, |other| other == zone || other == EVERYWHERE);
            config.nodes.iter().map(|node| (node.zone.clone(), of(&node.zone))).collect()
        }),
    }))
}

impl PortView {
    /// A group by its share. Of several, the hash decides: of the client's address alone if one of
    /// them is sticky, so that it does not move between groups either.
    fn group<'s>(&self, key: &FlowKey, groups: &'s [Arc<GroupView>]) -> Option<&'s GroupView> {
        let at = |place: usize| groups.get(place).map(|group| &**group);
        if let [(_, only)] = self.groups.as_slice() {
            return at(*only);
        }
        let total: u64 = self.groups.iter().map(|(weight, _)| weight).sum();
        let sticky = self.groups.iter().filter_map(|(_, place)| at(*place)).any(|group| group.settings.sticky);
        let hash = if sticky { mix(u64::from(u32::from(*key.source.ip()))) } else { hash(key) };
        // Other bits than those that choose the target.
        let mut place = (hash >> 32).checked_rem(total)?;
        self.groups.iter().find_map(|(weight, group)| {
            if place < *weight {
                return at(*group);
            }
            place -= weight;
            None
        })
    }
}

/// The healthy ones; if they are too few, all that are registered and in use (fail-open).
fn eligible(
    registered: &[(&str, HealthState, &Arc<TargetHandle>)],
    routing: &GroupRouting,
    in_zone: impl Fn(&str) -> bool,
) -> Eligible {
    let pick = |wanted: &dyn Fn(HealthState) -> bool| -> Vec<_> {
        let of = registered.iter().filter(|(zone, state, _)| in_zone(zone) && wanted(*state));
        of.map(|(.., target)| Arc::clone(target)).collect()
    };
    let healthy = pick(&|state| state == HealthState::Healthy);
    let all = pick(&|state| matches!(state, HealthState::Healthy | HealthState::Initial | HealthState::Unhealthy));
    let fails_open = are_too_few(healthy.len(), all.len(), routing);
    Eligible { targets: if fails_open { all } else { healthy }, fails_open }
}

fn at(targets: &[Arc<TargetHandle>], hash: u64) -> Option<&Arc<TargetHandle>> {
    // Lossless: the remainder is less than a length.
    targets.get((hash & 0xffff_ffff).checked_rem(targets.len() as u64)? as usize)
}

/// The target whose number is the highest for this client's address: whoever else comes or goes, the
/// client stays there.
fn nearest<'t>(targets: &'t [Arc<TargetHandle>], key: &FlowKey) -> Option<&'t Arc<TargetHandle>> {
    let client = mix(u64::from(u32::from(*key.source.ip())));
    targets.iter().max_by_key(|target| mix(client ^ packed(target.address)))
}

/// A number for a flow, the same in every process.
fn hash(key: &FlowKey) -> u64 {
    let transport = match key.transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
    };
    [packed(key.source), packed(key.destination), u64::from(key.sequence)]
        .into_iter()
        .fold(transport, |hash, part| mix(hash ^ part))
}

fn packed(address: SocketAddrV4) -> u64 {
    u64::from(u32::from(*address.ip())) << 16 | u64::from(address.port())
}

/// Splitmix64's finalizer: every bit of the input moves about half of the output's.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
