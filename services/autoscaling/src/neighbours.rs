//! What Auto Scaling asks of EC2, Elastic Load Balancing and CloudWatch: their operations, called as their users call them.

use crate::errors::Error;
use crate::mixed::Override;
use crate::model::Place;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use zonal_cloud::Tx;
use zonal_ec2::shapes as ec2;
use zonal_elbv2::shapes as elbv2;
use zonal_wire::{AwsError, Operation, Time};

/// Calls an operation as Auto Scaling.
fn call(tx: &mut Tx<'_>, service: &str, operation: &str, input: &Value) -> Result<Value, AwsError> {
    tx.as_service("autoscaling", |tx| tx.call_json(service, operation, input))
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}

/// A version of a launch template.
#[derive(Debug, Clone)]
pub struct TemplateVersion {
    /// `lt-…`
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its number.
    pub number: i64,
    /// Its data, as EC2 describes it.
    pub data: Value,
}

/// A launch template by its id or name, and one of its versions (`$Latest` and `$Default` too).
///
/// # Errors
/// It does not exist, worded as Auto Scaling words it.
pub fn template(
    tx: &mut Tx<'_>,
    id: Option<&str>,
    name: Option<&str>,
    version: &str,
) -> Result<TemplateVersion, AwsError> {
    let mut input = json!({ "Versions": [version] });
    match (id, name) {
        (Some(id), _) => input["LaunchTemplateId"] = id.into(),
        (None, Some(name)) => input["LaunchTemplateName"] = name.into(),
        (None, None) => {
            return Err(Error::Validation(
                "Valid requests must contain either launchTemplateId or LaunchTemplateName".to_owned(),
            )
            .into());
        }
    }
    let found = call(tx, "ec2", "DescribeLaunchTemplateVersions", &input).map_err(|error| {
        Error::Validation(format!("You must use a valid fully-formed launch template. {}", error.message))
    })?;
    let version = &found["LaunchTemplateVersions"][0];
    let number = version["VersionNumber"].as_i64().ok_or_else(|| {
        Error::Validation(
            "You must use a valid fully-formed launch template. The specified version does not exist.".to_owned(),
        )
    })?;
    Ok(TemplateVersion {
        id: text(version, "LaunchTemplateId"),
        name: text(version, "LaunchTemplateName"),
        number,
        data: version["LaunchTemplateData"].clone(),
    })
}

/// Subnets with their zones, in the order given.
///
/// # Errors
/// One does not exist.
pub fn subnets(tx: &mut Tx<'_>, ids: &[String]) -> Result<Vec<Place>, AwsError> {
    let found = call(tx, "ec2", "DescribeSubnets", &json!({ "SubnetIds": ids }))
        .map_err(|error| Error::Validation(error.message))?;
    let zones: BTreeMap<String, String> = found["Subnets"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|subnet| (text(subnet, "SubnetId"), text(subnet, "AvailabilityZone")))
        .collect();
    ids.iter()
        .map(|id| match zones.get(id) {
            Some(zone) => Ok(Place { zone: zone.clone(), subnet: Some(id.clone()) }),
            None => Err(Error::Validation(format!("The subnet ID '{id}' does not exist")).into()),
        })
        .collect()
}

/// An instance as EC2 describes it.
#[derive(Debug, Clone)]
pub struct Instance {
    /// `i-…`
    pub id: String,
    /// Where it is in its life.
    pub state: ec2::InstanceStateName,
    /// Its zone.
    pub zone: String,
    /// Its subnet.
    pub subnet: String,
    /// Its type.
    pub instance_type: String,
    /// Its image.
    pub image: String,
    /// Why it is in its state.
    pub reason: String,
}

impl Instance {
    fn of(shape: &ec2::Instance) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let state = shape.state.as_ref().and_then(|state| state.name).unwrap_or_default();
        Self {
            id: text(&shape.instance_id),
            state,
            zone: text(&shape.placement.as_ref().and_then(|placement| placement.availability_zone.clone())),
            subnet: text(&shape.subnet_id),
            instance_type: shape.instance_type.as_ref().map(ToString::to_string).unwrap_or_default(),
            image: text(&shape.image_id),
            reason: text(&shape.state_reason.as_ref().and_then(|reason| reason.message.clone())),
        }
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.state == ec2::InstanceStateName::Running
    }

    /// Whether it can serve no more, and will not again by itself.
    pub fn is_lost(&self) -> bool {
        use ec2::InstanceStateName::{ShuttingDown, Stopped, Stopping, Terminated};
        matches!(self.state, Stopping | Stopped | ShuttingDown | Terminated)
    }

    /// Whether it is gone for good.
    pub fn is_gone(&self) -> bool {
        self.state == ec2::InstanceStateName::Terminated
    }
}

