//! `AWS::AutoScaling::AutoScalingGroup`.

use serde_json::{Map, Value, json};

use super::context::{Context, Failure, deleted, differs, pick, text};
use super::group_actions::put_hook;
use super::schema::{Kind, Property, Update::*, boolean, number, text as member};
use super::{Handler, Progress, ResourceType};

const TEMPLATE: &[Property] = &[member("LaunchTemplateId"), member("LaunchTemplateName"), member("Version").required()];
const OVERRIDE: &[Property] =
    &[member("InstanceType"), Replace.object("LaunchTemplateSpecification", TEMPLATE), member("ImageId")];
const MIXED_TEMPLATE: &[Property] = &[
    Replace.object("LaunchTemplateSpecification", TEMPLATE).required(),
    Replace.of("Overrides", Kind::List(&Kind::Object(OVERRIDE))),
];
const DISTRIBUTION: &[Property] = &[
    member("OnDemandAllocationStrategy"),
    number("OnDemandBaseCapacity"),
    number("OnDemandPercentageAboveBaseCapacity"),
    member("SpotAllocationStrategy"),
    number("SpotInstancePools"),
    member("SpotMaxPrice"),
];
const MIXED: &[Property] = &[
    Replace.object("LaunchTemplate", MIXED_TEMPLATE).required(),
    Replace.object("InstancesDistribution", DISTRIBUTION),
];
const TAG: &[Property] =
    &[member("Key").required(), member("Value").required(), boolean("PropagateAtLaunch").required()];

const METRICS: &[Property] = &[member("Granularity").required(), InPlace.texts("Metrics")];
const HOOK: &[Property] = &[
    member("LifecycleHookName").required(),
    member("LifecycleTransition").required(),
    member("DefaultResult"),
    number("HeartbeatTimeout"),
    member("NotificationMetadata"),
    member("NotificationTargetARN"),
    member("RoleARN"),
];

/// A group. Its physical id is its name.
pub const GROUP: ResourceType = ResourceType {
    name: "AWS::AutoScaling::AutoScalingGroup",
    properties: &[
        Replace.text("AutoScalingGroupName"),
        InPlace.number("MinSize").required(),
        InPlace.number("MaxSize").required(),
        InPlace.number("DesiredCapacity"),
        InPlace.texts("VPCZoneIdentifier"),
        InPlace.texts("AvailabilityZones"),
        InPlace.object("LaunchTemplate", TEMPLATE),
        InPlace.object("MixedInstancesPolicy", MIXED),
        InPlace.texts("TargetGroupARNs"),
        InPlace.text("HealthCheckType"),
        InPlace.number("HealthCheckGracePeriod"),
        InPlace.number("DefaultInstanceWarmup"),
        InPlace.number("Cooldown"),
        InPlace.texts("TerminationPolicies"),
        InPlace.boolean("NewInstancesProtectedFromScaleIn"),
        InPlace.boolean("CapacityRebalance"),
        InPlace.number("MaxInstanceLifetime"),
        InPlace.text("Context"),
        InPlace.text("DesiredCapacityType"),
        InPlace.text("ServiceLinkedRoleARN"),
        InPlace.of("MetricsCollection", Kind::List(&Kind::Object(METRICS))),
        InPlace.of("LifecycleHookSpecificationList", Kind::List(&Kind::Object(HOOK))),
        InPlace.of("Tags", Kind::List(&Kind::Object(TAG))),
    ],
    attributes: &["AutoScalingGroupARN"],
    handler: &Group,
};

const SAME: [&str; 15] = [
    "MinSize",
    "MaxSize",
    "DesiredCapacity",
    "AvailabilityZones",
    "LaunchTemplate",
    "MixedInstancesPolicy",
    "HealthCheckType",
    "HealthCheckGracePeriod",
    "DefaultInstanceWarmup",
    "TerminationPolicies",
    "NewInstancesProtectedFromScaleIn",
    "CapacityRebalance",
    "Context",
    "DesiredCapacityType",
    "ServiceLinkedRoleARN",
];

struct Group;

fn call(cx: &mut Context<'_, '_>, operation: &str, input: Value) -> Result<Value, Failure> {
    cx.call("autoscaling", operation, input)
}

