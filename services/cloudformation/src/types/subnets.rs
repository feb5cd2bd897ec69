//! `AWS::EC2::Subnet`.

use serde_json::{Value, json};

use super::context::{Context, Failure, deleted, differs, pick, text};
use super::schema::{TAGS, Update::*};
use super::{Handler, Progress, ResourceType};

/// A subnet.
pub const SUBNET: ResourceType = ResourceType {
    name: "AWS::EC2::Subnet",
    properties: &[
        Replace.text("VpcId").required(),
        Replace.text("CidrBlock").required(),
        Replace.text("AvailabilityZone"),
        Replace.text("AvailabilityZoneId"),
        InPlace.boolean("MapPublicIpOnLaunch"),
        TAGS,
    ],
    attributes: &[
        "SubnetId",
        "AvailabilityZone",
        "AvailabilityZoneId",
        "CidrBlock",
        "VpcId",
        "NetworkAclAssociationId",
    ],
    handler: &Subnet,
};

struct Subnet;

impl Subnet {
    fn map_public(cx: &mut Context<'_, '_>, id: &str, properties: &Value) -> Result<(), Failure> {
        let value = properties.get("MapPublicIpOnLaunch").and_then(Value::as_bool).unwrap_or(false);
        cx.ec2("ModifySubnetAttribute", json!({"SubnetId": id, "MapPublicIpOnLaunch": {"Value": value}})).map(drop)
    }
}

impl Handler for Subnet {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let mut input = pick(properties, &["VpcId", "CidrBlock", "AvailabilityZone", "AvailabilityZoneId"]);
        input.insert("TagSpecifications".to_owned(), cx.tag_specifications("subnet", properties));
        let made = cx.ec2("CreateSubnet", input.into())?;
        let id = text(&made["Subnet"], "SubnetId").to_owned();
        if properties.get("MapPublicIpOnLaunch").is_some() {
            Self::map_public(cx, &id, properties)?;
        }
        Ok(id)
    }

    fn settle(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        let subnet = cx.get("ec2", "DescribeSubnets", json!({"SubnetIds": [id]}), "Subnets")?;
        Ok(if text(&subnet, "State") == "available" { Progress::Done } else { Progress::Waiting })
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        if differs(old, new, "MapPublicIpOnLaunch") {
            Self::map_public(cx, id, new)?;
        }
        cx.retag_ec2(id, old, new)?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(cx.ec2("DeleteSubnet", json!({"SubnetId": id})))
    }

    fn attribute(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value, name: &str) -> Result<Value, Failure> {
        if name == "NetworkAclAssociationId" {
            let filters = json!([{"Name": "association.subnet-id", "Values": [id]}]);
            let acl = cx.get("ec2", "DescribeNetworkAcls", json!({"Filters": filters}), "NetworkAcls")?;
            let own = acl["Associations"].as_array().and_then(|all| all.iter().find(|one| one["SubnetId"] == id));
            return Ok(own.map_or(Value::Null, |own| own[name].clone()));
        }
        let subnet = cx.get("ec2", "DescribeSubnets", json!({"SubnetIds": [id]}), "Subnets")?;
        Ok(subnet[name].clone())
    }
}
