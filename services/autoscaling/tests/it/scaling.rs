//! Policies: alarms of CloudWatch make groups grow and shrink.

use crate::yard::{Yard, items};
use serde_json::{Value, json};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn tracking(target: f64) -> Value {
    json!({
        "AutoScalingGroupName": "asg",
        "PolicyName": "cpu",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingConfiguration": {
            "PredefinedMetricSpecification": { "PredefinedMetricType": "ASGAverageCPUUtilization" },
            "TargetValue": target,
        },
    })
}

/// The same of a metric that nobody but the test publishes.
fn tracking_load(target: f64) -> Value {
    let mut input = tracking(target);
    input["TargetTrackingConfiguration"] = json!({
        "CustomizedMetricSpecification": {
            "Namespace": "App",
            "MetricName": "Load",
            "Dimensions": [{ "Name": "Group", "Value": "asg" }],
            "Statistic": "Average",
        },
        "TargetValue": target,
    });
    input
}

fn desired(yard: &Yard) -> i64 {
    yard.described("asg")["DesiredCapacity"].as_i64().unwrap()
}

/// Minutes under a load.
fn minutes(yard: &Yard, count: u32, load: f64) {
    for _ in 0..count {
        yard.publish("App", "Load", &[("Group", "asg")], load);
        yard.pass(MINUTE);
    }
}

