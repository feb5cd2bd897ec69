//! Groups keep their size, heal, and are even over their zones.

use crate::yard::{START, Yard, items};
use serde_json::{Value, json};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_group_launches_what_it_desires_evenly_over_its_zones() {
    let yard = Yard::new();
    yard.group(
        "asg",
        "ab",
        (1, 4, 6),
        json!({ "Tags": [{ "Key": "Name", "Value": "web", "PropagateAtLaunch": true }] }),
    );
    yard.serving(MINUTE, "asg", 4);
    assert_eq!(yard.zones("asg"), "aabb");
    let group = yard.described("asg");
    assert_eq!(group["HealthCheckGracePeriod"], 0);
    assert_eq!(group["DefaultCooldown"], 300);
    assert_eq!(group["TerminationPolicies"], json!(["Default"]));
    assert_eq!(group["Instances"][0]["LaunchTemplate"]["Version"], "1");

    let id = group["Instances"][0]["InstanceId"].as_str().unwrap();
    let found = yard.call("ec2", "DescribeInstances", json!({ "InstanceIds": [id] }));
    let tags = found["Reservations"][0]["Instances"][0]["Tags"].as_array().unwrap();
    for tag in [json!({ "Key": "aws:autoscaling:groupName", "Value": "asg" }), json!({ "Key": "Name", "Value": "web" })]
    {
        assert!(tags.contains(&tag), "{tag} in {tags:?}");
    }

    let activities = yard.activities("asg");
    assert_eq!(activities.len(), 4);
    let (status, description, cause) = &activities[0];
    assert_eq!(status, "Successful");
    assert!(description.starts_with("Launching a new EC2 instance: i-"), "{description}");
    assert_eq!(
        cause,
        "At 2026-11-24T16:00:00Z a user request created an AutoScalingGroup changing the desired capacity from 0 to 4.  At \
         2026-11-24T16:00:00Z an instance was started in response to a difference between desired and actual capacity, increasing the \
         capacity from 0 to 4."
    );
}

#[test]
fn scale_in_takes_from_the_zone_with_the_most_and_passes_over_the_protected() {
    let yard = Yard::new();
    yard.group("asg", "abc", (0, 4, 6), json!({}));
    yard.serving(MINUTE, "asg", 4);
    assert_eq!(yard.zones("asg"), "aabc");
    yard.scaling("SetDesiredCapacity", json!({ "AutoScalingGroupName": "asg", "DesiredCapacity": 3 }));
    yard.pass(MINUTE);
    assert_eq!(yard.zones("asg"), "abc");
    let (_, description, cause) = yard.activities("asg").remove(0);
    assert!(description.starts_with("Terminating EC2 instance: i-"), "{description}");
    for part in [
        "a user request explicitly set group desired capacity changing the desired capacity from 4 to 3.",
        "an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity \
         from 4 to 3.",
        "was selected for termination.",
    ] {
        assert!(cause.contains(part), "{part} in {cause}");
    }
    let all = yard.in_state("asg", "InService");
    yard.scaling(
        "SetInstanceProtection",
        json!({ "AutoScalingGroupName": "asg", "InstanceIds": all[..2], "ProtectedFromScaleIn": true }),
    );
    yard.scaling("SetDesiredCapacity", json!({ "AutoScalingGroupName": "asg", "DesiredCapacity": 0 }));
    yard.pass(MINUTE);
    let mut left = yard.in_state("asg", "InService");
    left.sort();
    let mut protected = all[..2].to_vec();
    protected.sort();
    assert_eq!(left, protected);
}

#[test]
fn an_instance_that_somebody_terminates_is_replaced() {
    let yard = Yard::new();
    yard.group("asg", "ab", (2, 2, 2), json!({}));
    yard.serving(MINUTE, "asg", 2);
    let old = yard.in_state("asg", "InService");
    yard.call("ec2", "TerminateInstances", json!({ "InstanceIds": [old[0]] }));
    yard.pass(MINUTE);
    yard.serving(MINUTE, "asg", 2);
    assert!(!yard.in_state("asg", "InService").contains(&old[0]));
    assert_eq!(yard.zones("asg"), "ab");
    let causes: Vec<String> = yard.activities("asg").into_iter().map(|(_, _, cause)| cause).collect();
    assert!(causes[..2].iter().any(|cause| cause.ends_with(
        "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped."
    )));
    assert!(causes[..2].iter().any(|cause| {
        cause.ends_with("an instance was launched in response to an unhealthy instance needing to be replaced.")
    }));
}

