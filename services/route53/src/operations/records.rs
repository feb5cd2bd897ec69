//! Record sets: changes in batches, all or none. Source: Route 53 API reference, `ChangeResourceRecordSets`; the texts are those that
//! the service answers.

use super::checks::check;
use super::cidrs::{DEFAULT, collection};
use super::places;
use super::{globally, new_change, plain_id, zone};
use crate::errors::{Error, invalid};
use crate::model::{Content, HostedZone, Policy, RecordSet};
use crate::names;
use crate::shapes::{
    Change as WireChange, ChangeAction, ChangeResourceRecordSetsRequest, ChangeResourceRecordSetsResponse,
    ResourceRecordSet as WireSet, ResourceRecordSetFailover,
};
use crate::values;
use std::collections::{BTreeMap, BTreeSet};
use zonal_cloud::{Tx, View};
use zonal_elbv2::zones::domain_of_hosted_zone;
use zonal_wire::AwsError;

/// Records in one batch; those of an UPSERT count twice, an alias as one.
const BATCH: usize = 1000;
/// Characters in all values of one batch; an UPSERT's count twice.
const CHARACTERS: usize = 32_000;
/// Values in one record set, as AWS's default quota has it.
const VALUES: usize = 400;
/// Record sets per zone, as AWS's default quota has it.
const QUOTA: usize = 10_000;

/// `ChangeResourceRecordSets`
pub fn change(
    tx: &mut Tx<'_>,
    input: &ChangeResourceRecordSetsRequest,
) -> Result<ChangeResourceRecordSetsResponse, AwsError> {
    let batch = &input.change_batch;
    globally(tx, |tx| {
        let zone = zone(&tx.view(), &input.hosted_zone_id)?.clone();
        if batch.changes.is_empty() {
            return Err(invalid("Invalid request: the change batch has no changes").into());
        }
        let weight = |change: &WireChange| if change.action == ChangeAction::Upsert { 2 } else { 1 };
        let records = |change: &WireChange| change.resource_record_set.resource_records.len().max(1) * weight(change);
        if batch.changes.iter().map(records).sum::<usize>() > BATCH {
            return Err(Error::InvalidChangeBatch(vec![format!("Number of records limit of {BATCH} exceeded.")]).into());
        }
        let characters = |change: &WireChange| {
            let values = change.resource_record_set.resource_records.iter().map(|record| record.value.chars().count());
            values.sum::<usize>() * weight(change)
        };
        if batch.changes.iter().map(characters).sum::<usize>() > CHARACTERS {
            let text = format!("Number of characters limit of {CHARACTERS} exceeded.");
            return Err(Error::InvalidChangeBatch(vec![text]).into());
        }
        let wanted = batch.changes.iter().map(|change| set_of(&zone, change)).collect::<Result<Vec<_>, _>>()?;
        let checks = batch.changes.iter().zip(&wanted).filter(|(change, _)| change.action != ChangeAction::Delete);
        for (_, set) in checks {
            if let Some(id) = &set.health_check {
                check(&tx.view(), id)?;
            }
            if let Policy::Cidr { collection: id, location } = &set.policy {
                let found = collection(&tx.view(), id)?;
                if location != DEFAULT && !found.locations.contains_key(location) {
                    return Err(Error::NoSuchCidrLocation(location.clone()).into());
                }
            }
        }
        let mut problems = Vec::new();
        let mut seen: BTreeMap<&str, ChangeAction> = BTreeMap::new();
        for (change, set) in batch.changes.iter().zip(&wanted) {
            let repeated = seen.insert(&set.key, change.action);
            if repeated.is_some_and(|before| (before, change.action) != (ChangeAction::Delete, ChangeAction::Create)) {
                problems.push(format!(
                    "The request contains an invalid set of changes for a resource record set '{} {}'",
                    set.kind, set.name
                ));
                continue;
            }
            problems.extend(apply(tx, &zone, change.action, set));
        }
        // What a batch deletes, it names by the TTL that was before it.
        let changed = wanted.iter().zip(&batch.changes).filter(|(set, change)| {
            change.action != ChangeAction::Delete && matches!(set.content, Content::Records { .. })
        });
        let last: BTreeMap<_, _> = changed.map(|(set, _)| ((&set.name, &set.kind), set)).collect();
        last.into_values().for_each(|set| share_ttl(tx, set));
        // What is forbidden between record sets is judged by what the whole batch leaves.
        if problems.is_empty() {
            problems.extend(wanted.iter().zip(&batch.changes).filter_map(|(set, change)| {
                if change.action == ChangeAction::Delete { None } else { conflict(&tx.view(), &zone, set) }
            }));
            problems.extend(missing(&tx.view(), &zone));
        }
        if !problems.is_empty() {
            return Err(Error::InvalidChangeBatch(problems).into());
        }
        let comment = batch.comment.clone();
        let names = wanted.iter().map(|set| set.name.clone()).collect();
        Ok(ChangeResourceRecordSetsResponse { change_info: new_change(tx, &zone, comment, names) })
    })
}

