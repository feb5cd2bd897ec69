//! `AWS::ElasticLoadBalancingV2::ListenerRule`, `AWS::ElasticLoadBalancingV2::ListenerCertificate`.

use serde_json::{Value, json};

use super::context::{Context, Failure, deleted, differs, pick, text};
use super::listeners::ACTION;
use super::load_balancers::elb;
use super::schema::{Kind, Property, Update::*, text as member};
use super::{Handler, Progress, ResourceType};

const VALUES: &[Property] = &[InPlace.texts("Values")];
const PATTERNS: &[Property] = &[InPlace.texts("Values"), InPlace.texts("RegexValues")];
const HEADER: &[Property] = &[member("HttpHeaderName"), InPlace.texts("Values"), InPlace.texts("RegexValues")];
const QUERY: &[Property] = &[InPlace.of("Values", Kind::List(&Kind::Object(&[member("Key"), member("Value")])))];

const CONDITION: &[Property] = &[
    member("Field"),
    InPlace.texts("Values"),
    InPlace.texts("RegexValues"),
    InPlace.object("HostHeaderConfig", PATTERNS),
    InPlace.object("PathPatternConfig", PATTERNS),
    InPlace.object("HttpHeaderConfig", HEADER),
    InPlace.object("QueryStringConfig", QUERY),
    InPlace.object("HttpRequestMethodConfig", VALUES),
    InPlace.object("SourceIpConfig", VALUES),
];

/// A rule of a listener. Its physical id is its ARN.
pub const RULE: ResourceType = ResourceType {
    name: "AWS::ElasticLoadBalancingV2::ListenerRule",
    properties: &[
        // The reference wants it, save for updates of rules that were made without.
        Replace.text("ListenerArn").required(),
        InPlace.number("Priority").required(),
        InPlace.of("Conditions", Kind::List(&Kind::Object(CONDITION))).required(),
        InPlace.of("Actions", Kind::List(&Kind::Object(ACTION))).required(),
    ],
    attributes: &["RuleArn", "IsDefault"],
    handler: &Rule,
};

struct Rule;

impl Handler for Rule {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let mut input = pick(properties, &["ListenerArn", "Priority", "Conditions", "Actions"]);
        input.insert("Tags".to_owned(), cx.tag_list(&json!({})));
        let made = elb(cx, "CreateRule", input.into())?;
        Ok(text(&made["Rules"][0], "RuleArn").to_owned())
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        if differs(old, new, "Priority") {
            let priorities = json!([{"RuleArn": *id, "Priority": new["Priority"]}]);
            elb(cx, "SetRulePriorities", json!({"RulePriorities": priorities}))?;
        }
        if differs(old, new, "Conditions") || differs(old, new, "Actions") {
            let mut input = pick(new, &["Conditions", "Actions"]);
            input.insert("RuleArn".to_owned(), json!(*id));
            elb(cx, "ModifyRule", input.into())?;
        }
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(elb(cx, "DeleteRule", json!({"RuleArn": id})))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, name: &str) -> Result<Value, Failure> {
        Ok(if name == "IsDefault" { json!("false") } else { json!(id) })
    }
}

/// Certificates of a listener beside its default one. Its physical id is a name of its own.
pub const CERTIFICATE: ResourceType = ResourceType {
    name: "AWS::ElasticLoadBalancingV2::ListenerCertificate",
    properties: &[
        Replace.text("ListenerArn").required(),
        InPlace.of("Certificates", Kind::List(&Kind::Object(&[member("CertificateArn")]))).required(),
    ],
    attributes: &["Id"],
    handler: &Certificate,
};

struct Certificate;

impl Certificate {
    /// Those certificates of one list that the other lacks, as an operation takes them.
    fn only_in(own: &Value, other: &Value) -> Option<Value> {
        let list = |properties: &Value| properties["Certificates"].as_array().cloned().unwrap_or_default();
        let kept = list(other);
        let only: Vec<Value> = list(own).into_iter().filter(|certificate| !kept.contains(certificate)).collect();
        (!only.is_empty()).then(|| json!({"ListenerArn": own["ListenerArn"], "Certificates": only}))
    }
}

impl Handler for Certificate {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        elb(cx, "AddListenerCertificates", pick(properties, &["ListenerArn", "Certificates"]).into())?;
        Ok(cx.name(255))
    }

    fn update(&self, cx: &mut Context<'_, '_>, _: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        if let Some(come) = Self::only_in(new, old) {
            elb(cx, "AddListenerCertificates", come)?;
        }
        if let Some(gone) = Self::only_in(old, new) {
            elb(cx, "RemoveListenerCertificates", gone)?;
        }
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, _: &str, properties: &Value) -> Result<Progress, Failure> {
        deleted(elb(cx, "RemoveListenerCertificates", pick(properties, &["ListenerArn", "Certificates"]).into()))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(json!(id))
    }
}
