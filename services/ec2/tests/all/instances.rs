//! Lives of instances.

use crate::yard::{Yard, text};
use serde_json::json;
use std::time::Duration;
use zonal_cloud::Scope;
use zonal_substrate::{Ask, Lack, Report, SandboxState, StopCause};

#[test]
fn an_instance_is_pending_then_running_and_keeps_address_and_disk_over_stop_and_start() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    assert_eq!(yard.state(&id), "pending");
    yard.settle();
    assert_eq!(yard.state(&id), "running");
    let before = yard.instance(&id);
    yard.ok("StopInstances", json!({ "InstanceIds": [id] }));
    assert_eq!(yard.state(&id), "stopping");
    yard.settle();
    let stopped = yard.instance(&id);
    assert_eq!(text(&stopped["State"]["Name"]), "stopped");
    assert!(stopped.get("PublicIpAddress").is_none(), "an address given at launch goes with the stop");
    yard.ok("ModifyInstanceAttribute", json!({ "InstanceId": id, "InstanceType": { "Value": "m5.large" } }));
    yard.ok("StartInstances", json!({ "InstanceIds": [id] }));
    yard.settle();
    let after = yard.instance(&id);
    assert_eq!(text(&after["State"]["Name"]), "running");
    assert_eq!(text(&after["InstanceType"]), "m5.large");
    assert_eq!(after["PrivateIpAddress"], before["PrivateIpAddress"]);
    assert_eq!(after["BlockDeviceMappings"], before["BlockDeviceMappings"]);
    assert_ne!(after["PublicIpAddress"], before["PublicIpAddress"], "the new launch address is another");
}

#[test]
fn a_terminated_instance_is_shown_for_an_hour_and_its_interface_and_volume_are_gone() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let interface = text(&yard.instance(&id)["NetworkInterfaces"][0]["NetworkInterfaceId"]);
    yard.ok("TerminateInstances", json!({ "InstanceIds": [id] }));
    assert_eq!(yard.state(&id), "shutting-down");
    yard.settle();
    assert_eq!(yard.state(&id), "terminated");
    yard.refused(
        "DescribeNetworkInterfaces",
        json!({ "NetworkInterfaceIds": [interface] }),
        "InvalidNetworkInterfaceID.NotFound",
    );
    assert!(yard.ok("DescribeVolumes", json!({})).get("Volumes").is_none());
    yard.pass(Duration::from_secs(3700));
    yard.refused("DescribeInstances", json!({ "InstanceIds": [id] }), "InvalidInstanceID.NotFound");
}

#[test]
fn the_type_of_a_running_instance_cannot_be_changed() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let input = json!({ "InstanceId": id, "InstanceType": { "Value": "m5.large" } });
    yard.refused("ModifyInstanceAttribute", input, "IncorrectInstanceState");
}

#[test]
fn a_crash_leaves_the_state_and_fails_the_next_check_until_stop_and_start() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.pass(Duration::from_secs(30));
    let anywhere = Scope::new("", "");
    yard.cloud.act(&anywhere, "break", |tx| zonal_ec2::faults::crash_instance(tx, &id)).unwrap();
    yard.settle();
    assert_eq!(yard.state(&id), "running");
    let status =
        |yard: &Yard| yard.ok("DescribeInstanceStatus", json!({ "InstanceIds": [id] }))["InstanceStatuses"][0].clone();
    assert_eq!(status(&yard)["InstanceStatus"]["Status"], "ok", "no check was made since");
    yard.pass(Duration::from_secs(30));
    assert_eq!(status(&yard)["InstanceStatus"]["Status"], "impaired");
    assert_eq!(status(&yard)["SystemStatus"]["Status"], "ok");
    yard.pass(Duration::from_secs(600));
    assert_eq!(status(&yard)["InstanceStatus"]["Status"], "impaired", "nobody mends it");
    yard.ok("StopInstances", json!({ "InstanceIds": [id] }));
    yard.settle();
    yard.ok("StartInstances", json!({ "InstanceIds": [id] }));
    yard.settle();
    assert_eq!(status(&yard)["InstanceStatus"]["Status"], "ok");
}

