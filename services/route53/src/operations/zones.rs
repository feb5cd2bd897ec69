//! Hosted zones. Source: Route 53 API reference, `CreateHostedZone` and the actions that name it; Developer Guide, "NS and SOA
//! records that Amazon Route 53 creates for a public hosted zone".

use super::{delegations, globally, new_change, seen_globally, vpc, zone};
use crate::errors::{Error, invalid};
use crate::model::{Audience, Content, HostedZone, Policy, RecordSet, Vpc, ZoneState};
use crate::names;
use crate::shapes::{
    CreateHostedZoneRequest, CreateHostedZoneResponse, DNSSECStatus, DelegationSet, DeleteHostedZoneRequest,
    DeleteHostedZoneResponse, GetDNSSECRequest, GetDNSSECResponse, GetHostedZoneCountRequest,
    GetHostedZoneCountResponse, GetHostedZoneRequest, GetHostedZoneResponse, HostedZone as WireZone, HostedZoneConfig,
    UpdateHostedZoneCommentRequest, UpdateHostedZoneCommentResponse, VPC, VPCRegion,
};
use rand::Rng;
use std::collections::BTreeSet;
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View, ids};
use zonal_wire::AwsError;

/// Zones per account, as AWS's default quota has it.
const QUOTA: usize = 500;

/// `CreateHostedZone`
pub fn create(tx: &mut Tx<'_>, input: &CreateHostedZoneRequest) -> Result<CreateHostedZoneResponse, AwsError> {
    let name = names::normal(&input.name).ok_or_else(|| Error::InvalidDomainName(input.name.clone()))?;
    let config = input.hosted_zone_config.clone().unwrap_or_default();
    let vpc = input.vpc.as_ref().map(|wire| vpc(tx, wire)).transpose()?;
    if vpc.is_none() && config.private_zone == Some(true) {
        return Err(invalid("When you're creating a private hosted zone (when you specify true for PrivateZone), you must also specify values for VPCId and VPCRegion.").into());
    }
    globally(tx, |tx| {
        let living = || tx.list::<HostedZone>().filter(|other| other.lives());
        if living().any(|other| other.caller_reference == input.caller_reference) {
            return Err(Error::HostedZoneAlreadyExists.into());
        }
        if living().count() >= QUOTA {
            return Err(Error::TooManyHostedZones.into());
        }
        if let Some(vpc) = &vpc {
            refuse_conflict(&tx.view(), &name, vpc)?;
        }
        let set =
            input.delegation_set_id.as_ref().map(|set| delegations::find(&tx.view(), set).cloned()).transpose()?;
        if set.is_some() && vpc.is_some() {
            return Err(invalid("A private hosted zone can't be associated with a reusable delegation set.").into());
        }
        let related = |other: &&HostedZone| {
            !other.is_private() && (names::is_in(&name, &other.name) || names::is_in(&other.name, &name))
        };
        let related: Vec<&HostedZone> = living().filter(related).collect();
        if let Some(set) = &set
            && let Some(other) =
                related.iter().find(|zone| zone.name_servers.iter().any(|of| set.name_servers.contains(of)))
        {
            return Err(Error::ConflictingServers(other.id.clone()).into());
        }
        let taken = related.into_iter().flat_map(|zone| zone.name_servers.iter().cloned()).collect();
        let audience = vpc.map_or(Audience::Public, |vpc| Audience::Private(vec![vpc]));
        let mut record = HostedZone {
            id: format!("Z0{}", ids::alphanumeric(19, tx.chance())),
            name_servers: match &set {
                Some(set) => set.name_servers.clone(),
                None => name_servers(tx, &audience, &taken)?,
            },
            delegation_set: set.map(|set| set.id),
            name,
            caller_reference: input.caller_reference.clone(),
            comment: config.comment.clone(),
            created: tx.now,
            audience,
            state: ZoneState::Live,
            served: BTreeSet::new(),
            tags: Tags::new(),
        };
        record.served = record.views().into_iter().map(ToOwned::to_owned).collect();
        make_records(tx, &record);
        let change_info = new_change(tx, &record, None, BTreeSet::new());
        let location = format!("https://route53.amazonaws.com/2013-04-01/hostedzone/{}", record.id);
        tx.put(record.clone());
        Ok(CreateHostedZoneResponse {
            hosted_zone: shown(&tx.view(), &record),
            change_info,
            delegation_set: delegation(&record),
            vpc: record.vpcs().first().map(shown_vpc),
            location,
        })
    })
}

/// Checks that a VPC sees no other zone of that name.
pub(super) fn refuse_conflict(view: &View<'_>, name: &str, vpc: &Vpc) -> Result<(), Error> {
    match view.list::<HostedZone>().find(|other| other.lives() && other.name == name && other.vpcs().contains(vpc)) {
        Some(other) => Err(Error::ConflictingDomainExists {
            vpc: vpc.id.clone(),
            region: vpc.region.clone(),
            zone: other.id.clone(),
        }),
        None => Ok(()),
    }
}

/// Four servers, one under each of four top-level domains; each range of 512 numbers has sixty-four groups of eight. Two zones of one
/// name, or of which one is above the other, have none in common (`ConflictingDomainExists`).
pub(super) fn name_servers(
    tx: &mut Tx<'_>,
    audience: &Audience,
    taken: &BTreeSet<String>,
) -> Result<Vec<String>, Error> {
    // Private zones all have the first of each range.
    if *audience != Audience::Public {
        return Ok((0..4).map(|range| server(range, 0)).collect());
    }
    let mut free = |range| {
        let first = tx.chance().random_range(0..512);
        let mut servers = (0..512).map(|step| server(range, (first + step) % 512));
        servers.find(|server| !taken.contains(server)).ok_or(Error::DelegationSetNotAvailable)
    };
    (0..4).map(&mut free).collect()
}