/// Makes one change, or says why not.
fn apply(tx: &mut Tx<'_>, zone: &HostedZone, action: ChangeAction, set: &RecordSet) -> Vec<String> {
    let old = tx.get::<RecordSet>(&set.key).cloned();
    let named = format!(
        "resource record set [name='{}', type='{}'{}]",
        set.name,
        set.kind,
        set.identifier.as_ref().map(|identifier| format!(", set identifier='{identifier}'")).unwrap_or_default()
    );
    match (action, old) {
        (ChangeAction::Delete, None) => vec![format!("Tried to delete {named} but it was not found")],
        (ChangeAction::Delete, Some(old)) if !is_same(&old, set) => {
            vec![format!("Tried to delete {named} but the values provided do not match the current values")]
        }
        (ChangeAction::Delete, Some(_)) => {
            tx.remove::<RecordSet>(&set.key);
            Vec::new()
        }
        (ChangeAction::Create, Some(_)) => vec![format!("Tried to create {named} but it already exists")],
        (ChangeAction::Create | ChangeAction::Upsert, _) => {
            let problems = own_problems(zone, set);
            if problems.is_empty() {
                tx.put(set.clone());
            }
            problems
        }
    }
}

/// Weighted record sets of one name and type have one TTL: the last that was given. Source: Developer Guide, "Values specific for
/// weighted records".
fn share_ttl(tx: &mut Tx<'_>, last: &RecordSet) {
    let (Policy::Weighted(_), Content::Records { ttl: shared, .. }) = (&last.policy, &last.content) else { return };
    let has_another = |other: &&RecordSet| {
        let ttl = matches!(&other.content, Content::Records { ttl, .. } if ttl != shared);
        ttl && other.kind == last.kind && matches!(other.policy, Policy::Weighted(_))
    };
    let of_name = RecordSet::keys_of_name(&last.zone, &last.name);
    let others: Vec<RecordSet> = tx.starting::<RecordSet>(of_name).filter(has_another).cloned().collect();
    for mut other in others {
        if let Content::Records { ttl, .. } = &mut other.content {
            *ttl = *shared;
        }
        tx.put(other);
    }
}

/// Whether two record sets are the same, whatever the order of their values.
fn is_same(a: &RecordSet, b: &RecordSet) -> bool {
    let content = match (&a.content, &b.content) {
        (Content::Records { ttl, values }, Content::Records { ttl: other, values: others }) => {
            ttl == other && values.iter().collect::<BTreeSet<_>>() == others.iter().collect::<BTreeSet<_>>()
        }
        (a, b) => a == b,
    };
    content && a.policy == b.policy && a.health_check == b.health_check
}

/// What is wrong with a record set by itself.
fn own_problems(zone: &HostedZone, set: &RecordSet) -> Vec<String> {
    let RecordSet { name, kind, .. } = set;
    if !names::is_in(name, &zone.name) {
        return vec![format!("RRSet with DNS name {name} is not permitted in zone {}", zone.name)];
    }
    let at_apex = *name == zone.name;
    if kind == "CNAME" && at_apex {
        return vec![format!(
            "RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {}",
            zone.name
        )];
    }
    // A wildcard delegates nothing.
    if kind == "SOA" && !at_apex || kind == "NS" && name.starts_with("\\052.") {
        return vec![format!("RRSet of type {kind} with DNS name {name} is not permitted in zone {}", zone.name)];
    }
    match &set.content {
        Content::Records { values, .. } => {
            let mut seen = BTreeSet::new();
            let twice = values
                .iter()
                .filter(|value| !seen.insert(*value))
                .map(|value| format!("Duplicate Resource Record: '{value}'"));
            let lone = matches!(kind.as_str(), "CNAME" | "SOA") && values.len() > 1;
            let lone =
                lone.then(|| format!("RRSet of type {kind} with DNS name {name} can have only one resource record"));
            let many = (values.len() > VALUES)
                .then(|| format!("RRSet with DNS name {name}, type {kind} has more than {VALUES} resource records"));
            values
                .iter()
                .filter_map(|value| values::problem(kind, value))
                .chain(twice)
                .chain(lone)
                .chain(many)
                .collect()
        }
        Content::Alias { zone: target_zone, name: target, .. } => {
            alias_problem(zone, kind, target_zone, target).into_iter().collect()
        }
    }
}