#[test]
fn a_cut_zone_kills_what_is_in_it_takes_nothing_new_and_comes_back_by_itself() {
    let yard = Yard::new();
    let inside = yard.run(json!({ "Placement": { "AvailabilityZone": "us-east-1a" } }));
    let outside = yard.run(json!({ "Placement": { "AvailabilityZone": "us-east-1b" } }));
    yard.settle();
    let place = Scope::new("", "");
    yard.cloud
        .act(&place, "break", |tx| {
            let until = tx.now + Duration::from_secs(60);
            zonal_ec2::faults::set_zone(tx, "us-east-1a", true, Some(until));
            Ok(())
        })
        .unwrap();
    yard.pass(Duration::from_secs(58));
    let system = |id: &str| {
        let all = yard.ok("DescribeInstanceStatus", json!({}));
        let found =
            all["InstanceStatuses"].as_array().unwrap().iter().find(|status| status["InstanceId"] == id).unwrap();
        text(&found["SystemStatus"]["Status"])
    };
    assert_eq!((system(&inside), system(&outside)), ("impaired".to_owned(), "ok".to_owned()));
    let before = yard.instance(&inside);
    let there = json!({
        "ImageId": yard.image(), "InstanceType": "t2.micro", "MinCount": 1, "MaxCount": 1,
        "Placement": { "AvailabilityZone": "us-east-1a" },
    });
    yard.refused("RunInstances", there.clone(), "InsufficientInstanceCapacity");
    yard.pass(Duration::from_secs(4));
    yard.ok("RunInstances", there);
    yard.settle();
    assert_eq!(system(&inside), "ok", "it boots again by itself");
    let after = yard.instance(&inside);
    for kept in ["PublicIpAddress", "PrivateIpAddress", "LaunchTime", "State"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    let starts = yard
        .world
        .asks
        .lock()
        .unwrap()
        .iter()
        .filter_map(|ask| match ask {
            Ask::StartSandbox(sandbox) if sandbox.id == inside => Some(sandbox.generation),
            _ => None,
        })
        .collect::<Vec<_>>();
    assert_eq!(starts, [1, 2]);
}

#[test]
fn a_forced_stop_skips_the_orderly_shutdown_and_nothing_here_hibernates() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    let hibernate = json!({ "InstanceIds": [id], "Hibernate": true });
    yard.refused("StopInstances", hibernate, "UnsupportedHibernationConfiguration");
    yard.ok("StopInstances", json!({ "InstanceIds": [id], "Force": true }));
    yard.settle();
    let forced = |ask: &Ask| matches!(ask, Ask::StopSandbox { force: true, .. });
    assert!(yard.world.asks.lock().unwrap().iter().any(forced));
    assert_eq!(yard.state(&id), "stopped");
}

#[test]
fn credits_are_changed_for_burstable_types_only_and_said_one_by_one() {
    let yard = Yard::new();
    let (small, large) = (yard.run(json!({})), yard.run(json!({ "InstanceType": "m5.large" })));
    let change = |id: &str| json!({ "InstanceId": id, "CpuCredits": "unlimited" });
    let answer = yard.ok(
        "ModifyInstanceCreditSpecification",
        json!({
        "InstanceCreditSpecifications": [change(&small), change(&large)] }),
    );
    assert_eq!(answer["SuccessfulInstanceCreditSpecifications"], json!([{ "InstanceId": small }]));
    let refused = &answer["UnsuccessfulInstanceCreditSpecifications"][0];
    assert_eq!(refused["Error"]["Code"], "InstanceCreditSpecification.NotSupported");
    let shown = yard.ok("DescribeInstanceCreditSpecifications", json!({ "InstanceIds": [small] }));
    assert_eq!(shown["InstanceCreditSpecifications"][0]["CpuCredits"], "unlimited");
}

