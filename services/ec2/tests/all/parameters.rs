//! What a request asks for is done or refused, not taken in silence.

use crate::yard::{Yard, text};
use serde_json::{Value, json};

fn with(mut input: Value, more: &Value) -> Value {
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

#[test]
fn what_is_not_here_is_refused_by_its_name() {
    let yard = Yard::new();
    let vpc = yard.default_vpc();
    let subnet = text(&yard.ok("DescribeSubnets", json!({}))["Subnets"][0]["SubnetId"]);
    let id = yard.run(json!({}));
    let launch = json!({ "ImageId": yard.image(), "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1 });
    let interface = |more: &Value| json!({ "NetworkInterfaces": [with(json!({ "DeviceIndex": 0 }), more)] });
    for (operation, base, more, name) in [
        ("RunInstances", &launch, json!({ "Ipv6AddressCount": 1 }), "Ipv6AddressCount"),
        ("RunInstances", &launch, json!({ "KernelId": "aki-1" }), "KernelId"),
        ("RunInstances", &launch, json!({ "Placement": { "HostId": "h-1" } }), "Placement.HostId"),
        ("RunInstances", &launch, interface(&json!({ "Ipv4PrefixCount": 1 })), "NetworkInterfaces.Ipv4PrefixCount"),
        (
            "CreateNetworkInterface",
            &json!({ "SubnetId": subnet }),
            json!({ "Ipv6AddressCount": 1 }),
            "Ipv6AddressCount",
        ),
        ("CreateSubnet", &json!({ "VpcId": vpc }), json!({ "Ipv4IpamPoolId": "ipam-pool-1" }), "Ipv4IpamPoolId"),
        ("CreateSubnet", &json!({ "VpcId": vpc }), json!({ "Ipv6Native": true }), "Ipv6Native"),
        ("ModifyInstanceAttribute", &json!({ "InstanceId": id }), json!({ "Kernel": { "Value": "aki-1" } }), "Kernel"),
    ] {
        let said = yard.refused(operation, with(base.clone(), &more), "UnsupportedOperation");
        assert!(said.starts_with(&format!("The parameter {name} is not supported")), "{operation}: {said}");
    }
    let kernel = json!({ "InstanceId": id, "Attribute": "kernel", "Value": "aki-1" });
    yard.refused("ModifyInstanceAttribute", kernel, "InvalidParameterCombination");
    // Who asks for none of it asks for nothing.
    yard.ok("RunInstances", with(launch, &json!({ "Ipv6AddressCount": 0, "EnablePrimaryIpv6": false })));
}

#[test]
fn a_launch_gives_its_interfaces_the_addresses_that_it_asks_for_and_no_more_than_its_type_has() {
    let yard = Yard::new();
    let zone = json!({ "Filters": [{ "Name": "availability-zone", "Values": ["us-east-1a"] }] });
    let subnet = yard.ok("DescribeSubnets", zone)["Subnets"][0].clone();
    let (own, cidr) = (text(&subnet["SubnetId"]), text(&subnet["CidrBlock"]));
    let address = |last: u8| format!("{}.{last}", cidr.split('/').next().unwrap().rsplit_once('.').unwrap().0);
    let listed = json!([{ "PrivateIpAddress": address(50), "Primary": true }, { "PrivateIpAddress": address(51) }]);
    let id = yard.run(json!({ "InstanceType": "t3.small", "NetworkInterfaces": [
        { "DeviceIndex": 0, "SubnetId": own, "PrivateIpAddresses": listed },
        { "DeviceIndex": 1, "SubnetId": own, "SecondaryPrivateIpAddressCount": 2 },
    ] }));
    let all = yard.instance(&id)["NetworkInterfaces"].clone();
    let of = |at: usize| -> Vec<String> {
        let all = all[at]["PrivateIpAddresses"].as_array().unwrap();
        all.iter().map(|own| text(&own["PrivateIpAddress"])).collect()
    };
    assert_eq!(of(0), [address(50), address(51)]);
    assert_eq!(of(1).len(), 3);
    let launch = |count: i32, interface: Value| {
        json!({ "ImageId": yard.image(), "InstanceType": "t3.small", "MinCount": count, "MaxCount": count,
            "NetworkInterfaces": [with(json!({ "DeviceIndex": 0, "SubnetId": own }), &interface)] })
    };
    let four = json!({ "SecondaryPrivateIpAddressCount": 4 });
    yard.refused("RunInstances", launch(1, four), "PrivateIpAddressLimitExceeded");
    let fixed = json!({ "PrivateIpAddresses": [{ "PrivateIpAddress": address(60), "Primary": true }] });
    yard.refused("RunInstances", launch(2, fixed), "InvalidParameterCombination");
}

#[test]
fn a_root_volume_that_is_told_to_stay_outlives_its_instance() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let device = |name: &str| json!({ "InstanceId": id, "BlockDeviceMappings": [{ "DeviceName": name, "Ebs": { "DeleteOnTermination": false } }] });
    yard.refused("ModifyInstanceAttribute", device("/dev/sdf"), "InvalidInstanceAttributeValue");
    yard.ok("ModifyInstanceAttribute", device("/dev/xvda"));
    let volume = yard.instance(&id)["BlockDeviceMappings"][0]["Ebs"].clone();
    assert_eq!(volume["DeleteOnTermination"], json!(false));
    yard.ok("TerminateInstances", json!({ "InstanceIds": [id] }));
    yard.settle();
    yard.ok("DescribeVolumes", json!({ "VolumeIds": [volume["VolumeId"]] }));
}
