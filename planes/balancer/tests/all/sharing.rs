//! A change costs what changed: the next snapshot of a balancer has all groups and listeners of the
//! last one but those that are new, counted by what is one and the same in both.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use zonal_balancer::config::*;
use zonal_balancer::core::fleet::TargetKey;
use zonal_balancer::core::route::{Decision, GroupHandle, Means, Snapshot, Standing, TargetHandle};

use crate::choice::facts;
use crate::support::group;

const GROUPS: usize = 100;
const TARGETS: u16 = 10;
const LISTENERS: u16 = 10;

/// A hundred groups of ten targets behind ten listeners with ten rules each.
struct Large {
    config: BalancerConfig,
    unhealthy: BTreeSet<TargetKey>,
    targets: BTreeMap<Arc<TargetKey>, Arc<TargetHandle>>,
    groups: BTreeMap<String, Arc<GroupHandle>>,
    /// Targets that were asked about.
    asked: RefCell<Vec<TargetKey>>,
}

fn id(at: usize) -> String {
    format!("g{at:03}")
}

fn forward(at: usize) -> Action {
    Action::Forward(vec![WeightedGroup { target_group: id(at), weight: 1 }].into())
}

impl Large {
    fn new() -> Self {
        let target = |number| Target {
            id: format!("t{number}"),
            address: Ipv4Addr::LOCALHOST,
            port: number,
            zone: "a".to_owned(),
            state: TargetState::Active,
        };
        let mut target_groups: Vec<TargetGroup> = (0..GROUPS).map(|at| group(&id(at), &[])).collect();
        target_groups.iter_mut().for_each(|group| group.targets = (1..=TARGETS).map(target).collect());
        let rule = |port: u16, at: u16| Rule {
            id: format!("rule-{port}-{at}"),
            priority: u32::from(at) + 1,
            conditions: vec![Condition::PathPattern(vec![format!("/{at}/*")])],
            action: forward(usize::from(port * 10 + at)),
        };
        let listener = |port: u16| Listener {
            id: format!("listener-{port}"),
            port,
            tls: None,
            flow: None,
            default_action: forward(usize::from(port * 10)),
            rules: (0..10).map(|at| rule(port, at)).collect(),
            response_headers: ResponseHeaders::default(),
        };
        let config = BalancerConfig {
            id: "lb".to_owned(),
            revision: 1,
            nodes: Vec::new(),
            listeners: (0..LISTENERS).map(listener).collect(),
            target_groups,
            idle_timeout: std::time::Duration::from_secs(60),
            http: HttpSettings::default(),
            cookie_secret: String::new(),
        };
        let (mut targets, mut groups) = (BTreeMap::new(), BTreeMap::new());
        for group in &config.target_groups {
            let handle = Arc::new(GroupHandle::new(1, group.protocol, group.protocol_version));
            for target in &group.targets {
                let key = Arc::new(TargetKey { group: group.id.clone(), target: target.id.clone(), port: target.port });
                let address = SocketAddrV4::new(target.address, target.port);
                let made = TargetHandle::new(targets.len() as u64 + 1, key.clone(), address, handle.clone(), 1);
                targets.insert(key, Arc::new(made));
            }
            groups.insert(group.id.clone(), handle);
        }
        Self { config, unhealthy: BTreeSet::new(), targets, groups, asked: RefCell::default() }
    }

    /// Makes a snapshot; and how many targets were looked at for it.
    fn make(&self, next: impl FnOnce(Means<'_>) -> Snapshot) -> (Snapshot, usize) {
        self.asked.take();
        let health = |key: &TargetKey| {
            self.asked.borrow_mut().push(key.clone());
            let bad = self.unhealthy.contains(key);
            Standing::from(if bad { HealthState::Unhealthy } else { HealthState::Healthy })
        };
        let made = next(Means { health: &health, targets: &self.targets, groups: &self.groups });
        (made, self.asked.take().len())
    }

    fn first(&self) -> Snapshot {
        self.make(|means| Snapshot::new(&self.config, means)).0
    }
}

/// The targets that a port and path lead to.
fn reached(snapshot: &Snapshot, port: u16, path: &str) -> BTreeSet<String> {
    let asked = zonal_balancer::core::route::Facts { port, ..facts("GET", path, "h", &[]) };
    let target = |_| match snapshot.decide("a", &asked, &|| std::time::Duration::ZERO).0 {
        Decision::Forward(chosen) => format!("{}/{}", chosen.target.key.group, chosen.target.key.target),
        other => panic!("{other:?}"),
    };
    (0..usize::from(TARGETS)).map(target).collect()
}

#[test]
fn one_targets_health_costs_its_group_and_nothing_else() {
    let mut large = Large::new();
    let (first, all) = large.make(|means| Snapshot::new(&large.config, means));
    assert_eq!(all, GROUPS * usize::from(TARGETS));
    large.unhealthy.insert(TargetKey { group: id(42), target: "t3".to_owned(), port: 3 });
    let changed = [id(42)].into();
    let (next, looked) = large.make(|means| first.with_health(&large.config, &changed, means));
    assert_eq!(first.in_common(&next), (GROUPS - 1, usize::from(LISTENERS)));
    assert_eq!(looked, usize::from(TARGETS), "the targets of one group");
    assert!(reached(&first, 4, "/2/x").contains("g042/t3"));
    let after = reached(&next, 4, "/2/x");
    assert!(after.len() == 9 && !after.contains("g042/t3"), "{after:?}");
    assert_eq!(reached(&next, 4, "/3/x").len(), 10);
}

#[test]
fn another_target_or_rule_costs_its_group_or_listener_and_nothing_else() {
    let large = Large::new();
    let first = large.first();
    let mut config = large.config.clone();
    config.revision += 1;
    config.target_groups[7].targets.pop();
    let none = BTreeSet::new();
    let (next, looked) = large.make(|means| first.with_config(&large.config, &config, &none, means));
    assert_eq!(first.in_common(&next), (GROUPS - 1, usize::from(LISTENERS)));
    assert_eq!(looked, usize::from(TARGETS) - 1);
    assert_eq!((next.revision, reached(&next, 0, "/7/x").len()), (2, 9));

    let mut config = large.config.clone();
    config.listeners[3].rules[0].action = forward(99);
    let (next, looked) = large.make(|means| first.with_config(&large.config, &config, &none, means));
    assert_eq!(first.in_common(&next), (GROUPS, usize::from(LISTENERS) - 1));
    assert_eq!(looked, 0);
    assert!(reached(&next, 3, "/0/x").iter().all(|target| target.starts_with("g099/")));
}

#[test]
fn a_group_that_comes_or_goes_moves_no_other() {
    let mut large = Large::new();
    let first = large.first();
    let mut config = large.config.clone();
    config.target_groups.remove(0);
    config.listeners.remove(0);
    let none = BTreeSet::new();
    let (next, looked) = large.make(|means| first.with_config(&large.config, &config, &none, means));
    assert_eq!(looked, 0, "the groups are shared wherever they stand");
    assert!(reached(&next, 5, "/5/x").iter().all(|target| target.starts_with("g055/")));
    let back = large.config.clone();
    large.config = config;
    let (again, looked) = large.make(|means| next.with_config(&large.config, &back, &none, means));
    assert_eq!(looked, usize::from(TARGETS), "the one that is new");
    assert!(reached(&again, 0, "/0/x").iter().all(|target| target.starts_with("g000/")));
    assert!(reached(&again, 5, "/5/x").iter().all(|target| target.starts_with("g055/")));
}
