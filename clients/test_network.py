"""EC2's networks: VPCs, subnets, gateways, routes, groups, addresses; tags, filters and pages on them."""

import pytest


def test_a_vpc_comes_with_its_group_its_list_and_its_routes(account):
    ec2 = account.ec2
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]
    assert vpc["State"] in ("pending", "available") and not vpc["IsDefault"]
    ec2.get_waiter("vpc_available").wait(VpcIds=[vpc["VpcId"]])
    of = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    (group,) = ec2.describe_security_groups(Filters=of)["SecurityGroups"]
    assert group["GroupName"] == "default"
    assert group["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"] == group["GroupId"]
    (table,) = ec2.describe_route_tables(Filters=of)["RouteTables"]
    assert table["Associations"][0]["Main"]
    assert [(route["DestinationCidrBlock"], route["GatewayId"]) for route in table["Routes"]] == [("10.0.0.0/16", "local")]
    (acl,) = ec2.describe_network_acls(Filters=of)["NetworkAcls"]
    assert acl["IsDefault"] and {entry["RuleNumber"] for entry in acl["Entries"]} == {100, 32767}


def test_every_account_has_a_default_vpc_with_a_subnet_per_zone(account):
    (vpc,) = account.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    assert vpc["CidrBlock"] == "172.31.0.0/16"
    _, subnets = account.default_subnets()
    zones = account.ec2.describe_availability_zones()["AvailabilityZones"]
    assert set(subnets) == {zone["ZoneName"] for zone in zones}


def test_a_network_is_made_and_unmade_in_the_order_that_aws_asks_for(account, refused):
    ec2 = account.ec2
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.1.0/24", AvailabilityZone="us-east-1b")["Subnet"]
    assert subnet["AvailableIpAddressCount"] == 251 and subnet["AvailabilityZone"] == "us-east-1b"
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    (shown,) = ec2.describe_internet_gateways(InternetGatewayIds=[gateway])["InternetGateways"]
    assert shown["Attachments"] == [{"State": "available", "VpcId": vpc}]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    assert ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)["Return"]
    association = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet["SubnetId"])["AssociationId"]

    with refused("DependencyViolation"):
        ec2.delete_vpc(VpcId=vpc)
    with refused("DependencyViolation"):
        ec2.delete_route_table(RouteTableId=table)
    with refused("DependencyViolation"):
        ec2.delete_internet_gateway(InternetGatewayId=gateway)
    ec2.disassociate_route_table(AssociationId=association)
    ec2.delete_route_table(RouteTableId=table)
    ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    ec2.delete_vpc(VpcId=vpc)
    with refused("InvalidVpcID.NotFound"):
        ec2.describe_vpcs(VpcIds=[vpc])


@pytest.mark.parametrize("cidr, code", [
    ("10.0.0.0/15", "InvalidVpc.Range"),
    ("10.0.0.0/29", "InvalidVpc.Range"),
    ("10.0.0/16", "InvalidParameterValue"),
])
def test_a_vpc_has_between_16_and_65536_addresses(account, refused, cidr, code):
    with refused(code):
        account.ec2.create_vpc(CidrBlock=cidr)


def test_a_subnet_lies_within_its_vpc_beside_the_others(account, refused):
    ec2 = account.ec2
    vpc = ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    ec2.create_subnet(VpcId=vpc, CidrBlock="10.2.0.0/24")
    with refused("InvalidSubnet.Conflict"):
        ec2.create_subnet(VpcId=vpc, CidrBlock="10.2.0.128/25")
    with refused("InvalidSubnet.Range"):
        ec2.create_subnet(VpcId=vpc, CidrBlock="10.3.0.0/24")
    with refused("InvalidParameterValue"):
        ec2.create_subnet(VpcId=vpc, CidrBlock="10.2.9.0/24", AvailabilityZone="eu-west-1a")


