//! VPCs and what is in them.

use crate::yard::{Yard, text};
use serde_json::json;
use zonal_substrate::Ask;

#[test]
fn a_region_has_a_default_vpc_from_the_first_call_on() {
    let yard = Yard::new();
    let vpc = yard.ok("DescribeVpcs", json!({}))["Vpcs"][0].clone();
    assert_eq!((text(&vpc["CidrBlock"]), &vpc["IsDefault"]), ("172.31.0.0/16".to_owned(), &json!(true)));
    let subnets = yard.ok("DescribeSubnets", json!({}))["Subnets"].as_array().unwrap().len();
    assert_eq!(subnets, 6, "one for each zone of us-east-1");
    yard.refused("CreateDefaultVpc", json!({}), "DefaultVpcAlreadyExists");
}

#[test]
fn a_vpc_that_holds_something_is_not_deleted_and_an_empty_one_is_with_all_it_came_with() {
    let yard = Yard::new();
    let vpc = text(&yard.ok("CreateVpc", json!({ "CidrBlock": "10.0.0.0/16" }))["Vpc"]["VpcId"]);
    let subnet = yard.ok("CreateSubnet", json!({ "VpcId": vpc, "CidrBlock": "10.0.1.0/24" }));
    yard.refused("DeleteVpc", json!({ "VpcId": vpc }), "DependencyViolation");
    yard.ok("DeleteSubnet", json!({ "SubnetId": subnet["Subnet"]["SubnetId"] }));
    yard.ok("DeleteVpc", json!({ "VpcId": vpc }));
    yard.settle();
    yard.refused("DescribeVpcs", json!({ "VpcIds": [vpc] }), "InvalidVpcID.NotFound");
    let left = yard.ok("DescribeSecurityGroups", json!({ "Filters": [{ "Name": "vpc-id", "Values": [vpc] }] }));
    assert!(left.get("SecurityGroups").is_none(), "{left}");
}

#[test]
fn subnets_lie_inside_their_vpc_and_beside_each_other() {
    let yard = Yard::new();
    let vpc = text(&yard.ok("CreateVpc", json!({ "CidrBlock": "10.0.0.0/16" }))["Vpc"]["VpcId"]);
    yard.refused("CreateSubnet", json!({ "VpcId": vpc, "CidrBlock": "10.1.0.0/24" }), "InvalidSubnet.Range");
    let made =
        yard.ok("CreateSubnet", json!({ "VpcId": vpc, "CidrBlock": "10.0.0.0/24", "AvailabilityZoneId": "use1-az3" }));
    assert_eq!(made["Subnet"]["AvailabilityZone"], "us-east-1c");
    assert_eq!(made["Subnet"]["AvailableIpAddressCount"], 251);
    yard.refused("CreateSubnet", json!({ "VpcId": vpc, "CidrBlock": "10.0.0.128/25" }), "InvalidSubnet.Conflict");
}

