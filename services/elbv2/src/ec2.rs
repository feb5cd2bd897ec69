//! What this service asks of EC2: the user's subnets, groups and instances, and interfaces and addresses of its own, which it makes
//! as the service that it is (`elasticloadbalancing`), so that EC2 shows them as managed and keeps users from changing them.

use crate::model::PublicAddress;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;
use zonal_cloud::Tx;
use zonal_ec2::shapes::{
    Address, AllocateAddressRequest, AssociateAddressRequest, CreateNetworkInterfaceRequest,
    DeleteNetworkInterfaceRequest, DescribeAddressesRequest, DescribeInstancesRequest, DescribeInternetGatewaysRequest,
    DescribeNetworkInterfacesRequest, DescribeSecurityGroupsRequest, DescribeSubnetsRequest, DescribeVpcsRequest,
    DisassociateAddressRequest, DomainType, Filter, InstanceStateName, ModifyNetworkInterfaceAttributeRequest,
    NetworkInterface, ReleaseAddressRequest, Subnet, Tag, TagSpecification, ops,
};
use zonal_wire::AwsError;

/// The name under which this service calls others.
pub const SERVICE: &str = "elasticloadbalancing";

/// A subnet, as far as a load balancer cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetFacts {
    /// `subnet-…`.
    pub id: String,
    /// Its Availability Zone's name.
    pub zone: String,
    /// Its VPC.
    pub vpc: String,
    /// Addresses that nobody has.
    pub free: i32,
    /// Its range.
    pub cidr: Option<Ipv4Net>,
}

/// An instance, as far as a target group cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceFacts {
    /// What it is doing.
    pub state: InstanceStateName,
    /// Its VPC.
    pub vpc: String,
    /// Its Availability Zone's name.
    pub zone: String,
    /// Its primary private address.
    pub address: Option<Ipv4Addr>,
}

fn filter(name: &str, value: &str) -> Filter {
    Filter { name: Some(name.to_owned()), values: vec![value.to_owned()] }
}

/// The subnets of these ids.
///
/// # Errors
/// EC2's own, such as `InvalidSubnetID.NotFound`.
pub fn subnets(tx: &mut Tx<'_>, ids: &[String]) -> Result<Vec<SubnetFacts>, AwsError> {
    let input = DescribeSubnetsRequest { subnet_ids: ids.to_vec(), ..Default::default() };
    Ok(tx.call::<ops::DescribeSubnets>("ec2", &input)?.subnets.into_iter().map(subnet).collect())
}

/// All subnets of a VPC.
///
/// # Errors
/// EC2's own.
pub fn subnets_of(tx: &mut Tx<'_>, vpc: &str) -> Result<Vec<SubnetFacts>, AwsError> {
    let input = DescribeSubnetsRequest { filters: vec![filter("vpc-id", vpc)], ..Default::default() };
    Ok(tx.call::<ops::DescribeSubnets>("ec2", &input)?.subnets.into_iter().map(subnet).collect())
}

fn subnet(found: Subnet) -> SubnetFacts {
    SubnetFacts {
        id: found.subnet_id.unwrap_or_default(),
        zone: found.availability_zone.unwrap_or_default(),
        vpc: found.vpc_id.unwrap_or_default(),
        free: found.available_ip_address_count.unwrap_or_default(),
        cidr: found.cidr_block.and_then(|cidr| cidr.parse().ok()),
    }
}

/// The id of a VPC's default security group.
///
/// # Errors
/// EC2's own, or there is none.
pub fn default_group(tx: &mut Tx<'_>, vpc: &str) -> Result<String, AwsError> {
    let filters = vec![filter("vpc-id", vpc), filter("group-name", "default")];
    let found = tx
        .call::<ops::DescribeSecurityGroups>("ec2", &DescribeSecurityGroupsRequest { filters, ..Default::default() })?;
    let id = found.security_groups.into_iter().find_map(|group| group.group_id);
    id.ok_or_else(|| AwsError::internal(format!("{vpc} has no default security group")))
}

/// Whether all these security groups exist in the VPC.
pub fn are_groups_of(tx: &mut Tx<'_>, vpc: &str, ids: &[String]) -> bool {
    let input = DescribeSecurityGroupsRequest { group_ids: ids.to_vec(), ..Default::default() };
    tx.call::<ops::DescribeSecurityGroups>("ec2", &input)
        .is_ok_and(|found| found.security_groups.iter().all(|group| group.vpc_id.as_deref() == Some(vpc)))
}

