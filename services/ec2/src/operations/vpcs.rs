//! VPCs.

use super::{Answer, Selection, cidr, filters, json, one, shown, specified, tag_list, text};
use crate::errors::Error;
use crate::model::{
    Acl, AclRule, Interface, InternetGateway, RouteTable, RouteTableAssociation, SecurityGroup, Subnet, Vpc,
};
use crate::shapes::{self, *};
use ipnet::Ipv4Net;
use zonal_cloud::regions::Region;
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

const MAX_VPCS: usize = 5;

/// The words in "does not exist".
pub(crate) const UNKNOWN: (&str, &str) = ("InvalidVpcID.NotFound", "vpc");

pub(crate) fn vpc<'a>(view: &View<'a>, id: &str) -> Result<&'a Vpc, Error> {
    view.get::<Vpc>(id).filter(|vpc| !vpc.deleting).ok_or_else(|| Error::not_found(UNKNOWN.0, UNKNOWN.1, id))
}

pub fn create(tx: &mut Tx<'_>, input: &CreateVpcRequest) -> Answer<CreateVpcResult> {
    let Some(range) = &input.cidr_block else { return Err(Error::MissingParameter("CidrBlock".to_owned()).into()) };
    let range = cidr(range, "cidrBlock")?;
    if !(16..=28).contains(&range.prefix_len()) {
        return Err(Error::Coded("InvalidVpc.Range", format!("The CIDR '{range}' is invalid.")).into());
    }
    if tx.list::<Vpc>().filter(|vpc| !vpc.deleting).count() >= MAX_VPCS {
        return Err(Error::Coded("VpcLimitExceeded", "The maximum number of VPCs has been reached.".to_owned()).into());
    }
    let tags = specified(tx, &input.tag_specifications, "vpc", &["vpc"])?;
    let vpc = make(tx, range, false, tags);
    Ok(CreateVpcResult { vpc: Some(describe_one(tx, &vpc)), ..Default::default() })
}

/// Makes a VPC with what each has from the start: a main route table, a default group and a default access list.
fn make(tx: &mut Tx<'_>, range: Ipv4Net, is_default: bool, tags: Tags) -> Vpc {
    let vpc = Vpc {
        id: tx.id("vpc-"),
        cidr: range,
        cidr_association: tx.id("vpc-cidr-assoc-"),
        is_default,
        dns_support: true,
        dns_hostnames: is_default,
        usage_metrics: false,
        deleting: false,
        tags,
    };
    tx.put(vpc.clone());
    let table = RouteTable {
        id: tx.id("rtb-"),
        vpc: vpc.id.clone(),
        associations: vec![RouteTableAssociation { id: tx.id("rtbassoc-"), subnet: None }],
        routes: Vec::new(),
        tags: Tags::new(),
    };
    tx.put(table);
    super::groups::make_default(tx, &vpc.id);
    let anywhere = Ipv4Net::default();
    let rule = |egress| AclRule {
        egress,
        number: 100,
        allow: true,
        protocol: "-1".to_owned(),
        ports: None,
        icmp: None,
        cidr: anywhere.into(),
    };
    let acl = Acl {
        id: tx.id("acl-"),
        vpc: vpc.id.clone(),
        is_default: true,
        rules: vec![rule(false), rule(true)],
        associations: Vec::new(),
        tags: Tags::new(),
    };
    tx.put(acl);
    vpc
}

/// The VPC that every account has in a region: 172.31.0.0/16, a /20 per zone, an internet gateway and the route to it.
pub(crate) fn make_default(tx: &mut Tx<'_>) -> Result<Option<Vpc>, AwsError> {
    let Some(region) = Region::named(&tx.scope.region) else { return Ok(None) };
    let range: Ipv4Net = Ipv4Net::new_assert([172, 31, 0, 0].into(), 16);
    let vpc = make(tx, range, true, Tags::new());
    for ((zone, _), part) in region.zones().zip(range.subnets(20).into_iter().flatten()) {
        super::subnets::make(tx, &vpc.id, &zone, part, true, Tags::new());
    }
    let gateway = InternetGateway { id: tx.id("igw-"), vpc: Some(vpc.id.clone()), tags: Tags::new() };
    super::routes::add_to_main(tx, &vpc.id, &gateway.id);
    tx.put(gateway);
    Ok(Some(vpc))
}

