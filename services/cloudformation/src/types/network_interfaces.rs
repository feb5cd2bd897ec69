//! `AWS::EC2::NetworkInterface`, `AWS::EC2::NetworkInterfaceAttachment`.

use serde_json::{Value, json};

use super::context::{Context, Failure, deleted, differs, pick, text};
use super::schema::{Kind, Property, TAGS, Update::*, boolean, text as member};
use super::{Handler, Progress, ResourceType};

const ADDRESS: &[Property] = &[boolean("Primary").required(), member("PrivateIpAddress").required()];

/// A network interface.
pub const NETWORK_INTERFACE: ResourceType = ResourceType {
    name: "AWS::EC2::NetworkInterface",
    properties: &[
        Replace.text("SubnetId").required(),
        Replace.text("PrivateIpAddress"),
        Replace.of("PrivateIpAddresses", Kind::List(&Kind::Object(ADDRESS))),
        Replace.number("SecondaryPrivateIpAddressCount"),
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
        let same =
            ["SubnetId", "PrivateIpAddress", "PrivateIpAddresses", "SecondaryPrivateIpAddressCount", "Description"];
        let mut input = pick(properties, &same);
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
            "SecondaryPrivateIpAddresses" => {
                let all = found["PrivateIpAddresses"].as_array().into_iter().flatten();
                let secondary = all.filter(|address| address["Primary"] != true);
                secondary.map(|address| address["PrivateIpAddress"].clone()).collect()
            }
            "VpcId" => found["VpcId"].clone(),
            _ => json!(id),
        })
    }
}

/// An interface at an instance, beside those that it was started with. Its physical id is that of the attachment.
pub const ATTACHMENT: ResourceType = ResourceType {
    name: "AWS::EC2::NetworkInterfaceAttachment",
    properties: &[
        Replace.text("InstanceId").required(),
        Replace.text("NetworkInterfaceId").required(),
        Replace.number("DeviceIndex").required(),
        InPlace.boolean("DeleteOnTermination"),
    ],
    attributes: &["AttachmentId"],
    handler: &Attachment,
};

struct Attachment;

impl Attachment {
    fn find(cx: &mut Context<'_, '_>, id: &str) -> Result<Option<Value>, Failure> {
        let filters = json!([{"Name": "attachment.attachment-id", "Values": [id]}]);
        cx.find("ec2", "DescribeNetworkInterfaces", json!({"Filters": filters}), "NetworkInterfaces")
    }

    /// Attached interfaces stay when their instance goes, unless the template says otherwise: by default it does.
    fn lifetime(cx: &mut Context<'_, '_>, id: &str, properties: &Value) -> Result<(), Failure> {
        let goes = properties.get("DeleteOnTermination").and_then(Value::as_bool).unwrap_or(true);
        let change = json!({"AttachmentId": id, "DeleteOnTermination": goes});
        modify(cx, text(properties, "NetworkInterfaceId"), "Attachment", change)
    }
}

impl Handler for Attachment {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let input = pick(properties, &["InstanceId", "NetworkInterfaceId", "DeviceIndex"]);
        let made = cx.ec2("AttachNetworkInterface", input.into())?;
        let id = text(&made, "AttachmentId").to_owned();
        Self::lifetime(cx, &id, properties)?;
        Ok(id)
    }

    fn settle(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        let found = Self::find(cx, id)?.ok_or_else(|| Failure::Unfit(format!("attachment {id} is gone")))?;
        let attached = text(&found["Attachment"], "Status") == "attached";
        Ok(if attached { Progress::Done } else { Progress::Waiting })
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, _: &Value, new: &Value) -> Result<Progress, Failure> {
        Self::lifetime(cx, id, new)?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        match Self::find(cx, id)? {
            None => Ok(Progress::Done),
            Some(found) if text(&found["Attachment"], "Status") == "detaching" => Ok(Progress::Waiting),
            Some(_) => deleted(cx.ec2("DetachNetworkInterface", json!({"AttachmentId": id})))
                .map(|progress| if progress == Progress::Done { Progress::Waiting } else { progress }),
        }
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(json!(id))
    }
}
