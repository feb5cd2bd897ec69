//! Choices without sockets: who gets the next request, and who never does.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use zonal_balancer::config::*;
use zonal_balancer::core::fleet::TargetKey;
use zonal_balancer::core::route::{Decision, Facts, GroupHandle, Means, Scheme, Snapshot, Standing, TargetHandle};

use crate::support::group;

pub const ZONES: [&str; 3] = ["a", "b", "c"];

pub fn facts<'a>(method: &'a str, target: &'a str, host: &'a str, headers: &'a [httparse::Header<'a>]) -> Facts<'a> {
    Facts {
        method,
        target,
        host,
        headers,
        client: Ipv4Addr::new(203, 0, 113, 7),
        port: 80,
        scheme: Scheme::Http,
        now: 0,
    }
}

/// A target: its zone's place, what is wanted of it and what was found.
pub type Placed = (usize, TargetState, HealthState);

/// One listener; targets are named by their place.
pub struct Stage {
    pub config: BalancerConfig,
    health: BTreeMap<String, HealthState>,
}

impl Stage {
    /// Per group: its weight and its targets' zones, states and health.
    pub fn new(groups: &[(u32, Vec<Placed>)], cross_zone: bool) -> Self {
        let (mut health, mut target_groups, mut shares) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (at, (weight, targets)) in groups.iter().enumerate() {
            let mut made = TargetGroup { cross_zone, ..group(&format!("g{at}"), &[]) };
            for (place, (zone, state, found)) in targets.iter().enumerate() {
                let id = format!("g{at}-{place}");
                health.insert(id.clone(), *found);
                made.targets.push(Target {
                    id,
                    address: Ipv4Addr::LOCALHOST,
                    port: 80,
                    zone: ZONES[*zone].to_owned(),
                    state: *state,
                });
            }
            target_groups.push(made);
            shares.push(WeightedGroup { target_group: format!("g{at}"), weight: *weight });
        }
        let config = BalancerConfig {
            id: "lb".to_owned(),
            revision: 1,
            nodes: Vec::new(),
            listeners: vec![Listener {
                id: "listener".to_owned(),
                port: 80,
                tls: None,
                flow: None,
                default_action: Action::Forward(shares.into()),
                rules: Vec::new(),
                response_headers: ResponseHeaders::default(),
            }],
            target_groups,
            idle_timeout: Duration::from_secs(60),
            http: HttpSettings::default(),
            cookie_secret: String::new(),
        };
        Self { config, health }
    }

    fn snapshot(&self) -> Snapshot {
        self.snapshot_of(|target| self.health[target].into()).0
    }

    /// The snapshot of that health, and the targets by id.
    pub fn snapshot_of(&self, standing: impl Fn(&str) -> Standing) -> (Snapshot, BTreeMap<String, Arc<TargetHandle>>) {
        let (mut groups, mut targets) = (BTreeMap::new(), BTreeMap::new());
        for made in &self.config.target_groups {
            let handle = Arc::new(GroupHandle::new(1, TargetProtocol::Http, ProtocolVersion::Http1));
            for target in &made.targets {
                let key = TargetKey { group: made.id.clone(), target: target.id.clone(), port: target.port };
                let key = Arc::new(key);
                let address = SocketAddrV4::new(target.address, target.port);
                let made = TargetHandle::new(targets.len() as u64 + 1, key.clone(), address, handle.clone(), 1);
                targets.insert(key, Arc::new(made));
            }
            groups.insert(made.id.clone(), handle);
        }
        let health = |key: &TargetKey| standing(&key.target);
        let snapshot = Snapshot::new(&self.config, Means { health: &health, targets: &targets, groups: &groups });
        (snapshot, targets.values().map(|target| (target.key.target.clone(), target.clone())).collect())
    }

    /// Who may be chosen of a group by a node in that zone.
    fn eligible(&self, group: &TargetGroup, zone: &str) -> Vec<String> {
        let within =
            |target: &&Target| target.state == TargetState::Active && (group.cross_zone || target.zone == zone);
        let of = |wanted: &[HealthState]| -> Vec<String> {
            let fit = group.targets.iter().filter(within).filter(|target| wanted.contains(&self.health[&target.id]));
            fit.map(|target| target.id.clone()).collect()
        };
        let healthy = of(&[HealthState::Healthy]);
        if healthy.is_empty() { of(&[HealthState::Initial, HealthState::Unhealthy]) } else { healthy }
    }
}

fn targets() -> impl Strategy<Value = Vec<Placed>> {
    let state = prop_oneof![3 => Just(TargetState::Active), 1 => Just(TargetState::Draining)];
    let health = prop::sample::select(vec![
        HealthState::Initial,
        HealthState::Healthy,
        HealthState::Healthy,
        HealthState::Unhealthy,
        HealthState::Unused,
    ]);
    prop::collection::vec((0usize..3, state, health), 0..6)
}