/// Whether an internet gateway is attached to the VPC.
///
/// # Errors
/// EC2's own.
pub fn has_internet_gateway(tx: &mut Tx<'_>, vpc: &str) -> Result<bool, AwsError> {
    let input =
        DescribeInternetGatewaysRequest { filters: vec![filter("attachment.vpc-id", vpc)], ..Default::default() };
    Ok(!tx.call::<ops::DescribeInternetGateways>("ec2", &input)?.internet_gateways.is_empty())
}

/// The ranges of a VPC; `None` where there is no such VPC.
///
/// # Errors
/// EC2's own.
pub fn vpc_ranges(tx: &mut Tx<'_>, vpc: &str) -> Result<Option<Vec<Ipv4Net>>, AwsError> {
    let input = DescribeVpcsRequest { vpc_ids: vec![vpc.to_owned()], ..Default::default() };
    let found = match tx.call::<ops::DescribeVpcs>("ec2", &input) {
        Ok(found) => found.vpcs.into_iter().next(),
        Err(error) if error.code.starts_with("InvalidVpcID") => None,
        Err(error) => return Err(error),
    };
    Ok(found.map(|vpc| {
        let primary = vpc.cidr_block.into_iter();
        let all = vpc.cidr_block_association_set.into_iter().filter_map(|association| association.cidr_block);
        primary.chain(all).filter_map(|cidr| cidr.parse().ok()).collect()
    }))
}

/// An instance; `None` where there is none of that id.
///
/// # Errors
/// EC2's own.
pub fn instance(tx: &mut Tx<'_>, id: &str) -> Result<Option<InstanceFacts>, AwsError> {
    let input = DescribeInstancesRequest { instance_ids: vec![id.to_owned()], ..Default::default() };
    let found = match tx.call::<ops::DescribeInstances>("ec2", &input) {
        Ok(found) => found.reservations.into_iter().flat_map(|reservation| reservation.instances).next(),
        Err(error) if error.code.starts_with("InvalidInstanceID") => None,
        Err(error) => return Err(error),
    };
    Ok(found.map(|instance| InstanceFacts {
        state: instance.state.and_then(|state| state.name).unwrap_or_default(),
        vpc: instance.vpc_id.unwrap_or_default(),
        zone: instance.placement.and_then(|placement| placement.availability_zone).unwrap_or_default(),
        address: instance.private_ip_address.and_then(|address| address.parse().ok()),
    }))
}

/// Makes an interface for a node; answers its id and address.
///
/// # Errors
/// EC2's own, such as `InsufficientFreeAddressesInSubnet`.
pub fn create_interface(
    tx: &mut Tx<'_>,
    subnet: &str,
    groups: &[String],
    description: &str,
    private: Option<Ipv4Addr>,
) -> Result<(String, Ipv4Addr), AwsError> {
    let input = CreateNetworkInterfaceRequest {
        subnet_id: subnet.to_owned(),
        groups: groups.to_vec(),
        description: Some(description.to_owned()),
        private_ip_address: private.map(|address| address.to_string()),
        ..Default::default()
    };
    let made = tx.as_service(SERVICE, |tx| tx.call::<ops::CreateNetworkInterface>("ec2", &input))?;
    let interface = made.network_interface.unwrap_or_default();
    let address = interface.private_ip_address.and_then(|address| address.parse().ok());
    match (interface.network_interface_id, address) {
        (Some(id), Some(address)) => Ok((id, address)),
        _ => Err(AwsError::internal(format!("an interface in {subnet} was made without id or address"))),
    }
}

/// Gives an interface other groups.
///
/// # Errors
/// EC2's own.
pub fn set_groups(tx: &mut Tx<'_>, interface: &str, groups: &[String]) -> Result<(), AwsError> {
    let input = ModifyNetworkInterfaceAttributeRequest {
        network_interface_id: interface.to_owned(),
        groups: groups.to_vec(),
        ..Default::default()
    };
    tx.as_service(SERVICE, |tx| tx.call::<ops::ModifyNetworkInterfaceAttribute>("ec2", &input)).map(drop)
}

