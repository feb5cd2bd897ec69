//! Target groups, their targets and their health.

use crate::fake::Bench;
use crate::load_balancers::internet_facing;
use std::collections::BTreeMap;
use std::time::Duration;
use zonal_balancer::config::{Health, HealthReason, HealthReport, HealthState, TargetState};
use zonal_ec2::shapes::{StartInstancesRequest, StopInstancesRequest, TerminateInstancesRequest, ops as ec2};
use zonal_elbv2::shapes::*;
use zonal_substrate::Report;
use zonal_wire::AwsError;

pub fn group(bench: &Bench, name: &str) -> String {
    let input = CreateTargetGroupInput {
        name: name.into(),
        protocol: Some(ProtocolEnum::Http),
        port: Some(80),
        vpc_id: Some("vpc-1".into()),
        ..Default::default()
    };
    let made = bench.call::<ops::CreateTargetGroup>(input).unwrap().target_groups.remove(0);
    made.target_group_arn.unwrap()
}

pub fn listener(bench: &Bench, balancer: &str, port: i32, group: &str) -> Result<String, AwsError> {
    let action = Action { type_: ActionTypeEnum::Forward, target_group_arn: Some(group.into()), ..Default::default() };
    let input = CreateListenerInput {
        load_balancer_arn: balancer.into(),
        protocol: Some(ProtocolEnum::Http),
        port: Some(port),
        default_actions: vec![action],
        ..Default::default()
    };
    bench.call::<ops::CreateListener>(input).map(|mut output| output.listeners.remove(0).listener_arn.unwrap())
}

fn target(id: &str) -> TargetDescription {
    TargetDescription { id: id.into(), ..Default::default() }
}

pub fn register(bench: &Bench, group: &str, id: &str) -> Result<RegisterTargetsOutput, AwsError> {
    bench.call::<ops::RegisterTargets>(RegisterTargetsInput {
        target_group_arn: group.into(),
        targets: vec![target(id)],
    })
}

fn deregister(bench: &Bench, group: &str, id: &str) -> Result<DeregisterTargetsOutput, AwsError> {
    bench.call::<ops::DeregisterTargets>(DeregisterTargetsInput {
        target_group_arn: group.into(),
        targets: vec![target(id)],
    })
}

/// (state, reason) of each target, in order.
fn health(bench: &Bench, group: &str, targets: &[&str]) -> Vec<(String, String)> {
    let input = DescribeTargetHealthInput {
        target_group_arn: group.into(),
        targets: targets.iter().map(|id| target(id)).collect(),
        ..Default::default()
    };
    let found = bench.call::<ops::DescribeTargetHealth>(input).unwrap().target_health_descriptions;
    let shown = |health: TargetHealth| {
        (health.state.unwrap().to_string(), health.reason.map(|reason| reason.to_string()).unwrap_or_default())
    };
    found.into_iter().map(|one| shown(one.target_health.unwrap())).collect()
}

/// Each target's state by its id.
pub fn health_by_id(bench: &Bench, group: &str) -> BTreeMap<String, String> {
    let input = DescribeTargetHealthInput { target_group_arn: group.into(), ..Default::default() };
    let found = bench.call::<ops::DescribeTargetHealth>(input).unwrap().target_health_descriptions;
    let pair =
        |one: TargetHealthDescription| (one.target.unwrap().id, one.target_health.unwrap().state.unwrap().to_string());
    found.into_iter().map(pair).collect()
}

/// A balancer's report.
pub fn found(balancer: &str, group: &str, id: &str, state: HealthState, reason: Option<HealthReason>) -> Report {
    Report::TargetHealth(HealthReport {
        balancer: balancer.into(),
        target_group: group.into(),
        target: id.into(),
        port: 80,
        zone: "us-east-1a".into(),
        health: Health { state, reason, description: None },
    })
}

fn is(pairs: &[(String, String)], state: &str, reason: &str) {
    assert_eq!(pairs, [(state.to_owned(), reason.to_owned())]);
}

