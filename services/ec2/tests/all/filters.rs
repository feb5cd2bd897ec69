//! Filters: names are the operation's own, and what they look at is what is answered.

use crate::yard::{Yard, text};
use serde_json::{Value, json};

fn filter(name: &str, value: &str) -> Value {
    json!({ "Filters": [{ "Name": name, "Values": [value] }] })
}

#[test]
fn an_unknown_name_is_refused_where_there_is_nothing_to_filter_too() {
    let yard = Yard::new();
    for operation in [
        "DescribeInstances",
        "DescribeInstanceStatus",
        "DescribeVolumes",
        "DescribeAddresses",
        "DescribeKeyPairs",
        "DescribeLaunchTemplates",
        "DescribeNetworkInterfaces",
        "DescribeTags",
        "DescribeVolumeStatus",
        "DescribeVpcs",
    ] {
        let said = yard.refused(operation, filter("colour", "red"), "InvalidParameterValue");
        assert_eq!(said, "The filter 'colour' is invalid", "{operation}");
    }
}

#[test]
fn a_filter_sees_what_the_answer_says() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.run(
        json!({ "InstanceType": "t3.micro", "DisableApiStop": true, "MetadataOptions": { "HttpTokens": "optional" } }),
    );
    yard.settle();
    let own = yard.instance(&id);
    let interface = &own["NetworkInterfaces"][0];
    for (name, value) in [
        ("network-interface.mac-address", text(&interface["MacAddress"])),
        ("network-interface.attachment.attachment-id", text(&interface["Attachment"]["AttachmentId"])),
        ("network-interface.private-dns-name", text(&own["PrivateDnsName"])),
        ("metadata-options.http-tokens", "required".to_owned()),
        ("block-device-mapping.volume-id", text(&own["BlockDeviceMappings"][0]["Ebs"]["VolumeId"])),
        ("instance-type", "t2.*".to_owned()),
    ] {
        let found = yard.ok("DescribeInstances", filter(name, &value));
        let found: Vec<&Value> = found["Reservations"].as_array().unwrap().iter().map(|r| &r["Instances"][0]).collect();
        assert_eq!(found.len(), 1, "{name} {value}");
        assert_eq!(found[0]["InstanceId"], json!(id), "{name} {value}");
    }
    let day = filter("usage-operation-update-time", "2026-11-24T16:00:0*");
    assert_eq!(yard.ok("DescribeInstances", day)["Reservations"].as_array().unwrap().len(), 2);
    assert!(yard.ok("DescribeInstances", filter("kernel-id", "*"))["Reservations"].is_null());
    assert_eq!(
        yard.ok("DescribeNetworkInterfaces", filter("attachment.status", "attached"))["NetworkInterfaces"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn pages_are_of_five_at_least_and_not_for_named_instances() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    let said = yard.refused("DescribeInstances", json!({ "MaxResults": 4 }), "InvalidParameterValue");
    assert_eq!(said, "Value ( 4 ) for parameter maxResults is invalid. Expecting a value greater than 5.");
    let both = json!({ "MaxResults": 5, "InstanceIds": [id] });
    let said = yard.refused("DescribeInstances", both, "InvalidParameterCombination");
    assert_eq!(said, "The parameter instancesSet cannot be used with the parameter maxResults");
}
