//! Signals, creation policies and update policies: what a stack waits for, and how a group gets new instances.

use std::time::Duration;

use serde_json::{Value, json};

use crate::yard::Yard;

const GROUP: &str = r#"
Parameters:
  Image: {Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>', Default: /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64}
  Batch: {Type: Number, Default: 1}
Resources:
  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.5.0.0/16}}
  A: {Type: 'AWS::EC2::Subnet', Properties: {VpcId: !Ref Vpc, CidrBlock: 10.5.0.0/24, AvailabilityZone: us-east-1a}}
  Template: {Type: 'AWS::EC2::LaunchTemplate', Properties: {LaunchTemplateData: {ImageId: !Ref Image, InstanceType: t3.micro}}}
  Group:
    Type: AWS::AutoScaling::AutoScalingGroup
    POLICIES
    Properties:
      MinSize: 2
      MaxSize: 4
      DesiredCapacity: 2
      VPCZoneIdentifier: [!Ref A]
      LaunchTemplate: {LaunchTemplateId: !Ref Template, Version: !GetAtt Template.LatestVersionNumber}
"#;

fn template(policies: &str) -> String {
    GROUP.replace("POLICIES", policies)
}

fn pass(yard: &Yard, seconds: u64) {
    let end = yard.now() + Duration::from_secs(seconds);
    while yard.tick(end) {}
}

/// Lets time pass until an event of the group's says that.
#[track_caller]
fn until_said(yard: &Yard, words: &str) {
    let end = yard.now() + Duration::from_secs(900);
    while !yard.events("s").iter().any(|event| event.contains(words)) {
        assert!(yard.tick(end), "nobody says {words:?}: {:#?}", yard.events("s"));
    }
}

fn signal(yard: &Yard, logical: &str, id: &str, status: &str) {
    yard.stacks(
        "SignalResource",
        json!({"StackName": "s", "LogicalResourceId": logical, "UniqueId": id, "Status": status}),
    );
}

fn group(yard: &Yard) -> Value {
    let name = yard.physical("s", "Group");
    yard.call("autoscaling", "DescribeAutoScalingGroups", json!({"AutoScalingGroupNames": [name]}))["AutoScalingGroups"]
        [0]
    .clone()
}

fn instances(yard: &Yard) -> Vec<String> {
    let group = group(yard);
    let all = group["Instances"].as_array().unwrap().iter();
    all.map(|instance| instance["InstanceId"].as_str().unwrap().to_owned()).collect()
}

fn create(yard: &Yard, policies: &str) {
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": template(policies)}));
}

/// An update that gives the launch template another instance type.
fn update(yard: &Yard, policies: &str) {
    let changed = template(policies).replace("t3.micro", "t3.small");
    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": changed}));
}

#[test]
fn a_creation_waits_for_its_signals_and_counts_each_sender_once() {
    let yard = Yard::new();
    create(&yard, "CreationPolicy: {ResourceSignal: {Count: 2, Timeout: PT10M}}");
    until_said(&yard, "Group CREATE_IN_PROGRESS Resource creation Initiated");
    pass(&yard, 60);
    assert_eq!(yard.status("s"), "CREATE_IN_PROGRESS");
    signal(&yard, "Group", "i-1", "SUCCESS");
    signal(&yard, "Group", "i-1", "SUCCESS");
    pass(&yard, 60);
    assert_eq!(yard.status("s"), "CREATE_IN_PROGRESS");
    signal(&yard, "Group", "i-2", "SUCCESS");
    yard.until("s", "CREATE_COMPLETE");
    let heard = yard.events("s").into_iter().filter(|event| event.contains("signal")).collect::<Vec<_>>();
    assert_eq!(
        heard,
        [
            "Group CREATE_IN_PROGRESS Received SUCCESS signal with UniqueId i-1",
            "Group CREATE_IN_PROGRESS Received SUCCESS signal with UniqueId i-2"
        ]
    );
    let late = json!({"StackName": "s", "LogicalResourceId": "Group", "UniqueId": "i-3", "Status": "SUCCESS"});
    assert!(yard.refused("SignalResource", late).ends_with("is in CREATE_COMPLETE state and can not be signaled"));
}