/// Calls an operation by its type, as Auto Scaling: for what is asked often.
fn ask<O: Operation>(tx: &mut Tx<'_>, service: &str, input: &O::Input) -> Result<O::Output, AwsError> {
    tx.as_service("autoscaling", |tx| tx.call::<O>(service, input))
}

/// An instance; `None` where EC2 knows none of that id.
///
/// # Errors
/// EC2's, but for that.
pub fn instance(tx: &mut Tx<'_>, id: &str) -> Result<Option<Instance>, AwsError> {
    let input = ec2::DescribeInstancesRequest { instance_ids: vec![id.to_owned()], ..Default::default() };
    match ask::<ec2::ops::DescribeInstances>(tx, "ec2", &input) {
        Ok(found) => {
            Ok(found.reservations.iter().flat_map(|reservation| &reservation.instances).next().map(Instance::of))
        }
        Err(error) if error.code.starts_with("InvalidInstanceID") => Ok(None),
        Err(error) => Err(error),
    }
}

/// How an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It runs, and its status checks pass or are yet to be made.
    Well,
    /// It runs, and its status checks fail.
    Impaired,
    /// It is on its way to running.
    Starting,
    /// It can serve no more, and will not again by itself; or it is gone.
    Lost,
}

/// How an instance stands, by EC2's status checks.
///
/// # Errors
/// EC2's.
pub fn standing(tx: &mut Tx<'_>, id: &str) -> Result<Standing, AwsError> {
    let input = ec2::DescribeInstanceStatusRequest {
        instance_ids: vec![id.to_owned()],
        include_all_instances: Some(true),
        ..Default::default()
    };
    let found = match ask::<ec2::ops::DescribeInstanceStatus>(tx, "ec2", &input) {
        Err(error) if error.code.starts_with("InvalidInstanceID") => return Ok(Standing::Lost),
        other => other?,
    };
    let Some(status) = found.instance_statuses.first() else { return Ok(Standing::Lost) };
    let fails = |summary: &Option<ec2::InstanceStatusSummary>| {
        summary.as_ref().and_then(|summary| summary.status) == Some(ec2::SummaryStatus::Impaired)
    };
    Ok(match status.instance_state.as_ref().and_then(|state| state.name) {
        Some(ec2::InstanceStateName::Running) if fails(&status.instance_status) || fails(&status.system_status) => {
            Standing::Impaired
        }
        Some(ec2::InstanceStateName::Running) => Standing::Well,
        Some(ec2::InstanceStateName::Pending) => Standing::Starting,
        _ => Standing::Lost,
    })
}

/// What an instance is launched with.
pub struct Launch<'a> {
    /// The template's version.
    pub template: &'a TemplateVersion,
    /// What is put in the template's place.
    pub choice: Option<&'a Override>,
    /// Where.
    pub place: &'a Place,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Makes the call idempotent.
    pub token: String,
}

/// Launches one instance.
///
/// # Errors
/// EC2's: why it cannot be launched.
pub fn launch(tx: &mut Tx<'_>, launch: &Launch<'_>) -> Result<Instance, AwsError> {
    let tags: Vec<Value> = launch.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    let mut input = json!({
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": launch.token,
        "LaunchTemplate": { "LaunchTemplateId": launch.template.id, "Version": launch.template.number.to_string() },
        // EC2 joins these with the tags of the template.
        "TagSpecifications": [{ "ResourceType": "instance", "Tags": tags }],
    });
    if let Some(kind) = launch.choice.and_then(|choice| choice.instance_type.as_ref()) {
        input["InstanceType"] = kind.as_str().into();
    }
    if let Some(image) = launch.choice.and_then(|choice| choice.image.as_ref()) {
        input["ImageId"] = image.as_str().into();
    }
    match &launch.place.subnet {
        // Where the template lists interfaces, EC2 takes it as the first one's.
        Some(subnet) => input["SubnetId"] = subnet.as_str().into(),
        None => input["Placement"] = json!({ "AvailabilityZone": launch.place.zone }),
    }
    let made = call(tx, "ec2", "RunInstances", &input)?;
    let id = text(&made["Instances"][0], "InstanceId");
    instance(tx, &id)?.ok_or_else(|| AwsError::internal(format!("EC2 does not know {id}, which it has just launched")))
}

/// Checks that there are such instance types.
///
/// # Errors
/// There is none of one's name.
pub fn check_types(tx: &mut Tx<'_>, types: &[&str]) -> Result<(), AwsError> {
    if types.is_empty() {
        return Ok(());
    }
    match call(tx, "ec2", "DescribeInstanceTypes", &json!({ "InstanceTypes": types })) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::Validation(error.message).into()),
    }
}

/// Terminates an instance; one that is gone already is no error.
///
/// # Errors
/// EC2's.
pub fn terminate(tx: &mut Tx<'_>, id: &str) -> Result<(), AwsError> {
    match call(tx, "ec2", "TerminateInstances", &json!({ "InstanceIds": [id] })) {
        Err(error) if !error.code.starts_with("InvalidInstanceID") => Err(error),
        _ => Ok(()),
    }
}

