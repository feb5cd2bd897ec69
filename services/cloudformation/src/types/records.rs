//! `AWS::Route53::RecordSet`, `AWS::Route53::RecordSetGroup`.

use serde_json::{Map, Value, json};

use super::context::{Context, Failure, deleted, pick, text};
use super::schema::{Kind, Property, Update::*, boolean, number, text as member};
use super::{Handler, Progress, ResourceType};

const ALIAS: &[Property] =
    &[member("DNSName").required(), member("HostedZoneId").required(), boolean("EvaluateTargetHealth")];

const GEO_LOCATION: &[Property] = &[member("ContinentCode"), member("CountryCode"), member("SubdivisionCode")];
const COORDINATES: &[Property] = &[member("Latitude").required(), member("Longitude").required()];
const GEO_PROXIMITY: &[Property] =
    &[member("AWSRegion"), member("LocalZoneGroup"), number("Bias"), InPlace.object("Coordinates", COORDINATES)];
const CIDR: &[Property] = &[member("CollectionId").required(), member("LocationName").required()];

/// What every record set takes; a name that changes is another record set.
const RECORD: [Property; 14] = [
    Replace.text("Name").required(),
    InPlace.text("Type").required(),
    InPlace.text("TTL"),
    InPlace.texts("ResourceRecords"),
    InPlace.object("AliasTarget", ALIAS),
    InPlace.text("SetIdentifier"),
    InPlace.of("Weight", Kind::Number),
    InPlace.text("Region"),
    InPlace.text("Failover"),
    InPlace.boolean("MultiValueAnswer"),
    InPlace.text("HealthCheckId"),
    InPlace.object("GeoLocation", GEO_LOCATION),
    InPlace.object("GeoProximityLocation", GEO_PROXIMITY),
    InPlace.object("CidrRoutingConfig", CIDR),
];

/// What a record set of its own takes.
const ALONE: [Property; RECORD.len() + 3] =
    taking([Replace.text("HostedZoneId"), Replace.text("HostedZoneName"), InPlace.text("Comment")]);

/// `own` before what every record set takes.
const fn taking<const OWN: usize, const ALL: usize>(own: [Property; OWN]) -> [Property; ALL] {
    let mut all = [RECORD[0]; ALL];
    let mut index = 0;
    while index < ALL {
        all[index] = if index < OWN { own[index] } else { RECORD[index - OWN] };
        index += 1;
    }
    all
}

/// A record set. Its physical id is its name.
pub const RECORD_SET: ResourceType =
    ResourceType { name: "AWS::Route53::RecordSet", properties: &ALONE, attributes: &[], handler: &RecordSet };

/// Several record sets of one zone.
pub const RECORD_SET_GROUP: ResourceType = ResourceType {
    name: "AWS::Route53::RecordSetGroup",
    properties: &[
        Replace.text("HostedZoneId"),
        Replace.text("HostedZoneName"),
        InPlace.text("Comment"),
        InPlace.of("RecordSets", Kind::List(&Kind::Object(&GROUPED))),
    ],
    attributes: &["Id"],
    handler: &RecordSetGroup,
};

/// A member may name the zone itself, where the group does not.
const GROUPED: [Property; RECORD.len() + 2] = taking([member("HostedZoneId"), member("HostedZoneName")]);

/// A record set as Route 53 takes it.
fn record(properties: &Value) -> Value {
    const SAME: [&str; 12] = [
        "Name",
        "Type",
        "TTL",
        "SetIdentifier",
        "Weight",
        "Region",
        "Failover",
        "MultiValueAnswer",
        "HealthCheckId",
        "GeoLocation",
        "GeoProximityLocation",
        "CidrRoutingConfig",
    ];
    let mut record: Map<String, Value> = pick(properties, &SAME);
    if let Some(Value::Array(values)) = properties.get("ResourceRecords") {
        record.insert("ResourceRecords".to_owned(), values.iter().map(|value| json!({"Value": value})).collect());
    }
    if let Some(alias) = properties.get("AliasTarget") {
        let mut alias = alias.clone();
        if alias.get("EvaluateTargetHealth").is_none() {
            alias["EvaluateTargetHealth"] = json!(false);
        }
        record.insert("AliasTarget".to_owned(), alias);
    }
    record.into()
}

