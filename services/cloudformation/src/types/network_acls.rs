//! `AWS::EC2::NetworkAcl`, `AWS::EC2::NetworkAclEntry`, `AWS::EC2::SubnetNetworkAclAssociation`.

use serde_json::{Map, Value, json};

use super::context::{Context, Failure, deleted, pick, text};
use super::schema::{Property, TAGS, Update::*, number};
use super::{Handler, Progress, ResourceType};

/// A network ACL.
pub const NETWORK_ACL: ResourceType = ResourceType {
    name: "AWS::EC2::NetworkAcl",
    properties: &[Replace.text("VpcId").required(), TAGS],
    attributes: &["Id"],
    handler: &NetworkAcl,
};

struct NetworkAcl;

impl Handler for NetworkAcl {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let tags = cx.tag_specifications("network-acl", properties);
        let made = cx.ec2("CreateNetworkAcl", json!({"VpcId": properties["VpcId"], "TagSpecifications": tags}))?;
        Ok(text(&made["NetworkAcl"], "NetworkAclId").to_owned())
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        cx.retag_ec2(id, old, new)?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(cx.ec2("DeleteNetworkAcl", json!({"NetworkAclId": id})))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(Value::from(id))
    }
}

const PORTS: &[Property] = &[number("From"), number("To")];
const ICMP: &[Property] = &[number("Code"), number("Type")];

/// A rule of a network ACL. Its physical id is a name of its own.
pub const ENTRY: ResourceType = ResourceType {
    name: "AWS::EC2::NetworkAclEntry",
    properties: &[
        Replace.text("NetworkAclId").required(),
        Replace.number("RuleNumber").required(),
        Replace.boolean("Egress"),
        InPlace.text("Protocol").required(),
        InPlace.text("RuleAction").required(),
        InPlace.text("CidrBlock"),
        InPlace.text("Ipv6CidrBlock"),
        InPlace.object("PortRange", PORTS),
        InPlace.object("Icmp", ICMP),
    ],
    attributes: &["Id"],
    handler: &Entry,
};

struct Entry;

/// Which entry of its ACL it is.
fn place(properties: &Value) -> Map<String, Value> {
    let mut place = pick(properties, &["NetworkAclId", "RuleNumber", "Egress"]);
    place.entry("Egress").or_insert(json!(false));
    place
}

fn whole(properties: &Value) -> Value {
    let mut input = place(properties);
    input.extend(pick(properties, &["Protocol", "RuleAction", "CidrBlock", "Ipv6CidrBlock", "PortRange"]));
    if let Some(icmp) = properties.get("Icmp") {
        input.insert("IcmpTypeCode".to_owned(), icmp.clone());
    }
    input.into()
}

impl Handler for Entry {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        cx.ec2("CreateNetworkAclEntry", whole(properties))?;
        Ok(cx.name(128))
    }

    fn update(&self, cx: &mut Context<'_, '_>, _: &mut String, _: &Value, new: &Value) -> Result<Progress, Failure> {
        cx.ec2("ReplaceNetworkAclEntry", whole(new))?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, _: &str, properties: &Value) -> Result<Progress, Failure> {
        deleted(cx.ec2("DeleteNetworkAclEntry", place(properties).into()))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(Value::from(id))
    }
}

/// A subnet's network ACL.
pub const ASSOCIATION: ResourceType = ResourceType {
    name: "AWS::EC2::SubnetNetworkAclAssociation",
    properties: &[Replace.text("SubnetId").required(), Replace.text("NetworkAclId").required()],
    attributes: &["AssociationId"],
    handler: &Association,
};

struct Association;

impl Association {
    /// The ACL that a subnet has now, and the id of that association.
    fn of_subnet(cx: &mut Context<'_, '_>, subnet: &Value) -> Result<Option<(Value, String)>, Failure> {
        let filters = json!([{"Name": "association.subnet-id", "Values": [subnet]}]);
        let found = cx.find("ec2", "DescribeNetworkAcls", json!({"Filters": filters}), "NetworkAcls")?;
        Ok(found.and_then(|acl| {
            let associations = acl["Associations"].as_array()?;
            let own = associations.iter().find(|association| association["SubnetId"] == *subnet)?;
            let id = text(own, "NetworkAclAssociationId").to_owned();
            Some((acl, id))
        }))
    }

    fn replace(cx: &mut Context<'_, '_>, association: &str, acl: &Value) -> Result<String, Failure> {
        let input = json!({"AssociationId": association, "NetworkAclId": acl});
        let made = cx.ec2("ReplaceNetworkAclAssociation", input)?;
        Ok(text(&made, "NewAssociationId").to_owned())
    }
}

impl Handler for Association {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let subnet = &properties["SubnetId"];
        let (_, before) = Self::of_subnet(cx, subnet)?.ok_or_else(|| {
            Failure::Unfit(format!("The subnet ID '{}' does not exist", text(properties, "SubnetId")))
        })?;
        Self::replace(cx, &before, &properties["NetworkAclId"])
    }

    fn update(&self, _: &mut Context<'_, '_>, _: &mut String, _: &Value, _: &Value) -> Result<Progress, Failure> {
        Ok(Progress::Done)
    }

    /// A subnet always has an ACL: without this one it has its VPC's default again.
    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, properties: &Value) -> Result<Progress, Failure> {
        let Some((acl, current)) = Self::of_subnet(cx, &properties["SubnetId"])? else { return Ok(Progress::Done) };
        if current != id {
            return Ok(Progress::Done);
        }
        let filters = json!([{"Name": "vpc-id", "Values": [acl["VpcId"]]}, {"Name": "default", "Values": ["true"]}]);
        let default = cx.get("ec2", "DescribeNetworkAcls", json!({"Filters": filters}), "NetworkAcls")?;
        Self::replace(cx, id, &default["NetworkAclId"])?;
        Ok(Progress::Done)
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(Value::from(id))
    }
}
