//! Evaluates each alarm once a period, and runs the actions of its state.

use crate::evaluation::{self, EXTRA_PERIODS, Point};
use crate::math::{self, Values};
use crate::model::{Alarm, AlarmState, HistoryKind, Watched};
use crate::operations::alarm_history::{record, record_of};
use crate::query;
use crate::series;
use crate::statistics::Statistic;
use serde_json::{Value, json};
use std::time::Duration;
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_wire::{AwsError, Time};

/// How long after a period's end it is looked at, so that what is measured until its end has come in: for periods of a minute and more,
/// and for shorter ones.
const SETTLING: (i64, i64) = (5, 1);
/// Actions on scaling policies are run again this often, as long as the state lasts.
const REPEATED: Duration = Duration::from_secs(60);

/// The controller; a key is an alarm's name.
pub struct Alarms;

impl Controller for Alarms {
    fn name(&self) -> &'static str {
        "cloudwatch.alarms"
    }

    fn wakes_on(&self, change: &Change, _view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Alarm>() {
            wake(&change.scope, &change.key);
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for (scope, alarm) in view.everywhere::<Alarm>() {
            wake(scope, &alarm.name);
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let Some(alarm) = tx.get::<Alarm>(key).cloned() else { return Ok(Wake::OnChange) };
        let step = interval(&alarm);
        let settling = if step >= 60 { SETTLING.0 } else { SETTLING.1 };
        let end = |time: Time| {
            let second = time.secs() - settling;
            second - second.rem_euclid(step)
        };
        let boundary = end(tx.now);
        // What was said since that period's end stands until the next one's: a state set by hand is not undone at once.
        if boundary > end(alarm.updated) || alarm.repeated.is_some_and(|last| boundary > end(last)) {
            evaluate(tx, alarm, boundary)?;
        }
        Ok(Wake::At(Time::from_secs(boundary + step + settling)))
    }
}

/// Seconds between evaluations: a minute, or less where the period is shorter.
fn interval(alarm: &Alarm) -> i64 {
    alarm.period().clamp(1, 60)
}

fn evaluate(tx: &mut Tx<'_>, alarm: Alarm, boundary: i64) -> Result<(), AwsError> {
    let range = points(&tx.view(), &alarm, boundary);
    let range = match range {
        Ok(range) => range,
        Err(error) => {
            if alarm.reason != error.to_string() {
                transition(tx, alarm, AlarmState::InsufficientData, error.to_string(), None, None);
            }
            return Ok(());
        }
    };
    let Some(verdict) = evaluation::evaluate(&alarm, &range) else { return Ok(()) };
    if verdict.state != alarm.state {
        let data = evaluation::reason_data(&alarm, &range, tx.now);
        transition(tx, alarm, verdict.state, verdict.reason, Some(data), verdict.value);
        return Ok(());
    }
    let lasting: Vec<String> = alarm.actions().iter().filter(|action| repeats(action)).cloned().collect();
    let due = alarm.repeated.is_none_or(|last| last + REPEATED <= tx.now);
    if alarm.actions_enabled && due && !lasting.is_empty() {
        let now = tx.now;
        tx.update::<Alarm, _>(&alarm.name, |alarm| alarm.repeated = Some(now));
        for action in &lasting {
            if let Err(error) = run(tx, &alarm, action, verdict.value) {
                // It is tried again in a minute, for as long as the state lasts.
                tracing_failure(&alarm.name, action, &error);
            }
        }
    }
    Ok(())
}

/// A slot per period, the newest first.
fn points(view: &View<'_>, alarm: &Alarm, boundary: i64) -> Result<Vec<Option<Point>>, AwsError> {
    let period = alarm.period();
    // Periods of more than a minute are looked at each minute, by their last whole period.
    let end = boundary - boundary.rem_euclid(period);
    let count = i64::from(alarm.evaluation_periods) + EXTRA_PERIODS;
    let start = end - count * period;
    let found: std::collections::BTreeMap<i64, Point> = match &alarm.watched {
        Watched::Metric { metric, statistic, unit, .. } => {
            let statistic = Statistic::parse(statistic);
            series::read_any(view, metric, unit.as_deref(), start, end, period)
                .into_iter()
                .filter_map(|(second, set)| {
                    Some((second, Point { second, samples: Some(set.count), value: statistic?.of(&set)? }))
                })
                .collect()
        }
        Watched::Queries(queries) => {
            let mut results = query::answer(view, queries, (start, end))?;
            let returned = queries.iter().find(|query| query.returned).and_then(|query| results.remove(&query.id));
            // What an alarm watches is one series: several were refused.
            let values = match returned {
                Some(math::Value::Series(values)) => values,
                _ => Values::new(),
            };
            values.into_iter().map(|(second, value)| (second, Point { second, samples: None, value })).collect()
        }
    };
    Ok((1..=count).map(|age| found.get(&(end - age * period)).copied()).collect())
}

/// Changes an alarm's state, says so in its history, and runs the new state's actions.
pub fn transition(
    tx: &mut Tx<'_>,
    mut alarm: Alarm,
    state: AlarmState,
    reason: String,
    data: Option<String>,
    value: Option<f64>,
) {
    let was = (alarm.state, alarm.reason.as_str(), alarm.reason_data.as_deref());
    let told = turned(was, (state, &reason, data.as_deref()));
    let changed = alarm.state != state;
    alarm.updated = tx.now;
    if changed {
        alarm.transitioned = tx.now;
    }
    (alarm.state, alarm.reason, alarm.reason_data) = (state, reason, data);
    let run_now = changed && alarm.actions_enabled;
    alarm.repeated = (run_now && alarm.actions().iter().any(|action| repeats(action))).then_some(tx.now);
    tx.put(alarm.clone());
    if changed {
        let (summary, data) = told;
        record(tx, &alarm.name, HistoryKind::State, summary, data);
    }
    if !run_now {
        return;
    }
    for action in alarm.actions().to_vec() {
        let result = run(tx, &alarm, &action, value);
        actions_told(tx, (&alarm.name, false), &action, &result);
    }
}

/// A state, why, and why as JSON.
type Said<'a> = (AlarmState, &'a str, Option<&'a str>);

/// What the history says of a change of state: its summary and its data.
pub fn turned(from: Said<'_>, to: Said<'_>) -> (String, String) {
    let summary = format!("Alarm updated from {} to {}", from.0.as_str(), to.0.as_str());
    let data = json!({ "version": "1.0", "oldState": said(from), "newState": said(to) });
    (summary, data.to_string())
}

/// A state as history items have it.
fn said((state, reason, data): Said<'_>) -> Value {
    let mut out = json!({ "stateValue": state.as_str(), "stateReason": reason });
    if let Some(data) = data.and_then(|data| serde_json::from_str::<Value>(data).ok()) {
        out["stateReasonData"] = data;
    }
    out
}

/// Records what came of an action of an alarm, which may be a composite one.
pub fn actions_told(tx: &mut Tx<'_>, alarm: (&str, bool), action: &str, result: &Result<(), AwsError>) {
    let summary = match result {
        Ok(()) => format!("Successfully executed action {action}"),
        Err(error) => format!("Failed to execute action {action}. Received error: \"{}\"", error.message),
    };
    let state = if result.is_ok() { "Succeeded" } else { "Failed" };
    let data = json!({ "actionState": state, "notificationResource": action, "stateUpdateTimestamp": tx.now.millis() });
    record_of(tx, alarm, HistoryKind::Action, cut(summary), data.to_string());
}

/// A summary has 255 characters at most.
fn cut(text: String) -> String {
    if text.chars().count() <= 255 { text } else { text.chars().take(252).chain("...".chars()).collect() }
}

fn repeats(action: &str) -> bool {
    action.starts_with("arn:aws:autoscaling:")
}

fn tracing_failure(alarm: &str, action: &str, error: &AwsError) {
    tracing::debug!("alarm {alarm}: {action}: {error}");
}

/// Runs one action.
fn run(tx: &mut Tx<'_>, alarm: &Alarm, action: &str, value: Option<f64>) -> Result<(), AwsError> {
    let parts: Vec<&str> = action.split(':').collect();
    match parts.as_slice() {
        // arn:aws:autoscaling:REGION:ACCOUNT:scalingPolicy:UUID:autoScalingGroupName/GROUP:policyName/POLICY
        ["arn", "aws", "autoscaling", _, _, "scalingPolicy", _, group, ..] => {
            let group = group.strip_prefix("autoScalingGroupName/").unwrap_or(group);
            let mut input = json!({ "AutoScalingGroupName": group, "PolicyName": action, "HonorCooldown": true });
            if let Some(value) = value {
                input["MetricValue"] = json!(value);
                input["BreachThreshold"] = json!(alarm.threshold);
            }
            call(tx, "autoscaling", "ExecutePolicy", &input)
        }
        ["arn", "aws", "automate", _, "ec2", verb @ ("stop" | "terminate" | "reboot")] => {
            let Watched::Metric { metric, .. } = &alarm.watched else { return Err(unsupported(action)) };
            let instance = metric.dimensions.get("InstanceId").ok_or_else(|| unsupported(action))?;
            let operation = match *verb {
                "stop" => "StopInstances",
                "terminate" => "TerminateInstances",
                _ => "RebootInstances",
            };
            call(tx, "ec2", operation, &json!({ "InstanceIds": [instance] }))
        }
        _ => Err(unsupported(action)),
    }
}

fn unsupported(action: &str) -> AwsError {
    AwsError::client("InvalidAction", format!("the action {action} is not supported here"))
}

fn call(tx: &mut Tx<'_>, service: &'static str, operation: &str, input: &Value) -> Result<(), AwsError> {
    tx.as_service("cloudwatch", |tx| tx.call_json(service, operation, input)).map(drop)
}