#[test]
fn a_machine_that_dies_is_found_by_its_status_checks_after_the_grace_period() {
    let yard = Yard::new();
    yard.group("asg", "ab", (2, 2, 2), json!({ "HealthCheckGracePeriod": 120 }));
    yard.serving(MINUTE, "asg", 2);
    let old = yard.in_state("asg", "InService");
    yard.crash(&old[0]);
    yard.pass(MINUTE);
    assert_eq!(yard.in_state("asg", "InService"), old, "the grace period is not over");
    yard.pass(MINUTE * 2);
    let new = yard.in_state("asg", "InService");
    assert!(new.len() == 2 && !new.contains(&old[0]), "{new:?}");
}

#[test]
fn when_a_zone_is_cut_the_others_take_over_and_when_it_is_mended_the_group_is_even_again() {
    let yard = Yard::new();
    yard.group("asg", "abc", (6, 6, 9), json!({}));
    yard.serving(MINUTE, "asg", 6);
    assert_eq!(yard.zones("asg"), "aabbcc");
    yard.cut('a', true);
    yard.pass(MINUTE * 2);
    assert_eq!(yard.zones("asg"), "bbbccc", "once a status check has found it");
    let failed = yard.activities("asg").into_iter().find(|(status, ..)| status == "Failed").unwrap();
    assert!(
        failed.1.contains("do not have sufficient t3.micro capacity")
            && failed.1.ends_with("Launching EC2 instance failed."),
        "{failed:?}"
    );
    yard.cut('a', false);
    yard.pass(MINUTE * 30);
    assert_eq!(yard.zones("asg"), "aabbcc");
}

