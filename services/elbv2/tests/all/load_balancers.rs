//! Load balancers and their nodes.

use crate::fake::Bench;
use std::time::Duration;
use zonal_elbv2::shapes::*;
use zonal_substrate::{Ask, Report};
use zonal_wire::AwsError;

pub fn create(
    bench: &Bench,
    name: &str,
    subnets: &[&str],
    scheme: LoadBalancerSchemeEnum,
) -> Result<LoadBalancer, AwsError> {
    let input = CreateLoadBalancerInput {
        name: name.into(),
        subnets: subnets.iter().map(|subnet| (*subnet).into()).collect(),
        scheme: Some(scheme),
        ..Default::default()
    };
    bench.call::<ops::CreateLoadBalancer>(input).map(|mut output| output.load_balancers.remove(0))
}

pub fn internet_facing(bench: &Bench, name: &str) -> LoadBalancer {
    create(bench, name, &["subnet-a", "subnet-b"], LoadBalancerSchemeEnum::InternetFacing).unwrap()
}

pub fn describe(bench: &Bench, arn: &str) -> Result<LoadBalancer, AwsError> {
    let input = DescribeLoadBalancersInput { load_balancer_arns: vec![arn.into()], ..Default::default() };
    bench.call::<ops::DescribeLoadBalancers>(input).map(|mut output| output.load_balancers.remove(0))
}

fn state(balancer: &LoadBalancer) -> LoadBalancerStateEnum {
    balancer.state.as_ref().unwrap().code.unwrap()
}

/// All interfaces pass packets.
pub fn ready(bench: &Bench) {
    for interface in bench.interfaces() {
        bench.report(&Report::InterfaceReady { id: interface.id, generation: 1 });
    }
}

#[test]
fn a_load_balancer_is_provisioning_until_all_its_interfaces_pass_packets() {
    let bench = Bench::new();
    let made = internet_facing(&bench, "web");
    assert_eq!(state(&made), LoadBalancerStateEnum::Provisioning);
    let arn = made.load_balancer_arn.unwrap();
    assert!(arn.starts_with("arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/web/"), "{arn}");
    assert!(made.dns_name.unwrap().ends_with(".us-east-1.elb.amazonaws.com"));
    assert_eq!(made.canonical_hosted_zone_id.as_deref(), Some("Z35SXDOTRQ7X7K"));
    assert_eq!(made.security_groups, ["sg-default"]);

    let interfaces = bench.interfaces();
    bench.report(&Report::InterfaceReady { id: interfaces[0].id.clone(), generation: 1 });
    assert_eq!(state(&describe(&bench, &arn).unwrap()), LoadBalancerStateEnum::Provisioning);
    bench.report(&Report::InterfaceReady { id: interfaces[1].id.clone(), generation: 1 });
    assert_eq!(state(&describe(&bench, &arn).unwrap()), LoadBalancerStateEnum::Active);
}

#[test]
fn nodes_have_managed_interfaces_and_public_addresses_only_where_they_face_the_internet() {
    let bench = Bench::new();
    let made = internet_facing(&bench, "web");
    let interfaces = bench.interfaces();
    assert_eq!(interfaces.len(), 2);
    let path = made.load_balancer_arn.as_ref().unwrap().split_once(":loadbalancer/").unwrap().1;
    assert!(interfaces.iter().all(|own| own.by_service && own.description == format!("ELB {path}")), "{interfaces:?}");
    assert!(bench.public_addresses().iter().all(|address| address.interface.is_some()));
    assert_eq!(bench.public_addresses().len(), 2);

    create(&bench, "inner", &["subnet-a", "subnet-b"], LoadBalancerSchemeEnum::Internal).unwrap();
    assert_eq!((bench.interfaces().len(), bench.public_addresses().len()), (4, 2));
}

