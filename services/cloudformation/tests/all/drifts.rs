//! Drift: what was changed behind a stack's back is found, and said as AWS says it.

use serde_json::{Value, json};

use crate::yard::Yard;

const TEMPLATE: &str = "
Parameters: {Secret: {Type: String, NoEcho: true, Default: sesame}}
Resources:
  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.0.0.0/16, EnableDnsHostnames: true, Tags: [{Key: Name, Value: one}]}}
  Gateway: {Type: 'AWS::EC2::InternetGateway'}
  Group:
    Type: AWS::EC2::SecurityGroup
    Properties: {GroupDescription: web, VpcId: !Ref Vpc, SecurityGroupIngress: [{IpProtocol: tcp, FromPort: 80, ToPort: 80, CidrIp: 0.0.0.0/0}]}
  Word: {Type: 'AWS::SSM::Parameter', Properties: {Name: word, Type: String, Value: !Ref Secret}}
  Note: {Type: 'AWS::CDK::Metadata'}
";

fn made() -> Yard {
    let yard = Yard::new();
    let tags = json!([{"Key": "team", "Value": "x"}]);
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": TEMPLATE, "Tags": tags}));
    yard.until("s", "CREATE_COMPLETE");
    yard
}

fn detect(yard: &Yard) -> Value {
    let id = yard.stacks("DetectStackDrift", json!({"StackName": "s"}))["StackDriftDetectionId"].clone();
    yard.stacks("DescribeStackDriftDetectionStatus", json!({"StackDriftDetectionId": id}))
}

fn drifts(yard: &Yard, filters: &[&str]) -> Vec<Value> {
    let input = json!({"StackName": "s", "StackResourceDriftStatusFilters": filters});
    yard.stacks("DescribeStackResourceDrifts", input)["StackResourceDrifts"].as_array().unwrap().clone()
}

#[test]
fn a_stack_that_nobody_touched_is_in_sync_and_what_can_not_be_read_is_not_checked() {
    let yard = made();
    assert_eq!(yard.stack("s")["DriftInformation"]["StackDriftStatus"], "NOT_CHECKED");
    let status = detect(&yard);
    assert_eq!(
        (&status["DetectionStatus"], &status["StackDriftStatus"], &status["DriftedStackResourceCount"]),
        (&json!("DETECTION_COMPLETE"), &json!("IN_SYNC"), &json!(0)),
    );
    assert_eq!(yard.stack("s")["DriftInformation"]["StackDriftStatus"], "IN_SYNC");
    assert_eq!(drifts(&yard, &["IN_SYNC", "MODIFIED", "DELETED"]).len(), 4);
    let note = yard.stacks("DescribeStackResource", json!({"StackName": "s", "LogicalResourceId": "Note"}));
    let drift = &note["StackResourceDetail"]["DriftInformation"];
    assert_eq!(drift["StackResourceDriftStatus"], "NOT_CHECKED");
    let refused = yard.refused("DetectStackResourceDrift", json!({"StackName": "s", "LogicalResourceId": "Note"}));
    assert!(refused.contains("not supported for resource type AWS::CDK::Metadata"), "{refused}");
}

