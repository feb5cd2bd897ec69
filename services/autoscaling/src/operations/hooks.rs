//! Lifecycle hooks.

use crate::controllers::instances::complete;
use crate::errors::Error;
use crate::model::{Hook, Member, Transition, pair};
use crate::operations::{active_group, group};
use crate::shapes::{
    CompleteLifecycleActionAnswer, CompleteLifecycleActionType, DeleteLifecycleHookAnswer, DeleteLifecycleHookType,
    DescribeLifecycleHooksAnswer, DescribeLifecycleHooksType, LifecycleHook, LifecycleHookSpecification,
    PutLifecycleHookAnswer, PutLifecycleHookType, RecordLifecycleActionHeartbeatAnswer,
    RecordLifecycleActionHeartbeatType,
};
use std::time::Duration;
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

/// A hook of a group's creation.
pub fn put_specified(tx: &mut Tx<'_>, group: &str, given: &LifecycleHookSpecification) -> Result<(), Error> {
    let input = PutLifecycleHookType {
        lifecycle_hook_name: given.lifecycle_hook_name.clone(),
        auto_scaling_group_name: group.to_owned(),
        lifecycle_transition: Some(given.lifecycle_transition.clone()),
        role_arn: given.role_arn.clone(),
        notification_target_arn: given.notification_target_arn.clone(),
        notification_metadata: given.notification_metadata.clone(),
        heartbeat_timeout: given.heartbeat_timeout,
        default_result: given.default_result.clone(),
    };
    put_one(tx, &input)
}

fn put_one(tx: &mut Tx<'_>, input: &PutLifecycleHookType) -> Result<(), Error> {
    let old = tx.get::<Hook>(&pair(&input.auto_scaling_group_name, &input.lifecycle_hook_name)).cloned();
    let transition = match &input.lifecycle_transition {
        Some(name) => Some(
            Transition::parse(name)
                .ok_or_else(|| Error::Validation(format!("Invalid lifecycle transition: {name}")))?,
        ),
        None => None,
    };
    let mut hook = match (old, transition) {
        (Some(mut old), transition) => {
            old.transition = transition.unwrap_or(old.transition);
            old
        }
        (None, Some(transition)) => Hook::new(&input.auto_scaling_group_name, &input.lifecycle_hook_name, transition),
        (None, None) => {
            return Err(Error::Validation(
                "The parameter LifecycleTransition is required for a new lifecycle hook.".to_owned(),
            ));
        }
    };
    if let Some(timeout) = input.heartbeat_timeout {
        if !(30..=7200).contains(&timeout) {
            return Err(Error::Validation("Heartbeat timeout must be between 30 and 7200 seconds.".to_owned()));
        }
        hook.timeout = timeout;
    }
    if let Some(result) = &input.default_result {
        hook.goes_on = goes_on(result)?;
    }
    hook.metadata = input.notification_metadata.clone().or(hook.metadata);
    hook.target = input.notification_target_arn.clone().or(hook.target);
    hook.role = input.role_arn.clone().or(hook.role);
    tx.put(hook);
    Ok(())
}

fn goes_on(result: &str) -> Result<bool, Error> {
    match result {
        "CONTINUE" => Ok(true),
        "ABANDON" => Ok(false),
        other => {
            Err(Error::Validation(format!("Invalid lifecycle action result: {other}. CONTINUE and ABANDON are valid.")))
        }
    }
}

/// PutLifecycleHook.
pub fn put(tx: &mut Tx<'_>, input: &PutLifecycleHookType) -> Result<PutLifecycleHookAnswer, AwsError> {
    active_group(&tx.view(), &input.auto_scaling_group_name)?;
    put_one(tx, input)?;
    Ok(PutLifecycleHookAnswer::default())
}

/// DeleteLifecycleHook: instances that wait for it go on.
pub fn delete(tx: &mut Tx<'_>, input: &DeleteLifecycleHookType) -> Result<DeleteLifecycleHookAnswer, AwsError> {
    let group = group(&tx.view(), &input.auto_scaling_group_name)?;
    let key = pair(&group.name, &input.lifecycle_hook_name);
    if tx.get::<Hook>(&key).is_none() {
        return Err(no_hook(&input.lifecycle_hook_name).into());
    }
    tx.remove::<Hook>(&key);
    let waits = |member: &&Member| {
        member.waiting.as_ref().is_some_and(|waiting| waiting.hooks.first() == Some(&input.lifecycle_hook_name))
    };
    let waiting: Vec<Member> = tx.owned_by::<Member>(&group.name).filter(waits).cloned().collect();
    for member in waiting {
        complete(tx, &group, member, true);
    }
    Ok(DeleteLifecycleHookAnswer::default())
}

