//! Subnets.

use super::{Answer, Selection, cidr, filters, json, one, shown, specified, tag_list, text};
use crate::errors::Error;
use crate::model::{Acl, AclAssociation, Interface, RouteTable, Subnet};
use crate::shapes::{self, *};
use ipnet::Ipv4Net;
use zonal_cloud::regions::Region;
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View};

/// The words in "does not exist".
pub(crate) const UNKNOWN: (&str, &str) = ("InvalidSubnetID.NotFound", "subnet");

pub(crate) fn subnet<'a>(view: &View<'a>, id: &str) -> Result<&'a Subnet, Error> {
    view.get::<Subnet>(id).ok_or_else(|| Error::not_found(UNKNOWN.0, UNKNOWN.1, id))
}

pub fn create(tx: &mut Tx<'_>, input: &CreateSubnetRequest) -> Answer<CreateSubnetResult> {
    super::beyond::refuse("CreateSubnet", input)?;
    let vpc = super::vpcs::vpc(&tx.view(), &input.vpc_id)?.clone();
    let Some(range) = &input.cidr_block else { return Err(Error::MissingParameter("CidrBlock".to_owned()).into()) };
    let range = cidr(range, "cidrBlock")?;
    if !(16..=28).contains(&range.prefix_len()) || !vpc.cidr.contains(&range) {
        return Err(Error::Coded("InvalidSubnet.Range", format!("The CIDR '{range}' is invalid.")).into());
    }
    let overlaps =
        |other: &&Subnet| other.vpc == vpc.id && (other.cidr.contains(&range) || range.contains(&other.cidr));
    if tx.list::<Subnet>().any(|other| overlaps(&other)) {
        let text = format!("The CIDR '{range}' conflicts with another subnet");
        return Err(Error::Coded("InvalidSubnet.Conflict", text).into());
    }
    let zone = zone(tx, input.availability_zone.as_deref().or(input.availability_zone_id.as_deref()))?;
    let tags = specified(tx, &input.tag_specifications, "subnet", &["subnet"])?;
    let subnet = make(tx, &vpc.id, &zone, range, false, tags);
    Ok(CreateSubnetResult { subnet: Some(shape(&tx.view(), &subnet)), ..Default::default() })
}

/// The zone's name that a name or an id stands for; the region's first where none is given.
fn zone(tx: &Tx<'_>, given: Option<&str>) -> Result<String, Error> {
    let region = Region::named(&tx.scope.region)
        .ok_or_else(|| Error::InvalidParameterValue(format!("The region '{}' does not exist", tx.scope.region)))?;
    match given {
        None => Ok(region.zones().next().map(|(name, _)| name).unwrap_or_default()),
        Some(given) => region.zone_name(given).ok_or_else(|| {
            let valid: Vec<String> = region.zones().map(|(name, _)| name).collect();
            Error::InvalidParameterValue(format!(
                "Value ({given}) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: {}.",
                valid.join(", ")
            ))
        }),
    }
}

pub(crate) fn make(tx: &mut Tx<'_>, vpc: &str, zone: &str, cidr: Ipv4Net, default: bool, tags: Tags) -> Subnet {
    let subnet = Subnet {
        id: tx.id("subnet-"),
        vpc: vpc.to_owned(),
        zone: zone.to_owned(),
        cidr,
        map_public_ip: default,
        default_for_az: default,
        resource_name_a_record: false,
        tags,
    };
    tx.put(subnet.clone());
    let association = AclAssociation { id: tx.id("aclassoc-"), subnet: subnet.id.clone() };
    let acl = tx.list::<Acl>().find(|acl| acl.vpc == vpc && acl.is_default).map(|acl| acl.id.clone());
    if let Some(acl) = acl {
        tx.update::<Acl, _>(&acl, |acl| acl.associations.push(association));
    }
    subnet
}

pub fn describe(view: &View<'_>, input: &DescribeSubnetsRequest) -> Answer<DescribeSubnetsResult> {
    let selection = Selection {
        ids: &input.subnet_ids,
        filters: &input.filters,
        names: filters::SUBNETS,
        token: input.next_token.as_deref(),
        limit: input.max_results,
        unknown: UNKNOWN,
    };
    let (subnets, next_token) = selection.of(
        view.among::<Subnet>(&input.subnet_ids),
        |subnet| &subnet.id,
        |subnet| &subnet.tags,
        |subnet, name| match name {
            "subnet-id" => one(&subnet.id),
            "vpc-id" => one(&subnet.vpc),
            "availability-zone" | "availabilityZone" => one(&subnet.zone),
            "availability-zone-id" | "availabilityZoneId" => one(zone_id(&subnet.zone)),
            "cidr" | "cidr-block" | "cidrBlock" => one(subnet.cidr),
            "default-for-az" | "defaultForAz" => one(subnet.default_for_az),
            "map-public-ip-on-launch" => one(subnet.map_public_ip),
            "available-ip-address-count" => one(available(view, subnet)),
            "owner-id" => one(&view.scope.account),
            "state" => one("available"),
            "subnet-arn" => one(view.scope.arn("ec2", &format!("subnet/{}", subnet.id))),
            _ => None,
        },
        |subnet| json(&shape(view, subnet)),
    )?;
    let subnets = subnets.into_iter().map(|subnet| shape(view, subnet)).collect();
    Ok(DescribeSubnetsResult { next_token, subnets, ..Default::default() })
}

/// The zone id of a zone's name.
pub(crate) fn zone_id(zone: &str) -> String {
    let region = Region::named(zonal_cloud::regions::of_zone(zone));
    region.and_then(|region| region.zone_id(zone)).unwrap_or_default()
}