#[test]
fn changes_behind_the_stacks_back_are_differences_by_property_and_kind() {
    let yard = made();
    let (vpc, group) = (yard.physical("s", "Vpc"), yard.physical("s", "Group"));
    yard.call("ec2", "ModifyVpcAttribute", json!({"VpcId": vpc, "EnableDnsHostnames": {"Value": false}}));
    yard.call(
        "ec2",
        "CreateTags",
        json!({"Resources": [vpc], "Tags": [{"Key": "Name", "Value": "two"}, {"Key": "more", "Value": "x"}]}),
    );
    let rule = json!([{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]);
    yard.call("ec2", "AuthorizeSecurityGroupIngress", json!({"GroupId": group, "IpPermissions": rule}));
    yard.call("ec2", "DeleteInternetGateway", json!({"InternetGatewayId": yard.physical("s", "Gateway")}));
    yard.call("ssm", "PutParameter", json!({"Name": "word", "Type": "String", "Value": "other", "Overwrite": true}));
    let status = detect(&yard);
    assert_eq!((&status["StackDriftStatus"], &status["DriftedStackResourceCount"]), (&json!("DRIFTED"), &json!(4)));
    let found = drifts(&yard, &["MODIFIED"]);
    let said: Vec<String> = found
        .iter()
        .flat_map(|one| one["PropertyDifferences"].as_array().unwrap().iter().map(move |difference| (one, difference)))
        .map(|(one, difference)| {
            let text = |member: &str| difference[member].as_str().unwrap().to_owned();
            let (expected, actual) = (text("ExpectedValue"), text("ActualValue"));
            let id = one["LogicalResourceId"].as_str().unwrap();
            format!("{id} {} {} {expected} -> {actual}", text("DifferenceType"), text("PropertyPath"))
        })
        .collect();
    assert_eq!(
        said,
        [
            r#"Group ADD /SecurityGroupIngress/1 null -> {"CidrIp":"10.0.0.0/8","FromPort":22,"IpProtocol":"tcp","ToPort":22}"#,
            "Vpc NOT_EQUAL /EnableDnsHostnames true -> false",
            "Vpc NOT_EQUAL /Tags/0/Value one -> two",
            r#"Vpc ADD /Tags/1 null -> {"Key":"more","Value":"x"}"#,
            "Word NOT_EQUAL /Value **** -> other",
        ]
    );
    let gone = drifts(&yard, &["DELETED"]);
    assert_eq!((gone.len(), &gone[0]["LogicalResourceId"]), (1, &json!("Gateway")));
    assert!(gone[0].get("ActualProperties").is_none_or(Value::is_null));

    // Put right, it is in sync again; an update makes what was found old.
    yard.call("ec2", "ModifyVpcAttribute", json!({"VpcId": vpc, "EnableDnsHostnames": {"Value": true}}));
    yard.call("ec2", "CreateTags", json!({"Resources": [vpc], "Tags": [{"Key": "Name", "Value": "one"}]}));
    yard.call("ec2", "DeleteTags", json!({"Resources": [vpc], "Tags": [{"Key": "more"}]}));
    let one = yard.stacks("DetectStackResourceDrift", json!({"StackName": "s", "LogicalResourceId": "Vpc"}));
    assert_eq!(one["StackResourceDrift"]["StackResourceDriftStatus"], "IN_SYNC", "{one:#}");
    let text = TEMPLATE.replace("Value: one", "Value: three");
    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": text}));
    yard.until("s", "UPDATE_COMPLETE");
    assert_eq!(yard.stack("s")["DriftInformation"]["StackDriftStatus"], "NOT_CHECKED");
    assert!(drifts(&yard, &["IN_SYNC", "MODIFIED", "DELETED"]).iter().all(|one| one["LogicalResourceId"] != "Vpc"));
}

#[test]
fn drift_is_detected_where_nothing_is_under_way_and_of_resources_that_there_are() {
    let yard = made();
    let refused = yard.refused("DetectStackDrift", json!({"StackName": "s", "LogicalResourceIds": ["Nobody"]}));
    assert_eq!(refused, "Resource Nobody does not exist for stack s");
    yard.stacks("DeleteStack", json!({"StackName": "s"}));
    let id = yard.stacks("ListStacks", json!({}))["StackSummaries"][0]["StackId"].clone();
    let refused = yard.refused("DetectStackDrift", json!({"StackName": id}));
    assert!(refused.contains("cannot be performed on stack"), "{refused}");
    let unknown = json!({"StackDriftDetectionId": "11111111-2222-3333-4444-555555555555"});
    assert!(yard.refused("DescribeStackDriftDetectionStatus", unknown).contains("does not exist"));
}

#[test]
fn a_stacks_latest_hundred_detections_are_kept_and_no_more() {
    let yard = made();
    let ids: Vec<Value> = (0..105)
        .map(|_| yard.stacks("DetectStackDrift", json!({"StackName": "s"}))["StackDriftDetectionId"].clone())
        .collect();
    let is_known = |id: &Value| {
        yard.try_call("cloudformation", "DescribeStackDriftDetectionStatus", json!({"StackDriftDetectionId": id}))
            .is_ok()
    };
    assert_eq!(ids.iter().filter(|id| is_known(id)).count(), 100);
    assert!(ids.last().is_some_and(is_known));
}