/// A bench with a load balancer, a group behind port 80, and an instance registered in it.
fn served() -> (Bench, String, String) {
    let bench = Bench::new();
    let balancer = internet_facing(&bench, "web").load_balancer_arn.unwrap();
    let group = group(&bench, "tg");
    listener(&bench, &balancer, 80, &group).unwrap();
    bench.run_instance("i-1", "subnet-a");
    register(&bench, &group, "i-1").unwrap();
    (bench, balancer, group)
}

#[test]
fn a_target_group_has_the_services_defaults() {
    let bench = Bench::new();
    group(&bench, "tg");
    let made = bench.call::<ops::DescribeTargetGroups>(Default::default()).unwrap().target_groups.remove(0);
    assert_eq!(
        (made.health_check_interval_seconds, made.health_check_timeout_seconds, made.healthy_threshold_count),
        (Some(30), Some(5), Some(5))
    );
    assert_eq!((made.unhealthy_threshold_count, made.health_check_path.as_deref()), (Some(2), Some("/")));
    assert_eq!(
        (made.health_check_port.as_deref(), made.matcher.unwrap().http_code.as_deref()),
        (Some("traffic-port"), Some("200"))
    );
    assert!(made.load_balancer_arns.is_empty());
}

#[test]
fn a_health_check_may_not_take_longer_than_its_interval() {
    let bench = Bench::new();
    let arn = group(&bench, "tg");
    let input = ModifyTargetGroupInput {
        target_group_arn: arn.clone(),
        health_check_interval_seconds: Some(5),
        ..Default::default()
    };
    let error = bench.call::<ops::ModifyTargetGroup>(input.clone()).unwrap_err();
    assert_eq!(error.message, "Health check interval must be greater than the timeout.");
    let input = ModifyTargetGroupInput { health_check_timeout_seconds: Some(2), ..input };
    bench.call::<ops::ModifyTargetGroup>(input).unwrap();
}

#[test]
fn only_running_instances_of_the_vpc_can_be_registered() {
    let bench = Bench::new();
    let group = group(&bench, "tg");
    bench.run_instance("i-1", "subnet-a");
    bench.run_instance("i-far", "subnet-x");
    bench.ec2::<ec2::StopInstances>(StopInstancesRequest { instance_ids: vec!["i-1".into()], ..Default::default() });
    for (id, text) in
        [("i-1", "not in a running state"), ("i-far", "not in the target group VPC"), ("i-none", "not valid")]
    {
        let error = register(&bench, &group, id).unwrap_err();
        assert_eq!(error.code, "InvalidTarget", "{error}");
        assert!(error.message.contains(text), "{error}");
    }
    assert!(health(&bench, &group, &[]).is_empty());
}

#[test]
fn a_target_is_unused_without_a_load_balancer_then_initial_then_what_the_balancer_finds() {
    let bench = Bench::new();
    let balancer = internet_facing(&bench, "web").load_balancer_arn.unwrap();
    let group = group(&bench, "tg");
    bench.run_instance("i-1", "subnet-a");
    register(&bench, &group, "i-1").unwrap();
    is(&health(&bench, &group, &[]), "unused", "Target.NotInUse");
    listener(&bench, &balancer, 80, &group).unwrap();
    is(&health(&bench, &group, &[]), "initial", "Elb.RegistrationInProgress");
    let told = bench.told(&balancer);
    assert_eq!(told.target_groups[0].targets[0].id, "i-1");
    bench.report(&found(&balancer, &group, "i-1", HealthState::Healthy, None));
    is(&health(&bench, &group, &["i-1"]), "healthy", "");
    bench.report(&found(&balancer, &group, "i-1", HealthState::Unhealthy, Some(HealthReason::Timeout)));
    is(&health(&bench, &group, &["i-1"]), "unhealthy", "Target.Timeout");
    assert_eq!(bench.told(&balancer), told, "health is no configuration");
}