/// Whether a target group exists.
///
/// # Errors
/// It does not, worded as Auto Scaling words it.
pub fn check_target_groups(tx: &mut Tx<'_>, arns: &[String]) -> Result<(), AwsError> {
    if arns.is_empty() {
        return Ok(());
    }
    match call(tx, "elbv2", "DescribeTargetGroups", &json!({ "TargetGroupArns": arns })) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(Error::Validation(format!("Provided Target Groups may not be valid. {}", error.message)).into())
        }
    }
}

/// Registers an instance with a target group. A target group that is gone is no error: the group goes on without it.
///
/// # Errors
/// Elastic Load Balancing's, but for that.
pub fn register(tx: &mut Tx<'_>, target_group: &str, id: &str) -> Result<(), AwsError> {
    pass_gone(
        call(tx, "elbv2", "RegisterTargets", &json!({ "TargetGroupArn": target_group, "Targets": [{ "Id": id }] }))
            .map(drop),
    )
}

/// Deregisters it.
///
/// # Errors
/// As [`register`].
pub fn deregister(tx: &mut Tx<'_>, target_group: &str, id: &str) -> Result<(), AwsError> {
    pass_gone(
        call(tx, "elbv2", "DeregisterTargets", &json!({ "TargetGroupArn": target_group, "Targets": [{ "Id": id }] }))
            .map(drop),
    )
}

fn pass_gone(result: Result<(), AwsError>) -> Result<(), AwsError> {
    match result {
        Err(error) if matches!(&*error.code, "TargetGroupNotFound" | "InvalidTarget") => Ok(()),
        other => other,
    }
}

/// What a target group says of an instance; `None` where it is gone itself.
///
/// # Errors
/// Elastic Load Balancing's, but for a target or target group that is gone.
pub fn target_state(
    tx: &mut Tx<'_>,
    target_group: &str,
    id: &str,
) -> Result<Option<elbv2::TargetHealthStateEnum>, AwsError> {
    let input = elbv2::DescribeTargetHealthInput {
        target_group_arn: target_group.to_owned(),
        targets: vec![elbv2::TargetDescription { id: id.to_owned(), ..Default::default() }],
        ..Default::default()
    };
    match ask::<elbv2::ops::DescribeTargetHealth>(tx, "elbv2", &input) {
        Ok(found) => Ok(found
            .target_health_descriptions
            .first()
            .and_then(|description| description.target_health.as_ref())
            .and_then(|health| health.state)),
        Err(error) if matches!(&*error.code, "TargetGroupNotFound" | "InvalidTarget") => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes an alarm, or configures it anew.
///
/// # Errors
/// CloudWatch's.
pub fn put_alarm(tx: &mut Tx<'_>, alarm: &Value) -> Result<(), AwsError> {
    call(tx, "cloudwatch", "PutMetricAlarm", alarm).map(drop)
}

/// Deletes alarms; those that are gone already are no error.
///
/// # Errors
/// CloudWatch's.
pub fn delete_alarms(tx: &mut Tx<'_>, names: &[String]) -> Result<(), AwsError> {
    for name in names {
        match call(tx, "cloudwatch", "DeleteAlarms", &json!({ "AlarmNames": [name] })) {
            Err(error) if !error.code.starts_with("ResourceNotFound") => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The names of the alarms that have this policy as an action, in that state or any.
///
/// # Errors
/// CloudWatch's.
pub fn alarms_of(tx: &mut Tx<'_>, policy_arn: &str, state: Option<&str>) -> Result<Vec<String>, AwsError> {
    let mut input = json!({ "ActionPrefix": policy_arn });
    if let Some(state) = state {
        input["StateValue"] = state.into();
    }
    let found = call(tx, "cloudwatch", "DescribeAlarms", &input)?;
    Ok(found["MetricAlarms"].as_array().into_iter().flatten().map(|alarm| text(alarm, "AlarmName")).collect())
}

/// Publishes a group's metrics for the minute that begins then.
///
/// # Errors
/// CloudWatch's.
pub fn publish(tx: &mut Tx<'_>, group: &str, minute: Time, values: &[(&str, f64)]) -> Result<(), AwsError> {
    let data: Vec<Value> = values
        .iter()
        .map(|(name, value)| {
            json!({
                "MetricName": name,
                "Value": value,
                "Unit": "None",
                "Timestamp": minute.iso8601(),
                "Dimensions": [{ "Name": "AutoScalingGroupName", "Value": group }],
            })
        })
        .collect();
    call(tx, "cloudwatch", "PutMetricData", &json!({ "Namespace": "AWS/AutoScaling", "MetricData": data })).map(drop)
}
