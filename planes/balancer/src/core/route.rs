//! One immutable snapshot of configuration and health, and the choices made from it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::count::GroupCounts;
use super::fleet::TargetKey;
use super::pattern::{Case, matches};
use crate::config::{
    Action, BalancerConfig, Condition, HealthState, ProtocolVersion, QueryPattern, Redirect, TargetProtocol,
    TargetState,
};

/// Zones that a balancer can have had in its life, at most.
pub const MAX_ZONES: usize = 16;

/// What of a target group outlives a snapshot.
#[derive(Debug)]
pub struct GroupHandle {
    /// Whether its targets are spoken to over TLS.
    pub protocol: TargetProtocol,
    /// What they are spoken to in.
    pub version: ProtocolVersion,
    /// Which target's turn it is.
    turn: AtomicUsize,
    /// Which group's turn it is, in actions that begin with this one.
    share_turn: AtomicUsize,
    /// One per core and zone, made when first needed.
    counts: Box<[OnceLock<Box<GroupCounts>>]>,
}

impl GroupHandle {
    /// For so many cores.
    pub fn new(cores: usize, protocol: TargetProtocol, version: ProtocolVersion) -> Self {
        let counts = (0..cores * MAX_ZONES).map(|_| OnceLock::new()).collect();
        Self { protocol, version, turn: AtomicUsize::new(0), share_turn: AtomicUsize::new(0), counts }
    }

    /// The counters of one core and node.
    pub fn counts(&self, core: usize, zone: usize) -> &GroupCounts {
        self.counts[core * MAX_ZONES + zone].get_or_init(Box::default)
    }

    /// All counters that exist, with their zone.
    pub fn all_counts(&self) -> impl Iterator<Item = (usize, &GroupCounts)> {
        self.counts.iter().enumerate().filter_map(|(at, counts)| Some((at % MAX_ZONES, &**counts.get()?)))
    }
}

/// What of a target outlives a snapshot.
#[derive(Debug)]
pub struct TargetHandle {
    /// Never used twice.
    pub slot: u64,
    /// Whom it is about.
    pub key: Arc<TargetKey>,
    /// Where it listens.
    pub address: SocketAddrV4,
    /// Its group.
    pub group: Arc<GroupHandle>,
    /// Deregistered: whoever finishes a request says so.
    pub draining: AtomicBool,
    /// Requests on their way, per core.
    in_flight: Box<[OwnLine]>,
}

/// A counter on a cache line of its own, so that cores do not wait for each other.
#[derive(Debug, Default)]
#[repr(align(64))]
struct OwnLine(AtomicU32);

impl TargetHandle {
    /// For so many cores.
    pub fn new(slot: u64, key: Arc<TargetKey>, address: SocketAddrV4, group: Arc<GroupHandle>, cores: usize) -> Self {
        let in_flight = (0..cores).map(|_| OwnLine::default()).collect();
        Self { slot, key, address, group, draining: AtomicBool::new(false), in_flight }
    }

    /// A request begins.
    pub fn begin(&self, core: usize) {
        self.in_flight[core].0.fetch_add(1, Relaxed);
    }

    /// A request has ended.
    pub fn end(&self, core: usize) {
        self.in_flight[core].0.fetch_sub(1, Relaxed);
    }

    /// Requests on their way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.iter().map(|core| core.0.load(Relaxed)).sum()
    }
}

/// What of a request rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Method.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Host as asked for, with its port.
    pub host: &'a str,
    /// All headers.
    pub headers: &'a [httparse::Header<'a>],
    /// The client's address.
    pub client: Ipv4Addr,
    /// The listener's port.
    pub port: u16,
    /// The listener's protocol.
    pub scheme: Scheme,
}

/// What clients speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP.
    #[default]
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// As it is in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl Facts<'_> {
    /// The host without its port.
    pub fn host_name(&self) -> &str {
        match self.host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => self.host,
        }
    }
}

