//! `AWS::EC2::NetworkInterface`.

use serde_json::{Value, json};

use super::context::{Context, Failure, deleted, differs, pick, text};
use super::schema::{TAGS, Update::*};
use super::{Handler, Progress, ResourceType};

/// A network interface.
pub const NETWORK_INTERFACE: ResourceType = ResourceType {
    name: "AWS::EC2::NetworkInterface",
    properties: &[
        Replace.text("SubnetId").required(),
        Replace.text("PrivateIpAddress"),
        InPlace.text("Description"),
        InPlace.texts("GroupSet"),
        InPlace.boolean("SourceDestCheck"),
        TAGS,
    ],
    attributes: &["Id", "PrimaryPrivateIpAddress", "SecondaryPrivateIpAddresses", "VpcId"],
    handler: &NetworkInterface,
};

struct NetworkInterface;

fn modify(cx: &mut Context<'_, '_>, id: &str, attribute: &str, value: Value) -> Result<(), Failure> {
    cx.ec2("ModifyNetworkInterfaceAttribute", json!({"NetworkInterfaceId": id, attribute: value})).map(drop)
}

impl Handler for NetworkInterface {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let mut input = pick(properties, &["SubnetId", "PrivateIpAddress", "Description"]);
        if let Some(groups) = properties.get("GroupSet") {
            input.insert("Groups".to_owned(), groups.clone());
        }
        input.insert("ClientToken".to_owned(), json!(cx.token));
        input.insert("TagSpecifications".to_owned(), cx.tag_specifications("network-interface", properties));
        let made = cx.ec2("CreateNetworkInterface", input.into())?;
        let id = text(&made["NetworkInterface"], "NetworkInterfaceId").to_owned();
        if properties.get("SourceDestCheck") == Some(&Value::Bool(false)) {
            modify(cx, &id, "SourceDestCheck", json!({"Value": false}))?;
        }
        Ok(id)
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        if differs(old, new, "Description") {
            modify(cx, id, "Description", json!({"Value": text(new, "Description")}))?;
        }
        if differs(old, new, "GroupSet")
            && let Some(groups) = new.get("GroupSet")
        {
            modify(cx, id, "Groups", groups.clone())?;
        }
        if differs(old, new, "SourceDestCheck") {
            let check = new.get("SourceDestCheck").and_then(Value::as_bool).unwrap_or(true);
            modify(cx, id, "SourceDestCheck", json!({"Value": check}))?;
        }
        cx.retag_ec2(id, old, new)?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(cx.ec2("DeleteNetworkInterface", json!({"NetworkInterfaceId": id})))
    }

    fn attribute(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value, name: &str) -> Result<Value, Failure> {
        let input = json!({"NetworkInterfaceIds": [id]});
        let found = cx.get("ec2", "DescribeNetworkInterfaces", input, "NetworkInterfaces")?;
        Ok(match name {
            "PrimaryPrivateIpAddress" => found["PrivateIpAddress"].clone(),
            // Only primary addresses are given out.
            "SecondaryPrivateIpAddresses" => json!([]),
            "VpcId" => found["VpcId"].clone(),
            _ => json!(id),
        })
    }
}