#[test]
fn target_tracking_makes_two_alarms_of_its_own_and_takes_them_along() {
    let yard = Yard::new();
    yard.group("asg", "ab", (2, 2, 10), json!({}));
    let answer = yard.scaling("PutScalingPolicy", tracking(50.0));
    let names: Vec<&str> =
        answer["Alarms"].as_array().unwrap().iter().map(|alarm| alarm["AlarmName"].as_str().unwrap()).collect();
    assert!(
        names[0].starts_with("TargetTracking-asg-AlarmHigh-") && names[1].starts_with("TargetTracking-asg-AlarmLow-"),
        "{names:?}"
    );
    let alarms = yard.call("cloudwatch", "DescribeAlarms", json!({ "AlarmNames": names }));
    let facts: Vec<Value> = alarms["MetricAlarms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| json!([a["EvaluationPeriods"], a["Period"], a["Threshold"], a["ComparisonOperator"], a["StateValue"]]))
        .collect();
    assert_eq!(
        facts,
        [
            json!([3, 60, 50.0, "GreaterThanThreshold", "INSUFFICIENT_DATA"]),
            json!([15, 60, 45.0, "LessThanThreshold", "INSUFFICIENT_DATA"]),
        ]
    );
    yard.scaling("DeletePolicy", json!({ "AutoScalingGroupName": "asg", "PolicyName": "cpu" }));
    assert!(items(&yard.call("cloudwatch", "DescribeAlarms", json!({}))["MetricAlarms"]).is_empty());
}

#[test]
fn target_tracking_grows_in_proportion_once_and_waits_for_the_new_to_warm_up() {
    let yard = Yard::new();
    yard.group("asg", "ab", (2, 2, 10), json!({ "DefaultInstanceWarmup": 120 }));
    yard.serving(MINUTE, "asg", 2);
    yard.scaling("PutScalingPolicy", tracking_load(50.0));
    minutes(&yard, 6, 40.0);
    assert_eq!(desired(&yard), 2);
    minutes(&yard, 5, 90.0);
    assert_eq!(desired(&yard), 4, "two warm instances at 90 percent are worth four at 45");
    let (_, _, cause) = yard.activities("asg").remove(0);
    assert!(
        cause.contains("a monitor alarm TargetTracking-asg-AlarmHigh-")
            && cause.contains("in state ALARM triggered policy cpu changing the desired capacity from 2 to 4."),
        "{cause}"
    );
    // The four are warm by now; they still run at 60.
    minutes(&yard, 4, 60.0);
    assert_eq!(desired(&yard), 5);
}

#[test]
fn target_tracking_shrinks_after_a_quarter_of_an_hour_one_at_a_time() {
    let yard = Yard::new();
    yard.group("asg", "ab", (1, 4, 10), json!({ "DefaultInstanceWarmup": 60 }));
    yard.serving(MINUTE, "asg", 4);
    yard.scaling("PutScalingPolicy", tracking_load(50.0));
    minutes(&yard, 14, 10.0);
    assert_eq!(desired(&yard), 4);
    minutes(&yard, 3, 10.0);
    assert!((2..4).contains(&desired(&yard)), "{}", desired(&yard));
    minutes(&yard, 10, 10.0);
    assert_eq!(desired(&yard), 1);
    assert_eq!(yard.in_state("asg", "InService").len(), 1);
}

#[test]
fn an_alarm_of_the_users_carries_out_a_step_policy() {
    let yard = Yard::new();
    yard.group("asg", "ab", (1, 2, 10), json!({ "DefaultInstanceWarmup": 30 }));
    yard.serving(MINUTE, "asg", 2);
    let arn = yard.scaling(
        "PutScalingPolicy",
        json!({
            "AutoScalingGroupName": "asg",
            "PolicyName": "steps",
            "PolicyType": "StepScaling",
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": [
                { "MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 20.0, "ScalingAdjustment": 1 },
                { "MetricIntervalLowerBound": 20.0, "ScalingAdjustment": 3 },
            ],
        }),
    )["PolicyARN"]
        .clone();
    yard.call(
        "cloudwatch",
        "PutMetricAlarm",
        json!({
            "AlarmName": "busy",
            "Namespace": "App",
            "MetricName": "Load",
            "Dimensions": [{ "Name": "Group", "Value": "asg" }],
            "Statistic": "Average",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 60.0,
            "ComparisonOperator": "GreaterThanThreshold",
            "AlarmActions": [arn],
        }),
    );
    minutes(&yard, 2, 85.0);
    assert_eq!(desired(&yard), 5);
    let history =
        yard.call("cloudwatch", "DescribeAlarmHistory", json!({ "AlarmName": "busy", "HistoryItemType": "Action" }));
    let summary = history["AlarmHistoryItems"][0]["HistorySummary"].as_str().unwrap();
    assert!(summary.starts_with("Successfully executed action arn:aws:autoscaling:"), "{summary}");
}

#[test]
fn a_simple_policy_waits_for_its_cooldown() {
    let yard = Yard::new();
    yard.group("asg", "a", (1, 1, 5), json!({ "DefaultCooldown": 120 }));
    yard.serving(MINUTE, "asg", 1);
    yard.scaling(
        "PutScalingPolicy",
        json!({ "AutoScalingGroupName": "asg", "PolicyName": "more", "AdjustmentType": "ChangeInCapacity", "ScalingAdjustment": 1 }),
    );
    let execute = json!({ "AutoScalingGroupName": "asg", "PolicyName": "more", "HonorCooldown": true });
    yard.pass(MINUTE * 3);
    yard.scaling("ExecutePolicy", execute.clone());
    yard.serving(MINUTE, "asg", 2);
    let refused = yard.try_call("autoscaling", "ExecutePolicy", execute.clone()).unwrap_err();
    assert_eq!(refused.code, "ScalingActivityInProgress");
    yard.pass(MINUTE * 2);
    yard.scaling("ExecutePolicy", execute);
    assert_eq!(desired(&yard), 3);
}

#[test]
fn a_scheduled_action_changes_the_sizes_when_its_time_comes() {
    let yard = Yard::new();
    yard.group("asg", "a", (1, 1, 5), json!({}));
    yard.scaling(
        "PutScheduledUpdateGroupAction",
        json!({ "AutoScalingGroupName": "asg", "ScheduledActionName": "rush", "Recurrence": "30 16 * * *", "MinSize": 3 }),
    );
    yard.pass(MINUTE * 29);
    assert_eq!(desired(&yard), 1);
    yard.pass(MINUTE * 2);
    assert_eq!(desired(&yard), 3);
    let next = yard.scaling("DescribeScheduledActions", json!({ "AutoScalingGroupName": "asg" }));
    assert_eq!(next["ScheduledUpdateGroupActions"].as_array().unwrap().len(), 1, "it comes again tomorrow");
}

#[test]
fn a_recurring_action_acts_at_its_start_and_then_as_it_recurs_until_its_end() {
    let yard = Yard::new();
    yard.group("asg", "a", (1, 1, 9), json!({}));
    let at = |minutes: u32| (zonal_testbed::START + MINUTE * minutes).iso8601_millis();
    let put = |more: Value| {
        let mut input = json!({ "AutoScalingGroupName": "asg", "ScheduledActionName": "rush", "Recurrence": "30 * * * *",
            "DesiredCapacity": 3 });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        yard.try_call("autoscaling", "PutScheduledUpdateGroupAction", input)
    };
    let set = |count: u32| {
        let input = json!({ "AutoScalingGroupName": "asg", "DesiredCapacity": count });
        yard.scaling("SetDesiredCapacity", input);
    };
    let starts = || {
        let found = yard.scaling("DescribeScheduledActions", json!({ "AutoScalingGroupName": "asg" }));
        items(&found["ScheduledUpdateGroupActions"]).iter().map(|own| own["StartTime"].clone()).collect::<Vec<_>>()
    };
    // It is 16:00: from 16:10 on, then at 16:30 and 17:30, not at 18:30.
    put(json!({ "StartTime": at(10), "EndTime": at(120) })).unwrap();
    assert_eq!(starts(), [at(10)]);
    yard.pass(MINUTE * 11);
    assert_eq!((desired(&yard), starts()), (3, vec![json!(at(30))]));
    set(1);
    yard.pass(MINUTE * 20);
    assert_eq!((desired(&yard), starts()), (3, vec![json!(at(90))]));
    set(1);
    yard.pass(MINUTE * 60);
    assert_eq!((desired(&yard), starts()), (3, vec![]), "it has ended");
    // It is 17:31 by now, and the next is 18:30.
    for end in [at(140), at(10)] {
        let refused = put(json!({ "EndTime": end })).unwrap_err();
        assert_eq!((&*refused.code, &*refused.message), ("ValidationError", "End time must be after start time."));
    }
    put(json!({ "EndTime": at(150) })).unwrap();
    assert_eq!(starts(), [at(150)]);
}

#[test]
fn enabled_group_metrics_are_published_each_minute() {
    let yard = Yard::new();
    yard.group("asg", "a", (1, 2, 5), json!({}));
    yard.scaling("EnableMetricsCollection", json!({ "AutoScalingGroupName": "asg", "Granularity": "1Minute" }));
    yard.pass(MINUTE * 3);
    let found = yard.call(
        "cloudwatch",
        "ListMetrics",
        json!({ "Namespace": "AWS/AutoScaling", "Dimensions": [{ "Name": "AutoScalingGroupName", "Value": "asg" }] }),
    );
    assert_eq!(found["Metrics"].as_array().unwrap().len(), 8);
}

#[test]
fn a_recurrence_in_a_time_zone_comes_by_its_clocks_and_is_shown_with_it() {
    let yard = Yard::new();
    yard.group("asg", "a", (1, 1, 5), json!({}));
    let put = |zone: &str| {
        json!({ "AutoScalingGroupName": "asg", "ScheduledActionName": "rush", "Recurrence": "30 17 * * *", "TimeZone": zone,
            "MinSize": 3 })
    };
    // It is 16:00 in London, 17:00 in Berlin.
    yard.scaling("PutScheduledUpdateGroupAction", put("Europe/Berlin"));
    let shown = yard.scaling("DescribeScheduledActions", json!({ "AutoScalingGroupName": "asg" }));
    assert_eq!(shown["ScheduledUpdateGroupActions"][0]["TimeZone"], "Europe/Berlin");
    yard.pass(MINUTE * 29);
    assert_eq!(desired(&yard), 1);
    yard.pass(MINUTE * 2);
    assert_eq!(desired(&yard), 3);
    let refused = yard.try_call("autoscaling", "PutScheduledUpdateGroupAction", put("Mars/Olympus_Mons")).unwrap_err();
    assert_eq!(&*refused.code, "ValidationError");
}

/// The samples and sums of a metric of the group `asg` by period, the oldest first.
fn of_group(yard: &Yard, (namespace, metric): (&str, &str), period: i64) -> Vec<(f64, f64)> {
    let input = json!({
        "Namespace": namespace, "MetricName": metric, "Dimensions": [{ "Name": "AutoScalingGroupName", "Value": "asg" }],
        "StartTime": zonal_testbed::START.iso8601(), "EndTime": yard.now().iso8601(), "Period": period,
        "Statistics": ["SampleCount", "Sum"],
    });
    let mut points = items(&yard.call("cloudwatch", "GetMetricStatistics", input)["Datapoints"]).to_vec();
    points.sort_by_key(|point| point["Timestamp"].as_str().unwrap().to_owned());
    points.iter().map(|point| (point["SampleCount"].as_f64().unwrap(), point["Sum"].as_f64().unwrap())).collect()
}

#[test]
fn group_metrics_are_published_for_each_minute_once_also_when_the_minute_is_not_met() {
    let yard = Yard::new();
    yard.group("asg", "a", (0, 0, 5), json!({}));
    yard.scaling("EnableMetricsCollection", json!({ "AutoScalingGroupName": "asg", "Granularity": "1Minute" }));
    // As under a fast clock or a long transaction: each minute we come seven seconds late, and twice.
    for minute in 1..=5_u32 {
        for late in [7, 20] {
            yard.clock.set(zonal_testbed::START + MINUTE * minute + Duration::from_secs(late));
            yard.cloud.run_due();
        }
    }
    yard.clock.set(yard.now() + MINUTE);
    let published = of_group(&yard, ("AWS/AutoScaling", "GroupMaxSize"), 60);
    assert_eq!(published, [(1.0, 5.0); 5]);
}

#[test]
fn group_metrics_have_no_gap_where_we_come_minutes_late_and_none_of_the_time_when_nobody_was_there() {
    let yard = Yard::new();
    yard.group("asg", "a", (0, 0, 5), json!({}));
    yard.scaling("EnableMetricsCollection", json!({ "AutoScalingGroupName": "asg", "Granularity": "1Minute" }));
    yard.pass(Duration::from_secs(10));
    let published = |yard: &Yard| {
        yard.cloud.run_due();
        yard.clock.set(yard.now() + MINUTE);
        of_group(yard, ("AWS/AutoScaling", "GroupMaxSize"), 60).len()
    };
    // The first minute's and the four after it.
    yard.clock.set(yard.now() + MINUTE * 4);
    assert_eq!(published(&yard), 5);
    // The present minute and the next: the daemon was away for the others.
    yard.clock.set(yard.now() + MINUTE * 10);
    yard.cloud.start();
    assert_eq!(published(&yard), 6);
    assert_eq!(published(&yard), 7);
}

#[test]
fn the_metrics_of_a_groups_instances_are_kept_for_the_group_too() {
    let yard = Yard::new();
    yard.group("asg", "ab", (2, 2, 5), json!({}));
    yard.serving(MINUTE, "asg", 2);
    yard.pass(MINUTE * 11);
    let network = of_group(&yard, ("AWS/EC2", "NetworkIn"), 300);
    assert_eq!(network[1].0, 10.0, "two instances, five minutes: {network:?}");
    assert_eq!(of_group(&yard, ("AWS/EC2", "StatusCheckFailed"), 60)[5], (2.0, 0.0));
}
