//! Alarms: from their creation through their states.

use crate::yard::{Yard, items};
use serde_json::{Value, json};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn alarm(more: Value) -> Value {
    let mut input = json!({
        "AlarmName": "a",
        "Namespace": "N",
        "MetricName": "m",
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 2,
        "Threshold": 50.0,
        "ComparisonOperator": "GreaterThanThreshold",
    });
    input.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    input
}

fn shown(yard: &Yard) -> Value {
    yard.call("DescribeAlarms", json!({ "AlarmNames": ["a"] }))["MetricAlarms"][0].clone()
}

fn state(yard: &Yard) -> String {
    shown(yard)["StateValue"].as_str().unwrap().to_owned()
}

fn minutes(yard: &Yard, count: u32, value: f64) {
    for _ in 0..count {
        yard.put(value);
        yard.pass(MINUTE);
    }
}

#[test]
fn an_alarm_goes_from_insufficient_data_over_ok_to_alarm_and_back() {
    let yard = Yard::new();
    yard.call("PutMetricAlarm", alarm(json!({})));
    assert_eq!(
        (state(&yard).as_str(), shown(&yard)["StateReason"].as_str()),
        ("INSUFFICIENT_DATA", Some("Unchecked: Initial alarm creation"))
    );
    minutes(&yard, 3, 10.0);
    assert_eq!(state(&yard), "OK");
    minutes(&yard, 1, 90.0);
    yard.pass(Duration::from_secs(10));
    assert_eq!(state(&yard), "OK", "one of two periods is not enough");
    minutes(&yard, 2, 90.0);
    assert_eq!(state(&yard), "ALARM");
    let reason = shown(&yard)["StateReason"].as_str().unwrap().to_owned();
    assert!(
        reason.starts_with("Threshold Crossed: 2 out of the last 2 datapoints [90.0 (24/11/26 16:0")
            && reason
                .ends_with("were greater than the threshold (50.0) (minimum 2 datapoints for OK -> ALARM transition)."),
        "{reason}"
    );
    let data: Value = serde_json::from_str(shown(&yard)["StateReasonData"].as_str().unwrap()).unwrap();
    assert_eq!((data["statistic"].as_str(), data["recentDatapoints"].clone()), (Some("Average"), json!([90.0, 90.0])));
    minutes(&yard, 3, 10.0);
    assert_eq!(state(&yard), "OK");
    yard.pass(MINUTE * 10);
    assert_eq!(state(&yard), "INSUFFICIENT_DATA");

    let history = yard.call("DescribeAlarmHistory", json!({ "AlarmName": "a", "HistoryItemType": "StateUpdate" }));
    let summaries: Vec<&str> = history["AlarmHistoryItems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["HistorySummary"].as_str().unwrap())
        .collect();
    assert_eq!(
        summaries,
        [
            "Alarm updated from OK to INSUFFICIENT_DATA",
            "Alarm updated from ALARM to OK",
            "Alarm updated from OK to ALARM",
            "Alarm updated from INSUFFICIENT_DATA to OK",
        ]
    );
}

#[test]
fn missing_data_is_treated_as_the_alarm_says() {
    for (treatment, expected) in [
        ("breaching", "ALARM"),
        ("notBreaching", "OK"),
        ("missing", "INSUFFICIENT_DATA"),
        ("ignore", "INSUFFICIENT_DATA"),
    ] {
        let yard = Yard::new();
        yard.call("PutMetricAlarm", alarm(json!({ "TreatMissingData": treatment })));
        yard.pass(MINUTE * 3);
        assert_eq!(state(&yard), expected, "{treatment}");
    }
}

#[test]
fn a_state_set_by_hand_stands_until_the_next_evaluation() {
    let yard = Yard::new();
    yard.call("PutMetricAlarm", alarm(json!({})));
    minutes(&yard, 4, 10.0);
    yard.pass(Duration::from_secs(30));
    yard.call("SetAlarmState", json!({ "AlarmName": "a", "StateValue": "ALARM", "StateReason": "testing" }));
    yard.pass(Duration::from_secs(20));
    assert_eq!((state(&yard).as_str(), shown(&yard)["StateReason"].as_str()), ("ALARM", Some("testing")));
    yard.put(10.0);
    yard.pass(MINUTE);
    assert_eq!(state(&yard), "OK");
}

#[test]
fn an_alarm_on_an_expression_is_evaluated_too() {
    let yard = Yard::new();
    yard.call(
        "PutMetricAlarm",
        json!({
            "AlarmName": "a", "EvaluationPeriods": 1, "Threshold": 50.0, "ComparisonOperator": "GreaterThanThreshold",
            "Metrics": [
                { "Id": "e", "Expression": "FILL(m, 0) * 2" },
                { "Id": "m", "ReturnData": false,
                    "MetricStat": { "Metric": { "Namespace": "N", "MetricName": "m" }, "Period": 60, "Stat": "Average" } },
            ],
        }),
    );
    yard.pass(MINUTE * 2);
    assert_eq!(state(&yard), "OK");
    minutes(&yard, 2, 30.0);
    assert_eq!(state(&yard), "ALARM");
}

#[test]
fn an_action_that_cannot_be_run_is_recorded_as_failed() {
    let yard = Yard::new();
    yard.call("PutMetricAlarm", alarm(json!({ "AlarmActions": ["arn:aws:sns:us-east-1:000000000000:topic"] })));
    yard.call("SetAlarmState", json!({ "AlarmName": "a", "StateValue": "ALARM", "StateReason": "testing" }));
    let history = yard.call("DescribeAlarmHistory", json!({ "AlarmName": "a", "HistoryItemType": "Action" }));
    let summary = history["AlarmHistoryItems"][0]["HistorySummary"].as_str().unwrap();
    assert!(summary.starts_with("Failed to execute action arn:aws:sns:us-east-1:000000000000:topic."), "{summary}");
    yard.call("DisableAlarmActions", json!({ "AlarmNames": ["a"] }));
    yard.call("SetAlarmState", json!({ "AlarmName": "a", "StateValue": "OK", "StateReason": "testing" }));
    yard.call("SetAlarmState", json!({ "AlarmName": "a", "StateValue": "ALARM", "StateReason": "testing" }));
    let history = yard.call("DescribeAlarmHistory", json!({ "AlarmName": "a", "HistoryItemType": "Action" }));
    assert_eq!(items(&history["AlarmHistoryItems"]).len(), 1, "disabled actions are not run");
}

#[test]
fn alarms_are_found_by_prefix_state_metric_and_tag() {
    let yard = Yard::new();
    for name in ["web-1", "web-2", "db"] {
        yard.call("PutMetricAlarm", alarm(json!({ "AlarmName": name, "Tags": [{ "Key": "team", "Value": name }] })));
    }
    let count = |operation: &str, input: Value| items(&yard.call(operation, input)["MetricAlarms"]).len();
    assert_eq!(count("DescribeAlarms", json!({ "AlarmNamePrefix": "web-" })), 2);
    assert_eq!(count("DescribeAlarms", json!({ "StateValue": "OK" })), 0);
    assert_eq!(count("DescribeAlarmsForMetric", json!({ "Namespace": "N", "MetricName": "m" })), 3);
    assert_eq!(count("DescribeAlarmsForMetric", json!({ "Namespace": "N", "MetricName": "m", "Statistic": "Sum" })), 0);
    let arn = json!({ "ResourceARN": "arn:aws:cloudwatch:us-east-1:000000000000:alarm:db" });
    assert_eq!(yard.call("ListTagsForResource", arn)["Tags"], json!([{ "Key": "team", "Value": "db" }]));
    yard.call("DeleteAlarms", json!({ "AlarmNames": ["db"] }));
    assert_eq!(yard.try_call("DeleteAlarms", json!({ "AlarmNames": ["db"] })).unwrap_err().code, "ResourceNotFound");
    assert_eq!(count("DescribeAlarms", json!({})), 2);
}
