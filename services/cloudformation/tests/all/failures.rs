//! What a failure leaves: every step of a creation, an update and a deletion is failed once, and the daemon is killed at
//! every commit.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};

use crate::yard::{Yard, phase};

/// Two groups, an instance with an address, a queue of things that depend on each other, and one of each cheap type.
const BEFORE: &str = r#"
Parameters:
  Type: {Type: String, Default: t3.micro}
  Image: {Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>', Default: /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64}
Resources:
  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.1.0.0/16, Tags: [{Key: v, Value: '1'}]}}
  Gateway: {Type: 'AWS::EC2::InternetGateway'}
  Attachment: {Type: 'AWS::EC2::VPCGatewayAttachment', Properties: {VpcId: !Ref Vpc, InternetGatewayId: !Ref Gateway}}
  Table: {Type: 'AWS::EC2::RouteTable', Properties: {VpcId: !Ref Vpc}}
  Route: {Type: 'AWS::EC2::Route', DependsOn: Attachment, Properties: {RouteTableId: !Ref Table, DestinationCidrBlock: 0.0.0.0/0, GatewayId: !Ref Gateway}}
  Subnet: {Type: 'AWS::EC2::Subnet', Properties: {VpcId: !Ref Vpc, CidrBlock: 10.1.0.0/24}}
  Routes: {Type: 'AWS::EC2::SubnetRouteTableAssociation', Properties: {SubnetId: !Ref Subnet, RouteTableId: !Ref Table}}
  Web:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: web
      VpcId: !Ref Vpc
      SecurityGroupIngress: [{IpProtocol: tcp, FromPort: 80, ToPort: 80, CidrIp: 0.0.0.0/0}]
  Rule: {Type: 'AWS::EC2::SecurityGroupIngress', Properties: {GroupId: !Ref Web, IpProtocol: tcp, FromPort: 22, ToPort: 22, CidrIp: 10.0.0.0/8}}
  Instance: {Type: 'AWS::EC2::Instance', Properties: {ImageId: !Ref Image, InstanceType: !Ref Type, SubnetId: !Ref Subnet, SecurityGroupIds: [!Ref Web]}}
  Address: {Type: 'AWS::EC2::EIP', DependsOn: Attachment, Properties: {InstanceId: !Ref Instance}}
  Leaving: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !Ref Instance}}
  Alarm: {Type: 'AWS::CloudWatch::Alarm', Properties: {ComparisonOperator: GreaterThanThreshold, Namespace: AWS/EC2, MetricName: CPUUtilization, Statistic: Average, Period: 60, EvaluationPeriods: 1, Threshold: 90, Dimensions: [{Name: InstanceId, Value: !Ref Instance}]}}
Outputs:
  Address: {Value: !Ref Address}
"#;

/// What the update changes: a tag, a rule, a type (stop and start), a group replaced by another, one thing more, one less.
fn after() -> String {
    BEFORE
        .replace("{Key: v, Value: '1'}", "{Key: v, Value: '2'}")
        .replace("FromPort: 80, ToPort: 80", "FromPort: 8080, ToPort: 8080")
        .replace("GroupDescription: web", "GroupDescription: other")
        .replace("Default: t3.micro", "Default: m5.large")
        .replace("Threshold: 90", "Threshold: 80")
        .replace(
            "  Leaving: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !Ref Instance}}",
            "  Coming: {Type: 'AWS::EC2::RouteTable', Properties: {VpcId: !Ref Vpc}}",
        )
}

fn region() -> (Yard, Vec<String>) {
    let yard = Yard::new();
    yard.call("ec2", "DescribeVpcs", json!({}));
    let before = yard.belongings();
    (yard, before)
}

