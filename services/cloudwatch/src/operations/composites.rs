//! PutCompositeAlarm, and composite alarms as they are shown.

use crate::controllers::composites::{evaluate_all, is_in_cycle};
use crate::errors::Error;
use crate::model::{Alarm, AlarmState, Composite, HistoryKind};
use crate::operations::alarm_history::record_of;
use crate::operations::alarms::{arn, shown_state};
use crate::operations::tags;
use crate::rule::Rule;
use crate::shapes::{CompositeAlarm, PutCompositeAlarmInput, PutCompositeAlarmOutput};
use serde_json::json;
use zonal_cloud::{Scope, Tx};
use zonal_wire::AwsError;

/// How many alarms a rule may name.
const MOST: usize = 100;

/// Makes a composite alarm, or configures it anew; its state is kept until its rule says otherwise.
pub fn put(tx: &mut Tx<'_>, input: &PutCompositeAlarmInput) -> Result<PutCompositeAlarmOutput, AwsError> {
    let suppressed = input.actions_suppressor.is_some()
        || input.actions_suppressor_wait_period.is_some()
        || input.actions_suppressor_extension_period.is_some();
    if suppressed {
        return Err(Error::Validation("The parameters of action suppression are not supported.".to_owned()).into());
    }
    let name = &input.alarm_name;
    if tx.get::<Alarm>(name).is_some() {
        return Err(Error::Validation(format!("{name} is the name of a metric alarm.")).into());
    }
    let rule = Rule::parse(&input.alarm_rule)
        .map_err(|wrong| Error::Validation(format!("The value for parameter AlarmRule is invalid: {wrong}")))?;
    let children = rule.names();
    if children.len() > MOST {
        return Err(Error::Validation(format!("AlarmRule refers to more than {MOST} alarms.")).into());
    }
    let exists = |child: &String| tx.get::<Alarm>(child).is_some() || tx.get::<Composite>(child).is_some();
    let missing: Vec<&str> =
        children.iter().filter(|child| *child != name && !exists(child)).map(String::as_str).collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(Error::Validation(format!("AlarmRule refers to alarms that do not exist: {missing}")).into());
    }
    if children.contains(name) {
        return Err(Error::Validation("AlarmRule must not refer to the alarm itself.".to_owned()).into());
    }
    let old = tx.get::<Composite>(name).cloned();
    let mut own_tags = old.as_ref().map(|alarm| alarm.tags.clone()).unwrap_or_default();
    if old.is_none() {
        tags::merge(&mut own_tags, &input.tags, tx.caller.is_service())?;
    }
    let now = tx.now;
    let made = old.is_none();
    let was_in_cycle = old.as_ref().is_some_and(|old| is_in_cycle(tx, old));
    let before = old.map(|old| (old.state, old.reason, old.reason_data, old.updated, old.transitioned));
    let first = || (AlarmState::InsufficientData, "Unchecked: Initial alarm creation".to_owned(), None, now, now);
    let (state, reason, reason_data, updated, transitioned) = before.unwrap_or_else(first);
    tx.put(Composite {
        name: name.clone(),
        description: input.alarm_description.clone(),
        actions_enabled: input.actions_enabled.unwrap_or(true),
        ok_actions: input.ok_actions.clone(),
        alarm_actions: input.alarm_actions.clone(),
        insufficient_data_actions: input.insufficient_data_actions.clone(),
        rule: input.alarm_rule.clone(),
        children,
        state,
        reason,
        reason_data,
        configured: now,
        updated,
        transitioned,
        tags: own_tags,
    });
    if was_in_cycle {
        evaluate_all(tx);
    }
    let data = json!({ "version": "1.0", "type": if made { "Create" } else { "Update" } }).to_string();
    let summary = format!("Alarm \"{name}\" {}", if made { "created" } else { "updated" });
    record_of(tx, (name, true), HistoryKind::Configuration, summary, data);
    Ok(PutCompositeAlarmOutput::default())
}

/// As DescribeAlarms shows it.
pub fn shape(scope: &Scope, alarm: &Composite) -> CompositeAlarm {
    CompositeAlarm {
        actions_enabled: Some(alarm.actions_enabled),
        alarm_actions: alarm.alarm_actions.clone(),
        alarm_arn: Some(arn(scope, &alarm.name)),
        alarm_configuration_updated_timestamp: Some(alarm.configured),
        alarm_description: alarm.description.clone(),
        alarm_name: Some(alarm.name.clone()),
        alarm_rule: Some(alarm.rule.clone()),
        insufficient_data_actions: alarm.insufficient_data_actions.clone(),
        ok_actions: alarm.ok_actions.clone(),
        state_reason: Some(alarm.reason.clone()),
        state_reason_data: alarm.reason_data.clone(),
        state_updated_timestamp: Some(alarm.updated),
        state_value: Some(shown_state(alarm.state)),
        state_transitioned_timestamp: Some(alarm.transitioned),
        ..Default::default()
    }
}