fn list<'v>(properties: &'v Value, name: &str) -> &'v [Value] {
    properties.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

impl Group {
    /// The members that creating and updating have in common.
    fn input(name: &str, properties: &Value) -> Map<String, Value> {
        let mut input = pick(properties, &SAME);
        input.insert("AutoScalingGroupName".to_owned(), json!(name));
        for (property, wire) in [("Cooldown", "DefaultCooldown"), ("MaxInstanceLifetime", "MaxInstanceLifetime")] {
            if let Some(value) = properties.get(property) {
                input.insert(wire.to_owned(), value.clone());
            }
        }
        if properties.get("VPCZoneIdentifier").is_some() {
            let subnets: Vec<&str> = list(properties, "VPCZoneIdentifier").iter().filter_map(Value::as_str).collect();
            input.insert("VPCZoneIdentifier".to_owned(), json!(subnets.join(",")));
        }
        input
    }

    /// Tags of the template, and the stack's, as this service takes them.
    fn tags(cx: &Context<'_, '_>, name: &str, properties: &Value) -> Value {
        let own = list(properties, "Tags");
        let propagates = |key: &str| {
            own.iter()
                .find(|tag| text(tag, "Key") == key)
                .and_then(|tag| tag["PropagateAtLaunch"].as_bool())
                .unwrap_or(true)
        };
        cx.tags(properties).iter().map(|(key, value)| {
            json!({"ResourceId": name, "ResourceType": "auto-scaling-group", "Key": key, "Value": value, "PropagateAtLaunch": propagates(key)})
        }).collect()
    }

    fn find(cx: &mut Context<'_, '_>, id: &str) -> Result<Option<Value>, Failure> {
        let input = json!({"AutoScalingGroupNames": [id]});
        cx.find("autoscaling", "DescribeAutoScalingGroups", input, "AutoScalingGroups")
    }

    /// The metrics that the group sends go from the old list to the new one.
    fn metrics(cx: &mut Context<'_, '_>, name: &str, old: &Value, new: &Value) -> Result<(), Failure> {
        if !differs(old, new, "MetricsCollection") {
            return Ok(());
        }
        if !list(old, "MetricsCollection").is_empty() {
            call(cx, "DisableMetricsCollection", json!({"AutoScalingGroupName": name}))?;
        }
        for collection in list(new, "MetricsCollection") {
            let mut input = pick(collection, &["Granularity", "Metrics"]);
            input.insert("AutoScalingGroupName".to_owned(), json!(name));
            call(cx, "EnableMetricsCollection", input.into())?;
        }
        Ok(())
    }

    fn hooks(cx: &mut Context<'_, '_>, name: &str, old: &Value, new: &Value) -> Result<(), Failure> {
        let hooks = "LifecycleHookSpecificationList";
        let (before, after) = (list(old, hooks), list(new, hooks));
        for hook in after.iter().filter(|hook| !before.contains(hook)) {
            put_hook(cx, &json!(name), text(hook, "LifecycleHookName"), hook)?;
        }
        let kept = |hook: &Value| after.iter().any(|other| other["LifecycleHookName"] == hook["LifecycleHookName"]);
        for hook in before.iter().filter(|hook| !kept(hook)) {
            let input = json!({"AutoScalingGroupName": name, "LifecycleHookName": hook["LifecycleHookName"]});
            call(cx, "DeleteLifecycleHook", input)?;
        }
        Ok(())
    }

    /// Why the group does not get its instances: its newest activity, where that failed.
    fn trouble(cx: &mut Context<'_, '_>, id: &str) -> Result<Option<String>, Failure> {
        let input = json!({"AutoScalingGroupName": id, "MaxRecords": 1});
        let newest = cx.find("autoscaling", "DescribeScalingActivities", input, "Activities")?;
        Ok(newest
            .filter(|activity| text(activity, "StatusCode") == "Failed")
            .map(|activity| text(&activity, "StatusMessage").to_owned()))
    }
}

