//! CreateAutoScalingGroup, and what it shares with UpdateAutoScalingGroup: where a group launches, and what.

use crate::balance::TERMINATION_POLICIES;
use crate::configuration::Configuration;
use crate::errors::Error;
use crate::mixed;
use crate::model::{Group, GroupState, Place, Protection, Template};
use crate::neighbours;
use crate::operations::{hooks, tags};
use crate::shapes::{
    CreateAutoScalingGroupOutput, CreateAutoScalingGroupType, DeletionProtection, LaunchTemplateSpecification,
    MixedInstancesPolicy,
};
use std::collections::{BTreeMap, BTreeSet};
use zonal_cloud::regions::Region;
use zonal_cloud::{Tx, ids};
use zonal_wire::AwsError;

/// Makes a group; its instances follow.
pub fn create(tx: &mut Tx<'_>, input: &CreateAutoScalingGroupType) -> Result<CreateAutoScalingGroupOutput, AwsError> {
    let name = input.auto_scaling_group_name.as_str();
    if name.contains(':') || name.chars().any(char::is_control) {
        return Err(Error::Validation("Group name must not contain a colon or control characters.".to_owned()).into());
    }
    if tx.get::<Group>(name).is_some() {
        return Err(Error::AlreadyExists(format!(
            "AutoScalingGroup by this name already exists - A group with the name {name} already exists"
        ))
        .into());
    }
    refuse(&[
        ("LaunchConfigurationName", input.launch_configuration_name.is_some()),
        ("InstanceId", input.instance_id.is_some()),
        ("LoadBalancerNames", !input.load_balancer_names.is_empty()),
        ("AvailabilityZoneIds", !input.availability_zone_ids.is_empty()),
        ("PlacementGroup", input.placement_group.is_some()),
        ("InstanceMaintenancePolicy", input.instance_maintenance_policy.is_some()),
        ("CapacityReservationSpecification", input.capacity_reservation_specification.is_some()),
        ("InstanceLifecyclePolicy", input.instance_lifecycle_policy.is_some()),
    ])?;
    let (template, mixed) = match (&input.launch_template, &input.mixed_instances_policy) {
        (Some(template), None) => (template_of(tx, template)?, None),
        (None, Some(policy)) => {
            let (template, mixed) = mixed::of(tx, policy, None)?;
            (template, Some(mixed))
        }
        _ => return Err(one_of_both().into()),
    };
    let (places, by_subnet) = places(tx, input.vpc_zone_identifier.as_deref(), &input.availability_zones)?;
    let mut target_groups = input.target_group_arns.clone();
    for source in &input.traffic_sources {
        match source.type_.as_deref() {
            None | Some("elbv2") => target_groups.push(source.identifier.clone()),
            Some(other) => return Err(Error::unsupported(&format!("TrafficSources.Type = {other}")).into()),
        }
    }
    target_groups.dedup();
    neighbours::check_target_groups(tx, &target_groups)?;
    let (min, max) = (input.min_size, input.max_size);
    bounds(min, max)?;
    let desired = input.desired_capacity.unwrap_or(min);
    within(desired, min, max)?;
    let health_check_type = health_check(input.health_check_type.as_deref().unwrap_or("EC2"))?;
    let now = tx.now;
    let cause = (desired > 0).then(|| {
        format!(
            "At {} a user request created an AutoScalingGroup changing the desired capacity from 0 to {desired}.",
            now.iso8601()
        )
    });
    let mut group = Group {
        name: name.to_owned(),
        uuid: ids::uuid(tx.chance()),
        template,
        mixed,
        min,
        max,
        desired,
        cooldown: input.default_cooldown.unwrap_or(300),
        places,
        by_subnet,
        target_groups,
        health_check_type,
        grace: input.health_check_grace_period.unwrap_or(0),
        created: now,
        suspended: BTreeMap::new(),
        metrics: BTreeSet::new(),
        state: GroupState::Active,
        protection: input.deletion_protection.map(protection).unwrap_or_default(),
        tags: BTreeMap::new(),
        termination_policies: termination_policies(&input.termination_policies)?,
        protect_new: input.new_instances_protected_from_scale_in.unwrap_or(false),
        warmup: input.default_instance_warmup.filter(|seconds| *seconds >= 0),
        max_lifetime: input.max_instance_lifetime.filter(|seconds| *seconds > 0),
        capacity_rebalance: input.capacity_rebalance,
        context: input.context.clone(),
        service_role: input.service_linked_role_arn.clone(),
        cause,
        scaled: None,
        zone_failures: BTreeMap::new(),
        rebalancing: None,
    };
    let by_service = tx.caller.is_service();
    for tag in &input.tags {
        tags::add(&mut group, tag, by_service)?;
    }
    tx.put(group);
    for hook in &input.lifecycle_hook_specification_list {
        hooks::put_specified(tx, name, hook)?;
    }
    Ok(CreateAutoScalingGroupOutput::default())
}

/// A request that gives a template and a policy, or neither.
fn one_of_both() -> Error {
    let text = "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.";
    Error::Validation(text.to_owned())
}

