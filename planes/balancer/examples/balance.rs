//! A balancer on 127.0.0.1 for benchmarks and for trying things by hand:
//! `balance PORT TARGET_PORT[xTIMES][,…] [THREADS] [RULES]`. Runs until killed; prints reports. A port
//! taken several times stands for as many targets; rules match nothing, so that each is looked at.

#![allow(clippy::disallowed_methods, reason = "a program of its own: it makes what the library is handed")]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use zonal_balancer::config::{
    Action, BalancerConfig, CheckProtocol, Condition, GroupRouting, HealthCheck, HttpSettings, Listener, Node,
    ResponseHeaders, Rule, Target, TargetGroup, TargetState, WeightedGroup,
};
use zonal_balancer::{Balancer, HostSockets};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "balance PORT TARGET_PORT[xTIMES][,…] [THREADS] [RULES]";
    let port = arguments.next().ok_or(usage)?.parse()?;
    let targets = arguments.next().ok_or(usage)?;
    let threads = arguments.next().map_or(Ok(2), |threads| threads.parse())?;
    let rules: u32 = arguments.next().map_or(Ok(0), |rules| rules.parse())?;
    let mut registered = Vec::new();
    for part in targets.split(',') {
        let (port, times) = part.split_once('x').unwrap_or((part, "1"));
        let (port, times): (u16, usize) = (port.parse()?, times.parse()?);
        registered.extend((0..times).map(|time| Target {
            id: format!("i-{port}-{time}"),
            address: Ipv4Addr::LOCALHOST,
            port,
            zone: "us-east-1a".to_owned(),
            state: TargetState::Active,
        }));
    }
    let config = BalancerConfig {
        id: "balancer".to_owned(),
        revision: 1,
        nodes: vec![Node {
            interface: "eni-1".to_owned(),
            zone: "us-east-1a".to_owned(),
            address: Ipv4Addr::LOCALHOST,
        }],
        listeners: vec![Listener {
            id: "listener".to_owned(),
            port,
            tls: None,
            flow: None,
            default_action: Action::Forward(vec![WeightedGroup { target_group: "group".to_owned(), weight: 1 }].into()),
            rules: (1..=rules).map(rule).collect(),
            response_headers: ResponseHeaders::default(),
        }],
        target_groups: vec![TargetGroup {
            id: "group".to_owned(),
            name: "group".to_owned(),
            protocol: zonal_balancer::config::TargetProtocol::default(),
            protocol_version: zonal_balancer::config::ProtocolVersion::default(),
            health_check: HealthCheck {
                protocol: CheckProtocol::Http { path: "/".to_owned(), matcher: "200".to_owned() },
                port: None,
                interval: Duration::from_secs(5),
                timeout: Duration::from_secs(2),
                healthy_threshold: 2,
                unhealthy_threshold: 2,
            },
            targets: registered,
            deregistration_delay: Duration::from_secs(300),
            cross_zone: true,
            flow: None,
            routing: GroupRouting::default(),
        }],
        idle_timeout: Duration::from_secs(60),
        http: HttpSettings::default(),
        cookie_secret: String::new(),
    };
    let (balancer, mut reports) = Balancer::start(threads, Arc::new(HostSockets), 1.0)?;
    balancer.apply(config)?;
    while let Some(report) = reports.blocking_recv() {
        println!("{report:?}");
    }
    Ok(())
}

/// A host and a path that nobody asks for.
fn rule(priority: u32) -> Rule {
    Rule {
        id: format!("rule-{priority}"),
        priority,
        conditions: vec![
            Condition::PathPattern(vec!["/*".to_owned()]),
            Condition::HostHeader(vec![format!("*.service-{priority}.example.com")]),
        ],
        action: Action::FixedResponse { status_code: 404, content_type: None, message_body: String::new() },
    }
}