#[test]
fn a_creation_without_its_signals_fails_at_its_timeout_and_with_failures_at_once() {
    let yard = Yard::new();
    create(&yard, "CreationPolicy: {ResourceSignal: {Count: 2, Timeout: PT2M}}");
    let began = yard.now();
    yard.until("s", "ROLLBACK_COMPLETE");
    assert!(yard.now() >= began + Duration::from_secs(120));
    let said = "Group CREATE_FAILED Failed to receive 2 resource signal(s) within the specified duration";
    assert!(yard.events("s").contains(&said.to_owned()), "{:#?}", yard.events("s"));

    let yard = Yard::new();
    create(&yard, "CreationPolicy: {ResourceSignal: {Count: 2}}");
    until_said(&yard, "Group CREATE_IN_PROGRESS Resource creation Initiated");
    signal(&yard, "Group", "i-1", "FAILURE");
    yard.until("s", "ROLLBACK_COMPLETE");
    let said = "Group CREATE_FAILED Received 1 FAILURE signal(s) out of 2. Unable to satisfy 100% MinSuccessfulInstancesPercent requirement";
    assert!(yard.events("s").contains(&said.to_owned()), "{:#?}", yard.events("s"));
}

#[test]
fn a_share_of_failures_is_borne_where_the_policy_says_so() {
    let yard = Yard::new();
    create(
        &yard,
        "CreationPolicy: {ResourceSignal: {Count: 2}, AutoScalingCreationPolicy: {MinSuccessfulInstancesPercent: 50}}",
    );
    until_said(&yard, "Group CREATE_IN_PROGRESS Resource creation Initiated");
    signal(&yard, "Group", "i-1", "FAILURE");
    signal(&yard, "Group", "i-2", "SUCCESS");
    yard.until("s", "CREATE_COMPLETE");
}

const ROLLING: &str = "UpdatePolicy: {AutoScalingRollingUpdate: {MinInstancesInService: 2, MaxBatchSize: !Ref Batch, SuspendProcesses: [AlarmNotification]}}";

#[test]
fn without_an_update_policy_instances_stay_as_they_are() {
    let yard = Yard::new();
    create(&yard, "UpdateReplacePolicy: Delete");
    yard.until("s", "CREATE_COMPLETE");
    let before = instances(&yard);
    update(&yard, "UpdateReplacePolicy: Delete");
    yard.until("s", "UPDATE_COMPLETE");
    assert_eq!(instances(&yard), before);
}

#[test]
fn a_rolling_update_replaces_every_instance_while_as_many_serve_as_it_says() {
    let yard = Yard::new();
    create(&yard, ROLLING);
    yard.until("s", "CREATE_COMPLETE");
    let before = instances(&yard);
    update(&yard, ROLLING);
    let end = yard.now() + Duration::from_secs(900);
    while yard.status("s").ends_with("IN_PROGRESS") {
        let group = group(&yard);
        let all = group["Instances"].as_array().unwrap();
        let serving = all.iter().filter(|instance| instance["LifecycleState"] == "InService").count();
        assert!(serving >= 2, "{all:#?}");
        assert!(yard.tick(end), "{:#?}", yard.events("s"));
    }
    assert_eq!(yard.status("s"), "UPDATE_COMPLETE", "{:#?}", yard.events("s"));
    let after = instances(&yard);
    assert!(after.len() == 2 && !after.iter().any(|id| before.contains(id)), "{before:?} {after:?}");
    let group = group(&yard);
    assert_eq!((&group["MinSize"], &group["DesiredCapacity"]), (&json!(2), &json!(2)));
    assert_eq!(group["SuspendedProcesses"].as_array().map_or(0, Vec::len), 0);
    let said: Vec<String> = yard.events("s").into_iter().filter(|event| event.starts_with("Group UPDATE")).collect();
    let said: Vec<&str> = said.iter().filter_map(|event| event.strip_prefix("Group UPDATE_IN_PROGRESS ")).collect();
    assert_eq!(
        said[0],
        "Rolling update initiated. Terminating 2 obsolete instance(s) in batches of 1, while keeping at least 2 instance(s) in service."
    );
    assert_eq!(said[1], "Temporarily setting autoscaling group MinSize and DesiredCapacity to 3.");
    assert!(
        said[2].starts_with("Terminating instance(s) [i-") && said[2].ends_with("; replacing with 1 new instance(s).")
    );
    assert!(said[3].ends_with("(Progress 50%)."), "{said:#?}");
    assert!(said[4].ends_with("; replacing with 0 new instance(s)."), "{said:#?}");
    assert!(said[5].ends_with("(Progress 100%)."), "{said:#?}");
}

