//! A load balancer over modelled packets.

use crate::town::{CLIENT, GROUP, Town, all_out, anywhere, interface, private, public, rule, zone};
use std::time::Duration;
use zonal_balancer::config::{
    Action, BalancerConfig, CheckProtocol, Condition, FlowGroup, FlowListener, FlowProtocol, GroupRouting, HealthCheck,
    HealthState, HttpSettings, Listener, Node, ResponseHeaders, Rule, Target, TargetGroup, TargetState, WeightedGroup,
};
use zonal_sim::Ending::{Refused, Status};
use zonal_substrate::{Ask, PeerMatch, Report};

/// The balancer's node is interface 9, in the first machine's subnet.
const NODE: u8 = 9;

fn config(targets: u8) -> BalancerConfig {
    let target = |n: u8| Target {
        id: format!("i-{n}"),
        address: private(n),
        port: 80,
        zone: zone(n),
        state: TargetState::Active,
    };
    let seconds = Duration::from_secs;
    BalancerConfig {
        id: "lb".into(),
        revision: 1,
        nodes: (0..targets)
            .map(|n| Node { interface: format!("eni-{}", NODE + n), zone: zone(n), address: private(NODE + n) })
            .collect(),
        listeners: vec![Listener {
            id: "listener".into(),
            port: 80,
            tls: None,
            flow: None,
            default_action: Action::Forward(vec![WeightedGroup { target_group: "group".into(), weight: 1 }].into()),
            rules: Vec::new(),
            response_headers: ResponseHeaders::default(),
        }],
        target_groups: vec![TargetGroup {
            id: "group".into(),
            name: "group".into(),
            protocol: zonal_balancer::config::TargetProtocol::default(),
            protocol_version: zonal_balancer::config::ProtocolVersion::default(),
            health_check: HealthCheck {
                protocol: CheckProtocol::Http { path: "/".into(), matcher: "200".into() },
                port: None,
                interval: seconds(10),
                timeout: seconds(5),
                healthy_threshold: 2,
                unhealthy_threshold: 2,
            },
            targets: (0..targets).map(target).collect(),
            deregistration_delay: seconds(30),
            cross_zone: true,
            flow: None,
            routing: GroupRouting::default(),
        }],
        idle_timeout: seconds(60),
        http: HttpSettings::default(),
        cookie_secret: String::new(),
    }
}

fn balanced(machines: u8) -> Town {
    let mut town = Town::with(machines);
    for n in 0..machines {
        let mut node = interface(NODE + n);
        node.subnet = format!("subnet-{n}");
        node.zone = zone(n);
        town.ask([Ask::PutInterface(node)]);
    }
    town.ask([Ask::PutBalancer(Box::new(config(machines)))]);
    town.pass(Duration::from_secs(60));
    town
}

/// How many of the last minute's requests each machine answered, by the CPU it took.
fn busy(town: &mut Town) -> Vec<(String, u64)> {
    town.heard.clear();
    town.pass(Duration::from_secs(60));
    let figures = town.heard.iter().find_map(|report| match report {
        Report::SandboxFigures { figures, .. } => Some(figures.iter().map(|f| (f.id.clone(), f.network_in)).collect()),
        _ => None,
    });
    figures.unwrap_or_default()
}

#[test]
fn requests_go_round_the_healthy_targets() {
    let mut town = balanced(3);
    busy(&mut town);
    for _ in 0..30 {
        assert_eq!(town.sim.request(CLIENT, public(NODE), 80).ending, Status(200));
    }
    let shares = busy(&mut town);
    assert!(shares.len() == 3 && shares.iter().all(|(_, bytes)| *bytes == shares[0].1 && *bytes > 0), "{shares:?}");
}

#[test]
fn a_network_load_balancer_hands_on_to_an_application_load_balancer_that_takes_over() {
    let mut town = balanced(2);
    let before = NODE + 5;
    let mut node = interface(before);
    (node.subnet, node.zone, node.transparent) = ("subnet-0".into(), zone(0), true);
    let mut network = config(1);
    network.id = "net".into();
    network.nodes = vec![Node { interface: node.id.clone(), zone: zone(0), address: private(before) }];
    network.listeners[0].flow =
        Some(FlowListener { protocol: FlowProtocol::Tcp, tcp_idle_timeout: Duration::from_secs(350) });
    let group = &mut network.target_groups[0];
    group.flow = Some(FlowGroup {
        tls: false,
        sticky: false,
        preserve_client_ip: true,
        proxy_protocol_v2: false,
        terminate_deregistered: false,
        terminate_unhealthy: true,
    });
    let alb = &mut group.targets[0];
    (alb.id, alb.address) = (format!("alb@{}", zone(0)), private(NODE));
    town.ask([Ask::PutInterface(node), Ask::PutBalancer(Box::new(network))]);
    town.pass(Duration::from_secs(60));
    let healthy = town.heard.iter().any(|report| {
        matches!(report, Report::TargetHealth(health)
            if health.balancer == "net" && health.health.state == HealthState::Healthy)
    });
    assert!(healthy, "the load balancer answers as its targets do: {:?}", town.heard);
    busy(&mut town);
    for _ in 0..20 {
        assert_eq!(town.sim.request(CLIENT, public(before), 80).ending, Status(200));
    }
    let shares = busy(&mut town);
    assert!(shares.len() == 2 && shares[0].1 == shares[1].1, "the inner one spreads them: {shares:?}");
    for n in 0..2 {
        town.ask([Ask::RemoveSandbox(format!("i-{n}"))]);
    }
    town.pass(Duration::from_secs(60));
    assert_eq!(town.sim.request(CLIENT, public(before), 80).ending, Status(502), "its own answer");
}

