"""Auto Scaling: groups that keep their size, scale, and say what they do."""

import pytest

from conftest import wait_for


@pytest.fixture
def group(account):
    class Group:
        def __init__(self):
            self.client = account.autoscaling
            _, self.subnets = account.default_subnets()
            account.ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={
                "ImageId": account.image(), "InstanceType": "t3.micro"})

        def create(self, **more):
            self.client.create_auto_scaling_group(**({
                "AutoScalingGroupName": "web", "MinSize": 1, "MaxSize": 4, "DesiredCapacity": 2,
                "LaunchTemplate": {"LaunchTemplateName": "web", "Version": "$Latest"},
                "VPCZoneIdentifier": ",".join(self.subnets[zone] for zone in ("us-east-1a", "us-east-1b")),
            } | more))

        def shown(self):
            return self.client.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"][0]

        def in_service(self):
            return {instance["InstanceId"]: instance["AvailabilityZone"]
                    for instance in self.shown()["Instances"] if instance["LifecycleState"] == "InService"}

        def wait(self, count):
            return wait_for(f"{count} in service", lambda: len(found := self.in_service()) == count and (found or True), 60)

        def activities(self):
            return self.client.describe_scaling_activities(AutoScalingGroupName="web")["Activities"]

    return Group()


def test_a_group_fills_itself_evenly_over_its_zones(account, group):
    group.create()
    found = group.wait(2)
    assert sorted(found.values()) == ["us-east-1a", "us-east-1b"]
    instance = account.instance(next(iter(found)))
    assert {"Key": "aws:autoscaling:groupName", "Value": "web"} in instance["Tags"]
    activity = group.activities()[-1]
    assert activity["StatusCode"] == "Successful" and activity["Description"].startswith("Launching a new EC2 instance: i-")
    assert "capacity from 0 to 2" in activity["Cause"]


def test_a_terminated_instance_is_replaced(account, group):
    group.create()
    first = set(group.wait(2))
    victim = sorted(first)[0]
    account.ec2.terminate_instances(InstanceIds=[victim])
    wait_for("a replacement", lambda: victim not in group.in_service() and len(group.in_service()) == 2, 90)
    causes = " ".join(activity["Cause"] for activity in group.activities())
    assert "taken out of service in response to" in causes


def test_a_group_grows_and_shrinks_to_what_is_desired(group, refused):
    group.create()
    group.wait(2)
    group.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=4)
    found = group.wait(4)
    assert sorted(found.values()) == ["us-east-1a"] * 2 + ["us-east-1b"] * 2
    group.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
    group.wait(1)
    with refused("ValidationError"):
        group.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=9)


def test_a_group_is_deleted_with_its_instances(account, group, refused):
    group.create()
    ids = list(group.wait(2))
    with refused("ResourceInUse"):
        group.client.delete_auto_scaling_group(AutoScalingGroupName="web")
    group.client.delete_auto_scaling_group(AutoScalingGroupName="web", ForceDelete=True)
    wait_for("no group", lambda: not group.client.describe_auto_scaling_groups()["AutoScalingGroups"], 60)
    account.ec2.get_waiter("instance_terminated").wait(InstanceIds=ids)


def test_target_tracking_makes_its_two_alarms(account, group):
    group.create()
    made = group.client.put_scaling_policy(
        AutoScalingGroupName="web", PolicyName="cpu", PolicyType="TargetTrackingScaling", TargetTrackingConfiguration={
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}, "TargetValue": 50.0})
    names = [alarm["AlarmName"] for alarm in made["Alarms"]]
    assert len(names) == 2 and all(name.startswith("TargetTracking-web-Alarm") for name in names)
    alarms = account.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
    assert {alarm["MetricName"] for alarm in alarms} == {"CPUUtilization"}
    assert {alarm["ComparisonOperator"] for alarm in alarms} == {"GreaterThanThreshold", "LessThanThreshold"}
    group.client.delete_policy(AutoScalingGroupName="web", PolicyName="cpu")
    assert account.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"] == []


def test_a_simple_policy_scales_when_its_alarm_fires(account, group):
    group.create(DesiredCapacity=1)
    group.wait(1)
    policy = group.client.put_scaling_policy(
        AutoScalingGroupName="web", PolicyName="out", PolicyType="SimpleScaling", AdjustmentType="ChangeInCapacity",
        ScalingAdjustment=2, Cooldown=0)["PolicyARN"]
    account.cloudwatch.put_metric_alarm(
        AlarmName="busy", Namespace="App", MetricName="Load", Statistic="Average", Period=60, EvaluationPeriods=1,
        Threshold=10, ComparisonOperator="GreaterThanThreshold", AlarmActions=[policy])
    account.cloudwatch.set_alarm_state(AlarmName="busy", StateValue="ALARM", StateReason="tried by hand")
    group.wait(3)


@pytest.mark.parametrize("change", [
    {"MinSize": 5},
    {"DesiredCapacity": 0},
    {"VPCZoneIdentifier": "subnet-0123456789abcdef0"},
    {"LaunchTemplate": {"LaunchTemplateName": "nothing"}},
])
def test_a_group_that_cannot_be_is_a_validation_error(group, refused, change):
    with refused("ValidationError"):
        group.create(**change)


def test_a_name_is_given_once(group, refused):
    group.create(DesiredCapacity=1)
    with refused("AlreadyExists"):
        group.create()