#[test]
fn what_cannot_be_is_refused_in_the_services_words() {
    let bench = Bench::new();
    let facing = LoadBalancerSchemeEnum::InternetFacing;
    for (name, subnets, code, text) in [
        (
            "web",
            vec!["subnet-a"],
            "ValidationError",
            "At least two subnets in two different Availability Zones must be specified",
        ),
        (
            "web",
            vec!["subnet-a", "subnet-a2"],
            "InvalidConfigurationRequest",
            "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
        ),
        ("web", vec!["subnet-a", "subnet-q"], "SubnetNotFound", "The subnet ID 'subnet-q' does not exist"),
        ("web", vec!["subnet-x", "subnet-y"], "InvalidSubnet", "VPC vpc-2 has no internet gateway"),
        ("a_b", vec!["subnet-a", "subnet-b"], "ValidationError", "alphanumeric"),
        ("internal-a", vec!["subnet-a", "subnet-b"], "ValidationError", "internal-"),
    ] {
        let error = create(&bench, name, &subnets, facing).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(text), "{error}");
    }
    let gateway =
        CreateLoadBalancerInput { name: "n".into(), type_: Some(LoadBalancerTypeEnum::Gateway), ..Default::default() };
    let error = bench.call::<ops::CreateLoadBalancer>(gateway).unwrap_err();
    assert!(error.message.contains("'gateway'"), "{error}");
    assert!(bench.interfaces().is_empty());
}

#[test]
fn creating_again_with_the_same_settings_answers_the_same_one() {
    let bench = Bench::new();
    let first = internet_facing(&bench, "web");
    assert_eq!(internet_facing(&bench, "web").load_balancer_arn, first.load_balancer_arn);
    let error = create(&bench, "web", &["subnet-a", "subnet-c"], LoadBalancerSchemeEnum::InternetFacing).unwrap_err();
    assert_eq!(error.code, "DuplicateLoadBalancerName");
}

#[test]
fn deleting_takes_everything_back_and_the_name_is_free_at_once() {
    let bench = Bench::new();
    let arn = internet_facing(&bench, "web").load_balancer_arn.unwrap();
    ready(&bench);
    bench.call::<ops::DeleteLoadBalancer>(DeleteLoadBalancerInput { load_balancer_arn: arn.clone() }).unwrap();
    assert!(bench.interfaces().is_empty() && bench.public_addresses().is_empty());
    assert!(bench.asks().contains(&Ask::RemoveBalancer(arn.clone())));
    let error = describe(&bench, &arn).unwrap_err();
    assert_eq!(
        (&*error.code, error.message.as_str()),
        ("LoadBalancerNotFound", "One or more load balancers not found")
    );
    // Deleting again is no error, and the name can be had again.
    bench.call::<ops::DeleteLoadBalancer>(DeleteLoadBalancerInput { load_balancer_arn: arn }).unwrap();
    internet_facing(&bench, "web");
}

#[test]
fn deletion_protection_protects_from_deletion() {
    let bench = Bench::new();
    let arn = internet_facing(&bench, "web").load_balancer_arn.unwrap();
    let attribute =
        LoadBalancerAttribute { key: Some("deletion_protection.enabled".into()), value: Some("true".into()) };
    let input = ModifyLoadBalancerAttributesInput { load_balancer_arn: arn.clone(), attributes: vec![attribute] };
    bench.call::<ops::ModifyLoadBalancerAttributes>(input).unwrap();
    let error =
        bench.call::<ops::DeleteLoadBalancer>(DeleteLoadBalancerInput { load_balancer_arn: arn.clone() }).unwrap_err();
    assert_eq!(error.code, "OperationNotPermitted");
    assert!(describe(&bench, &arn).is_ok());
}

