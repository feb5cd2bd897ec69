//! A fleet under seeded storms: configurations, checks and time in any order; after every step what
//! must hold, holds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;
use zonal_balancer::config::*;
use zonal_balancer::core::fleet::{Events, Fleet, Probe, TargetKey};
use zonal_balancer::core::health::Outcome;

/// What may happen next.
#[derive(Clone, Debug)]
enum Step {
    /// Targets 0 to 3: absent, active or draining; in an enabled zone or not; group in use or not.
    Apply {
        states: [u8; 4],
        zones: [bool; 4],
        used: bool,
        threshold: u32,
    },
    Pass(u64),
    /// One of the checks that are out comes back.
    Answer(prop::sample::Index, u8),
    /// A target has nothing in flight.
    Rest(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (prop::array::uniform4(0u8..3), prop::array::uniform4(prop::bool::weighted(0.9)), prop::bool::weighted(0.9), 1u32..4)
            .prop_map(|(states, zones, used, threshold)| Step::Apply { states, zones, used, threshold }),
        4 => (0u64..15_000).prop_map(Step::Pass),
        6 => (any::<prop::sample::Index>(), 0u8..4).prop_map(|(which, how)| Step::Answer(which, how)),
        1 => (0u8..4).prop_map(Step::Rest),
    ]
}

const DELAY: Duration = Duration::from_secs(60);

fn config(revision: u64, states: [u8; 4], zones: [bool; 4], used: bool, threshold: u32) -> BalancerConfig {
    let target = |index: usize| Target {
        id: format!("i-{index}"),
        address: Ipv4Addr::new(10, 0, 0, index as u8),
        port: 80,
        zone: if zones[index] { "a" } else { "elsewhere" }.to_owned(),
        state: if states[index] == 1 { TargetState::Active } else { TargetState::Draining },
    };
    let forward = vec![WeightedGroup { target_group: "group".to_owned(), weight: 1 }];
    BalancerConfig {
        id: "lb".to_owned(),
        revision,
        nodes: vec![Node { interface: "eni".to_owned(), zone: "a".to_owned(), address: Ipv4Addr::LOCALHOST }],
        listeners: vec![Listener {
            id: "listener".to_owned(),
            port: 80,
            tls: None,
            flow: None,
            default_action: Action::Forward(if used { forward } else { Vec::new() }.into()),
            rules: Vec::new(),
            response_headers: ResponseHeaders::default(),
        }],
        target_groups: vec![TargetGroup {
            id: "group".to_owned(),
            name: "group".to_owned(),
            protocol: TargetProtocol::default(),
            protocol_version: ProtocolVersion::default(),
            health_check: HealthCheck {
                protocol: CheckProtocol::Tcp,
                port: None,
                interval: Duration::from_secs(10),
                timeout: Duration::from_secs(5),
                healthy_threshold: threshold,
                unhealthy_threshold: threshold,
            },
            targets: (0..4).filter(|index| states[*index] != 0).map(target).collect(),
            deregistration_delay: DELAY,
            cross_zone: true,
            flow: None,
            routing: GroupRouting::default(),
        }],
        idle_timeout: Duration::from_secs(60),
        http: HttpSettings::default(),
        cookie_secret: String::new(),
    }
}

#[derive(Default)]
struct Watcher {
    out: Vec<Probe>,
    /// What the reports add up to.
    told: BTreeMap<String, Health>,
    draining_since: BTreeMap<String, Duration>,
}

impl Watcher {
    fn hear(&mut self, events: Events, now: Duration) -> Result<(), TestCaseError> {
        for report in events.reports {
            if report.health.state == HealthState::Draining {
                self.draining_since.insert(report.target.clone(), now);
            }
            let before = self.told.insert(report.target.clone(), report.health.clone());
            prop_assert_ne!(before.as_ref(), Some(&report.health), "a report without a change");
        }
        self.out.extend(events.probes);
        let rounds: BTreeSet<_> = self.out.iter().map(|probe| (&probe.key, probe.round)).collect();
        prop_assert_eq!(rounds.len(), self.out.len(), "two checks of one target at once");
        Ok(())
    }