const SIGNALLED: &str =
    "UpdatePolicy: {AutoScalingRollingUpdate: {MaxBatchSize: 2, WaitOnResourceSignals: true, PauseTime: PT3M}}";

#[test]
fn a_rolling_update_waits_for_the_signals_of_its_new_instances() {
    let yard = Yard::new();
    create(&yard, SIGNALLED);
    yard.until("s", "CREATE_COMPLETE");
    update(&yard, SIGNALLED);
    until_said(&yard, "Waiting on 2 resource signal(s) with a timeout of PT3M.");
    instances(&yard).iter().for_each(|id| signal(&yard, "Group", id, "SUCCESS"));
    yard.until("s", "UPDATE_COMPLETE");
}

#[test]
fn a_group_of_zones_rolls_once_and_one_that_leaves_a_zone_replaces_what_is_there() {
    let yard = Yard::new();
    let zoned = |zones: &str, kind: &str| {
        template(ROLLING)
            .replace("VPCZoneIdentifier: [!Ref A]", &format!("AvailabilityZones: [{zones}]"))
            .replace("t3.micro", kind)
    };
    let body = zoned("us-east-1a, us-east-1b", "t3.micro");
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": body}));
    yard.until("s", "CREATE_COMPLETE");
    let before = instances(&yard);
    let update = |body: String| {
        yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": body}));
        yard.until("s", "UPDATE_COMPLETE");
        // The group may still be balancing its zones.
        pass(&yard, 600);
        instances(&yard)
    };
    let after = update(zoned("us-east-1a, us-east-1b", "t3.small"));
    assert!(after.len() == 2 && !after.iter().any(|id| before.contains(id)), "{before:?} {after:?}");
    let gone = yard.events("s").into_iter().filter(|event| event.contains("Successfully terminated")).count();
    assert_eq!(gone, 2, "{:#?}", yard.events("s"));
    let last = update(zoned("us-east-1a, us-east-1c", "t3.small"));
    let zones: Vec<Value> =
        group(&yard)["Instances"].as_array().unwrap().iter().map(|one| one["AvailabilityZone"].clone()).collect();
    assert!(last.len() == 2 && !zones.contains(&json!("us-east-1b")), "{zones:?}");
    let said = "Rolling update initiated. Terminating 1 obsolete instance(s)";
    assert!(yard.events("s").iter().any(|event| event.contains(said)), "what stands where it should is kept");
}

#[test]
fn a_rolling_update_without_its_signals_goes_back_and_rolls_the_old_template_in_again() {
    let yard = Yard::new();
    create(&yard, SIGNALLED);
    yard.until("s", "CREATE_COMPLETE");
    update(&yard, SIGNALLED);
    until_said(&yard, "Failed to receive 2 resource signal(s) for the current batch.");
    until_said(&yard, "s UPDATE_ROLLBACK_IN_PROGRESS");
    let failed = "Group UPDATE_FAILED Received 2 FAILURE signal(s) out of 2. Unable to satisfy 100% MinSuccessfulInstancesPercent requirement";
    assert!(yard.events("s").contains(&failed.to_owned()), "{:#?}", yard.events("s"));
    // The way back waits for signals too.
    let waits = |events: &[String]| events.iter().filter(|event| event.contains("Waiting on 2 resource")).count();
    let end = yard.now() + Duration::from_secs(900);
    while waits(&yard.events("s")) < 2 {
        assert!(yard.tick(end), "{:#?}", yard.events("s"));
    }
    instances(&yard).iter().for_each(|id| signal(&yard, "Group", id, "SUCCESS"));
    yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
    let version = &group(&yard)["LaunchTemplate"]["Version"];
    assert_eq!(version, "1");
}