#[test]
fn subnets_and_groups_can_be_exchanged_and_nodes_that_stay_keep_their_interface() {
    let bench = Bench::new();
    let arn = internet_facing(&bench, "web").load_balancer_arn.unwrap();
    ready(&bench);
    let before = bench.told(&arn);
    let input = SetSubnetsInput {
        load_balancer_arn: arn.clone(),
        subnets: vec!["subnet-a".into(), "subnet-c".into()],
        ..Default::default()
    };
    let zones = bench.call::<ops::SetSubnets>(input).unwrap().availability_zones;
    assert_eq!(
        zones.iter().map(|zone| zone.zone_name.as_deref().unwrap()).collect::<Vec<_>>(),
        ["us-east-1a", "us-east-1c"]
    );
    let after = bench.told(&arn);
    assert_eq!(after.nodes[0], before.nodes[0]);
    assert_eq!((bench.interfaces().len(), bench.public_addresses().len()), (2, 2));
    assert!(after.revision > before.revision);

    let input = SetSecurityGroupsInput {
        load_balancer_arn: arn.clone(),
        security_groups: vec!["sg-web".into()],
        ..Default::default()
    };
    bench.call::<ops::SetSecurityGroups>(input).unwrap();
    assert!(bench.interfaces().iter().all(|interface| interface.groups == ["sg-web"]));
    let far =
        SetSecurityGroupsInput { load_balancer_arn: arn, security_groups: vec!["sg-far".into()], ..Default::default() };
    assert_eq!(bench.call::<ops::SetSecurityGroups>(far).unwrap_err().code, "InvalidSecurityGroup");
}

#[test]
fn pages_put_together_are_all_load_balancers() {
    let bench = Bench::new();
    for name in ["a", "b", "c"] {
        internet_facing(&bench, name);
    }
    let mut input = DescribeLoadBalancersInput { page_size: Some(2), ..Default::default() };
    let first = bench.call::<ops::DescribeLoadBalancers>(input.clone()).unwrap();
    input.marker = first.next_marker;
    let second = bench.call::<ops::DescribeLoadBalancers>(input).unwrap();
    assert_eq!((first.load_balancers.len(), second.load_balancers.len(), second.next_marker), (2, 1, None));
}

#[test]
fn after_a_restart_the_world_is_asked_for_the_same_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let (arn, name, told) = {
        let bench = Bench::at(Some(&path));
        let made = internet_facing(&bench, "web");
        let arn = made.load_balancer_arn.unwrap();
        ready(&bench);
        let told = bench.told(&arn);
        (arn, made.dns_name.unwrap(), told)
    };
    let bench = Bench::at(Some(&path));
    assert_eq!(state(&describe(&bench, &arn).unwrap()), LoadBalancerStateEnum::Active);
    assert_eq!(bench.told(&arn), told, "with the same revision");
    assert_eq!(bench.addresses(&name).len(), 2);
    assert_eq!(bench.interfaces().len(), 2);
}

fn at_addresses(bench: &Bench, name: &str, addresses: [&str; 2]) -> Result<LoadBalancer, AwsError> {
    let mapping = |(subnet, address): (&str, &str)| SubnetMapping {
        subnet_id: Some(subnet.into()),
        private_i_pv4_address: Some(address.into()),
        ..Default::default()
    };
    let input = CreateLoadBalancerInput {
        name: name.into(),
        type_: Some(LoadBalancerTypeEnum::Network),
        scheme: Some(LoadBalancerSchemeEnum::Internal),
        subnet_mappings: ["subnet-a", "subnet-b"].into_iter().zip(addresses).map(mapping).collect(),
        ..Default::default()
    };
    bench.call::<ops::CreateLoadBalancer>(input).map(|mut output| output.load_balancers.remove(0))
}

#[test]
fn a_private_address_is_taken_if_nobody_has_it_and_it_is_not_awss() {
    let bench = Bench::new();
    for (address, text) in [
        ("10.0.0.0", "reserved"),
        ("10.0.0.3", "reserved"),
        ("10.0.0.255", "reserved"),
        ("10.0.1.9", "not in the range"),
    ] {
        let error = at_addresses(&bench, "inner", [address, "10.0.1.77"]).unwrap_err();
        assert!(error.code == "InvalidConfigurationRequest" && error.message.contains(text), "{address}: {error}");
    }
    let first = at_addresses(&bench, "inner", ["10.0.0.4", "10.0.1.77"]).unwrap();
    let error = at_addresses(&bench, "other", ["10.0.0.5", "10.0.1.77"]).unwrap_err();
    assert!(error.code == "InvalidConfigurationRequest" && error.message.contains("in use"), "{error}");
    let again = at_addresses(&bench, "inner", ["10.0.0.4", "10.0.1.77"]).unwrap();
    assert_eq!(again.load_balancer_arn, first.load_balancer_arn, "the address that it asks for is its own");
}

