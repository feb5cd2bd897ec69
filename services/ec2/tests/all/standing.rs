//! How long an answer stands: for as long as the same call would be answered the same, for all operations that read.

use crate::yard::{Yard, text};
use serde_json::{Value, json};
use std::time::Duration;
use zonal_cloud::{Caller, Prepared, Seen};
use zonal_wire::{AwsError, value::to_json};

/// The operations that only read, by AWS's way of naming them.
fn reads(yard: &Yard) -> Vec<&'static str> {
    let ec2 = yard.cloud.services().iter().find(|service| service.name() == "ec2").unwrap();
    let names = ec2.operations().iter().map(|entry| entry.facts().name).collect::<Vec<_>>();
    names.into_iter().filter(|name| name.starts_with("Describe") || name.starts_with("Get")).collect()
}

/// The answer to a call without parameters (or with the id of an instance, where `instance` is given), and what it was made of.
fn seen(yard: &Yard, operation: &'static str, instance: Option<&str>) -> Result<(Value, Option<Seen>), AwsError> {
    let facts = zonal_ec2::shapes::API.operation(operation).unwrap();
    let mut input = (facts.new_input)();
    if let Some(id) = instance {
        zonal_wire::value::from_json(&json!({ "InstanceId": id }), &mut *input)
            .map_err(|violations| AwsError::client("none of its own", violations.to_string()))?;
    }
    let caller = Caller::User { access_key: yard.scope.account.to_string() };
    let request = Prepared { service: "ec2", operation, scope: yard.scope.clone(), caller, input };
    yard.cloud.request_seen(&request).map(|(answer, seen)| (to_json(&*answer), seen))
}

#[test]
fn what_stands_is_what_would_be_answered_now_whatever_has_changed_or_passed() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let group = text(&yard.ok("CreateSecurityGroup", json!({ "GroupName": "web", "Description": "d" }))["GroupId"]);
    let calls: Vec<(&'static str, Option<&str>)> =
        reads(&yard).into_iter().flat_map(|name| [(name, None), (name, Some(id.as_str()))]).collect();
    let look = |(name, instance): &(&'static str, Option<&str>)| seen(&yard, name, *instance).ok();
    let permission =
        json!([{ "IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{ "CidrIp": "0.0.0.0/0" }] }]);
    let changes = [
        ("CreateTags", json!({ "Resources": [id], "Tags": [{ "Key": "Name", "Value": "a" }] })),
        ("CreateKeyPair", json!({ "KeyName": "k" })),
        ("AuthorizeSecurityGroupIngress", json!({ "GroupId": group, "IpPermissions": permission })),
        ("AllocateAddress", json!({})),
        ("ModifyInstanceAttribute", json!({ "InstanceId": id, "Groups": [group] })),
        ("RebootInstances", json!({ "InstanceIds": [id] })),
        ("StopInstances", json!({ "InstanceIds": [id] })),
        ("TerminateInstances", json!({ "InstanceIds": [id] })),
        ("CreateVpc", json!({ "CidrBlock": "10.9.0.0/16" })),
    ];
    let (mut stood, mut fell) = (0, 0);
    for (operation, input) in changes {
        let before: Vec<_> = calls.iter().map(look).collect();
        yard.ok(operation, input);
        yard.pass(Duration::from_secs(90));
        for (call, before) in calls.iter().zip(before) {
            let Some((answer, Some(seen))) = before else { continue };
            if yard.cloud.stands(&seen) {
                assert_eq!(look(call).map(|(now, _)| now), Some(answer), "{call:?} after {operation}");
                stood += 1;
            } else {
                fell += 1;
            }
        }
    }
    assert!(stood > 100 && fell > 50, "{stood} stood, {fell} fell");
}

#[test]
fn an_answer_falls_with_what_it_was_made_of_and_with_nothing_else() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let (_, instances) = seen(&yard, "DescribeInstances", None).unwrap();
    let instances = instances.unwrap();
    yard.ok("CreateKeyPair", json!({ "KeyName": "k" }));
    assert!(yard.cloud.stands(&instances), "an instance's key pair is named by its own record");
    yard.ok("CreateTags", json!({ "Resources": [id], "Tags": [{ "Key": "Name", "Value": "a" }] }));
    assert!(!yard.cloud.stands(&instances));
    let (_, instances) = seen(&yard, "DescribeInstances", None).unwrap();
    yard.cloud.reset().unwrap();
    assert!(!yard.cloud.stands(&instances.unwrap()));
}

#[test]
fn what_looks_at_the_clock_or_into_the_world_or_writes_is_for_the_moment() {
    let yard = Yard::new();
    let (_, first) = seen(&yard, "DescribeVpcs", None).unwrap();
    assert_eq!(first, None, "the first call of a region makes its default VPC");
    let id = yard.run(json!({}));
    yard.settle();
    let (_, console) = seen(&yard, "GetConsoleOutput", Some(&id)).unwrap();
    assert_eq!(console, None);
}
