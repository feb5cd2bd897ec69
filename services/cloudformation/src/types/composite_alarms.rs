//! `AWS::CloudWatch::CompositeAlarm`, `AWS::CloudWatch::Dashboard`.

use serde_json::{Map, Value, json};

use super::alarms::{arn, retag};
use super::context::{Context, Failure, deleted, pick, text};
use super::schema::{TAGS, Update::*};
use super::{Handler, Progress, ResourceType};

/// An alarm over other alarms. Its physical id is its name.
pub const COMPOSITE: ResourceType = ResourceType {
    name: "AWS::CloudWatch::CompositeAlarm",
    properties: &[
        Replace.text("AlarmName"),
        InPlace.text("AlarmRule").required(),
        InPlace.text("AlarmDescription"),
        InPlace.boolean("ActionsEnabled"),
        InPlace.texts("AlarmActions"),
        InPlace.texts("OKActions"),
        InPlace.texts("InsufficientDataActions"),
        TAGS,
    ],
    attributes: &["Arn"],
    handler: &Composite,
};

const SAME: [&str; 6] =
    ["AlarmRule", "AlarmDescription", "ActionsEnabled", "AlarmActions", "OKActions", "InsufficientDataActions"];

struct Composite;

fn put(cx: &mut Context<'_, '_>, name: &str, properties: &Value, tags: Option<Value>) -> Result<(), Failure> {
    let mut input: Map<String, Value> = pick(properties, &SAME);
    input.insert("AlarmName".to_owned(), json!(name));
    if let Some(tags) = tags {
        input.insert("Tags".to_owned(), tags);
    }
    cx.call("cloudwatch", "PutCompositeAlarm", input.into()).map(drop)
}

impl Handler for Composite {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let name = match text(properties, "AlarmName") {
            "" => cx.name(255),
            name => name.to_owned(),
        };
        // PutCompositeAlarm would change an alarm that someone else has made.
        let input = json!({"AlarmNames": [name], "AlarmTypes": ["CompositeAlarm"]});
        if cx.find("cloudwatch", "DescribeAlarms", input, "CompositeAlarms")?.is_some() {
            return Err(Failure::Unfit(format!(
                "Resource of type 'AWS::CloudWatch::CompositeAlarm' with identifier '{name}' already exists."
            )));
        }
        let tags = cx.tag_list(properties);
        put(cx, &name, properties, Some(tags))?;
        Ok(name)
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        put(cx, id, new, None)?;
        retag(cx, id, old, new)?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(cx.call("cloudwatch", "DeleteAlarms", json!({"AlarmNames": [id]})))
    }

    fn attribute(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(json!(arn(cx, id)))
    }
}

/// A dashboard. Its physical id is its name.
pub const DASHBOARD: ResourceType = ResourceType {
    name: "AWS::CloudWatch::Dashboard",
    properties: &[Replace.text("DashboardName"), InPlace.text("DashboardBody").required()],
    attributes: &[],
    handler: &Dashboard,
};

struct Dashboard;

fn draw(cx: &mut Context<'_, '_>, name: &str, properties: &Value) -> Result<(), Failure> {
    let input = json!({"DashboardName": name, "DashboardBody": properties["DashboardBody"]});
    cx.call("cloudwatch", "PutDashboard", input).map(drop)
}

impl Handler for Dashboard {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let name = match text(properties, "DashboardName") {
            "" => cx.name(255),
            name => name.to_owned(),
        };
        draw(cx, &name, properties)?;
        Ok(name)
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, _: &Value, new: &Value) -> Result<Progress, Failure> {
        draw(cx, id, new)?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        deleted(cx.call("cloudwatch", "DeleteDashboards", json!({"DashboardNames": [id]})))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, _: &str) -> Result<Value, Failure> {
        Ok(json!(id))
    }
}