fn server(range: u32, number: u32) -> String {
    let domain = ["com", "net", "org", "co.uk"][range as usize];
    format!("ns-{}.awsdns-{:02}.{domain}", range * 512 + number, number / 8)
}

fn make_records(tx: &mut Tx<'_>, zone: &HostedZone) {
    let set = |kind: &str, ttl, values| RecordSet {
        key: RecordSet::key_of(&zone.id, &zone.name, kind, None),
        zone: zone.id.clone(),
        name: zone.name.clone(),
        kind: kind.to_owned(),
        identifier: None,
        policy: Policy::Simple,
        health_check: None,
        content: Content::Records { ttl, values },
    };
    let servers: Vec<String> = zone.name_servers.iter().map(|server| format!("{server}.")).collect();
    let soa = format!("{} awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400", servers[0]);
    tx.put(set("NS", 172_800, servers));
    tx.put(set("SOA", 900, vec![soa]));
}

/// A zone as the wire shows it.
pub(super) fn shown(view: &View<'_>, zone: &HostedZone) -> WireZone {
    let count = view.count_owned_by::<RecordSet>(&zone.id);
    WireZone {
        id: format!("/hostedzone/{}", zone.id),
        name: zone.name.clone(),
        caller_reference: zone.caller_reference.clone(),
        config: Some(HostedZoneConfig { comment: zone.comment.clone(), private_zone: Some(zone.is_private()) }),
        resource_record_set_count: i64::try_from(count).ok(),
        ..WireZone::default()
    }
}

fn delegation(zone: &HostedZone) -> DelegationSet {
    let id = zone.delegation_set.as_ref().map(|id| format!("/delegationset/{id}"));
    DelegationSet { id, name_servers: zone.name_servers.clone(), ..DelegationSet::default() }
}

/// A VPC as the wire shows it.
pub(super) fn shown_vpc(vpc: &Vpc) -> VPC {
    VPC { vpc_region: vpc.region.parse::<VPCRegion>().ok(), vpc_id: Some(vpc.id.clone()) }
}

/// `GetHostedZone`: a private zone has no delegation set.
pub fn get(view: &View<'_>, input: &GetHostedZoneRequest) -> Result<GetHostedZoneResponse, AwsError> {
    seen_globally(view, |view| {
        let found = zone(view, &input.id)?;
        Ok(GetHostedZoneResponse {
            hosted_zone: shown(view, found),
            delegation_set: (!found.is_private()).then(|| delegation(found)),
            vpcs: found.vpcs().iter().map(shown_vpc).collect(),
        })
    })
}

/// `DeleteHostedZone`
pub fn delete(tx: &mut Tx<'_>, input: &DeleteHostedZoneRequest) -> Result<DeleteHostedZoneResponse, AwsError> {
    globally(tx, |tx| {
        let found = zone(&tx.view(), &input.id)?.clone();
        let own: Vec<RecordSet> = tx.starting::<RecordSet>(RecordSet::keys_of_zone(&found.id)).cloned().collect();
        let is_required = |set: &RecordSet| set.name == found.name && matches!(set.kind.as_str(), "NS" | "SOA");
        if !own.iter().all(is_required) {
            return Err(Error::HostedZoneNotEmpty.into());
        }
        for set in own {
            tx.remove::<RecordSet>(&set.key);
        }
        let change_info = new_change(tx, &found, None, BTreeSet::new());
        tx.put(HostedZone { state: ZoneState::Deleting, ..found });
        Ok(DeleteHostedZoneResponse { change_info })
    })
}

/// `UpdateHostedZoneComment`
pub fn update_comment(
    tx: &mut Tx<'_>,
    input: &UpdateHostedZoneCommentRequest,
) -> Result<UpdateHostedZoneCommentResponse, AwsError> {
    globally(tx, |tx| {
        let found = zone(&tx.view(), &input.id)?.clone();
        let changed = HostedZone { comment: input.comment.clone().filter(|comment| !comment.is_empty()), ..found };
        let hosted_zone = shown(&tx.view(), &changed);
        tx.put(changed);
        Ok(UpdateHostedZoneCommentResponse { hosted_zone })
    })
}

/// `GetHostedZoneCount`
pub fn count(view: &View<'_>, _: &GetHostedZoneCountRequest) -> Result<GetHostedZoneCountResponse, AwsError> {
    let count = seen_globally(view, |view| view.list::<HostedZone>().filter(|zone| zone.lives()).count());
    Ok(GetHostedZoneCountResponse { hosted_zone_count: i64::try_from(count).unwrap_or(i64::MAX) })
}

/// `GetDNSSEC`: no zone is signed.
pub fn dnssec(view: &View<'_>, input: &GetDNSSECRequest) -> Result<GetDNSSECResponse, AwsError> {
    seen_globally(view, |view| zone(view, &input.hosted_zone_id).map(drop))?;
    let status = DNSSECStatus { serve_signature: Some("NOT_SIGNING".into()), status_message: None };
    Ok(GetDNSSECResponse { status, key_signing_keys: Vec::new() })
}
