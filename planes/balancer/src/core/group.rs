//! A target group as one snapshot has it: who takes requests, and whose turn it is.
//!
//! As the ALB guide has it (Routing algorithms; Slow start mode; Target group health): least
//! outstanding requests and weighted random know no slow start; with fewer healthy targets than the
//! group asks for, all that are registered take requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::fleet::EVERYWHERE;
use super::handle::{GroupHandle, TargetHandle};
use super::health::Time;
use super::route::Facts;
use super::sticky::{self, Kind, Marker, Marks, Seal, token};
use super::trace::mix;
use crate::config::{Algorithm, GroupRouting, HealthState, Stickiness, TargetGroup};

/// A target that is being warmed up is passed over so many times, at most, for one request.
const TRIES: u64 = 8;

/// A target's health as choices see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its state.
    pub state: HealthState,
    /// Since when it is being given more and more of its share, if it is.
    pub warming: Option<Time>,
}

impl From<HealthState> for Standing {
    fn from(state: HealthState) -> Self {
        Self { state, warming: None }
    }
}

/// A registered target: its zone, health and handle.
pub(super) type Registered<'a> = (&'a str, Standing, &'a Arc<TargetHandle>);

/// A target group at one instant.
#[derive(Debug)]
pub(super) struct GroupView {
    pub handle: Arc<GroupHandle>,
    /// Names it in cookies.
    pub token: u64,
    routing: GroupRouting,
    /// Whom nodes of any zone choose from.
    all: Bench,
    /// Whom nodes of a zone choose from, if they must stay in it.
    by_zone: Option<BTreeMap<String, Bench>>,
}

/// Those who take requests.
#[derive(Debug, Default)]
struct Bench {
    targets: Vec<Arc<TargetHandle>>,
    /// Beside `targets`, since when each is being warmed up; empty if none is.
    warming: Vec<Option<Time>>,
    /// Whether they are all that are in use, healthy or not, since too few are healthy.
    fails_open: bool,
    /// By token; filled only for groups with stickiness.
    by_token: BTreeMap<u64, usize>,
}

/// A choice, with what the client's next request needs to come back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pick<'s> {
    pub target: &'s Arc<TargetHandle>,
    /// Whether its cookies brought the client here.
    pub stuck: bool,
    /// Whether it was chosen of all, since too few are healthy.
    pub fails_open: bool,
}

impl GroupView {
    pub fn new(group: &TargetGroup, handle: Arc<GroupHandle>, registered: &[Registered<'_>]) -> Self {
        let zones = || registered.iter().map(|(zone, ..)| *zone);
        let within = |zone: &str| -> Vec<Registered<'_>> {
            registered.iter().filter(|(other, ..)| *other == zone || *other == EVERYWHERE).copied().collect()
        };
        Self {
            handle,
            token: token(&[group.id.as_bytes()]),
            routing: group.routing.clone(),
            all: if group.cross_zone { Bench::new(registered, &group.routing) } else { Bench::default() },
            by_zone: (!group.cross_zone)
                .then(|| zones().map(|zone| (zone.to_owned(), Bench::new(&within(zone), &group.routing))).collect()),
        }
    }

