//! `AWS::EC2::VPC`, `AWS::EC2::InternetGateway`, `AWS::EC2::VPCGatewayAttachment`.

use serde_json::{Value, json};

use super::context::{Context, Failure, deleted, differs, pick, text};
use super::schema::{Property, TAGS, Update::*};
use super::{Handler, Progress, ResourceType};

/// A VPC.
pub const VPC: ResourceType = ResourceType {
    name: "AWS::EC2::VPC",
    properties: &[
        Replace.text("CidrBlock").required(),
        InPlace.boolean("EnableDnsSupport"),
        InPlace.boolean("EnableDnsHostnames"),
        Replace.text("InstanceTenancy"),
        TAGS,
    ],
    attributes: &[
        "VpcId",
        "CidrBlock",
        "CidrBlockAssociations",
        "DefaultSecurityGroup",
        "DefaultNetworkAcl",
        "Ipv6CidrBlocks",
    ],
    handler: &Vpc,
};

struct Vpc;

impl Vpc {
    fn attributes(cx: &mut Context<'_, '_>, id: &str, old: &Value, new: &Value) -> Result<(), Failure> {
        for (name, default) in [("EnableDnsSupport", true), ("EnableDnsHostnames", false)] {
            let value = |properties: &Value| properties.get(name).and_then(Value::as_bool).unwrap_or(default);
            if value(old) != value(new) {
                cx.ec2("ModifyVpcAttribute", json!({"VpcId": id, name: {"Value": value(new)}}))?;
            }
        }
        Ok(())
    }
}

impl Handler for Vpc {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let mut input = pick(properties, &["CidrBlock", "InstanceTenancy"]);
        input.insert("TagSpecifications".to_owned(), cx.tag_specifications("vpc", properties));
        let made = cx.ec2("CreateVpc", input.into())?;
        let id = text(&made["Vpc"], "VpcId").to_owned();
        Self::attributes(cx, &id, &json!({}), properties)?;
        Ok(id)
    }

    fn settle(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        let vpc = cx.get("ec2", "DescribeVpcs", json!({"VpcIds": [id]}), "Vpcs")?;
        Ok(if text(&vpc, "State") == "available" { Progress::Done } else { Progress::Waiting })
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        Self::attributes(cx, id, old, new)?;
        cx.retag_ec2(id, old, new)?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(cx.ec2("DeleteVpc", json!({"VpcId": id})))
    }

    fn attribute(&self, cx: &mut Context<'_, '_>, id: &str, properties: &Value, name: &str) -> Result<Value, Failure> {
        let of_vpc = json!([{"Name": "vpc-id", "Values": [id]}, {"Name": "default", "Values": ["true"]}]);
        match name {
            "DefaultSecurityGroup" => {
                let filters =
                    json!([{"Name": "vpc-id", "Values": [id]}, {"Name": "group-name", "Values": ["default"]}]);
                let group = cx.get("ec2", "DescribeSecurityGroups", json!({"Filters": filters}), "SecurityGroups")?;
                Ok(group["GroupId"].clone())
            }
            "DefaultNetworkAcl" => {
                let acl = cx.get("ec2", "DescribeNetworkAcls", json!({"Filters": of_vpc}), "NetworkAcls")?;
                Ok(acl["NetworkAclId"].clone())
            }
            "CidrBlock" => Ok(properties["CidrBlock"].clone()),
            "CidrBlockAssociations" => {
                let vpc = cx.get("ec2", "DescribeVpcs", json!({"VpcIds": [id]}), "Vpcs")?;
                let all = vpc["CidrBlockAssociationSet"].as_array().into_iter().flatten();
                Ok(all.map(|association| association["AssociationId"].clone()).collect())
            }
            // IPv4 only.
            "Ipv6CidrBlocks" => Ok(json!([])),
            _ => Ok(Value::from(id)),
        }
    }
}

/// An internet gateway.
pub const INTERNET_GATEWAY: ResourceType = ResourceType {
    name: "AWS::EC2::InternetGateway",
    properties: &[TAGS],
    attributes: &["InternetGatewayId"],
    handler: &InternetGateway,
};

struct InternetGateway;

impl Handler for InternetGateway {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let tags = cx.tag_specifications("internet-gateway", properties);
        let made = cx.ec2("CreateInternetGateway", json!({"TagSpecifications": tags}))?;
        Ok(text(&made["InternetGateway"], "InternetGatewayId").to_owned())
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        cx.retag_ec2(id, old, new)?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(cx.ec2("DeleteInternetGateway", json!({"InternetGatewayId": id})))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(Value::from(id))
    }
}

/// An internet gateway in its VPC.
pub const ATTACHMENT: ResourceType = ResourceType {
    name: "AWS::EC2::VPCGatewayAttachment",
    properties: &[Replace.text("VpcId").required(), ATTACHED],
    attributes: &["AttachmentType"],
    handler: &Attachment,
};

const ATTACHED: Property = InPlace.text("InternetGatewayId").required();

struct Attachment;

impl Attachment {
    fn ends(properties: &Value) -> Value {
        json!({"InternetGatewayId": properties["InternetGatewayId"], "VpcId": properties["VpcId"]})
    }
}

impl Handler for Attachment {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        cx.ec2("AttachInternetGateway", Self::ends(properties))?;
        Ok(format!("IGW|{}", text(properties, "VpcId")))
    }

    fn update(&self, cx: &mut Context<'_, '_>, _: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        if differs(old, new, "InternetGatewayId") {
            cx.ec2("DetachInternetGateway", Self::ends(old))?;
            cx.ec2("AttachInternetGateway", Self::ends(new))?;
        }
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, _: &str, properties: &Value) -> Result<Progress, Failure> {
        match cx.ec2("DetachInternetGateway", Self::ends(properties)) {
            Err(Failure::Service { error, .. }) if error.code == "Gateway.NotAttached" => Ok(Progress::Done),
            result => deleted(result),
        }
    }

    fn attribute(&self, _: &mut Context<'_, '_>, _: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(Value::from("IGW"))
    }
}
