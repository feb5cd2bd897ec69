//! One immutable snapshot of configuration and health, and the choices made from it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::condition::Tests;
use super::fleet::TargetKey;
use super::group::{GroupView, Pick, Registered};
pub use super::group::{Standing, are_too_few};
pub use super::handle::{GroupHandle, MAX_ZONES, TargetHandle};
use super::health::Time;
use super::sticky::{Kind, Marker, Marks, Seal};
use crate::config::{
    Action, BalancerConfig, HttpSettings, Listener, Redirect, ResponseHeaders, TargetGroup, TargetState,
};

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
    group: &'s GroupView,
    stuck: bool,
    /// Whether it was chosen of all that are in use, since too few are healthy.
    pub fails_open: bool,
    stickiness: Option<Duration>,
    seal: &'s Seal,
}

impl Chosen<'_> {
    /// Whether its group has stickiness, and no cookie brought the client here.
    pub fn is_not_sticky(&self) -> bool {
        !self.stuck && self.group.is_sticky()
    }

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
        let pick = Pick { target: self.target, stuck: self.stuck, fails_open: self.fails_open };
        self.group.mark(pick, &marker, &mut marks);
        Some(Box::new(marks))
    }
}

/// What the rules came to for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// How many were looked at.
    pub rules: u64,
    /// The priority of the one that matched, 0 for the default one; `None` where none was looked at.
    pub priority: Option<u32>,
}

/// Configuration and health of a balancer at one instant. The next one shares all that has not changed.
#[derive(Debug)]
pub struct Snapshot {
    /// The configuration's revision.
    pub revision: u64,
    /// After which silent connections are closed; virtual time.
    pub idle_timeout: Duration,
    /// How requests are read and passed on.
    pub http: HttpSettings,
    listeners: Vec<Arc<ListenerView>>,
    groups: Vec<Arc<GroupView>>,
    /// Where in `groups` each is; listeners know them by that.
    places: Arc<BTreeMap<String, usize>>,
    seal: Seal,
}

/// What a snapshot is made with beside a configuration.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// How targets are.
    pub health: &'a dyn Fn(&TargetKey) -> Standing,
    /// Their handles.
    pub targets: &'a BTreeMap<Arc<TargetKey>, Arc<TargetHandle>>,
    /// Their groups' handles.
    pub groups: &'a BTreeMap<String, Arc<GroupHandle>>,
}

