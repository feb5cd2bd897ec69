//! What cannot be made here, and so is never there: NAT gateways, VPC endpoints, prefix lists of AWS's services. Describing them finds none,
//! which is the truth; making them is answered as an unknown operation.

use super::Answer;
use super::filters::{self, Filters};
use crate::errors::Error;
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
