//! Regions, zones, and what an account has of its own.

use super::{Answer, filters_of, one, text};
use crate::errors::Error;
use crate::model::{Vpc, ZoneOutage};
use crate::shapes::{self, *};
use zonal_cloud::regions::{REGIONS, Region};
use zonal_cloud::{View, filters};

pub fn regions(_: &View<'_>, input: &DescribeRegionsRequest) -> Answer<DescribeRegionsResult> {
    for name in &input.region_names {
        if Region::named(name).is_none() {
            let text = format!("Invalid region names: [{name}]");
            return Err(Error::InvalidParameterValue(text).into());
        }
    }
    let filters = filters_of(&input.filters);
    let mut regions = Vec::new();
    for region in REGIONS {
        let endpoint = format!("ec2.{}.amazonaws.com", region.name);
        let pass = filters::pass(&filters, |name| match name {
            "region-name" => one(region.name),
            "endpoint" => one(&endpoint),
            "opt-in-status" => one("opt-in-not-required"),
            _ => None,
        });
        let named = input.region_names.is_empty() || input.region_names.iter().any(|name| name == region.name);
        if pass.map_err(|name| Error::InvalidFilter(name.to_owned()))? && named {
            regions.push(shapes::Region {
                region_name: text(region.name),
                endpoint: text(endpoint),
                opt_in_status: text("opt-in-not-required"),
                ..Default::default()
            });
        }
    }
    Ok(DescribeRegionsResult { regions, ..Default::default() })
}

pub fn zones(view: &View<'_>, input: &DescribeAvailabilityZonesRequest) -> Answer<DescribeAvailabilityZonesResult> {
    let region = Region::named(&view.scope.region);
    let all: Vec<(String, String)> = region.map(|region| region.zones().collect()).unwrap_or_default();
    for name in &input.zone_names {
        if !all.iter().any(|(own, _)| own == name) {
            return Err(Error::InvalidParameterValue(format!("Invalid availability zone: [{name}]")).into());
        }
    }
    let filters = filters_of(&input.filters);
    let mut availability_zones = Vec::new();
    for (name, id) in all {
        let state = if view.find::<ZoneOutage>(&name).is_some() {
            AvailabilityZoneState::Impaired
        } else {
            AvailabilityZoneState::Available
        };
        let pass = filters::pass(&filters, |filter| match filter {
            "zone-name" => one(&name),
            "zone-id" => one(&id),
            "zone-type" => one("availability-zone"),
            "region-name" | "group-name" => one(&view.scope.region),
            "state" => one(state.as_str()),
            "opt-in-status" => one("opt-in-not-required"),
            _ => None,
        });
        let named = (input.zone_names.is_empty() || input.zone_names.contains(&name))
            && (input.zone_ids.is_empty() || input.zone_ids.contains(&id));
        if pass.map_err(|name| Error::InvalidFilter(name.to_owned()))? && named {
            availability_zones.push(AvailabilityZone {
                zone_name: text(name),
                zone_id: text(id),
                zone_type: text("availability-zone"),
                region_name: text(&view.scope.region),
                group_name: text(&view.scope.region),
                network_border_group: text(&view.scope.region),
                opt_in_status: Some(AvailabilityZoneOptInStatus::OptInNotRequired),
                state: Some(state),
                ..Default::default()
            });
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
        attribute_name: text(name),
        attribute_values: vec![AccountAttributeValue { attribute_value: text(value), ..Default::default() }],
        ..Default::default()
    });
    Ok(DescribeAccountAttributesResult { account_attributes: account_attributes.collect(), ..Default::default() })
}

/// `DescribeDhcpOptions`: the one set that every VPC uses.
pub fn dhcp_options(view: &View<'_>, input: &DescribeDhcpOptionsRequest) -> Answer<DescribeDhcpOptionsResult> {
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
        owner_id: text(&view.scope.account),
        dhcp_configurations: vec![
            option("domain-name", domain),
            option("domain-name-servers", "AmazonProvidedDNS".to_owned()),
        ],
        ..Default::default()
    };
    Ok(DescribeDhcpOptionsResult { dhcp_options: vec![own], ..Default::default() })
}
