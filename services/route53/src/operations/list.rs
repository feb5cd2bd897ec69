//! Lists of zones and record sets, with the pages that Route 53 has: each says where the next begins. Source: Route 53 API
//! reference, `ListHostedZones`, `ListHostedZonesByName`, `ListHostedZonesByVPC`, `ListResourceRecordSets`.

use super::delegations;
use super::places;
use super::zones::shown;
use super::{max_items, plain_id, seen_globally, zone};
use crate::errors::{Error, invalid};
use crate::model::{Content, HostedZone, Policy, RecordSet};
use crate::names;
use crate::shapes::{
    AliasTarget, CidrRoutingConfig, HostedZoneOwner, HostedZoneSummary, HostedZoneType, ListHostedZonesByNameRequest,
    ListHostedZonesByNameResponse, ListHostedZonesByVPCRequest, ListHostedZonesByVPCResponse, ListHostedZonesRequest,
    ListHostedZonesResponse, ListResourceRecordSetsRequest, ListResourceRecordSetsResponse, RRType, ResourceRecord,
    ResourceRecordSet as WireSet, ResourceRecordSetFailover,
};
use zonal_cloud::{View, pages};
use zonal_wire::AwsError;

/// `ListHostedZones`: in the order of their ids; the marker is the first of the next page.
pub fn zones(view: &View<'_>, input: &ListHostedZonesRequest) -> Result<ListHostedZonesResponse, AwsError> {
    let most = max_items(input.max_items.as_deref(), 100)?;
    let marker = input.marker.clone().unwrap_or_default();
    let first = plain_id(&marker).to_owned();
    let private_only = input.hosted_zone_type == Some(HostedZoneType::PrivateHostedZone);
    seen_globally(view, |view| {
        let set = input.delegation_set_id.as_deref().filter(|set| !set.is_empty());
        let set = set.map(|set| delegations::find(view, set)).transpose()?.map(|set| &set.id);
        let wanted = |zone: &&HostedZone| {
            zone.lives()
                && zone.id >= first
                && (zone.is_private() || !private_only)
                && set.is_none_or(|set| zone.delegation_set.as_ref() == Some(set))
        };
        let mut rest = view.list::<HostedZone>().filter(wanted);
        let hosted_zones = rest.by_ref().take(most).map(|zone| shown(view, zone)).collect();
        let next = rest.next();
        Ok(ListHostedZonesResponse {
            hosted_zones,
            marker: marker.clone(),
            is_truncated: next.is_some(),
            next_marker: next.map(|zone| zone.id.clone()),
            max_items: most.to_string(),
        })
    })
}

/// `ListHostedZonesByName`: in the order of their names' labels in reverse, then of their ids.
pub fn zones_by_name(
    view: &View<'_>,
    input: &ListHostedZonesByNameRequest,
) -> Result<ListHostedZonesByNameResponse, AwsError> {
    let most = max_items(input.max_items.as_deref(), 100)?;
    let first = match &input.dns_name {
        Some(name) => names::reversed(&names::normal(name).ok_or_else(|| Error::InvalidDomainName(name.clone()))?),
        None if input.hosted_zone_id.is_some() => {
            return Err(invalid("The input is not valid: a hosted zone ID was specified without a DNS name").into());
        }
        None => String::new(),
    };
    let first = (first, input.hosted_zone_id.as_deref().map(plain_id).unwrap_or_default().to_owned());
    seen_globally(view, |view| {
        let mut all: Vec<_> = view.list::<HostedZone>().filter(|zone| zone.lives()).collect();
        all.sort_by_key(|zone| (names::reversed(&zone.name), zone.id.clone()));
        let mut rest = all.into_iter().filter(|zone| (names::reversed(&zone.name), zone.id.clone()) >= first);
        let hosted_zones = rest.by_ref().take(most).map(|zone| shown(view, zone)).collect();
        let next = rest.next();
        Ok(ListHostedZonesByNameResponse {
            hosted_zones,
            dns_name: input.dns_name.clone(),
            hosted_zone_id: input.hosted_zone_id.clone(),
            is_truncated: next.is_some(),
            next_dns_name: next.map(|zone| zone.name.clone()),
            next_hosted_zone_id: next.map(|zone| zone.id.clone()),
            max_items: most.to_string(),
        })
    })
}

