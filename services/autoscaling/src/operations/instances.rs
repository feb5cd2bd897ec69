//! Instances of groups: described, judged, protected, attached and detached.

use crate::activities;
use crate::controllers::groups::{count, of};
use crate::controllers::instances::deregister;
use crate::errors::Error;
use crate::model::{Activity, ActivityStatus, Group, Health, Lifecycle, Member};
use crate::neighbours;
use crate::operations::activities::shape;
use crate::operations::groups::{shown_health, shown_template};
use crate::operations::{active_group, members_of, paged};
use crate::shapes::{
    AttachInstancesOutput, AttachInstancesQuery, AutoScalingInstanceDetails, AutoScalingInstancesType,
    DescribeAutoScalingInstancesType, DetachInstancesAnswer, DetachInstancesQuery, SetInstanceHealthOutput,
    SetInstanceHealthQuery, SetInstanceProtectionAnswer, SetInstanceProtectionQuery,
};
use std::collections::BTreeSet;
use std::time::Duration;
use zonal_cloud::{Record, Tx, View, Wake};
use zonal_wire::AwsError;

/// DescribeAutoScalingInstances.
pub fn describe(
    view: &View<'_>,
    input: &DescribeAutoScalingInstancesType,
) -> Result<AutoScalingInstancesType, AwsError> {
    let wanted = |member: &&Member| input.instance_ids.is_empty() || input.instance_ids.contains(&member.id);
    let items = view.list::<Member>().filter(wanted).map(|member| (member.id.clone(), member));
    let (page, next_token) = paged(items, input.next_token.as_deref(), input.max_records)?;
    let auto_scaling_instances = page
        .into_iter()
        .map(|member| AutoScalingInstanceDetails {
            instance_id: member.id.clone(),
            instance_type: Some(member.instance_type.clone()),
            auto_scaling_group_name: member.group.clone(),
            availability_zone: member.zone.clone(),
            lifecycle_state: member.state.as_str().to_owned(),
            // Here in capitals, other than in DescribeAutoScalingGroups.
            health_status: shown_health(&member.health).to_uppercase(),
            launch_template: member.template.as_ref().map(shown_template),
            image_id: Some(member.image.clone()),
            protected_from_scale_in: member.protected,
            ..Default::default()
        })
        .collect();
    Ok(AutoScalingInstancesType { auto_scaling_instances, next_token })
}

/// SetInstanceHealth.
pub fn set_health(tx: &mut Tx<'_>, input: &SetInstanceHealthQuery) -> Result<SetInstanceHealthOutput, AwsError> {
    let mut member =
        tx.get::<Member>(&input.instance_id).cloned().ok_or_else(|| Error::no_instance(&input.instance_id))?;
    match input.health_status.as_str() {
        "Healthy" => member.health = Health::Healthy,
        "Unhealthy" => {
            let group = active_group(&tx.view(), &member.group)?;
            let grace = Duration::from_secs(u64::try_from(group.grace).unwrap_or(0));
            let graced = member.in_service.is_none_or(|since| since + grace > tx.now) && group.grace > 0;
            if graced && input.should_respect_grace_period.unwrap_or(true) {
                return Ok(SetInstanceHealthOutput::default());
            }
            member.health = Health::Unhealthy("a user health-check.".to_owned());
        }
        other => {
            return Err(
                Error::Validation(format!("{other} is not a valid health status: Healthy and Unhealthy are.")).into()
            );
        }
    }
    tx.put(member);
    Ok(SetInstanceHealthOutput::default())
}

/// SetInstanceProtection.
pub fn set_protection(
    tx: &mut Tx<'_>,
    input: &SetInstanceProtectionQuery,
) -> Result<SetInstanceProtectionAnswer, AwsError> {
    active_group(&tx.view(), &input.auto_scaling_group_name)?;
    for mut member in members_of(&tx.view(), &input.auto_scaling_group_name, &input.instance_ids)? {
        if member.state != Lifecycle::InService {
            return Err(Error::Validation(format!("The instance {} is not in InService.", member.id)).into());
        }
        member.protected = input.protected_from_scale_in;
        tx.put(member);
    }
    Ok(SetInstanceProtectionAnswer::default())
}

