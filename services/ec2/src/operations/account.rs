//! Regions, zones, and what an account has of its own.

use super::filters::{self, Filters};
use super::{Answer, cut, text};
use crate::errors::Error;
use crate::model::{Vpc, ZoneOutage};
use crate::shapes::{self, *};
use zonal_cloud::View;
use zonal_cloud::regions::{REGIONS, Region};

pub fn regions(_: &View<'_>, input: &DescribeRegionsRequest) -> Answer<DescribeRegionsResult> {
    for name in &input.region_names {
        if Region::named(name).is_none() {
            let text = format!("Invalid region names: [{name}]");
            return Err(Error::InvalidParameterValue(text).into());
        }
    }
    let filters = Filters::of(&input.filters, filters::REGIONS)?;
    let mut regions = Vec::new();
    for region in REGIONS {
        let named = input.region_names.is_empty() || input.region_names.iter().any(|name| name == region.name);
        let shape = shapes::Region {
            region_name: text(region.name),
            endpoint: text(format!("ec2.{}.amazonaws.com", region.name)),
            opt_in_status: text("opt-in-not-required"),
            ..Default::default()
        };
        if named && filters.pass_answer(&shape) {
            regions.push(shape);
        }
    }
    Ok(DescribeRegionsResult { regions, ..Default::default() })
}

pub fn zones(view: &View<'_>, input: &DescribeAvailabilityZonesRequest) -> Answer<DescribeAvailabilityZonesResult> {
    let region = Region::named(&view.scope.region);
    let all: Vec<(String, String)> = region.map(|region| region.zones().collect()).unwrap_or_default();
    let unknown = |given: &String| !all.iter().any(|(name, id)| name == given || id == given);
    if let Some(zone) = input.zone_names.iter().chain(&input.zone_ids).find(|zone| unknown(zone)) {
        return Err(Error::InvalidParameterValue(format!("Invalid availability zone: [{zone}]")).into());
    }
    let filters = Filters::of(&input.filters, filters::AVAILABILITY_ZONES)?;
    let mut availability_zones = Vec::new();
    for (name, id) in all {
        let state = if view.find::<ZoneOutage>(&name).is_some() {
            AvailabilityZoneState::Impaired
        } else {
            AvailabilityZoneState::Available
        };
        let named = (input.zone_names.is_empty() || input.zone_names.contains(&name))
            && (input.zone_ids.is_empty() || input.zone_ids.contains(&id));
        let shape = AvailabilityZone {
            zone_name: text(name),
            zone_id: text(id),
            zone_type: text("availability-zone"),
            region_name: text(&*view.scope.region),
            group_name: text(format!("{}-zg-1", view.scope.region)),
            network_border_group: text(&*view.scope.region),
            opt_in_status: Some(AvailabilityZoneOptInStatus::OptInNotRequired),
            state: Some(state),
            ..Default::default()
        };
        if named && filters.pass_answer(&shape) {
            availability_zones.push(shape);
        }
    }
    Ok(DescribeAvailabilityZonesResult { availability_zones, ..Default::default() })
}

pub fn attributes(
    view: &View<'_>,
    input: &DescribeAccountAttributesRequest,
) -> Answer<DescribeAccountAttributesResult> {
    let default_vpc = view.list::<Vpc>().find(|vpc| vpc.is_default && !vpc.deleting).map_or("none", |vpc| &vpc.id);
    let all = [
        (AccountAttributeName::SupportedPlatforms, "supported-platforms", "VPC"),
        (AccountAttributeName::DefaultVpc, "default-vpc", default_vpc),
    ];
    let wanted =
        all.iter().filter(|(name, ..)| input.attribute_names.is_empty() || input.attribute_names.contains(name));
    let account_attributes = wanted.map(|(_, name, value)| AccountAttribute {
        attribute_name: text(*name),
        attribute_values: vec![AccountAttributeValue { attribute_value: text(*value), ..Default::default() }],
        ..Default::default()
    });
    Ok(DescribeAccountAttributesResult { account_attributes: account_attributes.collect(), ..Default::default() })
}

/// `DescribeDhcpOptions`: the one set that every VPC uses.
pub fn dhcp_options(view: &View<'_>, input: &DescribeDhcpOptionsRequest) -> Answer<DescribeDhcpOptionsResult> {
    let filters = Filters::of(&input.filters, filters::DHCP_OPTIONS)?;
    let id = super::vpcs::dhcp_options(view);
    if let Some(other) = input.dhcp_options_ids.iter().find(|other| **other != id) {
        return Err(Error::not_found("InvalidDhcpOptionID.NotFound", "dhcpOption", other).into());
    }
    let domain = Region::named(&view.scope.region).map(Region::internal_domain).unwrap_or_default();
    let option = |key: &str, value: String| DhcpConfiguration {
        key: text(key),
        values: vec![AttributeValue { value: Some(value), ..Default::default() }],
        ..Default::default()
    };
    let own = DhcpOptions {
        dhcp_options_id: text(id),
        owner_id: text(&*view.scope.account),
        dhcp_configurations: vec![
            option("domain-name", domain.into_owned()),
            option("domain-name-servers", "AmazonProvidedDNS".to_owned()),
        ],
        ..Default::default()
    };
    let all = filters.pass_answer(&own).then(|| (own.dhcp_options_id.clone().unwrap_or_default(), own));
    let (dhcp_options, next_token) = cut(all.into_iter().collect(), input.next_token.as_deref(), input.max_results)?;
    Ok(DescribeDhcpOptionsResult { dhcp_options, next_token, ..Default::default() })
}
