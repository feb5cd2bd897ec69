//! `AWS::AutoScaling::ScheduledAction`, `AWS::AutoScaling::LifecycleHook`.

use serde_json::{Map, Value, json};

use super::context::{Context, Failure, deleted, pick, text};
use super::schema::Update::*;
use super::{Handler, Progress, ResourceType};

/// A scheduled action. Its physical id is its name.
pub const SCHEDULED: ResourceType = ResourceType {
    name: "AWS::AutoScaling::ScheduledAction",
    properties: &[
        Replace.text("AutoScalingGroupName").required(),
        InPlace.number("MinSize"),
        InPlace.number("MaxSize"),
        InPlace.number("DesiredCapacity"),
        InPlace.text("Recurrence"),
        InPlace.text("StartTime"),
        InPlace.text("EndTime"),
        InPlace.text("TimeZone"),
    ],
    attributes: &["ScheduledActionName"],
    handler: &Scheduled,
};

struct Scheduled;

fn schedule(cx: &mut Context<'_, '_>, name: &str, properties: &Value) -> Result<(), Failure> {
    let mut input = pick(
        properties,
        &[
            "AutoScalingGroupName",
            "MinSize",
            "MaxSize",
            "DesiredCapacity",
            "Recurrence",
            "StartTime",
            "EndTime",
            "TimeZone",
        ],
    );
    input.insert("ScheduledActionName".to_owned(), json!(name));
    cx.call("autoscaling", "PutScheduledUpdateGroupAction", input.into()).map(drop)
}

fn named(property: &str, name: &str, properties: &Value) -> Value {
    json!({"AutoScalingGroupName": properties["AutoScalingGroupName"], property: name})
}

impl Handler for Scheduled {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let name = cx.name(255);
        schedule(cx, &name, properties)?;
        Ok(name)
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, _: &Value, new: &Value) -> Result<Progress, Failure> {
        schedule(cx, id, new)?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, properties: &Value) -> Result<Progress, Failure> {
        deleted(cx.call("autoscaling", "DeleteScheduledAction", named("ScheduledActionName", id, properties)))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(json!(id))
    }
}

/// A lifecycle hook. Its physical id is its name.
pub const HOOK: ResourceType = ResourceType {
    name: "AWS::AutoScaling::LifecycleHook",
    properties: &[
        Replace.text("AutoScalingGroupName").required(),
        Replace.text("LifecycleHookName"),
        InPlace.text("LifecycleTransition").required(),
        InPlace.text("DefaultResult"),
        InPlace.number("HeartbeatTimeout"),
        InPlace.text("NotificationMetadata"),
        InPlace.text("NotificationTargetARN"),
        InPlace.text("RoleARN"),
    ],
    attributes: &[],
    handler: &Hook,
};

struct Hook;

/// A hook's settings, as a group's own list has them too.
pub(super) const SETTINGS: [&str; 6] = [
    "LifecycleTransition",
    "DefaultResult",
    "HeartbeatTimeout",
    "NotificationMetadata",
    "NotificationTargetARN",
    "RoleARN",
];

/// Makes or changes a hook of a group.
pub(super) fn put_hook(cx: &mut Context<'_, '_>, group: &Value, name: &str, settings: &Value) -> Result<(), Failure> {
    let mut input: Map<String, Value> = pick(settings, &SETTINGS);
    input.insert("AutoScalingGroupName".to_owned(), group.clone());
    input.insert("LifecycleHookName".to_owned(), json!(name));
    cx.call("autoscaling", "PutLifecycleHook", input.into()).map(drop)
}

impl Handler for Hook {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let name = match text(properties, "LifecycleHookName") {
            "" => cx.name(255),
            name => name.to_owned(),
        };
        put_hook(cx, &properties["AutoScalingGroupName"], &name, properties)?;
        Ok(name)
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, _: &Value, new: &Value) -> Result<Progress, Failure> {
        put_hook(cx, &new["AutoScalingGroupName"], id, new)?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, properties: &Value) -> Result<Progress, Failure> {
        deleted(cx.call("autoscaling", "DeleteLifecycleHook", named("LifecycleHookName", id, properties)))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(json!(id))
    }
}