#[test]
fn a_pause_and_a_wait_for_signals_last_as_long_as_the_policy_says() {
    let yard = Yard::new();
    let policies = SIGNALLED.replace("PT3M", "PT45M");
    create(&yard, &policies);
    yard.until("s", "CREATE_COMPLETE");
    update(&yard, &policies);
    until_said(&yard, "Waiting on 2 resource signal(s) with a timeout of PT45M.");
    pass(&yard, 40 * 60);
    assert_eq!(yard.status("s"), "UPDATE_IN_PROGRESS", "{:#?}", yard.events("s"));
    instances(&yard).iter().for_each(|id| signal(&yard, "Group", id, "SUCCESS"));
    yard.until("s", "UPDATE_COMPLETE");

    let yard = Yard::new();
    let policies = ROLLING.replace("SuspendProcesses", "PauseTime: PT45M, SuspendProcesses");
    create(&yard, &policies);
    yard.until("s", "CREATE_COMPLETE");
    update(&yard, &policies);
    until_said(&yard, "(Progress 50%).");
    pass(&yard, 40 * 60);
    assert_eq!(yard.status("s"), "UPDATE_IN_PROGRESS", "{:#?}", yard.events("s"));
    pass(&yard, 5 * 60);
    yard.until("s", "UPDATE_COMPLETE");
}

#[test]
fn a_rolling_update_that_breaks_off_gives_the_group_its_processes_back_and_remembers_its_sizes() {
    let yard = Yard::new();
    create(&yard, ROLLING);
    yard.until("s", "CREATE_COMPLETE");
    update(&yard, ROLLING);
    until_said(&yard, "Terminating instance(s) [");
    assert_eq!(group(&yard)["SuspendedProcesses"].as_array().map_or(0, Vec::len), 1);
    yard.faults.fail_named(Some("UpdateAutoScalingGroup"));
    yard.until("s", "UPDATE_ROLLBACK_FAILED");
    assert_eq!(group(&yard)["SuspendedProcesses"].as_array().map_or(0, Vec::len), 0, "{:#?}", yard.events("s"));
    yard.faults.fail_named(None);
    yard.stacks("ContinueUpdateRollback", json!({"StackName": "s"}));
    yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
    let group = group(&yard);
    assert_eq!((&group["MinSize"], &group["DesiredCapacity"]), (&json!(2), &json!(2)), "{:#?}", yard.events("s"));
    assert_eq!(group["SuspendedProcesses"].as_array().map_or(0, Vec::len), 0);
    assert_eq!(group["LaunchTemplate"]["Version"], "1");
}

#[test]
fn a_replacing_update_makes_another_group_and_deletes_the_old_one() {
    let yard = Yard::new();
    let policies = "UpdatePolicy: {AutoScalingReplacingUpdate: {WillReplace: true}}";
    create(&yard, policies);
    yard.until("s", "CREATE_COMPLETE");
    let before = yard.physical("s", "Group");
    update(&yard, policies);
    yard.until("s", "UPDATE_COMPLETE");
    assert_ne!(yard.physical("s", "Group"), before);
    let groups = yard.call("autoscaling", "DescribeAutoScalingGroups", json!({}));
    assert_eq!(groups["AutoScalingGroups"].as_array().map_or(0, Vec::len), 1);
}

#[test]
fn sizes_that_the_template_does_not_change_are_left_alone_where_the_policy_says_so() {
    for (policies, size) in [
        ("UpdatePolicy: {AutoScalingScheduledAction: {IgnoreUnmodifiedGroupSizeProperties: true}}", 3),
        ("UpdateReplacePolicy: Delete", 2),
    ] {
        let yard = Yard::new();
        create(&yard, policies);
        yard.until("s", "CREATE_COMPLETE");
        let name = yard.physical("s", "Group");
        yard.call("autoscaling", "SetDesiredCapacity", json!({"AutoScalingGroupName": name, "DesiredCapacity": 3}));
        pass(&yard, 120);
        update(&yard, policies);
        yard.until("s", "UPDATE_COMPLETE");
        assert_eq!(group(&yard)["DesiredCapacity"], size, "{policies}");
    }
}

