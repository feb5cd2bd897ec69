//! ExecutePolicy: what a user, or an alarm, makes a policy do.

use crate::controllers::groups::of;
use crate::errors::Error;
use crate::model::{Group, Lifecycle, Process};
use crate::neighbours;
use crate::operations::active_group;
use crate::operations::capacity::{cooling, desire};
use crate::operations::policies::find;
use crate::policy::{self, Capacity, Policy, PolicyKind};
use crate::shapes::{ExecutePolicyOutput, ExecutePolicyType};
use std::time::Duration;
use zonal_cloud::{Caller, Tx};
use zonal_wire::AwsError;

/// ExecutePolicy. An alarm's call never fails for being refused: what cannot be done now is asked again in a minute.
pub fn execute(tx: &mut Tx<'_>, input: &ExecutePolicyType) -> Result<ExecutePolicyOutput, AwsError> {
    let policy = find(&tx.view(), input.auto_scaling_group_name.as_deref(), &input.policy_name)?;
    let group = active_group(&tx.view(), &policy.group)?;
    let by_alarm = tx.caller == Caller::Service("cloudwatch");
    if by_alarm && (!policy.enabled || !group.does(Process::AlarmNotification)) {
        return Ok(ExecutePolicyOutput::default());
    }
    let wanted = match &policy.kind {
        PolicyKind::Simple { adjustment_type, adjustment, min_magnitude, cooldown } => {
            let honours = by_alarm || input.honor_cooldown.unwrap_or(false);
            if honours && cooling(tx, &group, cooldown.unwrap_or(group.cooldown)) {
                if by_alarm {
                    return Ok(ExecutePolicyOutput::default());
                }
                return Err(Error::ScalingActivityInProgress(format!(
                    "A scaling activity is in progress, or its cooldown, for the AutoScalingGroup {}.",
                    group.name
                ))
                .into());
            }
            Some(policy::simple(&capacity(tx, &group, 0), *adjustment_type, *adjustment, *min_magnitude))
        }
        PolicyKind::Step { adjustment_type, steps, min_magnitude, warmup, .. } => {
            let (Some(value), Some(threshold)) = (input.metric_value, input.breach_threshold) else {
                return Err(Error::Validation(
                    "MetricValue and BreachThreshold are required for policies of type StepScaling".to_owned(),
                )
                .into());
            };
            let capacity = capacity(tx, &group, seconds(&group, *warmup));
            policy::step(&capacity, *adjustment_type, steps, *min_magnitude, value - threshold)
        }
        PolicyKind::Target { target, no_scale_in, warmup, .. } => {
            let Some(value) = input.metric_value.filter(|_| by_alarm) else {
                return Err(Error::Validation(format!(
                    "Policy type TargetTrackingScaling of {} is executed by its alarms only",
                    policy.name
                ))
                .into());
            };
            let capacity = capacity(tx, &group, seconds(&group, *warmup));
            let wanted = policy::target(&capacity, value, *target, *no_scale_in);
            let shrinks = wanted < group.desired;
            (!shrinks || others_agree(tx, &group, &policy)?).then_some(wanted)
        }
    };
    let Some(wanted) = wanted.filter(|wanted| *wanted != group.desired) else {
        return Ok(ExecutePolicyOutput::default());
    };
    let who = if by_alarm {
        let alarms = neighbours::alarms_of(tx, &policy.arn, Some("ALARM"))?;
        let alarm = alarms.first().cloned().unwrap_or_default();
        format!("a monitor alarm {alarm} in state ALARM triggered policy {}", policy.name)
    } else {
        format!("a user request executed policy {}", policy.name)
    };
    let mut group = group;
    desire(&mut group, wanted, &who, tx.now);
    tx.put(group);
    Ok(ExecutePolicyOutput::default())
}

/// Seconds after which a new instance counts: the policy's, else the group's, else its cooldown.
fn seconds(group: &Group, own: Option<i32>) -> i32 {
    own.or(group.warmup).unwrap_or(group.cooldown)
}

fn capacity(tx: &Tx<'_>, group: &Group, warmup: i32) -> Capacity {
    let warmup = Duration::from_secs(u64::try_from(warmup).unwrap_or(0));
    let (mut warm, mut warming) = (0, 0);
    for member in of(&tx.view(), &group.name).filter(|member| member.state.counts()) {
        let is_warm =
            member.state == Lifecycle::InService && member.in_service.is_some_and(|since| since + warmup <= tx.now);
        if is_warm {
            warm += 1;
        } else {
            warming += 1;
        }
    }
    // Instances that are desired but not launched yet are on their way too.
    let warming = warming.max(group.desired - warm).max(0);
    Capacity { desired: group.desired, warm, warming, min: group.min, max: group.max }
}

/// Several target tracking policies of a group take away only where all of them would.
fn others_agree(tx: &mut Tx<'_>, group: &Group, policy: &Policy) -> Result<bool, AwsError> {
    let others: Vec<Policy> = tx
        .list::<Policy>()
        .filter(|other| other.group == group.name && other.name != policy.name && other.enabled)
        .filter(|other| matches!(other.kind, PolicyKind::Target { no_scale_in: false, .. }))
        .cloned()
        .collect();
    for other in others {
        let low = neighbours::alarms_of(tx, &other.arn, Some("ALARM"))?;
        if !low.iter().any(|name| name.contains("-AlarmLow-")) {
            return Ok(false);
        }
    }
    Ok(true)
}
