//! What is refused, in AWS's words; and settings that are kept.

use crate::yard::{Yard, text};
use serde_json::{Value, json};

#[test]
fn ids_of_another_form_are_malformed() {
    let yard = Yard::new();
    for (operation, member, id, code) in [
        ("DescribeSecurityGroups", "GroupIds", "web", "InvalidGroupId.Malformed"),
        ("DescribeNetworkInterfaces", "NetworkInterfaceIds", "eni-x", "InvalidNetworkInterfaceId.Malformed"),
        ("DescribeRouteTables", "RouteTableIds", "main", "InvalidRouteTableId.Malformed"),
        ("DescribeImages", "ImageIds", "al2023", "InvalidAMIID.Malformed"),
        ("DescribeSecurityGroupRules", "SecurityGroupRuleIds", "1", "InvalidSecurityGroupRuleId.Malformed"),
        ("DescribeInstanceStatus", "InstanceIds", "web", "InvalidInstanceID.Malformed"),
        ("DescribeVpcs", "VpcIds", "web", "InvalidVpcID.NotFound"),
    ] {
        yard.refused(operation, json!({ member: [id] }), code);
    }
}

#[test]
fn one_attribute_of_an_instance_is_changed_at_a_time_and_none_of_one_that_ends() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    let change = |more: Value| {
        let mut input = json!({ "InstanceId": id });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let refused = "InvalidParameterCombination";
    assert_eq!(yard.refused("ModifyInstanceAttribute", change(json!({})), refused), "No attributes specified.");
    let two = json!({ "DisableApiStop": { "Value": true }, "DisableApiTermination": { "Value": true } });
    yard.refused("ModifyInstanceAttribute", change(two), refused);
    yard.settle();
    let kind = json!({ "InstanceType": { "Value": "t3.small" } });
    let said = yard.refused("ModifyInstanceAttribute", change(kind), "IncorrectInstanceState");
    assert_eq!(said, format!("The instance '{id}' is not in the 'stopped' state."));
    yard.ok("TerminateInstances", json!({ "InstanceIds": [id] }));
    let stop = json!({ "DisableApiStop": { "Value": true } });
    yard.refused("ModifyInstanceAttribute", change(stop), "IncorrectInstanceState");
    yard.refused(
        "ModifyInstanceMetadataOptions",
        change(json!({ "HttpTokens": "optional" })),
        "IncorrectInstanceState",
    );
}

