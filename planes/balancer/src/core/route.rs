//! One immutable snapshot of configuration and health, and the choices made from it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::condition::Tests;
use super::fleet::TargetKey;
pub use super::group::Standing;
use super::group::{GroupView, Pick, Registered};
pub use super::handle::{GroupHandle, MAX_ZONES, TargetHandle};
use super::health::Time;
use super::sticky::{Kind, Marker, Marks, Seal};
use crate::config::{Action, BalancerConfig, HttpSettings, Redirect, ResponseHeaders, TargetState};

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
    /// Seconds since 1970.
    pub now: u64,
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
    Forward(Chosen<'s>),
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

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'s> {
    /// The target.
    pub target: &'s Arc<TargetHandle>,
    /// The priority of the rule that said so; `None` for the default action.
    pub rule: Option<u32>,
    group: &'s GroupView,
    stuck: bool,
    stickiness: Option<Duration>,
    seal: &'s Seal,
}

impl Chosen<'_> {
    /// The cookies that bring the client back, if it is to come back. `real` turns virtual durations
    /// into real ones.
    pub fn marks(&self, facts: &Facts<'_>, real: &dyn Fn(Duration) -> Duration) -> Option<Box<Marks>> {
        if self.stickiness.is_none() && !self.group.is_sticky() {
            return None;
        }
        let turn = self.group.handle.cookies.fetch_add(1, Relaxed) as u64;
        let marker = Marker { seal: self.seal, now: facts.now, real, secure: facts.scheme == Scheme::Https, turn };
        let mut marks = Marks::default();
        if let Some(duration) = self.stickiness {
            marker.stick(Kind::Group, self.group.token, duration, &mut marks);
        }
        self.group.mark(Pick { target: self.target, stuck: self.stuck }, &marker, &mut marks);
        Some(Box::new(marks))
    }
}

/// Configuration and health of a balancer at one instant.
#[derive(Debug)]
pub struct Snapshot {
    /// The configuration's revision.
    pub revision: u64,
    /// After which silent connections are closed; virtual time.
    pub idle_timeout: Duration,
    /// How requests are read and passed on.
    pub http: HttpSettings,
    listeners: Vec<ListenerView>,
    seal: Seal,
}

impl Default for Snapshot {
    /// Of a balancer that is no more, or not yet.
    fn default() -> Self {
        Self {
            revision: 0,
            idle_timeout: Duration::ZERO,
            http: HttpSettings::default(),
            listeners: Vec::new(),
            seal: Seal::new(""),
        }
    }
}

#[derive(Debug)]
struct ListenerView {
    port: u16,
    tests: Tests,
    /// One per rule.
    rules: Vec<RuleView>,
    default_action: ActionView,
    /// What answers have that they would not have by themselves.
    headers: Option<Arc<ResponseHeaders>>,
}

#[derive(Debug)]
struct RuleView {
    priority: u32,
    action: ActionView,
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
    /// For so long a client stays with its group.
    stickiness: Option<Duration>,
}

impl Snapshot {
    /// Joins a configuration with the health of its targets.
    pub fn new<S: Into<Standing>>(
        config: &BalancerConfig,
        health: impl Fn(&TargetKey) -> S,
        targets: &BTreeMap<Arc<TargetKey>, Arc<TargetHandle>>,
        groups: &BTreeMap<String, Arc<GroupHandle>>,
    ) -> Self {
        let mut views = BTreeMap::new();
        for group in &config.target_groups {
            let Some(handle) = groups.get(&group.id) else { continue };
            let active = group.targets.iter().filter(|target| target.state == TargetState::Active);
            let registered: Vec<Registered<'_>> = active
                .filter_map(|target| {
                    let key = TargetKey { group: group.id.clone(), target: target.id.clone(), port: target.port };
                    Some((target.zone.as_str(), health(&key).into(), targets.get(&key)?))
                })
                .collect();
            views.insert(group.id.as_str(), Arc::new(GroupView::new(group, handle.clone(), &registered)));
        }
        let listeners = config.listeners.iter().map(|listener| {
            let mut rules: Vec<_> = listener.rules.iter().collect();
            rules.sort_by_key(|rule| rule.priority);
            let mut tests = Tests::default();
            rules.iter().for_each(|rule| tests.push(&rule.conditions));
            let rules = rules
                .into_iter()
                .map(|rule| RuleView { priority: rule.priority, action: ActionView::new(&rule.action, &views) });
            let plain = listener.response_headers == ResponseHeaders::default();
            ListenerView {
                port: listener.port,
                tests,
                rules: rules.collect(),
                default_action: ActionView::new(&listener.default_action, &views),
                headers: (!plain).then(|| Arc::new(listener.response_headers.clone())),
            }
        });
        let secret = if config.cookie_secret.is_empty() { &config.id } else { &config.cookie_secret };
        Self {
            revision: config.revision,
            idle_timeout: config.idle_timeout,
            http: config.http.clone(),
            listeners: listeners.collect(),
            seal: Seal::new(secret),
        }
    }

