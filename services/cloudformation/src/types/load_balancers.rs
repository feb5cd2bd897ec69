//! `AWS::ElasticLoadBalancingV2::LoadBalancer`.

use serde_json::{Value, json};

use super::context::{Context, Failure, deleted, differs, list_of, pick, tag_changes, text};
use super::schema::{Kind, Property, TAGS, Update::*, text as member};
use super::{Handler, Progress, ResourceType};

const MAPPING: &[Property] = &[member("SubnetId").required(), member("AllocationId"), member("PrivateIPv4Address")];
/// An attribute of a load balancer, target group or listener.
pub const ATTRIBUTE: &[Property] = &[member("Key"), member("Value")];

/// A load balancer.
pub const LOAD_BALANCER: ResourceType = ResourceType {
    name: "AWS::ElasticLoadBalancingV2::LoadBalancer",
    properties: &[
        Replace.text("Name"),
        Replace.text("Scheme"),
        Replace.text("Type"),
        InPlace.text("IpAddressType"),
        InPlace.texts("Subnets"),
        InPlace.of("SubnetMappings", Kind::List(&Kind::Object(MAPPING))),
        InPlace.texts("SecurityGroups"),
        InPlace.of("LoadBalancerAttributes", Kind::List(&Kind::Object(ATTRIBUTE))),
        TAGS,
    ],
    attributes: &[
        "LoadBalancerArn",
        "DNSName",
        "CanonicalHostedZoneID",
        "LoadBalancerFullName",
        "LoadBalancerName",
        "SecurityGroups",
    ],
    handler: &LoadBalancer,
};

/// Calls an operation of the service.
pub(super) fn elb(cx: &mut Context<'_, '_>, operation: &str, input: Value) -> Result<Value, Failure> {
    cx.call("elbv2", operation, input)
}

/// Brings the tags of something with an ARN from old properties to new ones.
pub(super) fn retag(cx: &mut Context<'_, '_>, arn: &str, old: &Value, new: &Value) -> Result<(), Failure> {
    let (set, removed) = tag_changes(old, new);
    if !set.is_empty() {
        elb(cx, "AddTags", json!({"ResourceArns": [arn], "Tags": list_of(&set)}))?;
    }
    if !removed.is_empty() {
        elb(cx, "RemoveTags", json!({"ResourceArns": [arn], "TagKeys": removed}))?;
    }
    Ok(())
}

/// What follows `arn:…:NOUN/` in an ARN.
pub(super) fn after<'a>(arn: &'a str, noun: &str) -> &'a str {
    arn.split_once(noun).map_or(arn, |(_, rest)| rest)
}

struct LoadBalancer;

impl LoadBalancer {
    fn find(cx: &mut Context<'_, '_>, id: &str) -> Result<Option<Value>, Failure> {
        cx.find("elbv2", "DescribeLoadBalancers", json!({"LoadBalancerArns": [id]}), "LoadBalancers")
    }

    fn get(cx: &mut Context<'_, '_>, id: &str) -> Result<Value, Failure> {
        Self::find(cx, id)?.ok_or_else(|| Failure::Unfit(format!("load balancer {id} is gone")))
    }

    fn attributes(cx: &mut Context<'_, '_>, id: &str, properties: &Value) -> Result<(), Failure> {
        match properties.get("LoadBalancerAttributes") {
            Some(attributes) => {
                elb(cx, "ModifyLoadBalancerAttributes", json!({"LoadBalancerArn": id, "Attributes": attributes}))
                    .map(drop)
            }
            None => Ok(()),
        }
    }
}

impl Handler for LoadBalancer {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let mut input = pick(
            properties,
            &["Name", "Scheme", "Type", "IpAddressType", "Subnets", "SubnetMappings", "SecurityGroups"],
        );
        if !input.contains_key("Name") {
            input.insert("Name".to_owned(), json!(cx.name(32)));
        }
        input.insert("Tags".to_owned(), cx.tag_list(properties));
        let made = elb(cx, "CreateLoadBalancer", input.into())?;
        let id = text(&made["LoadBalancers"][0], "LoadBalancerArn").to_owned();
        Self::attributes(cx, &id, properties)?;
        Ok(id)
    }

    fn settle(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        let balancer = Self::get(cx, id)?;
        match text(&balancer["State"], "Code") {
            "active" | "active_impaired" => Ok(Progress::Done),
            "provisioning" => Ok(Progress::Waiting),
            _ => Err(Failure::Unfit(format!(
                "Load balancer failed to become active: {}",
                text(&balancer["State"], "Reason")
            ))),
        }
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        if differs(old, new, "Subnets") || differs(old, new, "SubnetMappings") {
            let mut input = pick(new, &["Subnets", "SubnetMappings"]);
            input.insert("LoadBalancerArn".to_owned(), json!(*id));
            elb(cx, "SetSubnets", input.into())?;
        }
        if differs(old, new, "SecurityGroups") {
            elb(cx, "SetSecurityGroups", json!({"LoadBalancerArn": *id, "SecurityGroups": new["SecurityGroups"]}))?;
        }
        if differs(old, new, "IpAddressType") {
            elb(cx, "SetIpAddressType", json!({"LoadBalancerArn": *id, "IpAddressType": new["IpAddressType"]}))?;
        }
        if differs(old, new, "LoadBalancerAttributes") {
            Self::attributes(cx, id, new)?;
        }
        retag(cx, id, old, new)?;
        self.settle(cx, id, new)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        if Self::find(cx, id)?.is_none() {
            return Ok(Progress::Done);
        }
        deleted(elb(cx, "DeleteLoadBalancer", json!({"LoadBalancerArn": id})))
    }

    fn attribute(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value, name: &str) -> Result<Value, Failure> {
        let balancer = Self::get(cx, id)?;
        Ok(match name {
            "CanonicalHostedZoneID" => balancer["CanonicalHostedZoneId"].clone(),
            "LoadBalancerFullName" => json!(after(id, ":loadbalancer/")),
            other => balancer[other].clone(),
        })
    }
}
