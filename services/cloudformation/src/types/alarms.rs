//! `AWS::CloudWatch::Alarm`.

use serde_json::{Map, Value, json};

use super::context::{Context, Failure, deleted, list_of, pick, tag_changes, text};
use super::schema::{Kind, Property, TAGS, Update::*, boolean, number, text as member};
use super::{Handler, Progress, ResourceType};

const DIMENSIONS: Kind = Kind::List(&Kind::Object(&[member("Name").required(), member("Value").required()]));
const METRIC: &[Property] = &[member("Namespace"), member("MetricName"), Replace.of("Dimensions", DIMENSIONS)];
const STAT: &[Property] = &[
    Replace.object("Metric", METRIC).required(),
    number("Period").required(),
    member("Stat").required(),
    member("Unit"),
];
const QUERY: &[Property] = &[
    member("Id").required(),
    Replace.object("MetricStat", STAT),
    member("Expression"),
    member("Label"),
    boolean("ReturnData"),
    number("Period"),
];

/// An alarm. Its physical id is its name.
pub const ALARM: ResourceType = ResourceType {
    name: "AWS::CloudWatch::Alarm",
    properties: &[
        Replace.text("AlarmName"),
        InPlace.text("AlarmDescription"),
        InPlace.boolean("ActionsEnabled"),
        InPlace.texts("AlarmActions"),
        InPlace.texts("OKActions"),
        InPlace.texts("InsufficientDataActions"),
        InPlace.text("Namespace"),
        InPlace.text("MetricName"),
        InPlace.of("Dimensions", DIMENSIONS),
        InPlace.text("Statistic"),
        InPlace.text("ExtendedStatistic"),
        InPlace.number("Period"),
        InPlace.text("Unit"),
        InPlace.number("EvaluationPeriods"),
        InPlace.number("DatapointsToAlarm"),
        InPlace.number("Threshold"),
        InPlace.text("ComparisonOperator").required(),
        InPlace.text("TreatMissingData"),
        InPlace.text("EvaluateLowSampleCountPercentile"),
        InPlace.of("Metrics", Kind::List(&Kind::Object(QUERY))),
        TAGS,
    ],
    attributes: &["Arn"],
    handler: &Alarms {
        name: "AWS::CloudWatch::Alarm",
        kind: "MetricAlarm",
        list: "MetricAlarms",
        put: "PutMetricAlarm",
        same: &SAME,
    },
};

const SAME: [&str; 19] = [
    "AlarmDescription",
    "ActionsEnabled",
    "AlarmActions",
    "OKActions",
    "InsufficientDataActions",
    "Namespace",
    "MetricName",
    "Dimensions",
    "Statistic",
    "ExtendedStatistic",
    "Period",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "EvaluateLowSampleCountPercentile",
    "Metrics",
];

/// Alarms of one of their two kinds.
pub(super) struct Alarms {
    /// The resource's type.
    pub name: &'static str,
    /// Their kind, as `DescribeAlarms` takes it.
    pub kind: &'static str,
    /// Where its answer has them.
    pub list: &'static str,
    /// The operation that makes and changes them.
    pub put: &'static str,
    /// The properties that it takes as they are.
    pub same: &'static [&'static str],
}

impl Alarms {
    fn put(
        &self,
        cx: &mut Context<'_, '_>,
        name: &str,
        properties: &Value,
        tags: Option<Value>,
    ) -> Result<(), Failure> {
        let mut input: Map<String, Value> = pick(properties, self.same);
        input.insert("AlarmName".to_owned(), json!(name));
        if let Some(tags) = tags {
            input.insert("Tags".to_owned(), tags);
        }
        cx.call("cloudwatch", self.put, input.into()).map(drop)
    }
}

/// Brings an alarm's tags from old properties to new ones.
fn retag(cx: &mut Context<'_, '_>, name: &str, old: &Value, new: &Value) -> Result<(), Failure> {
    let (set, removed) = tag_changes(old, new);
    let arn = arn(cx, name);
    if !set.is_empty() {
        cx.call("cloudwatch", "TagResource", json!({"ResourceARN": arn, "Tags": list_of(&set)}))?;
    }
    if !removed.is_empty() {
        cx.call("cloudwatch", "UntagResource", json!({"ResourceARN": arn, "TagKeys": removed}))?;
    }
    Ok(())
}

/// An alarm's ARN.
fn arn(cx: &Context<'_, '_>, name: &str) -> String {
    cx.tx.scope.arn("cloudwatch", &format!("alarm:{name}"))
}

impl Handler for Alarms {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let name = match text(properties, "AlarmName") {
            "" => cx.name(255),
            name => name.to_owned(),
        };
        // The operation would change an alarm that someone else has made.
        let input = json!({"AlarmNames": [name], "AlarmTypes": [self.kind]});
        if cx.find("cloudwatch", "DescribeAlarms", input, self.list)?.is_some() {
            return Err(Failure::Unfit(format!(
                "Resource of type '{}' with identifier '{name}' already exists.",
                self.name
            )));
        }
        let tags = cx.tag_list(properties);
        self.put(cx, &name, properties, Some(tags))?;
        Ok(name)
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        self.put(cx, id, new, None)?;
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
