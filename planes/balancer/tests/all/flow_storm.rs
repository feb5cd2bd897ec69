//! Flows under seeded storms: configurations, health and time in any order; after every step what
//! must hold, holds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use zonal_balancer::config::*;
use zonal_balancer::core::fleet::{Fleet, TargetKey};
use zonal_balancer::core::flow::{FlowKey, FlowSnapshot, FlowTable, NoFlow, Transport};
use zonal_balancer::core::health::Outcome;
use zonal_balancer::core::route::{GroupHandle, Means, TargetHandle};

use crate::support::group;

const IDLE: Duration = Duration::from_secs(120);
const MOST: usize = 6;
const ZONES: [&str; 2] = ["a", "b"];

/// What may happen next.
#[derive(Clone, Debug)]
enum Step {
    /// Targets 0 to 3: absent, active or draining.
    Apply {
        states: [u8; 4],
        cross_zone: bool,
        sticky: bool,
    },
    /// All checks that are due are made; those of these targets fail.
    Check([bool; 4]),
    Pass(u64),
    /// A client's datagram comes to a zone's node.
    Datagram(u8),
    /// A client connects.
    Connect(u8, u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (prop::array::uniform4(0u8..3), any::<bool>(), any::<bool>())
            .prop_map(|(states, cross_zone, sticky)| Step::Apply { states, cross_zone, sticky }),
        3 => prop::array::uniform4(prop::bool::weighted(0.3)).prop_map(Step::Check),
        3 => (0u64..100).prop_map(Step::Pass),
        6 => (0u8..10).prop_map(Step::Datagram),
        6 => (0u8..10, any::<u32>()).prop_map(|(client, sequence)| Step::Connect(client, sequence)),
    ]
}

/// Targets 0 and 1 are in the first zone, the others in the second.
fn config(revision: u64, states: [u8; 4], cross_zone: bool, sticky: bool) -> BalancerConfig {
    let target = |index: usize| Target {
        id: format!("i-{index}"),
        address: Ipv4Addr::new(10, 0, 0, index as u8),
        port: 80,
        zone: ZONES[index / 2].to_owned(),
        state: if states[index] == 1 { TargetState::Active } else { TargetState::Draining },
    };
    let mut group = group("group", &[]);
    group.health_check.protocol = CheckProtocol::Tcp;
    group.health_check.interval = Duration::from_secs(10);
    group.targets = (0..4).filter(|index| states[*index] != 0).map(target).collect();
    group.cross_zone = cross_zone;
    group.flow = Some(FlowGroup {
        tls: false,
        sticky,
        preserve_client_ip: true,
        proxy_protocol_v2: false,
        terminate_deregistered: false,
        terminate_unhealthy: true,
    });
    let nodes = ZONES.iter().map(|zone| Node {
        interface: format!("eni-{zone}"),
        zone: (*zone).to_owned(),
        address: Ipv4Addr::LOCALHOST,
    });
    let flow = FlowListener { protocol: FlowProtocol::TcpUdp, tcp_idle_timeout: IDLE };
    BalancerConfig {
        id: "lb".to_owned(),
        revision,
        nodes: nodes.collect(),
        listeners: vec![Listener {
            id: "listener".to_owned(),
            port: 53,
            tls: None,
            flow: Some(flow),
            default_action: Action::Forward(vec![WeightedGroup { target_group: "group".to_owned(), weight: 1 }].into()),
            rules: Vec::new(),
            response_headers: ResponseHeaders::default(),
        }],
        target_groups: vec![group],
        idle_timeout: IDLE,
        http: HttpSettings::default(),
        cookie_secret: String::new(),
    }
}

struct Storm {
    config: BalancerConfig,
    fleet: Fleet,
    handles: BTreeMap<Arc<TargetKey>, Arc<TargetHandle>>,
    slots: u64,
    /// Per zone: flows of datagrams, by the slot of their target.
    tables: [FlowTable<u64>; 2],
    /// What the tables should say: the target of each client that has not been silent for too long.
    model: BTreeMap<SocketAddrV4, (u64, Duration)>,
    now: Duration,
}

