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

/// A golden image of an instance, and its snapshot.
fn golden(yard: &Yard, instance: &str) -> (String, Value) {
    let tags = json!([{ "ResourceType": "snapshot", "Tags": [{ "Key": "of", "Value": "gold" }] }]);
    let image = json!({ "InstanceId": instance, "Name": "gold", "TagSpecifications": tags });
    let image = text(&yard.ok("CreateImage", image)["ImageId"]);
    let own = yard.ok("DescribeSnapshots", json!({ "OwnerIds": ["self"] }))["Snapshots"].clone();
    assert_eq!(own.as_array().map(Vec::len), Some(1));
    (image, own[0].clone())
}

#[test]
fn an_images_snapshot_outlives_it_and_is_deleted_by_itself_and_not_before() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let (image, snapshot) = golden(&yard, &id);
    assert_eq!(snapshot["Tags"], json!([{ "Key": "of", "Value": "gold" }]));
    assert_eq!(snapshot["Description"], json!(format!("Created by CreateImage({id}) for {image}")));
    assert_eq!((&snapshot["State"], &snapshot["Progress"]), (&json!("pending"), &json!("0%")));
    yard.settle();
    let named = json!({ "SnapshotIds": [snapshot["SnapshotId"]] });
    let made = yard.ok("DescribeSnapshots", named.clone())["Snapshots"][0].clone();
    assert_eq!((&made["State"], &made["Progress"]), (&json!("completed"), &json!("100%")));
    let delete = json!({ "SnapshotId": snapshot["SnapshotId"] });
    let said = yard.refused("DeleteSnapshot", delete.clone(), "InvalidSnapshot.InUse");
    assert!(said.ends_with(&format!("is currently in use by {image}")), "{said}");
    let answer = yard.ok("DeregisterImage", json!({ "ImageId": image }));
    assert_eq!((&answer["Return"], &answer["DeleteSnapshotResults"]), (&json!(true), &Value::Null));
    assert_eq!(yard.ok("DescribeSnapshots", named.clone())["Snapshots"][0], made, "deregistering has no effect on it");
    yard.ok("DeleteSnapshot", delete.clone());
    let said = yard.refused("DescribeSnapshots", named, "InvalidSnapshot.NotFound");
    assert_eq!(said, format!("The snapshot '{}' does not exist.", text(&snapshot["SnapshotId"])));
    yard.refused("DeleteSnapshot", delete, "InvalidSnapshot.NotFound");
}

#[test]
fn deregistering_deletes_the_snapshot_too_where_it_is_told_to() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let (image, snapshot) = golden(&yard, &id);
    let answer = yard.ok("DeregisterImage", json!({ "ImageId": image, "DeleteAssociatedSnapshots": true }));
    let deleted = json!([{ "SnapshotId": snapshot["SnapshotId"], "ReturnCode": "success" }]);
    assert_eq!(answer["DeleteSnapshotResults"], deleted);
    assert_eq!(yard.ok("DescribeSnapshots", json!({ "OwnerIds": ["self"] }))["Snapshots"], Value::Null);
}

#[test]
fn a_snapshot_keeps_its_volumes_id_when_instance_and_volume_are_gone() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let volume = yard.instance(&id)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"].clone();
    let (_, snapshot) = golden(&yard, &id);
    assert_eq!(snapshot["VolumeId"], volume);
    yard.ok("TerminateInstances", json!({ "InstanceIds": [id] }));
    yard.settle();
    yard.refused("DescribeVolumes", json!({ "VolumeIds": [volume] }), "InvalidVolume.NotFound");
    let of_volume = json!({ "Filters": [{ "Name": "volume-id", "Values": [volume] }] });
    let later = yard.ok("DescribeSnapshots", of_volume)["Snapshots"][0].clone();
    assert_eq!(later["SnapshotId"], snapshot["SnapshotId"]);
}

