//! Load balancers. Source: Elastic Load Balancing API reference, `CreateLoadBalancer` and the actions that name it.

use super::{balancer, check_name, merge_tags, new_id, page};
use crate::attributes;
use crate::ec2::{self, SubnetFacts};
use crate::errors::{Error, invalid};
use crate::model::{BalancerState, Listener, LoadBalancer, Node, NodeStage, Rule, Scheme};
use crate::shapes::{
    AvailabilityZone, CreateLoadBalancerInput, CreateLoadBalancerOutput, DeleteLoadBalancerInput,
    DeleteLoadBalancerOutput, DescribeCapacityReservationInput, DescribeCapacityReservationOutput,
    DescribeLoadBalancerAttributesInput, DescribeLoadBalancerAttributesOutput, DescribeLoadBalancersInput,
    DescribeLoadBalancersOutput, EnablePrefixForIpv6SourceNatEnum, IpAddressType, LoadBalancer as WireBalancer,
    LoadBalancerAttribute, LoadBalancerSchemeEnum, LoadBalancerState, LoadBalancerStateEnum, LoadBalancerTypeEnum,
    ModifyLoadBalancerAttributesInput, ModifyLoadBalancerAttributesOutput, SetIpAddressTypeInput,
    SetIpAddressTypeOutput, SetSecurityGroupsInput, SetSecurityGroupsOutput, SetSubnetsInput, SetSubnetsOutput,
    SubnetMapping,
};
use crate::zones::canonical_hosted_zone;
use rand::Rng;
use std::collections::BTreeSet;
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

/// Load balancers per region, as AWS's default quota has it.
const QUOTA: usize = 50;

/// `CreateLoadBalancer`
pub fn create(tx: &mut Tx<'_>, input: &CreateLoadBalancerInput) -> Result<CreateLoadBalancerOutput, AwsError> {
    refuse_unsupported(input)?;
    check_name("The load balancer name", &input.name)?;
    if input.name.starts_with("internal-") {
        return Err(invalid(format!("The load balancer name '{}' cannot begin with 'internal-'", input.name)).into());
    }
    let scheme = match input.scheme.unwrap_or_default() {
        LoadBalancerSchemeEnum::InternetFacing => Scheme::InternetFacing,
        LoadBalancerSchemeEnum::Internal => Scheme::Internal,
    };
    let subnets = places(tx, &requested(&input.subnets, &input.subnet_mappings)?, scheme)?;
    let vpc = subnets[0].vpc.clone();
    let security_groups = security_groups(tx, &vpc, &input.security_groups)?;
    let mut tags = Tags::new();
    merge_tags(&mut tags, &input.tags, tx.caller.is_service())?;

    let same_name = tx.list::<LoadBalancer>().find(|other| other.lives() && other.name == input.name);
    if let Some(existing) = same_name {
        let wanted: BTreeSet<&str> = subnets.iter().map(|subnet| subnet.id.as_str()).collect();
        let same = existing.scheme == scheme
            && existing.security_groups == security_groups
            && existing.tags == tags
            && existing.serving().map(|node| node.subnet.as_str()).collect::<BTreeSet<_>>() == wanted;
        if !same {
            return Err(Error::DuplicateLoadBalancerName(input.name.clone()).into());
        }
        return Ok(CreateLoadBalancerOutput { load_balancers: vec![shown(&tx.view(), existing)] });
    }
    if tx.list::<LoadBalancer>().filter(|other| other.lives()).count() >= QUOTA {
        let text = format!("The maximum number of load balancers has been reached: '{QUOTA}'");
        return Err(Error::TooMany { what: "TooManyLoadBalancers", text }.into());
    }
    let id = new_id(tx);
    let arn = tx.scope.arn(ec2::SERVICE, &format!("loadbalancer/app/{}/{id}", input.name));
    let prefix = if scheme == Scheme::Internal { "internal-" } else { "" };
    let number: u32 = tx.chance().random_range(100_000_000..=u32::MAX / 2);
    let record = LoadBalancer {
        arn,
        dns_name: format!("{prefix}{}-{number}.{}.elb.amazonaws.com", input.name, tx.scope.region),
        name: input.name.clone(),
        scheme,
        vpc,
        state: BalancerState::Provisioning,
        created: tx.now,
        security_groups,
        nodes: subnets.into_iter().map(joining).collect(),
        attributes: crate::model::Attributes::new(),
        cookie_secret: zonal_cloud::ids::hex(32, tx.chance()),
        tags,
    };
    let output = CreateLoadBalancerOutput { load_balancers: vec![shown(&tx.view(), &record)] };
    tx.put(record);
    Ok(output)
}

fn joining(subnet: SubnetFacts) -> Node {
    Node { subnet: subnet.id, zone: subnet.zone, stage: NodeStage::Joining, interface: None }
}

