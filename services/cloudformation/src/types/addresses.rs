//! `AWS::EC2::EIP`, `AWS::EC2::EIPAssociation`.

use serde_json::{Value, json};

use super::context::{Context, Failure, deleted, differs, pick, text};
use super::schema::{TAGS, Update::*};
use super::{Handler, Progress, ResourceType};

/// An Elastic IP address. Its physical id is the address.
pub const EIP: ResourceType = ResourceType {
    name: "AWS::EC2::EIP",
    properties: &[InPlace.text("Domain"), InPlace.text("InstanceId"), Replace.text("PublicIpv4Pool"), TAGS],
    attributes: &["AllocationId", "PublicIp"],
    handler: &Eip,
};

struct Eip;

impl Eip {
    fn find(cx: &mut Context<'_, '_>, address: &str) -> Result<Option<Value>, Failure> {
        cx.find("ec2", "DescribeAddresses", json!({"PublicIps": [address]}), "Addresses")
    }

    fn associate(cx: &mut Context<'_, '_>, allocation: &str, properties: &Value) -> Result<(), Failure> {
        match properties.get("InstanceId") {
            Some(instance) => {
                let input = json!({"AllocationId": allocation, "InstanceId": instance, "AllowReassociation": true});
                cx.ec2("AssociateAddress", input).map(drop)
            }
            None => Ok(()),
        }
    }
}

impl Handler for Eip {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let mut input = pick(properties, &["PublicIpv4Pool"]);
        input.insert("Domain".to_owned(), json!("vpc"));
        input.insert("TagSpecifications".to_owned(), cx.tag_specifications("elastic-ip", properties));
        let made = cx.ec2("AllocateAddress", input.into())?;
        Self::associate(cx, text(&made, "AllocationId"), properties)?;
        Ok(text(&made, "PublicIp").to_owned())
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        let address = Self::find(cx, id)?.ok_or_else(|| Failure::Unfit(format!("address {id} is gone")))?;
        if differs(old, new, "InstanceId") {
            match new.get("InstanceId") {
                Some(_) => Self::associate(cx, text(&address, "AllocationId"), new)?,
                None if address.get("AssociationId").is_some() => {
                    cx.ec2("DisassociateAddress", json!({"AssociationId": address["AssociationId"]}))?;
                }
                None => {}
            }
        }
        cx.retag_ec2(text(&address, "AllocationId"), old, new)?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        let Some(address) = Self::find(cx, id)? else { return Ok(Progress::Done) };
        if let Some(association) = address.get("AssociationId") {
            cx.ec2("DisassociateAddress", json!({"AssociationId": association}))?;
        }
        deleted(cx.ec2("ReleaseAddress", json!({"AllocationId": address["AllocationId"]})))
    }

    fn attribute(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value, name: &str) -> Result<Value, Failure> {
        match name {
            "AllocationId" => {
                let address = Self::find(cx, id)?.ok_or_else(|| Failure::Unfit(format!("address {id} is gone")))?;
                Ok(address["AllocationId"].clone())
            }
            _ => Ok(Value::from(id)),
        }
    }
}

/// An Elastic IP address at an instance or interface.
pub const ASSOCIATION: ResourceType = ResourceType {
    name: "AWS::EC2::EIPAssociation",
    properties: &[
        Replace.text("AllocationId"),
        Replace.text("EIP"),
        Replace.text("InstanceId"),
        Replace.text("NetworkInterfaceId"),
        Replace.text("PrivateIpAddress"),
    ],
    attributes: &["Id"],
    handler: &Association,
};

struct Association;

impl Handler for Association {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let mut input = pick(properties, &["AllocationId", "InstanceId", "NetworkInterfaceId", "PrivateIpAddress"]);
        if let Some(address) = properties.get("EIP") {
            input.insert("PublicIp".to_owned(), address.clone());
        }
        let made = cx.ec2("AssociateAddress", input.into())?;
        Ok(text(&made, "AssociationId").to_owned())
    }

    fn update(&self, _: &mut Context<'_, '_>, _: &mut String, _: &Value, _: &Value) -> Result<Progress, Failure> {
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(cx.ec2("DisassociateAddress", json!({"AssociationId": id})))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(Value::from(id))
    }
}