/// Allocates a public address and gives it to an interface.
///
/// # Errors
/// EC2's own.
pub fn give_public_address(tx: &mut Tx<'_>, interface: &str, balancer: &str) -> Result<PublicAddress, AwsError> {
    let tag = Tag { key: Some("aws:elasticloadbalancing:load-balancer".into()), value: Some(balancer.to_owned()) };
    let allocate = AllocateAddressRequest {
        domain: Some(DomainType::Vpc),
        tag_specifications: vec![TagSpecification { resource_type: Some("elastic-ip".into()), tags: vec![tag] }],
        ..Default::default()
    };
    tx.as_service(SERVICE, |tx| {
        let allocated = tx.call::<ops::AllocateAddress>("ec2", &allocate)?;
        let associate = AssociateAddressRequest {
            allocation_id: allocated.allocation_id.clone(),
            network_interface_id: Some(interface.to_owned()),
            ..Default::default()
        };
        let association = tx.call::<ops::AssociateAddress>("ec2", &associate)?.association_id;
        let address = allocated.public_ip.and_then(|address| address.parse().ok());
        match (allocated.allocation_id, association, address) {
            (Some(allocation), Some(association), Some(address)) => {
                Ok(PublicAddress { allocation, association, address, is_users: false })
            }
            _ => Err(AwsError::internal(format!("a public address for {interface} has no id"))),
        }
    })
}

/// Whether an interface has that address of a subnet.
///
/// # Errors
/// EC2's own.
pub fn is_in_use(tx: &mut Tx<'_>, subnet: &str, address: Ipv4Addr) -> Result<bool, AwsError> {
    let input = DescribeNetworkInterfacesRequest { filters: vec![filter("subnet-id", subnet)], ..Default::default() };
    let address = address.to_string();
    let has_it = |interface: &NetworkInterface| {
        let all = interface.private_ip_addresses.iter().filter_map(|own| own.private_ip_address.as_ref());
        all.chain(&interface.private_ip_address).any(|own| *own == address)
    };
    Ok(tx.call::<ops::DescribeNetworkInterfaces>("ec2", &input)?.network_interfaces.iter().any(has_it))
}

/// Whether an Elastic IP address of the user's is there and nobody has it.
pub fn is_free_address(tx: &mut Tx<'_>, allocation: &str) -> bool {
    address(tx, allocation).is_some_and(|found| found.association_id.is_none())
}

fn address(tx: &mut Tx<'_>, allocation: &str) -> Option<Address> {
    let input = DescribeAddressesRequest { allocation_ids: vec![allocation.to_owned()], ..Default::default() };
    tx.call::<ops::DescribeAddresses>("ec2", &input).ok()?.addresses.into_iter().next()
}

/// Gives an interface an Elastic IP address of the user's.
///
/// # Errors
/// EC2's own.
pub fn give_users_address(tx: &mut Tx<'_>, interface: &str, allocation: &str) -> Result<PublicAddress, AwsError> {
    let public = address(tx, allocation).and_then(|found| found.public_ip?.parse().ok());
    let associate = AssociateAddressRequest {
        allocation_id: Some(allocation.to_owned()),
        network_interface_id: Some(interface.to_owned()),
        ..Default::default()
    };
    let association = tx.as_service(SERVICE, |tx| tx.call::<ops::AssociateAddress>("ec2", &associate))?.association_id;
    match (association, public) {
        (Some(association), Some(address)) => {
            Ok(PublicAddress { allocation: allocation.to_owned(), association, address, is_users: true })
        }
        _ => Err(AwsError::internal(format!("the address {allocation} for {interface} has no id"))),
    }
}

/// Takes a public address back.
///
/// # Errors
/// EC2's own; that it is gone already is none.
pub fn take_public_address(tx: &mut Tx<'_>, address: &PublicAddress) -> Result<(), AwsError> {
    let disassociate =
        DisassociateAddressRequest { association_id: Some(address.association.clone()), ..Default::default() };
    let release = ReleaseAddressRequest { allocation_id: Some(address.allocation.clone()), ..Default::default() };
    tx.as_service(SERVICE, |tx| {
        gone_is_fine(tx.call::<ops::DisassociateAddress>("ec2", &disassociate))?;
        if address.is_users {
            return Ok(());
        }
        gone_is_fine(tx.call::<ops::ReleaseAddress>("ec2", &release))
    })
}

/// Removes an interface.
///
/// # Errors
/// EC2's own; that it is gone already is none.
pub fn delete_interface(tx: &mut Tx<'_>, id: &str) -> Result<(), AwsError> {
    let input = DeleteNetworkInterfaceRequest { network_interface_id: id.to_owned(), ..Default::default() };
    gone_is_fine(tx.as_service(SERVICE, |tx| tx.call::<ops::DeleteNetworkInterface>("ec2", &input)))
}

fn gone_is_fine<T>(result: Result<T, AwsError>) -> Result<(), AwsError> {
    match result {
        Err(error) if !error.code.ends_with(".NotFound") => Err(error),
        _ => Ok(()),
    }
}