impl Storm {
    fn apply(&mut self, config: BalancerConfig) {
        let group = &config.target_groups[0];
        let named = |key: &Arc<TargetKey>| group.targets.iter().any(|target| target.id == key.target);
        self.handles.retain(|key, _| named(key));
        for target in &group.targets {
            let key = TargetKey { group: group.id.clone(), target: target.id.clone(), port: target.port };
            if !self.handles.contains_key(&key) {
                self.slots += 1;
                let (key, address) = (Arc::new(key), SocketAddrV4::new(target.address, target.port));
                let handle = Arc::new(GroupHandle::new(1, TargetProtocol::default(), ProtocolVersion::default()));
                self.handles.insert(key.clone(), Arc::new(TargetHandle::new(self.slots, key, address, handle, 1)));
            }
        }
        self.fleet.apply(&config, self.now);
        self.config = config;
    }

    fn check(&mut self, fails: [bool; 4]) {
        for probe in self.fleet.poll(self.now).probes {
            let index: usize = probe.key.target[2..].parse().expect("ids end in their number");
            let outcome = if fails[index] { Outcome::Failed } else { Outcome::Connected };
            let events = self.fleet.finish(&probe.key, probe.round, outcome, self.now);
            for report in events.reports.iter().filter(|report| report.health.state == HealthState::Unhealthy) {
                // As the shell does it: flows to a target that is found unhealthy end.
                let slot = self.slot(&report.target);
                let is_its = |flow: &u64| Some(*flow) == slot;
                self.tables.iter_mut().for_each(|table| drop(table.remove_where(is_its)));
                self.model.retain(|_, (flow, _)| Some(*flow) != slot);
            }
        }
    }

    fn slot(&self, target: &str) -> Option<u64> {
        self.handles.iter().find(|(key, _)| key.target == target).map(|(_, handle)| handle.slot)
    }

    fn choose(&self, client: u8, transport: Transport, sequence: u32) -> Result<Result<u64, NoFlow>, TestCaseError> {
        let zone = usize::from(client % 2);
        let health = |key: &TargetKey| self.fleet.health(key).map_or(HealthState::Unused, |health| health.state);
        let standing = |key: &TargetKey| health(key).into();
        let means = Means { health: &standing, targets: &self.handles, groups: &BTreeMap::new() };
        let snapshot = FlowSnapshot::new(&self.config, means);
        let destination = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 53);
        let key = FlowKey { transport, source: source(client), destination, sequence };
        let chosen = snapshot.choose(ZONES[zone], &key);
        prop_assert_eq!(
            chosen.map(|c| c.target.slot).ok(),
            snapshot.choose(ZONES[zone], &key).map(|c| c.target.slot).ok()
        );
        // Whom the zone's node may choose from.
        let group = &self.config.target_groups[0];
        let in_reach = group
            .targets
            .iter()
            .filter(|target| target.state == TargetState::Active && (group.cross_zone || target.zone == ZONES[zone]));
        let states: BTreeMap<u64, HealthState> = in_reach
            .filter_map(|target| {
                let key = TargetKey { group: group.id.clone(), target: target.id.clone(), port: target.port };
                Some((self.slot(&target.id)?, health(&key)))
            })
            .collect();
        let healthy: BTreeSet<u64> =
            states.iter().filter(|(_, state)| **state == HealthState::Healthy).map(|(slot, _)| *slot).collect();
        match chosen {
            Ok(chosen) => {
                let slot = chosen.target.slot;
                prop_assert!(states.contains_key(&slot), "a target that is not registered in reach");
                prop_assert!(healthy.contains(&slot) || healthy.is_empty(), "a target that the snapshot calls bad");
                Ok(Ok(slot))
            }
            Err(why) => {
                prop_assert!(states.is_empty(), "refused though there are {states:?}");
                Ok(Err(why))
            }
        }
    }

    fn datagram(&mut self, client: u8) -> Result<(), TestCaseError> {
        let (zone, address) = (usize::from(client % 2), source(client));
        let known = self.tables[zone].touch(address, self.now).copied();
        prop_assert_eq!(known, self.model.get(&address).map(|(slot, _)| *slot), "a flow keeps its target for life");
        let slot = match known {
            Some(slot) => slot,
            None => {
                let Ok(slot) = self.choose(client, Transport::Udp, 0)? else { return Ok(()) };
                if self.tables[zone].insert(address, slot, self.now).is_err() {
                    return Ok(());
                }
                slot
            }
        };
        self.model.insert(address, (slot, self.now));
        Ok(())
    }

    fn hold(&mut self) -> Result<(), TestCaseError> {
        let over: usize = self.tables.iter_mut().map(|table| table.expire(self.now, |_| Duration::ZERO).len()).sum();
        let before = self.model.len();
        self.model.retain(|_, (_, used)| *used + IDLE > self.now);
        prop_assert_eq!(over, before - self.model.len(), "flows end when they should");
        prop_assert_eq!(self.tables.iter().map(FlowTable::len).sum::<usize>(), self.model.len());
        prop_assert!(self.tables.iter().all(|table| table.len() <= MOST), "the table is bounded");
        prop_assert!(self.tables.iter().all(|table| table.due().is_none_or(|due| due > self.now)));
        Ok(())
    }
}

