//! What a load balancer made for itself is the load balancer's: users look at it, and change nothing of it.

use crate::yard::{Yard, text};
use serde_json::{Value, json};

/// A call as a load balancer makes it.
fn by_balancer(yard: &Yard, operation: &str, input: Value) -> Value {
    yard.cloud.act(&yard.scope, "elbv2", |tx| tx.call_json("ec2", operation, &input)).unwrap()
}

/// The interface of a load balancer's node, and its subnet.
fn node(yard: &Yard) -> (String, String) {
    let zone = json!({ "Filters": [{ "Name": "availability-zone", "Values": ["us-east-1a"] }] });
    let subnet = text(&yard.ok("DescribeSubnets", zone)["Subnets"][0]["SubnetId"]);
    let made =
        by_balancer(yard, "CreateNetworkInterface", json!({ "SubnetId": subnet, "Description": "ELB app/web/1" }));
    yard.settle();
    (text(&made["NetworkInterface"]["NetworkInterfaceId"]), subnet)
}

#[test]
fn the_interface_of_a_load_balancers_node_is_no_instances_and_changes_for_nobody_else() {
    let yard = Yard::new();
    let (eni, subnet) = node(&yard);
    let id = yard.run(json!({ "SubnetId": subnet }));
    yard.settle();
    let launch = |index: i32| {
        let mut all = vec![json!({ "DeviceIndex": index, "NetworkInterfaceId": eni })];
        if index > 0 {
            all.push(json!({ "DeviceIndex": 0, "SubnetId": subnet }));
        }
        json!({ "ImageId": yard.image(), "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, "NetworkInterfaces": all })
    };
    for (operation, input) in [
        ("RunInstances", launch(0)),
        ("RunInstances", launch(1)),
        ("AttachNetworkInterface", json!({ "InstanceId": id, "NetworkInterfaceId": eni, "DeviceIndex": 1 })),
        (
            "ModifyNetworkInterfaceAttribute",
            json!({ "NetworkInterfaceId": eni, "SourceDestCheck": { "Value": false } }),
        ),
        ("AssignPrivateIpAddresses", json!({ "NetworkInterfaceId": eni, "SecondaryPrivateIpAddressCount": 1 })),
        ("UnassignPrivateIpAddresses", json!({ "NetworkInterfaceId": eni, "PrivateIpAddresses": ["172.31.0.9"] })),
        ("DeleteNetworkInterface", json!({ "NetworkInterfaceId": eni })),
    ] {
        let said = yard.refused(operation, input, "OperationNotPermitted");
        assert!(said.contains(&eni), "{operation}: {said}");
    }
    by_balancer(
        &yard,
        "AssignPrivateIpAddresses",
        json!({ "NetworkInterfaceId": eni, "SecondaryPrivateIpAddressCount": 1 }),
    );
    by_balancer(&yard, "DeleteNetworkInterface", json!({ "NetworkInterfaceId": eni }));
}

#[test]
fn the_addresses_of_load_balancers_are_neither_moved_nor_released_nor_counted_by_users() {
    let yard = Yard::new();
    let (eni, subnet) = node(&yard);
    let id = yard.run(json!({ "SubnetId": subnet }));
    yard.settle();
    let tag = json!({ "Key": "aws:elasticloadbalancing:load-balancer", "Value": "web" });
    let tags = json!({ "TagSpecifications": [{ "ResourceType": "elastic-ip", "Tags": [tag] }] });
    let made = by_balancer(&yard, "AllocateAddress", tags.clone());
    let own = text(&yard.ok("AllocateAddress", json!({}))["AllocationId"]);
    for allocation in [&text(&made["AllocationId"]), &own] {
        let here = json!({ "AllocationId": allocation, "NetworkInterfaceId": eni });
        yard.refused(
            "AssociateAddress",
            here.clone(),
            if *allocation == own { "OperationNotPermitted" } else { "AuthFailure" },
        );
        let association = text(&by_balancer(&yard, "AssociateAddress", here)["AssociationId"]);
        yard.refused("AssociateAddress", json!({ "AllocationId": allocation, "InstanceId": id }), "AuthFailure");
        yard.refused("DisassociateAddress", json!({ "AssociationId": association }), "AuthFailure");
        by_balancer(&yard, "DisassociateAddress", json!({ "AssociationId": association }));
    }
    yard.refused("ReleaseAddress", json!({ "AllocationId": made["AllocationId"] }), "AuthFailure");
    by_balancer(&yard, "ReleaseAddress", json!({ "AllocationId": made["AllocationId"] }));
    yard.ok("ReleaseAddress", json!({ "AllocationId": own }));
    // Five are a user's most, whatever load balancers have.
    by_balancer(&yard, "AllocateAddress", tags);
    (0..5).for_each(|_| drop(yard.ok("AllocateAddress", json!({}))));
    yard.refused("AllocateAddress", json!({}), "AddressLimitExceeded");
}