impl Default for Snapshot {
    /// Of a balancer that is no more, or not yet.
    fn default() -> Self {
        Self {
            revision: 0,
            idle_timeout: Duration::ZERO,
            http: HttpSettings::default(),
            listeners: Vec::new(),
            groups: Vec::new(),
            places: Arc::default(),
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
    /// Weights, and places in the snapshot's groups.
    groups: Vec<(usize, usize)>,
    total: usize,
    /// Coprime to `total`: steps of this length visit every place once, far from each other.
    stride: usize,
    /// For so long a client stays with its group.
    stickiness: Option<Duration>,
}

impl Snapshot {
    /// Joins a configuration with the health of its targets.
    pub fn new(config: &BalancerConfig, means: Means<'_>) -> Self {
        let known = config.target_groups.iter().filter(|group| means.groups.contains_key(&group.id));
        let places = known.clone().enumerate().map(|(at, group)| (group.id.clone(), at)).collect();
        let groups = known.filter_map(|group| view(group, means)).collect();
        Self::made_anew(config, groups, Arc::new(places), |_| None)
    }

    /// The next one, after the health of targets of the groups `changed`: nothing else is made anew.
    #[must_use]
    pub fn with_health(&self, config: &BalancerConfig, changed: &BTreeSet<String>, means: Means<'_>) -> Self {
        let mut groups = self.groups.clone();
        for id in changed {
            if let Some(at) = self.places.get(id)
                && let Some(group) = config.group(id).and_then(|group| view(group, means))
            {
                groups[*at] = group;
            }
        }
        Self {
            revision: self.revision,
            idle_timeout: self.idle_timeout,
            http: self.http.clone(),
            listeners: self.listeners.clone(),
            groups,
            places: self.places.clone(),
            seal: self.seal.clone(),
        }
    }

    /// The next one, after another configuration, and the health of the groups `changed`: groups and
    /// listeners that are as they were `before` are shared.
    #[must_use]
    pub fn with_config(
        &self,
        before: &BalancerConfig,
        config: &BalancerConfig,
        changed: &BTreeSet<String>,
        means: Means<'_>,
    ) -> Self {
        let known = || config.target_groups.iter().filter(|group| means.groups.contains_key(&group.id));
        let groups = known().filter_map(|group| {
            let same = !changed.contains(&group.id) && before.group(&group.id) == Some(group);
            let shared = || self.places.get(&group.id).map(|at| self.groups[*at].clone());
            same.then(shared).flatten().or_else(|| view(group, means))
        });
        let groups = groups.collect();
        let is_same = known().count() == self.places.len()
            && known().enumerate().all(|(at, group)| self.places.get(&group.id) == Some(&at));
        let places = if is_same {
            self.places.clone()
        } else {
            Arc::new(known().enumerate().map(|(at, group)| (group.id.clone(), at)).collect())
        };
        Self::made_anew(config, groups, places, |listener| {
            let was = before.listeners.iter().position(|other| is_same && other == listener)?;
            self.listeners.get(was).cloned()
        })
    }

    /// With listeners of which `shared` gives those that need not be made.
    fn made_anew(
        config: &BalancerConfig,
        groups: Vec<Arc<GroupView>>,
        places: Arc<BTreeMap<String, usize>>,
        shared: impl Fn(&Listener) -> Option<Arc<ListenerView>>,
    ) -> Self {
        let listeners = config.listeners.iter();
        let listeners = listeners
            .map(|listener| shared(listener).unwrap_or_else(|| Arc::new(ListenerView::new(listener, &places))))
            .collect();
        let secret = if config.cookie_secret.is_empty() { &config.id } else { &config.cookie_secret };
        Self {
            revision: config.revision,
            idle_timeout: config.idle_timeout,
            http: config.http.clone(),
            listeners,
            groups,
            places,
            seal: Seal::new(secret),
        }
    }

    /// Groups and listeners that are one and the same in both: how much the one cost less for the other.
    pub fn in_common(&self, other: &Self) -> (usize, usize) {
        fn count<T>(ours: &[Arc<T>], others: &[Arc<T>]) -> usize {
            ours.iter().zip(others).filter(|(ours, other)| Arc::ptr_eq(ours, other)).count()
        }
        (count(&self.groups, &other.groups), count(&self.listeners, &other.listeners))
    }

    /// What to do with a request that came in on a node in `zone`; and what the rules came to. `now` is asked for the
    /// virtual time only where the choice depends on it.
    pub fn decide(&self, zone: &str, facts: &Facts<'_>, now: &dyn Fn() -> Time) -> (Decision<'_>, Evaluation) {
        let Some(listener) = self.listener(facts.port) else {
            return (Decision::Closed, Evaluation::default());
        };
        let hit = listener.tests.first(facts);
        let rules = hit.map_or(listener.tests.count(), |at| at + 1) as u64;
        let hit = hit.map(|at| &listener.rules[at]);
        let evaluation = Evaluation { rules, priority: Some(hit.map_or(0, |rule| rule.priority)) };
        let action = hit.map_or(&listener.default_action, |rule| &rule.action);
        let decision = match action {
            ActionView::Fixed { status, content_type, body } => {
                Decision::Fixed { status: *status, content_type: content_type.as_deref(), body }
            }
            ActionView::Redirect(redirect) => Decision::Redirect(redirect),
            ActionView::Forward(shares) => {
                let kept = shares.stickiness.and_then(|_| self.seal.read(Kind::Group, facts));
                let named = kept.and_then(|token| shares.named(token, &self.groups));
                let group = named.or_else(|| shares.next(&self.groups));
                let chosen = group.and_then(|group| {
                    let Pick { target, stuck, fails_open } = group.next(zone, facts, &self.seal, now)?;
                    let stickiness = shares.stickiness;
                    Some(Chosen { target, group, stuck, fails_open, stickiness, seal: &self.seal })
                });
                chosen.map_or(Decision::NoTarget, Decision::Forward)
            }
        };
        (decision, evaluation)
    }

    /// How a listener's answers differ from what they would be by themselves.
    pub fn response_headers(&self, port: u16) -> Option<&Arc<ResponseHeaders>> {
        self.listener(port)?.headers.as_ref()
    }

    fn listener(&self, port: u16) -> Option<&ListenerView> {
        self.listeners.iter().map(|listener| &**listener).find(|listener| listener.port == port)
    }
}

/// A group with its targets as they are now.
fn view(group: &TargetGroup, means: Means<'_>) -> Option<Arc<GroupView>> {
    let handle = means.groups.get(&group.id)?;
    let active = group.targets.iter().filter(|target| target.state == TargetState::Active);
    let registered: Vec<Registered<'_>> = active
        .filter_map(|target| {
            let key = TargetKey { group: group.id.clone(), target: target.id.clone(), port: target.port };
            Some((target.zone.as_str(), (means.health)(&key), means.targets.get(&key)?))
        })
        .collect();
    Some(Arc::new(GroupView::new(group, handle.clone(), &registered)))
}

impl ListenerView {
    fn new(listener: &Listener, places: &BTreeMap<String, usize>) -> Self {
        let mut rules: Vec<_> = listener.rules.iter().collect();
        rules.sort_by_key(|rule| rule.priority);
        let mut tests = Tests::default();
        rules.iter().for_each(|rule| tests.push(&rule.conditions));
        let rules = rules
            .into_iter()
            .map(|rule| RuleView { priority: rule.priority, action: ActionView::new(&rule.action, places) });
        let plain = listener.response_headers == ResponseHeaders::default();
        Self {
            port: listener.port,
            tests,
            rules: rules.collect(),
            default_action: ActionView::new(&listener.default_action, places),
            headers: (!plain).then(|| Arc::new(listener.response_headers.clone())),
        }
    }
}

impl ActionView {
    fn new(action: &Action, places: &BTreeMap<String, usize>) -> Self {
        match action {
            Action::Forward(forward) => {
                let groups = forward.groups.iter();
                let groups =
                    groups.filter_map(|share| Some((share.weight as usize, *places.get(share.target_group.as_str())?)));
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
    fn new(groups: Vec<(usize, usize)>, stickiness: Option<Duration>) -> Self {
        let total: usize = groups.iter().map(|(weight, _)| weight).sum();
        // About the golden section of the whole spreads best.
        let start = (total * 5 / 8).max(1);
        let stride = (start..=total.max(1)).find(|stride| gcd(*stride, total) == 1).unwrap_or(1);
        Self { groups, total, stride, stickiness }
    }

    fn next<'s>(&self, groups: &'s [Arc<GroupView>]) -> Option<&'s GroupView> {
        let first = match self.groups.as_slice() {
            [(1.., only)] => return groups.get(*only).map(|group| &**group),
            [(_, first), ..] => groups.get(*first)?,
            [] => return None,
        };
        let turn = first.handle.share_turn.fetch_add(1, Relaxed).checked_rem(self.total)?;
        let mut place = turn * self.stride % self.total;
        for (weight, group) in &self.groups {
            if place < *weight {
                return groups.get(*group).map(|group| &**group);
            }
            place -= weight;
        }
        None
    }

    /// The group that a client's cookie names. Its weight does not matter: that is for new clients.
    fn named<'s>(&self, token: u64, groups: &'s [Arc<GroupView>]) -> Option<&'s GroupView> {
        self.groups
            .iter()
            .filter_map(|(_, at)| groups.get(*at))
            .map(|group| &**group)
            .find(|group| group.token == token)
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
