//! Application load balancers behind network load balancers.

use crate::fake::Bench;
use crate::load_balancers::{internet_facing, ready};
use crate::targets::{found, group, health_by_id, listener};
use zonal_balancer::config::{CheckProtocol, HealthReason, HealthState};
use zonal_elbv2::shapes::*;
use zonal_wire::AwsError;

fn alb_group(bench: &Bench, change: impl FnOnce(&mut CreateTargetGroupInput)) -> Result<TargetGroup, AwsError> {
    let mut input = CreateTargetGroupInput {
        name: "albs".into(),
        protocol: Some(ProtocolEnum::Tcp),
        port: Some(80),
        vpc_id: Some("vpc-1".into()),
        target_type: Some(TargetTypeEnum::Alb),
        ..Default::default()
    };
    change(&mut input);
    bench.call::<ops::CreateTargetGroup>(input).map(|mut output| output.target_groups.remove(0))
}

fn register(bench: &Bench, group: &str, id: &str) -> Result<RegisterTargetsOutput, AwsError> {
    let target = TargetDescription { id: id.into(), ..Default::default() };
    bench.call::<ops::RegisterTargets>(RegisterTargetsInput { target_group_arn: group.into(), targets: vec![target] })
}

fn network(bench: &Bench) -> String {
    let input = CreateLoadBalancerInput {
        name: "net".into(),
        type_: Some(LoadBalancerTypeEnum::Network),
        subnets: vec!["subnet-a".into(), "subnet-b".into()],
        scheme: Some(LoadBalancerSchemeEnum::InternetFacing),
        ..Default::default()
    };
    let mut made = bench.call::<ops::CreateLoadBalancer>(input).unwrap().load_balancers;
    made.remove(0).load_balancer_arn.unwrap()
}

fn listen(bench: &Bench, network: &str, protocol: ProtocolEnum, group: &str) -> Result<(), AwsError> {
    let action = Action { type_: ActionTypeEnum::Forward, target_group_arn: Some(group.into()), ..Default::default() };
    let input = CreateListenerInput {
        load_balancer_arn: network.into(),
        protocol: Some(protocol),
        port: Some(80),
        default_actions: vec![action],
        ..Default::default()
    };
    bench.call::<ops::CreateListener>(input).map(drop)
}

/// A network load balancer before an application load balancer: both, and the group between them.
fn chained() -> (Bench, String, String, String) {
    let bench = Bench::new();
    let alb = internet_facing(&bench, "web").load_balancer_arn.unwrap();
    listener(&bench, &alb, 80, &group(&bench, "tg")).unwrap();
    let between = alb_group(&bench, |_| {}).unwrap().target_group_arn.unwrap();
    register(&bench, &between, &alb).unwrap();
    let network = network(&bench);
    listen(&bench, &network, ProtocolEnum::Tcp, &between).unwrap();
    ready(&bench);
    (bench, alb, between, network)
}

fn code<T: std::fmt::Debug>(outcome: Result<T, AwsError>) -> String {
    outcome.unwrap_err().code.to_string()
}

#[test]
fn a_group_of_load_balancers_takes_tcp_and_is_checked_by_http() {
    let bench = Bench::new();
    let made = alb_group(&bench, |_| {}).unwrap();
    assert_eq!(made.target_type, Some(TargetTypeEnum::Alb));
    assert_eq!(made.health_check_protocol, Some(ProtocolEnum::Http));
    assert_eq!(made.matcher.unwrap().http_code.as_deref(), Some("200-399"));
    let tls = |input: &mut CreateTargetGroupInput| input.protocol = Some(ProtocolEnum::Tls);
    assert_eq!(code(alb_group(&bench, tls)), "ValidationError");
    let by_tcp = |input: &mut CreateTargetGroupInput| input.health_check_protocol = Some(ProtocolEnum::Tcp);
    assert_eq!(code(alb_group(&bench, by_tcp)), "ValidationError");
}