#[test]
fn a_group_lets_everything_out_and_a_rule_is_given_once() {
    let yard = Yard::new();
    let group = text(&yard.ok("CreateSecurityGroup", json!({ "GroupName": "web", "Description": "d" }))["GroupId"]);
    let web = json!({ "GroupId": group, "IpPermissions": [{
        "IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{ "CidrIp": "0.0.0.0/0" }] }] });
    yard.ok("AuthorizeSecurityGroupIngress", web.clone());
    let said = yard.refused("AuthorizeSecurityGroupIngress", web.clone(), "InvalidPermission.Duplicate");
    assert_eq!(said, "the specified rule \"peer: 0.0.0.0/0, TCP, from port: 80, to port: 80, ALLOW\" already exists");
    let shown = yard.ok("DescribeSecurityGroups", json!({ "GroupIds": [group] }))["SecurityGroups"][0].clone();
    assert_eq!(shown["IpPermissionsEgress"][0]["IpProtocol"], "-1");
    yard.ok("RevokeSecurityGroupIngress", web.clone());
    yard.refused("RevokeSecurityGroupIngress", web, "InvalidPermission.NotFound");
}

#[test]
fn a_group_in_use_is_not_deleted() {
    let yard = Yard::new();
    let group = text(&yard.ok("CreateSecurityGroup", json!({ "GroupName": "web", "Description": "d" }))["GroupId"]);
    yard.run(json!({ "SecurityGroupIds": [group] }));
    yard.refused("DeleteSecurityGroup", json!({ "GroupId": group }), "DependencyViolation");
}

#[test]
fn a_route_through_a_detached_gateway_is_a_black_hole() {
    let yard = Yard::new();
    let vpc = text(&yard.ok("CreateVpc", json!({ "CidrBlock": "10.0.0.0/16" }))["Vpc"]["VpcId"]);
    let gateway = text(&yard.ok("CreateInternetGateway", json!({}))["InternetGateway"]["InternetGatewayId"]);
    let table = text(&yard.ok("CreateRouteTable", json!({ "VpcId": vpc }))["RouteTable"]["RouteTableId"]);
    let route = json!({ "RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway });
    yard.refused("CreateRoute", route.clone(), "InvalidParameterValue");
    yard.ok("AttachInternetGateway", json!({ "VpcId": vpc, "InternetGatewayId": gateway }));
    yard.ok("CreateRoute", route);
    let states = |yard: &Yard| {
        let shown = yard.ok("DescribeRouteTables", json!({ "RouteTableIds": [table] }));
        text(&shown["RouteTables"][0]["Routes"][1]["State"])
    };
    assert_eq!(states(&yard), "active");
    yard.ok("DetachInternetGateway", json!({ "VpcId": vpc, "InternetGatewayId": gateway }));
    assert_eq!(states(&yard), "blackhole");
}

#[test]
fn an_elastic_address_moves_unless_that_is_forbidden() {
    let yard = Yard::new();
    let (one, two) = (yard.run(json!({})), yard.run(json!({})));
    yard.settle();
    let made = yard.ok("AllocateAddress", json!({ "Domain": "vpc" }));
    let (allocation, ip) = (text(&made["AllocationId"]), text(&made["PublicIp"]));
    assert!(ip.starts_with("127.100."), "{ip}");
    yard.ok("AssociateAddress", json!({ "AllocationId": allocation, "InstanceId": one }));
    assert_eq!(yard.instance(&one)["PublicIpAddress"], json!(ip));
    let again = json!({ "AllocationId": allocation, "InstanceId": two, "AllowReassociation": false });
    yard.refused("AssociateAddress", again, "Resource.AlreadyAssociated");
    yard.ok("AssociateAddress", json!({ "AllocationId": allocation, "InstanceId": two }));
    assert_eq!(yard.instance(&two)["PublicIpAddress"], json!(ip));
    assert!(yard.instance(&one).get("PublicIpAddress").is_none());
    yard.refused("ReleaseAddress", json!({ "AllocationId": allocation }), "InvalidIPAddress.InUse");
    yard.ok("StopInstances", json!({ "InstanceIds": [two] }));
    yard.settle();
    assert_eq!(yard.instance(&two)["PublicIpAddress"], json!(ip), "an Elastic IP stays over a stop");
}

#[test]
fn the_world_is_asked_for_a_group_once_however_often_it_is_looked_at() {
    let yard = Yard::new();
    yard.default_vpc();
    yard.settle();
    let asks =
        |yard: &Yard| yard.world.asks.lock().unwrap().iter().filter(|ask| matches!(ask, Ask::PutGroup(_))).count();
    let first = asks(&yard);
    assert_eq!(first, 1);
    yard.cloud.full_pass();
    yard.settle();
    assert_eq!(asks(&yard), first);
}

#[test]
fn a_rule_has_tags_of_its_own() {
    let yard = Yard::new();
    let group = text(&yard.ok("CreateSecurityGroup", json!({ "GroupName": "web", "Description": "d" }))["GroupId"]);
    let made = yard.ok(
        "AuthorizeSecurityGroupIngress",
        json!({
            "GroupId": group,
            "IpPermissions": [{ "IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{ "CidrIp": "0.0.0.0/0" }] }],
            "TagSpecifications": [{ "ResourceType": "security-group-rule", "Tags": [{ "Key": "Name", "Value": "web" }] }],
        }),
    );
    let rule = text(&made["SecurityGroupRules"][0]["SecurityGroupRuleId"]);
    yard.ok("CreateTags", json!({ "Resources": [rule], "Tags": [{ "Key": "more", "Value": "1" }] }));
    let shown = yard.ok("DescribeSecurityGroupRules", json!({ "SecurityGroupRuleIds": [rule] }))["SecurityGroupRules"]
        [0]
    .clone();
    assert_eq!(shown["Tags"], json!([{ "Key": "Name", "Value": "web" }, { "Key": "more", "Value": "1" }]));
    yard.ok("RevokeSecurityGroupIngress", json!({ "GroupId": group, "SecurityGroupRuleIds": [rule] }));
    let gone = json!({ "SecurityGroupRuleIds": [rule] });
    yard.refused("DescribeSecurityGroupRules", gone, "InvalidSecurityGroupRuleId.NotFound");
}

#[test]
fn what_does_not_exist_is_named_by_its_kind() {
    let yard = Yard::new();
    for (id, code, said) in [
        ("igw-1", "InvalidInternetGatewayID.NotFound", "The internetGateway ID 'igw-1' does not exist"),
        ("sg-1", "InvalidGroup.NotFound", "The security group 'sg-1' does not exist"),
        ("ami-1", "InvalidAMIID.NotFound", "The image id '[ami-1]' does not exist"),
        ("vol-1", "InvalidVolume.NotFound", "The volume 'vol-1' does not exist."),
        ("x", "InvalidID", "The ID 'x' is not valid"),
    ] {
        let tags = json!({ "Resources": [id], "Tags": [{ "Key": "a", "Value": "" }] });
        assert_eq!(yard.refused("CreateTags", tags, code), said);
    }
}

#[test]
fn an_address_given_at_launch_goes_with_the_instance_and_an_interface_that_is_kept_loses_it() {
    let yard = Yard::new();
    let id = yard.run(json!({ "NetworkInterfaces": [{ "DeviceIndex": 0, "DeleteOnTermination": false }] }));
    yard.settle();
    let interface = text(&yard.instance(&id)["NetworkInterfaces"][0]["NetworkInterfaceId"]);
    yard.ok("TerminateInstances", json!({ "InstanceIds": [id] }));
    yard.settle();
    let kept = yard.ok("DescribeNetworkInterfaces", json!({ "NetworkInterfaceIds": [interface] }))["NetworkInterfaces"]
        [0]
    .clone();
    assert_eq!(kept["Status"], "available");
    assert!(kept.get("Association").is_none(), "{kept}");
}

#[test]
fn what_belongs_to_another_vpc_is_refused() {
    let yard = Yard::new();
    let vpc = yard.default_vpc();
    let other = text(&yard.ok("CreateVpc", json!({ "CidrBlock": "10.0.0.0/16" }))["Vpc"]["VpcId"]);
    let foreign = json!({ "GroupName": "far", "Description": "d", "VpcId": other });
    let far = text(&yard.ok("CreateSecurityGroup", foreign)["GroupId"]);
    let near = text(&yard.ok("CreateSecurityGroup", json!({ "GroupName": "near", "Description": "d" }))["GroupId"]);
    let id = yard.run(json!({}));
    let interface = text(&yard.instance(&id)["NetworkInterfaces"][0]["NetworkInterfaceId"]);
    let groups = json!({ "InstanceId": id, "Groups": [far] });
    yard.refused("ModifyInstanceAttribute", groups, "InvalidParameter");
    let groups = json!({ "NetworkInterfaceId": interface, "Groups": [far] });
    yard.refused("ModifyNetworkInterfaceAttribute", groups, "InvalidParameter");
    let from = json!({ "GroupId": near, "IpPermissions": [{
        "IpProtocol": "-1", "UserIdGroupPairs": [{ "GroupId": far }] }] });
    yard.refused("AuthorizeSecurityGroupIngress", from, "InvalidGroup.NotFound");

    let gateway = text(&yard.ok("CreateInternetGateway", json!({}))["InternetGateway"]["InternetGatewayId"]);
    yard.ok("AttachInternetGateway", json!({ "VpcId": other, "InternetGatewayId": gateway }));
    let tables = yard.ok("DescribeRouteTables", json!({ "Filters": [{ "Name": "vpc-id", "Values": [vpc] }] }));
    let (main, association) = (
        text(&tables["RouteTables"][0]["RouteTableId"]),
        text(&tables["RouteTables"][0]["Associations"][0]["RouteTableAssociationId"]),
    );
    let route = json!({ "RouteTableId": main, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway });
    yard.refused("ReplaceRoute", route, "InvalidParameterValue");
    let foreign = text(&yard.ok("CreateRouteTable", json!({ "VpcId": other }))["RouteTable"]["RouteTableId"]);
    let replace = json!({ "AssociationId": association, "RouteTableId": foreign });
    yard.refused("ReplaceRouteTableAssociation", replace, "InvalidParameterValue");
    let acls = yard.ok("DescribeNetworkAcls", json!({ "Filters": [{ "Name": "vpc-id", "Values": [vpc] }] }));
    let association = text(&acls["NetworkAcls"][0]["Associations"][0]["NetworkAclAssociationId"]);
    let foreign = text(&yard.ok("CreateNetworkAcl", json!({ "VpcId": other }))["NetworkAcl"]["NetworkAclId"]);
    let replace = json!({ "AssociationId": association, "NetworkAclId": foreign });
    yard.refused("ReplaceNetworkAclAssociation", replace, "InvalidParameterValue");
}

#[test]
fn a_rule_changes_what_it_lets_through_and_keeps_its_id() {
    let yard = Yard::new();
    let group = text(&yard.ok("CreateSecurityGroup", json!({ "GroupName": "web", "Description": "d" }))["GroupId"]);
    let open = |port: u16| {
        json!({ "GroupId": group, "IpPermissions": [{
        "IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{ "CidrIp": "0.0.0.0/0" }] }] })
    };
    let made = yard.ok("AuthorizeSecurityGroupIngress", open(80));
    yard.ok("AuthorizeSecurityGroupIngress", open(81));
    let rule = text(&made["SecurityGroupRules"][0]["SecurityGroupRuleId"]);
    let change = |port: u16, peer: (&str, &str)| {
        let mut wanted = json!({ "IpProtocol": "tcp", "FromPort": port, "ToPort": port, "Description": "new" });
        wanted[peer.0] = peer.1.into();
        json!({ "GroupId": group, "SecurityGroupRules": [{ "SecurityGroupRuleId": rule, "SecurityGroupRule": wanted }] })
    };
    yard.ok("ModifySecurityGroupRules", change(8080, ("CidrIpv4", "10.0.0.0/8")));
    let shown = yard.ok("DescribeSecurityGroupRules", json!({ "SecurityGroupRuleIds": [rule] }));
    let shown = &shown["SecurityGroupRules"][0];
    assert_eq!(
        (&shown["FromPort"], &shown["CidrIpv4"], &shown["Description"]),
        (&json!(8080), &json!("10.0.0.0/8"), &json!("new"))
    );
    yard.refused("ModifySecurityGroupRules", change(81, ("CidrIpv4", "0.0.0.0/0")), "InvalidPermission.Duplicate");
    yard.refused("ModifySecurityGroupRules", change(80, ("CidrIpv6", "::/0")), "InvalidParameterValue");
    yard.refused("ModifySecurityGroupRules", change(80, ("Description", "no peer")), "InvalidParameterCombination");
    let described = json!({ "GroupId": group, "SecurityGroupRuleDescriptions": [
        { "SecurityGroupRuleId": rule, "Description": "once more" }] });
    yard.ok("UpdateSecurityGroupRuleDescriptionsIngress", described);
    let shown = yard.ok("DescribeSecurityGroupRules", json!({ "SecurityGroupRuleIds": [rule] }));
    assert_eq!(shown["SecurityGroupRules"][0]["Description"], "once more");
}
