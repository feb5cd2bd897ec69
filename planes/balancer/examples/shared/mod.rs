//! What the programs beside this have in common: one node on 127.0.0.1, one listener, one target group.

use std::net::Ipv4Addr;
use std::time::Duration;

use zonal_balancer::config::{
    Action, BalancerConfig, CheckProtocol, GroupRouting, HealthCheck, HttpSettings, Listener, Node, ProtocolVersion,
    ResponseHeaders, Target, TargetGroup, TargetProtocol, TargetState, WeightedGroup,
};

/// The one zone.
const ZONE: &str = "us-east-1a";

/// A target on 127.0.0.1.
pub fn target(id: String, port: u16) -> Target {
    Target { id, address: Ipv4Addr::LOCALHOST, port, zone: ZONE.to_owned(), state: TargetState::Active }
}

/// Forwards what comes in on `port` to the targets, with checks every 5 s; the rest is for the program to change.
pub fn config(port: u16, check: CheckProtocol, targets: Vec<Target>) -> BalancerConfig {
    BalancerConfig {
        id: "balancer".to_owned(),
        revision: 1,
        nodes: vec![Node { interface: "eni-1".to_owned(), zone: ZONE.to_owned(), address: Ipv4Addr::LOCALHOST }],
        listeners: vec![Listener {
            id: "listener".to_owned(),
            port,
            tls: None,
            flow: None,
            default_action: Action::Forward(vec![WeightedGroup { target_group: "group".to_owned(), weight: 1 }].into()),
            rules: Vec::new(),
            response_headers: ResponseHeaders::default(),
        }],
        target_groups: vec![TargetGroup {
            id: "group".to_owned(),
            name: "group".to_owned(),
            protocol: TargetProtocol::default(),
            protocol_version: ProtocolVersion::default(),
            health_check: HealthCheck {
                protocol: check,
                port: None,
                interval: Duration::from_secs(5),
                timeout: Duration::from_secs(2),
                healthy_threshold: 2,
                unhealthy_threshold: 2,
            },
            targets,
            deregistration_delay: Duration::from_secs(300),
            cross_zone: true,
            flow: None,
            routing: GroupRouting::default(),
        }],
        idle_timeout: Duration::from_secs(60),
        http: HttpSettings::default(),
        cookie_secret: String::new(),
    }
}