#[test]
fn a_target_in_a_zone_that_the_load_balancer_does_not_serve_is_unused() {
    let (bench, balancer, group) = served();
    bench.run_instance("i-c", "subnet-c");
    register(&bench, &group, "i-c").unwrap();
    is(&health(&bench, &group, &["i-c"]), "unused", "Target.NotInUse");
    assert_eq!(bench.told(&balancer).target_groups[0].targets.len(), 1);
}

#[test]
fn a_target_that_was_never_registered_is_shown_as_such() {
    let (bench, _, group) = served();
    is(&health(&bench, &group, &["i-2"]), "unused", "Target.NotRegistered");
    deregister(&bench, &group, "i-2").expect("deregistering what is not there is no error");
}

#[test]
fn a_deregistered_target_drains_for_the_delay_and_is_gone() {
    let (bench, balancer, group) = served();
    bench.report(&found(&balancer, &group, "i-1", HealthState::Healthy, None));
    deregister(&bench, &group, "i-1").unwrap();
    is(&health(&bench, &group, &[]), "draining", "Target.DeregistrationInProgress");
    assert_eq!(bench.told(&balancer).target_groups[0].targets[0].state, TargetState::Draining);
    bench.pass(Duration::from_secs(299));
    is(&health(&bench, &group, &[]), "draining", "Target.DeregistrationInProgress");
    bench.pass(Duration::from_secs(1));
    assert!(health(&bench, &group, &[]).is_empty());
    assert!(bench.told(&balancer).target_groups[0].targets.is_empty());
}

#[test]
fn a_draining_target_that_is_registered_again_starts_anew() {
    let (bench, balancer, group) = served();
    bench.report(&found(&balancer, &group, "i-1", HealthState::Healthy, None));
    deregister(&bench, &group, "i-1").unwrap();
    register(&bench, &group, "i-1").unwrap();
    is(&health(&bench, &group, &[]), "initial", "Elb.RegistrationInProgress");
    bench.pass(Duration::from_secs(301));
    assert_eq!(bench.told(&balancer).target_groups[0].targets[0].state, TargetState::Active);
}

#[test]
fn a_stopped_instance_is_invalid_and_comes_back_with_its_first_health_check() {
    let (bench, balancer, group) = served();
    bench.report(&found(&balancer, &group, "i-1", HealthState::Healthy, None));
    bench.ec2::<ec2::StopInstances>(StopInstancesRequest { instance_ids: vec!["i-1".into()], ..Default::default() });
    is(&health(&bench, &group, &[]), "unused", "Target.InvalidState");
    assert!(bench.told(&balancer).target_groups[0].targets.is_empty());
    bench.ec2::<ec2::StartInstances>(StartInstancesRequest { instance_ids: vec!["i-1".into()], ..Default::default() });
    is(&health(&bench, &group, &[]), "initial", "Elb.RegistrationInProgress");
    assert_eq!(bench.told(&balancer).target_groups[0].targets.len(), 1);
}

#[test]
fn a_terminated_instance_is_deregistered() {
    let (bench, balancer, group) = served();
    bench.ec2::<ec2::TerminateInstances>(TerminateInstancesRequest {
        instance_ids: vec!["i-1".into()],
        ..Default::default()
    });
    is(&health(&bench, &group, &[]), "draining", "Target.DeregistrationInProgress");
    bench.pass(Duration::from_secs(300));
    assert!(bench.told(&balancer).target_groups[0].targets.is_empty());
    assert!(health(&bench, &group, &[]).is_empty());
}

#[test]
fn a_target_group_serves_one_load_balancer_and_cannot_be_deleted_meanwhile() {
    let (bench, balancer, group) = served();
    let other = internet_facing(&bench, "other").load_balancer_arn.unwrap();
    assert_eq!(listener(&bench, &other, 80, &group).unwrap_err().code, "TargetGroupAssociationLimit");
    let delete = DeleteTargetGroupInput { target_group_arn: group.clone() };
    assert_eq!(bench.call::<ops::DeleteTargetGroup>(delete.clone()).unwrap_err().code, "ResourceInUse");
    bench.call::<ops::DeleteLoadBalancer>(DeleteLoadBalancerInput { load_balancer_arn: balancer }).unwrap();
    bench.call::<ops::DeleteTargetGroup>(delete).unwrap();
    let named = DescribeTargetGroupsInput { target_group_arns: vec![group], ..Default::default() };
    assert_eq!(bench.call::<ops::DescribeTargetGroups>(named).unwrap_err().code, "TargetGroupNotFound");
}

