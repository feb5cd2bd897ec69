//! `AWS::Route53::HostedZone`.

use serde_json::{Value, json};

use super::context::{Context, Failure, deleted, differs, list_of, pick, tag_changes, text};
use super::schema::{Kind, Property, Update::*, text as member};
use super::{Handler, Progress, ResourceType};

const VPC: &[Property] = &[member("VPCId").required(), member("VPCRegion").required()];
const TAG: &[Property] = &[member("Key").required(), member("Value").required()];

/// A hosted zone.
pub const HOSTED_ZONE: ResourceType = ResourceType {
    name: "AWS::Route53::HostedZone",
    properties: &[
        Replace.text("Name").required(),
        InPlace.object("HostedZoneConfig", &[member("Comment")]),
        InPlace.of("HostedZoneTags", Kind::List(&Kind::Object(TAG))),
        InPlace.of("VPCs", Kind::List(&Kind::Object(VPC))),
    ],
    attributes: &["Id", "NameServers"],
    handler: &HostedZone,
};

struct HostedZone;

fn vpcs(properties: &Value) -> &[Value] {
    properties.get("VPCs").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Answers give `/hostedzone/Z…`; templates want `Z…`.
fn bare(id: &str) -> &str {
    id.strip_prefix("/hostedzone/").unwrap_or(id)
}

impl Handler for HostedZone {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let mut input = pick(properties, &["Name"]);
        input.insert("CallerReference".to_owned(), json!(cx.token));
        let mut config = pick(&properties["HostedZoneConfig"], &["Comment"]);
        config.insert("PrivateZone".to_owned(), json!(!vpcs(properties).is_empty()));
        input.insert("HostedZoneConfig".to_owned(), config.into());
        if let Some(first) = vpcs(properties).first() {
            input.insert("VPC".to_owned(), first.clone());
        }
        let made = cx.call("route53", "CreateHostedZone", input.into())?;
        let id = bare(text(&made["HostedZone"], "Id")).to_owned();
        for vpc in vpcs(properties).iter().skip(1) {
            cx.call("route53", "AssociateVPCWithHostedZone", json!({"HostedZoneId": id, "VPC": vpc}))?;
        }
        let (tags, _) = tag_changes(&json!({}), properties);
        if !tags.is_empty() {
            let input = json!({"ResourceType": "hostedzone", "ResourceId": id, "AddTags": list_of(&tags)});
            cx.call("route53", "ChangeTagsForResource", input)?;
        }
        Ok(id)
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        if differs(old, new, "HostedZoneConfig") {
            let comment = text(&new["HostedZoneConfig"], "Comment");
            cx.call("route53", "UpdateHostedZoneComment", json!({"Id": *id, "Comment": comment}))?;
        }
        for vpc in vpcs(new).iter().filter(|vpc| !vpcs(old).contains(vpc)) {
            cx.call("route53", "AssociateVPCWithHostedZone", json!({"HostedZoneId": *id, "VPC": vpc}))?;
        }
        for vpc in vpcs(old).iter().filter(|vpc| !vpcs(new).contains(vpc)) {
            cx.call("route53", "DisassociateVPCFromHostedZone", json!({"HostedZoneId": *id, "VPC": vpc}))?;
        }
        let (set, removed) = tag_changes(old, new);
        if !set.is_empty() || !removed.is_empty() {
            let mut input = json!({"ResourceType": "hostedzone", "ResourceId": *id});
            if !set.is_empty() {
                input["AddTags"] = list_of(&set);
            }
            if !removed.is_empty() {
                input["RemoveTagKeys"] = json!(removed);
            }
            cx.call("route53", "ChangeTagsForResource", input)?;
        }
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(cx.call("route53", "DeleteHostedZone", json!({"Id": id})))
    }

    /// A public zone becomes a private one, or the other way round, only as another zone.
    fn replaces(&self, old: &Value, new: &Value) -> bool {
        vpcs(old).is_empty() != vpcs(new).is_empty()
    }

    fn attribute(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value, name: &str) -> Result<Value, Failure> {
        match name {
            "NameServers" => {
                let zone = cx.call("route53", "GetHostedZone", json!({"Id": id}))?;
                Ok(zone["DelegationSet"].get("NameServers").cloned().unwrap_or_else(|| json!([])))
            }
            _ => Ok(Value::from(id)),
        }
    }
}
