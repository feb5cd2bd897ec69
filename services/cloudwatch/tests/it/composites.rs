//! Composite alarms and dashboards.

use crate::yard::{Yard, items};
use serde_json::{Value, json};
use std::time::Duration;

fn metric_alarm(yard: &Yard, name: &str) {
    yard.call(
        "PutMetricAlarm",
        json!({
            "AlarmName": name, "Namespace": "N", "MetricName": name, "Statistic": "Average", "Period": 60,
            "EvaluationPeriods": 1, "Threshold": 50.0, "ComparisonOperator": "GreaterThanThreshold",
        }),
    );
}

fn set(yard: &Yard, name: &str, state: &str) {
    yard.call("SetAlarmState", json!({"AlarmName": name, "StateValue": state, "StateReason": "by hand"}));
    yard.pass(Duration::from_millis(10));
}

fn composite(yard: &Yard, name: &str) -> Value {
    let input = json!({"AlarmNames": [name], "AlarmTypes": ["CompositeAlarm"]});
    yard.call("DescribeAlarms", input)["CompositeAlarms"][0].clone()
}

fn yard() -> Yard {
    let yard = Yard::new();
    metric_alarm(&yard, "cpu");
    metric_alarm(&yard, "errors");
    let input = json!({"AlarmName": "both", "AlarmRule": "ALARM(cpu) AND ALARM(\"errors\")", "AlarmActions": ["arn:aws:sns:us-east-1:000000000000:t"]});
    yard.call("PutCompositeAlarm", input);
    yard.pass(Duration::from_millis(10));
    yard
}

#[test]
fn a_composite_alarm_follows_the_states_that_its_rule_names() {
    let yard = yard();
    assert_eq!(composite(&yard, "both")["StateValue"], "OK");
    set(&yard, "cpu", "ALARM");
    assert_eq!(composite(&yard, "both")["StateValue"], "OK");
    set(&yard, "errors", "ALARM");
    let alarm = composite(&yard, "both");
    assert_eq!(alarm["StateValue"], "ALARM");
    let reason = alarm["StateReason"].as_str().unwrap();
    assert!(
        reason.starts_with("arn:aws:cloudwatch:us-east-1:000000000000:alarm:errors transitioned to ALARM at "),
        "{reason}"
    );
    assert!(alarm["StateReasonData"].as_str().unwrap().contains("triggeringAlarms"));
    let input = json!({"AlarmName": "both", "AlarmTypes": ["CompositeAlarm"]});
    let history = items(&yard.call("DescribeAlarmHistory", input)["AlarmHistoryItems"]);
    let said: Vec<&str> = history.iter().filter_map(|item| item["HistorySummary"].as_str()).collect();
    assert!(
        said.contains(&"Alarm updated from OK to ALARM")
            && said.iter().any(|text| text.starts_with("Failed to execute"))
    );
    assert!(history.iter().all(|item| item["AlarmType"] == "CompositeAlarm"));
    assert_eq!(items(&yard.call("DescribeAlarmHistory", json!({"AlarmName": "both"}))["AlarmHistoryItems"]).len(), 0);
}

#[test]
fn composite_alarms_stack_and_are_found_from_both_ends() {
    let yard = yard();
    yard.call("PutCompositeAlarm", json!({"AlarmName": "top", "AlarmRule": "ALARM(both) OR INSUFFICIENT_DATA(cpu)"}));
    yard.pass(Duration::from_millis(10));
    assert_eq!(composite(&yard, "top")["StateValue"], "ALARM");
    set(&yard, "cpu", "ALARM");
    assert_eq!(composite(&yard, "top")["StateValue"], "OK");
    set(&yard, "errors", "ALARM");
    assert_eq!(composite(&yard, "top")["StateValue"], "ALARM");
    let children = yard.call("DescribeAlarms", json!({"ChildrenOfAlarmName": "top"}));
    assert_eq!((items(&children["MetricAlarms"]).len(), items(&children["CompositeAlarms"]).len()), (1, 1));
    let parents = yard.call("DescribeAlarms", json!({"ParentsOfAlarmName": "cpu"}));
    assert_eq!(items(&parents["CompositeAlarms"]).len(), 2);
    let all = yard.call("DescribeAlarms", json!({"AlarmTypes": ["MetricAlarm", "CompositeAlarm"], "MaxRecords": 3}));
    assert_eq!((items(&all["CompositeAlarms"]).len(), items(&all["MetricAlarms"]).len()), (1, 2));
    let rest = yard.call(
        "DescribeAlarms",
        json!({"AlarmTypes": ["MetricAlarm", "CompositeAlarm"], "MaxRecords": 3, "NextToken": all["NextToken"]}),
    );
    assert_eq!(items(&rest["CompositeAlarms"]).len(), 1);
    assert_eq!(
        items(&yard.call("DescribeAlarms", json!({}))["CompositeAlarms"]).len(),
        0,
        "metric alarms only, unless asked"
    );
}

#[test]
fn rules_that_lead_nowhere_are_refused() {
    let yard = yard();
    for (rule, said) in [
        ("ALARM(nope)", "do not exist: nope"),
        ("ALARM(cpu", "a closing parenthesis is missing"),
        ("ALARM(both)", "must not refer to the alarm itself"),
    ] {
        let error = yard.try_call("PutCompositeAlarm", json!({"AlarmName": "both", "AlarmRule": rule})).unwrap_err();
        assert!(error.code == "ValidationError" && error.message.contains(said), "{rule}: {error}");
    }
    let named = json!({"AlarmName": "cpu", "AlarmRule": "TRUE"});
    assert_eq!(yard.try_call("PutCompositeAlarm", named).unwrap_err().code, "ValidationError");
}