/// What is done with a request.
#[derive(Debug)]
pub enum Decision<'s> {
    /// It goes there.
    Forward(&'s Arc<TargetHandle>),
    /// Its group has no target: 503.
    NoTarget,
    /// It is answered.
    Fixed {
        /// Status.
        status: u16,
        /// Content-Type, if any.
        content_type: Option<&'s str>,
        /// Body.
        body: &'s str,
    },
    /// It is sent elsewhere.
    Redirect(&'s Redirect),
    /// The port is listened on no more.
    Closed,
}

/// Configuration and health of a balancer at one instant.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The configuration's revision.
    pub revision: u64,
    /// After which silent connections are closed; virtual time.
    pub idle_timeout: Duration,
    listeners: Vec<ListenerView>,
}

#[derive(Debug)]
struct ListenerView {
    port: u16,
    rules: Vec<(Vec<Condition>, ActionView)>,
    default_action: ActionView,
}

#[derive(Debug)]
enum ActionView {
    Forward(Shares),
    Fixed { status: u16, content_type: Option<String>, body: String },
    Redirect(Redirect),
}

/// Target groups by weight.
#[derive(Debug)]
struct Shares {
    groups: Vec<(usize, Arc<GroupView>)>,
    total: usize,
    /// Coprime to `total`: steps of this length visit every place once, far from each other.
    stride: usize,
}

#[derive(Debug)]
struct GroupView {
    handle: Arc<GroupHandle>,
    /// Whom nodes of any zone choose from.
    all: Vec<Arc<TargetHandle>>,
    /// Whom nodes of a zone choose from, if they must stay in it.
    by_zone: Option<BTreeMap<String, Vec<Arc<TargetHandle>>>>,
}

impl Snapshot {
    /// Joins a configuration with the health of its targets.
    pub fn new(
        config: &BalancerConfig,
        health: impl Fn(&TargetKey) -> HealthState,
        targets: &BTreeMap<Arc<TargetKey>, Arc<TargetHandle>>,
        groups: &BTreeMap<String, Arc<GroupHandle>>,
    ) -> Self {
        let mut views = BTreeMap::new();
        for group in &config.target_groups {
            let Some(handle) = groups.get(&group.id) else { continue };
            let active = group.targets.iter().filter(|target| target.state == TargetState::Active);
            let registered: Vec<_> = active
                .filter_map(|target| {
                    let key = TargetKey { group: group.id.clone(), target: target.id.clone(), port: target.port };
                    Some((target.zone.as_str(), health(&key), targets.get(&key)?))
                })
                .collect();
            let view = GroupView {
                handle: handle.clone(),
                all: eligible(&registered, |_| true),
                by_zone: (!group.cross_zone).then(|| {
                    let zones = registered.iter().map(|(zone, ..)| *zone);
                    zones.map(|zone| (zone.to_owned(), eligible(&registered, |other| other == zone))).collect()
                }),
            };
            views.insert(group.id.as_str(), Arc::new(view));
        }
        let listeners = config.listeners.iter().map(|listener| {
            let mut rules: Vec<_> = listener.rules.iter().collect();
            rules.sort_by_key(|rule| rule.priority);
            ListenerView {
                port: listener.port,
                rules: rules
                    .into_iter()
                    .map(|rule| (rule.conditions.clone(), ActionView::new(&rule.action, &views)))
                    .collect(),
                default_action: ActionView::new(&listener.default_action, &views),
            }
        });
        Self { revision: config.revision, idle_timeout: config.idle_timeout, listeners: listeners.collect() }
    }

    /// What to do with a request that came in on a node in `zone`; and how many rules were looked
    /// at.
    pub fn decide(&self, zone: &str, facts: &Facts<'_>) -> (Decision<'_>, u64) {
        let Some(listener) = self.listeners.iter().find(|listener| listener.port == facts.port) else {
            return (Decision::Closed, 0);
        };
        let mut evaluated = 0;
        let hit = listener.rules.iter().find(|(conditions, _)| {
            evaluated += 1;
            conditions.iter().all(|condition| holds(condition, facts))
        });
        let action = hit.map_or(&listener.default_action, |(_, action)| action);
        let decision = match action {
            ActionView::Fixed { status, content_type, body } => {
                Decision::Fixed { status: *status, content_type: content_type.as_deref(), body }
            }
            ActionView::Redirect(redirect) => Decision::Redirect(redirect),
            ActionView::Forward(shares) => {
                shares.next().and_then(|group| group.next(zone)).map_or(Decision::NoTarget, Decision::Forward)
            }
        };
        (decision, evaluated)
    }
}

