//! The operations, a file per noun, and what they share: finding a stack, and turning a request into a deployment.

pub mod change_sets;
pub mod deployments;
pub mod describe;
pub mod drift;
pub mod events;
pub mod exports;
pub mod lifecycle;
pub mod policies;
pub mod recovery;
pub mod resources;
pub mod templates;

use std::collections::{BTreeMap, BTreeSet};

use zonal_cloud::{Tx, View};

use crate::engine::record_event;
use crate::errors::Error;
use crate::model::{Deployment, Operation, OperationKind, Phase, Rollback, Stack, StackStatus, Trigger};
use crate::shapes;

/// The stack of that name or id. By its name, only one that is not deleted.
pub fn find<'v>(view: &View<'v>, name: &str) -> Result<&'v Stack, Error> {
    if name.starts_with("arn:") {
        return view.get::<Stack>(name).ok_or_else(|| Error::no_stack(name));
    }
    // A stack's name is part of its id, which is its key.
    let mut named = view.starting::<Stack>(view.scope.arn("cloudformation", &format!("stack/{name}/")));
    let living = named.find(|stack| stack.status != StackStatus::DeleteComplete);
    living.ok_or_else(|| Error::no_stack(name))
}

/// Tags as a map.
pub fn tag_map(tags: &[shapes::Tag]) -> BTreeMap<String, String> {
    tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect()
}

/// Tags as a list.
pub fn tag_list(tags: &BTreeMap<String, String>) -> Vec<shapes::Tag> {
    tags.iter().map(|(key, value)| shapes::Tag { key: key.clone(), value: value.clone() }).collect()
}

/// The parameters as answers show them.
pub fn parameters(deployment: &Deployment) -> Vec<shapes::Parameter> {
    deployment
        .given
        .iter()
        .map(|(key, value)| {
            let secret = deployment.secret.contains(key);
            let resolved = deployment.resolved.get(key).and_then(|resolved| match resolved {
                serde_json::Value::String(text) => Some(text.clone()),
                serde_json::Value::Array(items) => {
                    Some(items.iter().filter_map(serde_json::Value::as_str).collect::<Vec<_>>().join(","))
                }
                _ => None,
            });
            // Only a looked-up value is another than the one given; a list's spaces are no difference.
            let given = value.split(',').map(str::trim).collect::<Vec<_>>().join(",");
            let resolved = resolved.filter(|resolved| resolved != value && *resolved != given);
            shapes::Parameter {
                parameter_key: Some(key.clone()),
                parameter_value: Some(if secret { "****".to_owned() } else { value.clone() }),
                resolved_value: resolved.filter(|_| !secret),
                ..Default::default()
            }
        })
        .collect()
}

/// The capabilities as answers show them.
pub fn capabilities(deployment: &Deployment) -> Vec<shapes::Capability> {
    deployment.capabilities.iter().filter_map(|name| name.parse().ok()).collect()
}

/// `RollbackConfiguration` as it is kept.
pub fn rollback(tx: &Tx<'_>, given: &shapes::RollbackConfiguration) -> Result<Rollback, Error> {
    let alarms = tx.scope.arn("cloudwatch", "alarm:");
    let mut triggers = Vec::new();
    for trigger in &given.rollback_triggers {
        if !["AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"].contains(&trigger.type_.as_str()) {
            return Err(Error::validation(format!(
                "Rollback triggers are of type AWS::CloudWatch::Alarm or AWS::CloudWatch::CompositeAlarm, not {}",
                trigger.type_
            )));
        }
        if !trigger.arn.starts_with(&alarms) {
            return Err(Error::validation(format!(
                "{} is not the ARN of an alarm of this account and region",
                trigger.arn
            )));
        }
        triggers.push(Trigger { arn: trigger.arn.clone(), type_name: trigger.type_.clone() });
    }
    // The interface's limits have seen that it is not negative.
    let minutes = given.monitoring_time_in_minutes.and_then(|minutes| u32::try_from(minutes).ok()).unwrap_or(0);
    Ok(Rollback { triggers, minutes })
}

/// The same as answers show it.
pub fn rollback_shape(rollback: &Rollback) -> shapes::RollbackConfiguration {
    let triggers = rollback
        .triggers
        .iter()
        .map(|trigger| shapes::RollbackTrigger { arn: trigger.arn.clone(), type_: trigger.type_name.clone() });
    let watches = !rollback.triggers.is_empty() || rollback.minutes > 0;
    shapes::RollbackConfiguration {
        rollback_triggers: triggers.collect(),
        monitoring_time_in_minutes: watches.then(|| i32::try_from(rollback.minutes).unwrap_or(i32::MAX)),
    }
}

/// Refuses what may not run on a stack in its status.
///
/// Reference: "Choose how to handle failures when provisioning resources": a stack that failed with rollback disabled goes on
/// from where it is.
pub fn must_be_updatable(stack: &Stack) -> Result<(), Error> {
    use StackStatus::{CreateComplete, UpdateComplete, UpdateRollbackComplete};
    if stack.is_half_way() || matches!(stack.status, CreateComplete | UpdateComplete | UpdateRollbackComplete) {
        return Ok(());
    }
    Err(Error::validation(format!("Stack:{} is in {} state and can not be updated.", stack.id, stack.status)))
}

/// Refuses an update that would roll back to what is not there.
pub fn must_keep_on_failure(stack: &Stack, operation: &Operation) -> Result<(), Error> {
    if !stack.is_half_way() || operation.keep_on_failure {
        return Ok(());
    }
    let status = stack.status;
    Err(Error::validation(format!(
        "This stack is currently in a non-terminal [{status}] state. To update the stack from this state, please use the disable-rollback parameter with update-stack API. To rollback to the last known good state, use the rollback-stack API"
    )))
}

/// An operation at its beginning.
pub fn operation(
    tx: &Tx<'_>,
    stack: &Stack,
    kind: OperationKind,
    target: Option<Deployment>,
    token: Option<&str>,
) -> Operation {
    let (end, failed) = (StackStatus::DeleteComplete, StackStatus::DeleteFailed);
    Operation {
        stack: stack.id.clone(),
        kind,
        phase: if kind == OperationKind::Delete { Phase::Cleanup { end, failed } } else { Phase::Forward },
        target,
        done: BTreeSet::new(),
        failed: BTreeSet::new(),
        token: token.map(str::to_owned),
        started: tx.now,
        keep_on_failure: false,
        retain_except_on_create: false,
        skip: BTreeSet::new(),
        cancelled: false,
        imports: BTreeSet::new(),
        policy: None,
        forced: false,
        triggered: !stack.rollback.triggers.is_empty(),
        monitoring: None,
        signals: 0,
    }
}

/// Begins an operation: the stack's status, its event, and the record that the engine works on.
pub fn begin(tx: &mut Tx<'_>, mut stack: Stack, operation: Operation, status: StackStatus) {
    for deployment in stack.current.clone().iter().chain(&operation.target) {
        stack.hide(deployment);
    }
    // What it drifted from is no more.
    stack.drift = None;
    record_event(tx, &mut stack, operation.token.as_deref(), status, Some("User Initiated"));
    tx.put(stack);
    tx.put(operation);
}