impl Handler for Group {
    fn create(&self, cx: &mut Context<'_, '_>, properties: &Value) -> Result<String, Failure> {
        let name = match text(properties, "AutoScalingGroupName") {
            "" => cx.name(255),
            name => name.to_owned(),
        };
        let mut input = Self::input(&name, properties);
        if properties.get("TargetGroupARNs").is_some() {
            input.insert("TargetGroupARNs".to_owned(), properties["TargetGroupARNs"].clone());
        }
        // Hooks come with the group, so that they hold its first instances too.
        if let Some(hooks) = properties.get("LifecycleHookSpecificationList") {
            input.insert("LifecycleHookSpecificationList".to_owned(), hooks.clone());
        }
        input.insert("Tags".to_owned(), Self::tags(cx, &name, properties));
        call(cx, "CreateAutoScalingGroup", input.into())?;
        Self::metrics(cx, &name, &json!({}), properties)?;
        Ok(name)
    }

    /// A group is ready when as many instances as it wants are in service.
    fn settle(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        let group = Self::find(cx, id)?.ok_or_else(|| Failure::Unfit(format!("group {id} is gone")))?;
        let serving =
            list(&group, "Instances").iter().filter(|instance| text(instance, "LifecycleState") == "InService").count();
        let wanted = group["DesiredCapacity"].as_u64().unwrap_or(0);
        if u64::try_from(serving).unwrap_or(u64::MAX) >= wanted {
            return Ok(Progress::Done);
        }
        match Self::trouble(cx, id)? {
            None => Ok(Progress::Waiting),
            Some(reason) => Err(Failure::Unfit(format!(
                "Group did not stabilize. {{current/minSize/maxSize}} group size = {serving}/{}/{}. Failed Scaling Activity: {reason}",
                group["MinSize"], group["MaxSize"]
            ))),
        }
    }

    fn update(&self, cx: &mut Context<'_, '_>, id: &mut String, old: &Value, new: &Value) -> Result<Progress, Failure> {
        let same = |properties: &Value| Self::input(id, properties);
        if same(old) != same(new) {
            call(cx, "UpdateAutoScalingGroup", same(new).into())?;
        }
        for (operation, from, to) in
            [("AttachLoadBalancerTargetGroups", old, new), ("DetachLoadBalancerTargetGroups", new, old)]
        {
            let kept = list(from, "TargetGroupARNs");
            let moved: Vec<&Value> = list(to, "TargetGroupARNs").iter().filter(|arn| !kept.contains(arn)).collect();
            if !moved.is_empty() {
                call(cx, operation, json!({"AutoScalingGroupName": *id, "TargetGroupARNs": moved}))?;
            }
        }
        Self::metrics(cx, id, old, new)?;
        Self::hooks(cx, id, old, new)?;
        if differs(old, new, "Tags") {
            let removed: Vec<Value> = list(old, "Tags")
                .iter()
                .filter(|tag| !list(new, "Tags").iter().any(|other| other["Key"] == tag["Key"]))
                .map(|tag| json!({"ResourceId": *id, "ResourceType": "auto-scaling-group", "Key": tag["Key"]}))
                .collect();
            if !removed.is_empty() {
                call(cx, "DeleteTags", json!({"Tags": removed}))?;
            }
            let tags = Self::tags(cx, id, new);
            call(cx, "CreateOrUpdateTags", json!({"Tags": tags}))?;
        }
        Ok(Progress::Done)
    }

    fn delete(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value) -> Result<Progress, Failure> {
        match Self::find(cx, id)? {
            None => Ok(Progress::Done),
            Some(group) if !text(&group, "Status").is_empty() => Ok(Progress::Waiting),
            Some(_) => {
                deleted(call(cx, "DeleteAutoScalingGroup", json!({"AutoScalingGroupName": id, "ForceDelete": true})))?;
                // Its instances must be gone before what they use can go.
                Ok(if Self::find(cx, id)?.is_some() { Progress::Waiting } else { Progress::Done })
            }
        }
    }

    fn attribute(&self, cx: &mut Context<'_, '_>, id: &str, _: &Value, name: &str) -> Result<Value, Failure> {
        let group = Self::find(cx, id)?.ok_or_else(|| Failure::Unfit(format!("group {id} is gone")))?;
        Ok(group[name].clone())
    }
}
