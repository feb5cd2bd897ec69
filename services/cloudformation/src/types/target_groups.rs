//! `AWS::ElasticLoadBalancingV2::TargetGroup`.

use serde_json::{Value, json};

use super::context::{Context, Failure, deleted, differs, pick, text};
use super::load_balancers::{ATTRIBUTE, after, elb, retag};
use super::schema::{Kind, Property, TAGS, Update::*, number, text as member};
use super::{Handler, Progress, ResourceType};

const TARGET: &[Property] = &[member("Id").required(), number("Port"), member("AvailabilityZone")];

/// A target group.
pub const TARGET_GROUP: ResourceType = ResourceType {
    name: "AWS::ElasticLoadBalancingV2::TargetGroup",
    properties: &[
        Replace.text("Name"),
        Replace.text("VpcId"),
        Replace.text("TargetType"),
        Replace.text("Protocol"),
        Replace.text("ProtocolVersion"),
        Replace.number("Port"),
        Replace.text("IpAddressType"),
        InPlace.text("HealthCheckProtocol"),
        InPlace.text("HealthCheckPort"),
        InPlace.text("HealthCheckPath"),
        InPlace.boolean("HealthCheckEnabled"),
        InPlace.number("HealthCheckIntervalSeconds"),
        InPlace.number("HealthCheckTimeoutSeconds"),
        InPlace.number("HealthyThresholdCount"),
        InPlace.number("UnhealthyThresholdCount"),
        InPlace.object("Matcher", &[member("HttpCode"), member("GrpcCode")]),
        InPlace.of("TargetGroupAttributes", Kind::List(&Kind::Object(ATTRIBUTE))),
        InPlace.of("Targets", Kind::List(&Kind::Object(TARGET))),
        TAGS,
    ],
    attributes: &["TargetGroupArn", "TargetGroupName", "TargetGroupFullName", "LoadBalancerArns"],
    handler: &TargetGroup,
};

const HEALTH: [&str; 9] = [
    "HealthCheckProtocol",
    "HealthCheckPort",
    "HealthCheckPath",
    "HealthCheckEnabled",
    "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
    "Matcher",
];

struct TargetGroup;

fn targets(properties: &Value) -> &[Value] {
    properties.get("Targets").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

impl TargetGroup {
    /// Attributes and targets, which are operations of their own.
    fn apply(cx: &mut Context<'_, '_>, id: &str, old: &Value, new: &Value) -> Result<(), Failure> {
        if differs(old, new, "TargetGroupAttributes")
            && let Some(attributes) = new.get("TargetGroupAttributes")
        {
            elb(cx, "ModifyTargetGroupAttributes", json!({"TargetGroupArn": id, "Attributes": attributes}))?;
        }
        let gone: Vec<&Value> = targets(old).iter().filter(|target| !targets(new).contains(target)).collect();
        let come: Vec<&Value> = targets(new).iter().filter(|target| !targets(old).contains(target)).collect();
        if !gone.is_empty() {
            elb(cx, "DeregisterTargets", json!({"TargetGroupArn": id, "Targets": gone}))?;
        }
        if !come.is_empty() {
            elb(cx, "RegisterTargets", json!({"TargetGroupArn": id, "Targets": come}))?;
        }
        Ok(())
    }
}

impl Handler for TargetGroup {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let mut input =
            pick(properties, &["Name", "VpcId", "TargetType", "Protocol", "ProtocolVersion", "Port", "IpAddressType"]);
        input.extend(pick(properties, &HEALTH));
        if !input.contains_key("Name") {
            input.insert("Name".to_owned(), json!(cx.name(32)));
        }
        input.insert("Tags".to_owned(), cx.tag_list(properties));
        let made = elb(cx, "CreateTargetGroup", input.into())?;
        let id = text(&made["TargetGroups"][0], "TargetGroupArn").to_owned();
        Self::apply(cx, &id, &json!({}), properties)?;
        Ok(id)
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        if HEALTH.iter().any(|name| differs(old, new, name)) {
            let mut input = pick(new, &HEALTH);
            input.insert("TargetGroupArn".to_owned(), json!(*id));
            elb(cx, "ModifyTargetGroup", input.into())?;
        }
        Self::apply(cx, id, old, new)?;
        retag(cx, id, old, new)?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(elb(cx, "DeleteTargetGroup", json!({"TargetGroupArn": id})))
    }

    fn attribute(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value, name: &str) -> Result<Value, Failure> {
        match name {
            "TargetGroupArn" => Ok(json!(id)),
            // With its noun, unlike a load balancer's: `targetgroup/name/0123456789abcdef`.
            "TargetGroupFullName" => Ok(json!(format!("targetgroup/{}", after(id, ":targetgroup/")))),
            other => {
                let group =
                    cx.get("elbv2", "DescribeTargetGroups", json!({"TargetGroupArns": [id]}), "TargetGroups")?;
                Ok(group[other].clone())
            }
        }
    }
}