fn refuse_unsupported(input: &CreateLoadBalancerInput) -> Result<(), Error> {
    let kind = input.type_.unwrap_or_default();
    if kind != LoadBalancerTypeEnum::Application {
        return Err(Error::Unsupported(format!("load balancers of type '{kind}'; only 'application'")));
    }
    if let Some(other) = input.ip_address_type.filter(|kind| *kind != IpAddressType::Ipv4) {
        return Err(Error::Unsupported(format!("the IP address type '{other}'; only 'ipv4'")));
    }
    refuse_source_nat(input.enable_prefix_for_ipv6_source_nat)?;
    if input.customer_owned_ipv4_pool.is_some() || input.ipam_pools.is_some() {
        return Err(Error::Unsupported("address pools".into()));
    }
    Ok(())
}

fn refuse_source_nat(given: Option<EnablePrefixForIpv6SourceNatEnum>) -> Result<(), Error> {
    match given {
        Some(EnablePrefixForIpv6SourceNatEnum::On) => {
            Err(Error::InvalidConfiguration("Source NAT prefixes are only for load balancers of type 'network'".into()))
        }
        _ => Ok(()),
    }
}

/// The subnets that a request names, in one way or the other.
fn requested(subnets: &[String], mappings: &[SubnetMapping]) -> Result<Vec<String>, Error> {
    match (subnets, mappings) {
        ([_, ..], [_, ..]) => Err(invalid("You cannot specify both subnets and subnet mappings")),
        (subnets, []) => Ok(subnets.to_vec()),
        ([], mappings) => mappings
            .iter()
            .map(|mapping| {
                if mapping.allocation_id.is_some()
                    || mapping.private_i_pv4_address.is_some()
                    || mapping.i_pv6_address.is_some()
                {
                    return Err(Error::InvalidConfiguration(
                        "Addresses cannot be specified in subnet mappings for load balancers of type 'application'"
                            .into(),
                    ));
                }
                mapping.subnet_id.clone().ok_or_else(|| invalid("A subnet ID must be specified in each subnet mapping"))
            })
            .collect(),
    }
}

/// Checks that a load balancer can stand in these subnets: one VPC, at least two zones, no zone twice, room for its nodes.
fn places(tx: &mut Tx<'_>, ids: &[String], scheme: Scheme) -> Result<Vec<SubnetFacts>, AwsError> {
    if ids.len() < 2 {
        return Err(invalid("At least two subnets in two different Availability Zones must be specified").into());
    }
    let mut subnets = Vec::new();
    for id in ids {
        let found = match ec2::subnets(tx, std::slice::from_ref(id)) {
            Err(error) if error.code.starts_with("InvalidSubnetI") => Vec::new(),
            other => other?,
        };
        subnets.extend(Some(found.into_iter().next().ok_or_else(|| Error::SubnetNotFound(id.clone()))?));
    }
    let zones: BTreeSet<&str> = subnets.iter().map(|subnet| subnet.zone.as_str()).collect();
    if zones.len() < subnets.len() {
        return Err(Error::InvalidConfiguration(
            "A load balancer cannot be attached to multiple subnets in the same Availability Zone".into(),
        )
        .into());
    }
    let vpc = subnets[0].vpc.clone();
    if subnets.iter().any(|subnet| subnet.vpc != vpc) {
        return Err(Error::InvalidSubnet("All subnets must belong to the same VPC".into()).into());
    }
    if let Some(full) = subnets.iter().find(|subnet| subnet.free < 8) {
        return Err(Error::InvalidSubnet(format!(
            "Not enough IP space available in {}. ELB requires at least 8 free IP addresses in each subnet.",
            full.id
        ))
        .into());
    }
    if scheme == Scheme::InternetFacing && !ec2::has_internet_gateway(tx, &vpc)? {
        return Err(Error::InvalidSubnet(format!("VPC {vpc} has no internet gateway")).into());
    }
    Ok(subnets)
}

fn security_groups(tx: &mut Tx<'_>, vpc: &str, given: &[String]) -> Result<Vec<String>, AwsError> {
    if given.is_empty() {
        return Ok(vec![ec2::default_group(tx, vpc)?]);
    }
    if !ec2::are_groups_of(tx, vpc, given) {
        return Err(Error::InvalidSecurityGroup.into());
    }
    Ok(given.to_vec())
}