#[test]
fn deleting_leaves_out_names_that_are_nobodys() {
    let yard = yard();
    yard.call("DeleteAlarms", json!({"AlarmNames": ["gone", "both", "cpu"]}));
    let left = yard.call("DescribeAlarms", json!({"AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}));
    assert_eq!((items(&left["MetricAlarms"]).len(), items(&left["CompositeAlarms"]).len()), (1, 0));
    assert_eq!(yard.try_call("DeleteAlarms", json!({"AlarmNames": ["gone"]})).unwrap_err().code, "ResourceNotFound");
}

#[test]
fn composite_alarms_have_tags_and_switchable_actions() {
    let yard = yard();
    let arn = json!("arn:aws:cloudwatch:us-east-1:000000000000:alarm:both");
    yard.call("TagResource", json!({"ResourceARN": arn, "Tags": [{"Key": "k", "Value": "v"}]}));
    assert_eq!(yard.call("ListTagsForResource", json!({"ResourceARN": arn}))["Tags"][0]["Value"], "v");
    yard.call("DisableAlarmActions", json!({"AlarmNames": ["both"]}));
    assert_eq!(composite(&yard, "both")["ActionsEnabled"], false);
}

#[test]
fn actions_and_options_of_an_alarm_must_be_ones() {
    let yard = Yard::new();
    let with = |more: Value| {
        let mut input = json!({
            "AlarmName": "a", "Namespace": "N", "MetricName": "m", "Statistic": "Average", "Period": 60,
            "EvaluationPeriods": 1, "Threshold": 50.0, "ComparisonOperator": "GreaterThanThreshold",
        });
        input.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        yard.try_call("PutMetricAlarm", input).unwrap_err().message
    };
    assert_eq!(with(json!({"AlarmActions": ["mail me"]})), "Invalid arn syntax: mail me");
    assert!(
        with(json!({"EvaluateLowSampleCountPercentile": "often"}))
            .contains("Supported options are evaluate and ignore.")
    );
}

#[test]
fn dashboards_are_given_back_as_they_were_put() {
    let yard = Yard::new();
    let body = r#"{"widgets": [{"type": "text"}]}"#;
    yard.call("PutDashboard", json!({"DashboardName": "ops", "DashboardBody": body}));
    assert_eq!(yard.call("GetDashboard", json!({"DashboardName": "ops"}))["DashboardBody"], body);
    let listed = yard.call("ListDashboards", json!({"DashboardNamePrefix": "o"}));
    assert_eq!(listed["DashboardEntries"][0]["Size"], body.len());
    assert_eq!(listed["DashboardEntries"][0]["DashboardArn"], "arn:aws:cloudwatch::000000000000:dashboard/ops");
    let bad = yard.try_call("PutDashboard", json!({"DashboardName": "ops", "DashboardBody": "{"})).unwrap_err();
    assert_eq!(bad.code, "InvalidParameterInput");
    let missing = yard.try_call("DeleteDashboards", json!({"DashboardNames": ["ops", "nope"]})).unwrap_err();
    assert_eq!((missing.code.as_ref(), missing.status), ("ResourceNotFound", 404));
    yard.call("DeleteDashboards", json!({"DashboardNames": ["ops"]}));
    assert_eq!(items(&yard.call("ListDashboards", json!({}))["DashboardEntries"]).len(), 0);
}

#[test]
fn evaluation_stops_at_a_cycle_whose_members_can_be_deleted_once_it_is_broken() {
    let yard = yard();
    let put = |name: &str, rule: &str| {
        yard.call("PutCompositeAlarm", json!({"AlarmName": name, "AlarmRule": rule}));
        yard.pass(Duration::from_millis(10));
    };
    put("a", "TRUE");
    put("b", "ALARM(a)");
    put("c", "ALARM(b)");
    assert_eq!(composite(&yard, "c")["StateValue"], "ALARM");
    // Each would change the next for ever.
    put("a", "NOT ALARM(c)");
    set(&yard, "b", "OK");
    assert_eq!(composite(&yard, "a")["StateValue"], "ALARM", "it is not evaluated");
    for name in ["a", "b", "c"] {
        let error = yard.try_call("DeleteAlarms", json!({"AlarmNames": [name]})).unwrap_err();
        let text = format!("Cannot delete {name} as there are composite alarm(s) depending on it.");
        assert_eq!((error.code.as_ref(), error.message.as_ref()), ("ValidationError", text.as_str()));
    }
    put("a", "FALSE");
    assert_eq!(composite(&yard, "c")["StateValue"], "OK");
    for name in ["c", "b", "a"] {
        yard.call("DeleteAlarms", json!({"AlarmNames": [name]}));
    }
}

#[test]
fn an_alarm_that_a_rule_names_is_deleted_with_that_alarm_or_after_it() {
    let yard = yard();
    let error = yard.try_call("DeleteAlarms", json!({"AlarmNames": ["cpu", "errors"]})).unwrap_err();
    assert_eq!(error.message, "Cannot delete cpu,errors as there are composite alarm(s) depending on them.");
    yard.call("DeleteAlarms", json!({"AlarmNames": ["cpu", "both"]}));
    yard.call("DeleteAlarms", json!({"AlarmNames": ["errors"]}));
}
