//! Load balancers. Source: Elastic Load Balancing API reference, `CreateLoadBalancer` and the actions that name it.

use super::{balancer, check_name, merge_tags, new_id, page};
use crate::albs;
use crate::attributes;
use crate::ec2::{self, SubnetFacts};
use crate::errors::{Error, invalid};
use crate::model::{BalancerState, Kind, Listener, LoadBalancer, Node, NodeStage, Rule, Scheme, WantedAddress};
use crate::shapes::{
    AvailabilityZone, CreateLoadBalancerInput, CreateLoadBalancerOutput, DeleteLoadBalancerInput,
    DeleteLoadBalancerOutput, DescribeCapacityReservationInput, DescribeCapacityReservationOutput,
    DescribeLoadBalancerAttributesInput, DescribeLoadBalancerAttributesOutput, DescribeLoadBalancersInput,
    DescribeLoadBalancersOutput, EnablePrefixForIpv6SourceNatEnum, IpAddressType, LoadBalancer as WireBalancer,
    LoadBalancerAddress, LoadBalancerAttribute, LoadBalancerSchemeEnum, LoadBalancerState, LoadBalancerStateEnum,
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
    let kind = Kind::of(input.type_.unwrap_or_default())?;
    let asked = requested(kind, scheme, &input.subnets, &input.subnet_mappings)?;
    let mut tags = Tags::new();
    merge_tags(&mut tags, &input.tags, tx.caller.is_service())?;
    // Compared before anything is looked for in the subnets: what it asks for is not free there, as the one that it made has it.
    let same_name = tx.list::<LoadBalancer>().find(|other| other.lives() && other.name == input.name).cloned();
    if let Some(existing) = same_name {
        let wanted: BTreeSet<_> = asked.iter().map(|(subnet, wanted)| (subnet.as_str(), wanted)).collect();
        let same = existing.kind == kind
            && existing.scheme == scheme
            && existing.security_groups == groups_of(tx, kind, &existing.vpc, &input.security_groups)?
            && existing.tags == tags
            && existing.serving().map(|node| (node.subnet.as_str(), &node.wanted)).collect::<BTreeSet<_>>() == wanted;
        if !same {
            return Err(Error::DuplicateLoadBalancerName(input.name.clone()).into());
        }
        return Ok(CreateLoadBalancerOutput { load_balancers: vec![shown(&tx.view(), &existing)] });
    }
    let subnets = places(tx, kind, &asked, scheme)?;
    let vpc = subnets[0].0.vpc.clone();
    let security_groups = groups_of(tx, kind, &vpc, &input.security_groups)?;
    if tx.list::<LoadBalancer>().filter(|other| other.lives()).count() >= QUOTA {
        let text = format!("The maximum number of load balancers has been reached: '{QUOTA}'");
        return Err(Error::TooMany { what: "TooManyLoadBalancers", text }.into());
    }
    let id = new_id(tx);
    let arn = tx.scope.arn(ec2::SERVICE, &format!("loadbalancer/{}/{}/{id}", kind.prefix(), input.name));
    let region = &tx.scope.region.clone();
    let dns_name = match kind {
        Kind::Application => {
            let prefix = if scheme == Scheme::Internal { "internal-" } else { "" };
            let number: u32 = tx.chance().random_range(100_000_000..=u32::MAX / 2);
            format!("{prefix}{}-{number}.{region}.elb.amazonaws.com", input.name)
        }
        Kind::Network => format!("{}-{id}.elb.{region}.amazonaws.com", input.name),
    };
    let record = LoadBalancer {
        arn,
        kind,
        dns_name,
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

fn joining((subnet, wanted): (SubnetFacts, WantedAddress)) -> Node {
    Node { subnet: subnet.id, zone: subnet.zone, stage: NodeStage::Joining, wanted, interface: None, failure: None }
}

fn refuse_unsupported(input: &CreateLoadBalancerInput) -> Result<(), Error> {
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

/// The subnets that a request names, in one way or the other, with the addresses that are wanted there.
fn requested(
    kind: Kind,
    scheme: Scheme,
    subnets: &[String],
    mappings: &[SubnetMapping],
) -> Result<Vec<(String, WantedAddress)>, Error> {
    match (subnets, mappings) {
        ([_, ..], [_, ..]) => Err(invalid("You cannot specify both subnets and subnet mappings")),
        (subnets, []) => Ok(subnets.iter().map(|subnet| (subnet.clone(), WantedAddress::default())).collect()),
        ([], mappings) => mappings
            .iter()
            .map(|mapping| {
                let has_address = mapping.allocation_id.is_some() || mapping.private_i_pv4_address.is_some();
                if mapping.i_pv6_address.is_some() || mapping.source_nat_ipv6_prefix.is_some() {
                    return Err(Error::Unsupported("IPv6 addresses of load balancers".into()));
                }
                if has_address && kind == Kind::Application {
                    return Err(Error::InvalidConfiguration(
                        "Addresses cannot be specified in subnet mappings for load balancers of type 'application'"
                            .into(),
                    ));
                }
                if mapping.allocation_id.is_some() && scheme == Scheme::Internal {
                    let text = "Elastic IP addresses cannot be specified for internal load balancers";
                    return Err(Error::InvalidConfiguration(text.into()));
                }
                if mapping.private_i_pv4_address.is_some() && scheme == Scheme::InternetFacing {
                    let text = "Private addresses can be specified only for internal load balancers";
                    return Err(Error::InvalidConfiguration(text.into()));
                }
                let private = mapping.private_i_pv4_address.as_ref().map(|address| {
                    address.parse().map_err(|_| invalid(format!("'{address}' is not a valid IPv4 address")))
                });
                let wanted = WantedAddress { allocation: mapping.allocation_id.clone(), private: private.transpose()? };
                let subnet = mapping.subnet_id.clone();
                let subnet = subnet.ok_or_else(|| invalid("A subnet ID must be specified in each subnet mapping"))?;
                Ok((subnet, wanted))
            })
            .collect(),
    }
}

/// Checks that a load balancer can stand in these subnets: one VPC, at least two zones (one, of a network load balancer), no zone
/// twice, room for its nodes, and that the addresses wanted there can be had.
fn places(
    tx: &mut Tx<'_>,
    kind: Kind,
    asked: &[(String, WantedAddress)],
    scheme: Scheme,
) -> Result<Vec<(SubnetFacts, WantedAddress)>, AwsError> {
    if asked.is_empty() {
        return Err(invalid("At least one subnet must be specified").into());
    }
    if asked.len() < 2 && kind == Kind::Application {
        return Err(invalid("At least two subnets in two different Availability Zones must be specified").into());
    }
    let mut subnets = Vec::new();
    for (id, wanted) in asked {
        let found = match ec2::subnets(tx, std::slice::from_ref(id)) {
            Err(error) if error.code.starts_with("InvalidSubnetI") => Vec::new(),
            other => other?,
        };
        let found = found.into_iter().next().ok_or_else(|| Error::SubnetNotFound(id.clone()))?;
        check_address(tx, &found, wanted)?;
        subnets.push((found, wanted.clone()));
    }
    let zones: BTreeSet<&str> = subnets.iter().map(|(subnet, _)| subnet.zone.as_str()).collect();
    if zones.len() < subnets.len() {
        return Err(Error::InvalidConfiguration(
            "A load balancer cannot be attached to multiple subnets in the same Availability Zone".into(),
        )
        .into());
    }
    let vpc = subnets[0].0.vpc.clone();
    if subnets.iter().any(|(subnet, _)| subnet.vpc != vpc) {
        return Err(Error::InvalidSubnet("All subnets must belong to the same VPC".into()).into());
    }
    if let Some(full) = subnets.iter().find(|(subnet, _)| subnet.free < 8).map(|(subnet, _)| subnet) {
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

/// Checks that the addresses wanted in a subnet can be had.
fn check_address(tx: &mut Tx<'_>, subnet: &SubnetFacts, wanted: &WantedAddress) -> Result<(), AwsError> {
    if let Some(private) = wanted.private
        && !subnet.cidr.is_some_and(|cidr| cidr.contains(&private))
    {
        let text = format!("The address '{private}' is not in the range of subnet '{}'", subnet.id);
        return Err(Error::InvalidConfiguration(text).into());
    }
    if let Some(private) = wanted.private {
        // The first four addresses of a subnet and its last are AWS's.
        let is_reserved = subnet
            .cidr
            .is_some_and(|cidr| private.to_bits() - cidr.network().to_bits() < 4 || private == cidr.broadcast());
        if is_reserved {
            let text = format!("The address '{private}' is reserved in subnet '{}'", subnet.id);
            return Err(Error::InvalidConfiguration(text).into());
        }
        if ec2::is_in_use(tx, &subnet.id, private)? {
            let text = format!("The address '{private}' is already in use in subnet '{}'", subnet.id);
            return Err(Error::InvalidConfiguration(text).into());
        }
    }
    match &wanted.allocation {
        Some(allocation) if !ec2::is_free_address(tx, allocation) => {
            Err(Error::AllocationIdNotFound(allocation.clone()).into())
        }
        _ => Ok(()),
    }
}

/// The groups of a load balancer that is made with these.
fn groups_of(tx: &mut Tx<'_>, kind: Kind, vpc: &str, given: &[String]) -> Result<Vec<String>, AwsError> {
    match (kind, given.is_empty()) {
        // It filters nothing, and never will.
        (Kind::Network, true) => Ok(Vec::new()),
        _ => security_groups(tx, vpc, given),
    }
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
    if let Some(group) = albs::groups_with(&tx.view(), arn).next() {
        let text = format!("Load balancer '{arn}' cannot be deleted because it is a target of target group '{group}'");
        return Err(Error::ResourceInUse(text).into());
    }
    let own = tx.starting::<Listener>(LoadBalancer::keys_of_listeners(arn));
    let listeners: Vec<String> = own.map(|listener| listener.arn.clone()).collect();
    for listener in listeners {
        remove_listener(tx, &listener);
    }
    super::certificates::note_use(tx, &input.load_balancer_arn);
    tx.update(arn, LoadBalancer::delete);
    Ok(DeleteLoadBalancerOutput {})
}

/// Removes a listener with its rules.
pub(super) fn remove_listener(tx: &mut Tx<'_>, arn: &str) {
    let rules: Vec<String> = tx.starting::<Rule>(Listener::keys_of_rules(arn)).map(|rule| rule.arn.clone()).collect();
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
    let waits = |found: &LoadBalancer| found.state == BalancerState::Provisioning && found.failure().is_none();
    asked && view.list::<LoadBalancer>().any(|found| waits(found) && named(input, found))
}

fn shown(view: &View<'_>, balancer: &LoadBalancer) -> WireBalancer {
    WireBalancer {
        load_balancer_arn: Some(balancer.arn.clone()),
        dns_name: Some(balancer.dns_name.clone()),
        canonical_hosted_zone_id: canonical_hosted_zone(balancer.kind, &view.scope.region).map(ToOwned::to_owned),
        created_time: Some(balancer.created),
        load_balancer_name: Some(balancer.name.clone()),
        scheme: Some(match balancer.scheme {
            Scheme::InternetFacing => LoadBalancerSchemeEnum::InternetFacing,
            Scheme::Internal => LoadBalancerSchemeEnum::Internal,
        }),
        vpc_id: Some(balancer.vpc.clone()),
        state: Some(LoadBalancerState {
            code: Some(match (balancer.state, balancer.failure()) {
                (BalancerState::Provisioning, Some(_)) => LoadBalancerStateEnum::Failed,
                (BalancerState::Provisioning, None) => LoadBalancerStateEnum::Provisioning,
                (BalancerState::Active, Some(_)) => LoadBalancerStateEnum::ActiveImpaired,
                (BalancerState::Active, None) | (BalancerState::Deleting, _) => LoadBalancerStateEnum::Active,
            }),
            reason: balancer.failure().map(ToOwned::to_owned),
        }),
        type_: Some(balancer.kind.wire()),
        enforce_security_group_inbound_rules_on_private_link_traffic: (balancer.kind == Kind::Network
            && !balancer.security_groups.is_empty())
        .then(|| "on".into()),
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
        load_balancer_addresses: addresses(balancer, node),
        ..AvailabilityZone::default()
    };
    balancer.serving().map(zone).collect()
}

/// The addresses of a network load balancer's node, as far as its user chose them or can keep them.
fn addresses(balancer: &LoadBalancer, node: &Node) -> Vec<LoadBalancerAddress> {
    let Some(interface) = node.interface.as_ref().filter(|_| balancer.kind == Kind::Network) else { return Vec::new() };
    let address = LoadBalancerAddress {
        ip_address: interface.public.as_ref().map(|public| public.address.to_string()),
        allocation_id: interface.public.as_ref().filter(|public| public.is_users).map(|own| own.allocation.clone()),
        private_i_pv4_address: node.wanted.private.map(|private| private.to_string()),
        i_pv6_address: None,
    };
    if address == LoadBalancerAddress::default() { Vec::new() } else { vec![address] }
}

/// `SetSecurityGroups`
pub fn set_security_groups(
    tx: &mut Tx<'_>,
    input: &SetSecurityGroupsInput,
) -> Result<SetSecurityGroupsOutput, AwsError> {
    let found = balancer(&tx.view(), &input.load_balancer_arn)?;
    let (vpc, kind) = (found.vpc.clone(), found.kind);
    if kind == Kind::Network && found.security_groups.is_empty() {
        let text = "Security groups cannot be added to a load balancer of type 'network' that was created without any";
        return Err(Error::InvalidConfiguration(text.into()).into());
    }
    if input.security_groups.is_empty() {
        return Err(invalid("At least one security group must be specified").into());
    }
    if input.enforce_security_group_inbound_rules_on_private_link_traffic.is_some() && kind == Kind::Application {
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
    let (vpc, scheme, kind) = (found.vpc.clone(), found.scheme, found.kind);
    let kept: Vec<_> = found.serving().filter(|node| node.wanted != WantedAddress::default()).cloned().collect();
    refuse_source_nat(input.enable_prefix_for_ipv6_source_nat)?;
    if let Some(other) = input.ip_address_type.filter(|kind| *kind != IpAddressType::Ipv4) {
        return Err(Error::Unsupported(format!("the IP address type '{other}'; only 'ipv4'")).into());
    }
    let mut asked = requested(kind, scheme, &input.subnets, &input.subnet_mappings)?;
    for (subnet, wanted) in &mut asked {
        // A node that stays keeps its address: that is not free, and need not be.
        if kept.iter().any(|node| node.subnet == *subnet && node.wanted == *wanted) {
            *wanted = WantedAddress::default();
        }
    }
    let subnets = places(tx, kind, &asked, scheme)?;
    if subnets[0].0.vpc != vpc {
        return Err(Error::InvalidSubnet(format!("All subnets must belong to the load balancer's VPC '{vpc}'")).into());
    }
    let availability_zones = tx.update(&input.load_balancer_arn, |balancer: &mut LoadBalancer| {
        for node in &mut balancer.nodes {
            if !subnets.iter().any(|(subnet, _)| subnet.id == node.subnet) {
                node.stage = NodeStage::Leaving;
            }
        }
        for place in subnets {
            if balancer.serving().all(|node| node.subnet != place.0.id) {
                balancer.nodes.push(joining(place));
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
    attributes::set_balancer(&mut changed, given)?;
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