    /// What to do with a request that came in on a node in `zone`; and how many rules were looked
    /// at. `now` is asked for the virtual time only where the choice depends on it.
    pub fn decide(&self, zone: &str, facts: &Facts<'_>, now: &dyn Fn() -> Time) -> (Decision<'_>, u64) {
        let Some(listener) = self.listener(facts.port) else {
            return (Decision::Closed, 0);
        };
        let hit = listener.tests.first(facts);
        let evaluated = hit.map_or(listener.tests.count(), |at| at + 1) as u64;
        let hit = hit.map(|at| &listener.rules[at]);
        let action = hit.map_or(&listener.default_action, |rule| &rule.action);
        let decision = match action {
            ActionView::Fixed { status, content_type, body } => {
                Decision::Fixed { status: *status, content_type: content_type.as_deref(), body }
            }
            ActionView::Redirect(redirect) => Decision::Redirect(redirect),
            ActionView::Forward(shares) => {
                let kept = shares.stickiness.and_then(|_| self.seal.read(Kind::Group, facts));
                let group = kept.and_then(|token| shares.named(token)).or_else(|| shares.next());
                let chosen = group.and_then(|group| {
                    let Pick { target, stuck } = group.next(zone, facts, &self.seal, now)?;
                    let (rule, stickiness) = (hit.map(|rule| rule.priority), shares.stickiness);
                    Some(Chosen { target, rule, group, stuck, stickiness, seal: &self.seal })
                });
                chosen.map_or(Decision::NoTarget, Decision::Forward)
            }
        };
        (decision, evaluated)
    }

    /// How a listener's answers differ from what they would be by themselves.
    pub fn response_headers(&self, port: u16) -> Option<&Arc<ResponseHeaders>> {
        self.listener(port)?.headers.as_ref()
    }

    fn listener(&self, port: u16) -> Option<&ListenerView> {
        self.listeners.iter().find(|listener| listener.port == port)
    }
}

impl ActionView {
    fn new(action: &Action, views: &BTreeMap<&str, Arc<GroupView>>) -> Self {
        match action {
            Action::Forward(forward) => {
                let groups = forward.groups.iter();
                let groups = groups
                    .filter_map(|share| Some((share.weight as usize, views.get(share.target_group.as_str())?.clone())));
                Self::Forward(Shares::new(groups.collect(), forward.stickiness))
            }
            Action::FixedResponse { status_code, content_type, message_body } => {
                Self::Fixed { status: *status_code, content_type: content_type.clone(), body: message_body.clone() }
            }
            Action::Redirect(redirect) => Self::Redirect(redirect.clone()),
        }
    }
}

impl Shares {
    fn new(groups: Vec<(usize, Arc<GroupView>)>, stickiness: Option<Duration>) -> Self {
        let total: usize = groups.iter().map(|(weight, _)| weight).sum();
        // About the golden section of the whole spreads best.
        let start = (total * 5 / 8).max(1);
        let stride = (start..=total.max(1)).find(|stride| gcd(*stride, total) == 1).unwrap_or(1);
        Self { groups, total, stride, stickiness }
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

    /// The group that a client's cookie names. Its weight does not matter: that is for new clients.
    fn named(&self, token: u64) -> Option<&GroupView> {
        self.groups.iter().map(|(_, group)| &**group).find(|group| group.token == token)
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
