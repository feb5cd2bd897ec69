//! `AWS::ElasticLoadBalancingV2::Listener`.

use serde_json::{Map, Value, json};

use super::context::{Context, Failure, deleted, differs, pick, text};
use super::load_balancers::{ATTRIBUTE, elb};
use super::schema::{Kind, Property, Update::*, boolean, number, text as member};
use super::{Handler, Progress, ResourceType};

const FORWARD: &[Property] = &[
    Replace.of("TargetGroups", Kind::List(&Kind::Object(&[member("TargetGroupArn"), number("Weight")]))),
    Replace.object("TargetGroupStickinessConfig", &[boolean("Enabled"), number("DurationSeconds")]),
];

const REDIRECT: &[Property] = &[
    member("Protocol"),
    member("Port"),
    member("Host"),
    member("Path"),
    member("Query"),
    member("StatusCode").required(),
];

const FIXED: &[Property] = &[member("MessageBody"), member("StatusCode").required(), member("ContentType")];

/// What a listener or a rule does with a request.
pub(super) const ACTION: &[Property] = &[
    member("Type").required(),
    member("TargetGroupArn"),
    number("Order"),
    Replace.object("ForwardConfig", FORWARD),
    Replace.object("RedirectConfig", REDIRECT),
    Replace.object("FixedResponseConfig", FIXED),
];

/// A listener.
pub const LISTENER: ResourceType = ResourceType {
    name: "AWS::ElasticLoadBalancingV2::Listener",
    properties: &[
        Replace.text("LoadBalancerArn").required(),
        InPlace.number("Port"),
        InPlace.text("Protocol"),
        InPlace.of("DefaultActions", Kind::List(&Kind::Object(ACTION))).required(),
        InPlace.of("Certificates", Kind::List(&Kind::Object(&[member("CertificateArn")]))),
        InPlace.text("SslPolicy"),
        InPlace.texts("AlpnPolicy"),
        InPlace.of("ListenerAttributes", Kind::List(&Kind::Object(ATTRIBUTE))),
    ],
    attributes: &["ListenerArn"],
    handler: &Listener,
};

struct Listener;

impl Listener {
    fn input(properties: &Value) -> Map<String, Value> {
        pick(properties, &["Port", "Protocol", "DefaultActions", "Certificates", "SslPolicy", "AlpnPolicy"])
    }

    fn attributes(cx: &mut Context<'_, '_>, id: &str, properties: &Value) -> Result<(), Failure> {
        match properties.get("ListenerAttributes") {
            Some(attributes) => {
                let input = json!({"ListenerArn": id, "Attributes": attributes});
                elb(cx, "ModifyListenerAttributes", input).map(drop)
            }
            None => Ok(()),
        }
    }
}

impl Handler for Listener {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let mut input = Self::input(properties);
        input.insert("LoadBalancerArn".to_owned(), properties["LoadBalancerArn"].clone());
        let made = elb(cx, "CreateListener", input.into())?;
        let id = text(&made["Listeners"][0], "ListenerArn").to_owned();
        Self::attributes(cx, &id, properties)?;
        Ok(id)
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        let mut input = Self::input(new);
        if Self::input(old) != input {
            input.insert("ListenerArn".to_owned(), json!(*id));
            elb(cx, "ModifyListener", input.into())?;
        }
        if differs(old, new, "ListenerAttributes") {
            Self::attributes(cx, id, new)?;
        }
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(elb(cx, "DeleteListener", json!({"ListenerArn": id})))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(json!(id))
    }
}
