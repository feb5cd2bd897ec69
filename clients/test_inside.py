"""What an instance finds inside, from its own point of view: AWS's API. Needs root; skipped without."""

import os
import pathlib
import shutil

import pytest

from conftest import Account, wait_for
from test_linux import a_world

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the real world needs root")


@pytest.fixture(scope="module")
def real():
    # A vCPU is a core: what is measured here is that things work, not how slow a small instance is.
    with a_world("--range", "20", "--vcpu", "1") as world:
        yield world


@pytest.fixture
def there(real):
    return Account(real)


def console(account, instance, until, seconds=60):
    """An instance's console, once it shows `until`."""
    read = lambda: account.world.run("logs", instance).stdout
    return wait_for(f"{until!r} on the console", lambda: (text := read()) and until in text and text, seconds)


CALLS = """#!/bin/bash
sign() { curl -sS --max-time 20 --aws-sigv4 "aws:amz:us-east-1:$1" --user 000000000000:secret "${@:2}"; }
echo "who: $(sign sts https://sts.us-east-1.amazonaws.com/ -d Action=GetCallerIdentity -d Version=2011-06-15 | tr -d '\\n')"
echo "mine: $(sign ec2 https://ec2.us-east-1.amazonaws.com/ -d Action=DescribeInstances -d Version=2016-11-15 \
  -d InstanceId.1=$(cat /var/lib/cloud/data/instance-id) | grep -o 'instanceId>i-[0-9a-f]*')"
echo "plain: $(sign monitoring http://monitoring.us-east-1.amazonaws.com/ -d Action=ListMetrics -d Version=2010-08-01 | grep -c ListMetricsResult)"
python3 - <<'PY'
import ssl, urllib.error, urllib.request
def get(url, **more):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, **more), timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
print("python trusts:", get("https://sts.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15"))
print("ours are hidden:", get("https://ssm.us-east-1.amazonaws.com/_zonal/reset", method="POST", data=b""))
try:
    urllib.request.urlopen("https://sts.amazonaws.com/", timeout=20, context=ssl.create_default_context(cadata=open("/usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt").read()))
except urllib.error.URLError as error:
    print("others do not:", "CERTIFICATE_VERIFY_FAILED" in str(error))
PY
echo "shown: $(ec2-metadata -i -z | tr '\\n' ' ')"
echo "no name: $(getent hosts nobody.elb.us-east-1.amazonaws.com || echo none)"
echo all-said
"""


def test_instances_call_awss_api_by_its_names_over_tls(there):
    (instance,) = there.launch(UserData=CALLS)
    said = console(there, instance, "all-said")
    assert "<Account>000000000000</Account>" in said
    assert "python trusts: 200" in said
    assert "plain: 1" in said or "plain: 2" in said
    assert "others do not: True" in said
    assert "no name: none" in said
    assert f"shown: instance-id: {instance} placement: us-east-1" in said
    # An instance has no part in what is ours: a path of ours is no operation of AWS's.
    hidden = int(said.split("ours are hidden: ")[1].split()[0])
    assert 400 <= hidden < 500
    assert there.instance(instance)["State"]["Name"] == "running"
    mine = CALLS.replace("000000000000", there.id)
    (own,) = there.launch(UserData=mine)
    assert f"mine: instanceId>{own}" in console(there, own, "all-said")


def test_without_a_route_to_a_gateway_awss_api_is_out_of_reach(there):
    vpc, _ = there.default_subnets()
    tables = there.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    there.ec2.delete_route(RouteTableId=tables[0]["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")
    (instance,) = there.launch(UserData="#!/bin/sh\ncurl -sS --max-time 3 https://sts.amazonaws.com/ ; echo \"curl ended with $?\"\n")
    said = console(there, instance, "curl ended with")
    assert "curl ended with 28" in said, "its packets lead nowhere"


INSTALLS = """#!/bin/bash
set -e
apt-get update
apt-get install -y nginx-light
curl -sS http://localhost/ | grep -o '<title>.*</title>'
systemctl stop nginx
dnf install -y httpd
echo "not before it is asked for: $(systemctl is-active httpd)"
echo "a page of httpd's" > /var/www/html/index.html
systemctl enable --now httpd
curl -sS http://localhost/
chown apache:apache /var/www/html/index.html
if yum install -y no-such-package-anywhere; then echo "it pretends"; fi
yum update -y
echo all-installed
"""


def test_user_data_installs_packages_by_apt_and_by_dnf(there):
    (instance,) = there.launch(UserData=INSTALLS, InstanceType="t3.medium")
    said = console(there, instance, "all-installed", 300)
    assert "<title>Welcome to nginx!</title>" in said
    assert "not before it is asked for: inactive" in said
    assert "a page of httpd's" in said
    assert "No match for argument: no-such-package-anywhere" in said
    assert "it pretends" not in said


def test_without_a_route_to_a_gateway_there_are_no_packages(there):
    vpc, _ = there.default_subnets()
    tables = there.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    there.ec2.delete_route(RouteTableId=tables[0]["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")
    (instance,) = there.launch(UserData="#!/bin/sh\napt-get -o Acquire::http::Timeout=3 -o Acquire::Retries=0 update; apt-get install -y nginx-light || echo \"refused with $?\"\n")
    said = console(there, instance, "refused with")
    assert "Unable to locate package nginx-light" in said


FILLS = """#!/bin/bash
echo "size: $(df -BG --output=size / | tail -1 | tr -d ' ')"
fallocate -l 10G /more || echo "more than there is: $?"
rm -f /more
fallocate -l 8G /much && echo "much: $(stat -c %s /much)"
head -c 3000000 /dev/urandom > /root/kept; sha256sum /root/kept > /root/sum
echo all-written
"""


def test_a_disk_holds_what_its_mapping_says_and_keeps_it_through_a_stop(there):
    mapping = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 9}}]
    (instance,) = there.launch(UserData=FILLS, BlockDeviceMappings=mapping)
    said = console(there, instance, "all-written")
    assert "size: 9G" in said
    assert "No space left on device" in said and "more than there is: 1" in said
    assert f"much: {8 << 30}" in said
    (volume,) = there.ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])["Volumes"]
    assert volume["Size"] == 9
    there.ec2.stop_instances(InstanceIds=[instance])
    there.ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance])
    there.ec2.start_instances(InstanceIds=[instance])
    there.ec2.get_waiter("instance_running").wait(InstanceIds=[instance])
    check = there.world.run_with(["ssh"], instance, "sha256sum -c /root/sum && stat -c %s /much")
    assert check.stdout.split() == ["/root/kept:", "OK", str(8 << 30)], check.stdout + check.stderr


