//! PutMetricAlarm.

use crate::errors::Error;
use crate::math::Value;
use crate::model::{Alarm, AlarmState, Comparison, Composite, HistoryKind, MetricId, Query, TreatMissing, Watched};
use crate::operations::alarm_history::record;
use crate::operations::tags;
use crate::query;
use crate::shapes::{ComparisonOperator, PutMetricAlarmInput, PutMetricAlarmOutput};
use crate::statistics::Statistic;
use serde_json::json;
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

/// Makes an alarm, or configures it anew; its state is kept.
pub fn put(tx: &mut Tx<'_>, input: &PutMetricAlarmInput) -> Result<PutMetricAlarmOutput, AwsError> {
    let watched = watched(&tx.view(), input)?;
    if tx.get::<Composite>(&input.alarm_name).is_some() {
        let message = format!("{} is the name of a composite alarm.", input.alarm_name);
        return Err(Error::Validation(message).into());
    }
    for action in input.ok_actions.iter().chain(&input.alarm_actions).chain(&input.insufficient_data_actions) {
        if !action.starts_with("arn:") {
            return Err(Error::Validation(format!("Invalid arn syntax: {action}")).into());
        }
    }
    if let Some(option) = input
        .evaluate_low_sample_count_percentile
        .as_ref()
        .filter(|option| !["evaluate", "ignore"].contains(&&***option))
    {
        return Err(Error::Validation(format!(
            "Option {option} is not supported for parameter EvaluateLowSampleCountPercentile. Supported options are evaluate and ignore."
        ))
        .into());
    }
    let evaluation_periods = input
        .evaluation_periods
        .ok_or_else(|| Error::Validation("The parameter EvaluationPeriods is required.".to_owned()))?;
    if input.datapoints_to_alarm.is_some_and(|needed| needed > evaluation_periods) {
        return Err(
            Error::Validation("DatapointsToAlarm must be less than or equal to EvaluationPeriods.".to_owned()).into()
        );
    }
    let threshold =
        input.threshold.ok_or_else(|| Error::Validation("The parameter Threshold is required.".to_owned()))?;
    if !threshold.is_finite() {
        return Err(Error::Validation(format!("The value {threshold} for parameter Threshold is invalid.")).into());
    }
    let missing = match input.treat_missing_data.as_deref() {
        None => None,
        Some(name) => Some(TreatMissing::parse(name).ok_or_else(|| {
            Error::Validation(format!(
                "Invalid value '{name}' for TreatMissingData: valid are breaching, notBreaching, ignore, missing."
            ))
        })?),
    };
    let old = tx.get::<Alarm>(&input.alarm_name).cloned();
    let mut own_tags = old.as_ref().map(|alarm| alarm.tags.clone()).unwrap_or_default();
    if old.is_none() {
        // Tags of an alarm that exists are changed by TagResource only.
        tags::merge(&mut own_tags, &input.tags, tx.caller.is_service())?;
    }
    let now = tx.now;
    let alarm = Alarm {
        name: input.alarm_name.clone(),
        description: input.alarm_description.clone(),
        actions_enabled: input.actions_enabled.unwrap_or(true),
        ok_actions: input.ok_actions.clone(),
        alarm_actions: input.alarm_actions.clone(),
        insufficient_data_actions: input.insufficient_data_actions.clone(),
        watched,
        evaluation_periods,
        datapoints_to_alarm: input.datapoints_to_alarm,
        threshold,
        comparison: comparison(
            input
                .comparison_operator
                .ok_or_else(|| Error::Validation("The parameter ComparisonOperator is required.".to_owned()))?,
        )?,
        missing,
        low_sample: input.evaluate_low_sample_count_percentile.clone(),
        state: old.as_ref().map_or(AlarmState::InsufficientData, |alarm| alarm.state),
        reason: old
            .as_ref()
            .map_or_else(|| "Unchecked: Initial alarm creation".to_owned(), |alarm| alarm.reason.clone()),
        reason_data: old.as_ref().and_then(|alarm| alarm.reason_data.clone()),
        configured: now,
        updated: old.as_ref().map_or(now, |alarm| alarm.updated),
        transitioned: old.as_ref().map_or(now, |alarm| alarm.transitioned),
        repeated: None,
        tags: own_tags,
    };
    if i64::from(evaluation_periods) * alarm.period() > longest(alarm.period()) {
        return Err(Error::Validation(
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400), or seven days for periods \
             of an hour and more."
                .to_owned(),
        )
        .into());
    }
    let made = old.is_none();
    let kind = if made { "Create" } else { "Update" };
    let data = json!({ "version": "1.0", "type": kind }).to_string();
    let summary = format!("Alarm \"{}\" {}", alarm.name, if made { "created" } else { "updated" });
    record(tx, &alarm.name, HistoryKind::Configuration, summary, data);
    tx.put(alarm);
    Ok(PutMetricAlarmOutput::default())
}

