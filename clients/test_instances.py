"""EC2's instances, through the official waiters."""

import base64

import pytest

from conftest import wait_for


def test_an_instance_starts_stops_changes_its_type_and_ends(account, refused):
    ec2 = account.ec2
    launched = ec2.run_instances(ImageId=account.image(), InstanceType="t2.micro", MinCount=1, MaxCount=1)["Instances"][0]
    instance = launched["InstanceId"]
    assert launched["State"] == {"Code": 0, "Name": "pending"}
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance])
    ec2.get_waiter("instance_status_ok").wait(InstanceIds=[instance])
    running = account.instance(instance)
    assert running["PublicIpAddress"].startswith("127.107.")
    assert running["PrivateDnsName"] == f"ip-{running['PrivateIpAddress'].replace('.', '-')}.ec2.internal"

    with refused("IncorrectInstanceState"):
        ec2.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "m5.large"})
    change = ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "stopping")
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance])
    stopped = account.instance(instance)
    assert "PublicIpAddress" not in stopped and stopped["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    ec2.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "m5.large"})
    ec2.start_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance])
    again = account.instance(instance)
    assert again["InstanceType"] == "m5.large" and again["PrivateIpAddress"] == running["PrivateIpAddress"]
    assert again["RootDeviceName"] == running["RootDeviceName"]
    assert again["BlockDeviceMappings"][0]["Ebs"]["VolumeId"] == running["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]

    ec2.terminate_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance])
    with refused("IncorrectInstanceState"):
        ec2.start_instances(InstanceIds=[instance])


def test_an_elastic_address_stays_with_its_instance_over_a_stop(account):
    ec2 = account.ec2
    (instance,) = account.launch()
    address = ec2.allocate_address(Domain="vpc")
    association = ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=instance)["AssociationId"]
    assert account.instance(instance)["PublicIpAddress"] == address["PublicIp"]
    ec2.stop_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance])
    ec2.start_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance])
    assert account.instance(instance)["PublicIpAddress"] == address["PublicIp"]
    ec2.disassociate_address(AssociationId=association)
    assert account.instance(instance).get("PublicIpAddress") != address["PublicIp"]


def test_terminating_takes_the_interface_and_frees_the_group(account, refused):
    ec2 = account.ec2
    vpc, subnets = account.default_subnets()
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
    (instance,) = account.launch(SubnetId=subnets["us-east-1b"], SecurityGroupIds=[group])
    shown = account.instance(instance)
    assert shown["Placement"]["AvailabilityZone"] == "us-east-1b"
    assert [given["GroupId"] for given in shown["SecurityGroups"]] == [group]
    interface = shown["NetworkInterfaces"][0]["NetworkInterfaceId"]
    (eni,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    assert eni["Attachment"]["InstanceId"] == instance and eni["Status"] == "in-use"
    with refused("DependencyViolation"):
        ec2.delete_security_group(GroupId=group)
    ec2.terminate_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance])
    with refused("InvalidNetworkInterfaceID.NotFound"):
        ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])
    ec2.delete_security_group(GroupId=group)


def test_a_client_token_makes_a_launch_happen_once(account, refused):
    ec2, image = account.ec2, account.image()
    launch = dict(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, ClientToken="once")
    first = ec2.run_instances(**launch)
    second = ec2.run_instances(**launch)
    assert first["Instances"][0]["InstanceId"] == second["Instances"][0]["InstanceId"]
    assert first["ReservationId"] == second["ReservationId"]
    with refused("IdempotentParameterMismatch"):
        ec2.run_instances(**(launch | {"InstanceType": "t3.small"}))
    assert len([i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]) == 1


