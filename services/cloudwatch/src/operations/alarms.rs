//! Alarms: describe, delete, set their state, switch their actions.

use crate::controllers::alarms::transition;
use crate::errors::Error;
use crate::model::{Alarm, AlarmState, Comparison, Composite, HistoryKind, MetricId, Watched};
use crate::operations::alarm_history::record_of;
use crate::operations::composites;
use crate::query;
use crate::shapes::{
    AlarmType, ComparisonOperator, CompositeAlarm, DeleteAlarmsInput, DeleteAlarmsOutput, DescribeAlarmsForMetricInput,
    DescribeAlarmsForMetricOutput, DescribeAlarmsInput, DescribeAlarmsOutput, DisableAlarmActionsInput,
    DisableAlarmActionsOutput, EnableAlarmActionsInput, EnableAlarmActionsOutput, MetricAlarm, SetAlarmStateInput,
    SetAlarmStateOutput, StateValue,
};
use crate::statistics::Statistic;
use serde_json::json;
use zonal_cloud::{Scope, Tx, View, pages};
use zonal_wire::AwsError;

const PAGE: usize = 50;

/// An alarm's ARN.
pub fn arn(scope: &Scope, name: &str) -> String {
    scope.arn("cloudwatch", &format!("alarm:{name}"))
}

/// DescribeAlarms.
pub fn describe(view: &View<'_>, input: &DescribeAlarmsInput) -> Result<DescribeAlarmsOutput, AwsError> {
    if input.alarm_name_prefix.is_some() && !input.alarm_names.is_empty() {
        return Err(Error::Validation("AlarmNamePrefix and AlarmNames are mutually exclusive.".to_owned()).into());
    }
    if let Some(parent) = &input.children_of_alarm_name {
        return children(view, parent);
    }
    if let Some(child) = &input.parents_of_alarm_name {
        return Ok(parents(view, child));
    }
    // Without types it is metric alarms that are asked for.
    let typed = |kind| match input.alarm_types.as_slice() {
        [] => kind == AlarmType::MetricAlarm,
        types => types.contains(&kind),
    };
    let wanted = |name: &String, state: AlarmState, actions: [&Vec<String>; 3]| {
        (input.alarm_names.is_empty() || input.alarm_names.contains(name))
            && input.alarm_name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix.as_str()))
            && input.state_value.is_none_or(|wanted| wanted == shown_state(state))
            && input
                .action_prefix
                .as_ref()
                .is_none_or(|prefix| actions.into_iter().flatten().any(|action| action.starts_with(prefix.as_str())))
    };
    let of_metrics = view.list::<Alarm>().filter(|alarm| {
        let actions = [&alarm.ok_actions, &alarm.alarm_actions, &alarm.insufficient_data_actions];
        typed(AlarmType::MetricAlarm) && wanted(&alarm.name, alarm.state, actions)
    });
    let of_alarms = view.list::<Composite>().filter(|alarm| {
        let actions = [&alarm.ok_actions, &alarm.alarm_actions, &alarm.insufficient_data_actions];
        typed(AlarmType::CompositeAlarm) && wanted(&alarm.name, alarm.state, actions)
    });
    let mut items: Vec<(String, Either<'_>)> =
        of_metrics.map(|alarm| (alarm.name.clone(), Either::Metric(alarm))).collect();
    items.extend(of_alarms.map(|alarm| (alarm.name.clone(), Either::Composite(alarm))));
    items.sort_by(|(left, _), (right, _)| left.cmp(right));
    let limit = input.max_records.map_or(PAGE, |limit| usize::try_from(limit).unwrap_or(PAGE));
    let (page, next_token) =
        pages::page(items, input.next_token.as_deref(), Some(limit)).map_err(|_| Error::NextToken)?;
    let mut output = DescribeAlarmsOutput { next_token, ..Default::default() };
    for alarm in page {
        match alarm {
            Either::Metric(alarm) => output.metric_alarms.push(shape(view.scope, alarm)),
            Either::Composite(alarm) => output.composite_alarms.push(composites::shape(view.scope, alarm)),
        }
    }
    Ok(output)
}

