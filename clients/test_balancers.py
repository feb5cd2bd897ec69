"""Elastic Load Balancing: balancers, target groups, listeners, rules, health."""

import pytest

from conftest import wait_for


@pytest.fixture
def stage(account):
    """A balancer over two zones, a target group and a running instance in each zone."""

    class Stage:
        def __init__(self):
            self.vpc, self.subnets = account.default_subnets()
            group = account.ec2.create_security_group(GroupName="open", Description="open", VpcId=self.vpc)["GroupId"]
            account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
                {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
            self.group = group
            self.zones = ["us-east-1a", "us-east-1b"]

        def balancer(self, name="front"):
            made = account.elbv2.create_load_balancer(
                Name=name, Subnets=[self.subnets[zone] for zone in self.zones], SecurityGroups=[self.group])
            return made["LoadBalancers"][0]

        def target_group(self, name="web", **more):
            asked = {"Protocol": "HTTP", "Port": 80, "VpcId": self.vpc, "HealthCheckPath": "/health",
                     "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2, "HealthyThresholdCount": 2} | more
            return account.elbv2.create_target_group(Name=name, **asked)["TargetGroups"][0]["TargetGroupArn"]

        def instances(self):
            return [account.launch(SubnetId=self.subnets[zone], SecurityGroupIds=[self.group])[0] for zone in self.zones]

        def health(self, target_group):
            found = account.elbv2.describe_target_health(TargetGroupArn=target_group)["TargetHealthDescriptions"]
            return {target["Target"]["Id"]: (target["TargetHealth"]["State"], target["TargetHealth"].get("Reason"))
                    for target in found}

    return Stage()


def test_a_balancer_becomes_active_with_a_name_and_a_node_per_zone(account, stage):
    balancer = stage.balancer()
    assert balancer["State"]["Code"] == "provisioning" and balancer["Type"] == "application"
    assert balancer["Scheme"] == "internet-facing"
    assert balancer["DNSName"].startswith("front-") and balancer["DNSName"].endswith(".us-east-1.elb.amazonaws.com")
    assert {zone["ZoneName"] for zone in balancer["AvailabilityZones"]} == set(stage.zones)
    arn = balancer["LoadBalancerArn"]
    account.elbv2.get_waiter("load_balancer_available").wait(LoadBalancerArns=[arn])
    interfaces = account.ec2.describe_network_interfaces(
        Filters=[{"Name": "group-id", "Values": [stage.group]}])["NetworkInterfaces"]
    assert len(interfaces) == 2 and all(eni["RequesterManaged"] for eni in interfaces)
    account.elbv2.delete_load_balancer(LoadBalancerArn=arn)
    account.elbv2.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[arn])


def test_targets_become_healthy_and_leave(account, stage):
    elb = account.elbv2
    balancer, group, (a, b) = stage.balancer()["LoadBalancerArn"], stage.target_group(), stage.instances()
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": a}, {"Id": b}])
    assert stage.health(group) == {a: ("unused", "Target.NotInUse"), b: ("unused", "Target.NotInUse")}
    elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80,
                        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}])
    elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[balancer])
    assert "unused" not in {state for state, _ in stage.health(group).values()}
    elb.get_waiter("target_in_service").wait(TargetGroupArn=group, Targets=[{"Id": a}, {"Id": b}],
                                             WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[
        {"Key": "deregistration_delay.timeout_seconds", "Value": "0"}])
    elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": b}])
    wait_for("only one target", lambda: set(stage.health(group)) == {a})


def test_a_dead_target_is_taken_out(world, account, stage):
    elb = account.elbv2
    balancer, group, (a, b) = stage.balancer()["LoadBalancerArn"], stage.target_group(), stage.instances()
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": a}, {"Id": b}])
    elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80,
                        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}])
    healthy = lambda: {target for target, (state, _) in stage.health(group).items() if state == "healthy"}
    wait_for("both healthy", lambda: healthy() == {a, b}, 60)
    world.run("break", "instance", b)
    wait_for("the dead one out", lambda: healthy() == {a}, 60)
    assert stage.health(group)[b] in (("unhealthy", "Target.Timeout"), ("unhealthy", "Target.FailedHealthChecks"))


