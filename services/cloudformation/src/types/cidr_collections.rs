//! `AWS::Route53::CidrCollection`.

use serde_json::{Value, json};

use super::context::{Context, Failure, deleted, text};
use super::schema::{Kind, Property, Update::*, text as member};
use super::{Handler, Progress, ResourceType};

const LOCATION: &[Property] = &[member("LocationName").required(), InPlace.texts("CidrList").required()];

/// A collection of address ranges. Its physical id is its id.
pub const CIDR_COLLECTION: ResourceType = ResourceType {
    name: "AWS::Route53::CidrCollection",
    properties: &[Replace.text("Name").required(), InPlace.of("Locations", Kind::List(&Kind::Object(LOCATION)))],
    attributes: &["Id", "Arn"],
    handler: &CidrCollection,
};

struct CidrCollection;

fn locations(properties: &Value) -> &[Value] {
    properties.get("Locations").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn ranges(location: &Value) -> &[Value] {
    location["CidrList"].as_array().map_or(&[], Vec::as_slice)
}

/// The collection's ranges go from the old lists to the new ones.
fn change(cx: &mut Context<'_, '_>, id: &str, old: &Value, new: &Value) -> Result<(), Failure> {
    let mut changes = Vec::new();
    for (action, from, to) in [("DELETE_IF_EXISTS", new, old), ("PUT", old, new)] {
        for location in locations(to) {
            let name = text(location, "LocationName");
            let other = locations(from).iter().find(|other| text(other, "LocationName") == name);
            let kept = other.map_or(&[][..], ranges);
            let moved: Vec<&Value> = ranges(location).iter().filter(|range| !kept.contains(range)).collect();
            if !moved.is_empty() {
                changes.push(json!({"LocationName": name, "Action": action, "CidrList": moved}));
            }
        }
    }
    if changes.is_empty() {
        return Ok(());
    }
    cx.call("route53", "ChangeCidrCollection", json!({"Id": id, "Changes": changes})).map(drop)
}

impl Handler for CidrCollection {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let input = json!({"Name": properties["Name"], "CallerReference": cx.token});
        let made = cx.call("route53", "CreateCidrCollection", input)?;
        let id = text(&made["Collection"], "Id").to_owned();
        change(cx, &id, &json!({}), properties)?;
        Ok(id)
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        change(cx, id, old, new)?;
        Ok(Progress::Done)
    }

    /// Only an empty collection can be deleted.
    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, properties: &Value) -> Result<Progress, Failure> {
        match change(cx, id, properties, &json!({})) {
            Err(failure) if !failure.is_absence() => return Err(failure),
            _ => {}
        }
        deleted(cx.call("route53", "DeleteCidrCollection", json!({"Id": id})))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, name: &str) -> Result<Value, Failure> {
        Ok(if name == "Arn" { json!(format!("arn:aws:route53:::cidrcollection/{id}")) } else { json!(id) })
    }
}