fn source(client: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, client), 1000 + u16::from(client))
}

proptest! {
    #[test]
    fn flows_keep_their_promises_in_any_weather(steps in prop::collection::vec(step(), 1..150)) {
        let mut storm = Storm {
            config: config(0, [0; 4], true, false),
            fleet: Fleet::new("lb"),
            handles: BTreeMap::new(),
            slots: 0,
            tables: [FlowTable::new(IDLE, MOST), FlowTable::new(IDLE, MOST)],
            model: BTreeMap::new(),
            now: Duration::ZERO,
        };
        for (revision, step) in (1..).zip(steps) {
            match step {
                Step::Apply { states, cross_zone, sticky } => storm.apply(config(revision, states, cross_zone, sticky)),
                Step::Check(fails) => storm.check(fails),
                Step::Pass(seconds) => storm.now += Duration::from_secs(seconds),
                Step::Datagram(client) => storm.datagram(client)?,
                Step::Connect(client, sequence) => {
                    let chosen = storm.choose(client, Transport::Tcp, sequence)?;
                    let sticky = storm.config.target_groups[0].flow.is_some_and(|flow| flow.sticky);
                    let again = storm.choose(client, Transport::Tcp, sequence.wrapping_add(1))?;
                    prop_assert!(!sticky || chosen == again, "a sticky client moved");
                }
            }
            storm.hold()?;
        }
    }

    /// Whoever comes or goes, only its own clients move.
    #[test]
    fn a_sticky_client_moves_only_when_its_own_target_goes(gone in 0usize..4, client in any::<u32>()) {
        let chosen = |states: [u8; 4]| {
            let config = config(1, states, true, true);
            let mut handles = BTreeMap::new();
            for (slot, target) in (1..).zip(&config.target_groups[0].targets) {
                let key = TargetKey { group: "group".to_owned(), target: target.id.clone(), port: target.port };
                let (key, address) = (Arc::new(key), SocketAddrV4::new(target.address, target.port));
                let handle = Arc::new(GroupHandle::new(1, TargetProtocol::default(), ProtocolVersion::default()));
                handles.insert(key.clone(), Arc::new(TargetHandle::new(slot, key, address, handle, 1)));
            }
            let health = |_: &TargetKey| HealthState::Healthy.into();
            let means = Means { health: &health, targets: &handles, groups: &BTreeMap::new() };
            let snapshot = FlowSnapshot::new(&config, means);
            let key = FlowKey {
                transport: Transport::Tcp,
                source: SocketAddrV4::new(Ipv4Addr::from(client), 1),
                destination: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 53),
                sequence: 7,
            };
            snapshot.choose("a", &key).map(|chosen| chosen.target.key.target.clone()).ok()
        };
        let before = chosen([1; 4]);
        let mut states = [1; 4];
        states[gone] = 0;
        let after = chosen(states);
        prop_assert!(after.is_some());
        let went = Some(format!("i-{}", gone));
        prop_assert!(before == after || before == went);
    }
}