#[test]
fn snapshots_are_tagged_and_their_tags_described_as_any_others() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let (_, snapshot) = golden(&yard, &id);
    let named = snapshot["SnapshotId"].clone();
    yard.ok("CreateTags", json!({ "Resources": [named], "Tags": [{ "Key": "kept", "Value": "yes" }] }));
    yard.ok("DeleteTags", json!({ "Resources": [named], "Tags": [{ "Key": "of" }] }));
    let tagged = json!({ "Filters": [{ "Name": "tag:kept", "Values": ["yes"] }] });
    let found = yard.ok("DescribeSnapshots", tagged)["Snapshots"][0].clone();
    assert_eq!((&found["SnapshotId"], &found["Tags"]), (&named, &json!([{ "Key": "kept", "Value": "yes" }])));
    let described =
        yard.ok("DescribeTags", json!({ "Filters": [{ "Name": "resource-type", "Values": ["snapshot"] }] }));
    let expected = json!([{ "Key": "kept", "Value": "yes", "ResourceId": named, "ResourceType": "snapshot" }]);
    assert_eq!(described["Tags"], expected);
    let nobodys = json!({ "Resources": ["snap-00000000000000000"], "Tags": [{ "Key": "a", "Value": "b" }] });
    yard.refused("CreateTags", nobodys, "InvalidSnapshot.NotFound");
}

#[test]
fn snapshots_are_told_by_who_may_make_volumes_of_them() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let (_, own) = golden(&yard, &id);
    let ids = |input: Value| -> Vec<Value> {
        let all = yard.ok("DescribeSnapshots", input)["Snapshots"].clone();
        all.as_array().into_iter().flatten().map(|snapshot| snapshot["SnapshotId"].clone()).collect()
    };
    let restorable = |users: Value| ids(json!({ "RestorableByUserIds": users }));
    let everything = ids(json!({}));
    let public: Vec<Value> = everything.iter().filter(|id| **id != own["SnapshotId"]).cloned().collect();
    assert_eq!((public.is_empty(), everything.len()), (false, public.len() + 1));
    assert_eq!(restorable(json!(["all"])), public);
    assert_eq!(restorable(json!(["self"])), [own["SnapshotId"].clone()]);
    assert_eq!(restorable(json!([own["OwnerId"]])), [own["SnapshotId"].clone()]);
    assert_eq!(restorable(json!(["self", "all"])), everything);
    assert_eq!(restorable(json!(["111122223333"])), [] as [Value; 0]);
    let amazon = json!({ "Filters": [{ "Name": "owner-alias", "Values": ["amazon"] }] });
    assert!(!ids(amazon).is_empty());
}

#[test]
fn an_image_that_was_stored_before_snapshots_were_has_its_snapshot_after_the_next_start() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let volume = yard.instance(&id)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"].clone();
    // As version 0.1.0 wrote it.
    let stored = json!({
        "id": "ami-0123456789abcdef0", "name": "old", "description": null, "instance": id, "size": 8,
        "snapshot": "snap-0123456789abcdef0", "snapshot_tags": { "of": "old" }, "created": 1_795_574_658_918_966_i64,
        "state": "Available", "tags": {},
    });
    let image: zonal_ec2::model::Image = serde_json::from_value(stored).unwrap();
    yard.cloud
        .act(&yard.scope, "test", |tx| {
            tx.put(image);
            Ok(())
        })
        .unwrap();
    yard.cloud.start();
    let own = yard.ok("DescribeSnapshots", json!({ "OwnerIds": ["self"] }))["Snapshots"].clone();
    assert_eq!(own[0]["SnapshotId"], "snap-0123456789abcdef0");
    assert_eq!((&own[0]["VolumeId"], &own[0]["State"]), (&volume, &json!("completed")));
    assert_eq!(own[0]["Tags"], json!([{ "Key": "of", "Value": "old" }]));
    let delete = json!({ "SnapshotId": "snap-0123456789abcdef0" });
    yard.refused("DeleteSnapshot", delete.clone(), "InvalidSnapshot.InUse");
    yard.ok("DeregisterImage", json!({ "ImageId": "ami-0123456789abcdef0" }));
    yard.cloud.start();
    yard.ok("DeleteSnapshot", delete);
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
    for name in ["x".repeat(256), "schlüssel".to_owned()] {
        yard.refused("CreateKeyPair", json!({ "KeyName": name }), "InvalidParameterValue");
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