#[test]
fn a_protected_instance_is_not_terminated() {
    let yard = Yard::new();
    let id = yard.run(json!({ "DisableApiTermination": true }));
    yard.refused("TerminateInstances", json!({ "InstanceIds": [id] }), "OperationNotPermitted");
}

#[test]
fn a_template_fills_in_what_the_request_leaves_out() {
    let yard = Yard::new();
    let data = json!({
        "ImageId": yard.image(), "InstanceType": "t3.micro",
        "TagSpecifications": [{ "ResourceType": "instance", "Tags": [{ "Key": "from", "Value": "template" }] }],
        "MetadataOptions": { "HttpTokens": "optional" },
    });
    let made = yard.ok("CreateLaunchTemplate", json!({ "LaunchTemplateName": "web", "LaunchTemplateData": data }));
    let ran = yard.ok(
        "RunInstances",
        json!({ "LaunchTemplate": { "LaunchTemplateName": "web" }, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1 }),
    );
    let instance = &ran["Instances"][0];
    assert_eq!(instance["InstanceType"], "t3.small");
    assert_eq!(
        instance["Tags"],
        json!([
            { "Key": "aws:ec2launchtemplate:id", "Value": made["LaunchTemplate"]["LaunchTemplateId"] },
            { "Key": "aws:ec2launchtemplate:version", "Value": "1" },
            { "Key": "from", "Value": "template" },
        ])
    );
    assert_eq!(instance["MetadataOptions"]["HttpTokens"], "optional");
}

#[test]
fn what_is_wrong_is_said_in_awss_words() {
    let yard = Yard::new();
    let said = yard.refused(
        "DescribeInstances",
        json!({ "InstanceIds": ["i-0123456789abcdef0"] }),
        "InvalidInstanceID.NotFound",
    );
    assert_eq!(said, "The instance ID 'i-0123456789abcdef0' does not exist");
    yard.refused("DescribeInstances", json!({ "InstanceIds": ["web"] }), "InvalidInstanceID.Malformed");
    let wrong = json!({ "ImageId": yard.image(), "InstanceType": "t4g.micro", "MinCount": 1, "MaxCount": 1 });
    yard.refused("RunInstances", wrong, "InvalidParameterValue");
    let of = |image: &str| json!({ "ImageId": image, "MinCount": 1, "MaxCount": 1 });
    yard.refused("RunInstances", of("ami-0123456789abcdef0"), "InvalidAMIID.NotFound");
    yard.refused("RunInstances", of("al2023"), "InvalidAMIID.Malformed");
    yard.run(json!({}));
    yard.refused(
        "DescribeInstances",
        json!({ "Filters": [{ "Name": "colour", "Values": ["red"] }] }),
        "InvalidParameterValue",
    );
}

#[test]
fn a_machine_that_is_heard_to_have_died_with_its_zone_once_that_is_whole_again_boots_too() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.settle();
    // Cut, and mended before anything was heard of it.
    let state = SandboxState::Stopped(StopCause::ZoneCut);
    yard.cloud.report(&Report::Sandbox { id: id.clone(), generation: 1, state });
    yard.settle();
    let again = |ask: &Ask| matches!(ask, Ask::StartSandbox(sandbox) if sandbox.id == id && sandbox.generation == 2);
    assert!(yard.world.asks.lock().unwrap().iter().any(again));
    assert_eq!(yard.state(&id), "running");
}