@pytest.mark.parametrize("call, arguments, code", [
    ("describe_vpcs", {"VpcIds": ["vpc-0123456789abcdef0"]}, "InvalidVpcID.NotFound"),
    ("describe_subnets", {"SubnetIds": ["subnet-0123456789abcdef0"]}, "InvalidSubnetID.NotFound"),
    ("describe_security_groups", {"GroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
    ("describe_instances", {"InstanceIds": ["i-0123456789abcdef0"]}, "InvalidInstanceID.NotFound"),
    ("describe_instances", {"InstanceIds": ["nonsense"]}, "InvalidInstanceID.Malformed"),
    ("describe_route_tables", {"RouteTableIds": ["rtb-0123456789abcdef0"]}, "InvalidRouteTableID.NotFound"),
    ("describe_internet_gateways", {"InternetGatewayIds": ["igw-0123456789abcdef0"]}, "InvalidInternetGatewayID.NotFound"),
    ("describe_network_interfaces", {"NetworkInterfaceIds": ["eni-0123456789abcdef0"]}, "InvalidNetworkInterfaceID.NotFound"),
    ("describe_addresses", {"AllocationIds": ["eipalloc-0123456789abcdef0"]}, "InvalidAllocationID.NotFound"),
    ("describe_images", {"ImageIds": ["ami-0123456789abcdef0"]}, "InvalidAMIID.NotFound"),
    ("describe_launch_templates", {"LaunchTemplateIds": ["lt-0123456789abcdef0"]}, "InvalidLaunchTemplateId.NotFound"),
    ("delete_subnet", {"SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound"),
])
def test_what_is_not_there_has_its_own_error_code(account, refused, call, arguments, code):
    with refused(code) as refusal:
        getattr(account.ec2, call)(**arguments)
    assert refusal.status == 400


def http(cidr):
    return {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": cidr, "Description": "web"}]}


def test_a_groups_rules_come_and_go(account, refused):
    ec2 = account.ec2
    vpc, _ = account.default_subnets()
    group = ec2.create_security_group(GroupName="web", Description="web servers", VpcId=vpc)["GroupId"]
    rules = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[http("0.0.0.0/0")])["SecurityGroupRules"]
    assert rules[0]["SecurityGroupRuleId"].startswith("sgr-") and rules[0]["CidrIpv4"] == "0.0.0.0/0"
    (shown,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert shown["IpPermissions"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0", "Description": "web"}]
    assert shown["IpPermissionsEgress"][0]["IpProtocol"] == "-1"
    with refused("InvalidPermission.Duplicate"):
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[http("0.0.0.0/0")])
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rules[0]["SecurityGroupRuleId"]])
    assert ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"] == []
    with refused("InvalidPermission.NotFound"):
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[http("10.0.0.0/8")])


def test_a_group_that_another_names_stays(account, refused):
    ec2 = account.ec2
    vpc, _ = account.default_subnets()
    front = ec2.create_security_group(GroupName="front", Description="balancer", VpcId=vpc)["GroupId"]
    back = ec2.create_security_group(GroupName="back", Description="servers", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=back, IpPermissions=[
        {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": front}]}])
    with refused("DependencyViolation"):
        ec2.delete_security_group(GroupId=front)
    with refused("InvalidGroup.Duplicate"):
        ec2.create_security_group(GroupName="front", Description="again", VpcId=vpc)
    ec2.delete_security_group(GroupId=back)
    ec2.delete_security_group(GroupId=front)
    default = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
    with refused("CannotDelete"):
        ec2.delete_security_group(GroupId=default)


def test_an_address_is_allocated_and_released(account, refused):
    ec2 = account.ec2
    address = ec2.allocate_address(Domain="vpc")
    assert address["PublicIp"].startswith("127.107.")
    (shown,) = ec2.describe_addresses(PublicIps=[address["PublicIp"]])["Addresses"]
    assert shown["AllocationId"] == address["AllocationId"] and "InstanceId" not in shown
    ec2.release_address(AllocationId=address["AllocationId"])
    with refused("InvalidAllocationID.NotFound"):
        ec2.release_address(AllocationId=address["AllocationId"])


def test_tags_are_given_filtered_by_and_taken(account):
    ec2 = account.ec2
    made = ec2.create_vpc(CidrBlock="10.4.0.0/16", TagSpecifications=[
        {"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "shop-blue"}]}])["Vpc"]
    assert made["Tags"] == [{"Key": "Name", "Value": "shop-blue"}]
    other = ec2.create_vpc(CidrBlock="10.5.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[other, made["VpcId"]], Tags=[{"Key": "team", "Value": "web"}])
    named = lambda *filters: {vpc["VpcId"] for vpc in ec2.describe_vpcs(Filters=list(filters))["Vpcs"]}
    assert named({"Name": "tag:Name", "Values": ["shop-*"]}) == {made["VpcId"]}
    assert named({"Name": "tag-key", "Values": ["team"]}) == {other, made["VpcId"]}
    assert named({"Name": "tag:team", "Values": ["web"]}, {"Name": "cidr", "Values": ["10.5.0.0/16"]}) == {other}
    tags = ec2.describe_tags(Filters=[{"Name": "key", "Values": ["team"]}])["Tags"]
    assert {(tag["ResourceId"], tag["ResourceType"], tag["Value"]) for tag in tags} == {
        (other, "vpc", "web"), (made["VpcId"], "vpc", "web")}
    ec2.delete_tags(Resources=[other], Tags=[{"Key": "team"}])
    assert named({"Name": "tag:team", "Values": ["web"]}) == {made["VpcId"]}


def test_an_unknown_filter_is_an_error(account, refused):
    with refused("InvalidParameterValue"):
        account.ec2.describe_vpcs(Filters=[{"Name": "colour", "Values": ["blue"]}])


def test_tags_that_aws_keeps_for_itself_are_refused(account, refused):
    vpc, _ = account.default_subnets()
    with refused("InvalidParameterValue"):
        account.ec2.create_tags(Resources=[vpc], Tags=[{"Key": "aws:name", "Value": "x"}])


def test_pages_show_each_thing_once(world, account, refused):
    ec2 = account.ec2
    vpc = ec2.create_vpc(CidrBlock="10.6.0.0/16")["Vpc"]["VpcId"]
    made = {ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.6.{n}.0/24")["Subnet"]["SubnetId"] for n in range(12)}
    of = [{"Name": "vpc-id", "Values": [vpc]}]
    pages = list(ec2.get_paginator("describe_subnets").paginate(Filters=of, PaginationConfig={"PageSize": 5}))
    assert [len(page["Subnets"]) for page in pages] == [5, 5, 2]
    seen = [subnet["SubnetId"] for page in pages for subnet in page["Subnets"]]
    assert len(seen) == 12 and set(seen) == made
    with refused("InvalidParameterValue"):
        world.client("ec2", account.id, parameter_validation=False).describe_subnets(MaxResults=2)


def test_a_dry_run_says_what_would_happen_and_does_nothing(account, refused):
    ec2 = account.ec2
    with refused("DryRunOperation") as refusal:
        ec2.create_vpc(CidrBlock="10.7.0.0/16", DryRun=True)
    assert refusal.status == 412
    assert not ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.7.0.0/16"]}])["Vpcs"]
    with refused("InvalidVpc.Range"):
        ec2.create_vpc(CidrBlock="10.0.0.0/8", DryRun=True)


def test_an_interface_is_attached_and_detached_as_terraform_and_waiters_do(account, refused):
    (instance,) = account.launch()
    subnet = account.instance(instance)["SubnetId"]
    interface = account.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    available = account.ec2.get_waiter("network_interface_available")
    available.wait(NetworkInterfaceIds=[interface])
    attachment = account.ec2.attach_network_interface(
        NetworkInterfaceId=interface, InstanceId=instance, DeviceIndex=1)["AttachmentId"]
    (shown,) = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    assert (shown["Status"], shown["Attachment"]["Status"], shown["Attachment"]["DeviceIndex"]) == ("in-use", "attached", 1)
    assert len(account.instance(instance)["NetworkInterfaces"]) == 2
    found = account.ec2.describe_instances(
        Filters=[{"Name": "network-interface.attachment.attachment-id", "Values": [attachment]}])["Reservations"]
    assert found[0]["Instances"][0]["InstanceId"] == instance
    account.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=interface, Attachment={"AttachmentId": attachment, "DeleteOnTermination": True})
    account.ec2.detach_network_interface(AttachmentId=attachment)
    available.wait(NetworkInterfaceIds=[interface])
    with refused("InvalidAttachmentID.NotFound"):
        account.ec2.detach_network_interface(AttachmentId=attachment)
    account.ec2.delete_network_interface(NetworkInterfaceId=interface)


def test_the_group_and_subnet_of_a_deleted_interface_go_at_once(account):
    vpc, _ = account.default_subnets()
    subnet = account.ec2.create_subnet(VpcId=vpc, CidrBlock="172.31.240.0/24")["Subnet"]["SubnetId"]
    group = account.ec2.create_security_group(GroupName="passing", Description="x", VpcId=vpc)["GroupId"]
    made = account.ec2.create_network_interface(SubnetId=subnet, Groups=[group])["NetworkInterface"]["NetworkInterfaceId"]
    account.ec2.delete_network_interface(NetworkInterfaceId=made)
    account.ec2.delete_security_group(GroupId=group)
    account.ec2.delete_subnet(SubnetId=subnet)
