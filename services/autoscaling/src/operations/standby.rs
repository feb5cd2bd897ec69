//! Standby: an instance stands aside, and comes back.

use crate::activities;
use crate::controllers::groups::{count, of};
use crate::controllers::instances::deregister;
use crate::errors::Error;
use crate::model::{Activity, ActivityStatus, Lifecycle, Member};
use crate::operations::activities::shape;
use crate::operations::instances::{check_shrink, leave};
use crate::operations::{active_group, members_of};
use crate::shapes::{EnterStandbyAnswer, EnterStandbyQuery, ExitStandbyAnswer, ExitStandbyQuery};
use zonal_cloud::{Record, Tx};
use zonal_wire::AwsError;

/// EnterStandby.
pub fn enter(tx: &mut Tx<'_>, input: &EnterStandbyQuery) -> Result<EnterStandbyAnswer, AwsError> {
    let mut group = active_group(&tx.view(), &input.auto_scaling_group_name)?;
    let chosen = members_of(&tx.view(), &group.name, &input.instance_ids)?;
    check_shrink(&group, chosen.len(), input.should_decrement_desired_capacity, "place into standby")?;
    let mut activities = Vec::new();
    for mut member in chosen {
        if member.state != Lifecycle::InService {
            return Err(Error::Validation(format!("The instance {} is not in InService.", member.id)).into());
        }
        let description = format!("Moving EC2 instance to Standby: {}", member.id);
        let activity =
            leave(tx, &mut group, &member, description, "moved to standby", input.should_decrement_desired_capacity);
        deregister(tx, &mut member)?;
        member.draining.clear();
        member.state = Lifecycle::Standby;
        tx.put(member);
        activities.push(shape(&activity, true));
        activities::end(tx, Some(activity.key()), ActivityStatus::Successful, None);
    }
    tx.put(group);
    Ok(EnterStandbyAnswer { activities })
}

/// ExitStandby: the desired capacity grows by those that come back.
pub fn exit(tx: &mut Tx<'_>, input: &ExitStandbyQuery) -> Result<ExitStandbyAnswer, AwsError> {
    let mut group = active_group(&tx.view(), &input.auto_scaling_group_name)?;
    let chosen = members_of(&tx.view(), &group.name, &input.instance_ids)?;
    let grown = group.desired.saturating_add(i32::try_from(chosen.len()).unwrap_or(i32::MAX));
    if grown > group.max {
        return Err(Error::Validation(format!(
            "AutoScalingGroup {} has min-size={}, max-size={}, and desired-size={}. To move {} instance(s) out of standby, please update \
             the AutoScalingGroup sizes appropriately.",
            group.name,
            group.min,
            group.max,
            group.desired,
            chosen.len()
        ))
        .into());
    }
    let mut activities = Vec::new();
    for mut member in chosen {
        if member.state != Lifecycle::Standby {
            return Err(Error::Validation(format!("The instance {} is not in Standby.", member.id)).into());
        }
        let before = count(of(&tx.view(), &group.name));
        let cause = format!(
            "At {} instance {} was moved out of standby in response to a user request, increasing the capacity from {before} to {}.",
            tx.now.iso8601(),
            member.id,
            before + 1
        );
        let details = activities::details(Some(&member.subnet), &member.zone);
        let description = format!("Moving EC2 instance out of Standby: {}", member.id);
        let activity = activities::begin(tx, &group, description, cause, details);
        activities::progress(tx, Some(activity.key()), ActivityStatus::PreInService, 30);
        member.state = Lifecycle::Pending;
        member.activity = Some(activity.key().to_owned());
        tx.put::<Member>(member);
        group.desired += 1;
        activities.push(shape(tx.get::<Activity>(activity.key()).unwrap_or(&activity), true));
    }
    tx.put(group);
    Ok(ExitStandbyAnswer { activities })
}
