//! What a rolling update sees of a group, and does to it, by the operations that its user would call.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::context::{Context, Failure, text};

/// A group as a rolling update sees it.
pub struct Group {
    /// Its instances, those that leave it among them.
    pub members: Vec<Member>,
    /// The ids of its instances that are not what the group starts now.
    pub obsolete: Vec<String>,
    /// Its sizes.
    pub sizes: Sizes,
}

/// An instance of a group.
pub struct Member {
    /// Its id.
    pub id: String,
    /// Whether it is leaving the group.
    pub leaves: bool,
    version: String,
    template: String,
    kind: String,
    zone: String,
}

/// A group's sizes.
pub struct Sizes {
    /// The least.
    pub min: i64,
    /// The most.
    pub max: i64,
    /// The desired.
    pub desired: i64,
}

fn call(cx: &mut Context<'_, '_>, operation: &str, input: Value) -> Result<Value, Failure> {
    cx.call("autoscaling", operation, input)
}

impl Group {
    /// Looks at a group.
    ///
    /// # Errors
    /// What the service says, or that it is gone.
    pub fn look(cx: &mut Context<'_, '_>, name: &str) -> Result<Group, Failure> {
        let input = json!({"AutoScalingGroupNames": [name]});
        let group = cx.get("autoscaling", "DescribeAutoScalingGroups", input, "AutoScalingGroups")?;
        let members: Vec<Member> = group["Instances"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|instance| Member {
                id: text(instance, "InstanceId").to_owned(),
                leaves: text(instance, "LifecycleState").starts_with("Terminat"),
                version: text(&instance["LaunchTemplate"], "Version").to_owned(),
                template: text(&instance["LaunchTemplate"], "LaunchTemplateId").to_owned(),
                kind: text(instance, "InstanceType").to_owned(),
                zone: text(instance, "AvailabilityZone").to_owned(),
            })
            .collect();
        let size = |name: &str| group[name].as_i64().unwrap_or(0);
        let sizes = Sizes { min: size("MinSize"), max: size("MaxSize"), desired: size("DesiredCapacity") };
        let (own, kind) = launched(&group);
        let template = text(own, "LaunchTemplateId").to_owned();
        let mut versions = BTreeMap::new();
        let wanted = number_of(cx, &template, text(own, "Version"), &mut versions)?;
        let subnets = Self::subnets(cx, &members)?;
        let places = text(&group, "VPCZoneIdentifier");
        let zones: Vec<&str> =
            group["AvailabilityZones"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut obsolete = Vec::new();
        for member in members.iter().filter(|member| !member.leaves) {
            let version = number_of(cx, &member.template, &member.version, &mut versions)?;
            let subnet = subnets.get(&member.id);
            let misplaced = if places.is_empty() {
                !zones.contains(&member.zone.as_str())
            } else {
                subnet.is_some_and(|subnet| !places.split(',').any(|place| place == subnet))
            };
            let another = kind.is_some_and(|kind| kind != member.kind);
            if member.template != template || version != wanted || another || misplaced {
                obsolete.push(member.id.clone());
            }
        }
        Ok(Group { members, obsolete, sizes })
    }

    fn subnets(cx: &mut Context<'_, '_>, members: &[Member]) -> Result<BTreeMap<String, String>, Failure> {
        let ids: Vec<&str> = members.iter().filter(|member| !member.leaves).map(|member| member.id.as_str()).collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let found = cx.ec2("DescribeInstances", json!({"InstanceIds": ids}))?;
        let reservations = found["Reservations"].as_array().into_iter().flatten();
        let instances = reservations.flat_map(|reservation| reservation["Instances"].as_array().into_iter().flatten());
        Ok(instances
            .map(|instance| (text(instance, "InstanceId").to_owned(), text(instance, "SubnetId").to_owned()))
            .collect())
    }
}

/// The template that a group launches of, and the instance type that it puts in the template's place.
fn launched(group: &Value) -> (&Value, Option<&str>) {
    let policy = &group["MixedInstancesPolicy"]["LaunchTemplate"];
    if policy.is_null() {
        return (&group["LaunchTemplate"], None);
    }
    // The first choice is what is launched.
    let first = &policy["Overrides"][0];
    let own = first.get("LaunchTemplateSpecification").filter(|own| !own.is_null());
    let kind = first.get("InstanceType").and_then(Value::as_str).filter(|kind| !kind.is_empty());
    (own.unwrap_or(&policy["LaunchTemplateSpecification"]), kind)
}

/// A template's version by its number, where it is named `$Latest` or `$Default`.
fn number_of(
    cx: &mut Context<'_, '_>,
    template: &str,
    version: &str,
    known: &mut BTreeMap<(String, String), String>,
) -> Result<String, Failure> {
    if !version.starts_with('$') {
        return Ok(version.to_owned());
    }
    let key = (template.to_owned(), version.to_owned());
    if let Some(number) = known.get(&key) {
        return Ok(number.clone());
    }
    let input = json!({"LaunchTemplateId": template, "Versions": [version]});
    let found = cx.get("ec2", "DescribeLaunchTemplateVersions", input, "LaunchTemplateVersions")?;
    let number = found["VersionNumber"].to_string();
    known.insert(key, number.clone());
    Ok(number)
}

/// Gives a group a least and a desired size.
///
/// # Errors
/// What the service says.
pub fn resize(cx: &mut Context<'_, '_>, group: &str, min: i64, desired: i64) -> Result<(), Failure> {
    let input = json!({"AutoScalingGroupName": group, "MinSize": min, "DesiredCapacity": desired});
    call(cx, "UpdateAutoScalingGroup", input).map(drop)
}

/// Gives a group a least size.
///
/// # Errors
/// What the service says.
pub fn set_min(cx: &mut Context<'_, '_>, group: &str, min: i64) -> Result<(), Failure> {
    call(cx, "UpdateAutoScalingGroup", json!({"AutoScalingGroupName": group, "MinSize": min})).map(drop)
}

/// Ends an instance; another takes its place unless the group shrinks.
///
/// # Errors
/// What the service says.
pub fn terminate(cx: &mut Context<'_, '_>, instance: &str, shrinks: bool) -> Result<(), Failure> {
    let input = json!({"InstanceId": instance, "ShouldDecrementDesiredCapacity": shrinks});
    call(cx, "TerminateInstanceInAutoScalingGroup", input).map(drop)
}

/// Suspends processes of a group.
///
/// # Errors
/// What the service says.
pub fn suspend(cx: &mut Context<'_, '_>, group: &str, processes: &[String]) -> Result<(), Failure> {
    call(cx, "SuspendProcesses", json!({"AutoScalingGroupName": group, "ScalingProcesses": processes})).map(drop)
}

/// Resumes them.
///
/// # Errors
/// What the service says.
pub fn resume(cx: &mut Context<'_, '_>, group: &str, processes: &[String]) -> Result<(), Failure> {
    call(cx, "ResumeProcesses", json!({"AutoScalingGroupName": group, "ScalingProcesses": processes})).map(drop)
}