fn full(bench: &Bench, subnet: &str, is_full: bool) {
    use zonal_ec2::shapes::{CreateTagsRequest, DeleteTagsRequest, ops as ec2};
    let resources = vec![subnet.to_owned()];
    if is_full {
        bench.ec2::<ec2::CreateTags>(CreateTagsRequest { resources, ..Default::default() });
    } else {
        bench.ec2::<ec2::DeleteTags>(DeleteTagsRequest { resources, ..Default::default() });
    }
}

#[test]
fn a_node_that_cannot_join_is_told_of_and_holds_up_no_other() {
    let bench = Bench::new();
    full(&bench, "subnet-b", true);
    let arn = internet_facing(&bench, "web").load_balancer_arn.unwrap();
    ready(&bench);
    let found = describe(&bench, &arn).unwrap();
    let reason = found.state.as_ref().unwrap().reason.clone().unwrap();
    assert_eq!(
        (state(&found), reason.as_str()),
        (LoadBalancerStateEnum::Failed, "subnet-b: subnet-b has no free address")
    );
    assert_eq!(bench.told(&arn).nodes.len(), 1, "the other node serves");
    full(&bench, "subnet-b", false);
    bench.pass(Duration::from_secs(30));
    ready(&bench);
    let found = describe(&bench, &arn).unwrap();
    assert_eq!((state(&found), found.state.unwrap().reason), (LoadBalancerStateEnum::Active, None));

    full(&bench, "subnet-c", true);
    let subnets = vec!["subnet-a".into(), "subnet-c".into()];
    let input = SetSubnetsInput { load_balancer_arn: arn.clone(), subnets, ..Default::default() };
    bench.call::<ops::SetSubnets>(input).unwrap();
    assert_eq!(state(&describe(&bench, &arn).unwrap()), LoadBalancerStateEnum::ActiveImpaired);
    let told: Vec<String> = bench.told(&arn).nodes.into_iter().map(|node| node.zone).collect();
    assert_eq!(told, ["us-east-1a"], "the one that left has left");
    assert_eq!((bench.interfaces().len(), bench.public_addresses().len()), (1, 1));
}

#[test]
fn a_certificates_key_reaches_the_plane_and_is_not_stored_twice() {
    let bench = Bench::new();
    let arn = internet_facing(&bench, "web").load_balancer_arn.unwrap();
    let fixed = FixedResponseActionConfig { status_code: "200".into(), ..Default::default() };
    let action =
        Action { type_: ActionTypeEnum::FixedResponse, fixed_response_config: Some(fixed), ..Default::default() };
    let certificate = Certificate { certificate_arn: Some(bench.certificate("www.example.com")), ..Default::default() };
    let input = CreateListenerInput {
        load_balancer_arn: arn.clone(),
        protocol: Some(ProtocolEnum::Https),
        port: Some(443),
        certificates: vec![certificate],
        default_actions: vec![action],
        ..Default::default()
    };
    bench.call::<ops::CreateListener>(input).unwrap();
    let (told, kept) = (bench.told(&arn), bench.kept(&arn));
    let key = |config: &zonal_balancer::config::BalancerConfig| {
        config.listeners[0].tls.as_ref().unwrap().default_certificate.private_key.clone()
    };
    assert!(key(&told).contains("PRIVATE KEY"));
    assert_eq!((key(&kept).as_str(), kept.revision), ("", told.revision));
    bench.pass(Duration::from_secs(3600));
    assert_eq!(bench.told(&arn).revision, told.revision, "and nothing is told anew for that");
}