    fn check(&self, fleet: &Fleet, now: Duration) -> Result<(), TestCaseError> {
        for index in 0..4 {
            let target = format!("i-{index}");
            let key = TargetKey { group: "group".to_owned(), target: target.clone(), port: 80 };
            let Some(health) = fleet.health(&key) else { continue };
            prop_assert_eq!(Some(&health), self.told.get(&target), "what is so was reported");
            prop_assert_eq!(health.reason.is_none(), health.state == HealthState::Healthy);
            if health.state == HealthState::Draining {
                prop_assert!(now < self.draining_since[&target] + DELAY, "a drain that does not end");
            }
        }
        prop_assert!(fleet.due().is_none_or(|due| due > now), "what is due was done");
        Ok(())
    }
}

proptest! {
    #[test]
    fn a_fleet_keeps_its_promises_in_any_weather(steps in prop::collection::vec(step(), 1..120)) {
        let (mut fleet, mut watcher, mut now) = (Fleet::new("lb"), Watcher::default(), Duration::ZERO);
        for (revision, step) in steps.into_iter().enumerate() {
            match step {
                Step::Apply { states, zones, used, threshold } => {
                    let events = fleet.apply(&config(revision as u64, states, zones, used, threshold), now);
                    // Who is not named is forgotten, and reported anew if named again.
                    for index in (0..4).filter(|index| states[*index] == 0) {
                        watcher.told.remove(&format!("i-{index}"));
                    }
                    watcher.hear(events, now)?;
                }
                Step::Pass(milliseconds) => {
                    let end = now + Duration::from_millis(milliseconds);
                    while let Some(due) = fleet.due().filter(|due| *due <= end) {
                        prop_assert!(due >= now, "time runs forward");
                        now = due;
                        let events = fleet.poll(now);
                        watcher.hear(events, now)?;
                    }
                    now = end;
                }
                Step::Answer(which, how) if !watcher.out.is_empty() => {
                    let probe = watcher.out.swap_remove(which.index(watcher.out.len()));
                    let outcome = [Outcome::Connected, Outcome::Connected, Outcome::TimedOut, Outcome::Failed][usize::from(how)];
                    let events = fleet.finish(&probe.key, probe.round, outcome, now);
                    watcher.hear(events, now)?;
                }
                Step::Answer(..) => {}
                Step::Rest(index) => {
                    let key = TargetKey { group: "group".to_owned(), target: format!("i-{index}"), port: 80 };
                    let events = fleet.rest(&key);
                    watcher.hear(events, now)?;
                }
            }
            let events = fleet.poll(now);
            watcher.hear(events, now)?;
            watcher.check(&fleet, now)?;
        }
    }
}

#[test]
fn a_thousand_targets_are_taken_over_and_checked_in_order() {
    let mut config = config(1, [0; 4], [true; 4], true, 2);
    config.target_groups[0].targets = (0..1000)
        .map(|index| Target {
            id: format!("i-{index:04}"),
            address: Ipv4Addr::LOCALHOST,
            port: 80,
            zone: "a".to_owned(),
            state: TargetState::Active,
        })
        .collect();
    let mut fleet = Fleet::new("lb");
    assert_eq!(fleet.apply(&config, Duration::ZERO).reports.len(), 1000);
    let probes = fleet.poll(Duration::ZERO).probes;
    assert_eq!(probes.len(), 1000);
    for probe in &probes {
        fleet.finish(&probe.key, probe.round, Outcome::Connected, Duration::from_millis(1));
    }
    assert_eq!(fleet.due(), Some(Duration::from_secs(10)));
    assert_eq!(fleet.hosts()["group"]["a"], Hosts { healthy: 1000, unhealthy: 0 });
    // The same once more changes nothing.
    config.revision = 2;
    assert_eq!(fleet.apply(&config, Duration::from_secs(1)), Events::default());
}
