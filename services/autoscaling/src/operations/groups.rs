//! Groups: update, delete, describe.

use crate::activities;
use crate::errors::Error;
use crate::mixed;
use crate::model::{Group, GroupState, Health, Lifecycle, Member, Process, Protection, Template};
use crate::neighbours;
use crate::operations::create_group::{
    bounds, health_check, places, protection, refuse, relaunching, termination_policies, within,
};
use crate::operations::{active_group, group, paged};
use crate::refresh;
use crate::shapes::{
    AutoScalingGroup, AutoScalingGroupNamesType, AutoScalingGroupsType, AvailabilityZoneDistribution,
    CapacityDistributionStrategy, DeleteAutoScalingGroupOutput, DeleteAutoScalingGroupType, DeletionProtection,
    EnabledMetric, Instance, LaunchTemplateSpecification, SuspendedProcess, TagDescription, TrafficSourceIdentifier,
    UpdateAutoScalingGroupOutput, UpdateAutoScalingGroupType,
};
use zonal_cloud::filters::{self, Filter};
use zonal_cloud::{Scope, Tx, View};
use zonal_wire::{AwsError, Time};

/// New sizes: what is `None` stays, but for what the others push.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sizes {
    /// The least.
    pub min: Option<i32>,
    /// The most.
    pub max: Option<i32>,
    /// The desired.
    pub desired: Option<i32>,
}

/// Gives a group new sizes. A desired capacity that is not named is moved between the bounds.
///
/// # Errors
/// The sizes contradict each other; nothing is changed then.
pub fn resize(group: &mut Group, sizes: &Sizes, who: &str, now: Time) -> Result<(), Error> {
    let (min, max) = (sizes.min.unwrap_or(group.min), sizes.max.unwrap_or(group.max));
    bounds(min, max)?;
    let desired = match sizes.desired {
        Some(desired) => {
            within(desired, min, max)?;
            desired
        }
        None => group.desired.clamp(min, max),
    };
    if desired != group.desired {
        group.cause = Some(format!(
            "At {} {who} of AutoScalingGroup constraints to min: {min}, max: {max}, desired: {desired} changing the desired capacity \
             from {} to {desired}.",
            now.iso8601(),
            group.desired
        ));
    }
    (group.min, group.max, group.desired) = (min, max, desired);
    Ok(())
}

/// Why what a refresh is to bring about cannot be changed meanwhile, in AWS's words.
const REFRESHED: &str = "An active instance refresh with a desired configuration exists. All configuration options derived from the desired configuration are not available for update while the instance refresh is active.";

/// UpdateAutoScalingGroup.
pub fn update(tx: &mut Tx<'_>, input: &UpdateAutoScalingGroupType) -> Result<UpdateAutoScalingGroupOutput, AwsError> {
    let mut group = active_group(&tx.view(), &input.auto_scaling_group_name)?;
    refuse(&[
        ("LaunchConfigurationName", input.launch_configuration_name.is_some()),
        ("AvailabilityZoneIds", !input.availability_zone_ids.is_empty()),
        ("PlacementGroup", input.placement_group.as_ref().is_some_and(|name| !name.is_empty())),
        ("InstanceMaintenancePolicy", input.instance_maintenance_policy.is_some()),
        ("CapacityReservationSpecification", input.capacity_reservation_specification.is_some()),
        ("InstanceLifecyclePolicy", input.instance_lifecycle_policy.is_some()),
    ])?;
    let given = relaunching(tx, &group, input.launch_template.as_ref(), input.mixed_instances_policy.as_ref())?;
    if let Some(configuration) = given {
        if refresh::active(&tx.view(), &group.name).is_some_and(|refresh| refresh.configuration.is_some()) {
            return Err(Error::Validation(REFRESHED.to_owned()).into());
        }
        group.configure(configuration);
    }
    if input.vpc_zone_identifier.is_some() || !input.availability_zones.is_empty() {
        (group.places, group.by_subnet) = places(tx, input.vpc_zone_identifier.as_deref(), &input.availability_zones)?;
    }
    let sizes = Sizes { min: input.min_size, max: input.max_size, desired: input.desired_capacity };
    resize(&mut group, &sizes, "a user request update", tx.now)?;
    group.cooldown = input.default_cooldown.unwrap_or(group.cooldown);
    if let Some(kind) = &input.health_check_type {
        group.health_check_type = health_check(kind)?;
    }
    group.grace = input.health_check_grace_period.unwrap_or(group.grace);
    if !input.termination_policies.is_empty() {
        group.termination_policies = termination_policies(&input.termination_policies)?;
    }
    group.protect_new = input.new_instances_protected_from_scale_in.unwrap_or(group.protect_new);
    if let Some(seconds) = input.default_instance_warmup {
        // -1 takes it away.
        group.warmup = (seconds >= 0).then_some(seconds);
    }
    if let Some(seconds) = input.max_instance_lifetime {
        group.max_lifetime = (seconds > 0).then_some(seconds);
    }
    group.protection = input.deletion_protection.map_or(group.protection, protection);
    group.capacity_rebalance = input.capacity_rebalance.or(group.capacity_rebalance);
    group.context = input.context.clone().or(group.context);
    group.service_role = input.service_linked_role_arn.clone().or(group.service_role);
    tx.put(group);
    Ok(UpdateAutoScalingGroupOutput::default())
}