#[test]
fn a_launch_checks_what_it_is_told_of_credits_hops_and_groups() {
    let yard = Yard::new();
    let subnet = text(&yard.ok("DescribeSubnets", json!({}))["Subnets"][0]["SubnetId"]);
    for (more, code) in [
        (json!({ "CreditSpecification": { "CpuCredits": "many" } }), "InvalidParameterValue"),
        (
            json!({ "InstanceType": "m5.large", "CreditSpecification": { "CpuCredits": "standard" } }),
            "InvalidParameterCombination",
        ),
        (json!({ "MetadataOptions": { "HttpPutResponseHopLimit": 65 } }), "InvalidParameterValue"),
        (json!({ "SecurityGroups": ["default"], "SubnetId": subnet }), "InvalidParameterCombination"),
    ] {
        let mut input = json!({ "ImageId": yard.image(), "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1 });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        yard.refused("RunInstances", input, code);
    }
}

#[test]
fn settings_of_subnets_and_vpcs_are_kept_one_at_a_time() {
    let yard = Yard::new();
    let (vpc, subnet) = (yard.default_vpc(), text(&yard.ok("DescribeSubnets", json!({}))["Subnets"][0]["SubnetId"]));
    let on = json!({ "Value": true });
    yard.ok("ModifyVpcAttribute", json!({ "VpcId": vpc, "EnableNetworkAddressUsageMetrics": on }));
    let attribute = json!({ "VpcId": vpc, "Attribute": "enableNetworkAddressUsageMetrics" });
    assert_eq!(yard.ok("DescribeVpcAttribute", attribute)["EnableNetworkAddressUsageMetrics"], on);
    yard.ok("ModifySubnetAttribute", json!({ "SubnetId": subnet, "EnableResourceNameDnsARecordOnLaunch": on }));
    yard.ok("ModifySubnetAttribute", json!({ "SubnetId": subnet, "AssignIpv6AddressOnCreation": { "Value": false } }));
    let shown = yard.ok("DescribeSubnets", json!({ "SubnetIds": [subnet] }))["Subnets"][0].clone();
    assert_eq!(shown["PrivateDnsNameOptionsOnLaunch"]["EnableResourceNameDnsARecord"], json!(true));
    let two = json!({ "SubnetId": subnet, "MapPublicIpOnLaunch": on, "EnableResourceNameDnsARecordOnLaunch": on });
    yard.refused("ModifySubnetAttribute", two, "InvalidParameterCombination");
    yard.refused("ModifySubnetAttribute", json!({ "SubnetId": subnet, "EnableDns64": on }), "UnsupportedOperation");
}

#[test]
fn groups_are_named_and_described_in_plain_letters() {
    let yard = Yard::new();
    for (name, description) in [("sg-web", "x"), ("default", "x"), ("w\u{e9}b", "x"), ("web", "<x>")] {
        let input = json!({ "GroupName": name, "Description": description });
        yard.refused("CreateSecurityGroup", input, "InvalidParameterValue");
    }
    let group = text(&yard.ok("CreateSecurityGroup", json!({ "GroupName": "web", "Description": "x" }))["GroupId"]);
    let rule = |cidr: &str| {
        let range = json!([{ "CidrIpv6": cidr }]);
        json!({ "GroupId": group, "IpPermissions": [{ "IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "Ipv6Ranges": range }] })
    };
    let said = yard.refused("AuthorizeSecurityGroupIngress", rule("any"), "InvalidParameterValue");
    assert_eq!(said, "CIDR block any is malformed");
    yard.ok("AuthorizeSecurityGroupIngress", rule("2001:db8::1/32"));
    // The same network, written otherwise.
    yard.refused("AuthorizeSecurityGroupIngress", rule("2001:db8::/32"), "InvalidPermission.Duplicate");
    let revoked = yard.ok("RevokeSecurityGroupIngress", rule("2001:db8::/32"));
    assert_eq!(revoked["RevokedSecurityGroupRules"][0]["CidrIpv6"], json!("2001:db8::/32"));
}

#[test]
fn the_local_route_stays_and_what_is_never_there_is_described_as_none() {
    let yard = Yard::new();
    let table = yard.ok("DescribeRouteTables", json!({}))["RouteTables"][0].clone();
    let local = json!({ "RouteTableId": table["RouteTableId"], "DestinationCidrBlock": "172.31.0.0/16" });
    let said = yard.refused("DeleteRoute", local, "InvalidParameterValue");
    assert!(said.starts_with("cannot remove local route 172.31.0.0/16"), "{said}");
    yard.ok("DescribeNatGateways", json!({ "Filter": [{ "Name": "vpc-id", "Values": ["x"] }] }));
    yard.refused("DescribeNatGateways", json!({ "NatGatewayIds": ["nat-1"] }), "NatGatewayNotFound");
    yard.ok("DescribeVpcEndpoints", json!({}));
    yard.ok("DescribePrefixLists", json!({}));
}

#[test]
fn an_entry_of_an_access_list_has_ports_that_begin_before_they_end() {
    let yard = Yard::new();
    let vpc = text(&yard.ok("DescribeVpcs", json!({}))["Vpcs"][0]["VpcId"]);
    let acl = text(&yard.ok("CreateNetworkAcl", json!({ "VpcId": vpc }))["NetworkAcl"]["NetworkAclId"]);
    let entry = |number: i32, protocol: &str, from: i32, to: i32| {
        json!({
            "NetworkAclId": acl, "RuleNumber": number, "Protocol": protocol, "RuleAction": "allow", "Egress": false,
            "CidrBlock": "0.0.0.0/0", "PortRange": { "From": from, "To": to },
        })
    };
    yard.ok("CreateNetworkAclEntry", entry(100, "6", 80, 80));
    for (protocol, from, to) in [("6", 443, 80), ("17", 1, 0), ("tcp", -5, 80), ("6", 80, 65536)] {
        yard.refused("CreateNetworkAclEntry", entry(110, protocol, from, to), "InvalidParameterValue");
        yard.refused("ReplaceNetworkAclEntry", entry(100, protocol, from, to), "InvalidParameterValue");
    }
    // Others have none; what is given is not looked at.
    yard.ok("CreateNetworkAclEntry", entry(120, "-1", 443, 80));
}