fn no_hook(name: &str) -> Error {
    Error::Validation(format!("No Lifecycle Hook found with name: {name}"))
}

/// DescribeLifecycleHooks.
pub fn describe(view: &View<'_>, input: &DescribeLifecycleHooksType) -> Result<DescribeLifecycleHooksAnswer, AwsError> {
    group(view, &input.auto_scaling_group_name)?;
    let wanted = |hook: &&Hook| {
        hook.group == input.auto_scaling_group_name
            && (input.lifecycle_hook_names.is_empty() || input.lifecycle_hook_names.contains(&hook.name))
    };
    let lifecycle_hooks = view.list::<Hook>().filter(wanted).map(shape).collect();
    Ok(DescribeLifecycleHooksAnswer { lifecycle_hooks })
}

fn shape(hook: &Hook) -> LifecycleHook {
    LifecycleHook {
        lifecycle_hook_name: Some(hook.name.clone()),
        auto_scaling_group_name: Some(hook.group.clone()),
        lifecycle_transition: Some(hook.transition.as_str().to_owned()),
        notification_target_arn: hook.target.clone(),
        role_arn: hook.role.clone(),
        notification_metadata: hook.metadata.clone(),
        heartbeat_timeout: Some(hook.timeout),
        global_timeout: Some(hook.timeout.saturating_mul(100).min(172_800)),
        default_result: Some(if hook.goes_on { "CONTINUE" } else { "ABANDON" }.to_owned()),
    }
}

/// The instance that waits for a hook, by its id or the wait's token.
fn waiting(tx: &Tx<'_>, group: &str, hook: &str, instance: Option<&str>, token: Option<&str>) -> Result<Member, Error> {
    if tx.get::<Hook>(&pair(group, hook)).is_none() {
        return Err(no_hook(hook));
    }
    let found = tx.owned_by::<Member>(group).find(|member| {
        let named = instance.is_none_or(|id| id == member.id) && (instance.is_some() || token.is_some());
        named
            && member.waiting.as_ref().is_some_and(|waiting| {
                waiting.hooks.first().map(String::as_str) == Some(hook)
                    && token.is_none_or(|token| token == waiting.token)
            })
    });
    found.cloned().ok_or_else(|| match (instance, token) {
        (Some(id), _) => Error::Validation(format!("No active Lifecycle Action found with instance ID {id}")),
        (None, Some(token)) => Error::Validation(format!("No active Lifecycle Action found with token {token}")),
        (None, None) => Error::Validation("Either InstanceId or LifecycleActionToken must be given.".to_owned()),
    })
}

/// The group's name, given by name or ARN.
fn group_name(name_or_arn: &str) -> &str {
    name_or_arn.rsplit_once("autoScalingGroupName/").map_or(name_or_arn, |(_, name)| name)
}

/// CompleteLifecycleAction.
pub fn complete_action(
    tx: &mut Tx<'_>,
    input: &CompleteLifecycleActionType,
) -> Result<CompleteLifecycleActionAnswer, AwsError> {
    let group = group(&tx.view(), group_name(&input.auto_scaling_group_name))?;
    let goes_on = goes_on(&input.lifecycle_action_result)?;
    let member = waiting(
        tx,
        &group.name,
        &input.lifecycle_hook_name,
        input.instance_id.as_deref(),
        input.lifecycle_action_token.as_deref(),
    )?;
    complete(tx, &group, member, goes_on);
    Ok(CompleteLifecycleActionAnswer::default())
}

/// RecordLifecycleActionHeartbeat: the wait begins anew.
pub fn heartbeat(
    tx: &mut Tx<'_>,
    input: &RecordLifecycleActionHeartbeatType,
) -> Result<RecordLifecycleActionHeartbeatAnswer, AwsError> {
    let group = group(&tx.view(), group_name(&input.auto_scaling_group_name))?;
    let mut member = waiting(
        tx,
        &group.name,
        &input.lifecycle_hook_name,
        input.instance_id.as_deref(),
        input.lifecycle_action_token.as_deref(),
    )?;
    let timeout = tx.get::<Hook>(&pair(&group.name, &input.lifecycle_hook_name)).map_or(3600, |hook| hook.timeout);
    let deadline = tx.now + Duration::from_secs(u64::try_from(timeout).unwrap_or(0));
    if let Some(waiting) = &mut member.waiting {
        waiting.deadline = deadline.min(waiting.limit);
    }
    tx.put(member);
    Ok(RecordLifecycleActionHeartbeatAnswer::default())
}
