//! The core in seeded storms: requests, failures, swaps and clock jumps in any order; after each step what
//! must hold is held against a model that is written apart from it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use zonal_balancer::config::*;
use zonal_balancer::core::fleet::{Events, Fleet, Probe, TargetKey};
use zonal_balancer::core::health::Outcome;
use zonal_balancer::core::route::{Decision, Facts, GroupHandle, Means, Scheme, Snapshot, TargetHandle};

use crate::choice::{ZONES, facts};
use crate::support::group;

const SEEDS: u64 = 100;
const STEPS: usize = 400;
const CORES: usize = 2;

/// SplitMix64: the same storm for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % below.max(1) as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }
}

/// A balancer as its shell would drive it, and what is known of it from outside.
struct Storm {
    dice: Dice,
    now: Duration,
    config: BalancerConfig,
    fleet: Fleet,
    snapshot: Snapshot,
    groups: BTreeMap<String, Arc<GroupHandle>>,
    targets: BTreeMap<Arc<TargetKey>, Arc<TargetHandle>>,
    slots: u64,
    probes: Vec<Probe>,
    /// Requests on their way: the core and the target.
    flying: Vec<(usize, Arc<TargetHandle>)>,
    /// When targets must have stopped draining.
    drains: BTreeMap<TargetKey, Duration>,
    /// What was last reported of each target.
    reported: BTreeMap<TargetKey, HealthState>,
    /// A browser's cookies, and the target that they are for.
    cookie: Option<(String, TargetKey)>,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let config = BalancerConfig {
            id: "lb".to_owned(),
            revision: 0,
            nodes: ZONES
                .iter()
                .enumerate()
                .map(|(at, zone)| Node {
                    interface: format!("eni-{zone}"),
                    zone: (*zone).to_owned(),
                    address: Ipv4Addr::new(10, 0, at as u8, 1),
                })
                .collect(),
            listeners: vec![Listener {
                id: "listener".to_owned(),
                port: 80,
                tls: None,
                flow: None,
                default_action: Action::Forward(Forward::default()),
                rules: Vec::new(),
                response_headers: ResponseHeaders::default(),
            }],
            target_groups: vec![group("g0", &[]), group("g1", &[])],
            idle_timeout: Duration::from_secs(60),
            http: HttpSettings::default(),
            cookie_secret: "secret".to_owned(),
        };
        let mut storm = Self {
            dice: Dice(seed),
            now: Duration::from_secs(1),
            config,
            fleet: Fleet::new("lb"),
            snapshot: Snapshot::default(),
            groups: BTreeMap::new(),
            targets: BTreeMap::new(),
            slots: 0,
            probes: Vec::new(),
            flying: Vec::new(),
            drains: BTreeMap::new(),
            reported: BTreeMap::new(),
            cookie: None,
        };
        storm.swap();
        storm
    }

    fn step(&mut self) {
        match self.dice.roll(20) {
            0..=8 => self.request(),
            9..=12 => self.finish(),
            13..=15 => self.probe_back(),
            16..=17 => self.pass(),
            _ => self.swap(),
        }
        self.check();
    }

    fn request(&mut self) {
        let zone = ZONES[self.dice.roll(ZONES.len())];
        let cookie = self.cookie.clone().filter(|_| self.dice.chance(50));
        let line = cookie.as_ref().map(|(line, _)| line.clone()).unwrap_or_default();
        let header = [httparse::Header { name: "Cookie", value: line.as_bytes() }];
        let asked = Facts { scheme: Scheme::Http, now: 1_000_000, ..facts("GET", "/", "h", &header) };
        let now = self.now;
        let (decision, _) = self.snapshot.decide(zone, &asked, &|| now);
        let may = |group: &TargetGroup| eligible(&self.fleet, group, zone);
        let weights: BTreeMap<&str, u32> = match &self.config.listeners[0].default_action {
            Action::Forward(forward) => {
                forward.groups.iter().map(|share| (share.target_group.as_str(), share.weight)).collect()
            }
            _ => BTreeMap::new(),
        };
        let group_of = |id: &str| self.config.target_groups.iter().find(|group| group.id == id);
        match decision {
            Decision::Forward(chosen) => {
                let key = (*chosen.target.key).clone();
                let group = group_of(&key.group).expect("it is of a group that there is");
                assert!(weights[group.id.as_str()] > 0, "a group of weight 0 takes nothing");
                let may = may(group);
                assert!(may.contains(&key), "{key:?} is none of {may:?}");
                if let Some((_, own)) = cookie
                    && own.group == key.group
                    && group.routing.stickiness != Stickiness::Off
                    && may.contains(&own)
                {
                    assert_eq!(own, key, "a client with a cookie stays with its target");
                }
                if let Some(marks) = chosen.marks(&asked, &|span| span) {
                    let pair = marks.cookies(false).next().and_then(|cookie| cookie.split(';').next());
                    self.cookie = pair.map(|pair| (pair.to_owned(), key));
                }
                let core = self.dice.roll(CORES);
                chosen.target.begin(core);
                self.flying.push((core, chosen.target.clone()));
            }
            Decision::NoTarget => {
                let someone = weights.iter().filter(|(_, weight)| **weight > 0).filter_map(|(id, _)| group_of(id));
                let empty = someone.clone().any(|group| may(group).is_empty());
                assert!(empty || someone.count() == 0, "503 only where a group has nobody");
            }
            other => panic!("{other:?}"),
        }
    }

    fn finish(&mut self) {
        if self.flying.is_empty() {
            return;
        }
        let (core, target) = self.flying.swap_remove(self.dice.roll(self.flying.len()));
        target.end(core);
        let draining = self.fleet.draining().any(|key| *key == target.key);
        // A target that was registered anew at another address has a handle of its own.
        let same = self.targets.get(&target.key).is_some_and(|now| now.slot == target.slot);
        if draining && same && target.in_flight() == 0 {
            let events = self.fleet.rest(&target.key);
            self.drains.remove(&*target.key);
            self.follow(events);
        }
    }

    fn probe_back(&mut self) {
        if self.probes.is_empty() {
            return;
        }
        let probe = self.probes.swap_remove(self.dice.roll(self.probes.len()));
        let outcome = match self.dice.roll(8) {
            0..=4 => Outcome::Status(200),
            5 => Outcome::Status(500),
            6 => Outcome::TimedOut,
            _ => Outcome::Unasked,
        };
        let events = self.fleet.finish(&probe.key, probe.round, outcome, self.now);
        self.follow(events);
    }

    /// Time passes: mostly a little, sometimes a day at once.
    fn pass(&mut self) {
        self.now += Duration::from_millis([10, 100, 1_000, 60_000, 86_400_000][self.dice.roll(5)]);
        let events = self.fleet.poll(self.now);
        for key in &events.expired {
            assert!(self.drains.remove(&**key).is_some_and(|until| until <= self.now), "{key:?} was cut off too early");
        }
        self.follow(events);
        assert!(self.fleet.due().is_none_or(|due| due > self.now), "all that was due is done");
    }

    /// A new configuration: targets come, go and drain; settings change.
    fn swap(&mut self) {
        let old = self.config.clone();
        let dice = &mut self.dice;
        self.config.revision += 1;
        let mut shares = Vec::new();
        for (at, group) in self.config.target_groups.iter_mut().enumerate() {
            for number in 0..5u16 {
                let known = group.targets.iter().position(|target| target.port == number + 1);
                match (dice.roll(6), known) {
                    (0 | 1, None) => group.targets.push(Target {
                        id: format!("t{number}"),
                        address: Ipv4Addr::new(10, 1, at as u8, dice.roll(2) as u8),
                        port: number + 1,
                        zone: ZONES[dice.roll(ZONES.len())].to_owned(),
                        state: TargetState::Active,
                    }),
                    (0, Some(at)) => drop(group.targets.remove(at)),
                    (1, Some(at)) => group.targets[at].state = TargetState::Draining,
                    (2, Some(at)) => group.targets[at].state = TargetState::Active,
                    _ => {}
                }
            }
            group.cross_zone = dice.chance(70);
            group.deregistration_delay = Duration::from_secs(dice.roll(100) as u64);
            let algorithms = [Algorithm::RoundRobin, Algorithm::LeastOutstandingRequests, Algorithm::WeightedRandom];
            group.routing = GroupRouting {
                algorithm: algorithms[dice.roll(3)],
                slow_start: Duration::from_secs(30 * dice.roll(3) as u64),
                stickiness: if dice.chance(50) {
                    Stickiness::LbCookie { duration: Duration::from_secs(1_000) }
                } else {
                    Stickiness::Off
                },
                minimum_healthy: 1 + dice.roll(3) as u32,
                minimum_healthy_percentage: (25 * dice.roll(4)) as u8,
            };
            shares.push(WeightedGroup { target_group: group.id.clone(), weight: dice.roll(3) as u32 });
        }
        self.config.listeners[0].default_action = Action::Forward(shares.into());
        self.put_handles();
        let before: BTreeSet<TargetKey> = self.fleet.draining().map(|key| (**key).clone()).collect();
        let events = self.fleet.apply(&self.config, self.now);
        let draining: BTreeSet<TargetKey> = self.fleet.draining().map(|key| (**key).clone()).collect();
        self.drains.retain(|key, _| draining.contains(key));
        for key in draining.difference(&before) {
            let group = self.config.target_groups.iter().find(|group| group.id == key.group);
            let delay = group.map(|group| group.deregistration_delay).unwrap_or_default();
            self.drains.insert(key.clone(), self.now + delay);
        }
        self.reported.retain(|key, _| self.targets.contains_key(key));
        let changed = events.reports.iter().map(|report| report.target_group.clone()).collect();
        self.publish(Some(&old), &changed);
        self.follow(events);
    }

    fn put_handles(&mut self) {
        let mut old = std::mem::take(&mut self.targets);
        for group in &self.config.target_groups {
            let fresh = || Arc::new(GroupHandle::new(CORES, group.protocol, group.protocol_version));
            let handle = self.groups.entry(group.id.clone()).or_insert_with(fresh).clone();
            for target in &group.targets {
                let key = TargetKey { group: group.id.clone(), target: target.id.clone(), port: target.port };
                let address = SocketAddrV4::new(target.address, target.port);
                let known = old.remove(&key).filter(|known| known.address == address);
                let known = known.unwrap_or_else(|| {
                    self.slots += 1;
                    Arc::new(TargetHandle::new(self.slots, Arc::new(key), address, handle.clone(), CORES))
                });
                self.targets.insert(known.key.clone(), known);
            }
        }
    }

    /// As the shell does: a snapshot before anything is said.
    fn follow(&mut self, events: Events) {
        self.probes.extend(events.probes);
        let changed = events.reports.iter().map(|report| report.target_group.clone()).collect();
        for report in events.reports {
            let key = TargetKey { group: report.target_group, target: report.target, port: report.port };
            self.reported.insert(key, report.health.state);
        }
        self.publish(None, &changed);
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

    fn check(&self) {
        for (key, target) in &self.targets {
            let flying = self.flying.iter().filter(|(_, other)| other.slot == target.slot).count();
            assert_eq!(target.in_flight() as usize, flying, "{key:?} counts what is on its way");
            let state = self.fleet.standing(key).state;
            assert_eq!(self.reported.get(&**key), Some(&state), "{key:?}: what was said is so");
        }
        let counted: u64 = self.fleet.hosts().values().flat_map(BTreeMap::values).map(|hosts| hosts.healthy).sum();
        let healthy = self.targets.keys().filter(|key| self.fleet.standing(key).state == HealthState::Healthy);
        assert_eq!(counted as usize, healthy.count());
        for (key, until) in &self.drains {
            assert_eq!(self.fleet.standing(key).state, HealthState::Draining, "{key:?}");
            assert!(*until >= self.now || self.fleet.due().is_some_and(|due| due <= *until), "{key:?} ends its drain");
        }
        assert_eq!(self.drains.len(), self.fleet.draining().count());
        assert!(self.probes.len() <= 100 * STEPS, "checks do not pile up");
    }
}

