"""CloudFormation, through `aws cloudformation deploy` and boto3: the case's templates, and stacks that fail."""

import json
import subprocess

import pytest

from conftest import AL2023, BIN, ROOT, wait_for

CASE = ROOT / "cases/whatsthetime"
TEMPLATES = sorted(CASE.glob("phase-*.yaml"))


def deploy(account, stack, template, *more, check=True):
    return account.aws("cloudformation", "deploy", "--stack-name", stack, "--template-file", str(template),
                       "--capabilities", "CAPABILITY_IAM", *more, check=check)


def delete(account, stack):
    identifier = account.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
    account.cloudformation.delete_stack(StackName=stack)
    account.cloudformation.get_waiter("stack_delete_complete").wait(StackName=identifier)
    return identifier


def resources(account, stack):
    listed = account.cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
    return {resource["LogicalResourceId"]: resource for resource in listed}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_a_phase_deploys_and_leaves_nothing_behind(account, template):
    deploy(account, "whatsthetime", template)
    (stack,) = account.cloudformation.describe_stacks(StackName="whatsthetime")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    made = resources(account, "whatsthetime")
    assert made and {resource["ResourceStatus"] for resource in made.values()} == {"CREATE_COMPLETE"}
    assert all(resource["PhysicalResourceId"] for resource in made.values())
    identifier = delete(account, "whatsthetime")
    (gone,) = account.cloudformation.describe_stacks(StackName=identifier)["Stacks"]
    assert gone["StackStatus"] == "DELETE_COMPLETE"
    assert [vpc["IsDefault"] for vpc in account.ec2.describe_vpcs()["Vpcs"]] in ([True], [])
    assert account.elbv2.describe_load_balancers()["LoadBalancers"] == []
    assert account.elbv2.describe_target_groups()["TargetGroups"] == []
    assert account.route53.list_hosted_zones()["HostedZones"] == []
    assert account.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert account.ec2.describe_addresses()["Addresses"] == []
    states = {instance["State"]["Name"] for reservation in account.ec2.describe_instances()["Reservations"]
              for instance in reservation["Instances"]}
    assert states <= {"terminated"}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_cfn_lint_finds_nothing_in_a_phase(template):
    done = subprocess.run([BIN / "cfn-lint", str(template)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_phase_2_changes_phase_1s_instance_in_place(account):
    deploy(account, "clock", CASE / "phase-1.yaml")
    before = resources(account, "clock")["Instance"]["PhysicalResourceId"]
    was = account.instance(before)
    deploy(account, "clock", CASE / "phase-2.yaml")
    (stack,) = account.cloudformation.describe_stacks(StackName="clock")["Stacks"]
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert resources(account, "clock")["Instance"]["PhysicalResourceId"] == before
    now = account.instance(before)
    assert (was["InstanceType"], now["InstanceType"]) == ("t2.micro", "m5.large")
    assert was["PublicIpAddress"] == now["PublicIpAddress"] and was["PrivateIpAddress"] == now["PrivateIpAddress"]
    delete(account, "clock")


def test_deploying_the_same_again_changes_nothing(account, tmp_path):
    template = write(tmp_path, SMALL)
    deploy(account, "small", template)
    again = deploy(account, "small", template, "--no-fail-on-empty-changeset")
    assert "No changes to deploy" in again.stdout + again.stderr


SMALL = {"Resources": {
    "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
}, "Outputs": {"Vpc": {"Value": {"Ref": "Vpc"}}}}


def write(directory, template):
    path = directory / "template.json"
    path.write_text(json.dumps(template))
    return path


def test_outputs_and_events_tell_what_was_made(account, tmp_path):
    deploy(account, "small", write(tmp_path, SMALL), "--tags", "team=web")
    (stack,) = account.cloudformation.describe_stacks(StackName="small")["Stacks"]
    vpc = stack["Outputs"][0]["OutputValue"]
    (shown,) = account.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    tags = {tag["Key"]: tag["Value"] for tag in shown["Tags"]}
    assert tags["aws:cloudformation:stack-name"] == "small" and tags["aws:cloudformation:logical-id"] == "Vpc"
    assert tags["team"] == "web"
    events = account.cloudformation.describe_stack_events(StackName="small")["StackEvents"]
    assert events[0]["ResourceStatus"] == "CREATE_COMPLETE" and events[0]["LogicalResourceId"] == "small"
    assert "REVIEW_IN_PROGRESS" in {event["ResourceStatus"] for event in events}


def test_a_stack_that_fails_is_rolled_back_whole(account, tmp_path):
    broken = {"Resources": SMALL["Resources"] | {"Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {
        "VpcId": {"Ref": "Vpc"}, "CidrBlock": "192.168.0.0/24"}}}}
    done = deploy(account, "broken", write(tmp_path, broken), check=False)
    assert done.returncode != 0
    (stack,) = account.cloudformation.describe_stacks(StackName="broken")["Stacks"]
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    reasons = [event.get("ResourceStatusReason", "") for event in
               account.cloudformation.describe_stack_events(StackName="broken")["StackEvents"]]
    assert any("192.168.0.0/24" in reason and "Service: Ec2, Status Code: 400" in reason for reason in reasons)
    assert not account.ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.0.0.0/16"]}])["Vpcs"]


