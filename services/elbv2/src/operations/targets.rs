//! Targets: who is registered, and how they are. Source: Elastic Load Balancing API reference, `RegisterTargets`,
//! `DeregisterTargets`, `DescribeTargetHealth`, `TargetHealth`.

use super::{balancer_of_group, group};
use crate::albs;
use crate::attributes;
use crate::ec2;
use crate::errors::{Error, invalid};
use crate::health;
use crate::model::{CheckPort, Target, TargetGroup, TargetStage, TargetType};
use crate::shapes::{
    DeregisterTargetsInput, DeregisterTargetsOutput, DescribeTargetHealthInput, DescribeTargetHealthOutput,
    RegisterTargetsInput, RegisterTargetsOutput, TargetDescription, TargetHealthDescription,
};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;
use zonal_cloud::{Tx, View};
use zonal_ec2::shapes::InstanceStateName;
use zonal_wire::AwsError;

/// Targets per target group, as AWS's default quota has it.
const QUOTA: usize = 1000;

/// `RegisterTargets`: one that drains is registered again; one that is registered stays as it is.
pub fn register(tx: &mut Tx<'_>, input: &RegisterTargetsInput) -> Result<RegisterTargetsOutput, AwsError> {
    let group = group(&tx.view(), &input.target_group_arn)?.clone();
    if input.targets.is_empty() {
        return Err(invalid("At least one target must be specified").into());
    }
    for wire in &input.targets {
        // Each is judged by those before it too: a group of load balancers takes one.
        let target = target_of(tx, &group, wire)?;
        let registered =
            tx.get::<Target>(&target.key).is_some_and(|old| !matches!(old.stage, TargetStage::Draining(_)));
        if !registered {
            albs::forget_health(tx, &target.key);
            tx.put(target);
        }
    }
    if Target::of(&tx.view(), &group.arn).count() > QUOTA {
        let text = format!("The maximum number of targets per target group is '{QUOTA}'");
        return Err(Error::TooMany { what: "TooManyTargets", text }.into());
    }
    Ok(RegisterTargetsOutput {})
}

fn target_of(tx: &mut Tx<'_>, group: &TargetGroup, wire: &TargetDescription) -> Result<Target, AwsError> {
    if wire.quic_server_id.is_some() {
        return Err(invalid("A QUIC server ID can be specified only for target groups of protocol 'QUIC'").into());
    }
    let port = port_of(group, wire)?;
    let key = Target::key_of(&group.arn, &wire.id, port);
    let (address, zone) = match group.target_type {
        TargetType::Instance => instance(tx, group, wire)?,
        TargetType::Ip => address(tx, group, wire)?,
        TargetType::Alb => {
            albs::check(&tx.view(), group, wire)?;
            (None, "all".to_owned())
        }
    };
    Ok(Target {
        key,
        group: group.arn.clone(),
        id: wire.id.clone(),
        port,
        address,
        zone,
        stage: TargetStage::Registered,
    })
}

fn port_of(group: &TargetGroup, wire: &TargetDescription) -> Result<u16, Error> {
    match wire.port {
        None => Ok(group.port),
        Some(port) => {
            let port = u16::try_from(port).ok().filter(|port| *port > 0);
            port.ok_or_else(|| invalid(format!("The port of target '{}' must be between 1 and 65535", wire.id)))
        }
    }
}

fn instance(
    tx: &mut Tx<'_>,
    group: &TargetGroup,
    wire: &TargetDescription,
) -> Result<(Option<Ipv4Addr>, String), AwsError> {
    let id = &wire.id;
    if wire.availability_zone.is_some() {
        return Err(invalid("You cannot specify an Availability Zone for targets of type 'instance'").into());
    }
    let Some(found) = ec2::instance(tx, id)? else {
        return Err(Error::InvalidTarget(format!("The following targets are not valid instances: '{id}'")).into());
    };
    if found.state != InstanceStateName::Running {
        let text = format!("The following targets are not in a running state and cannot be registered: '{id}'");
        return Err(Error::InvalidTarget(text).into());
    }
    if found.vpc != group.vpc {
        let text = format!("The following targets are not in the target group VPC '{}': '{id}'", group.vpc);
        return Err(Error::InvalidTarget(text).into());
    }
    Ok((found.address, found.zone))
}

