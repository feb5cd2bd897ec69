//! More than one interface on an instance, more than one address on an interface.

use crate::yard::{Yard, text};
use serde_json::{Value, json};
use zonal_substrate::{Ask, Beside, Report};

/// The subnet and the interface of an instance.
fn place(yard: &Yard, instance: &str) -> (String, String) {
    let own = yard.instance(instance);
    (text(&own["SubnetId"]), text(&own["NetworkInterfaces"][0]["NetworkInterfaceId"]))
}

fn interface(yard: &Yard, subnet: &str) -> String {
    text(&yard.ok("CreateNetworkInterface", json!({ "SubnetId": subnet }))["NetworkInterface"]["NetworkInterfaceId"])
}

fn described(yard: &Yard, id: &str) -> Value {
    yard.ok("DescribeNetworkInterfaces", json!({ "NetworkInterfaceIds": [id] }))["NetworkInterfaces"][0].clone()
}

/// Where the world was told last that an interface is.
fn beside(yard: &Yard, id: &str) -> Option<Beside> {
    let asks = yard.world.asks.lock().unwrap();
    let mut own = asks.iter().rev().filter_map(|ask| match ask {
        Ask::PutInterface(facts) if facts.id == id => Some(facts.beside.clone()),
        _ => None,
    });
    own.next().flatten()
}

#[test]
fn an_interface_is_attached_beside_the_primary_one_and_detached_again() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let (subnet, primary) = place(&yard, &id);
    let more = interface(&yard, &subnet);
    yard.settle();
    assert_eq!(text(&described(&yard, &more)["Status"]), "available");
    let at = |index: i32| json!({ "InstanceId": id, "NetworkInterfaceId": more, "DeviceIndex": index });
    let said = yard.refused("AttachNetworkInterface", at(0), "InvalidParameterValue");
    assert_eq!(said, format!("Instance '{id}' already has an interface attached at device index '0'."));
    let attachment = text(&yard.ok("AttachNetworkInterface", at(1))["AttachmentId"]);
    assert_eq!(text(&described(&yard, &more)["Attachment"]["Status"]), "attaching");
    yard.settle();
    let shown = described(&yard, &more);
    assert_eq!((text(&shown["Status"]), text(&shown["Attachment"]["Status"])), ("in-use".into(), "attached".into()));
    assert_eq!(shown["Attachment"]["DeleteOnTermination"], json!(false));
    assert_eq!(beside(&yard, &more), Some(Beside { interface: primary, index: 1 }));
    let all = yard.instance(&id)["NetworkInterfaces"].clone();
    let indexes: Vec<&Value> = all.as_array().unwrap().iter().map(|own| &own["Attachment"]["DeviceIndex"]).collect();
    assert_eq!(indexes, [&json!(0), &json!(1)]);
    yard.refused("AttachNetworkInterface", at(2), "InvalidParameterValue");
    yard.refused("DeleteNetworkInterface", json!({ "NetworkInterfaceId": more }), "InvalidParameterValue");
    yard.ok("DetachNetworkInterface", json!({ "AttachmentId": attachment }));
    yard.settle();
    assert_eq!(beside(&yard, &more), None);
    assert_eq!(text(&described(&yard, &more)["Status"]), "available");
    yard.refused("DetachNetworkInterface", json!({ "AttachmentId": attachment }), "InvalidAttachmentID.NotFound");
    yard.ok("DeleteNetworkInterface", json!({ "NetworkInterfaceId": more }));
}

#[test]
fn what_the_world_says_of_an_earlier_place_is_not_taken_for_the_new_ones() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let more = interface(&yard, &place(&yard, &id).0);
    yard.settle();
    let at = json!({ "InstanceId": id, "NetworkInterfaceId": more, "DeviceIndex": 1 });
    let attach = || text(&yard.ok("AttachNetworkInterface", at.clone())["AttachmentId"]);
    let status = || text(&described(&yard, &more)["Attachment"]["Status"]);
    let first = attach();
    yard.settle();
    // Away and back before anybody looked: the world is asked for the same place, and says once more that it is so.
    yard.ok("DetachNetworkInterface", json!({ "AttachmentId": first }));
    attach();
    yard.cloud.take_in(&[Report::InterfaceReady { id: more.clone(), generation: 2 }]);
    assert_eq!(status(), "attaching");
    yard.settle();
    assert_eq!(status(), "attached");
}