/// `DeleteLoadBalancer`: deleting what is not there is no error.
pub fn delete(tx: &mut Tx<'_>, input: &DeleteLoadBalancerInput) -> Result<DeleteLoadBalancerOutput, AwsError> {
    let arn = &input.load_balancer_arn;
    match balancer(&tx.view(), arn) {
        Err(Error::LoadBalancerNotFound(_)) => return Ok(DeleteLoadBalancerOutput {}),
        Err(error) => return Err(error.into()),
        Ok(found) if attributes::is_protected(found) => {
            let text = format!("Load balancer '{arn}' cannot be deleted because deletion protection is enabled");
            return Err(Error::OperationNotPermitted(text).into());
        }
        Ok(_) => {}
    }
    let of_it = |listener: &&Listener| listener.balancer == *arn;
    let listeners: Vec<String> = tx.list::<Listener>().filter(of_it).map(|listener| listener.arn.clone()).collect();
    for listener in listeners {
        remove_listener(tx, &listener);
    }
    tx.update(arn, LoadBalancer::delete);
    Ok(DeleteLoadBalancerOutput {})
}

/// Removes a listener with its rules.
pub(super) fn remove_listener(tx: &mut Tx<'_>, arn: &str) {
    let rules: Vec<String> =
        tx.list::<Rule>().filter(|rule| rule.listener == arn).map(|rule| rule.arn.clone()).collect();
    for rule in rules {
        tx.remove::<Rule>(&rule);
    }
    tx.remove::<Listener>(arn);
}

/// `DescribeLoadBalancers`
pub fn describe(view: &View<'_>, input: &DescribeLoadBalancersInput) -> Result<DescribeLoadBalancersOutput, AwsError> {
    if !input.load_balancer_arns.is_empty() && !input.names.is_empty() {
        return Err(invalid("Load balancer names and ARNs cannot be specified at the same time").into());
    }
    for arn in &input.load_balancer_arns {
        balancer(view, arn).map_err(|error| match error {
            Error::LoadBalancerNotFound(_) => {
                Error::LoadBalancerNotFound("One or more load balancers not found".into())
            }
            other => other,
        })?;
    }
    let living = || view.list::<LoadBalancer>().filter(|balancer| balancer.lives());
    let missing: Vec<_> = input.names.iter().filter(|name| living().all(|balancer| balancer.name != **name)).collect();
    if !missing.is_empty() {
        let names = missing.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Error::LoadBalancerNotFound(format!("Load balancers '[{names}]' not found")).into());
    }
    let wanted = living().filter(|balancer| named(input, balancer));
    let items = wanted.map(|balancer| (balancer.arn.clone(), shown(view, balancer)));
    let (load_balancers, next_marker) = page(items, input.marker.as_deref(), input.page_size)?;
    Ok(DescribeLoadBalancersOutput { load_balancers, next_marker })
}

fn named(input: &DescribeLoadBalancersInput, balancer: &LoadBalancer) -> bool {
    (input.load_balancer_arns.is_empty() && input.names.is_empty())
        || input.load_balancer_arns.contains(&balancer.arn)
        || input.names.contains(&balancer.name)
}

/// Whether a load balancer that the request names is being provisioned.
pub fn unsettled(view: &View<'_>, input: &DescribeLoadBalancersInput) -> bool {
    let asked = !input.load_balancer_arns.is_empty() || !input.names.is_empty();
    asked && view.list::<LoadBalancer>().any(|found| found.state == BalancerState::Provisioning && named(input, found))
}

fn shown(view: &View<'_>, balancer: &LoadBalancer) -> WireBalancer {
    WireBalancer {
        load_balancer_arn: Some(balancer.arn.clone()),
        dns_name: Some(balancer.dns_name.clone()),
        canonical_hosted_zone_id: canonical_hosted_zone(&view.scope.region).map(ToOwned::to_owned),
        created_time: Some(balancer.created),
        load_balancer_name: Some(balancer.name.clone()),
        scheme: Some(match balancer.scheme {
            Scheme::InternetFacing => LoadBalancerSchemeEnum::InternetFacing,
            Scheme::Internal => LoadBalancerSchemeEnum::Internal,
        }),
        vpc_id: Some(balancer.vpc.clone()),
        state: Some(LoadBalancerState {
            code: Some(match balancer.state {
                BalancerState::Provisioning => LoadBalancerStateEnum::Provisioning,
                BalancerState::Active | BalancerState::Deleting => LoadBalancerStateEnum::Active,
            }),
            reason: None,
        }),
        type_: Some(LoadBalancerTypeEnum::Application),
        availability_zones: zones(balancer),
        security_groups: balancer.security_groups.clone(),
        ip_address_type: Some(IpAddressType::Ipv4),
        ..WireBalancer::default()
    }
}

fn zones(balancer: &LoadBalancer) -> Vec<AvailabilityZone> {
    let zone = |node: &Node| AvailabilityZone {
        zone_name: Some(node.zone.clone()),
        subnet_id: Some(node.subnet.clone()),
        ..AvailabilityZone::default()
    };
    balancer.serving().map(zone).collect()
}