fn address(
    tx: &mut Tx<'_>,
    group: &TargetGroup,
    wire: &TargetDescription,
) -> Result<(Option<Ipv4Addr>, String), AwsError> {
    let Ok(address) = wire.id.parse::<Ipv4Addr>() else {
        return Err(invalid(format!("The IP address '{}' is not a valid IPv4 address", wire.id)).into());
    };
    let inside =
        ec2::vpc_ranges(tx, &group.vpc)?.is_some_and(|ranges| ranges.iter().any(|range| range.contains(&address)));
    if inside {
        let subnets = ec2::subnets_of(tx, &group.vpc)?;
        let subnet = subnets.into_iter().find(|subnet| subnet.cidr.is_some_and(|cidr| cidr.contains(&address)));
        let Some(subnet) = subnet else {
            return Err(
                Error::InvalidTarget(format!("The IP address '{address}' is in no subnet of '{}'", group.vpc)).into()
            );
        };
        return Ok((Some(address), subnet.zone));
    }
    if !is_private(address) {
        let text = format!("The IP address '{address}' is neither in the VPC '{}' nor private", group.vpc);
        return Err(Error::InvalidTarget(text).into());
    }
    match wire.availability_zone.as_deref() {
        Some("all") => Ok((Some(address), "all".into())),
        _ => Err(invalid(format!(
            "You must specify the Availability Zone 'all' for the IP address '{address}', which is outside the VPC"
        ))
        .into()),
    }
}

/// The ranges outside its VPC that a target group takes addresses from: RFC 1918 and RFC 6598.
fn is_private(address: Ipv4Addr) -> bool {
    let shared = Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10);
    address.is_private() || shared.contains(&address)
}

/// `DeregisterTargets`: without a port, each port that the target is registered with. That there is none is no error.
pub fn deregister(tx: &mut Tx<'_>, input: &DeregisterTargetsInput) -> Result<DeregisterTargetsOutput, AwsError> {
    let group = group(&tx.view(), &input.target_group_arn)?.clone();
    for wire in &input.targets {
        let of_id = tx.starting::<Target>(Target::keys_of_id(&group.arn, &wire.id));
        let matches = |target: &&Target| wire.port.is_none_or(|port| i32::from(target.port) == port);
        let keys: Vec<String> = of_id.filter(matches).map(|target| target.key.clone()).collect();
        for key in keys {
            drain(tx, &group, &key);
        }
    }
    Ok(DeregisterTargetsOutput {})
}

/// Takes a target out: at once where no load balancer sends to its group, else when the deregistration delay has passed.
pub fn drain(tx: &mut Tx<'_>, group: &TargetGroup, key: &str) {
    let delay = attributes::deregistration_delay(group);
    let used = balancer_of_group(&tx.view(), &group.arn).is_some();
    if !used || delay.is_zero() {
        albs::forget_health(tx, key);
        tx.remove::<Target>(key);
        return;
    }
    let until = tx.now + delay;
    tx.update(key, |target: &mut Target| {
        if !matches!(target.stage, TargetStage::Draining(_)) {
            target.stage = TargetStage::Draining(until);
        }
    });
}

/// `DescribeTargetHealth`
pub fn describe_health(
    view: &View<'_>,
    input: &DescribeTargetHealthInput,
) -> Result<DescribeTargetHealthOutput, AwsError> {
    let group = group(view, &input.target_group_arn)?;
    let described = |target: &Target| TargetHealthDescription {
        target: Some(TargetDescription {
            id: target.id.clone(),
            port: Some(i32::from(target.port)),
            availability_zone: (group.target_type == TargetType::Ip).then(|| target.zone.clone()),
            quic_server_id: None,
        }),
        health_check_port: Some(match group.health_check.port {
            CheckPort::Traffic => target.port.to_string(),
            port @ CheckPort::Port(_) => port.to_string(),
        }),
        target_health: Some(health::of_target(view, target)),
        ..TargetHealthDescription::default()
    };
    let registered = || Target::of(view, &group.arn);
    if input.targets.is_empty() {
        return Ok(DescribeTargetHealthOutput { target_health_descriptions: registered().map(described).collect() });
    }
    let mut target_health_descriptions = Vec::new();
    for wire in &input.targets {
        let port = port_of(group, wire)?;
        let found = view.get::<Target>(&Target::key_of(&group.arn, &wire.id, port));
        target_health_descriptions.push(found.map(described).unwrap_or_else(|| TargetHealthDescription {
            target: Some(TargetDescription { port: Some(i32::from(port)), ..wire.clone() }),
            target_health: Some(health::not_registered()),
            ..TargetHealthDescription::default()
        }));
    }
    Ok(DescribeTargetHealthOutput { target_health_descriptions })
}

/// Whether a target that the request is about has not been found healthy or unhealthy yet.
pub fn unsettled(view: &View<'_>, input: &DescribeTargetHealthInput) -> bool {
    let asked = |target: &&Target| input.targets.is_empty() || input.targets.iter().any(|wire| wire.id == target.id);
    Target::of(view, &input.target_group_arn).filter(asked).any(|target| health::is_initial(view, target))
}