#[test]
fn addresses_are_targets_in_their_subnets_zone() {
    let bench = Bench::new();
    let input = CreateTargetGroupInput {
        name: "ip".into(),
        protocol: Some(ProtocolEnum::Http),
        port: Some(8080),
        vpc_id: Some("vpc-1".into()),
        target_type: Some(TargetTypeEnum::Ip),
        ..Default::default()
    };
    let group = bench.call::<ops::CreateTargetGroup>(input).unwrap().target_groups.remove(0).target_group_arn.unwrap();
    register(&bench, &group, "10.0.1.7").unwrap();
    assert_eq!(register(&bench, &group, "not-an-address").unwrap_err().code, "ValidationError");
    assert_eq!(register(&bench, &group, "8.8.8.8").unwrap_err().code, "InvalidTarget");
    let input = DescribeTargetHealthInput { target_group_arn: group, ..Default::default() };
    let shown = bench.call::<ops::DescribeTargetHealth>(input).unwrap().target_health_descriptions.remove(0);
    let target = shown.target.unwrap();
    assert_eq!((target.port, target.availability_zone.as_deref()), (Some(8080), Some("us-east-1b")));
    assert_eq!(shown.health_check_port.as_deref(), Some("8080"));
}

#[test]
fn connections_to_unhealthy_targets_are_ended_or_drain_and_datagrams_are_let_be() {
    const ENDS: &str = "target_health_state.unhealthy.connection_termination.enabled";
    const DRAINS: &str = "target_health_state.unhealthy.draining_interval_seconds";
    let bench = Bench::new();
    let of = |name: &str, protocol| {
        let input = CreateTargetGroupInput {
            name: name.into(),
            protocol: Some(protocol),
            port: Some(53),
            vpc_id: Some("vpc-1".into()),
            ..Default::default()
        };
        bench.call::<ops::CreateTargetGroup>(input).unwrap().target_groups.remove(0).target_group_arn.unwrap()
    };
    let (tcp, udp) = (of("tcp", ProtocolEnum::Tcp), of("udp", ProtocolEnum::Udp));
    let set = |group: &str, pairs: &[(&str, &str)]| {
        let attribute = |(key, value): &(&str, &str)| TargetGroupAttribute {
            key: Some((*key).into()),
            value: Some((*value).into()),
        };
        let input = ModifyTargetGroupAttributesInput {
            target_group_arn: group.into(),
            attributes: pairs.iter().map(attribute).collect(),
        };
        bench.call::<ops::ModifyTargetGroupAttributes>(input).map(drop).map_err(|error| error.code)
    };
    let shown = |group: &str| {
        let input = DescribeTargetGroupAttributesInput { target_group_arn: group.into() };
        let all = bench.call::<ops::DescribeTargetGroupAttributes>(input).unwrap().attributes;
        all.into_iter().find(|one| one.key.as_deref() == Some(ENDS)).unwrap().value.unwrap()
    };
    assert_eq!((shown(&tcp).as_str(), shown(&udp).as_str()), ("true", "false"));
    let refused = Err("InvalidConfigurationRequest".into());
    assert_eq!(set(&udp, &[(ENDS, "true")]), refused);
    assert_eq!(set(&udp, &[(DRAINS, "5")]), Ok(()));
    assert_eq!(set(&tcp, &[(DRAINS, "5")]), refused);
    assert_eq!(set(&tcp, &[(ENDS, "false"), (DRAINS, "5")]), Ok(()));
}