/// DeleteAutoScalingGroup: without force only an empty one.
pub fn delete(tx: &mut Tx<'_>, input: &DeleteAutoScalingGroupType) -> Result<DeleteAutoScalingGroupOutput, AwsError> {
    let mut group = group(&tx.view(), &input.auto_scaling_group_name)?;
    let forced = input.force_delete.unwrap_or(false);
    if group.protection == Protection::All || (forced && group.protection == Protection::Force) {
        return Err(
            Error::ResourceInUse(format!("The AutoScalingGroup {} is protected from deletion.", group.name)).into()
        );
    }
    let has_members = tx.owned_by::<Member>(&group.name).next().is_some();
    if !forced {
        if has_members || group.desired > 0 {
            return Err(Error::ResourceInUse(
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group."
                    .to_owned(),
            )
            .into());
        }
        if activities::is_busy(tx, &group) {
            return Err(Error::ScalingActivityInProgress(format!(
                "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group: {}.",
                group.name
            ))
            .into());
        }
    }
    if group.state == GroupState::Active {
        let now = tx.now.iso8601();
        group.cause = (group.desired > 0).then(|| {
            format!(
                "At {now} a user request force deleted AutoScalingGroup changing the desired capacity from {} to 0.",
                group.desired
            )
        });
        (group.min, group.max, group.desired) = (0, 0, 0);
        group.state = GroupState::Deleting;
        tx.put(group);
    }
    Ok(DeleteAutoScalingGroupOutput::default())
}

/// DescribeAutoScalingGroups.
pub fn describe(view: &View<'_>, input: &AutoScalingGroupNamesType) -> Result<AutoScalingGroupsType, AwsError> {
    let filters: Vec<Filter> = input
        .filters
        .iter()
        .map(|filter| Filter { name: filter.name.clone().unwrap_or_default(), values: filter.values.clone() })
        .collect();
    let mut items = Vec::new();
    for group in view.list::<Group>() {
        let named = input.auto_scaling_group_names.is_empty() || input.auto_scaling_group_names.contains(&group.name);
        if named && passes(group, &filters)? {
            items.push((group.name.clone(), group));
        }
    }
    let (page, next_token) = paged(items, input.next_token.as_deref(), input.max_records)?;
    let included = input.include_instances.unwrap_or(true);
    let members = |group: &Group| if included { view.owned_by(&group.name).collect::<Vec<_>>() } else { Vec::new() };
    let auto_scaling_groups = page.into_iter().map(|group| shape(view.scope, group, &members(group))).collect();
    Ok(AutoScalingGroupsType { auto_scaling_groups, next_token })
}

/// Whether a group that the request names is on its way to what is desired of it, and soon there: what drains, or waits for a zone to
/// have room again, is not waited for.
pub fn unsettled(view: &View<'_>, input: &AutoScalingGroupNamesType) -> bool {
    input.auto_scaling_group_names.iter().filter_map(|name| view.get::<Group>(name)).any(|group| {
        let (mut counted, mut pending) = (0, false);
        for member in view.owned_by::<Member>(&group.name) {
            counted += i32::from(member.state.counts());
            pending |= member.state == Lifecycle::Pending;
        }
        let launches = group.does(Process::Launch) && group.zone_failures.is_empty();
        pending || (counted < group.desired && launches)
    })
}

fn passes(group: &Group, filters: &[Filter]) -> Result<bool, Error> {
    filters::pass(filters, |name| match name {
        "tag-key" => Some(group.tags.keys().cloned().collect()),
        "tag-value" => Some(group.tags.values().map(|tag| tag.value.clone()).collect()),
        _ => {
            let key = name.strip_prefix("tag:")?;
            Some(group.tags.get(key).map(|tag| tag.value.clone()).into_iter().collect())
        }
    })
    .map_err(|name| Error::Validation(format!("Invalid filter '{name}': tag-key, tag-value and tag:KEY are.")))
}

/// A template as shapes have it.
pub fn shown_template(template: &Template) -> LaunchTemplateSpecification {
    LaunchTemplateSpecification {
        launch_template_id: Some(template.id.clone()),
        launch_template_name: Some(template.name.clone()),
        version: Some(template.version.clone()),
    }
}

/// `Healthy` or `Unhealthy`.
pub fn shown_health(health: &Health) -> &'static str {
    match health {
        Health::Healthy => "Healthy",
        Health::Unhealthy(_) => "Unhealthy",
    }
}