impl ActionView {
    fn new(action: &Action, views: &BTreeMap<&str, Arc<GroupView>>) -> Self {
        match action {
            Action::Forward(forward) => Self::Forward(Shares::new(
                forward
                    .groups
                    .iter()
                    .filter_map(|share| Some((share.weight as usize, views.get(share.target_group.as_str())?.clone())))
                    .collect(),
            )),
            Action::FixedResponse { status_code, content_type, message_body } => {
                Self::Fixed { status: *status_code, content_type: content_type.clone(), body: message_body.clone() }
            }
            Action::Redirect(redirect) => Self::Redirect(redirect.clone()),
        }
    }
}

impl Shares {
    fn new(groups: Vec<(usize, Arc<GroupView>)>) -> Self {
        let total: usize = groups.iter().map(|(weight, _)| weight).sum();
        // About the golden section of the whole spreads best.
        let start = (total * 5 / 8).max(1);
        let stride = (start..=total.max(1)).find(|stride| gcd(*stride, total) == 1).unwrap_or(1);
        Self { groups, total, stride }
    }

    fn next(&self) -> Option<&GroupView> {
        let first = match self.groups.as_slice() {
            [(1.., only)] => return Some(only),
            [(_, first), ..] => first,
            [] => return None,
        };
        let turn = first.handle.share_turn.fetch_add(1, Relaxed).checked_rem(self.total)?;
        let mut place = turn * self.stride % self.total;
        for (weight, group) in &self.groups {
            if place < *weight {
                return Some(group);
            }
            place -= weight;
        }
        None
    }
}

impl GroupView {
    fn next(&self, zone: &str) -> Option<&Arc<TargetHandle>> {
        let targets = match &self.by_zone {
            None => &self.all,
            Some(zones) => zones.get(zone)?,
        };
        let turn = self.handle.turn.fetch_add(1, Relaxed).checked_rem(targets.len())?;
        Some(&targets[turn])
    }
}

/// The healthy ones; if there are none, all that are registered and in use (fail-open).
fn eligible(
    registered: &[(&str, HealthState, &Arc<TargetHandle>)],
    in_zone: impl Fn(&str) -> bool,
) -> Vec<Arc<TargetHandle>> {
    let pick = |wanted: &dyn Fn(HealthState) -> bool| -> Vec<_> {
        let of = registered.iter().filter(|(zone, state, _)| in_zone(zone) && wanted(*state));
        of.map(|(.., target)| Arc::clone(target)).collect()
    };
    let healthy = pick(&|state| state == HealthState::Healthy);
    if healthy.is_empty() {
        return pick(&|state| matches!(state, HealthState::Initial | HealthState::Unhealthy));
    }
    healthy
}

fn holds(condition: &Condition, facts: &Facts<'_>) -> bool {
    let any = |patterns: &[String], text: &[u8], case| patterns.iter().any(|p| matches(p.as_bytes(), text, case));
    let (path, query) = facts.target.split_once('?').unwrap_or((facts.target, ""));
    match condition {
        Condition::HostHeader(patterns) => any(patterns, facts.host_name().as_bytes(), Case::Insensitive),
        Condition::PathPattern(patterns) => any(patterns, path.as_bytes(), Case::Sensitive),
        Condition::HttpRequestMethod(methods) => methods.iter().any(|method| method == facts.method),
        Condition::HttpHeader { name, values } => {
            let named = facts.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
            named.into_iter().any(|header| any(values, header.value, Case::Insensitive))
        }
        Condition::QueryString(wanted) => {
            query.split('&').filter(|pair| !pair.is_empty()).any(|pair| wanted.iter().any(|want| in_query(want, pair)))
        }
        Condition::SourceIp(networks) => networks.iter().any(|(network, length)| {
            let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0);
            u32::from(*network) & mask == u32::from(facts.client) & mask
        }),
    }
}

fn in_query(want: &QueryPattern, pair: &str) -> bool {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let key_matches = want.key.as_ref().is_none_or(|k| matches(k.as_bytes(), key.as_bytes(), Case::Insensitive));
    key_matches && matches(want.value.as_bytes(), value.as_bytes(), Case::Insensitive)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