/// The zone, by its id or by its name.
fn zone(cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
    let names_one = |value: &Value| ["HostedZoneId", "HostedZoneName"].iter().any(|name| value.get(name).is_some());
    let first = members(properties).first().filter(|_| !names_one(properties));
    let properties = first.unwrap_or(properties);
    let id = text(properties, "HostedZoneId");
    if !id.is_empty() {
        return Ok(id.to_owned());
    }
    let name = text(properties, "HostedZoneName");
    let zones = cx.call("route53", "ListHostedZonesByName", json!({"DNSName": name}))?;
    let zones = zones["HostedZones"].as_array().cloned().unwrap_or_default();
    match zones.iter().filter(|zone| text(zone, "Name") == name).collect::<Vec<_>>().as_slice() {
        [zone] => Ok(text(zone, "Id").trim_start_matches("/hostedzone/").to_owned()),
        [] => Err(Failure::Unfit(format!("No hosted zones named {name} found."))),
        _ => Err(Failure::Unfit(format!("Found multiple hosted zones for domain {name}."))),
    }
}

/// One batch of changes, all of them or none.
fn change(cx: &mut Context<'_, '_>, properties: &Value, changes: &[(&str, &Value)]) -> Result<Value, Failure> {
    let zone = zone(cx, properties)?;
    let changes: Vec<Value> = changes
        .iter()
        .map(|(action, properties)| json!({"Action": action, "ResourceRecordSet": record(properties)}))
        .collect();
    let mut batch = json!({"Changes": changes});
    if let Some(comment) = properties.get("Comment") {
        batch["Comment"] = comment.clone();
    }
    cx.call("route53", "ChangeResourceRecordSets", json!({"HostedZoneId": zone, "ChangeBatch": batch}))
}

/// What was deleted by hand is deleted: Route 53 says so in a batch's error.
fn removed(result: Result<Value, Failure>) -> Result<Progress, Failure> {
    match result {
        Err(Failure::Service { error, .. })
            if error.code == "InvalidChangeBatch" && error.message.contains("not found") =>
        {
            Ok(Progress::Done)
        }
        result => deleted(result),
    }
}

struct RecordSet;

impl Handler for RecordSet {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        change(cx, properties, &[("CREATE", properties)])?;
        Ok(text(properties, "Name").trim_end_matches('.').to_owned())
    }

    fn update(&self, cx: &mut Context<'_, '_>, _: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        // Another type or identifier is another record set to Route 53: one goes and the other comes, in one batch.
        if identity(old) == identity(new) {
            change(cx, new, &[("UPSERT", new)])?;
        } else {
            change(cx, new, &[("DELETE", old), ("CREATE", new)])?;
        }
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, _: &str, properties: &Value) -> Result<Progress, Failure> {
        removed(change(cx, properties, &[("DELETE", properties)]))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(Value::from(id))
    }
}

struct RecordSetGroup;

fn members(properties: &Value) -> &[Value] {
    properties.get("RecordSets").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn identity(record: &Value) -> [&str; 3] {
    [text(record, "Name"), text(record, "Type"), text(record, "SetIdentifier")]
}

impl Handler for RecordSetGroup {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let changes: Vec<_> = members(properties).iter().map(|record| ("CREATE", record)).collect();
        if !changes.is_empty() {
            change(cx, properties, &changes)?;
        }
        Ok(cx.name(128))
    }

    fn update(&self, cx: &mut Context<'_, '_>, _: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        let kept = |record: &&Value| members(new).iter().any(|other| identity(other) == identity(record));
        let mut changes: Vec<_> =
            members(old).iter().filter(|record| !kept(record)).map(|record| ("DELETE", record)).collect();
        changes.extend(
            members(new).iter().filter(|record| !members(old).contains(record)).map(|record| ("UPSERT", record)),
        );
        if !changes.is_empty() {
            change(cx, new, &changes)?;
        }
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, _: &str, properties: &Value) -> Result<Progress, Failure> {
        let changes: Vec<_> = members(properties).iter().map(|record| ("DELETE", record)).collect();
        if changes.is_empty() {
            return Ok(Progress::Done);
        }
        removed(change(cx, properties, &changes))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(Value::from(id))
    }
}