fn longest(period: i64) -> i64 {
    if period >= 3600 { 7 * 86_400 } else { 86_400 }
}

fn comparison(operator: ComparisonOperator) -> Result<Comparison, Error> {
    Ok(match operator {
        ComparisonOperator::GreaterThanOrEqualToThreshold => Comparison::GreaterOrEqual,
        ComparisonOperator::GreaterThanThreshold => Comparison::Greater,
        ComparisonOperator::LessThanThreshold => Comparison::Less,
        ComparisonOperator::LessThanOrEqualToThreshold => Comparison::LessOrEqual,
        other => {
            return Err(Error::Validation(format!(
                "The comparison operator {other} of anomaly detection is not supported."
            )));
        }
    })
}

fn watched(view: &View<'_>, input: &PutMetricAlarmInput) -> Result<Watched, Error> {
    if input.threshold_metric_id.is_some() || input.evaluation_criteria.is_some() || input.evaluation_interval.is_some()
    {
        return Err(Error::Validation(
            "The parameters ThresholdMetricId, EvaluationCriteria and EvaluationInterval are not supported.".to_owned(),
        ));
    }
    if !input.metrics.is_empty() {
        let both = input.metric_name.is_some()
            || input.namespace.is_some()
            || input.period.is_some()
            || input.statistic.is_some()
            || input.extended_statistic.is_some()
            || !input.dimensions.is_empty();
        if both {
            return Err(Error::Validation(
                "Metrics list must not be specified together with a metric's own parameters.".to_owned(),
            ));
        }
        let queries = query::parse(&input.metrics)?;
        if queries.iter().filter(|query| query.returned).count() != 1 {
            return Err(Error::Validation("Exactly one element of the metrics list should return data.".to_owned()));
        }
        // Evaluated over nothing: what an expression is does not hang on its values.
        let results = query::answer(view, &queries, (0, 60))?;
        let several = |query: &Query| query.returned && matches!(results.get(&query.id), Some(Value::Array(_)));
        if queries.iter().any(several) {
            let text = "The element of the metrics list that returns data must be a single time series.";
            return Err(Error::Validation(text.to_owned()));
        }
        return Ok(Watched::Queries(queries));
    }
    let (Some(namespace), Some(name)) = (&input.namespace, &input.metric_name) else {
        return Err(Error::Validation("The parameters MetricName and Namespace are required, or Metrics.".to_owned()));
    };
    let statistic = match (input.statistic, &input.extended_statistic) {
        (Some(named), None) => named.as_str().to_owned(),
        (None, Some(extended)) => extended.clone(),
        _ => {
            return Err(Error::Validation(
                "Exactly one of Statistic and ExtendedStatistic must be specified.".to_owned(),
            ));
        }
    };
    if Statistic::parse(&statistic).is_none() {
        return Err(Error::Validation(format!(
            "The value {statistic} for parameter ExtendedStatistic is not supported."
        )));
    }
    let period = input.period.ok_or_else(|| Error::Validation("The parameter Period is required.".to_owned()))?;
    let period = query::period(period).ok().filter(|period| !matches!(period, 1 | 5)).ok_or_else(|| {
        Error::Validation("Invalid metric query. Period must be 10, 20, 30 or a multiple of 60.".to_owned())
    })?;
    Ok(Watched::Metric {
        metric: MetricId {
            namespace: namespace.clone(),
            name: name.clone(),
            dimensions: query::dimensions(&input.dimensions)?,
        },
        period,
        statistic,
        unit: input.unit.map(|unit| unit.as_str().to_owned()),
    })
}