#[test]
fn policies_are_refused_where_they_mean_nothing() {
    let yard = Yard::new();
    let refused = |line: &str| {
        let template = format!(
            "Resources:\n  A:\n    Type: AWS::EC2::VPC\n    {line}\n    Properties: {{CidrBlock: 10.0.0.0/16}}"
        );
        yard.refused("CreateStack", json!({"StackName": "s", "TemplateBody": template}))
    };
    assert!(
        refused("CreationPolicy: {ResourceSignal: {Count: 1}}")
            .contains("AWS::EC2::VPC does not support CreationPolicy")
    );
    assert!(refused("UpdatePolicy: {AutoScalingRollingUpdate: {}}").contains("does not support UpdatePolicy"));
    let bad = template("CreationPolicy: {ResourceSignal: {Counts: 1}}");
    assert!(
        yard.refused("CreateStack", json!({"StackName": "s", "TemplateBody": bad}))
            .contains("unsupported property Counts")
    );
}

#[test]
fn metadata_is_described_with_its_functions_evaluated_and_makes_what_it_names_first() {
    let yard = Yard::new();
    let template = "
Resources:
  A:
    Type: AWS::EC2::InternetGateway
    Metadata: {Vpc: !Ref Vpc, Name: !Sub '${AWS::StackName}-x'}
  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.0.0.0/16}}
";
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": template}));
    yard.until("s", "CREATE_COMPLETE");
    let found = yard.stacks("DescribeStackResource", json!({"StackName": "s", "LogicalResourceId": "A"}));
    let metadata: Value = serde_json::from_str(found["StackResourceDetail"]["Metadata"].as_str().unwrap()).unwrap();
    assert_eq!(metadata, json!({"Vpc": yard.physical("s", "Vpc"), "Name": "s-x"}));
}

#[test]
fn metadata_that_a_parameter_changes_is_an_update_of_its_resource() {
    let yard = Yard::new();
    let template = "
Parameters: {Word: {Type: String}}
Resources:
  A: {Type: 'AWS::EC2::InternetGateway', Metadata: {Word: !Ref Word}}
  B: {Type: 'AWS::EC2::InternetGateway', Metadata: {Word: same}}
";
    let with = |word: &str| json!({"StackName": "s", "TemplateBody": template, "Parameters": [{"ParameterKey": "Word", "ParameterValue": word}]});
    yard.stacks("CreateStack", with("one"));
    yard.until("s", "CREATE_COMPLETE");
    assert_eq!(yard.refused("UpdateStack", with("one")), "No updates are to be performed.");
    let mut set = with("two");
    set["ChangeSetName"] = json!("c");
    yard.stacks("CreateChangeSet", set);
    let set = yard.stacks("DescribeChangeSet", json!({"StackName": "s", "ChangeSetName": "c"}));
    assert_eq!(set["Changes"].as_array().map_or(0, Vec::len), 1, "{set:#}");
    assert_eq!(set["Changes"][0]["ResourceChange"]["Scope"], json!(["Metadata"]));
    yard.stacks("ExecuteChangeSet", json!({"StackName": "s", "ChangeSetName": "c"}));
    yard.until("s", "UPDATE_COMPLETE");
    let found = yard.stacks("DescribeStackResource", json!({"StackName": "s", "LogicalResourceId": "A"}));
    assert_eq!(found["StackResourceDetail"]["Metadata"], r#"{"Word":"two"}"#);
    let said: Vec<String> = yard.events("s").into_iter().filter(|event| event.starts_with("A UPDATE")).collect();
    assert_eq!(said, ["A UPDATE_IN_PROGRESS", "A UPDATE_COMPLETE"]);
}