/// `SetSecurityGroups`
pub fn set_security_groups(
    tx: &mut Tx<'_>,
    input: &SetSecurityGroupsInput,
) -> Result<SetSecurityGroupsOutput, AwsError> {
    let vpc = balancer(&tx.view(), &input.load_balancer_arn)?.vpc.clone();
    if input.security_groups.is_empty() {
        return Err(invalid("At least one security group must be specified").into());
    }
    if input.enforce_security_group_inbound_rules_on_private_link_traffic.is_some() {
        let text = "Rules on PrivateLink traffic are only for load balancers of type 'network'";
        return Err(Error::InvalidConfiguration(text.into()).into());
    }
    let groups = security_groups(tx, &vpc, &input.security_groups)?;
    tx.update(&input.load_balancer_arn, |balancer: &mut LoadBalancer| balancer.security_groups.clone_from(&groups));
    Ok(SetSecurityGroupsOutput { security_group_ids: groups, ..Default::default() })
}

/// `SetSubnets`: nodes of subnets that stay stay; the others join or leave.
pub fn set_subnets(tx: &mut Tx<'_>, input: &SetSubnetsInput) -> Result<SetSubnetsOutput, AwsError> {
    let found = balancer(&tx.view(), &input.load_balancer_arn)?;
    let (vpc, scheme) = (found.vpc.clone(), found.scheme);
    refuse_source_nat(input.enable_prefix_for_ipv6_source_nat)?;
    if let Some(other) = input.ip_address_type.filter(|kind| *kind != IpAddressType::Ipv4) {
        return Err(Error::Unsupported(format!("the IP address type '{other}'; only 'ipv4'")).into());
    }
    let subnets = places(tx, &requested(&input.subnets, &input.subnet_mappings)?, scheme)?;
    if subnets[0].vpc != vpc {
        return Err(Error::InvalidSubnet(format!("All subnets must belong to the load balancer's VPC '{vpc}'")).into());
    }
    let availability_zones = tx.update(&input.load_balancer_arn, |balancer: &mut LoadBalancer| {
        for node in &mut balancer.nodes {
            if !subnets.iter().any(|subnet| subnet.id == node.subnet) {
                node.stage = NodeStage::Leaving;
            }
        }
        for subnet in subnets {
            if balancer.serving().all(|node| node.subnet != subnet.id) {
                balancer.nodes.push(joining(subnet));
            }
        }
        zones(balancer)
    });
    Ok(SetSubnetsOutput {
        availability_zones: availability_zones.unwrap_or_default(),
        ip_address_type: Some(IpAddressType::Ipv4),
        ..Default::default()
    })
}

/// `SetIpAddressType`: there is one.
pub fn set_ip_address_type(tx: &mut Tx<'_>, input: &SetIpAddressTypeInput) -> Result<SetIpAddressTypeOutput, AwsError> {
    balancer(&tx.view(), &input.load_balancer_arn)?;
    if input.ip_address_type != IpAddressType::Ipv4 {
        return Err(Error::Unsupported(format!("the IP address type '{}'; only 'ipv4'", input.ip_address_type)).into());
    }
    Ok(SetIpAddressTypeOutput { ip_address_type: Some(IpAddressType::Ipv4) })
}

/// `DescribeLoadBalancerAttributes`
pub fn describe_attributes(
    view: &View<'_>,
    input: &DescribeLoadBalancerAttributesInput,
) -> Result<DescribeLoadBalancerAttributesOutput, AwsError> {
    Ok(DescribeLoadBalancerAttributesOutput { attributes: attributes_of(balancer(view, &input.load_balancer_arn)?) })
}

/// `ModifyLoadBalancerAttributes`
pub fn modify_attributes(
    tx: &mut Tx<'_>,
    input: &ModifyLoadBalancerAttributesInput,
) -> Result<ModifyLoadBalancerAttributesOutput, AwsError> {
    let mut changed = balancer(&tx.view(), &input.load_balancer_arn)?.clone();
    let given = input.attributes.iter().map(|attribute| (attribute.key.clone(), attribute.value.clone()));
    attributes::set_balancer(&mut changed.attributes, given)?;
    let attributes = attributes_of(&changed);
    tx.put(changed);
    Ok(ModifyLoadBalancerAttributesOutput { attributes })
}

fn attributes_of(balancer: &LoadBalancer) -> Vec<LoadBalancerAttribute> {
    let attribute = |(key, value)| LoadBalancerAttribute { key: Some(key), value: Some(value) };
    attributes::of_balancer(balancer).map(attribute).collect()
}

/// `DescribeCapacityReservation`: nobody can have reserved any.
pub fn describe_capacity(
    view: &View<'_>,
    input: &DescribeCapacityReservationInput,
) -> Result<DescribeCapacityReservationOutput, AwsError> {
    balancer(view, &input.load_balancer_arn)?;
    Ok(DescribeCapacityReservationOutput::default())
}
