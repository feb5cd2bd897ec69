//! The case's six templates: each is deployed whole and leaves nothing when deleted.

use serde_json::{Value, json};

use crate::yard::{Yard, phase};

#[test]
fn every_phase_validates_and_plans_without_making_anything() {
    let yard = Yard::new();
    yard.call("ec2", "DescribeVpcs", json!({}));
    let before = yard.belongings();
    for number in 1..=6 {
        let body = phase(number);
        yard.stacks("ValidateTemplate", json!({"TemplateBody": body}));
        let name = format!("phase-{number}");
        let input =
            json!({"StackName": name, "ChangeSetName": "plan", "ChangeSetType": "CREATE", "TemplateBody": body});
        yard.stacks("CreateChangeSet", input);
        let set = yard.stacks("DescribeChangeSet", json!({"StackName": name, "ChangeSetName": "plan"}));
        assert_eq!(
            (&set["Status"], &set["ExecutionStatus"]),
            (&json!("CREATE_COMPLETE"), &json!("AVAILABLE")),
            "phase {number}: {set:#}"
        );
        let changes = set["Changes"].as_array().unwrap();
        assert!(
            changes.len() >= 10 && changes.iter().all(|change| change["ResourceChange"]["Action"] == "Add"),
            "phase {number}"
        );
    }
    assert_eq!(yard.belongings(), before);
}

fn deployed_and_deleted(number: usize) {
    let yard = Yard::new();
    yard.call("ec2", "DescribeVpcs", json!({}));
    let before = yard.belongings();
    yard.stacks("CreateStack", json!({"StackName": "case", "TemplateBody": phase(number)}));
    yard.until("case", "CREATE_COMPLETE");
    assert_ne!(yard.belongings(), before);
    yard.stacks("DeleteStack", json!({"StackName": "case"}));
    yard.until("case", "");
    assert_eq!(yard.belongings(), before, "phase {number} left something behind");
}

#[test]
fn phase_1_is_deployed_and_deleted() {
    deployed_and_deleted(1);
}

#[test]
fn phase_3_is_deployed_and_deleted() {
    deployed_and_deleted(3);
}

#[test]
fn phase_4_is_deployed_and_deleted() {
    deployed_and_deleted(4);
}

#[test]
fn phase_5_is_deployed_and_deleted() {
    deployed_and_deleted(5);
}

#[test]
fn phase_6_is_deployed_and_deleted() {
    deployed_and_deleted(6);
}

#[test]
fn phase_2_is_an_update_of_phase_1_in_which_the_instance_keeps_itself_and_its_addresses() {
    let yard = Yard::new();
    yard.stacks("CreateStack", json!({"StackName": "case", "TemplateBody": phase(1)}));
    yard.until("case", "CREATE_COMPLETE");
    let instance = |yard: &Yard| -> Value {
        let id = yard.physical("case", "Instance");
        yard.call("ec2", "DescribeInstances", json!({"InstanceIds": [id]}))["Reservations"][0]["Instances"][0].clone()
    };
    let (before, address) = (instance(&yard), yard.output("case", "Address"));
    assert_eq!(before["InstanceType"], "t2.micro");
    assert_eq!(before["PublicIpAddress"], address.as_str());

    yard.stacks("UpdateStack", json!({"StackName": "case", "TemplateBody": phase(2)}));
    yard.until("case", "UPDATE_COMPLETE");
    let after = instance(&yard);
    assert_eq!(after["InstanceType"], "m5.large");
    for same in ["InstanceId", "PrivateIpAddress", "PublicIpAddress"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    assert_eq!(after["State"]["Name"], "running");
    assert_eq!(yard.output("case", "Address"), address);
    let events = yard.events("case");
    let updated: Vec<&String> = events.iter().filter(|event| event.contains("UPDATE")).collect();
    assert_eq!(
        updated,
        [
            "case UPDATE_IN_PROGRESS User Initiated",
            "Instance UPDATE_IN_PROGRESS",
            "Instance UPDATE_COMPLETE",
            "case UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            "case UPDATE_COMPLETE",
        ]
    );
}