/// `ListHostedZonesByVPC`
pub fn zones_by_vpc(
    view: &View<'_>,
    input: &ListHostedZonesByVPCRequest,
) -> Result<ListHostedZonesByVPCResponse, AwsError> {
    let most = max_items(input.max_items.as_deref(), 100)?;
    let region = input.vpc_region.to_string();
    seen_globally(view, |view| {
        let sees = |zone: &&HostedZone| {
            zone.lives() && zone.vpcs().iter().any(|vpc| vpc.id == input.vpc_id && vpc.region == region)
        };
        let items = view.list::<HostedZone>().filter(sees).map(|zone| {
            let owner = HostedZoneOwner { owning_account: Some(view.scope.account.to_string()), owning_service: None };
            (zone.id.clone(), HostedZoneSummary { hosted_zone_id: zone.id.clone(), name: zone.name.clone(), owner })
        });
        let (hosted_zone_summaries, next_token) =
            pages::page(items, input.next_token.as_deref(), Some(most)).map_err(|_| Error::InvalidPaginationToken)?;
        Ok(ListHostedZonesByVPCResponse { hosted_zone_summaries, max_items: most.to_string(), next_token })
    })
}

/// `ListResourceRecordSets`
pub fn records(
    view: &View<'_>,
    input: &ListResourceRecordSetsRequest,
) -> Result<ListResourceRecordSetsResponse, AwsError> {
    let most = max_items(input.max_items.as_deref(), 300)?;
    let first = start(input)?;
    seen_globally(view, |view| {
        let zone = zone(view, &input.hosted_zone_id)?;
        let of_zone = view.starting::<RecordSet>(RecordSet::keys_of_zone(&zone.id));
        let mut rest = of_zone.filter(|set| place(set) >= first);
        let resource_record_sets = rest.by_ref().take(most).map(shown_set).collect();
        let next = rest.next();
        Ok(ListResourceRecordSetsResponse {
            resource_record_sets,
            is_truncated: next.is_some(),
            next_record_name: next.map(|set| set.name.clone()),
            next_record_type: next.and_then(|set| set.kind.parse().ok()),
            next_record_identifier: next.and_then(|set| set.identifier.clone()),
            max_items: most.to_string(),
        })
    })
}

type Place = (String, String, String);

fn place(set: &RecordSet) -> Place {
    (names::reversed(&set.name), set.kind.clone(), set.identifier.clone().unwrap_or_default())
}

/// Where the list begins: a type needs a name, and an identifier needs both.
fn start(input: &ListResourceRecordSetsRequest) -> Result<Place, Error> {
    let name = match &input.start_record_name {
        Some(name) => {
            names::reversed(&names::normal(name).ok_or_else(|| invalid(format!("{name} is not a valid domain name")))?)
        }
        None if input.start_record_type.is_some() => {
            return Err(invalid("The input is not valid: a record type was specified without a record name"));
        }
        None => String::new(),
    };
    if input.start_record_identifier.is_some() && input.start_record_type.is_none() {
        return Err(invalid(
            "The input is not valid: a record identifier was specified without a record name and type",
        ));
    }
    let kind = input.start_record_type.map(|kind| kind.to_string()).unwrap_or_default();
    Ok((name, kind, input.start_record_identifier.clone().unwrap_or_default()))
}

fn shown_set(set: &RecordSet) -> WireSet {
    let mut wire = WireSet {
        name: set.name.clone(),
        // What is stored was read from the wire's type.
        type_: set.kind.parse().unwrap_or(RRType::A),
        set_identifier: set.identifier.clone(),
        ..WireSet::default()
    };
    wire.health_check_id = set.health_check.clone();
    match &set.policy {
        Policy::Simple => {}
        Policy::Weighted(weight) => wire.weight = Some(i64::from(*weight)),
        Policy::FailoverPrimary => wire.failover = Some(ResourceRecordSetFailover::Primary),
        Policy::FailoverSecondary => wire.failover = Some(ResourceRecordSetFailover::Secondary),
        Policy::Multivalue => wire.multi_value_answer = Some(true),
        Policy::Latency(region) => wire.region = region.parse().ok(),
        Policy::Geolocation(location) => wire.geo_location = Some(places::shown_location(location)),
        Policy::Cidr { collection, location } => {
            wire.cidr_routing_config =
                Some(CidrRoutingConfig { collection_id: collection.clone(), location_name: location.clone() });
        }
        Policy::Geoproximity(origin, bias) => wire.geo_proximity_location = Some(places::shown_origin(origin, *bias)),
    }
    match &set.content {
        Content::Records { ttl, values } => {
            wire.ttl = Some(i64::from(*ttl));
            wire.resource_records = values.iter().map(|value| ResourceRecord { value: value.clone() }).collect();
        }
        Content::Alias { zone, name, evaluate } => {
            wire.alias_target = Some(AliasTarget {
                hosted_zone_id: zone.clone(),
                dns_name: name.clone(),
                evaluate_target_health: *evaluate,
            });
        }
    }
    wire
}