#[test]
fn a_start_in_a_cut_zone_is_refused_and_the_stopped_instance_stays() {
    let yard = Yard::new();
    let id = yard.run(json!({ "Placement": { "AvailabilityZone": "us-east-1a" } }));
    yard.settle();
    yard.ok("StopInstances", json!({ "InstanceIds": [id] }));
    yard.settle();
    let cut = |on| {
        let anywhere = Scope::new("", "");
        let set = |tx: &mut zonal_cloud::Tx<'_>| {
            zonal_ec2::faults::set_zone(tx, "us-east-1a", on, None);
            Ok(())
        };
        yard.cloud.act(&anywhere, "break", set).unwrap();
    };
    cut(true);
    yard.refused("StartInstances", json!({ "InstanceIds": [id] }), "InsufficientInstanceCapacity");
    assert_eq!(yard.state(&id), "stopped");
    cut(false);
    yard.ok("StartInstances", json!({ "InstanceIds": [id] }));
    yard.settle();
    assert_eq!(yard.state(&id), "running");
}

#[test]
fn an_instance_whose_user_data_ended_while_nobody_listened_runs() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    assert_eq!(yard.state(&id), "pending");
    // All that the next daemon hears of it is how it stands.
    let state = SandboxState::UserDataDone { exit: 0 };
    yard.cloud.report(&Report::Sandbox { id: id.clone(), generation: 1, state });
    assert_eq!(yard.state(&id), "running");
}

#[test]
fn after_the_worlds_end_nothing_says_running_before_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.sqlite");
    let yard = Yard::at(Some(path.clone()));
    let (id, dead) = (yard.run(json!({})), yard.run(json!({})));
    yard.settle();
    let died = SandboxState::Stopped(StopCause::Died("a fault".into()));
    yard.cloud.report(&Report::Sandbox { id: dead.clone(), generation: 1, state: died });
    assert_eq!(yard.state(&id), "running");
    drop(yard);
    // The next world has nothing of the last one.
    let yard = Yard::at(Some(path));
    assert_eq!(yard.state(&id), "pending");
    // What the last boot still had to say is not true of this one.
    yard.cloud.report(&Report::Sandbox { id: id.clone(), generation: 1, state: SandboxState::Running });
    assert_eq!(yard.state(&id), "pending");
    yard.settle();
    assert_eq!(yard.state(&id), "running");
    yard.pass(Duration::from_secs(60));
    let status = yard.ok("DescribeInstanceStatus", json!({ "InstanceIds": [dead] }));
    assert_eq!(status["InstanceStatuses"][0]["InstanceStatus"]["Status"], "impaired", "a dead machine stays dead");
    // And where the world ends while the control plane goes on.
    let state = SandboxState::Stopped(StopCause::WorldEnded);
    yard.cloud.report(&Report::Sandbox { id: id.clone(), generation: 2, state });
    assert_eq!(yard.state(&id), "pending");
    let starts = |generation| {
        let is = |ask: &Ask| matches!(ask, Ask::StartSandbox(sandbox) if sandbox.id == id && sandbox.generation == generation);
        yard.world.asks.lock().unwrap().iter().filter(|ask| is(ask)).count()
    };
    yard.cloud.run_due();
    assert_eq!((starts(2), starts(3)), (1, 1));
}

#[test]
fn what_goes_on_running_while_no_daemon_listens_stays_running() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.sqlite");
    let yard = Yard::at(Some(path.clone()));
    let id = yard.run(json!({}));
    yard.settle();
    let world = yard.world.clone();
    drop(yard);
    let yard = Yard::over(Some(path), world);
    assert_eq!(yard.state(&id), "running");
    yard.settle();
    let starts = yard
        .world
        .asks
        .lock()
        .unwrap()
        .iter()
        .filter(|ask| matches!(ask, Ask::StartSandbox(sandbox) if sandbox.generation > 1))
        .count();
    assert_eq!((yard.state(&id).as_str(), starts), ("running", 0));
}