/// What a request changes of what a group launches: a template takes a policy's place, and a policy a template's. `None` where it gives
/// neither.
pub fn relaunching(
    tx: &mut Tx<'_>,
    group: &Group,
    template: Option<&LaunchTemplateSpecification>,
    policy: Option<&MixedInstancesPolicy>,
) -> Result<Option<Configuration>, AwsError> {
    match (template, policy) {
        (Some(_), Some(_)) => Err(one_of_both().into()),
        (Some(template), None) => Ok(Some(Configuration { template: template_of(tx, template)?, mixed: None })),
        (None, Some(policy)) => {
            let own = group.mixed.as_ref().map(|mixed| (&group.template, mixed));
            let (template, mixed) = mixed::of(tx, policy, own)?;
            Ok(Some(Configuration { template, mixed: Some(mixed) }))
        }
        (None, None) => Ok(None),
    }
}

/// Refuses the first parameter that is there and that we do not have.
pub fn refuse(parameters: &[(&str, bool)]) -> Result<(), Error> {
    match parameters.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(Error::unsupported(name)),
        None => Ok(()),
    }
}

/// The launch template that a request names; it must exist.
pub fn template_of(tx: &mut Tx<'_>, given: &LaunchTemplateSpecification) -> Result<Template, AwsError> {
    if given.launch_template_id.is_some() && given.launch_template_name.is_some() {
        return Err(Error::Validation(
            "Valid requests must contain either launchTemplateId or LaunchTemplateName, not both".to_owned(),
        )
        .into());
    }
    let version = given.version.clone().unwrap_or_else(|| "$Default".to_owned());
    let found =
        neighbours::template(tx, given.launch_template_id.as_deref(), given.launch_template_name.as_deref(), &version)?;
    if found.data["ImageId"].as_str().is_none_or(str::is_empty) {
        return Err(Error::Validation(
            "You must use a valid fully-formed launch template. The request must contain the parameter ImageId"
                .to_owned(),
        )
        .into());
    }
    Ok(Template { id: found.id, name: found.name, version })
}

/// Where a group may launch.
pub fn places(tx: &mut Tx<'_>, subnets: Option<&str>, zones: &[String]) -> Result<(Vec<Place>, bool), AwsError> {
    let region = tx.scope.region.clone();
    let known: BTreeSet<String> =
        Region::named(&region).into_iter().flat_map(Region::zones).map(|(name, _)| name).collect();
    if let Some(zone) = zones.iter().find(|zone| !known.contains(*zone)) {
        return Err(Error::Validation(format!("Invalid Availability Zones ['{zone}']")).into());
    }
    let ids: Vec<String> =
        subnets.unwrap_or("").split(',').map(str::trim).filter(|id| !id.is_empty()).map(ToOwned::to_owned).collect();
    if ids.is_empty() {
        if zones.is_empty() {
            return Err(
                Error::Validation("At least one Availability Zone or VPC Subnet is required.".to_owned()).into()
            );
        }
        return Ok((zones.iter().map(|zone| Place { zone: zone.clone(), subnet: None }).collect(), false));
    }
    let places = neighbours::subnets(tx, &ids)?;
    if !zones.is_empty() {
        let own: BTreeSet<&String> = places.iter().map(|place| &place.zone).collect();
        if own != zones.iter().collect() {
            return Err(Error::Validation(
                "The availability zones of the specified subnets and the Auto Scaling group do not match".to_owned(),
            )
            .into());
        }
    }
    Ok((places, true))
}

/// What deletion is protected from.
pub fn protection(given: DeletionProtection) -> Protection {
    match given {
        DeletionProtection::None => Protection::None,
        DeletionProtection::PreventForceDeletion => Protection::Force,
        DeletionProtection::PreventAllDeletion => Protection::All,
    }
}

/// Checks a group's least and most.
pub fn bounds(min: i32, max: i32) -> Result<(), Error> {
    if min < 0 || max < 0 {
        return Err(Error::Validation("Min and max size must not be negative.".to_owned()));
    }
    if min > max {
        return Err(Error::Validation(format!("Max bound, {max}, must be greater than or equal to min bound, {min}")));
    }
    Ok(())
}

/// Checks a desired capacity against them.
pub fn within(desired: i32, min: i32, max: i32) -> Result<(), Error> {
    if (min..=max).contains(&desired) {
        return Ok(());
    }
    Err(Error::Validation(format!(
        "Desired capacity:{desired} must be between the specified min size:{min} and max size:{max}"
    )))
}

/// Checks a health check type: `EC2` and `ELB`, or both.
pub fn health_check(given: &str) -> Result<String, Error> {
    match given.split(',').map(str::trim).find(|kind| !matches!(*kind, "EC2" | "ELB")) {
        None => Ok(given.to_owned()),
        Some(other) => Err(Error::Validation(format!("Health Check Type {other} is not valid: EC2 and ELB are."))),
    }
}

/// Checks termination policies; `Default` where none is given.
pub fn termination_policies(given: &[String]) -> Result<Vec<String>, Error> {
    if given.is_empty() {
        return Ok(vec!["Default".to_owned()]);
    }
    match given.iter().find(|policy| !TERMINATION_POLICIES.contains(&policy.as_str())) {
        None => Ok(given.to_vec()),
        Some(other) => Err(Error::Validation(format!("Invalid termination policy: {other}"))),
    }
}
