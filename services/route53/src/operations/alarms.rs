//! Alarms of CloudWatch's that health checks are on. Source: Route 53 API reference, `AlarmIdentifier`, `CloudWatchAlarmConfiguration`.

use crate::errors::{Error, invalid};
use crate::model::{Alarm, Insufficient, Metric};
use crate::shapes::{
    AlarmIdentifier, CloudWatchAlarmConfiguration, CloudWatchRegion, Dimension, HealthCheckConfig,
    InsufficientDataHealthStatus,
};
use zonal_cloud::{Scope, Tx};
use zonal_cloudwatch::shapes::{DescribeAlarmsInput, MetricAlarm, StateValue, ops};

/// Statistics that a health check can be on.
const STATISTICS: [&str; 5] = ["Average", "Sum", "SampleCount", "Maximum", "Minimum"];

fn find(tx: &mut Tx<'_>, region: &str, name: &str) -> Option<MetricAlarm> {
    let scope = Scope::new(&tx.scope.account, region);
    let input = DescribeAlarmsInput { alarm_names: vec![name.to_owned()], ..Default::default() };
    let found = tx.within(&scope, |tx| tx.call::<ops::DescribeAlarms>("cloudwatch", &input)).ok()?;
    found.metric_alarms.into_iter().next()
}

/// What state an alarm is in; nothing where there is none.
pub(crate) fn state(tx: &mut Tx<'_>, region: &str, name: &str) -> Option<StateValue> {
    find(tx, region, name)?.state_value
}

/// The alarm that a configuration names.
pub(super) fn read(tx: &mut Tx<'_>, config: &HealthCheckConfig) -> Result<Alarm, Error> {
    let refuse = |text: String| invalid(format!("Invalid parameter : {text}"));
    let named = config.alarm_identifier.as_ref();
    let AlarmIdentifier { region, name } = named
        .ok_or_else(|| refuse("AlarmIdentifier must be specified for CLOUDWATCH_METRIC health checks".to_owned()))?;
    let region = region.to_string();
    let found = find(tx, &region, name);
    let found = found.ok_or_else(|| refuse(format!("CloudWatch alarm {name} was not found in region {region}")))?;
    let statistic =
        found.statistic.map(|statistic| statistic.to_string()).filter(|own| STATISTICS.contains(&own.as_str()));
    let (Some(statistic), Some(metric)) = (statistic, found.metric_name) else {
        return Err(refuse(format!("CloudWatch alarm {name} is not on one metric with a standard statistic")));
    };
    let period = found.period.unwrap_or_default();
    if period < 60 {
        return Err(refuse(format!("CloudWatch alarm {name} has a period of less than 60 seconds")));
    }
    let pair = |dimension: zonal_cloudwatch::shapes::Dimension| (dimension.name, dimension.value);
    Ok(Alarm {
        region,
        name: name.clone(),
        insufficient: match config.insufficient_data_health_status {
            Some(InsufficientDataHealthStatus::Healthy) => Insufficient::Healthy,
            Some(InsufficientDataHealthStatus::Unhealthy) => Insufficient::Unhealthy,
            Some(InsufficientDataHealthStatus::LastKnownStatus) | None => Insufficient::LastKnownStatus,
        },
        metric: Metric {
            namespace: found.namespace.unwrap_or_default(),
            name: metric,
            dimensions: found.dimensions.into_iter().map(pair).collect(),
            statistic,
            period,
            evaluation_periods: found.evaluation_periods.unwrap_or(1),
            threshold: found.threshold.unwrap_or_default(),
            comparison: found.comparison_operator.map(|operator| operator.to_string()).unwrap_or_default(),
        },
    })
}

/// An alarm in a configuration as the wire shows it.
pub(super) fn show(alarm: &Alarm, wire: &mut HealthCheckConfig) {
    wire.alarm_identifier = alarm
        .region
        .parse::<CloudWatchRegion>()
        .ok()
        .map(|region| AlarmIdentifier { region, name: alarm.name.clone() });
    wire.insufficient_data_health_status = Some(match alarm.insufficient {
        Insufficient::Healthy => InsufficientDataHealthStatus::Healthy,
        Insufficient::Unhealthy => InsufficientDataHealthStatus::Unhealthy,
        Insufficient::LastKnownStatus => InsufficientDataHealthStatus::LastKnownStatus,
    });
}

/// What an alarm looks at, as the wire shows it.
pub(super) fn shown_metric(metric: &Metric) -> Option<CloudWatchAlarmConfiguration> {
    let dimension = |(name, value): &(String, String)| Dimension { name: name.clone(), value: value.clone() };
    Some(CloudWatchAlarmConfiguration {
        evaluation_periods: metric.evaluation_periods,
        threshold: metric.threshold,
        // Others are of alarms that look for anomalies, which are on no single statistic.
        comparison_operator: metric.comparison.parse().ok()?,
        period: metric.period,
        metric_name: metric.name.clone(),
        namespace: metric.namespace.clone(),
        statistic: metric.statistic.parse().ok()?,
        dimensions: metric.dimensions.iter().map(dimension).collect(),
    })
}