#[test]
fn a_first_start_that_fails_terminates_and_a_later_one_goes_back_to_stopped() {
    let yard = Yard::new();
    let died = |id: &str, generation| {
        let state = SandboxState::Stopped(StopCause::Died("no room".into()));
        yard.cloud.report(&Report::Sandbox { id: id.to_owned(), generation, state });
    };
    let (first, later) = (yard.run(json!({})), yard.run(json!({})));
    died(&first, 1);
    assert_eq!(yard.state(&first), "shutting-down");
    yard.settle();
    yard.ok("StopInstances", json!({ "InstanceIds": [later] }));
    yard.settle();
    yard.ok("StartInstances", json!({ "InstanceIds": [later] }));
    died(&later, 2);
    assert_eq!(yard.state(&later), "stopped", "its disk is the user's");
    assert_eq!(yard.instance(&later)["StateReason"]["Code"], "Server.InternalError");
}

#[test]
fn what_a_start_lacked_is_the_reason_of_its_end() {
    let yard = Yard::new();
    let lacks = |lack, code: &str| {
        let id = yard.run(json!({}));
        let state = SandboxState::Stopped(StopCause::NotStarted { lack, why: "as it happened".into() });
        yard.cloud.report(&Report::Sandbox { id: id.clone(), generation: 1, state });
        yard.settle();
        let instance = yard.instance(&id);
        assert_eq!(
            (text(&instance["State"]["Name"]).as_str(), text(&instance["StateReason"]["Code"]).as_str()),
            ("terminated", code)
        );
        assert!(text(&instance["StateReason"]["Message"]).starts_with(&format!("{code}: ")), "{instance}");
        assert!(text(&instance["StateReason"]["Message"]).contains("as it happened"), "{instance}");
        assert_eq!(text(&instance["StateTransitionReason"]), code);
    };
    lacks(Lack::Room, "Server.InsufficientInstanceCapacity");
    lacks(Lack::Image, "Client.InternalError");
    lacks(Lack::Other, "Server.InternalError");
}

#[test]
fn no_instance_is_pending_for_ever() {
    let yard = Yard::new();
    yard.world.silence();
    let id = yard.run(json!({}));
    let interface = text(&yard.instance(&id)["NetworkInterfaces"][0]["NetworkInterfaceId"]);
    for minute in 0..7 {
        let asked = if minute % 2 == 0 { id.clone() } else { interface.clone() };
        yard.cloud.report(&Report::Failed { id: asked, reason: "no nft here".into() });
        yard.pass(Duration::from_secs(60));
        if minute < 3 {
            assert_eq!(yard.state(&id), "pending");
        }
    }
    let instance = yard.instance(&id);
    assert_ne!(yard.state(&id), "pending");
    assert_eq!(instance["StateReason"]["Message"], "Server.InternalError: Internal error on launch (no nft here)");
}

#[test]
fn the_reason_of_a_stop_says_when_the_user_asked_for_it() {
    let yard = Yard::new();
    let id = yard.run(json!({}));
    yard.pass(Duration::from_secs(60));
    yard.ok("StopInstances", json!({ "InstanceIds": [id] }));
    yard.pass(Duration::from_secs(60));
    yard.ok("StopInstances", json!({ "InstanceIds": [id] }));
    assert_eq!(yard.instance(&id)["StateTransitionReason"], "User initiated (2026-11-24 16:01:00 GMT)");
}

#[test]
fn an_instance_keeps_its_key_when_the_pair_is_deleted() {
    let yard = Yard::new();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7DNSmQUQKsnDiyQdO2j3Ynbl5rN1WM5HRyCzfPTDyE me";
    let material = base64::engine::Engine::encode(&base64::engine::general_purpose::STANDARD, key);
    yard.ok("ImportKeyPair", json!({ "KeyName": "mine", "PublicKeyMaterial": material }));
    yard.refused(
        "RunInstances",
        json!({ "ImageId": yard.image(), "MinCount": 1, "MaxCount": 1, "KeyName": "other" }),
        "InvalidKeyPair.NotFound",
    );
    yard.run(json!({ "KeyName": "mine" }));
    yard.settle();
    yard.ok("DeleteKeyPair", json!({ "KeyName": "mine" }));
    let asked = yard.world.asks.lock().unwrap().len();
    yard.cloud.full_pass();
    yard.settle();
    let asks = yard.world.asks.lock().unwrap();
    assert_eq!(asks.len(), asked, "nothing is asked anew: {:?}", &asks[asked..]);
    let keys = asks.iter().find_map(|ask| match ask {
        Ask::StartSandbox(sandbox) => Some(sandbox.authorized_keys.clone()),
        _ => None,
    });
    assert!(keys.unwrap()[0].starts_with("ssh-ed25519 "));
}