#[test]
fn one_application_load_balancer_with_a_listener_on_the_groups_port_can_be_registered() {
    let bench = Bench::new();
    let between = alb_group(&bench, |_| {}).unwrap().target_group_arn.unwrap();
    let alb = internet_facing(&bench, "web").load_balancer_arn.unwrap();
    assert_eq!(code(register(&bench, &between, &alb)), "InvalidTarget", "no listener");
    listener(&bench, &alb, 80, &group(&bench, "tg")).unwrap();
    register(&bench, &between, &alb).unwrap();
    register(&bench, &between, &alb).expect("again is no error");
    let other = internet_facing(&bench, "other").load_balancer_arn.unwrap();
    listener(&bench, &other, 80, &group(&bench, "tg2")).unwrap();
    assert_eq!(code(register(&bench, &between, &other)), "TooManyTargets");
    let empty = alb_group(&bench, |input| input.name = "empty".into()).unwrap().target_group_arn.unwrap();
    let both = [&alb, &other].map(|id| TargetDescription { id: id.clone(), ..Default::default() });
    let input = RegisterTargetsInput { target_group_arn: empty, targets: both.into() };
    assert_eq!(code(bench.call::<ops::RegisterTargets>(input)), "TooManyTargets", "in one call as in two");
    assert_eq!(code(register(&bench, &between, &network(&bench))), "InvalidTarget", "not an application load balancer");
    assert_eq!(code(register(&bench, &between, "i-1")), "InvalidTarget");
}

#[test]
fn the_plane_has_each_node_as_a_target_and_follows_them() {
    let (bench, alb, between, network) = chained();
    let told = bench.told(&network);
    let own = &told.target_groups[0];
    assert_eq!(own.id, between);
    assert!(matches!(own.health_check.protocol, CheckProtocol::Http { .. }));
    assert!(own.flow.unwrap().preserve_client_ip, "the client's address reaches the load balancer");
    let nodes = bench.told(&alb).nodes;
    let addresses = |config: &zonal_balancer::config::BalancerConfig| -> Vec<_> {
        config.target_groups[0]
            .targets
            .iter()
            .map(|target| (target.zone.clone(), target.address, target.port))
            .collect()
    };
    let expected: Vec<_> = nodes.iter().map(|node| (node.zone.clone(), node.address, 80)).collect();
    assert_eq!(addresses(&told), expected);
    assert_eq!(expected.len(), 2);
    let subnets = vec!["subnet-b".into(), "subnet-c".into()];
    let input = SetSubnetsInput { load_balancer_arn: alb, subnets, ..Default::default() };
    bench.call::<ops::SetSubnets>(input).unwrap();
    let left: Vec<_> = addresses(&bench.told(&network)).into_iter().map(|(zone, ..)| zone).collect();
    assert_eq!(left, ["us-east-1b"], "one node has left, and the new one is in a zone that nobody comes from");
}

#[test]
fn a_load_balancer_is_healthy_if_one_of_its_nodes_is() {
    let (bench, alb, between, network) = chained();
    let state = || health_by_id(&bench, &between)[&alb].clone();
    assert_eq!(state(), "initial");
    let ids: Vec<String> =
        bench.told(&network).target_groups[0].targets.iter().map(|target| target.id.clone()).collect();
    let failed = Some(HealthReason::FailedHealthChecks);
    bench.report(&found(&network, &between, &ids[0], HealthState::Unhealthy, failed));
    assert_eq!(state(), "unhealthy");
    bench.report(&found(&network, &between, &ids[1], HealthState::Healthy, None));
    assert_eq!(state(), "healthy");
    assert_eq!(health_by_id(&bench, &between).len(), 1, "one target, whatever it is made of");
}

#[test]
fn only_tcp_listeners_forward_to_load_balancers_and_those_cannot_be_deleted_meanwhile() {
    let (bench, alb, between, network) = chained();
    let input = ModifyListenerInput {
        listener_arn: bench
            .call::<ops::DescribeListeners>(DescribeListenersInput {
                load_balancer_arn: Some(network),
                ..Default::default()
            })
            .unwrap()
            .listeners
            .remove(0)
            .listener_arn
            .unwrap(),
        protocol: Some(ProtocolEnum::TcpUdp),
        ..Default::default()
    };
    assert_eq!(code(bench.call::<ops::ModifyListener>(input)), "IncompatibleProtocols");
    let delete = || bench.call::<ops::DeleteLoadBalancer>(DeleteLoadBalancerInput { load_balancer_arn: alb.clone() });
    assert_eq!(code(delete()), "ResourceInUse");
    let attributes = ModifyTargetGroupAttributesInput {
        target_group_arn: between.clone(),
        attributes: vec![TargetGroupAttribute {
            key: Some("deregistration_delay.timeout_seconds".into()),
            value: Some("0".into()),
        }],
    };
    bench.call::<ops::ModifyTargetGroupAttributes>(attributes).unwrap();
    let target = TargetDescription { id: alb.clone(), ..Default::default() };
    let input = DeregisterTargetsInput { target_group_arn: between, targets: vec![target] };
    bench.call::<ops::DeregisterTargets>(input).unwrap();
    delete().expect("nobody forwards to it any more");
}
