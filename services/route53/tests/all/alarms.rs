//! Health checks of CloudWatch's alarms.

use crate::bench::Bench;
use crate::records::{batch, set};
use crate::zones::public;
use zonal_cloudwatch::shapes as cloudwatch;
use zonal_dns::config::Health;
use zonal_route53::shapes::*;
use zonal_wire::AwsError;

fn check(bench: &Bench, name: &str, unknown: InsufficientDataHealthStatus) -> Result<HealthCheck, AwsError> {
    let health_check_config = HealthCheckConfig {
        type_: HealthCheckType::CloudwatchMetric,
        alarm_identifier: Some(AlarmIdentifier { region: CloudWatchRegion::UsEast1, name: name.into() }),
        insufficient_data_health_status: Some(unknown),
        ..Default::default()
    };
    let caller_reference = format!("{name} {unknown}");
    let input = CreateHealthCheckRequest { caller_reference, health_check_config };
    bench.call::<ops::CreateHealthCheck>(input).map(|made| made.health_check)
}

fn set_state(bench: &Bench, state_value: cloudwatch::StateValue) {
    let state_reason = "a test".to_owned();
    let input =
        cloudwatch::SetAlarmStateInput { alarm_name: "load".into(), state_value, state_reason, ..Default::default() };
    bench.cloudwatch::<cloudwatch::ops::SetAlarmState>(input).unwrap();
}

#[test]
fn a_health_check_of_an_alarm_says_what_the_alarm_does_and_without_data_what_it_was_told() {
    let bench = Bench::new();
    let error = check(&bench, "load", InsufficientDataHealthStatus::Healthy).unwrap_err();
    assert_eq!(error.code, "InvalidInput", "there is no such alarm");
    bench
        .cloudwatch::<cloudwatch::ops::PutMetricAlarm>(cloudwatch::PutMetricAlarmInput {
            alarm_name: "load".into(),
            namespace: Some("Own".into()),
            metric_name: Some("Load".into()),
            statistic: Some(cloudwatch::Statistic::Average),
            period: Some(60),
            evaluation_periods: Some(2),
            threshold: Some(80.0),
            comparison_operator: Some(cloudwatch::ComparisonOperator::GreaterThanThreshold),
            ..Default::default()
        })
        .unwrap();
    let last = check(&bench, "load", InsufficientDataHealthStatus::LastKnownStatus).unwrap();
    let alarm = last.cloud_watch_alarm_configuration.unwrap();
    assert_eq!((alarm.threshold, alarm.period, alarm.statistic), (80.0, 60, Statistic::Average));
    let unhealthy = check(&bench, "load", InsufficientDataHealthStatus::Unhealthy).unwrap();
    let zone = public(&bench);
    let record = |name: &str, id: &str| ResourceRecordSet {
        health_check_id: Some(id.to_owned()),
        set_identifier: Some("one".into()),
        weight: Some(1),
        ..set(name, RRType::A, &["192.0.2.1"])
    };
    let sets = [record("a.example.com", &last.id), record("b.example.com", &unhealthy.id)];
    batch(&bench, &zone, sets.map(|set| (ChangeAction::Create, set)).into()).unwrap();
    let said = || {
        let zone = bench.served("public", "example.com.").unwrap();
        ["a.example.com.", "b.example.com."]
            .map(|name| zone.records.iter().find(|set| set.name == name).unwrap().health)
    };
    assert_eq!(said(), [Health::Healthy, Health::Unhealthy], "there is no data yet");
    set_state(&bench, cloudwatch::StateValue::Ok);
    assert_eq!(said(), [Health::Healthy; 2]);
    set_state(&bench, cloudwatch::StateValue::Alarm);
    assert_eq!(said(), [Health::Unhealthy; 2]);
    set_state(&bench, cloudwatch::StateValue::InsufficientData);
    assert_eq!(said(), [Health::Unhealthy; 2], "the last one known was that");
}