fn alias_problem(zone: &HostedZone, kind: &str, target_zone: &str, target: &str) -> Option<String> {
    let tried = format!("Tried to create an alias that targets {target}, type {kind} in zone {target_zone}");
    if matches!(kind, "NS" | "SOA") {
        return Some(format!("{tried}, but records of that type cannot be aliases"));
    }
    let outside = || format!("{tried}, but the alias target name does not lie within the target zone");
    if target_zone == zone.id {
        return (!names::is_in(target, &zone.name)).then(outside);
    }
    let Some(domain) = domain_of_hosted_zone(target_zone) else {
        return Some(format!(
            "{tried}, but Zonal supports only load balancers and names of the same zone as alias targets"
        ));
    };
    if !target.ends_with(&format!(".{domain}.")) {
        return Some(outside());
    }
    (!matches!(kind, "A" | "AAAA")).then(|| format!("{tried}, but load balancers have addresses only"))
}

/// What is wrong with a record set beside the others of its zone.
fn conflict(view: &View<'_>, zone: &HostedZone, set: &RecordSet) -> Option<String> {
    let RecordSet { name, kind, .. } = set;
    let of_name = RecordSet::keys_of_name(&zone.id, name);
    let others = || view.starting::<RecordSet>(of_name.clone()).filter(|other| other.key != set.key);
    if kind == "CNAME" && others().any(|other| other.kind != "CNAME") {
        return Some(format!(
            "RRSet of type CNAME with DNS name {name} is not permitted as it conflicts with other records with the same DNS name in \
             zone {}",
            zone.name
        ));
    }
    if kind != "CNAME" && others().any(|other| other.kind == "CNAME") {
        return Some(format!(
            "RRSet of type {kind} with DNS name {name} is not permitted as it conflicts with other records with the same DNS name in \
             zone {}",
            zone.name
        ));
    }
    let alike = |a: &Policy, b: &Policy| match (a, b) {
        (Policy::Weighted(_), Policy::Weighted(_)) | (Policy::Multivalue, Policy::Multivalue) => true,
        (Policy::FailoverPrimary, Policy::FailoverSecondary) | (Policy::FailoverSecondary, Policy::FailoverPrimary) => {
            true
        }
        (Policy::Latency(region), Policy::Latency(other)) => region != other,
        (Policy::Geolocation(location), Policy::Geolocation(other)) => location != other,
        (Policy::Geoproximity(origin, _), Policy::Geoproximity(other, _)) => origin != other,
        (Policy::Cidr { collection, location }, Policy::Cidr { collection: other, location: elsewhere }) => {
            collection == other && location != elsewhere
        }
        // Two simple ones have one key; two of the same part in a failover leave nothing to choose by.
        _ => false,
    };
    if others().any(|other| other.kind == *kind && !alike(&other.policy, &set.policy)) {
        let identifier = set.identifier.as_deref().unwrap_or("null");
        return Some(format!(
            "RRSet with DNS name {name}, type {kind}, SetIdentifier {identifier} cannot be created as other RRSets exist with the \
             same name and type."
        ));
    }
    if let Content::Alias { zone: target_zone, name: target, .. } = &set.content {
        let leads = |other: &RecordSet| other.kind == *kind && other.key != set.key;
        let mut of_target = view.starting::<RecordSet>(RecordSet::keys_of_name(&zone.id, target));
        if *target_zone == zone.id && !of_target.any(leads) {
            return Some(format!(
                "Tried to create an alias that targets {target}, type {kind} in zone {target_zone}, but that target was not found"
            ));
        }
    }
    None
}

/// What a zone must have and has not.
fn missing(view: &View<'_>, zone: &HostedZone) -> Vec<String> {
    let at_apex = RecordSet::keys_of_name(&zone.id, &zone.name);
    let has = |kind: &str| view.starting::<RecordSet>(at_apex.clone()).any(|set| set.kind == kind);
    let mut problems = Vec::new();
    if !has("SOA") {
        problems.push("A HostedZone must contain exactly one SOA record.".to_owned());
    }
    if !has("NS") {
        problems.push("A HostedZone must contain at least one NS record for the zone itself.".to_owned());
    }
    if view.count_owned_by::<RecordSet>(&zone.id) > QUOTA {
        problems.push(format!("Number of records limit of {QUOTA} exceeded for the hosted zone."));
    }
    problems
}