pub fn create_default(tx: &mut Tx<'_>, _: &CreateDefaultVpcRequest) -> Answer<CreateDefaultVpcResult> {
    if let Some(vpc) = tx.list::<Vpc>().find(|vpc| vpc.is_default && !vpc.deleting) {
        let text = format!("A Default VPC already exists for this account in this region: {}.", vpc.id);
        return Err(Error::Coded("DefaultVpcAlreadyExists", text).into());
    }
    let vpc = make_default(tx)?.map(|vpc| describe_one(tx, &vpc));
    Ok(CreateDefaultVpcResult { vpc, ..Default::default() })
}

pub fn describe(view: &View<'_>, input: &DescribeVpcsRequest) -> Answer<DescribeVpcsResult> {
    let selection = Selection {
        ids: &input.vpc_ids,
        filters: &input.filters,
        names: filters::VPCS,
        token: input.next_token.as_deref(),
        limit: input.max_results,
        unknown: UNKNOWN,
    };
    let (vpcs, next_token) = selection.of(
        view.among::<Vpc>(&input.vpc_ids).filter(|vpc| !vpc.deleting),
        |vpc| &vpc.id,
        |vpc| &vpc.tags,
        |vpc, name| match name {
            "vpc-id" => one(&vpc.id),
            "cidr" | "cidr-block" | "cidrBlock" | "cidr-block-association.cidr-block" => one(vpc.cidr),
            "cidr-block-association.association-id" => one(&vpc.cidr_association),
            "cidr-block-association.state" => one("associated"),
            "isDefault" | "is-default" => one(vpc.is_default),
            "state" => one("available"),
            "owner-id" => one(&view.scope.account),
            "dhcp-options-id" => one(dhcp_options(view)),
            _ => None,
        },
        |vpc| json(&shape(&view.scope.account, &dhcp_options(view), vpc)),
    )?;
    let vpcs = vpcs.into_iter().map(|vpc| shape(&view.scope.account, &dhcp_options(view), vpc)).collect();
    Ok(DescribeVpcsResult { next_token, vpcs, ..Default::default() })
}

fn describe_one(tx: &Tx<'_>, vpc: &Vpc) -> shapes::Vpc {
    shape(&tx.scope.account, &dhcp_options(&tx.view()), vpc)
}

/// The id of the region's set of DHCP options: the same in every account, as it is nothing that one can change here.
pub(crate) fn dhcp_options(view: &View<'_>) -> String {
    let hash = super::images::stable_hex(&format!("dopt/{}", view.scope.region));
    format!("dopt-0{hash}")
}

/// Nothing blocks public access here.
pub(crate) fn not_blocked() -> BlockPublicAccessStates {
    BlockPublicAccessStates { internet_gateway_block_mode: Some(BlockPublicAccessMode::Off), ..Default::default() }
}

fn shape(account: &str, dhcp_options: &str, vpc: &Vpc) -> shapes::Vpc {
    shapes::Vpc {
        vpc_id: text(&vpc.id),
        owner_id: text(account),
        cidr_block: shown(vpc.cidr),
        cidr_block_association_set: vec![VpcCidrBlockAssociation {
            association_id: text(&vpc.cidr_association),
            cidr_block: shown(vpc.cidr),
            cidr_block_state: Some(VpcCidrBlockState {
                state: Some(VpcCidrBlockStateCode::Associated),
                ..Default::default()
            }),
            ..Default::default()
        }],
        instance_tenancy: Some(Tenancy::Default),
        block_public_access_states: Some(not_blocked()),
        is_default: Some(vpc.is_default),
        state: Some(VpcState::Available),
        dhcp_options_id: text(dhcp_options),
        tags: tag_list(&vpc.tags),
        ..Default::default()
    }
}