/// An alarm of either kind.
enum Either<'v> {
    Metric(&'v Alarm),
    Composite(&'v Composite),
}

/// The alarms that a composite alarm's rule names, with their states alone.
fn children(view: &View<'_>, parent: &str) -> Result<DescribeAlarmsOutput, AwsError> {
    let parent = view
        .get::<Composite>(parent)
        .ok_or_else(|| Error::AlarmNotFound(format!("Composite alarm {parent} does not exist")))?;
    let mut output = DescribeAlarmsOutput::default();
    for name in &parent.children {
        if let Some(alarm) = view.get::<Alarm>(name) {
            output.metric_alarms.push(MetricAlarm {
                alarm_name: Some(name.clone()),
                alarm_arn: Some(arn(view.scope, name)),
                state_value: Some(shown_state(alarm.state)),
                state_updated_timestamp: Some(alarm.updated),
                ..Default::default()
            });
        } else if let Some(alarm) = view.get::<Composite>(name) {
            output.composite_alarms.push(CompositeAlarm {
                alarm_name: Some(name.clone()),
                alarm_arn: Some(arn(view.scope, name)),
                state_value: Some(shown_state(alarm.state)),
                state_updated_timestamp: Some(alarm.updated),
                ..Default::default()
            });
        }
    }
    Ok(output)
}

/// The composite alarms whose rules name an alarm, by their names alone.
fn parents(view: &View<'_>, child: &str) -> DescribeAlarmsOutput {
    let parents = view.list::<Composite>().filter(|alarm| alarm.children.contains(child));
    let shown = parents.map(|alarm| CompositeAlarm {
        alarm_name: Some(alarm.name.clone()),
        alarm_arn: Some(arn(view.scope, &alarm.name)),
        ..Default::default()
    });
    DescribeAlarmsOutput { composite_alarms: shown.collect(), ..Default::default() }
}

/// DescribeAlarmsForMetric.
pub fn for_metric(
    view: &View<'_>,
    input: &DescribeAlarmsForMetricInput,
) -> Result<DescribeAlarmsForMetricOutput, AwsError> {
    let id = MetricId {
        namespace: input.namespace.clone(),
        name: input.metric_name.clone(),
        dimensions: query::dimensions(&input.dimensions)?,
    };
    let statistic = input.statistic.map(|s| s.as_str()).or(input.extended_statistic.as_deref());
    let matches = |alarm: &&Alarm| match &alarm.watched {
        Watched::Metric { metric, period, statistic: own, unit } => {
            *metric == id
                && statistic.is_none_or(|wanted| wanted == own)
                && input.period.is_none_or(|wanted| i64::from(wanted) == *period)
                && input.unit.is_none_or(|wanted| unit.as_deref() == Some(wanted.as_str()))
        }
        Watched::Queries(_) => false,
    };
    let metric_alarms = view.list::<Alarm>().filter(matches).map(|alarm| shape(view.scope, alarm)).collect();
    Ok(DescribeAlarmsForMetricOutput { metric_alarms })
}

/// DeleteAlarms.
pub fn delete(tx: &mut Tx<'_>, input: &DeleteAlarmsInput) -> Result<DeleteAlarmsOutput, AwsError> {
    let composite = |name: &&String| tx.get::<Composite>(name).is_some();
    if input.alarm_names.iter().filter(composite).count() > 1 {
        return Err(Error::Validation("Only one composite alarm can be deleted at a time.".to_owned()).into());
    }
    // So no member of a cycle can be deleted before a rule is changed that leads to it.
    let keeps = |name: &&String| {
        let mut all = tx.list::<Composite>();
        all.any(|parent| parent.children.contains(*name) && !input.alarm_names.contains(&parent.name))
    };
    let kept: Vec<&str> = input.alarm_names.iter().filter(keeps).map(String::as_str).collect();
    if !kept.is_empty() {
        let them = if kept.len() == 1 { "it" } else { "them" };
        let kept = kept.join(",");
        let text = format!("Cannot delete {kept} as there are composite alarm(s) depending on {them}.");
        return Err(Error::Validation(text).into());
    }
    let (mut deleted, mut missing) = (0, None);
    for name in &input.alarm_names {
        let is_composite = tx.get::<Composite>(name).is_some();
        if !is_composite && tx.get::<Alarm>(name).is_none() {
            missing.get_or_insert(name);
            continue;
        }
        deleted += 1;
        tx.remove::<Alarm>(name);
        tx.remove::<Composite>(name);
        let data = json!({ "version": "1.0", "type": "Delete" }).to_string();
        let summary = format!("Alarm \"{name}\" deleted");
        record_of(tx, (name, is_composite), HistoryKind::Configuration, summary, data);
    }
    // Those with correct names are deleted whatever the others are.
    match missing {
        Some(name) if deleted == 0 => Err(Error::AlarmNotFound(format!("Alarm {name} does not exist")).into()),
        _ => Ok(DeleteAlarmsOutput::default()),
    }
}

/// SetAlarmState: until the next evaluation says otherwise.
pub fn set_state(tx: &mut Tx<'_>, input: &SetAlarmStateInput) -> Result<SetAlarmStateOutput, AwsError> {
    if let Some(data) = &input.state_reason_data {
        serde_json::from_str::<serde_json::Value>(data)
            .map_err(|_| Error::Format("StateReasonData is not valid JSON.".to_owned()))?;
    }
    let state = match input.state_value {
        StateValue::Ok => AlarmState::Ok,
        StateValue::Alarm => AlarmState::Alarm,
        StateValue::InsufficientData => AlarmState::InsufficientData,
    };
    let (reason, data) = (input.state_reason.clone(), input.state_reason_data.clone());
    if let Some(alarm) = tx.get::<Alarm>(&input.alarm_name).cloned() {
        transition(tx, alarm, state, reason, data, None);
    } else if let Some(alarm) = tx.get::<Composite>(&input.alarm_name).cloned() {
        crate::controllers::composites::transition(tx, alarm, state, reason, data);
    } else {
        return Err(Error::AlarmNotFound(format!("Alarm {} does not exist", input.alarm_name)).into());
    }
    Ok(SetAlarmStateOutput::default())
}

/// EnableAlarmActions.
pub fn enable_actions(tx: &mut Tx<'_>, input: &EnableAlarmActionsInput) -> Result<EnableAlarmActionsOutput, AwsError> {
    switch(tx, &input.alarm_names, true);
    Ok(EnableAlarmActionsOutput::default())
}

/// DisableAlarmActions.
pub fn disable_actions(
    tx: &mut Tx<'_>,
    input: &DisableAlarmActionsInput,
) -> Result<DisableAlarmActionsOutput, AwsError> {
    switch(tx, &input.alarm_names, false);
    Ok(DisableAlarmActionsOutput::default())
}

/// Names that are no alarm's are passed over, as AWS does.
fn switch(tx: &mut Tx<'_>, names: &[String], enabled: bool) {
    let now = tx.now;
    for name in names {
        let changed = tx.update::<Alarm, _>(name, |alarm| {
            let changed = alarm.actions_enabled != enabled;
            if changed {
                alarm.actions_enabled = enabled;
                alarm.configured = now;
            }
            changed
        });
        let composite = changed.is_none();
        let changed = changed.or_else(|| {
            tx.update::<Composite, _>(name, |alarm| {
                let changed = alarm.actions_enabled != enabled;
                if changed {
                    alarm.actions_enabled = enabled;
                    alarm.configured = now;
                }
                changed
            })
        });
        if changed == Some(true) {
            let data = json!({ "version": "1.0", "type": "Update" }).to_string();
            record_of(tx, (name, composite), HistoryKind::Configuration, format!("Alarm \"{name}\" updated"), data);
        }
    }
}

/// A state as on the wire.
pub fn shown_state(state: AlarmState) -> StateValue {
    match state {
        AlarmState::Ok => StateValue::Ok,
        AlarmState::Alarm => StateValue::Alarm,
        AlarmState::InsufficientData => StateValue::InsufficientData,
    }
}

fn shown_comparison(comparison: Comparison) -> ComparisonOperator {
    match comparison {
        Comparison::GreaterOrEqual => ComparisonOperator::GreaterThanOrEqualToThreshold,
        Comparison::Greater => ComparisonOperator::GreaterThanThreshold,
        Comparison::Less => ComparisonOperator::LessThanThreshold,
        Comparison::LessOrEqual => ComparisonOperator::LessThanOrEqualToThreshold,
    }
}

fn shape(scope: &Scope, alarm: &Alarm) -> MetricAlarm {
    let mut out = MetricAlarm {
        alarm_name: Some(alarm.name.clone()),
        alarm_arn: Some(arn(scope, &alarm.name)),
        alarm_description: alarm.description.clone(),
        alarm_configuration_updated_timestamp: Some(alarm.configured),
        actions_enabled: Some(alarm.actions_enabled),
        ok_actions: alarm.ok_actions.clone(),
        alarm_actions: alarm.alarm_actions.clone(),
        insufficient_data_actions: alarm.insufficient_data_actions.clone(),
        state_value: Some(shown_state(alarm.state)),
        state_reason: Some(alarm.reason.clone()),
        state_reason_data: alarm.reason_data.clone(),
        state_updated_timestamp: Some(alarm.updated),
        state_transitioned_timestamp: Some(alarm.transitioned),
        evaluation_periods: Some(alarm.evaluation_periods),
        datapoints_to_alarm: alarm.datapoints_to_alarm,
        threshold: Some(alarm.threshold),
        comparison_operator: Some(shown_comparison(alarm.comparison)),
        treat_missing_data: alarm.missing.map(|missing| missing.as_str().to_owned()),
        evaluate_low_sample_count_percentile: alarm.low_sample.clone(),
        ..Default::default()
    };
    match &alarm.watched {
        Watched::Metric { metric, period, statistic, unit } => {
            out.metric_name = Some(metric.name.clone());
            out.namespace = Some(metric.namespace.clone());
            out.dimensions = query::shown(&metric.dimensions);
            out.period = i32::try_from(*period).ok();
            match Statistic::parse(statistic) {
                Some(Statistic::Percentile(_)) => out.extended_statistic = Some(statistic.clone()),
                _ => out.statistic = statistic.parse().ok(),
            }
            out.unit = unit.as_deref().and_then(|unit| unit.parse().ok());
        }
        Watched::Queries(queries) => out.metrics = queries.iter().map(query::shape).collect(),
    }
    out
}
