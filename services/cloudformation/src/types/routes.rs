//! `AWS::EC2::RouteTable`, `AWS::EC2::Route`, `AWS::EC2::SubnetRouteTableAssociation`.

use serde_json::{Value, json};

use super::context::{Context, Failure, deleted, differs, pick, text};
use super::schema::{TAGS, Update::*};
use super::{Handler, Progress, ResourceType};

/// A route table.
pub const ROUTE_TABLE: ResourceType = ResourceType {
    name: "AWS::EC2::RouteTable",
    properties: &[Replace.text("VpcId").required(), TAGS],
    attributes: &["RouteTableId"],
    handler: &RouteTable,
};

struct RouteTable;

impl Handler for RouteTable {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let tags = cx.tag_specifications("route-table", properties);
        let made = cx.ec2("CreateRouteTable", json!({"VpcId": properties["VpcId"], "TagSpecifications": tags}))?;
        Ok(text(&made["RouteTable"], "RouteTableId").to_owned())
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        cx.retag_ec2(id, old, new)?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(cx.ec2("DeleteRouteTable", json!({"RouteTableId": id})))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(Value::from(id))
    }
}

/// A route.
pub const ROUTE: ResourceType = ResourceType {
    name: "AWS::EC2::Route",
    properties: &[
        Replace.text("RouteTableId").required(),
        Replace.text("DestinationCidrBlock").required(),
        InPlace.text("GatewayId"),
        InPlace.text("InstanceId"),
        InPlace.text("NetworkInterfaceId"),
        InPlace.text("NatGatewayId"),
    ],
    attributes: &["CidrBlock"],
    handler: &Route,
};

const ROUTE_MEMBERS: [&str; 6] =
    ["RouteTableId", "DestinationCidrBlock", "GatewayId", "InstanceId", "NetworkInterfaceId", "NatGatewayId"];

struct Route;

impl Handler for Route {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        cx.ec2("CreateRoute", pick(properties, &ROUTE_MEMBERS).into())?;
        Ok(format!("{}|{}", text(properties, "RouteTableId"), text(properties, "DestinationCidrBlock")))
    }

    fn update(&self, cx: &mut Context<'_, '_>, _: &mut String, _: &Value, new: &Value) -> Result<Progress, Failure> {
        cx.ec2("ReplaceRoute", pick(new, &ROUTE_MEMBERS).into())?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, _: &str, properties: &Value) -> Result<Progress, Failure> {
        deleted(cx.ec2("DeleteRoute", pick(properties, &["RouteTableId", "DestinationCidrBlock"]).into()))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, _: &str, properties: &Value, _: &str) -> Result<Value, Failure> {
        Ok(properties["DestinationCidrBlock"].clone())
    }
}

/// A subnet's route table.
pub const ASSOCIATION: ResourceType = ResourceType {
    name: "AWS::EC2::SubnetRouteTableAssociation",
    properties: &[Replace.text("SubnetId").required(), InPlace.text("RouteTableId").required()],
    attributes: &["Id"],
    handler: &Association,
};

struct Association;

impl Handler for Association {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let made = cx.ec2("AssociateRouteTable", pick(properties, &["SubnetId", "RouteTableId"]).into())?;
        Ok(text(&made, "AssociationId").to_owned())
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        if differs(old, new, "RouteTableId") {
            let input = json!({"AssociationId": *id, "RouteTableId": new["RouteTableId"]});
            let made = cx.ec2("ReplaceRouteTableAssociation", input)?;
            *id = text(&made, "NewAssociationId").to_owned();
        }
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(cx.ec2("DisassociateRouteTable", json!({"AssociationId": id})))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(Value::from(id))
    }
}