def test_an_update_that_fails_leaves_what_was(account, tmp_path):
    deploy(account, "small", write(tmp_path, SMALL))
    worse = json.loads(json.dumps(SMALL))
    worse["Resources"]["Subnet"] = {"Type": "AWS::EC2::Subnet", "Properties": {
        "VpcId": {"Ref": "Vpc"}, "CidrBlock": "192.168.0.0/24"}}
    assert deploy(account, "small", write(tmp_path, worse), check=False).returncode != 0
    (stack,) = account.cloudformation.describe_stacks(StackName="small")["Stacks"]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert set(resources(account, "small")) == {"Vpc"}


@pytest.mark.parametrize("body, hint", [
    ("Resources: {", ""),
    ("Resources: {}", "At least one"),
    ("Resources:\n  A:\n    Type: AWS::EC2::Nothing\n", "AWS::EC2::Nothing"),
    ("Resources:\n  A:\n    Type: AWS::EC2::VPC\n    Properties:\n      Cidr: !Ref B\n", "B"),
    ("Resources:\n  A:\n    Type: AWS::EC2::VPC\n    DependsOn: A\n", ""),
])
def test_a_template_that_is_none_is_refused_before_anything_is_made(account, refused, body, hint):
    with refused("ValidationError") as refusal:
        account.cloudformation.create_stack(StackName="bad", TemplateBody=body)
    assert hint in refusal.message
    assert account.cloudformation.describe_stacks()["Stacks"] == []


def test_exports_are_imported_and_protected(account, tmp_path):
    exporting = json.loads(json.dumps(SMALL))
    exporting["Outputs"]["Vpc"]["Export"] = {"Name": "shared-vpc"}
    importing = {"Resources": {"Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {
        "VpcId": {"Fn::ImportValue": "shared-vpc"}, "CidrBlock": "10.0.1.0/24"}}}}
    deploy(account, "base", write(tmp_path, exporting))
    deploy(account, "tenant", write(tmp_path, importing))
    (export,) = account.cloudformation.list_exports()["Exports"]
    assert export["Name"] == "shared-vpc"
    assert account.cloudformation.list_imports(ExportName="shared-vpc")["Imports"] == ["tenant"]
    delete(account, "tenant")
    delete(account, "base")


def test_a_stack_that_is_not_there_is_a_validation_error(account, refused):
    with refused("ValidationError") as refusal:
        account.cloudformation.describe_stacks(StackName="nothing")
    assert "does not exist" in refusal.message


SIGNALLED = """
Parameters: {Image: {Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>', Default: IMAGE}, Type: {Type: String, Default: t3.micro}}
Resources:
  Template: {Type: 'AWS::EC2::LaunchTemplate', Properties: {LaunchTemplateData: {ImageId: !Ref Image, InstanceType: !Ref Type}}}
  Group:
    Type: AWS::AutoScaling::AutoScalingGroup
    CreationPolicy: {ResourceSignal: {Count: 2, Timeout: PT15M}}
    UpdatePolicy: {AutoScalingRollingUpdate: {MinInstancesInService: 1, MaxBatchSize: 2, WaitOnResourceSignals: true, PauseTime: PT15M}}
    Properties:
      MinSize: 2
      MaxSize: 4
      AvailabilityZones: !GetAZs ''
      LaunchTemplate: {LaunchTemplateId: !Ref Template, Version: !GetAtt Template.LatestVersionNumber}
""".replace("IMAGE", AL2023)


