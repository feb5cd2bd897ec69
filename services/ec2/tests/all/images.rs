//! Images and their snapshots, and what a launch answers before anything of it is there.

use crate::yard::{Yard, text};
use serde_json::{Value, json};

fn named(yard: &Yard, owner: &str, pattern: &str) -> Value {
    let filter = json!({ "Owners": [owner], "Filters": [{ "Name": "name", "Values": [pattern] }] });
    yard.ok("DescribeImages", filter)["Images"].clone()
}

#[test]
fn the_searches_of_common_templates_find_an_image() {
    let yard = Yard::new();
    for (owner, pattern) in [
        ("amazon", "al2023-ami-2023*-x86_64"),
        ("amazon", "al2023-ami-minimal-*-x86_64"),
        ("amazon", "amzn2-ami-hvm-*-x86_64-gp2"),
        ("amazon", "amzn2-ami-hvm-*-x86_64-ebs"),
        ("137112412989", "amzn2-ami-kernel-5.10-hvm-*-x86_64-gp2"),
        ("099720109477", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"),
        ("099720109477", "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-*"),
        ("099720109477", "ubuntu/images/hvm-ssd/ubuntu-focal-20.04-amd64-server-*"),
        ("136693071363", "debian-12-amd64-*"),
    ] {
        assert!(named(&yard, owner, pattern)[0]["ImageId"].is_string(), "{pattern}");
    }
}

#[test]
fn ubuntu_calls_its_root_device_sda1_and_so_do_its_instances_and_their_images() {
    let yard = Yard::new();
    let image = named(&yard, "099720109477", "*noble*")[0].clone();
    assert_eq!(image["RootDeviceName"], "/dev/sda1");
    assert_eq!(image["BlockDeviceMappings"][0]["DeviceName"], "/dev/sda1");
    let disk = json!([{ "DeviceName": "/dev/sda1", "Ebs": { "VolumeSize": 20 } }]);
    let id = yard.run(json!({ "ImageId": image["ImageId"], "BlockDeviceMappings": disk }));
    yard.settle();
    let own = yard.instance(&id);
    assert_eq!(own["RootDeviceName"], "/dev/sda1");
    assert_eq!(own["BlockDeviceMappings"][0]["DeviceName"], "/dev/sda1");
    let volume = json!({ "VolumeIds": [own["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]] });
    let volume = yard.ok("DescribeVolumes", volume)["Volumes"][0].clone();
    assert_eq!((&volume["Size"], &volume["Attachments"][0]["Device"]), (&json!(20), &json!("/dev/sda1")));
    let made = text(&yard.ok("CreateImage", json!({ "InstanceId": id, "Name": "gold" }))["ImageId"]);
    let made = yard.ok("DescribeImages", json!({ "ImageIds": [made] }))["Images"][0].clone();
    assert_eq!(
        (&made["RootDeviceName"], &made["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"]),
        (&json!("/dev/sda1"), &json!(20))
    );
}

#[test]
fn a_launch_answers_what_is_not_yet_there_as_pending() {
    let yard = Yard::new();
    let input = json!({ "ImageId": yard.image(), "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1 });
    let answer = yard.ok("RunInstances", input)["Instances"][0].clone();
    assert_eq!(answer["MetadataOptions"]["State"], "pending");
    assert_eq!(answer["NetworkInterfaces"][0]["Attachment"]["Status"], "attaching");
    assert_eq!((&answer["PublicDnsName"], &answer["PublicIpAddress"]), (&json!(""), &Value::Null));
    yard.settle();
    let later = yard.instance(&text(&answer["InstanceId"]));
    assert_eq!(later["MetadataOptions"]["State"], "applied");
    assert_eq!(later["NetworkInterfaces"][0]["Attachment"]["Status"], "attached");
    assert!(later["PublicIpAddress"].is_string() && later["BlockDeviceMappings"][0].is_object());
    let changed = json!({ "InstanceId": answer["InstanceId"], "HttpTokens": "required" });
    let changed = yard.ok("ModifyInstanceMetadataOptions", changed);
    assert_eq!(changed["InstanceMetadataOptions"]["State"], "pending");
}

#[test]
fn an_image_has_a_snapshot_which_is_its_own_as_long_as_it_is_there() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let tags = json!([{ "ResourceType": "snapshot", "Tags": [{ "Key": "of", "Value": "gold" }] }]);
    let image = json!({ "InstanceId": id, "Name": "gold", "TagSpecifications": tags });
    let image = text(&yard.ok("CreateImage", image)["ImageId"]);
    let own = yard.ok("DescribeSnapshots", json!({ "OwnerIds": ["self"] }))["Snapshots"].clone();
    assert_eq!(own.as_array().map(Vec::len), Some(1));
    assert_eq!(own[0]["Tags"], json!([{ "Key": "of", "Value": "gold" }]));
    assert_eq!(own[0]["Description"], json!(format!("Created by CreateImage({id}) for {image}")));
    let snapshot = json!({ "SnapshotId": own[0]["SnapshotId"] });
    let said = yard.refused("DeleteSnapshot", snapshot.clone(), "InvalidSnapshot.InUse");
    assert!(said.ends_with(&format!("is currently in use by {image}")), "{said}");
    yard.ok("DeregisterImage", json!({ "ImageId": image }));
    yard.refused("DeleteSnapshot", snapshot, "InvalidSnapshot.NotFound");
    let public = json!({ "Filters": [{ "Name": "owner-alias", "Values": ["amazon"] }] });
    assert!(yard.ok("DescribeSnapshots", public)["Snapshots"][0].is_object());
}

#[test]
fn an_images_description_can_be_changed_and_with_whom_it_is_shared_is_refused() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let image = text(&yard.ok("CreateImage", json!({ "InstanceId": id, "Name": "gold" }))["ImageId"]);
    yard.ok("ModifyImageAttribute", json!({ "ImageId": image, "Description": { "Value": "new" } }));
    let asked = json!({ "ImageId": image, "Attribute": "description" });
    assert_eq!(yard.ok("DescribeImageAttribute", asked)["Description"]["Value"], "new");
    let shared = json!({ "ImageId": image, "LaunchPermission": { "Add": [{ "UserId": "111122223333" }] } });
    yard.refused("ModifyImageAttribute", shared, "UnsupportedOperation");
    let public = json!({ "ImageId": yard.image(), "Description": { "Value": "mine" } });
    yard.refused("ModifyImageAttribute", public, "AuthFailure");
}

#[test]
fn resetting_checks_source_and_destination_again() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let checked = || yard.instance(&id)["NetworkInterfaces"][0]["SourceDestCheck"].clone();
    let off = json!({ "InstanceId": id, "SourceDestCheck": { "Value": false } });
    yard.ok("ModifyInstanceAttribute", off.clone());
    assert_eq!(checked(), false);
    yard.ok("ResetInstanceAttribute", json!({ "InstanceId": id, "Attribute": "sourceDestCheck" }));
    assert_eq!(checked(), true);
    yard.ok("ModifyInstanceAttribute", off);
    let interface = yard.instance(&id)["NetworkInterfaces"][0]["NetworkInterfaceId"].clone();
    yard.ok("ResetNetworkInterfaceAttribute", json!({ "NetworkInterfaceId": interface, "SourceDestCheck": "true" }));
    assert_eq!(checked(), true);
}

#[test]
fn no_vpc_is_linked_to_ec2_classic() {
    let yard = Yard::new();
    let vpc = yard.default_vpc();
    let links = yard.ok("DescribeVpcClassicLink", json!({ "VpcIds": [vpc] }))["Vpcs"].clone();
    assert_eq!((&links[0]["VpcId"], &links[0]["ClassicLinkEnabled"]), (&json!(vpc), &json!(false)));
    let dns = yard.ok("DescribeVpcClassicLinkDnsSupport", json!({ "VpcIds": [vpc] }))["Vpcs"].clone();
    assert_eq!(dns[0]["ClassicLinkDnsSupported"], false);
}

#[test]
fn an_ed25519_keys_fingerprint_is_padded_base64() {
    let yard = Yard::new();
    // A key of ssh-keygen's, whose `-lf` says SHA256:, and the same without the padding.
    let material = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIImv2SB05uBF88J5NsfbfZ+XiMUpvMMhMfgC4qPC00K0";
    let blob = json!({ "KeyName": "mine", "PublicKeyMaterial": base64(material) });
    let fingerprint = text(&yard.ok("ImportKeyPair", blob)["KeyFingerprint"]);
    assert_eq!((fingerprint.len(), fingerprint.ends_with('=')), (44, true), "{fingerprint}");
    let long = json!({ "KeyName": "x".repeat(256) });
    yard.refused("CreateKeyPair", long, "InvalidParameterValue");
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