/// All that the stack's things are: what an update's rollback must bring back.
fn facts(yard: &Yard) -> Value {
    let resources = yard.stacks("ListStackResources", json!({"StackName": "s"}));
    let physical: Vec<Value> = resources["StackResourceSummaries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|resource| json!([resource["LogicalResourceId"], resource["PhysicalResourceId"]]))
        .collect();
    let id = yard.physical("s", "Instance");
    let instance =
        &yard.call("ec2", "DescribeInstances", json!({"InstanceIds": [id]}))["Reservations"][0]["Instances"][0];
    let group = yard.call("ec2", "DescribeSecurityGroups", json!({"GroupIds": [yard.physical("s", "Web")]}));
    let vpc = yard.call("ec2", "DescribeVpcs", json!({"VpcIds": [yard.physical("s", "Vpc")]}));
    let alarm = yard.call("cloudwatch", "DescribeAlarms", json!({"AlarmNames": [yard.physical("s", "Alarm")]}));
    json!({
        "things": yard.belongings(),
        "physical": physical,
        "type": instance["InstanceType"],
        "state": instance["State"]["Name"],
        "address": instance["PublicIpAddress"],
        "groups": instance["SecurityGroups"],
        "rules": group["SecurityGroups"][0]["IpPermissions"],
        "tags": vpc["Vpcs"][0]["Tags"],
        "threshold": alarm["MetricAlarms"][0]["Threshold"],
    })
}

/// Fails each step of a creation once.
fn creations(template: &str) {
    let (yard, nothing) = region();
    yard.faults.fail_nth(None);
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": template}));
    yard.until("s", "CREATE_COMPLETE");
    let steps = yard.faults.count();
    yard.stacks("DeleteStack", json!({"StackName": "s"}));
    yard.until("s", "");
    assert!(steps >= 10, "{steps}");
    for step in 0..steps {
        yard.faults.fail_nth(Some(step));
        yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": template}));
        yard.until("s", "ROLLBACK_COMPLETE");
        assert_eq!(
            yard.belongings(),
            nothing,
            "a creation that failed at step {step} left something: {:#?}",
            yard.events("s")
        );
        let reason = yard.events("s").into_iter().find(|event| event.starts_with("s ROLLBACK_IN_PROGRESS")).unwrap();
        assert!(
            reason.contains("The following resource(s) failed to create: [")
                && reason.ends_with("]. Rollback requested by user."),
            "{reason}"
        );
        yard.stacks("DeleteStack", json!({"StackName": "s"}));
        yard.until("s", "");
    }
}

#[test]
fn a_creation_that_fails_at_any_step_leaves_nothing() {
    creations(BEFORE);
}

#[test]
fn phase_6_leaves_nothing_whichever_step_of_its_creation_fails() {
    creations(&phase(6));
}

#[test]
fn an_update_that_fails_at_any_step_leaves_everything_as_it_was() {
    let (yard, nothing) = region();
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": BEFORE}));
    yard.until("s", "CREATE_COMPLETE");
    let before = facts(&yard);
    let update = json!({"StackName": "s", "TemplateBody": after()});
    for step in 0..200 {
        yard.faults.fail_nth(Some(step));
        yard.stacks("UpdateStack", update.clone());
        while yard.status("s") == "UPDATE_IN_PROGRESS" {
            yard.tick(yard.now() + std::time::Duration::from_secs(60));
        }
        if yard.status("s").starts_with("UPDATE_COMPLETE") {
            // No step has this number: the update has arrived, perhaps failing to delete what it left.
            assert!(step >= 8, "only {step} steps: {:#?}", yard.events("s"));
            yard.until("s", "UPDATE_COMPLETE");
            yard.faults.fail_nth(None);
            let instance = &facts(&yard);
            assert_eq!((&instance["type"], &instance["state"]), (&json!("m5.large"), &json!("running")));
            yard.stacks("DeleteStack", json!({"StackName": "s"}));
            yard.until("s", "");
            let left = yard.belongings();
            // One thing that the update could not delete may be left: it has left the stack, as AWS does it.
            assert!(left.len() <= nothing.len() + 1, "{left:#?}");
            return;
        }
        yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
        assert_eq!(facts(&yard), before, "an update that failed at step {step}: {:#?}", yard.events("s"));
    }
    panic!("the update never arrived");
}

#[test]
fn a_deletion_that_fails_at_any_step_can_be_repeated_and_then_leaves_nothing() {
    let (yard, nothing) = region();
    for step in 0..200 {
        yard.faults.fail_nth(None);
        yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": BEFORE}));
        yard.until("s", "CREATE_COMPLETE");
        yard.faults.fail_nth(Some(step));
        yard.stacks("DeleteStack", json!({"StackName": "s"}));
        while yard.status("s") == "DELETE_IN_PROGRESS" {
            yard.tick(yard.now() + std::time::Duration::from_secs(60));
        }
        if yard.status("s").is_empty() {
            assert!(step >= 10, "only {step} steps");
            return;
        }
        assert_eq!(yard.status("s"), "DELETE_FAILED");
        let reason = yard.stack("s")["StackStatusReason"].as_str().unwrap().to_owned();
        assert!(reason.starts_with("The following resource(s) failed to delete: ["), "{reason}");
        yard.stacks("DeleteStack", json!({"StackName": "s"}));
        yard.until("s", "");
        assert_eq!(yard.belongings(), nothing, "a deletion that failed at step {step} left something");
    }
    panic!("the deletion never ended");
}

#[test]
fn a_rollback_that_fails_can_be_continued() {
    let (yard, _) = region();
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": BEFORE}));
    yard.until("s", "CREATE_COMPLETE");
    let before = facts(&yard);
    // The instance's new type is taken; starting it again fails, forward and back.
    yard.faults.fail_named(Some("StartInstances"));
    yard.stacks("UpdateStack", json!({"StackName": "s", "UsePreviousTemplate": true, "Parameters": [{"ParameterKey": "Type", "ParameterValue": "m5.large"}]}));
    yard.until("s", "UPDATE_ROLLBACK_FAILED");
    assert!(
        yard.refused("UpdateStack", json!({"StackName": "s", "TemplateBody": after()}))
            .contains("is in UPDATE_ROLLBACK_FAILED state and can not be updated")
    );
    yard.faults.fail_named(None);
    yard.stacks("ContinueUpdateRollback", json!({"StackName": "s"}));
    yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(facts(&yard), before);
}

/// Runs an operation to its end through a daemon that is killed once, right after its commit number `at`; `false` where the
/// operation had fewer.
fn killed_once(mut yard: Yard, path: &std::path::Path, at: u64, begin: impl Fn(&Yard), end: &str) -> (Yard, bool) {
    begin(&yard);
    yard.kill_after(Some(at));
    // The panic is the kill: nothing after the commit runs in that daemon.
    let survived = catch_unwind(AssertUnwindSafe(|| yard.until("s", end))).is_ok();
    yard.kill_after(None);
    if !survived {
        yard = yard.reopened(path);
        yard.until("s", end);
    }
    (yard, survived)
}

#[test]
fn a_daemon_killed_after_any_commit_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let mut yard = Yard::stored(&path);
    yard.call("ec2", "DescribeVpcs", json!({}));
    let nothing = yard.belongings();
    let create = |yard: &Yard| drop(yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": BEFORE})));
    let delete = |yard: &Yard| drop(yard.stacks("DeleteStack", json!({"StackName": "s"})));
    create(&yard);
    yard.until("s", "CREATE_COMPLETE");
    let kinds = |yard: &Yard| -> Vec<String> {
        yard.belongings().iter().map(|thing| thing.split(' ').next().unwrap_or_default().to_owned()).collect()
    };
    let whole = kinds(&yard);
    delete(&yard);
    yard.until("s", "");
    for at in 1.. {
        let (after_create, whole_create) = killed_once(yard, &path, at, create, "CREATE_COMPLETE");
        assert_eq!(kinds(&after_create), whole, "killed at commit {at}, the creation made other things");
        let (after_delete, whole_delete) = killed_once(after_create, &path, at, delete, "");
        assert_eq!(after_delete.belongings(), nothing, "killed at commit {at}, the deletion left something");
        yard = after_delete;
        if whole_create && whole_delete {
            assert!(at >= 8, "only {at} commits");
            return;
        }
    }
}