/// AttachInstances: running instances of the group's zones join it, and the desired capacity grows by them.
pub fn attach(tx: &mut Tx<'_>, input: &AttachInstancesQuery) -> Result<AttachInstancesOutput, AwsError> {
    let mut group = active_group(&tx.view(), &input.auto_scaling_group_name)?;
    let grown = group.desired.saturating_add(i32::try_from(input.instance_ids.len()).unwrap_or(i32::MAX));
    if grown > group.max {
        return Err(Error::Validation(format!(
            "AutoScalingGroup {} has min-size={}, max-size={}, and desired-size={}. To attach {} more instance(s), please update the \
             AutoScalingGroup sizes appropriately.",
            group.name,
            group.min,
            group.max,
            group.desired,
            input.instance_ids.len()
        ))
        .into());
    }
    for id in &input.instance_ids {
        if tx.get::<Member>(id).is_some() {
            return Err(Error::Validation(format!("Instance {id} is already part of an AutoScalingGroup.")).into());
        }
        let found = neighbours::instance(tx, id)?
            .filter(neighbours::Instance::is_running)
            .ok_or_else(|| Error::Validation(format!("Invalid Instance ID(s): {id} is not in a running state.")))?;
        if !group.zones().contains(found.zone.as_str()) {
            return Err(Error::Validation(format!(
                "Instance {id} is not in an Availability Zone of the AutoScalingGroup."
            ))
            .into());
        }
        let now = tx.now.iso8601();
        let cause = format!(
            "At {now} an instance was attached in response to a user request, increasing the capacity from {} to {}.",
            group.desired,
            group.desired + 1
        );
        group.desired += 1;
        let details = activities::details(Some(&found.subnet), &found.zone);
        let activity =
            activities::begin(tx, &group, format!("Attaching an existing EC2 instance: {id}"), cause, details);
        let (zone, subnet) = (found.zone, found.subnet);
        tx.put(Member {
            id: id.clone(),
            group: group.name.clone(),
            zone,
            subnet,
            instance_type: found.instance_type,
            image: found.image,
            template: None,
            // Hooks are not waited for: the instance runs already.
            state: Lifecycle::PendingProceed,
            health: Health::Healthy,
            protected: group.protect_new,
            launched: tx.now,
            in_service: None,
            activity: Some(activity.key().to_owned()),
            registered: BTreeSet::new(),
            draining: BTreeSet::new(),
            waiting: None,
        });
    }
    tx.put(group);
    Ok(AttachInstancesOutput::default())
}

/// DetachInstances: they go on running, without the group.
pub fn detach(tx: &mut Tx<'_>, input: &DetachInstancesQuery) -> Result<DetachInstancesAnswer, AwsError> {
    let mut group = active_group(&tx.view(), &input.auto_scaling_group_name)?;
    let chosen = members_of(&tx.view(), &group.name, &input.instance_ids)?;
    check_shrink(&group, chosen.len(), input.should_decrement_desired_capacity, "detach")?;
    let mut activities = Vec::new();
    for mut member in chosen {
        if !matches!(member.state, Lifecycle::InService | Lifecycle::Standby) {
            return Err(Error::Validation(format!("The instance {} is not in InService or Standby.", member.id)).into());
        }
        let counted = member.state.counts();
        let activity = leave(
            tx,
            &mut group,
            &member,
            format!("Detaching EC2 instance: {}", member.id),
            "detached",
            input.should_decrement_desired_capacity && counted,
        );
        deregister(tx, &mut member)?;
        tx.remove::<Member>(&member.id);
        let shown = shape(&activity, true);
        activities::end(tx, Some(activity.key()), ActivityStatus::Successful, None);
        activities.push(shown);
    }
    let (name, now) = (group.name.clone(), tx.now);
    tx.put(group);
    tx.wake(crate::controllers::groups::NAME, &name, Wake::At(now));
    Ok(DetachInstancesAnswer { activities })
}

/// Whether a group may shrink by so many instances.
pub fn check_shrink(group: &Group, by: usize, decrement: bool, verb: &str) -> Result<(), Error> {
    let left = group.desired - i32::try_from(by).unwrap_or(i32::MAX);
    if decrement && left < group.min {
        return Err(Error::Validation(format!(
            "AutoScalingGroup {} has min-size={}, max-size={}, and desired-size={}. To {verb} {by} instance(s), please update the \
             AutoScalingGroup sizes appropriately.",
            group.name, group.min, group.max, group.desired
        )));
    }
    Ok(())
}

/// Begins the activity of an instance that leaves (or stands aside), and lowers the desired capacity with it where it should.
pub fn leave(
    tx: &mut Tx<'_>,
    group: &mut Group,
    member: &Member,
    description: String,
    how: &str,
    decrement: bool,
) -> Activity {
    let now = tx.now.iso8601();
    let before = count(of(&tx.view(), &group.name));
    let mut cause = format!("At {now} instance {} was {how} in response to a user request", member.id);
    if decrement {
        cause = format!("{cause}, shrinking the capacity from {before} to {}", before - 1);
        group.desired -= 1;
    }
    let details = activities::details(Some(&member.subnet), &member.zone);
    let activity = activities::begin(tx, group, description, format!("{cause}."), details);
    activities::progress(tx, Some(activity.key()), ActivityStatus::InProgress, 50);
    tx.get::<Activity>(activity.key()).cloned().unwrap_or(activity)
}