    /// Who takes a request that came in on a node in `zone`.
    pub fn next(&self, zone: &str, facts: &Facts<'_>, seal: &Seal, now: &dyn Fn() -> Time) -> Option<Pick<'_>> {
        let bench = match &self.by_zone {
            None => &self.all,
            Some(zones) => zones.get(zone).or_else(|| zones.get(EVERYWHERE))?,
        };
        let kept = match &self.routing.stickiness {
            Stickiness::Off => None,
            Stickiness::LbCookie { .. } => seal.read(Kind::Target, facts),
            Stickiness::AppCookie { name, .. } => {
                sticky::cookie(facts, name.as_bytes()).and_then(|_| seal.read(Kind::Application, facts))
            }
        };
        if let Some(target) = kept.and_then(|token| bench.targets.get(*bench.by_token.get(&token)?)) {
            return Some(Pick { target, stuck: true, fails_open: bench.fails_open });
        }
        let turn = self.handle.turn.fetch_add(1, Relaxed);
        let target = match self.routing.algorithm {
            Algorithm::RoundRobin if bench.warming.is_empty() => {
                bench.targets.get(turn.checked_rem(bench.targets.len())?)
            }
            Algorithm::RoundRobin => bench.warm(turn, self.routing.slow_start, now()),
            Algorithm::LeastOutstandingRequests => bench.least_busy(turn),
            Algorithm::WeightedRandom => bench.at_random(turn as u64),
        };
        Some(Pick { target: target?, stuck: false, fails_open: bench.fails_open })
    }

    /// The cookies that bring the client back to `pick`.
    pub fn mark(&self, pick: Pick<'_>, marker: &Marker<'_>, marks: &mut Marks) {
        let token = pick.target.token;
        match &self.routing.stickiness {
            Stickiness::Off => {}
            Stickiness::LbCookie { duration } => marker.stick(Kind::Target, token, *duration, marks),
            Stickiness::AppCookie { name, duration } => {
                marker.stick_by_application(name, pick.stuck, token, *duration, marks);
            }
        }
    }

    pub fn is_sticky(&self) -> bool {
        self.routing.stickiness != Stickiness::Off
    }
}

/// Whether with so many healthy of all that are in use, all of these are sent to.
pub fn are_too_few(healthy: usize, all: usize, routing: &GroupRouting) -> bool {
    healthy < (routing.minimum_healthy.max(1) as usize).min(all)
        || healthy * 100 < usize::from(routing.minimum_healthy_percentage) * all
}

impl Bench {
    /// The healthy ones; if they are too few, all that are registered and in use (fail-open).
    fn new(registered: &[Registered<'_>], routing: &GroupRouting) -> Self {
        let in_use = |state| matches!(state, HealthState::Healthy | HealthState::Initial | HealthState::Unhealthy);
        let candidates: Vec<&Registered<'_>> = registered.iter().filter(|(_, at, _)| in_use(at.state)).collect();
        let healthy = candidates.iter().filter(|(_, at, _)| at.state == HealthState::Healthy).count();
        let too_few = are_too_few(healthy, candidates.len(), routing);
        let chosen = || candidates.iter().filter(|(_, at, _)| too_few || at.state == HealthState::Healthy);
        let targets: Vec<_> = chosen().map(|(.., target)| Arc::clone(target)).collect();
        let warms = !too_few && routing.algorithm == Algorithm::RoundRobin && !routing.slow_start.is_zero();
        let warming: Vec<_> = if warms { chosen().map(|(_, at, _)| at.warming).collect() } else { Vec::new() };
        let by_token = match routing.stickiness {
            Stickiness::Off => BTreeMap::new(),
            _ => targets.iter().enumerate().map(|(at, target)| (target.token, at)).collect(),
        };
        let warming = if warming.iter().any(Option::is_some) { warming } else { Vec::new() };
        Self { targets, warming, fails_open: too_few, by_token }
    }

    /// Each in turn, but one that is being warmed up takes only as much of its share as it is along;
    /// what it does not take is spread over all.
    fn warm(&self, turn: usize, slow_start: Duration, now: Time) -> Option<&Arc<TargetHandle>> {
        let count = self.targets.len();
        let mut at = turn.checked_rem(count)?;
        for attempt in 0..TRIES {
            let share = self.warming.get(at).copied().flatten().map_or(1.0, |since| {
                now.saturating_sub(since).as_secs_f64() / slow_start.as_secs_f64().max(f64::MIN_POSITIVE)
            });
            // 53 bits make a fraction.
            let drawn = mix((turn as u64) << 4 | attempt) >> 11;
            if share >= 1.0 || (drawn as f64) / (1u64 << 53) as f64 <= share {
                return self.targets.get(at);
            }
            at = (mix(drawn) % count as u64) as usize;
        }
        let warm = |at: &usize| self.warming.get(*at).is_some_and(Option::is_none);
        let at = (0..count).map(|step| (at + step) % count).find(warm).unwrap_or(at);
        self.targets.get(at)
    }

    /// The one with the fewest requests on their way; among equals, each in turn.
    fn least_busy(&self, turn: usize) -> Option<&Arc<TargetHandle>> {
        let (before, from) = self.targets.split_at(turn.checked_rem(self.targets.len())?);
        let mut least: Option<(u32, &Arc<TargetHandle>)> = None;
        for target in from.iter().chain(before) {
            let busy = target.in_flight();
            if least.is_none_or(|(other, _)| busy < other) {
                least = Some((busy, target));
            }
            if busy == 0 {
                break;
            }
        }
        least.map(|(_, target)| target)
    }

    fn at_random(&self, turn: u64) -> Option<&Arc<TargetHandle>> {
        let at = mix(turn).checked_rem(self.targets.len() as u64)?;
        self.targets.get(at as usize)
    }
}
