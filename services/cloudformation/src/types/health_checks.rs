//! `AWS::Route53::HealthCheck`.

use serde_json::{Value, json};

use super::context::{Context, Failure, deleted, list_of, tag_changes};
use super::schema::{Kind, Property, Update::*, boolean, number, text as member};
use super::{Handler, Progress, ResourceType};

const TAG: &[Property] = &[member("Key").required(), member("Value").required()];
const TEXTS: Kind = Kind::List(&Kind::Text);

/// What a health check looks at. What the API cannot change replaces it.
const CONFIG: &[Property] = &[
    member("Type").required(),
    member("IPAddress"),
    number("Port"),
    member("ResourcePath"),
    member("FullyQualifiedDomainName"),
    member("SearchString"),
    number("RequestInterval"),
    number("FailureThreshold"),
    boolean("MeasureLatency"),
    boolean("Inverted"),
    number("HealthThreshold"),
    InPlace.of("ChildHealthChecks", TEXTS),
    boolean("EnableSNI"),
    InPlace.object("AlarmIdentifier", &[member("Name").required(), member("Region").required()]),
    member("InsufficientDataHealthStatus"),
    InPlace.of("Regions", TEXTS),
];

/// Members that only a new health check can have otherwise.
const FIXED: [&str; 3] = ["Type", "RequestInterval", "MeasureLatency"];

/// A health check. Its physical id is its id.
pub const HEALTH_CHECK: ResourceType = ResourceType {
    name: "AWS::Route53::HealthCheck",
    properties: &[
        InPlace.object("HealthCheckConfig", CONFIG).required(),
        InPlace.of("HealthCheckTags", Kind::List(&Kind::Object(TAG))),
    ],
    attributes: &["HealthCheckId"],
    handler: &HealthCheck,
};

struct HealthCheck;

impl HealthCheck {
    fn tag(cx: &mut Context<'_, '_>, id: &str, old: &Value, new: &Value) -> Result<(), Failure> {
        let (set, removed) = tag_changes(old, new);
        if set.is_empty() && removed.is_empty() {
            return Ok(());
        }
        let mut input = json!({"ResourceType": "healthcheck", "ResourceId": id});
        if !set.is_empty() {
            input["AddTags"] = list_of(&set);
        }
        if !removed.is_empty() {
            input["RemoveTagKeys"] = json!(removed);
        }
        cx.call("route53", "ChangeTagsForResource", input).map(drop)
    }
}

impl Handler for HealthCheck {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let input = json!({"CallerReference": cx.token, "HealthCheckConfig": properties["HealthCheckConfig"]});
        let made = cx.call("route53", "CreateHealthCheck", input)?;
        let id = made["HealthCheck"]["Id"].as_str().unwrap_or_default().to_owned();
        Self::tag(cx, &id, &json!({}), properties)?;
        Ok(id)
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        let (before, after) = (&old["HealthCheckConfig"], &new["HealthCheckConfig"]);
        if before != after {
            let mut input = after.clone();
            // What a template no longer names has its default again.
            for (name, default) in [("Inverted", json!(false)), ("FailureThreshold", json!(3))] {
                if after.get(name).is_none() && before.get(name).is_some() {
                    input[name] = default;
                }
            }
            let resettable = ["FullyQualifiedDomainName", "Regions", "ResourcePath", "ChildHealthChecks"];
            let reset: Vec<&str> =
                resettable.into_iter().filter(|name| after.get(name).is_none() && before.get(name).is_some()).collect();
            if !reset.is_empty() {
                input["ResetElements"] = json!(reset);
            }
            if let Some(members) = input.as_object_mut() {
                FIXED.iter().for_each(|name| drop(members.remove(*name)));
            }
            input["HealthCheckId"] = json!(*id);
            cx.call("route53", "UpdateHealthCheck", input)?;
        }
        Self::tag(cx, id, old, new)?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(cx.call("route53", "DeleteHealthCheck", json!({"HealthCheckId": id})))
    }

    fn replaces(&self, old: &Value, new: &Value) -> bool {
        let (old, new) = (&old["HealthCheckConfig"], &new["HealthCheckConfig"]);
        FIXED.iter().any(|name| old.get(name) != new.get(name))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(Value::from(id))
    }
}