proptest! {
    #[test]
    fn only_those_that_may_are_chosen_each_as_often_as_the_others_and_groups_by_weight(
        groups in prop::collection::vec((0u32..12, targets()), 1..4), cross_zone in any::<bool>(), zone in 0usize..3,
    ) {
        let stage = Stage::new(&groups, cross_zone);
        let snapshot = stage.snapshot();
        let total: u32 = groups.iter().map(|(weight, _)| weight).sum();
        // A common multiple of every number of targets, so that every turn is whole.
        let rounds = 60;
        let (mut chosen, mut nobody) = (BTreeMap::<String, u32>::new(), 0);
        for _ in 0..total.max(1) * rounds {
            match snapshot.decide(ZONES[zone], &facts("GET", "/", "h", &[]), &|| Duration::ZERO).0 {
                Decision::Forward(to) => *chosen.entry(to.target.key.target.clone()).or_default() += 1,
                Decision::NoTarget => nobody += 1,
                other => prop_assert!(false, "{:?}", other),
            }
        }
        let mut without = if total == 0 { rounds } else { 0 };
        for (group, (weight, _)) in stage.config.target_groups.iter().zip(&groups) {
            let eligible = stage.eligible(group, ZONES[zone]);
            if eligible.is_empty() {
                without += weight * rounds;
            }
            for target in &group.targets {
                let share = if eligible.contains(&target.id) { weight * rounds / eligible.len() as u32 } else { 0 };
                prop_assert_eq!(chosen.get(&target.id).copied().unwrap_or(0), share, "{}", target.id);
            }
        }
        prop_assert_eq!(nobody, without);
    }
}

#[test]
fn the_first_rule_in_priority_whose_conditions_all_hold_decides() {
    let host = |pattern: &str| Condition::HostHeader(vec![pattern.to_owned()]);
    let path = |pattern: &str| Condition::PathPattern(vec![pattern.to_owned()]);
    let query = |key: Option<&str>, value: &str| {
        Condition::QueryString(vec![QueryPattern { key: key.map(str::to_owned), value: value.to_owned() }])
    };
    let header = Condition::HttpHeader { name: "User-Agent".to_owned(), values: vec!["*curl*".to_owned()] };
    let rules: Vec<(u32, Vec<Condition>)> = vec![
        (50, vec![path("/*")]),
        (10, vec![host("*.example.com"), path("/api/*")]),
        (20, vec![header]),
        (30, vec![query(Some("version"), "v?")]),
        (31, vec![query(None, "anywhere")]),
        (40, vec![Condition::HttpRequestMethod(vec!["PUT".to_owned(), "POST".to_owned()])]),
        (45, vec![Condition::SourceIp(vec![(Ipv4Addr::new(203, 0, 113, 0), 24)]), path("/here")]),
        (46, vec![Condition::SourceIp(vec![(Ipv4Addr::UNSPECIFIED, 0)]), path("/any")]),
    ];
    let mut stage = Stage::new(&[], true);
    stage.config.listeners[0].rules = rules
        .into_iter()
        .map(|(priority, conditions)| Rule {
            id: format!("rule-{priority}"),
            priority,
            conditions,
            action: Action::FixedResponse {
                status_code: priority as u16,
                content_type: None,
                message_body: String::new(),
            },
        })
        .collect();
    let snapshot = stage.snapshot();
    let curl = [httparse::Header { name: "user-agent", value: b"Curl/8" }];
    let check = |facts: Facts<'_>, expected: u16, looked_at: u64| match snapshot.decide("a", &facts, &|| Duration::ZERO)
    {
        (Decision::Fixed { status, .. }, evaluation) => {
            assert_eq!((status, evaluation.rules), (expected, looked_at), "{facts:?}")
        }
        other => panic!("{facts:?}: {other:?}"),
    };
    check(facts("GET", "/api/x?version=v9", "WWW.Example.com:80", &curl), 10, 1);
    check(facts("GET", "/api/x", "example.com", &curl), 20, 2);
    check(facts("GET", "/?a=b&VERSION=V1", "h", &[]), 30, 3);
    check(facts("GET", "/?version=v10", "h", &[]), 50, 8);
    check(facts("GET", "/?x=anywhere", "h", &[]), 31, 4);
    check(facts("POST", "/", "h", &[]), 40, 5);
    check(facts("GET", "/here", "h", &[]), 45, 6);
    check(facts("GET", "/any", "h", &[]), 46, 7);
    check(facts("GET", "/other", "h", &[]), 50, 8);
}
