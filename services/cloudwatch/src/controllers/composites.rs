//! Evaluates composite alarms when an alarm that their rule names changes its state.

use crate::controllers::alarms::{actions_told, turned};
use crate::model::{Alarm, AlarmState, Composite, HistoryKind};
use crate::operations::alarm_history::record_of;
use crate::operations::alarms::arn;
use crate::rule::Rule;
use serde_json::json;
use std::collections::BTreeSet;
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_wire::{AwsError, Time};

/// The controller; a key is a composite alarm's name.
pub struct Composites;

impl Controller for Composites {
    fn name(&self) -> &'static str {
        "cloudwatch.composites"
    }

    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Composite>() {
            wake(&change.scope, &change.key);
        }
        if change.is::<Alarm>() || change.is::<Composite>() {
            let all = view.everywhere::<Composite>();
            let of = all.filter(|(scope, alarm)| **scope == change.scope && alarm.children.contains(&change.key));
            of.for_each(|(scope, alarm)| wake(scope, &alarm.name));
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        view.everywhere::<Composite>().for_each(|(scope, alarm)| wake(scope, &alarm.name));
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let Some(alarm) = tx.get::<Composite>(key).cloned() else { return Ok(Wake::OnChange) };
        // Each step around a cycle would wake the next for ever: evaluation stops at one (PutCompositeAlarm).
        if is_in_cycle(tx, &alarm) {
            return Ok(Wake::OnChange);
        }
        // Text that was taken is read again.
        let Ok(rule) = Rule::parse(&alarm.rule) else { return Ok(Wake::OnChange) };
        let holds = rule.holds(&|name| child(tx, name).map(|(state, _)| state));
        let state = if holds { AlarmState::Alarm } else { AlarmState::Ok };
        if state == alarm.state {
            return Ok(Wake::OnChange);
        }
        let latest = alarm.children.iter().filter_map(|name| Some((child(tx, name)?, name)));
        let latest = latest.max_by_key(|((_, at), _)| *at);
        let reason = latest.as_ref().map_or_else(
            || "The rule's state changed".to_owned(),
            |((state, at), name)| {
                format!("{} transitioned to {} at {}", arn(&tx.scope, name), state.as_str(), at.iso8601())
            },
        );
        let triggering: Vec<_> = alarm
            .children
            .iter()
            .filter_map(|name| {
                let (state, at) = child(tx, name)?;
                let state = json!({ "value": state.as_str(), "timestamp": at.iso8601_millis() });
                Some(json!({ "arn": arn(&tx.scope, name), "state": state }))
            })
            .collect();
        transition(tx, alarm, state, reason, Some(json!({ "triggeringAlarms": triggering }).to_string()));
        Ok(Wake::OnChange)
    }
}

/// Whether rules lead from an alarm back to itself.
pub fn is_in_cycle(tx: &Tx<'_>, alarm: &Composite) -> bool {
    let mut seen = BTreeSet::new();
    let mut rest: Vec<&String> = alarm.children.iter().collect();
    while let Some(name) = rest.pop() {
        if *name == alarm.name {
            return true;
        }
        if seen.insert(name) {
            rest.extend(tx.get::<Composite>(name).into_iter().flat_map(|child| &child.children));
        }
    }
    false
}

/// Has every composite alarm evaluated: those around a cycle were not while it was closed.
pub fn evaluate_all(tx: &mut Tx<'_>) {
    let names: Vec<String> = tx.list::<Composite>().map(|alarm| alarm.name.clone()).collect();
    for name in names {
        tx.wake(Composites.name(), &name, Wake::At(tx.now));
    }
}

/// The state of an alarm of either kind, and since when.
fn child(tx: &Tx<'_>, name: &str) -> Option<(AlarmState, Time)> {
    let metric = tx.get::<Alarm>(name).map(|alarm| (alarm.state, alarm.transitioned));
    metric.or_else(|| tx.get::<Composite>(name).map(|alarm| (alarm.state, alarm.transitioned)))
}

/// Changes a composite alarm's state, says so in its history, and tells of the new state's actions.
pub fn transition(tx: &mut Tx<'_>, mut alarm: Composite, state: AlarmState, reason: String, data: Option<String>) {
    let was = (alarm.state, alarm.reason.as_str(), alarm.reason_data.as_deref());
    let (summary, told) = turned(was, (state, &reason, data.as_deref()));
    let changed = alarm.state != state;
    alarm.updated = tx.now;
    if changed {
        alarm.transitioned = tx.now;
    }
    (alarm.state, alarm.reason, alarm.reason_data) = (state, reason, data);
    tx.put(alarm.clone());
    if !changed {
        return;
    }
    record_of(tx, (&alarm.name, true), HistoryKind::State, summary, told);
    if alarm.actions_enabled {
        for action in alarm.actions() {
            // Topics, functions and incidents are all that a composite alarm may act on; there are none here.
            let error = AwsError::client("InvalidAction", format!("the action {action} is not supported here"));
            actions_told(tx, (&alarm.name, true), action, &Err(error));
        }
    }
}