/// Who may take a request that comes in on a node in `zone`, by the guide's words.
fn eligible(fleet: &Fleet, group: &TargetGroup, zone: &str) -> BTreeSet<TargetKey> {
    let reach = group.targets.iter().filter(|target| group.cross_zone || target.zone == zone);
    let active = reach.filter(|target| target.state == TargetState::Active);
    let all: BTreeMap<TargetKey, HealthState> = active
        .map(|target| TargetKey { group: group.id.clone(), target: target.id.clone(), port: target.port })
        .map(|key| (key.clone(), fleet.standing(&key).state))
        .filter(|(_, state)| *state != HealthState::Unused)
        .collect();
    let healthy: BTreeSet<TargetKey> =
        all.iter().filter(|(_, state)| **state == HealthState::Healthy).map(|(key, _)| key.clone()).collect();
    let needed = (group.routing.minimum_healthy as usize).min(all.len());
    let enough = healthy.len() >= needed.max(1)
        && healthy.len() * 100 >= all.len() * usize::from(group.routing.minimum_healthy_percentage);
    if enough { healthy } else { all.into_keys().collect() }
}

#[test]
fn in_any_storm_counts_are_right_nobody_bad_is_chosen_and_drains_end() {
    for seed in 0..SEEDS {
        let mut storm = Storm::new(seed);
        for step in 0..STEPS {
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| storm.step()));
            assert!(caught.is_ok(), "seed {seed}, step {step}");
        }
        // When the storm is over, all requests end, and no target drains for longer than it may.
        while !storm.flying.is_empty() {
            storm.finish();
        }
        storm.now += Duration::from_secs(3_600);
        let events = storm.fleet.poll(storm.now);
        storm.drains.clear();
        storm.follow(events);
        assert_eq!(storm.fleet.draining().count(), 0, "seed {seed}");
        storm.check();
    }
}