fn shown_member(member: &Member) -> Instance {
    Instance {
        instance_id: member.id.clone(),
        instance_type: Some(member.instance_type.clone()),
        availability_zone: member.zone.clone(),
        // Ours are a part of AWS's states, whose names they have.
        lifecycle_state: member.state.as_str().parse().unwrap_or_default(),
        health_status: shown_health(&member.health).to_owned(),
        launch_template: member.template.as_ref().map(shown_template),
        image_id: Some(member.image.clone()),
        protected_from_scale_in: member.protected,
        ..Default::default()
    }
}

/// A tag as shapes have it.
pub fn shown_tag(group: &str, key: &str, tag: &crate::model::GroupTag) -> TagDescription {
    TagDescription {
        resource_id: Some(group.to_owned()),
        resource_type: Some("auto-scaling-group".to_owned()),
        key: Some(key.to_owned()),
        value: Some(tag.value.clone()),
        propagate_at_launch: Some(tag.propagate),
    }
}

fn shape(scope: &Scope, group: &Group, members: &[&Member]) -> AutoScalingGroup {
    let subnets: Vec<&str> = group.places.iter().filter_map(|place| place.subnet.as_deref()).collect();
    let role = || {
        format!(
            "arn:aws:iam::{}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
            scope.account
        )
    };
    let source = |arn: &String| TrafficSourceIdentifier { identifier: arn.clone(), type_: Some("elbv2".to_owned()) };
    AutoScalingGroup {
        auto_scaling_group_name: group.name.clone(),
        auto_scaling_group_arn: Some(group.arn(scope)),
        launch_template: group.mixed.is_none().then(|| shown_template(&group.template)),
        mixed_instances_policy: mixed::shown(&group.template, group.mixed.as_ref()),
        min_size: group.min,
        max_size: group.max,
        desired_capacity: group.desired,
        default_cooldown: group.cooldown,
        availability_zones: group.zones().into_iter().map(ToOwned::to_owned).collect(),
        target_group_arns: group.target_groups.clone(),
        health_check_type: group.health_check_type.clone(),
        health_check_grace_period: Some(group.grace),
        instances: members.iter().map(|member| shown_member(member)).collect(),
        created_time: group.created,
        suspended_processes: group
            .suspended
            .iter()
            .map(|(process, reason)| SuspendedProcess {
                process_name: Some(process.as_str().to_owned()),
                suspension_reason: Some(reason.clone()),
            })
            .collect(),
        vpc_zone_identifier: Some(subnets.join(",")),
        enabled_metrics: group
            .metrics
            .iter()
            .map(|name| EnabledMetric { metric: Some(name.clone()), granularity: Some("1Minute".to_owned()) })
            .collect(),
        status: (group.state == GroupState::Deleting).then(|| "Delete in progress".to_owned()),
        tags: group.tags.iter().map(|(key, tag)| shown_tag(&group.name, key, tag)).collect(),
        termination_policies: group.termination_policies.clone(),
        new_instances_protected_from_scale_in: Some(group.protect_new),
        service_linked_role_arn: Some(group.service_role.clone().unwrap_or_else(role)),
        max_instance_lifetime: group.max_lifetime,
        capacity_rebalance: group.capacity_rebalance,
        context: group.context.clone(),
        default_instance_warmup: group.warmup,
        deletion_protection: Some(match group.protection {
            Protection::None => DeletionProtection::None,
            Protection::Force => DeletionProtection::PreventForceDeletion,
            Protection::All => DeletionProtection::PreventAllDeletion,
        }),
        traffic_sources: group.target_groups.iter().map(source).collect(),
        availability_zone_distribution: Some(AvailabilityZoneDistribution {
            capacity_distribution_strategy: Some(CapacityDistributionStrategy::BalancedBestEffort),
        }),
        ..Default::default()
    }
}

/// Wakes every instance of a group: what it should be registered with has changed.
pub fn wake_members(tx: &mut Tx<'_>, group: &str) {
    let now = tx.now;
    let ids: Vec<String> = tx.owned_by::<Member>(group).map(|member| member.id.clone()).collect();
    for id in ids {
        tx.wake(crate::controllers::instances::NAME, &id, zonal_cloud::Wake::At(now));
    }
}

/// Puts a group with other target groups, once they are known to exist.
pub fn set_target_groups(tx: &mut Tx<'_>, mut group: Group, arns: Vec<String>) -> Result<(), AwsError> {
    let new: Vec<String> = arns.iter().filter(|arn| !group.target_groups.contains(arn)).cloned().collect();
    neighbours::check_target_groups(tx, &new)?;
    group.target_groups = arns;
    let name = group.name.clone();
    tx.put(group);
    wake_members(tx, &name);
    Ok(())
}
