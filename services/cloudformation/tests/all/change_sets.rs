//! Change sets, as `aws cloudformation deploy` uses them.

use serde_json::{Value, json};

use crate::yard::{Yard, phase};

/// What `aws cloudformation deploy` does: a change set of the type that the stack's existence asks for, executed if it holds
/// changes. Gives its description.
fn deploy(yard: &Yard, template: &str, name: &str) -> Value {
    let kind = if yard.stack("s").is_null() || yard.status("s") == "REVIEW_IN_PROGRESS" { "CREATE" } else { "UPDATE" };
    let input = json!({"StackName": "s", "ChangeSetName": name, "ChangeSetType": kind, "TemplateBody": template});
    let made = yard.stacks("CreateChangeSet", input);
    let set = yard.stacks("DescribeChangeSet", json!({"ChangeSetName": made["Id"]}));
    if set["Status"] == "CREATE_COMPLETE" {
        yard.stacks("ExecuteChangeSet", json!({"ChangeSetName": made["Id"]}));
    }
    set
}

#[test]
fn a_stack_is_deployed_updated_and_left_alone_by_change_sets() {
    let yard = Yard::new();
    let first = deploy(&yard, &phase(1), "one");
    yard.until("s", "CREATE_COMPLETE");
    assert!(first["Changes"].as_array().unwrap().len() >= 10);
    assert_eq!(yard.events("s")[..2], ["s REVIEW_IN_PROGRESS User Initiated", "s CREATE_IN_PROGRESS User Initiated"]);
    assert_eq!(yard.events("s").last().unwrap(), "s CREATE_COMPLETE");

    // The same name again: the first has done its work.
    let second = deploy(&yard, &phase(2), "one");
    let changes: Vec<&Value> =
        second["Changes"].as_array().unwrap().iter().map(|change| &change["ResourceChange"]).collect();
    assert_eq!(changes.len(), 1, "{second:#}");
    assert_eq!(changes[0]["LogicalResourceId"], "Instance");
    assert_eq!((&changes[0]["Action"], &changes[0]["Replacement"]), (&json!("Modify"), &json!("False")));
    assert_eq!(changes[0]["Details"][0]["Target"]["Name"], "InstanceType");
    yard.until("s", "UPDATE_COMPLETE");
    assert_eq!(
        yard.stacks("DescribeChangeSet", json!({"ChangeSetName": "one", "StackName": "s"}))["ExecutionStatus"],
        "EXECUTE_COMPLETE"
    );

    let third = deploy(&yard, &phase(2), "three");
    assert_eq!((&third["Status"], &third["ExecutionStatus"]), (&json!("FAILED"), &json!("UNAVAILABLE")));
    assert!(third["StatusReason"].as_str().unwrap().starts_with("The submitted information didn't contain changes."));
    assert_eq!(yard.status("s"), "UPDATE_COMPLETE");
    assert!(
        yard.refused("ExecuteChangeSet", json!({"ChangeSetName": "three", "StackName": "s"}))
            .contains("cannot be executed in its current status of [FAILED]")
    );
}

#[test]
fn a_change_set_tells_what_is_replaced_and_what_may_be() {
    let yard = Yard::new();
    let template = "
Parameters: {Cidr: {Type: String, Default: 10.2.0.0/16}}
Resources:
  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: !Ref Cidr}}
  Group: {Type: 'AWS::EC2::SecurityGroup', Properties: {GroupDescription: one, VpcId: !Ref Vpc}}
  Gateway: {Type: 'AWS::EC2::InternetGateway'}
  Attachment: {Type: 'AWS::EC2::VPCGatewayAttachment', Properties: {VpcId: !Ref Vpc, InternetGatewayId: !Ref Gateway}}
";
    deploy(&yard, template, "one");
    yard.until("s", "CREATE_COMPLETE");
    let before = yard.belongings();
    let input = json!({"StackName": "s", "ChangeSetName": "two", "UsePreviousTemplate": true, "Parameters": [{"ParameterKey": "Cidr", "ParameterValue": "10.3.0.0/16"}]});
    yard.stacks("CreateChangeSet", input);
    let set = yard.stacks("DescribeChangeSet", json!({"StackName": "s", "ChangeSetName": "two"}));
    let causes: Vec<String> = set["Changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| &change["ResourceChange"]["Details"][0])
        .map(|detail| format!("{} {}", detail["ChangeSource"], detail["CausingEntity"]).replace('"', ""))
        .collect();
    assert_eq!(causes, ["ResourceReference Vpc", "ResourceReference Vpc", "ParameterReference Cidr"]);
    let told: Vec<String> = set["Changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            let change = &change["ResourceChange"];
            format!(
                "{} {} {}",
                change["LogicalResourceId"].as_str().unwrap(),
                change["Action"].as_str().unwrap(),
                change["Replacement"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(told, ["Attachment Modify Conditional", "Group Modify Conditional", "Vpc Modify True"]);
    assert_eq!(yard.belongings(), before, "a change set changes nothing");
    yard.stacks("DeleteChangeSet", json!({"StackName": "s", "ChangeSetName": "two"}));
    assert_eq!(
        yard.refused("DescribeChangeSet", json!({"StackName": "s", "ChangeSetName": "two"})),
        "ChangeSet [two] does not exist"
    );
}

#[test]
fn a_change_set_can_be_deleted_unless_it_is_being_executed() {
    let yard = Yard::new();
    let set = json!({"StackName": "s", "ChangeSetName": "one"});
    let mut input = set.clone();
    input["ChangeSetType"] = "CREATE".into();
    input["TemplateBody"] = phase(1).into();
    yard.stacks("CreateChangeSet", input);
    yard.stacks("ExecuteChangeSet", set.clone());
    assert!(yard.refused("DeleteChangeSet", set.clone()).contains("cannot be deleted in its current status"));
    yard.until("s", "CREATE_COMPLETE");
    assert_eq!(yard.stacks("DescribeChangeSet", set.clone())["ExecutionStatus"], "EXECUTE_COMPLETE");
    yard.stacks("DeleteChangeSet", set.clone());
    assert_eq!(yard.refused("DescribeChangeSet", set), "ChangeSet [one] does not exist");
    assert_eq!(yard.status("s"), "CREATE_COMPLETE");
}

#[test]
fn a_stack_under_review_has_nothing_and_can_be_deleted() {
    let yard = Yard::new();
    let input = json!({"StackName": "s", "ChangeSetName": "one", "ChangeSetType": "CREATE", "TemplateBody": phase(1)});
    yard.stacks("CreateChangeSet", input.clone());
    assert_eq!(yard.status("s"), "REVIEW_IN_PROGRESS");
    assert_eq!(yard.refused("CreateChangeSet", input), "ChangeSet one already exists");
    assert_eq!(yard.stacks("GetTemplate", json!({"StackName": "s", "ChangeSetName": "one"}))["TemplateBody"], phase(1));
    yard.stacks("DeleteStack", json!({"StackName": "s"}));
    yard.until("s", "");
}

#[test]
fn tags_are_a_scope_of_their_own() {
    let yard = Yard::new();
    let template =
        "Resources: {Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.2.0.0/16, Tags: [{Key: a, Value: b}]}}}";
    deploy(&yard, template, "one");
    yard.until("s", "CREATE_COMPLETE");
    let set = deploy(&yard, &template.replace("Value: b", "Value: c"), "two");
    let change = &set["Changes"][0]["ResourceChange"];
    assert_eq!(change["Scope"], json!(["Tags"]));
    assert_eq!(change["Details"][0]["Target"], json!({"Attribute": "Tags", "RequiresRecreation": "Never"}));
}
