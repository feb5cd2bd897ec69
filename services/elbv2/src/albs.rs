//! Application load balancers as targets of network load balancers: one target to its user, to the plane one for each of its nodes.
//!
//! Source: User Guide for Network Load Balancers, "Application Load Balancers as targets"; Elastic Load Balancing API reference,
//! `TargetDescription`.

use crate::errors::{Error, invalid};
use crate::model::{
    Kind, Listener, LoadBalancer, Protocol, Target, TargetGroup, TargetHealth, TargetStage, TargetType,
};
use crate::operations::balancer_of_group;
use crate::shapes::TargetDescription;
use zonal_balancer::config;
use zonal_cloud::{Tx, View};

/// Between a load balancer's ARN and a node's zone, in the plane's name for that node.
const AT: char = '@';

/// Checks a load balancer that is to be registered.
///
/// # Errors
/// It must be an application load balancer of the group's VPC with a listener on the group's port, and the group's only target.
pub fn check(view: &View<'_>, group: &TargetGroup, wire: &TargetDescription) -> Result<(), Error> {
    let id = &wire.id;
    if wire.availability_zone.is_some() {
        return Err(invalid("You cannot specify an Availability Zone for targets of type 'alb'"));
    }
    if wire.port.is_some_and(|port| port != i32::from(group.port)) {
        return Err(invalid(format!(
            "The port of target '{id}' must be the port '{}' of its target group",
            group.port
        )));
    }
    let is_one = |found: &&LoadBalancer| found.kind == Kind::Application && found.lives();
    let Some(found) = view.get::<LoadBalancer>(id).filter(is_one) else {
        return Err(Error::InvalidTarget(format!("The following targets are not valid load balancers: '{id}'")));
    };
    if found.vpc != group.vpc {
        let text = format!("The following targets are not in the target group VPC '{}': '{id}'", group.vpc);
        return Err(Error::InvalidTarget(text));
    }
    if !view.starting::<Listener>(LoadBalancer::keys_of_listeners(id)).any(|listener| listener.port == group.port) {
        let text = format!("The load balancer '{id}' has no listener on the port '{}' of the target group", group.port);
        return Err(Error::InvalidTarget(text));
    }
    let lives = |target: &&Target| !matches!(target.stage, TargetStage::Draining(_));
    if Target::of(view, &group.arn).filter(lives).any(|target| target.id != *id) {
        let text = "The maximum number of targets of type 'alb' per target group is '1'".to_owned();
        return Err(Error::TooMany { what: "TooManyTargets", text });
    }
    Ok(())
}

/// Checks that a listener may forward to a group: to load balancers, only TCP is passed on.
///
/// # Errors
/// If it may not.
pub fn check_listener(protocol: Protocol, group: &TargetGroup) -> Result<(), Error> {
    if group.target_type == TargetType::Alb && protocol != Protocol::Tcp {
        return Err(Error::IncompatibleProtocols(format!(
            "Listener protocol '{}' is not supported with a target group of type 'alb'",
            protocol.wire()
        )));
    }
    Ok(())
}

/// The target groups that a load balancer is registered with.
pub fn groups_with<'a>(view: &View<'a>, balancer: &'a str) -> impl Iterator<Item = &'a str> {
    groups_of(*view, TargetType::Alb, balancer)
}

/// The target groups that an id is registered with: each group of the type is asked for it, not each target.
pub fn groups_of<'a>(view: View<'a>, kind: TargetType, id: &str) -> impl Iterator<Item = &'a str> {
    let of_kind = view.list::<TargetGroup>().filter(move |group| group.target_type == kind);
    let has_it =
        move |group: &&TargetGroup| view.starting::<Target>(Target::keys_of_id(&group.arn, id)).next().is_some();
    of_kind.filter(has_it).map(|group| group.arn.as_str())
}

/// The network load balancers that forward to a load balancer.
#[must_use]
pub fn in_front_of(view: &View<'_>, balancer: &str) -> Vec<String> {
    let groups = groups_with(view, balancer);
    groups.filter_map(|group| balancer_of_group(view, group)).map(ToOwned::to_owned).collect()
}

/// A registered load balancer as the plane has it: its nodes.
#[must_use]
pub fn nodes(view: &View<'_>, target: &Target, state: config::TargetState) -> Vec<config::Target> {
    let Some(balancer) = view.get::<LoadBalancer>(&target.id) else { return Vec::new() };
    let nodes = balancer.ready().filter_map(|node| {
        Some(config::Target {
            id: format!("{}{AT}{}", target.id, node.zone),
            address: node.interface.as_ref()?.address,
            port: target.port,
            zone: node.zone.clone(),
            state,
        })
    });
    nodes.collect()
}

/// The key of the health that a plane reports of a target: of a load balancer, each node has its own.
#[must_use]
pub fn health_key(group: &str, reported: &str, port: u16) -> (String, String) {
    let (id, zone) = reported.split_once(AT).map_or((reported, None), |(id, zone)| (id, Some(zone)));
    let key = Target::key_of(group, id, port);
    let health = zone.map_or_else(|| key.clone(), |zone| node_key(&key, zone));
    (key, health)
}

fn node_key(target: &str, zone: &str) -> String {
    format!("{target}{AT}{zone}")
}

/// What has been found of a target: of a load balancer, the best that was found of a node.
#[must_use]
pub fn found<'a>(view: &View<'a>, target: &Target) -> Option<&'a TargetHealth> {
    if let Some(found) = view.get::<TargetHealth>(&target.key) {
        return Some(found);
    }
    let balancer = view.get::<LoadBalancer>(&target.id)?;
    let nodes = balancer.serving().filter_map(|node| view.get::<TargetHealth>(&node_key(&target.key, &node.zone)));
    nodes.min_by_key(|found| match found.health.state {
        config::HealthState::Healthy => 0,
        config::HealthState::Initial => 1,
        _ => 2,
    })
}

/// Forgets what has been found of a target.
pub fn forget_health(tx: &mut Tx<'_>, target: &str) {
    let node = node_key(target, "");
    let nodes = tx.starting::<TargetHealth>(node.clone()).map(|found| found.key.clone());
    let keys: Vec<String> = nodes.chain([target.to_owned()]).collect();
    for key in keys {
        tx.remove::<TargetHealth>(&key);
    }
}
