//! What cannot be made here, and so is never there: NAT gateways, VPC endpoints, prefix lists of AWS's services, peerings, flow logs, and
//! EC2-Classic, which AWS has retired. Describing them finds none, which is the truth; making them is answered as an unknown operation.

use super::Answer;
use super::filters::{self, Filters};
use crate::errors::Error;
use crate::model::Vpc;
use crate::shapes::*;
use zonal_cloud::View;

/// None of these exists.
fn none_of(ids: &[String], code: &'static str, what: &str) -> Result<(), Error> {
    match ids.first() {
        None => Ok(()),
        Some(id) => Err(Error::Coded(code, format!("{what} {id} was not found"))),
    }
}

pub fn nat_gateways(_: &View<'_>, input: &DescribeNatGatewaysRequest) -> Answer<DescribeNatGatewaysResult> {
    Filters::of(&input.filter, filters::NAT_GATEWAYS)?;
    none_of(&input.nat_gateway_ids, "NatGatewayNotFound", "NAT gateway")?;
    Ok(DescribeNatGatewaysResult::default())
}

pub fn vpc_endpoints(_: &View<'_>, input: &DescribeVpcEndpointsRequest) -> Answer<DescribeVpcEndpointsResult> {
    Filters::of(&input.filters, filters::VPC_ENDPOINTS)?;
    if let Some(id) = input.vpc_endpoint_ids.first() {
        let text = format!("The Vpc Endpoint Id '{id}' does not exist");
        return Err(Error::Coded("InvalidVpcEndpointId.NotFound", text).into());
    }
    Ok(DescribeVpcEndpointsResult::default())
}

pub fn prefix_lists(_: &View<'_>, input: &DescribePrefixListsRequest) -> Answer<DescribePrefixListsResult> {
    Filters::of(&input.filters, filters::PREFIX_LISTS)?;
    none_of(&input.prefix_list_ids, "InvalidPrefixListId.NotFound", "The prefix list")?;
    Ok(DescribePrefixListsResult::default())
}

pub fn peerings(
    _: &View<'_>,
    input: &DescribeVpcPeeringConnectionsRequest,
) -> Answer<DescribeVpcPeeringConnectionsResult> {
    Filters::of(&input.filters, filters::PEERINGS)?;
    let code = "InvalidVpcPeeringConnectionID.NotFound";
    if let Some(id) = input.vpc_peering_connection_ids.first() {
        return Err(Error::Coded(code, format!("The vpcPeeringConnection ID '{id}' does not exist")).into());
    }
    Ok(DescribeVpcPeeringConnectionsResult::default())
}

pub fn egress_only_gateways(
    _: &View<'_>,
    input: &DescribeEgressOnlyInternetGatewaysRequest,
) -> Answer<DescribeEgressOnlyInternetGatewaysResult> {
    Filters::of(&input.filters, filters::EGRESS_ONLY_GATEWAYS)?;
    none_of(&input.egress_only_internet_gateway_ids, "InvalidGatewayID.NotFound", "The egress-only internet gateway")?;
    Ok(DescribeEgressOnlyInternetGatewaysResult::default())
}

pub fn vpn_gateways(_: &View<'_>, input: &DescribeVpnGatewaysRequest) -> Answer<DescribeVpnGatewaysResult> {
    Filters::of(&input.filters, filters::VPN_GATEWAYS)?;
    if let Some(id) = input.vpn_gateway_ids.first() {
        let text = format!("The vpnGateway ID '{id}' does not exist");
        return Err(Error::Coded("InvalidVpnGatewayID.NotFound", text).into());
    }
    Ok(DescribeVpnGatewaysResult::default())
}

pub fn flow_logs(_: &View<'_>, input: &DescribeFlowLogsRequest) -> Answer<DescribeFlowLogsResult> {
    Filters::of(&input.filter, filters::FLOW_LOGS)?;
    none_of(&input.flow_log_ids, "InvalidFlowLogId.NotFound", "The flow log")?;
    Ok(DescribeFlowLogsResult::default())
}

/// The VPCs that a call about EC2-Classic means: those it names, or all.
fn classic<'a>(view: &View<'a>, ids: &[String]) -> Result<Vec<&'a Vpc>, Error> {
    if ids.is_empty() {
        return Ok(view.list::<Vpc>().filter(|vpc| !vpc.deleting).collect());
    }
    ids.iter().map(|id| super::vpcs::vpc(view, id)).collect()
}

/// DescribeVpcClassicLink. No VPC is linked to EC2-Classic: older versions of Terraform's provider ask for each.
pub fn classic_link(view: &View<'_>, input: &DescribeVpcClassicLinkRequest) -> Answer<DescribeVpcClassicLinkResult> {
    let filters = Filters::of(&input.filters, filters::CLASSIC_LINKS)?;
    let shape = |vpc: &Vpc| VpcClassicLink {
        classic_link_enabled: Some(false),
        tags: super::tag_list(&vpc.tags),
        vpc_id: super::text(&vpc.id),
    };
    let all = classic(view, &input.vpc_ids)?;
    let wanted = |vpc: &&&Vpc| filters.pass(&vpc.tags, |_| None, || super::json(&shape(vpc)));
    let vpcs = all.iter().filter(wanted).map(|vpc| shape(vpc)).collect();
    Ok(DescribeVpcClassicLinkResult { vpcs, ..Default::default() })
}

/// DescribeVpcClassicLinkDnsSupport.
pub fn classic_link_dns(
    view: &View<'_>,
    input: &DescribeVpcClassicLinkDnsSupportRequest,
) -> Answer<DescribeVpcClassicLinkDnsSupportResult> {
    let shape =
        |vpc: &Vpc| ClassicLinkDnsSupport { classic_link_dns_supported: Some(false), vpc_id: super::text(&vpc.id) };
    let all = classic(view, &input.vpc_ids)?;
    let keyed = all.into_iter().map(|vpc| (vpc.id.clone(), shape(vpc))).collect();
    let (vpcs, next_token) = super::cut(keyed, input.next_token.as_deref(), input.max_results)?;
    Ok(DescribeVpcClassicLinkDnsSupportResult { vpcs, next_token, ..Default::default() })
}
