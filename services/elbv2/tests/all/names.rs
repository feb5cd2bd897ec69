//! Names of load balancers.

use crate::fake::Bench;
use crate::load_balancers::{create, internet_facing, ready};
use crate::targets::{found, group, listener, register};
use std::time::Duration;
use zonal_balancer::config::HealthState;
use zonal_ec2::shapes::{CreateTagsRequest, StopInstancesRequest, ops as ec2};
use zonal_elbv2::shapes::{
    DeleteLoadBalancerInput, LoadBalancerSchemeEnum, ModifyTargetGroupAttributesInput, SetSubnetsInput,
    TargetGroupAttribute, ops,
};
use zonal_substrate::Ask;

#[test]
fn a_name_leads_to_public_addresses_or_of_an_internal_one_to_private_ones() {
    let bench = Bench::new();
    let facing = internet_facing(&bench, "web").dns_name.unwrap();
    let internal = create(&bench, "inner", &["subnet-a", "subnet-b"], LoadBalancerSchemeEnum::Internal).unwrap();
    let internal = internal.dns_name.unwrap();
    ready(&bench);
    assert!(internal.starts_with("internal-inner-"), "{internal}");
    assert_eq!(bench.addresses(&facing), ["127.100.0.1", "127.100.0.2"]);
    assert_eq!(bench.addresses(&format!("dualstack.{facing}")), ["127.100.0.1", "127.100.0.2"]);
    assert!(bench.addresses(&internal).iter().all(|address| address.starts_with("10.0.9.")));
}

#[test]
fn a_node_that_joins_is_told_to_nobody_before_its_interface_passes_packets() {
    let bench = Bench::new();
    let made = internet_facing(&bench, "web");
    let (name, load_balancer_arn) = (made.dns_name.unwrap(), made.load_balancer_arn.unwrap());
    listener(&bench, &load_balancer_arn, 80, &group(&bench, "tg")).unwrap();
    ready(&bench);
    let subnets = ["subnet-a", "subnet-b", "subnet-c"].map(Into::into).to_vec();
    let input = SetSubnetsInput { load_balancer_arn: load_balancer_arn.clone(), subnets, ..Default::default() };
    bench.call::<ops::SetSubnets>(input).unwrap();
    assert_eq!((bench.addresses(&name).len(), bench.told(&load_balancer_arn).nodes.len()), (2, 2));
    ready(&bench);
    assert_eq!((bench.addresses(&name).len(), bench.told(&load_balancer_arn).nodes.len()), (3, 3));
}

#[test]
fn the_zone_goes_with_its_last_load_balancer() {
    let bench = Bench::new();
    let load_balancer_arn = internet_facing(&bench, "web").load_balancer_arn.unwrap();
    bench.call::<ops::DeleteLoadBalancer>(DeleteLoadBalancerInput { load_balancer_arn }).unwrap();
    let gone = Ask::RemoveZone { view: "public".into(), name: "us-east-1.elb.amazonaws.com".into(), confirm: None };
    assert!(bench.asks().contains(&gone));
}

#[test]
fn an_address_in_a_zone_that_is_cut_off_is_withdrawn_after_thirty_seconds() {
    let bench = Bench::new();
    let name = internet_facing(&bench, "web").dns_name.unwrap();
    ready(&bench);
    let cut = |zone: &str| CreateTagsRequest { resources: vec![zone.into()], ..Default::default() };
    bench.ec2::<ec2::CreateTags>(cut("us-east-1a"));
    bench.pass(Duration::from_secs(29));
    assert_eq!(bench.addresses(&name).len(), 2);
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.addresses(&name), ["127.100.0.2"]);
    bench.ec2::<ec2::CreateTags>(cut("us-east-1b"));
    bench.pass(Duration::from_secs(30));
    assert_eq!(bench.addresses(&name).len(), 2, "were none left, all stay");
}

#[test]
fn an_address_in_a_zone_with_too_few_healthy_targets_is_withdrawn() {
    let bench = Bench::new();
    let made = internet_facing(&bench, "web");
    let (name, balancer) = (made.dns_name.unwrap(), made.load_balancer_arn.unwrap());
    let group = group(&bench, "tg");
    listener(&bench, &balancer, 80, &group).unwrap();
    ready(&bench);
    for (id, subnet) in [("i-1", "subnet-a"), ("i-2", "subnet-b")] {
        bench.run_instance(id, subnet);
        register(&bench, &group, id).unwrap();
    }
    let set = |key: &str, value: &str| {
        let attribute = TargetGroupAttribute { key: Some(key.into()), value: Some(value.into()) };
        let input = ModifyTargetGroupAttributesInput { target_group_arn: group.clone(), attributes: vec![attribute] };
        bench.call::<ops::ModifyTargetGroupAttributes>(input).unwrap();
    };
    let is = |id: &str, state| bench.report(&found(&balancer, &group, id, state, None));
    let count = || bench.addresses(&name).len();
    assert_eq!(count(), 2, "nothing is known yet, so all stay");
    is("i-1", HealthState::Healthy);
    is("i-2", HealthState::Unhealthy);
    assert_eq!(count(), 2, "each node reaches the healthy one");
    set("load_balancing.cross_zone.enabled", "false");
    assert_eq!(bench.addresses(&name), ["127.100.0.1"]);
    set("target_group_health.dns_failover.minimum_healthy_targets.count", "off");
    assert_eq!(count(), 2);
    set("target_group_health.dns_failover.minimum_healthy_targets.percentage", "50");
    assert_eq!(bench.addresses(&name), ["127.100.0.1"]);
    is("i-1", HealthState::Unhealthy);
    assert_eq!(count(), 2, "were none left, all stay");
    is("i-2", HealthState::Healthy);
    assert_eq!(bench.addresses(&name), ["127.100.0.2"]);
    // What is in no use, as an instance that is stopped, is no part of a percentage.
    bench.run_instance("i-3", "subnet-b");
    register(&bench, &group, "i-3").unwrap();
    set("target_group_health.dns_failover.minimum_healthy_targets.percentage", "100");
    assert_eq!(count(), 2, "neither has enough while one is new");
    bench.ec2::<ec2::StopInstances>(StopInstancesRequest { instance_ids: vec!["i-3".into()], ..Default::default() });
    assert_eq!(bench.addresses(&name), ["127.100.0.2"]);
}
