//! SetDesiredCapacity and TerminateInstanceInAutoScalingGroup.

use crate::activities;
use crate::errors::Error;
use crate::model::{Group, Member};
use crate::operations::active_group;
use crate::operations::activities::shape;
use crate::shapes::{
    ActivityType, SetDesiredCapacityOutput, SetDesiredCapacityType, TerminateInstanceInAutoScalingGroupType,
};
use std::time::Duration;
use zonal_cloud::Tx;
use zonal_wire::{AwsError, Time};

/// Whether a scaling activity is under way, or the cooldown since the last one: since when.
pub fn cooling(tx: &Tx<'_>, group: &Group, cooldown: i32) -> bool {
    let until = group.scaled.map(|ended| ended + Duration::from_secs(u64::try_from(cooldown).unwrap_or(0)));
    until.is_some_and(|until| until > tx.now) || activities::is_busy(tx, group)
}

/// Says in a group's words why its desired capacity is what it becomes.
pub fn desire(group: &mut Group, desired: i32, who: &str, now: Time) {
    if desired != group.desired {
        group.cause = Some(format!(
            "At {} {who} changing the desired capacity from {} to {desired}.",
            now.iso8601(),
            group.desired
        ));
        group.desired = desired;
    }
}

/// SetDesiredCapacity.
pub fn set_desired(tx: &mut Tx<'_>, input: &SetDesiredCapacityType) -> Result<SetDesiredCapacityOutput, AwsError> {
    let mut group = active_group(&tx.view(), &input.auto_scaling_group_name)?;
    let desired = input.desired_capacity;
    if desired > group.max {
        return Err(Error::Validation(format!(
            "New SetDesiredCapacity value {desired} is above max value {} for the AutoScalingGroup.",
            group.max
        ))
        .into());
    }
    if desired < group.min {
        return Err(Error::Validation(format!(
            "New SetDesiredCapacity value {desired} is below min value {} for the AutoScalingGroup.",
            group.min
        ))
        .into());
    }
    if input.honor_cooldown.unwrap_or(false) && cooling(tx, &group, group.cooldown) {
        return Err(Error::ScalingActivityInProgress(format!(
            "A scaling activity is in progress, or its cooldown, for the AutoScalingGroup {}.",
            group.name
        ))
        .into());
    }
    desire(&mut group, desired, "a user request explicitly set group desired capacity", tx.now);
    tx.put(group);
    Ok(SetDesiredCapacityOutput::default())
}

/// TerminateInstanceInAutoScalingGroup.
pub fn terminate(tx: &mut Tx<'_>, input: &TerminateInstanceInAutoScalingGroupType) -> Result<ActivityType, AwsError> {
    let member = tx.get::<Member>(&input.instance_id).cloned().ok_or_else(|| Error::no_instance(&input.instance_id))?;
    let mut group = active_group(&tx.view(), &member.group)?;
    if member.state.is_terminating() {
        return Err(Error::Validation(format!("The instance {} is already being terminated.", member.id)).into());
    }
    let now = tx.now.iso8601();
    let mut cause = format!("At {now} instance {} was taken out of service in response to a user request", member.id);
    if input.should_decrement_desired_capacity {
        if group.desired - 1 < group.min {
            return Err(Error::Validation(format!(
                "Currently, desiredSize equals minSize ({}). Terminating instance without replacement will violate group's min size \
                 constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.",
                group.min
            ))
            .into());
        }
        // What stands by does not count: taking it leaves the desired capacity alone.
        if member.state.counts() {
            cause = format!("{cause}, shrinking the capacity from {} to {}", group.desired, group.desired - 1);
            group.desired -= 1;
            tx.put(group.clone());
        }
    }
    let activity = activities::begin_termination(tx, &group, &member, format!("{cause}."));
    Ok(ActivityType { activity: Some(shape(&activity, true)) })
}