#[test]
fn a_weighted_forward_is_shared_by_weight_and_rules_come_before_the_default() {
    let mut town = balanced(2);
    let mut changed = config(2);
    changed.revision = 2;
    let mut other = changed.target_groups[0].clone();
    other.id = "other".into();
    changed.target_groups[0].targets.truncate(1);
    other.targets.remove(0);
    changed.target_groups.push(other);
    let share = |group: &str, weight| WeightedGroup { target_group: group.into(), weight };
    changed.listeners[0].default_action = Action::Forward(vec![share("group", 1), share("other", 3)].into());
    town.ask([Ask::PutBalancer(Box::new(changed.clone()))]);
    town.pass(Duration::from_secs(60));
    busy(&mut town);
    for _ in 0..40 {
        assert_eq!(town.sim.request(CLIENT, public(NODE), 80).ending, Status(200));
    }
    let shares = busy(&mut town);
    assert_eq!(shares[1].1, 3 * shares[0].1, "{shares:?}");

    changed.revision = 3;
    changed.listeners[0].rules = vec![Rule {
        id: "rule".into(),
        priority: 1,
        conditions: vec![Condition::SourceIp(vec![(CLIENT, 32)])],
        action: Action::FixedResponse { status_code: 403, content_type: None, message_body: String::new() },
    }];
    town.ask([Ask::PutBalancer(Box::new(changed))]);
    assert_eq!(town.sim.request(CLIENT, public(NODE), 80).ending, Status(403));
}

#[test]
fn a_dead_target_costs_504s_until_its_checks_have_failed_and_none_after() {
    let mut town = balanced(2);
    town.ask([Ask::CrashSandbox { id: "i-0".into(), generation: 1 }]);
    let ask = |town: &Town| town.sim.request(CLIENT, public(NODE), 80).ending;
    let endings = [ask(&town), ask(&town)];
    assert!(endings.contains(&Status(504)) && endings.contains(&Status(200)), "{endings:?}");
    town.heard.clear();
    town.pass(Duration::from_secs(26));
    let left = town.heard.iter().any(|report| {
        matches!(report, Report::TargetHealth(health) if health.target == "i-0" && health.health.state == HealthState::Unhealthy)
    });
    assert!(left, "two checks, ten seconds apart, have run into their time limit: {:?}", town.heard);
    assert!((0..10).all(|_| ask(&town) == Status(200)));
}

#[test]
fn where_no_target_is_healthy_all_are_asked_and_where_there_is_none_the_answer_is_503() {
    let mut town = balanced(1);
    town.ask([Ask::CrashSandbox { id: "i-0".into(), generation: 1 }]);
    town.pass(Duration::from_secs(60));
    assert_eq!(town.sim.request(CLIENT, public(NODE), 80).ending, Status(504), "it fails open");
    let mut empty = config(1);
    empty.target_groups[0].targets.clear();
    empty.revision = 2;
    town.ask([Ask::PutBalancer(Box::new(empty))]);
    assert_eq!(town.sim.request(CLIENT, public(NODE), 80).ending, Status(503));
    assert_eq!(town.sim.request(CLIENT, public(NODE), 443).ending, zonal_sim::Ending::Silence);
    town.group(vec![rule(80, anywhere()), rule(443, anywhere())], all_out());
    assert_eq!(town.sim.request(CLIENT, public(NODE), 443).ending, Refused, "nobody listens there");
}

#[test]
fn a_target_whose_group_does_not_let_the_balancer_in_times_out() {
    let mut town = balanced(1);
    let mut guarded = interface(0);
    guarded.groups = vec!["sg-app".into()];
    let app = |peer: &str| {
        let ingress = vec![rule(80, PeerMatch::Group(peer.into()))];
        Ask::PutGroup(zonal_substrate::Group {
            id: "sg-app".into(),
            network: "vpc-1".into(),
            ingress,
            egress: Vec::new(),
        })
    };
    town.ask([app("sg-other"), Ask::PutInterface(guarded)]);
    town.pass(Duration::from_secs(1));
    assert_eq!(town.sim.request(CLIENT, public(NODE), 80).ending, Status(504));
    town.ask([app(GROUP)]);
    assert_eq!(town.sim.request(CLIENT, public(NODE), 80).ending, Status(200));
    town.group(vec![rule(80, anywhere())], Vec::new());
    assert_eq!(
        town.sim.request(CLIENT, public(NODE), 80).ending,
        Status(504),
        "the balancer's own group lets nothing out"
    );
}

#[test]
fn an_hour_of_checks_takes_as_many_steps_as_the_next() {
    let mut town = balanced(4);
    let first = town.pass(Duration::from_secs(3600));
    let second = town.pass(Duration::from_secs(3600));
    assert!(second <= first + 8, "{first} instants, then {second}");
    let planned = town.sim.planned();
    assert!(planned <= 16, "what is planned does not pile up: {planned}");
}