pub fn delete(tx: &mut Tx<'_>, input: &DeleteVpcRequest) -> Answer<DeleteVpcOutput> {
    let id = &input.vpc_id;
    vpc(&tx.view(), id)?;
    let used = tx.list::<Subnet>().any(|subnet| subnet.vpc == *id)
        || tx.list::<Interface>().any(|interface| interface.vpc == *id)
        || tx.list::<InternetGateway>().any(|gateway| gateway.vpc.as_deref() == Some(id))
        || tx.list::<RouteTable>().any(|table| table.vpc == *id && !table.is_main())
        || tx.list::<Acl>().any(|acl| acl.vpc == *id && !acl.is_default)
        || tx.list::<SecurityGroup>().any(|group| group.vpc == *id && group.name != "default");
    if used {
        return Err(Error::DependencyViolation("vpc", id.clone()).into());
    }
    let tables: Vec<_> = tx.list::<RouteTable>().filter(|t| t.vpc == *id).map(|t| t.id.clone()).collect();
    let acls: Vec<_> = tx.list::<Acl>().filter(|acl| acl.vpc == *id).map(|acl| acl.id.clone()).collect();
    let groups: Vec<_> = tx.list::<SecurityGroup>().filter(|g| g.vpc == *id).map(|g| g.id.clone()).collect();
    tables.iter().for_each(|id| tx.remove::<RouteTable>(id));
    acls.iter().for_each(|id| tx.remove::<Acl>(id));
    groups.iter().for_each(|id| tx.remove::<SecurityGroup>(id));
    tx.update::<Vpc, _>(id, |vpc| vpc.deleting = true);
    Ok(DeleteVpcOutput::default())
}

pub fn modify_attribute(tx: &mut Tx<'_>, input: &ModifyVpcAttributeRequest) -> Answer<ModifyVpcAttributeOutput> {
    vpc(&tx.view(), &input.vpc_id)?;
    let value = |attribute: &Option<AttributeBooleanValue>| attribute.as_ref().and_then(|value| value.value);
    let (support, hostnames) = (value(&input.enable_dns_support), value(&input.enable_dns_hostnames));
    let metrics = value(&input.enable_network_address_usage_metrics);
    if [support, hostnames, metrics].into_iter().flatten().count() > 1 {
        let text = "Fields for multiple attribute types specified. Only one can be modified at a time.";
        return Err(Error::InvalidParameterCombination(text.to_owned()).into());
    }
    tx.update::<Vpc, _>(&input.vpc_id, |vpc| {
        vpc.dns_support = support.unwrap_or(vpc.dns_support);
        vpc.dns_hostnames = hostnames.unwrap_or(vpc.dns_hostnames);
        vpc.usage_metrics = metrics.unwrap_or(vpc.usage_metrics);
    });
    Ok(ModifyVpcAttributeOutput::default())
}

pub fn describe_attribute(view: &View<'_>, input: &DescribeVpcAttributeRequest) -> Answer<DescribeVpcAttributeResult> {
    let vpc = vpc(view, &input.vpc_id)?;
    let mut output = DescribeVpcAttributeResult { vpc_id: text(&vpc.id), ..Default::default() };
    let value = |value| Some(AttributeBooleanValue { value: Some(value), ..Default::default() });
    match input.attribute {
        VpcAttributeName::EnableDnsSupport => output.enable_dns_support = value(vpc.dns_support),
        VpcAttributeName::EnableDnsHostnames => output.enable_dns_hostnames = value(vpc.dns_hostnames),
        VpcAttributeName::EnableNetworkAddressUsageMetrics => {
            output.enable_network_address_usage_metrics = value(vpc.usage_metrics)
        }
    }
    Ok(output)
}
