//! What the state promises: all or nothing, kept, once per token.

use crate::yard::{Yard, text};
use serde_json::json;
use std::time::Duration;
use zonal_substrate::{Ask, Report, World};

#[test]
fn what_was_acknowledged_is_there_after_the_daemon_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.sqlite");
    let yard = Yard::at(Some(path.clone()));
    let id = yard.run(json!({}));
    yard.ok("CreateTags", json!({ "Resources": [id], "Tags": [{ "Key": "Name", "Value": "kept" }] }));
    // Nothing is closed in order: the process just ends.
    std::mem::forget(yard);
    let next = Yard::at(Some(path));
    assert_eq!(next.instance(&id)["Tags"], json!([{ "Key": "Name", "Value": "kept" }]));
    assert_eq!(next.state(&id), "pending");
    next.settle();
    assert_eq!(next.state(&id), "running", "what was not yet asked of the world is asked after the start");
}

#[test]
fn a_refused_call_leaves_nothing() {
    let yard = Yard::new();
    let vpc = yard.default_vpc();
    let revision = yard.cloud.revision();
    // The second range is malformed: the first rule must not stay.
    let group = yard.ok("DescribeSecurityGroups", json!({}))["SecurityGroups"][0]["GroupId"].clone();
    let permissions = json!([{ "IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{ "CidrIp": "10.0.0.0/8" }, { "CidrIp": "x" }] }]);
    yard.refused(
        "AuthorizeSecurityGroupIngress",
        json!({ "GroupId": group, "IpPermissions": permissions }),
        "InvalidParameterValue",
    );
    yard.refused("CreateSubnet", json!({ "VpcId": vpc, "CidrBlock": "10.0.0.0/24" }), "InvalidSubnet.Range");
    assert_eq!(yard.cloud.revision(), revision);
}

#[test]
fn a_dry_run_says_what_would_be_and_makes_nothing() {
    let yard = Yard::new();
    yard.default_vpc();
    yard.refused("CreateVpc", json!({ "CidrBlock": "10.0.0.0/16", "DryRun": true }), "DryRunOperation");
    yard.refused("CreateVpc", json!({ "CidrBlock": "10.0.0.0/8", "DryRun": true }), "InvalidVpc.Range");
    assert_eq!(yard.ok("DescribeVpcs", json!({}))["Vpcs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_token_makes_a_call_once_and_another_call_with_it_is_refused() {
    let yard = Yard::new();
    let input = json!({ "ImageId": yard.image(), "InstanceType": "t2.micro", "MinCount": 2, "MaxCount": 2, "ClientToken": "t" });
    let first = yard.ok("RunInstances", input.clone());
    let second = yard.ok("RunInstances", input.clone());
    assert_eq!(first["ReservationId"], second["ReservationId"]);
    let mut other = input;
    other["MaxCount"] = json!(1);
    other["MinCount"] = json!(1);
    yard.refused("RunInstances", other, "IdempotentParameterMismatch");
    let all = yard.ok("DescribeInstances", json!({}));
    assert_eq!(all["Reservations"][0]["Instances"].as_array().unwrap().len(), 2);
}

#[test]
fn a_token_is_of_so_many_ascii_characters_at_most() {
    let yard = Yard::new();
    let vpc = yard.default_vpc();
    let long = |count: usize| "t".repeat(count);
    let network = |token: String| json!({ "VpcId": vpc, "ClientToken": token });
    let template = |name: &str, token: String| {
        json!({
            "LaunchTemplateName": name, "LaunchTemplateData": { "InstanceType": "t3.micro" }, "ClientToken": token,
        })
    };
    yard.ok("CreateNetworkAcl", network(long(64)));
    for token in [long(65), "é".to_owned()] {
        yard.refused("CreateNetworkAcl", network(token), "InvalidParameterValue");
    }
    yard.ok("CreateLaunchTemplate", template("first", long(128)));
    yard.refused("CreateLaunchTemplate", template("second", long(129)), "InvalidParameterValue");
}

#[test]
fn pages_put_together_are_the_whole() {
    let yard = Yard::new();
    for _ in 0..7 {
        yard.run(json!({}));
    }
    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let mut input = json!({ "MaxResults": 5 });
        if let Some(token) = token {
            input["NextToken"] = token;
        }
        let page = yard.ok("DescribeInstances", input);
        for reservation in page["Reservations"].as_array().unwrap() {
            seen.push(text(&reservation["Instances"][0]["InstanceId"]));
        }
        match page.get("NextToken") {
            Some(next) => token = Some(next.clone()),
            None => break,
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 7);
}

#[test]
fn what_the_world_could_not_do_is_asked_for_again() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let starts =
        |yard: &Yard| yard.world.asks.lock().unwrap().iter().filter(|ask| matches!(ask, Ask::StartSandbox(_))).count();
    assert_eq!(starts(&yard), 1);
    yard.cloud.report(&Report::Failed { id, reason: "no room".into() });
    yard.pass(std::time::Duration::from_secs(3));
    assert_eq!(starts(&yard), 2);
}

#[test]
fn tags_of_awss_own_are_refused() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.refused(
        "CreateTags",
        json!({ "Resources": [id], "Tags": [{ "Key": "aws:x", "Value": "" }] }),
        "InvalidParameterValue",
    );
    let own = [("aws:x", "kept"), ("Name", "web")].map(|(key, value)| json!({ "Key": key, "Value": value }));
    let input = json!({ "Resources": [id], "Tags": own });
    let made = yard.cloud.act(&yard.scope, "autoscaling", |tx| tx.call_json("ec2", "CreateTags", &input));
    made.unwrap();
    let named = json!({ "Resources": [id], "Tags": [{ "Key": "Name" }, { "Key": "aws:x" }] });
    yard.refused("DeleteTags", named.clone(), "InvalidParameterValue");
    assert_eq!(yard.instance(&id)["Tags"].as_array().unwrap().len(), 2, "a refused call takes nothing away");
    yard.ok("DeleteTags", json!({ "Resources": [id] }));
    assert_eq!(yard.instance(&id)["Tags"], json!([{ "Key": "aws:x", "Value": "kept" }]));
    yard.cloud.act(&yard.scope, "autoscaling", |tx| tx.call_json("ec2", "DeleteTags", &named)).unwrap();
    assert!(yard.instance(&id).get("Tags").is_none());
    yard.refused(
        "CreateTags",
        json!({ "Resources": ["i-0123456789abcdef0"], "Tags": [] }),
        "InvalidInstanceID.NotFound",
    );
}

#[test]
fn ids_given_out_after_a_restart_are_new() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.sqlite");
    let mut seen = Vec::new();
    for _ in 0..3 {
        let yard = Yard::at(Some(path.clone()));
        // The same calls in the same order from the same seed as before the restart.
        yard.default_vpc();
        seen.push(yard.run(json!({})));
        assert_eq!(yard.ok("DescribeInstances", json!({}))["Reservations"].as_array().unwrap().len(), seen.len());
    }
    seen.dedup();
    assert_eq!(seen.len(), 3);
}

#[test]
fn a_reset_takes_back_all_that_the_world_was_asked_for() {
    let yard = Yard::new();
    yard.run(json!({}));
    yard.settle();
    assert!(!yard.world.inventory().sandboxes.is_empty());
    yard.cloud.reset().unwrap();
    yard.settle();
    assert_eq!(yard.world.inventory(), zonal_substrate::Inventory::default());
    let asks = yard.world.asks.lock().unwrap();
    let zones = |put: bool| {
        asks.iter()
            .filter(|ask| if put { matches!(ask, Ask::PutZone { .. }) } else { matches!(ask, Ask::RemoveZone { .. }) })
            .count()
    };
    assert!(
        zones(true) > 0 && zones(false) == 5,
        "the names, too: two of the VPC, two of the services as it sees them, one of the region"
    );
}

#[test]
fn a_removal_that_the_world_did_not_hear_of_is_told_after_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.sqlite");
    let yard = Yard::at(Some(path.clone()));
    let group = text(&yard.ok("CreateSecurityGroup", json!({ "GroupName": "web", "Description": "d" }))["GroupId"]);
    let zone = |yard: &Yard, cut| {
        let set = |tx: &mut zonal_cloud::Tx<'_>| {
            zonal_ec2::faults::set_zone(tx, "us-east-1a", cut, None);
            Ok(())
        };
        yard.cloud.act(&yard.scope, "break", set).unwrap();
    };
    zone(&yard, true);
    yard.settle();
    yard.ok("DeleteSecurityGroup", json!({ "GroupId": group }));
    zone(&yard, false);
    // It dies before its controllers run.
    std::mem::forget(yard);
    let told = |yard: &Yard| {
        let asks = yard.world.asks.lock().unwrap();
        let whole = Ask::SetZone { zone: "us-east-1a".into(), cut: false };
        asks.contains(&Ask::RemoveGroup(group.clone())) && asks.contains(&whole)
    };
    for _ in 0..2 {
        let next = Yard::at(Some(path.clone()));
        next.settle();
        assert!(told(&next), "told at each start, for some minutes");
        std::mem::forget(next);
    }
    let last = Yard::at(Some(path.clone()));
    last.pass(std::time::Duration::from_secs(1000));
    std::mem::forget(last);
    let later = Yard::at(Some(path));
    later.settle();
    assert!(!told(&later), "and then forgotten");
}

#[test]
fn while_the_world_is_asked_for_a_console_others_are_served() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let ((asked, asking), (answer, answers)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
    *yard.world.at_console.lock().unwrap() = Some(Box::new(move || {
        asked.send(()).unwrap();
        // Until the test says so, or has failed.
        let _ = answers.recv_timeout(Duration::from_secs(10));
    }));
    let (cloud, scope) = (&yard.cloud, &yard.scope);
    std::thread::scope(|scoped| {
        let console = scoped.spawn(|| cloud.call_json(scope, "ec2", "GetConsoleOutput", &json!({ "InstanceId": id })));
        asking.recv_timeout(Duration::from_secs(10)).unwrap();
        let tags = json!({ "Resources": [id], "Tags": [{ "Key": "a", "Value": "b" }] });
        cloud.call_json(scope, "ec2", "CreateTags", &tags).unwrap();
        assert!(!console.is_finished(), "a write waited for the world");
        answer.send(()).unwrap();
        assert_eq!(console.join().unwrap().unwrap()["InstanceId"], json!(id));
    });
}