#[test]
fn a_launch_starts_as_many_as_there_are_addresses_for_if_that_is_enough() {
    let yard = Yard::new();
    let vpc = text(&yard.ok("CreateVpc", json!({ "CidrBlock": "10.0.0.0/16" }))["Vpc"]["VpcId"]);
    let subnet =
        text(&yard.ok("CreateSubnet", json!({ "VpcId": vpc, "CidrBlock": "10.0.0.0/28" }))["Subnet"]["SubnetId"]);
    let run = |min, max| json!({ "ImageId": yard.image(), "SubnetId": subnet, "MinCount": min, "MaxCount": max });
    yard.refused("RunInstances", run(12, 20), "InsufficientFreeAddressesInSubnet");
    let made = yard.ok("RunInstances", run(1, 20));
    assert_eq!(made["Instances"].as_array().unwrap().len(), 11, "a /28 less AWS's five");
    yard.refused("RunInstances", run(1, 1), "InsufficientFreeAddressesInSubnet");
}

#[test]
fn a_root_volume_is_not_smaller_than_its_image_and_its_type_gives_its_speed() {
    let yard = Yard::new();
    let disk = |ebs: serde_json::Value| json!({ "BlockDeviceMappings": [{ "DeviceName": "/dev/xvda", "Ebs": ebs }] });
    let mut small = disk(json!({ "VolumeSize": 4 }));
    small
        .as_object_mut()
        .unwrap()
        .extend(json!({ "ImageId": yard.image(), "MinCount": 1, "MaxCount": 1 }).as_object().unwrap().clone());
    let mut large = small.clone();
    large["BlockDeviceMappings"] =
        disk(json!({ "VolumeSize": 20_000, "VolumeType": "gp2" }))["BlockDeviceMappings"].clone();
    yard.refused("RunInstances", large, "InvalidParameterValue");
    yard.refused("RunInstances", small, "InvalidBlockDeviceMapping");
    yard.run(disk(json!({ "VolumeSize": 200, "VolumeType": "gp2" })));
    yard.run(json!({}));
    let mut speeds: Vec<_> = yard.ok("DescribeVolumes", json!({}))["Volumes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|volume| (text(&volume["VolumeType"]), volume["Iops"].clone(), volume.get("Throughput").cloned()))
        .collect();
    speeds.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(speeds, [("gp2".into(), json!(600), None), ("gp3".into(), json!(3000), Some(json!(125)))]);
}

#[test]
fn an_image_that_is_deregistered_goes_once_those_launched_of_it_are_up() {
    let yard = Yard::new();
    let first = yard.run(json!({}));
    yard.settle();
    let image = yard.ok("CreateImage", json!({ "InstanceId": first, "Name": "baked", "NoReboot": true }));
    let image = text(&image["ImageId"]);
    yard.settle();
    let second = yard.run(json!({ "ImageId": image }));
    yard.ok("DeregisterImage", json!({ "ImageId": image }));
    let removals = || {
        let asks = yard.world.asks.lock().unwrap();
        asks.iter().filter(|ask| **ask == Ask::RemoveImage(image.clone())).count()
    };
    assert_eq!((removals(), yard.state(&second).as_str()), (0, "pending"));
    yard.refused("DescribeImages", json!({ "ImageIds": [image] }), "InvalidAMIID.NotFound");
    yard.settle();
    yard.settle();
    assert_eq!((removals(), yard.state(&second).as_str()), (1, "running"));
}