def test_a_launch_that_fails_ends_with_its_reason(there):
    (instance,) = there.launch()
    image = there.ec2.create_image(InstanceId=instance, Name="broken", NoReboot=True)["ImageId"]
    there.ec2.get_waiter("image_available").wait(ImageIds=[image])
    shutil.rmtree(pathlib.Path(there.world.home) / "images" / image)
    asked = {"ImageId": image, "InstanceType": "t3.micro"}
    failed = there.ec2.run_instances(MinCount=1, MaxCount=1, **asked)["Instances"][0]["InstanceId"]
    there.ec2.get_waiter("instance_terminated").wait(InstanceIds=[failed])
    shown = there.instance(failed)
    reason = f"Client.InternalError: Client error on launch (there is no image {image})"
    assert (shown["StateReason"], shown["StateTransitionReason"]) == (
        {"Code": "Client.InternalError", "Message": reason}, "Client.InternalError")
    assert reason in there.world.run("status").stdout
    there.ec2.create_launch_template(LaunchTemplateName="broken", LaunchTemplateData=asked)
    there.autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="broken", MinSize=1, MaxSize=1, AvailabilityZones=["us-east-1a"],
        LaunchTemplate={"LaunchTemplateName": "broken"})
    messages = lambda: [activity.get("StatusMessage", "") for activity in
                        there.autoscaling.describe_scaling_activities(AutoScalingGroupName="broken")["Activities"]]
    wait_for("the activity that says why", lambda: any(reason in message for message in messages()), 30)
    there.autoscaling.delete_auto_scaling_group(AutoScalingGroupName="broken", ForceDelete=True)


def test_a_machine_is_as_large_as_its_type(there):
    (instance,) = there.launch(InstanceType="t2.small")
    inside = lambda command: there.world.run_with(["ssh"], instance, command).stdout
    assert inside("nproc; grep -c ^processor /proc/cpuinfo").split() == ["1", "1"]
    assert inside("free -m").splitlines()[1].split()[1] == "2048"


SIGNALLED = """
Parameters:
  Image: {{Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>', Default: /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64}}
Resources:
  Server:
    Type: AWS::EC2::Instance
    CreationPolicy: {{ResourceSignal: {{Timeout: PT10M}}}}
    Properties:
      ImageId: !Ref Image
      InstanceType: t3.micro
      UserData:
        Fn::Base64: !Sub |
          #!/bin/bash
          {command}
          /opt/aws/bin/cfn-signal -e $? --stack ${{AWS::StackName}} --resource Server --region ${{AWS::Region}}
"""


@pytest.mark.parametrize(("command", "status"), [("true", "CREATE_COMPLETE"), ("false", "ROLLBACK_COMPLETE")])
def test_a_stack_waits_for_what_cfn_signal_says_from_inside(there, command, status):
    name = f"signalled-{command}"
    there.cloudformation.create_stack(StackName=name, TemplateBody=SIGNALLED.format(command=command))
    shown = lambda: there.cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    assert wait_for("the stack's end", lambda: not (found := shown()).endswith("IN_PROGRESS") and found, 120) == status
    reasons = " ".join(event.get("ResourceStatusReason", "") for event in
                       there.cloudformation.describe_stack_events(StackName=name)["StackEvents"])
    (word,) = {"SUCCESS", "FAILURE"} & set(reasons.split())
    assert (word == "SUCCESS") == (command == "true")
    there.cloudformation.delete_stack(StackName=name)
