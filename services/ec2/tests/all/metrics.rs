//! What `AWS/EC2` says of instances.

use crate::yard::{Yard, text};
use serde_json::{Value, json};
use std::time::Duration;
use zonal_cloud::Scope;
use zonal_substrate::{Report, SandboxFigures};
use zonal_testbed::START;

const MINUTE: Duration = Duration::from_secs(60);

/// The world says that these used so much in a minute after the start.
fn used(yard: &Yard, minute: i64, ids: &[&str], network_in: u64) {
    let figures = |id: &&str| SandboxFigures {
        id: (*id).to_owned(),
        cpu_percent: 30.0,
        network_in,
        network_out: 0,
        packets_in: 4,
        packets_out: 0,
    };
    let figures = ids.iter().map(figures).collect();
    yard.cloud.report(&Report::SandboxFigures { minute: START.secs() + minute * 60, figures });
}

/// The data of the first hour, by period: (seconds since the start, how many samples, sum), the oldest first.
fn data(yard: &Yard, metric: &str, dimension: Option<(&str, &str)>, period: i64) -> Vec<(i64, f64, f64)> {
    let dimensions: Vec<Value> =
        dimension.iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect();
    let input = json!({
        "Namespace": "AWS/EC2", "MetricName": metric, "Dimensions": dimensions, "Period": period,
        "StartTime": START.iso8601(), "EndTime": (START + MINUTE * 60).iso8601(), "Statistics": ["SampleCount", "Sum"],
    });
    let found = yard.json("cloudwatch", "GetMetricStatistics", &input);
    let mut all: Vec<(i64, f64, f64)> = found["Datapoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| {
            let at = zonal_wire::Time::parse(point["Timestamp"].as_str().unwrap()).unwrap();
            let number = |name: &str| point[name].as_f64().unwrap();
            (at.secs() - START.secs(), number("SampleCount"), number("Sum"))
        })
        .collect();
    all.sort_by_key(|point| point.0);
    all
}

#[test]
fn a_datum_is_of_a_minute_with_detailed_monitoring_and_of_five_with_basic() {
    let yard = Yard::new();
    let basic = yard.run(json!({}));
    let detailed = yard.run(json!({ "Monitoring": { "Enabled": true } }));
    yard.settle();
    for minute in 0..10 {
        used(&yard, minute, &[&basic, &detailed], 600);
    }
    let of = |id, period| data(&yard, "NetworkIn", Some(("InstanceId", id)), period);
    assert_eq!(of(&basic, 60), [(0, 5.0, 3000.0), (300, 5.0, 3000.0)]);
    assert_eq!(of(&detailed, 60), (0..10).map(|minute| (minute * 60, 1.0, 600.0)).collect::<Vec<_>>());
    // Over five minutes both say the same: the sum is the period's, the average a minute's.
    assert_eq!(of(&basic, 300), of(&detailed, 300));
    let packets = data(&yard, "NetworkPacketsIn", Some(("InstanceId", &detailed)), 60);
    assert_eq!(packets, [(0, 5.0, 20.0), (300, 5.0, 20.0)], "packets are of five minutes always");
}

#[test]
fn only_detailed_monitoring_counts_under_image_type_and_all() {
    let yard = Yard::new();
    let ids: Vec<String> =
        [false, true, true].map(|enabled| yard.run(json!({ "Monitoring": { "Enabled": enabled } }))).into();
    yard.settle();
    used(&yard, 0, &ids.iter().map(String::as_str).collect::<Vec<_>>(), 600);
    for dimension in [None, Some(("InstanceType", "t2.micro")), Some(("ImageId", yard.image().as_str()))] {
        assert_eq!(data(&yard, "NetworkIn", dimension, 60), [(0, 2.0, 1200.0)], "{dimension:?}");
    }
}

#[test]
fn a_dead_machine_fails_its_checks_each_minute_until_the_alarm_on_them_reboots_it() {
    let yard = Yard::new();
    // On Nitro, so that its volumes are checked too.
    let id = yard.run(json!({ "InstanceType": "t3.micro" }));
    yard.pass(MINUTE * 2);
    let alarm = json!({
        "AlarmName": "dead", "Namespace": "AWS/EC2", "MetricName": "StatusCheckFailed_Instance", "Statistic": "Maximum", "Period": 60,
        "EvaluationPeriods": 2, "Threshold": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "Dimensions": [{ "Name": "InstanceId", "Value": id }], "AlarmActions": ["arn:aws:automate:us-east-1:ec2:reboot"],
    });
    let _ = yard.json("cloudwatch", "PutMetricAlarm", &alarm);
    let anywhere = Scope::new("", "");
    yard.cloud.act(&anywhere, "break", |tx| zonal_ec2::faults::crash_instance(tx, &id)).unwrap();
    yard.pass(MINUTE * 8);
    let history =
        yard.json("cloudwatch", "DescribeAlarmHistory", &json!({ "AlarmName": "dead", "HistoryItemType": "Action" }));
    let told = text(&history["AlarmHistoryItems"][0]["HistorySummary"]);
    assert!(told.starts_with("Successfully executed action"), "{told}");
    let status = yard.ok("DescribeInstanceStatus", json!({ "InstanceIds": [id] }));
    assert_eq!(status["InstanceStatuses"][0]["InstanceStatus"]["Status"], "ok", "{status}");
    let of = |metric| data(&yard, metric, Some(("InstanceId", &id)), 60);
    let failed = of("StatusCheckFailed_Instance");
    assert_eq!(failed.len(), 10, "each minute, alive or dead: {failed:?}");
    assert!(failed.iter().all(|point| point.1 == 1.0), "{failed:?}");
    let sum = |data: &[(i64, f64, f64)]| data.iter().map(|point| point.2).sum::<f64>();
    assert!(sum(&failed) >= 2.0 && failed.last().unwrap().2 == 0.0, "{failed:?}");
    assert_eq!(of("StatusCheckFailed"), failed);
    assert_eq!((sum(&of("StatusCheckFailed_System")), of("StatusCheckFailed_AttachedEBS").len()), (0.0, 10));
}

#[test]
fn checks_have_no_gap_where_we_come_minutes_late_and_none_of_the_time_when_nobody_was_there() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    let checked = |yard: &Yard| data(yard, "StatusCheckFailed", Some(("InstanceId", &id)), 60).len();
    yard.pass(MINUTE * 2);
    assert_eq!(checked(&yard), 2);
    yard.clock.set(yard.now() + MINUTE * 5);
    yard.cloud.run_due();
    assert_eq!(checked(&yard), 7);
    yard.clock.set(yard.now() + MINUTE * 10);
    yard.cloud.start();
    yard.cloud.run_due();
    assert_eq!(checked(&yard), 7);
    yard.pass(MINUTE * 2);
    assert_eq!(checked(&yard), 9);
}

#[test]
fn instances_that_do_nothing_cost_a_commit_or_two_a_minute_however_many_they_are() {
    let yard = Yard::new();
    (0..20).for_each(|_| drop(yard.run(json!({}))));
    yard.pass(MINUTE * 2);
    let revision = yard.cloud.revision();
    yard.pass(MINUTE * 30);
    let commits = yard.cloud.revision() - revision;
    assert!((30..=70).contains(&commits), "{commits} commits in half an hour");
}