def test_a_launch_that_may_not_be_makes_nothing(account, refused):
    ec2, image = account.ec2, account.image()
    launch = dict(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)
    for change, code in (
        ({"DryRun": True}, "DryRunOperation"),
        ({"ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
        ({"InstanceType": "t3.enormous"}, "InvalidParameterValue"),
        ({"SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound"),
        ({"SecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
        ({"KeyName": "nobody"}, "InvalidKeyPair.NotFound"),
        ({"MinCount": 2}, "InvalidParameterValue"),
        ({"UserData": "x" * 20000}, "InvalidParameterValue"),
    ):
        with refused(code):
            ec2.run_instances(**(launch | change))
    assert ec2.describe_instances()["Reservations"] == []


def test_user_data_is_given_back_as_it_was_given(account):
    script = "#!/bin/sh\necho hola, mundo ✓\n"
    (instance,) = account.launch(UserData=script)
    kept = account.ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")["UserData"]["Value"]
    assert base64.b64decode(kept).decode() == script


def test_filters_choose_instances(account):
    ec2 = account.ec2
    tag = lambda name: [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}]
    (a,) = account.launch(TagSpecifications=tag("a"))
    (b,) = account.launch(TagSpecifications=tag("b"), InstanceType="m5.large")
    ec2.stop_instances(InstanceIds=[b])
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[b])
    found = lambda name, *values: {
        instance["InstanceId"]
        for reservation in ec2.describe_instances(Filters=[{"Name": name, "Values": list(values)}])["Reservations"]
        for instance in reservation["Instances"]
    }
    assert found("instance-state-name", "running") == {a}
    assert found("instance-state-name", "running", "stopped") == {a, b}
    assert found("tag:Name", "b") == {b}
    assert found("instance-type", "m5.*") == {b}
    assert found("private-ip-address", account.instance(a)["PrivateIpAddress"]) == {a}


def test_pages_of_instances_show_each_once(account):
    ids = account.launch(7)
    pages = account.ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5})
    seen = [instance["InstanceId"] for page in pages for reservation in page["Reservations"] for instance in reservation["Instances"]]
    assert sorted(seen) == sorted(ids)


def test_a_protected_instance_is_not_terminated(account, refused):
    (instance,) = account.launch(DisableApiTermination=True)
    with refused("OperationNotPermitted"):
        account.ec2.terminate_instances(InstanceIds=[instance])
    account.ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": False})
    account.ec2.terminate_instances(InstanceIds=[instance])


def test_a_launch_template_launches(account, refused):
    ec2 = account.ec2
    template = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={
        "ImageId": account.image(), "InstanceType": "t3.small"})["LaunchTemplate"]
    ec2.create_launch_template_version(LaunchTemplateId=template["LaunchTemplateId"], SourceVersion="1",
                                       LaunchTemplateData={"InstanceType": "m5.large"})
    of = lambda version: ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate={
        "LaunchTemplateName": "web", "Version": version})["Instances"][0]["InstanceType"]
    assert (of("$Default"), of("$Latest"), of("1")) == ("t3.small", "m5.large", "t3.small")
    with refused("InvalidLaunchTemplateName.AlreadyExistsException"):
        ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={"InstanceType": "t3.micro"})


@pytest.mark.parametrize("name, vcpus, mebibytes", [("t2.micro", 1, 1024), ("m5.large", 2, 8192), ("t3.medium", 2, 4096)])
def test_types_have_their_size(account, name, vcpus, mebibytes):
    (shown,) = account.ec2.describe_instance_types(InstanceTypes=[name])["InstanceTypes"]
    assert shown["VCpuInfo"]["DefaultVCpus"] == vcpus and shown["MemoryInfo"]["SizeInMiB"] == mebibytes


def test_broken_hardware_is_seen_and_a_stop_and_start_mends_it(world, account):
    ec2 = account.ec2
    (instance,) = account.launch()
    world.run("break", "instance", instance)
    assert account.instance(instance)["State"]["Name"] == "running"

    def impaired():
        (status,) = ec2.describe_instance_status(InstanceIds=[instance])["InstanceStatuses"]
        return "impaired" in (status["InstanceStatus"]["Status"], status["SystemStatus"]["Status"])

    wait_for("an impaired status check", impaired)
    ec2.stop_instances(InstanceIds=[instance], Force=True)
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance])
    ec2.start_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_status_ok").wait(InstanceIds=[instance])


def test_an_image_may_be_named_by_its_public_parameter(account, refused):
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    image = account.ssm.get_parameter(Name=name)["Parameter"]["Value"]
    run = lambda parameter: account.ec2.run_instances(  # noqa: E731
        ImageId=f"resolve:ssm:{parameter}", InstanceType="t2.micro", MinCount=1, MaxCount=1
    )
    assert run(name)["Instances"][0]["ImageId"] == image
    with refused("InvalidParameterValue"):
        run("/no/such/parameter")
