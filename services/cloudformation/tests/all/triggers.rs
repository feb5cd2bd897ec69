//! Rollback triggers: an operation is given up by an alarm, while it is under way and as long after as it is watched.

use std::time::Duration;

use serde_json::{Value, json};

use crate::yard::Yard;

const TEMPLATE: &str = "
Parameters: {Tag: {Type: String, Default: one}}
Resources:
  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.0.0.0/16, Tags: [{Key: k, Value: !Ref Tag}]}}
";
const ARN: &str = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:errors";

fn with_alarm() -> Yard {
    let yard = Yard::new();
    let alarm = json!({
        "AlarmName": "errors", "Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
        "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "ignore",
    });
    yard.call("cloudwatch", "PutMetricAlarm", alarm);
    set(&yard, "OK");
    yard
}

fn set(yard: &Yard, state: &str) {
    yard.call(
        "cloudwatch",
        "SetAlarmState",
        json!({"AlarmName": "errors", "StateValue": state, "StateReason": "test"}),
    );
}

fn watching(minutes: u32) -> Value {
    let triggers = json!([{"Arn": ARN, "Type": "AWS::CloudWatch::Alarm"}]);
    json!({"RollbackTriggers": triggers, "MonitoringTimeInMinutes": minutes})
}

fn create(yard: &Yard, rollback: Value) {
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": TEMPLATE, "RollbackConfiguration": rollback}));
}

fn update(yard: &Yard, tag: &str, more: Value) {
    let parameters = json!([{"ParameterKey": "Tag", "ParameterValue": tag}]);
    let mut input = json!({"StackName": "s", "UsePreviousTemplate": true, "Parameters": parameters});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    yard.stacks("UpdateStack", input);
}

fn pass(yard: &Yard, seconds: u64) {
    let end = yard.now() + Duration::from_secs(seconds);
    while yard.tick(end) {}
}

#[test]
fn a_creation_is_watched_as_long_as_asked_for_and_complete_only_then() {
    let yard = with_alarm();
    create(&yard, watching(10));
    pass(&yard, 590);
    assert_eq!(yard.status("s"), "CREATE_IN_PROGRESS", "{:#?}", yard.events("s"));
    assert_eq!(yard.stack("s")["RollbackConfiguration"], watching(10));
    yard.until("s", "CREATE_COMPLETE");

    let yard = with_alarm();
    create(&yard, watching(10));
    pass(&yard, 300);
    set(&yard, "ALARM");
    yard.until("s", "ROLLBACK_COMPLETE");
    let said = format!("s ROLLBACK_IN_PROGRESS Rollback trigger {ARN} is in ALARM state. Rollback requested by user.");
    assert!(yard.events("s").contains(&said), "{:#?}", yard.events("s"));
}

#[test]
fn an_update_keeps_the_stacks_triggers_unless_it_brings_its_own() {
    let yard = with_alarm();
    create(&yard, watching(0));
    yard.until("s", "CREATE_COMPLETE");
    set(&yard, "ALARM");
    update(&yard, "two", json!({}));
    yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
    let vpc = yard.physical("s", "Vpc");
    let tags = yard.call("ec2", "DescribeVpcs", json!({"VpcIds": [vpc]}));
    assert!(tags["Vpcs"][0]["Tags"].to_string().contains("\"one\""), "{tags:#}");
    // An empty configuration removes them.
    update(&yard, "two", json!({"RollbackConfiguration": {"RollbackTriggers": []}}));
    yard.until("s", "UPDATE_COMPLETE");
    assert!(yard.stack("s")["RollbackConfiguration"]["RollbackTriggers"].as_array().is_none_or(Vec::is_empty));
}