def test_a_group_waits_for_its_instances_signals_and_rolls_when_its_template_changes(account):
    stacks = account.cloudformation
    stacks.create_stack(StackName="roll", TemplateBody=SIGNALLED)

    def members():
        groups = account.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
        return {instance["InstanceId"] for group in groups for instance in group["Instances"]
                if instance["LifecycleState"] == "InService"}

    def signalled(ended):
        """Sends each new instance's signal, as its user data would, until the stack's operation ends."""
        sent = set()

        def look():
            for instance in members() - sent:
                account.aws("cloudformation", "signal-resource", "--stack-name", "roll", "--logical-resource-id", "Group",
                            "--unique-id", instance, "--status", "SUCCESS", check=False)
                sent.add(instance)
            status = stacks.describe_stacks(StackName="roll")["Stacks"][0]["StackStatus"]
            return None if status.endswith("IN_PROGRESS") else status
        assert wait_for("the end of the operation", look, 90) == ended

    signalled("CREATE_COMPLETE")
    before = members()
    assert len(before) == 2
    stacks.update_stack(StackName="roll", TemplateBody=SIGNALLED, Parameters=[{"ParameterKey": "Type", "ParameterValue": "t3.small"}])
    signalled("UPDATE_COMPLETE")
    assert len(members()) == 2 and not members() & before
    said = [event.get("ResourceStatusReason", "") for event in stacks.describe_stack_events(StackName="roll")["StackEvents"]]
    assert any(reason.startswith("Rolling update initiated. Terminating 2 obsolete instance(s)") for reason in said), said
    delete(account, "roll")


LOOPED = """
Transform: AWS::LanguageExtensions
Parameters:
  Zones: {Type: CommaDelimitedList, Default: 'a,b'}
Resources:
  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.0.0.0/16, EnableDnsHostnames: true}}
  Fn::ForEach::Groups:
    - Zone
    - !Ref Zones
    - 'Group${Zone}':
        Type: AWS::EC2::SecurityGroup
        Properties: {GroupDescription: !Sub 'of ${Zone}', VpcId: !Ref Vpc}
"""


def test_a_loop_deploys_its_drift_is_detected_and_its_processed_template_is_shown(account, tmp_path, refused):
    path = tmp_path / "looped.yaml"
    path.write_text(LOOPED)
    with refused("InsufficientCapabilitiesException") as refusal:
        account.cloudformation.create_stack(StackName="looped", TemplateBody=LOOPED)
    assert refusal.message == "Requires capabilities : [CAPABILITY_AUTO_EXPAND]"
    deploy(account, "looped", path)
    made = resources(account, "looped")
    assert set(made) == {"Vpc", "Groupa", "Groupb"}
    processed = account.cloudformation.get_template(StackName="looped", TemplateStage="Processed")["TemplateBody"]
    assert set(processed["Resources"]) == set(made)

    def detect():
        detection = account.cloudformation.detect_stack_drift(StackName="looped")["StackDriftDetectionId"]
        return account.cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=detection)

    assert detect()["StackDriftStatus"] == "IN_SYNC"
    account.ec2.modify_vpc_attribute(VpcId=made["Vpc"]["PhysicalResourceId"], EnableDnsHostnames={"Value": False})
    account.ec2.delete_security_group(GroupId=made["Groupb"]["PhysicalResourceId"])
    assert (found := detect())["StackDriftStatus"] == "DRIFTED" and found["DriftedStackResourceCount"] == 2
    drifts = {drift["LogicalResourceId"]: drift for drift in
              account.cloudformation.describe_stack_resource_drifts(StackName="looped")["StackResourceDrifts"]}
    assert {name: drift["StackResourceDriftStatus"] for name, drift in drifts.items()} == {
        "Vpc": "MODIFIED", "Groupa": "IN_SYNC", "Groupb": "DELETED"}
    (difference,) = drifts["Vpc"]["PropertyDifferences"]
    assert difference == {"PropertyPath": "/EnableDnsHostnames", "ExpectedValue": "true", "ActualValue": "false",
                          "DifferenceType": "NOT_EQUAL"}
