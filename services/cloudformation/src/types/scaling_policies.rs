//! `AWS::AutoScaling::ScalingPolicy`.

use serde_json::{Map, Value, json};

use super::context::{Context, Failure, deleted, pick, text};
use super::schema::{Kind, Property, Update::*, boolean, number, text as member};
use super::{Handler, Progress, ResourceType};

const PREDEFINED: &[Property] = &[member("PredefinedMetricType").required(), member("ResourceLabel")];
const CUSTOM: &[Property] = &[
    member("MetricName"),
    member("Namespace"),
    member("Statistic"),
    number("Period"),
    Replace.of("Metrics", Kind::Json),
    member("Unit"),
    Replace.of("Dimensions", Kind::List(&Kind::Object(&[member("Name").required(), member("Value").required()]))),
];
const TRACKING: &[Property] = &[
    Replace.object("PredefinedMetricSpecification", PREDEFINED),
    Replace.object("CustomizedMetricSpecification", CUSTOM),
    number("TargetValue").required(),
    boolean("DisableScaleIn"),
];
const STEP: &[Property] =
    &[number("MetricIntervalLowerBound"), number("MetricIntervalUpperBound"), number("ScalingAdjustment").required()];

/// A scaling policy. Its physical id is its ARN.
pub const POLICY: ResourceType = ResourceType {
    name: "AWS::AutoScaling::ScalingPolicy",
    properties: &[
        Replace.text("AutoScalingGroupName").required(),
        InPlace.text("PolicyType"),
        InPlace.text("AdjustmentType"),
        InPlace.number("ScalingAdjustment"),
        InPlace.number("MinAdjustmentMagnitude"),
        InPlace.number("Cooldown"),
        InPlace.number("EstimatedInstanceWarmup"),
        InPlace.text("MetricAggregationType"),
        InPlace.of("StepAdjustments", Kind::List(&Kind::Object(STEP))),
        InPlace.object("TargetTrackingConfiguration", TRACKING),
    ],
    attributes: &["Arn", "PolicyName"],
    handler: &Policy,
};

const SAME: [&str; 10] = [
    "AutoScalingGroupName",
    "PolicyType",
    "AdjustmentType",
    "ScalingAdjustment",
    "MinAdjustmentMagnitude",
    "Cooldown",
    "EstimatedInstanceWarmup",
    "MetricAggregationType",
    "StepAdjustments",
    "TargetTrackingConfiguration",
];

struct Policy;

/// The policy's name, which ends its ARN.
fn name_of(arn: &str) -> &str {
    arn.rsplit_once("policyName/").map_or(arn, |(_, name)| name)
}

fn put(cx: &mut Context<'_, '_>, name: &str, properties: &Value) -> Result<String, Failure> {
    let mut input: Map<String, Value> = pick(properties, &SAME);
    input.insert("PolicyName".to_owned(), json!(name));
    let made = cx.call("autoscaling", "PutScalingPolicy", input.into())?;
    Ok(text(&made, "PolicyARN").to_owned())
}

impl Handler for Policy {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let name = cx.name(255);
        put(cx, &name, properties)
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, _: &Value, new: &Value) -> Result<Progress, Failure> {
        put(cx, name_of(id), new)?;
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, properties: &Value) -> Result<Progress, Failure> {
        let input = json!({"AutoScalingGroupName": properties["AutoScalingGroupName"], "PolicyName": name_of(id)});
        deleted(cx.call("autoscaling", "DeletePolicy", input))
    }

    fn attribute(&self, _: &mut Context<'_, '_>, id: &str, _: &Value, name: &str) -> Result<Value, Failure> {
        Ok(json!(if name == "PolicyName" { name_of(id) } else { id }))
    }
}
