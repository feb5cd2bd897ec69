//! `AWS::CloudWatch::CompositeAlarm`, `AWS::CloudWatch::Dashboard`.

use serde_json::{Value, json};

use super::alarms::Alarms;
use super::context::{Context, Failure, deleted, text};
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
    handler: &Alarms {
        name: "AWS::CloudWatch::CompositeAlarm",
        kind: "CompositeAlarm",
        list: "CompositeAlarms",
        put: "PutCompositeAlarm",
        same: &SAME,
    },
};

const SAME: [&str; 6] =
    ["AlarmRule", "AlarmDescription", "ActionsEnabled", "AlarmActions", "OKActions", "InsufficientDataActions"];

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