#[test]
fn old_things_go_only_after_the_watch_and_a_daemon_that_dies_watches_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let yard = Yard::stored(&path);
    create(&yard, json!({}));
    yard.until("s", "CREATE_COMPLETE");
    let old = yard.physical("s", "Vpc");
    let text = TEMPLATE.replace("10.0.0.0/16", "10.1.0.0/16");
    let input =
        json!({"StackName": "s", "TemplateBody": text, "RollbackConfiguration": {"MonitoringTimeInMinutes": 5}});
    yard.stacks("UpdateStack", input);
    pass(&yard, 200);
    let yard = yard.reopened(&path);
    let began = yard.now();
    pass(&yard, 80);
    assert_eq!(yard.status("s"), "UPDATE_IN_PROGRESS");
    let there = |id: &str| yard.try_call("ec2", "DescribeVpcs", json!({"VpcIds": [id]})).is_ok();
    assert!(there(&old), "what was replaced stands until the watch is over");
    yard.until("s", "UPDATE_COMPLETE");
    assert!(!there(&old) && yard.now() < began + Duration::from_secs(200));
}

#[test]
fn a_trigger_that_is_not_there_gives_the_operation_up_and_what_is_none_is_refused() {
    let yard = Yard::new();
    create(&yard, watching(0));
    yard.until("s", "ROLLBACK_COMPLETE");
    let said = format!("s ROLLBACK_IN_PROGRESS Rollback trigger {ARN} does not exist. Rollback requested by user.");
    assert!(yard.events("s").contains(&said), "{:#?}", yard.events("s"));
    let refused = |triggers: Value| {
        let input = json!({"StackName": "t", "TemplateBody": TEMPLATE, "RollbackConfiguration": {"RollbackTriggers": triggers}});
        yard.refused("CreateStack", input)
    };
    let topic = refused(json!([{"Arn": ARN, "Type": "AWS::SNS::Topic"}]));
    assert!(topic.contains("not AWS::SNS::Topic"), "{topic}");
    let elsewhere = json!([{"Arn": ARN.replace("us-east-1", "eu-west-1"), "Type": "AWS::CloudWatch::Alarm"}]);
    assert!(refused(elsewhere).contains("is not the ARN of an alarm of this account and region"));
    assert!(
        refused((0..6).map(|_| json!({"Arn": ARN, "Type": "AWS::CloudWatch::Alarm"})).collect())
            .contains("less than or equal to 5")
    );
}

#[test]
fn a_change_set_brings_its_triggers_when_it_is_executed() {
    let yard = with_alarm();
    let set_up = json!({"StackName": "s", "ChangeSetName": "c", "ChangeSetType": "CREATE", "TemplateBody": TEMPLATE, "RollbackConfiguration": watching(3)});
    yard.stacks("CreateChangeSet", set_up);
    let described = yard.stacks("DescribeChangeSet", json!({"StackName": "s", "ChangeSetName": "c"}));
    assert_eq!(described["RollbackConfiguration"], watching(3));
    yard.stacks("ExecuteChangeSet", json!({"StackName": "s", "ChangeSetName": "c"}));
    pass(&yard, 170);
    assert_eq!(yard.status("s"), "CREATE_IN_PROGRESS");
    set(&yard, "ALARM");
    yard.until("s", "ROLLBACK_COMPLETE");
}

#[test]
fn what_is_not_done_here_is_refused_by_its_parameters_name() {
    let yard = Yard::new();
    let refused = |operation: &str, more: Value| {
        let mut input = json!({"StackName": "s", "TemplateBody": TEMPLATE});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        yard.refused(operation, input)
    };
    let set = |more: Value| {
        let mut all = json!({"ChangeSetName": "c", "ChangeSetType": "CREATE"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        refused("CreateChangeSet", all)
    };
    assert!(set(json!({"ImportExistingResources": true})).starts_with("ImportExistingResources is not supported"));
    assert!(set(json!({"DeploymentMode": "REVERT_DRIFT"})).starts_with("DeploymentMode is not supported"));
    assert!(
        refused("CreateStack", json!({"StackPolicyURL": "https://s3.amazonaws.com/b/k"}))
            .starts_with("StackPolicyURL must reference")
    );
    let types = refused("CreateStack", json!({"ResourceTypes": ["AWS::S3::*", "AWS::EC2::Subnet"]}));
    assert_eq!(
        types,
        "Resource type AWS::EC2::VPC is not among the ResourceTypes of the request (at line 4, column 15)"
    );
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": TEMPLATE, "ResourceTypes": ["AWS::EC2::*"]}));
    yard.until("s", "CREATE_COMPLETE");
}