#[test]
fn an_instance_has_as_many_interfaces_as_its_type_allows_and_keeps_the_first() {
    let yard = Yard::new();
    // A t2.micro has two.
    let id = yard.run(json!({}));
    yard.settle();
    let (subnet, primary) = place(&yard, &id);
    for (index, code) in [(1, None), (2, Some("AttachmentLimitExceeded"))] {
        let input = json!({ "InstanceId": id, "NetworkInterfaceId": interface(&yard, &subnet), "DeviceIndex": index });
        assert_eq!(yard.call("AttachNetworkInterface", input).err().map(|error| error.code).as_deref(), code);
    }
    let first = text(&described(&yard, &primary)["Attachment"]["AttachmentId"]);
    yard.refused("DetachNetworkInterface", json!({ "AttachmentId": first }), "OperationNotPermitted");
}

#[test]
fn a_launch_attaches_all_the_interfaces_that_it_describes_and_they_go_as_they_were_told() {
    let yard = Yard::new();
    let subnets = json!({ "Filters": [{ "Name": "availability-zone", "Values": ["us-east-1a"] }] });
    let subnet = text(&yard.ok("DescribeSubnets", subnets)["Subnets"][0]["SubnetId"]);
    let kept = interface(&yard, &subnet);
    let id = yard.run(json!({ "InstanceType": "t3.small", "NetworkInterfaces": [
        { "DeviceIndex": 1, "NetworkInterfaceId": kept },
        { "DeviceIndex": 0, "SubnetId": subnet },
        { "DeviceIndex": 2, "SubnetId": subnet, "Description": "third" },
    ] }));
    yard.settle();
    let all = yard.instance(&id)["NetworkInterfaces"].clone();
    assert_eq!(all.as_array().unwrap().len(), 3);
    assert_eq!(all[1]["NetworkInterfaceId"], json!(kept));
    let third = text(&all[2]["NetworkInterfaceId"]);
    yard.ok("TerminateInstances", json!({ "InstanceIds": [id] }));
    yard.settle();
    assert_eq!(text(&described(&yard, &kept)["Status"]), "available");
    let gone = json!({ "NetworkInterfaceIds": [third] });
    yard.refused("DescribeNetworkInterfaces", gone, "InvalidNetworkInterfaceID.NotFound");
}

#[test]
fn an_interface_gets_and_gives_back_further_addresses() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let (_, primary) = place(&yard, &id);
    let two = json!({ "NetworkInterfaceId": primary, "SecondaryPrivateIpAddressCount": 2 });
    // A t2.micro's interface has two, the primary one among them.
    yard.refused("AssignPrivateIpAddresses", two, "PrivateIpAddressLimitExceeded");
    let one = json!({ "NetworkInterfaceId": primary, "SecondaryPrivateIpAddressCount": 1 });
    let made = yard.ok("AssignPrivateIpAddresses", one);
    let address = text(&made["AssignedPrivateIpAddresses"][0]["PrivateIpAddress"]);
    let shown = described(&yard, &primary)["PrivateIpAddresses"].clone();
    assert_eq!((&shown[1]["PrivateIpAddress"], &shown[1]["Primary"]), (&json!(address), &json!(false)));
    let own = text(&shown[0]["PrivateIpAddress"]);
    let back = |address: &str| json!({ "NetworkInterfaceId": primary, "PrivateIpAddresses": [address] });
    yard.refused("UnassignPrivateIpAddresses", back(&own), "InvalidParameterValue");
    yard.ok("UnassignPrivateIpAddresses", back(&address));
    assert_eq!(described(&yard, &primary)["PrivateIpAddresses"].as_array().unwrap().len(), 1);
}

#[test]
fn an_instance_profile_is_associated_replaced_and_taken_away() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    let named = |name: &str| json!({ "InstanceId": id, "IamInstanceProfile": { "Name": name } });
    let made = yard.ok("AssociateIamInstanceProfile", named("web"))["IamInstanceProfileAssociation"].clone();
    assert_eq!(text(&made["State"]), "associating");
    yard.refused("AssociateIamInstanceProfile", named("db"), "IncorrectState");
    let other = json!({ "AssociationId": made["AssociationId"], "IamInstanceProfile": { "Name": "db" } });
    let made = yard.ok("ReplaceIamInstanceProfileAssociation", other)["IamInstanceProfileAssociation"].clone();
    assert!(text(&yard.instance(&id)["IamInstanceProfile"]["Arn"]).ends_with("instance-profile/db"));
    let filter = json!({ "Filters": [{ "Name": "instance-id", "Values": [id] }] });
    let all = yard.ok("DescribeIamInstanceProfileAssociations", filter);
    assert_eq!(all["IamInstanceProfileAssociations"][0]["AssociationId"], made["AssociationId"]);
    yard.ok("DisassociateIamInstanceProfile", json!({ "AssociationId": made["AssociationId"] }));
    assert!(yard.instance(&id)["IamInstanceProfile"].is_null());
}