def test_rules_are_kept_in_their_order(account, stage, refused):
    elb = account.elbv2
    balancer, web = stage.balancer()["LoadBalancerArn"], stage.target_group()
    listener = elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[
        {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain"}}])["Listeners"][0]
    rule = lambda priority, path: elb.create_rule(
        ListenerArn=listener["ListenerArn"], Priority=priority, Conditions=[{"Field": "path-pattern", "Values": [path]}],
        Actions=[{"Type": "forward", "TargetGroupArn": web}])["Rules"][0]["RuleArn"]
    second, first = rule(20, "/b*"), rule(10, "/a*")
    shown = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    assert [shown_rule["Priority"] for shown_rule in shown] == ["10", "20", "default"]
    with refused("PriorityInUse"):
        rule(10, "/c*")
    elb.set_rule_priorities(RulePriorities=[{"RuleArn": second, "Priority": 5}])
    shown = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    assert [shown_rule["RuleArn"] for shown_rule in shown[:2]] == [second, first]
    with refused("OperationNotPermitted"):
        elb.delete_rule(RuleArn=shown[2]["RuleArn"])


def test_errors_have_awss_codes(account, stage, refused):
    elb = account.elbv2
    missing = "arn:aws:elasticloadbalancing:us-east-1:{}:{}/{}/0123456789abcdef"
    with refused("LoadBalancerNotFound"):
        elb.describe_load_balancers(LoadBalancerArns=[missing.format(account.id, "loadbalancer", "app/x")])
    with refused("TargetGroupNotFound"):
        elb.describe_target_groups(TargetGroupArns=[missing.format(account.id, "targetgroup", "x")])
    balancer, group = stage.balancer()["LoadBalancerArn"], stage.target_group()
    listen = lambda **action: elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80,
                                                  DefaultActions=[action])["Listeners"][0]["ListenerArn"]
    # The same settings again are the same listener; others on its port are a second one.
    first = listen(Type="forward", TargetGroupArn=group)
    assert listen(Type="forward", TargetGroupArn=group) == first
    with refused("DuplicateListener"):
        listen(Type="fixed-response", FixedResponseConfig={"StatusCode": "503"})
    with refused("ResourceInUse"):
        elb.delete_target_group(TargetGroupArn=group)
    with refused("DuplicateTargetGroupName"):
        stage.target_group(Port=8080)
    with refused("ValidationError"):
        elb.create_load_balancer(Name="one", Subnets=[stage.subnets["us-east-1a"]])
    with refused("InvalidTarget"):
        elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "i-0123456789abcdef0"}])


def test_creating_the_same_balancer_again_gives_the_first(account, stage, refused):
    assert stage.balancer()["LoadBalancerArn"] == stage.balancer()["LoadBalancerArn"]
    with refused("DuplicateLoadBalancerName"):
        account.elbv2.create_load_balancer(Name="front", Scheme="internal", SecurityGroups=[stage.group],
                                           Subnets=[stage.subnets[zone] for zone in stage.zones])


def test_tags_and_attributes_are_kept(account, stage):
    elb = account.elbv2
    arn = stage.balancer()["LoadBalancerArn"]
    elb.add_tags(ResourceArns=[arn], Tags=[{"Key": "case", "Value": "whatsthetime"}])
    (shown,) = elb.describe_tags(ResourceArns=[arn])["TagDescriptions"]
    assert shown["Tags"] == [{"Key": "case", "Value": "whatsthetime"}]
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "30"}])
    attributes = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    assert {"Key": "idle_timeout.timeout_seconds", "Value": "30"} in attributes
    assert {"Key": "deletion_protection.enabled", "Value": "false"} in attributes
