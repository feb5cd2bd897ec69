//! What a load balancer's plane is told: the whole configuration, made from what is stored.

use crate::albs;
use crate::attributes;
use crate::conditions::Condition;
use crate::model::{
    CheckPort, Listener, LoadBalancer, Protocol, Rule, Target, TargetGroup, TargetStage, TargetType, Version,
};
use crate::network;
use crate::operations::certificates;
use crate::rules::{Act, Action};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;
use zonal_balancer::config;
use zonal_cloud::View;

/// The configuration of a load balancer, with a revision.
#[must_use]
pub fn of(view: &View<'_>, balancer: &LoadBalancer, revision: u64) -> config::BalancerConfig {
    let own: Vec<&Listener> = view.starting(LoadBalancer::keys_of_listeners(&balancer.arn)).collect();
    let listeners: Vec<config::Listener> =
        own.iter().map(|listener| self::listener(view, balancer, listener)).collect();
    let mut named = BTreeSet::new();
    for listener in &own {
        named.extend(listener.default_action.groups());
        for rule in view.starting::<Rule>(Listener::keys_of_rules(&listener.arn)) {
            named.extend(rule.action.groups());
        }
    }
    let nodes = balancer.ready().filter_map(|node| {
        let interface = node.interface.as_ref()?;
        Some(config::Node { interface: interface.id.clone(), zone: node.zone.clone(), address: interface.address })
    });
    config::BalancerConfig {
        id: balancer.arn.clone(),
        revision,
        nodes: nodes.collect(),
        listeners,
        target_groups: named.into_iter().filter_map(|arn| Some(group(view, balancer, view.get(arn)?))).collect(),
        idle_timeout: attributes::idle_timeout(balancer),
        http: attributes::http(balancer),
        cookie_secret: balancer.cookie_secret.clone(),
    }
}

/// A configuration without the certificates' private keys.
#[must_use]
pub fn without_keys(config: &config::BalancerConfig) -> config::BalancerConfig {
    let mut kept = config.clone();
    for tls in kept.listeners.iter_mut().filter_map(|listener| listener.tls.as_mut()) {
        for certificate in std::iter::once(&mut tls.default_certificate).chain(&mut tls.certificates) {
            certificate.private_key.clear();
        }
    }
    kept
}

fn listener(view: &View<'_>, balancer: &LoadBalancer, listener: &Listener) -> config::Listener {
    let own = view.starting::<Rule>(Listener::keys_of_rules(&listener.arn));
    let mut rules: Vec<config::Rule> = own
        .map(|rule| config::Rule {
            id: rule.arn.clone(),
            priority: rule.priority,
            conditions: rule.conditions.iter().map(condition).collect(),
            action: action(&rule.action),
        })
        .collect();
    rules.sort_by_key(|rule| rule.priority);
    config::Listener {
        id: listener.arn.clone(),
        port: listener.port,
        tls: certificates::tls(view, balancer, listener),
        flow: network::flow_listener(listener),
        default_action: action(&listener.default_action),
        rules,
        response_headers: attributes::response_headers(&listener.attributes),
    }
}

fn action(action: &Action) -> config::Action {
    match &action.act {
        Act::Forward { groups, sticky } => {
            let share =
                |(arn, weight): &(String, u32)| config::WeightedGroup { target_group: arn.clone(), weight: *weight };
            let seconds = sticky.and_then(|seconds| u64::try_from(seconds).ok());
            config::Action::Forward(config::Forward {
                groups: groups.iter().map(share).collect(),
                stickiness: seconds.map(Duration::from_secs),
            })
        }
        Act::Redirect(redirect) => config::Action::Redirect(config::Redirect {
            protocol: redirect.protocol.clone(),
            host: redirect.host.clone(),
            port: redirect.port.clone(),
            path: redirect.path.clone(),
            query: redirect.query.clone(),
            permanent: redirect.permanent,
        }),
        Act::Fixed { status, content_type, body } => config::Action::FixedResponse {
            status_code: *status,
            content_type: content_type.clone(),
            message_body: body.clone().unwrap_or_default(),
        },
    }
}

fn condition(condition: &Condition) -> config::Condition {
    match condition.clone() {
        Condition::HostHeader(values) => config::Condition::HostHeader(values),
        Condition::PathPattern(values) => config::Condition::PathPattern(values),
        Condition::Method(values) => config::Condition::HttpRequestMethod(values),
        Condition::Header { name, values } => config::Condition::HttpHeader { name, values },
        Condition::Query(pairs) => config::Condition::QueryString(
            pairs.into_iter().map(|(key, value)| config::QueryPattern { key, value }).collect(),
        ),
        // Clients have IPv4 addresses here: no other block is anybody's.
        Condition::SourceIp(networks) => config::Condition::SourceIp(
            networks
                .into_iter()
                .filter_map(|(network, length)| match network {
                    IpAddr::V4(network) => Some((network, length)),
                    IpAddr::V6(_) => None,
                })
                .collect(),
        ),
    }
}

/// A target group with the targets that a balancer can use: an instance that does not run is none of them, and neither is one in a
/// zone that the load balancer does not serve.
fn group(view: &View<'_>, balancer: &LoadBalancer, group: &TargetGroup) -> config::TargetGroup {
    let check = &group.health_check;
    let serves = |zone: &str| zone == "all" || balancer.serving().any(|node| node.zone == zone);
    let targets = Target::of(view, &group.arn).filter(|target| serves(&target.zone)).flat_map(|target| {
        let state = match target.stage {
            TargetStage::Registered => config::TargetState::Active,
            TargetStage::Draining(_) => config::TargetState::Draining,
            TargetStage::Invalid(_) => return Vec::new(),
        };
        if group.target_type == TargetType::Alb {
            let nodes = albs::nodes(view, target, state);
            return nodes.into_iter().filter(|node| serves(&node.zone)).collect();
        }
        let one = |address| config::Target {
            id: target.id.clone(),
            address,
            port: target.port,
            zone: target.zone.clone(),
            state,
        };
        target.address.map(one).into_iter().collect()
    });
    config::TargetGroup {
        id: group.arn.clone(),
        name: group.name.clone(),
        protocol: match group.protocol {
            Protocol::Https => config::TargetProtocol::Https,
            _ => config::TargetProtocol::Http,
        },
        protocol_version: match group.version {
            Version::Http1 => config::ProtocolVersion::Http1,
            Version::Http2 => config::ProtocolVersion::Http2,
            Version::Grpc => config::ProtocolVersion::Grpc,
        },
        health_check: config::HealthCheck {
            protocol: network::check(group),
            port: match check.port {
                CheckPort::Traffic => None,
                CheckPort::Port(port) => Some(port),
            },
            interval: Duration::from_secs(u64::from(check.interval)),
            timeout: Duration::from_secs(u64::from(check.timeout)),
            healthy_threshold: check.healthy,
            unhealthy_threshold: check.unhealthy,
        },
        targets: targets.collect(),
        deregistration_delay: attributes::deregistration_delay(group),
        cross_zone: attributes::is_cross_zone(balancer, group),
        flow: network::flow_group(group),
        routing: attributes::routing(group),
    }
}