/// Free addresses: all but the first four, the last, and those in use.
pub(crate) fn available(view: &View<'_>, subnet: &Subnet) -> i32 {
    let size = 1i32 << (32 - subnet.cidr.prefix_len());
    let used: usize = view
        .list::<Interface>()
        .filter(|interface| interface.subnet == subnet.id)
        .map(|interface| interface.private.len())
        .sum();
    size - 5 - i32::try_from(used).unwrap_or(i32::MAX)
}

fn shape(view: &View<'_>, subnet: &Subnet) -> shapes::Subnet {
    shapes::Subnet {
        subnet_id: text(&subnet.id),
        subnet_arn: text(view.scope.arn("ec2", &format!("subnet/{}", subnet.id))),
        vpc_id: text(&subnet.vpc),
        owner_id: text(&*view.scope.account),
        availability_zone: text(&subnet.zone),
        availability_zone_id: text(zone_id(&subnet.zone)),
        cidr_block: shown(subnet.cidr),
        available_ip_address_count: Some(available(view, subnet)),
        default_for_az: Some(subnet.default_for_az),
        map_public_ip_on_launch: Some(subnet.map_public_ip),
        map_customer_owned_ip_on_launch: Some(false),
        assign_ipv6_address_on_creation: Some(false),
        ipv6_native: Some(false),
        enable_dns64: Some(false),
        state: Some(SubnetState::Available),
        block_public_access_states: Some(super::vpcs::not_blocked()),
        private_dns_name_options_on_launch: Some(PrivateDnsNameOptionsOnLaunch {
            hostname_type: Some(HostnameType::IpName),
            enable_resource_name_dns_a_record: Some(subnet.resource_name_a_record),
            enable_resource_name_dns_aaaa_record: Some(false),
            ..Default::default()
        }),
        tags: tag_list(&subnet.tags),
        ..Default::default()
    }
}

/// Whether an interface of the subnet that is to be deleted is on its way out.
pub fn leaving(view: &View<'_>, input: &DeleteSubnetRequest) -> bool {
    super::interfaces::leaving(view, |interface| interface.subnet == input.subnet_id)
}

pub fn delete(tx: &mut Tx<'_>, input: &DeleteSubnetRequest) -> Answer<DeleteSubnetOutput> {
    let id = &input.subnet_id;
    subnet(&tx.view(), id)?;
    if tx.list::<Interface>().any(|interface| interface.subnet == *id) {
        return Err(Error::DependencyViolation("subnet", id.clone()).into());
    }
    let tables: Vec<String> = tx
        .list::<RouteTable>()
        .filter(|table| table.associations.iter().any(|association| association.subnet.as_ref() == Some(id)))
        .map(|table| table.id.clone())
        .collect();
    for table in tables {
        tx.update::<RouteTable, _>(&table, |table| {
            table.associations.retain(|association| association.subnet.as_ref() != Some(id))
        });
    }
    let acls: Vec<String> = tx
        .list::<Acl>()
        .filter(|acl| acl.associations.iter().any(|association| association.subnet == *id))
        .map(|acl| acl.id.clone())
        .collect();
    for acl in acls {
        tx.update::<Acl, _>(&acl, |acl| acl.associations.retain(|association| association.subnet != *id));
    }
    tx.remove::<Subnet>(id);
    Ok(DeleteSubnetOutput::default())
}

pub fn modify_attribute(tx: &mut Tx<'_>, input: &ModifySubnetAttributeRequest) -> Answer<ModifySubnetAttributeOutput> {
    subnet(&tx.view(), &input.subnet_id)?;
    let value = |attribute: &Option<AttributeBooleanValue>| attribute.as_ref().and_then(|value| value.value);
    let (map, a_record) =
        (value(&input.map_public_ip_on_launch), value(&input.enable_resource_name_dns_a_record_on_launch));
    // What a subnet without IPv6, without an Outpost and with names by address has anyway.
    let usual = [
        ("AssignIpv6AddressOnCreation", value(&input.assign_ipv6_address_on_creation)),
        ("EnableDns64", value(&input.enable_dns64)),
        ("EnableResourceNameDnsAAAARecordOnLaunch", value(&input.enable_resource_name_dns_aaaa_record_on_launch)),
        ("MapCustomerOwnedIpOnLaunch", value(&input.map_customer_owned_ip_on_launch)),
        (
            "PrivateDnsHostnameTypeOnLaunch",
            input.private_dns_hostname_type_on_launch.map(|kind| kind != HostnameType::IpName),
        ),
    ];
    if let Some((name, _)) = usual.iter().find(|(_, given)| *given == Some(true)) {
        let text = format!(
            "The attribute {name} of the subnet '{}' cannot be changed here: subnets have IPv4 addresses and names by them.",
            input.subnet_id
        );
        return Err(Error::Coded("UnsupportedOperation", text).into());
    }
    let refuse = |text: &str| Err(Error::InvalidParameterCombination(text.to_owned()).into());
    match usual.iter().filter_map(|(_, given)| *given).chain(map).chain(a_record).count() {
        0 => return refuse("No attribute was specified."),
        1 => {}
        _ => return refuse("Fields for multiple attribute types specified. Only one can be modified at a time."),
    }
    tx.update::<Subnet, _>(&input.subnet_id, |subnet| {
        subnet.map_public_ip = map.unwrap_or(subnet.map_public_ip);
        subnet.resource_name_a_record = a_record.unwrap_or(subnet.resource_name_a_record);
    });
    Ok(ModifySubnetAttributeOutput::default())
}