/// Reads a record set of a change.
fn set_of(zone: &HostedZone, change: &WireChange) -> Result<RecordSet, Error> {
    let wire = &change.resource_record_set;
    let name = names::normal(&wire.name);
    let name = name.ok_or_else(|| {
        Error::InvalidChangeBatch(vec![format!("Domain name '{}' is not a valid domain name", wire.name)])
    })?;
    let kind = wire.type_.to_string();
    let place = format!(
        "in Change with [Action={}, Name={name}, Type={kind}, SetIdentifier={}]",
        change.action,
        wire.set_identifier.as_deref().unwrap_or("null")
    );
    if !values::TYPES.contains(&kind.as_str()) {
        return Err(invalid(format!("Invalid request: Zonal does not support records of type {kind} {place}")));
    }
    let content = content(wire, &place)?;
    let policy = policy(wire, &place)?;
    // What keeps a zone and its delegations together answers everybody alike (`ResourceRecordSet`, `Type`).
    if policy != Policy::Simple && matches!(kind.as_str(), "DS" | "NS" | "SOA") && change.action != ChangeAction::Delete
    {
        let text = format!("Invalid request: records of type {kind} cannot have a routing policy {place}");
        return Err(invalid(text));
    }
    if policy == Policy::Multivalue && kind == "CNAME" {
        return Err(invalid(format!("Invalid request: MultiValueAnswer records cannot be of type {kind} {place}")));
    }
    if policy == Policy::Multivalue && matches!(content, Content::Alias { .. }) {
        return Err(invalid(format!("Invalid request: MultiValueAnswer records cannot be aliases {place}")));
    }
    Ok(RecordSet {
        key: RecordSet::key_of(&zone.id, &name, &kind, wire.set_identifier.as_deref()),
        zone: zone.id.clone(),
        name,
        kind,
        identifier: wire.set_identifier.clone(),
        policy,
        health_check: wire.health_check_id.clone(),
        content,
    })
}

fn content(wire: &WireSet, place: &str) -> Result<Content, Error> {
    let choice = "Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId]";
    if wire.traffic_policy_instance_id.is_some() {
        return Err(invalid(format!("Invalid request: Zonal does not support TrafficPolicyInstanceId {place}")));
    }
    match (&wire.alias_target, wire.ttl, wire.resource_records.as_slice()) {
        (None, Some(ttl), records @ [_, ..]) => Ok(Content::Records {
            ttl: u32::try_from(ttl)
                .map_err(|_| invalid(format!("Invalid request: TTL {ttl} is out of range {place}")))?,
            values: records.iter().map(|record| record.value.clone()).collect(),
        }),
        (Some(alias), None, []) => {
            let target = names::normal(&alias.dns_name);
            Ok(Content::Alias {
                zone: plain_id(&alias.hosted_zone_id).to_owned(),
                name: target.ok_or_else(|| Error::InvalidDomainName(alias.dns_name.clone()))?,
                evaluate: alias.evaluate_target_health,
            })
        }
        (Some(_), ..) => Err(invalid(format!("Invalid request: {choice}, but found more than one {place}"))),
        (None, None, []) => Err(invalid(format!("Invalid request: {choice}, but found none {place}"))),
        (None, None, _) => Err(invalid(format!("Invalid request: Missing field 'TTL' {place}"))),
        (None, Some(_), []) => Err(invalid(format!("Invalid request: Missing field 'ResourceRecords' {place}"))),
    }
}

fn policy(wire: &WireSet, place: &str) -> Result<Policy, Error> {
    let weight = wire.weight.map(|weight| u8::try_from(weight).map(Policy::Weighted));
    let weight = weight.transpose().map_err(|_| invalid(format!("Invalid request: Weight is out of range {place}")))?;
    let failover = wire.failover.map(|failover| match failover {
        ResourceRecordSetFailover::Primary => Policy::FailoverPrimary,
        ResourceRecordSetFailover::Secondary => Policy::FailoverSecondary,
    });
    let multivalue = (wire.multi_value_answer == Some(true)).then_some(Policy::Multivalue);
    let latency = wire.region.map(|region| Policy::Latency(region.to_string()));
    let location = wire.geo_location.as_ref().map(|location| places::location(location, place));
    let location = location.transpose()?.map(Policy::Geolocation);
    let near = wire.geo_proximity_location.as_ref().map(|origin| places::origin(origin, place)).transpose()?;
    let blocks = wire.cidr_routing_config.as_ref().map(|config| Policy::Cidr {
        collection: config.collection_id.clone(),
        location: config.location_name.clone(),
    });
    let near = near.map(|(origin, bias)| Policy::Geoproximity(origin, bias));
    let given: Vec<Policy> =
        [weight, failover, multivalue, latency, location, near, blocks].into_iter().flatten().collect();
    let choice = "Expected exactly one of [Weight, Region, Failover, GeoLocation, MultiValueAnswer, GeoProximityLocation, CidrRoutingConfig]";
    match (given.as_slice(), &wire.set_identifier) {
        ([], None) => Ok(Policy::Simple),
        ([policy], Some(_)) => Ok(policy.clone()),
        ([], Some(_)) => Err(invalid(format!("Invalid request: {choice}, but found none {place}"))),
        ([_], None) => Err(invalid(format!("Invalid request: Missing field 'SetIdentifier' {place}"))),
        (_, _) => Err(invalid(format!("Invalid request: {choice}, but found more than one {place}"))),
    }
}