#[test]
fn with_a_load_balancer_targets_are_registered_judged_and_drained() {
    let yard = Yard::new();
    let vpc = yard.call("ec2", "DescribeVpcs", json!({}))["Vpcs"][0]["VpcId"].clone();
    let input = json!({ "Name": "tg", "Protocol": "HTTP", "Port": 80, "VpcId": vpc, "HealthCheckIntervalSeconds": 5,
        "HealthCheckTimeoutSeconds": 2, "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 2 });
    let target_group = yard.call("elbv2", "CreateTargetGroup", input)["TargetGroups"][0]["TargetGroupArn"].clone();
    let subnets: Vec<String> = yard.subnets("ab").split(',').map(ToOwned::to_owned).collect();
    let balancer = yard.call("elbv2", "CreateLoadBalancer", json!({ "Name": "lb", "Subnets": subnets }));
    yard.call(
        "elbv2",
        "CreateListener",
        json!({ "LoadBalancerArn": balancer["LoadBalancers"][0]["LoadBalancerArn"], "Protocol": "HTTP", "Port": 80,
            "DefaultActions": [{ "Type": "forward", "TargetGroupArn": target_group }] }),
    );
    yard.call(
        "elbv2",
        "ModifyTargetGroupAttributes",
        json!({ "TargetGroupArn": target_group, "Attributes": [{ "Key": "deregistration_delay.timeout_seconds", "Value": "40" }] }),
    );
    yard.group(
        "asg",
        "ab",
        (2, 2, 3),
        json!({ "TargetGroupARNs": [target_group], "HealthCheckType": "ELB", "HealthCheckGracePeriod": 60 }),
    );
    yard.serving(MINUTE, "asg", 2);
    let health = |yard: &Yard| yard.call("elbv2", "DescribeTargetHealth", json!({ "TargetGroupArn": target_group }));
    let states = |health: &Value| -> Vec<String> {
        let all = items(&health["TargetHealthDescriptions"]);
        all.iter().map(|target| target["TargetHealth"]["State"].as_str().unwrap().to_owned()).collect()
    };
    yard.until(MINUTE * 2, "two healthy targets", |yard| states(&health(yard)) == ["healthy", "healthy"]);

    yard.scaling(
        "UpdateAutoScalingGroup",
        json!({ "AutoScalingGroupName": "asg", "MinSize": 1, "DesiredCapacity": 1 }),
    );
    yard.pass(Duration::from_secs(20));
    assert_eq!(yard.in_state("asg", "Terminating").len(), 1);
    let (status, description, _) = yard.activities("asg").remove(0);
    assert_eq!(status, "WaitingForELBConnectionDraining", "{description}");
    yard.pass(Duration::from_secs(40));
    assert_eq!(yard.in_state("asg", "Terminating"), Vec::<String>::new());
    assert_eq!(yard.activities("asg")[0].0, "Successful");
    assert_eq!(states(&health(&yard)).len(), 1);
}

#[test]
fn a_forced_delete_terminates_all_and_then_the_group_is_gone() {
    let yard = Yard::new();
    yard.group("asg", "ab", (2, 2, 2), json!({}));
    yard.serving(MINUTE, "asg", 2);
    yard.scaling(
        "PutLifecycleHook",
        json!({ "AutoScalingGroupName": "asg", "LifecycleHookName": "h", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING" }),
    );
    let ids = yard.in_state("asg", "InService");
    let refused =
        yard.try_call("autoscaling", "DeleteAutoScalingGroup", json!({ "AutoScalingGroupName": "asg" })).unwrap_err();
    assert_eq!(refused.code, "ResourceInUse");
    yard.scaling("DeleteAutoScalingGroup", json!({ "AutoScalingGroupName": "asg", "ForceDelete": true }));
    assert_eq!(yard.described("asg")["Status"], "Delete in progress");
    yard.pass(MINUTE);
    assert_eq!(yard.described("asg"), Value::Null);
    let found = yard.call("ec2", "DescribeInstances", json!({ "InstanceIds": ids }));
    for reservation in found["Reservations"].as_array().unwrap() {
        assert_eq!(reservation["Instances"][0]["State"]["Name"], "terminated");
    }
    assert_eq!(yard.activities("asg").len(), 4, "they can still be described");
}

#[test]
fn a_protected_group_is_not_deleted() {
    let yard = Yard::new();
    yard.group("asg", "a", (0, 0, 1), json!({ "DeletionProtection": "prevent-force-deletion" }));
    let delete = |force: bool| {
        yard.try_call(
            "autoscaling",
            "DeleteAutoScalingGroup",
            json!({ "AutoScalingGroupName": "asg", "ForceDelete": force }),
        )
    };
    assert_eq!(delete(true).unwrap_err().code, "ResourceInUse");
    yard.scaling(
        "UpdateAutoScalingGroup",
        json!({ "AutoScalingGroupName": "asg", "DeletionProtection": "prevent-all-deletion" }),
    );
    assert_eq!(delete(false).unwrap_err().code, "ResourceInUse");
    yard.scaling("UpdateAutoScalingGroup", json!({ "AutoScalingGroupName": "asg", "DeletionProtection": "none" }));
    delete(false).unwrap();
}

#[test]
fn hooks_hold_an_instance_until_they_are_completed_or_their_time_is_over() {
    let yard = Yard::new();
    let hook = |name: &str, turn: &str| {
        json!({ "LifecycleHookName": name, "LifecycleTransition": format!("autoscaling:EC2_INSTANCE_{turn}"), "HeartbeatTimeout": 60,
            "DefaultResult": "CONTINUE" })
    };
    let hooks = [hook("in", "LAUNCHING"), hook("out", "TERMINATING")];
    yard.group("asg", "a", (0, 1, 1), json!({ "LifecycleHookSpecificationList": hooks }));
    yard.pass(Duration::from_secs(10));
    let waiting = yard.in_state("asg", "Pending:Wait");
    assert_eq!(waiting.len(), 1);
    yard.scaling(
        "CompleteLifecycleAction",
        json!({ "AutoScalingGroupName": "asg", "LifecycleHookName": "in", "InstanceId": waiting[0], "LifecycleActionResult": "CONTINUE" }),
    );
    yard.serving(MINUTE, "asg", 1);
    yard.scaling("SetDesiredCapacity", json!({ "AutoScalingGroupName": "asg", "DesiredCapacity": 0 }));
    yard.pass(Duration::from_secs(30));
    assert_eq!(yard.in_state("asg", "Terminating:Wait"), waiting);
    yard.pass(MINUTE);
    assert!(items(&yard.described("asg")["Instances"]).is_empty());
}

#[test]
fn suspended_processes_leave_a_group_as_it_is() {
    let yard = Yard::new();
    yard.group("asg", "ab", (0, 1, 4), json!({}));
    yard.serving(MINUTE, "asg", 1);
    let name = json!({ "AutoScalingGroupName": "asg" });
    yard.scaling("SuspendProcesses", json!({ "AutoScalingGroupName": "asg", "ScalingProcesses": ["Launch"] }));
    yard.scaling("SetDesiredCapacity", json!({ "AutoScalingGroupName": "asg", "DesiredCapacity": 3 }));
    yard.pass(MINUTE);
    assert_eq!(yard.in_state("asg", "InService").len(), 1);
    yard.scaling("ResumeProcesses", name);
    yard.serving(MINUTE, "asg", 3);
}

#[test]
fn detached_and_standing_by_instances_go_on_and_are_made_up_for() {
    let yard = Yard::new();
    yard.group("asg", "ab", (1, 2, 4), json!({}));
    yard.serving(MINUTE, "asg", 2);
    let ids = yard.in_state("asg", "InService");
    let query = |id: &str, decrement: bool| json!({ "AutoScalingGroupName": "asg", "InstanceIds": [id], "ShouldDecrementDesiredCapacity": decrement });
    yard.scaling("DetachInstances", query(&ids[0], false));
    yard.serving(MINUTE, "asg", 2);
    let found = yard.call("ec2", "DescribeInstances", json!({ "InstanceIds": [ids[0]] }));
    assert_eq!(found["Reservations"][0]["Instances"][0]["State"]["Name"], "running");
    assert!(!yard.in_state("asg", "InService").contains(&ids[0]));

    yard.scaling("EnterStandby", query(&ids[1], true));
    yard.pass(MINUTE);
    assert_eq!(
        (yard.in_state("asg", "Standby"), yard.described("asg")["DesiredCapacity"].clone()),
        (vec![ids[1].clone()], json!(1))
    );
    yard.scaling("ExitStandby", json!({ "AutoScalingGroupName": "asg", "InstanceIds": [ids[1]] }));
    yard.pass(MINUTE);
    assert_eq!(yard.described("asg")["DesiredCapacity"], 2);
    yard.serving(MINUTE, "asg", 2);
    yard.scaling("AttachInstances", json!({ "AutoScalingGroupName": "asg", "InstanceIds": [ids[0]] }));
    yard.serving(MINUTE, "asg", 3);
    assert_eq!(yard.described("asg")["DesiredCapacity"], 3);
}

#[test]
fn after_a_restart_a_group_is_as_it_was_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let described = |yard: &Yard| {
        let name = json!({ "AutoScalingGroupName": "asg" });
        [
            "DescribePolicies",
            "DescribeLifecycleHooks",
            "DescribeScheduledActions",
            "DescribeInstanceRefreshes",
            "DescribeScalingActivities",
        ]
        .map(|operation| yard.scaling(operation, name.clone()))
    };
    let (group, rest) = {
        let yard = Yard::open(START, Some(&path));
        let image = yard.call("ec2", "DescribeImages", json!({ "Owners": ["amazon"] }))["Images"][0]["ImageId"].clone();
        let data = json!({ "ImageId": image, "InstanceType": "t3.micro" });
        yard.call("ec2", "CreateLaunchTemplate", json!({ "LaunchTemplateName": "web", "LaunchTemplateData": data }));
        yard.group(
            "asg",
            "ab",
            (2, 2, 4),
            json!({ "Tags": [{ "Key": "a", "Value": "b", "PropagateAtLaunch": true }] }),
        );
        yard.serving(MINUTE, "asg", 2);
        let name = |more: Value| {
            let mut input = json!({ "AutoScalingGroupName": "asg" });
            input.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
            input
        };
        yard.scaling("SuspendProcesses", name(json!({ "ScalingProcesses": ["AZRebalance"] })));
        yard.scaling("EnableMetricsCollection", name(json!({ "Granularity": "1Minute" })));
        yard.scaling(
            "PutScalingPolicy",
            name(json!({ "PolicyName": "more", "AdjustmentType": "ExactCapacity", "ScalingAdjustment": 3 })),
        );
        yard.scaling(
            "PutLifecycleHook",
            name(json!({ "LifecycleHookName": "h", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING" })),
        );
        yard.scaling(
            "PutScheduledUpdateGroupAction",
            name(json!({ "ScheduledActionName": "s", "Recurrence": "0 9 * * *", "MinSize": 3 })),
        );
        yard.scaling("StartInstanceRefresh", name(json!({ "Preferences": { "SkipMatching": true } })));
        yard.pass(MINUTE);
        (yard.described("asg"), described(&yard))
    };
    let again = Yard::open(START + 300, Some(&path));
    assert_eq!(again.described("asg"), group);
    assert_eq!(described(&again), rest);
    again.scaling("ExecutePolicy", json!({ "AutoScalingGroupName": "asg", "PolicyName": "more" }));
    again.serving(MINUTE, "asg", 3);
}

#[test]
fn bad_requests_are_answered_as_aws_answers_them() {
    let yard = Yard::new();
    yard.group("asg", "a", (1, 1, 2), json!({}));
    let template = json!({ "LaunchTemplateName": "web" });
    for (operation, input, code, message) in [
        (
            "CreateAutoScalingGroup",
            json!({ "AutoScalingGroupName": "asg", "MinSize": 1, "MaxSize": 1 }),
            "AlreadyExists",
            "AutoScalingGroup by this name already exists - A group with the name asg already exists",
        ),
        (
            "CreateAutoScalingGroup",
            json!({ "AutoScalingGroupName": "b", "MinSize": 1, "MaxSize": 1 }),
            "ValidationError",
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.",
        ),
        (
            "CreateAutoScalingGroup",
            json!({ "AutoScalingGroupName": "b", "MinSize": 1, "MaxSize": 1, "LaunchTemplate": template }),
            "ValidationError",
            "At least one Availability Zone or VPC Subnet is required.",
        ),
        (
            "SetDesiredCapacity",
            json!({ "AutoScalingGroupName": "asg", "DesiredCapacity": 5 }),
            "ValidationError",
            "New SetDesiredCapacity value 5 is above max value 2 for the AutoScalingGroup.",
        ),
        (
            "UpdateAutoScalingGroup",
            json!({ "AutoScalingGroupName": "asg", "MinSize": 3 }),
            "ValidationError",
            "Max bound, 2, must be greater than or equal to min bound, 3",
        ),
        (
            "TerminateInstanceInAutoScalingGroup",
            json!({ "InstanceId": "i-00000000000000000", "ShouldDecrementDesiredCapacity": true }),
            "ValidationError",
            "Instance Id not found - No managed instance found for instance ID: i-00000000000000000",
        ),
        (
            "DeleteAutoScalingGroup",
            json!({ "AutoScalingGroupName": "nobody" }),
            "ValidationError",
            "AutoScalingGroup name not found - AutoScalingGroup 'nobody' not found",
        ),
    ] {
        let error = yard.try_call("autoscaling", operation, input).unwrap_err();
        assert_eq!((&*error.code, error.message.as_str()), (code, message), "{operation}");
    }
}

#[test]
fn instances_that_users_may_not_terminate_scale_in_all_the_same() {
    let yard = Yard::new();
    let data = json!({ "DisableApiTermination": true });
    yard.call(
        "ec2",
        "CreateLaunchTemplateVersion",
        json!({ "LaunchTemplateName": "web", "SourceVersion": "1", "LaunchTemplateData": data }),
    );
    yard.group("asg", "ab", (0, 2, 2), json!({}));
    yard.serving(MINUTE, "asg", 2);
    let ids = yard.in_state("asg", "InService");
    let error = yard.try_call("ec2", "TerminateInstances", json!({ "InstanceIds": ids })).unwrap_err();
    assert_eq!(error.code, "OperationNotPermitted");
    yard.scaling("DeleteAutoScalingGroup", json!({ "AutoScalingGroupName": "asg", "ForceDelete": true }));
    yard.pass(MINUTE);
    assert_eq!(yard.described("asg"), Value::Null);
}
