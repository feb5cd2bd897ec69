//! What a stack that failed can do: go on from where it is, go back to all that it was, leave behind what it names.

use std::time::Duration;

use serde_json::{Value, json};

use crate::yard::Yard;

const TWO: &str = "
Resources:
  Vpc:
    Type: AWS::EC2::VPC
    DeletionPolicy: Retain
    Metadata: {Word: first}
    Properties: {CidrBlock: 10.0.0.0/16, EnableDnsHostnames: false}
  Table: {Type: 'AWS::EC2::RouteTable', Properties: {VpcId: !Ref Vpc}}
";

fn with_another(template: &str) -> String {
    format!("{template}  Other: {{Type: 'AWS::EC2::RouteTable', Properties: {{VpcId: !Ref Vpc}}}}\n")
}

fn create(yard: &Yard, template: &str) {
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": template}));
    yard.until("s", "CREATE_COMPLETE");
}

fn hostnames(yard: &Yard, vpc: &str) -> Value {
    let asked = json!({"VpcId": vpc, "Attribute": "enableDnsHostnames"});
    yard.call("ec2", "DescribeVpcAttribute", asked)["EnableDnsHostnames"]["Value"].clone()
}

fn template_of(yard: &Yard) -> String {
    yard.stacks("GetTemplate", json!({"StackName": "s"}))["TemplateBody"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_rollback_puts_back_what_the_template_says_beside_properties() {
    let yard = Yard::new();
    create(&yard, TWO);
    let vpc = yard.physical("s", "Vpc");
    let bare = TWO.replace("    DeletionPolicy: Retain\n", "").replace("first", "second");
    yard.faults.fail_named(Some("CreateRouteTable"));
    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": with_another(&bare)}));
    yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
    yard.faults.fail_named(None);
    let found = yard.stacks("DescribeStackResource", json!({"StackName": "s", "LogicalResourceId": "Vpc"}));
    assert_eq!(found["StackResourceDetail"]["Metadata"], r#"{"Word":"first"}"#);
    yard.stacks("DeleteStack", json!({"StackName": "s"}));
    yard.until("s", "");
    let kept = yard.call("ec2", "DescribeVpcs", json!({"VpcIds": [vpc]}));
    assert_eq!(kept["Vpcs"].as_array().map_or(0, Vec::len), 1, "its template says to retain it");
}

#[test]
fn a_creation_that_failed_without_rollback_goes_on_with_the_next_update() {
    let yard = Yard::new();
    yard.faults.fail_named(Some("CreateRouteTable"));
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": TWO, "DisableRollback": true}));
    yard.until("s", "CREATE_FAILED");
    yard.faults.fail_named(None);
    let vpc = yard.physical("s", "Vpc");
    let again = json!({"StackName": "s", "UsePreviousTemplate": true});
    let refused = yard.refused("UpdateStack", again);
    assert!(refused.contains("[CREATE_FAILED] state") && refused.contains("disable-rollback"), "{refused}");
    yard.stacks("UpdateStack", json!({"StackName": "s", "UsePreviousTemplate": true, "DisableRollback": true}));
    yard.until("s", "UPDATE_COMPLETE");
    assert_eq!(yard.physical("s", "Vpc"), vpc, "what had been made stays");
    assert!(!yard.physical("s", "Table").is_empty());
}

#[test]
fn a_stack_that_never_was_goes_back_to_nothing() {
    let yard = Yard::new();
    yard.call("ec2", "DescribeVpcs", json!({}));
    let nothing = yard.belongings();
    yard.faults.fail_named(Some("CreateRouteTable"));
    let open = TWO.replace("    DeletionPolicy: Retain\n", "");
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": open, "DisableRollback": true}));
    yard.until("s", "CREATE_FAILED");
    let again = json!({"StackName": "s", "UsePreviousTemplate": true, "DisableRollback": true});
    yard.stacks("UpdateStack", again);
    yard.until("s", "UPDATE_FAILED");
    yard.stacks("RollbackStack", json!({"StackName": "s"}));
    yard.until("s", "ROLLBACK_COMPLETE");
    assert_eq!(yard.belongings(), nothing);
}

#[test]
fn what_was_made_but_never_came_to_be_is_deleted_before_it_is_tried_again() {
    let yard = Yard::new();
    let template = "
Parameters:
  Image: {Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>', Default: /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64}
Resources:
  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.5.0.0/16}}
  A: {Type: 'AWS::EC2::Subnet', Properties: {VpcId: !Ref Vpc, CidrBlock: 10.5.0.0/24}}
  Instance:
    Type: AWS::EC2::Instance
    CreationPolicy: {ResourceSignal: {Timeout: PT1M}}
    Properties: {ImageId: !Ref Image, InstanceType: t3.micro, SubnetId: !Ref A}
";
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": template, "DisableRollback": true}));
    yard.until("s", "CREATE_FAILED");
    let first = yard.physical("s", "Instance");
    let deaf = template.replace("    CreationPolicy: {ResourceSignal: {Timeout: PT1M}}\n", "");
    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": deaf, "DisableRollback": true}));
    yard.until("s", "UPDATE_COMPLETE");
    assert_ne!(yard.physical("s", "Instance"), first);
    let running = yard.belongings().into_iter().filter(|thing| thing.starts_with("Instance ")).count();
    assert_eq!(running, 1, "{:#?}", yard.events("s"));
}

#[test]
fn an_update_that_failed_without_rollback_goes_on_or_back() {
    let yard = Yard::new();
    create(&yard, TWO);
    let vpc = yard.physical("s", "Vpc");
    let next = with_another(&TWO.replace("EnableDnsHostnames: false", "EnableDnsHostnames: true"));
    let fail = |yard: &Yard| {
        yard.faults.fail_named(Some("CreateRouteTable"));
        yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": next, "DisableRollback": true}));
        yard.until("s", "UPDATE_FAILED");
        yard.faults.fail_named(None);
        assert_eq!((hostnames(yard, &vpc), template_of(yard)), (json!(true), next.clone()));
    };
    fail(&yard);
    yard.stacks("RollbackStack", json!({"StackName": "s"}));
    yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!((hostnames(&yard, &vpc), template_of(&yard)), (json!(false), TWO.to_owned()));
    fail(&yard);
    // It fails once more before it arrives: what it goes back to stays the same.
    yard.faults.fail_named(Some("CreateRouteTable"));
    let again = json!({"StackName": "s", "UsePreviousTemplate": true, "DisableRollback": true});
    yard.stacks("UpdateStack", again.clone());
    yard.until("s", "UPDATE_FAILED");
    yard.faults.fail_named(None);
    yard.stacks("RollbackStack", json!({"StackName": "s"}));
    yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!((hostnames(&yard, &vpc), template_of(&yard)), (json!(false), TWO.to_owned()));
    fail(&yard);
    let set = json!({"StackName": "s", "ChangeSetName": "again", "UsePreviousTemplate": true});
    yard.stacks("CreateChangeSet", set);
    let set = json!({"StackName": "s", "ChangeSetName": "again"});
    assert!(yard.refused("ExecuteChangeSet", set.clone()).contains("[UPDATE_FAILED] state"));
    yard.stacks("DeleteChangeSet", set);
    yard.stacks("UpdateStack", again);
    yard.until("s", "UPDATE_COMPLETE");
    assert_eq!((hostnames(&yard, &vpc), template_of(&yard)), (json!(true), next.clone()));
    assert!(!yard.physical("s", "Other").is_empty());
}

#[test]
fn an_update_without_rollback_replaces_nothing() {
    let yard = Yard::new();
    create(&yard, TWO);
    let other = TWO.replace("10.0.0.0/16", "10.1.0.0/16");
    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": other, "DisableRollback": true}));
    yard.until("s", "UPDATE_FAILED");
    let said = "Vpc UPDATE_FAILED Replacement type updates not supported on stack with disable-rollback.";
    assert!(yard.events("s").contains(&said.to_owned()), "{:#?}", yard.events("s"));
}

#[test]
fn only_what_failed_is_skipped_and_only_what_is_there_retained() {
    let yard = Yard::new();
    create(&yard, TWO);
    let vpc = yard.physical("s", "Vpc");
    let next = TWO.replace("EnableDnsHostnames: false", "EnableDnsHostnames: true");
    let next = with_another(&next.replace("    DeletionPolicy: Retain\n", ""));
    yard.faults.fail_named(Some("CreateRouteTable"));
    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": next, "DisableRollback": true}));
    yard.until("s", "UPDATE_FAILED");
    yard.faults.fail_named(Some("ModifyVpcAttribute"));
    yard.stacks("RollbackStack", json!({"StackName": "s"}));
    yard.until("s", "UPDATE_ROLLBACK_FAILED");
    let skip = |names: &[&str]| json!({"StackName": "s", "ResourcesToSkip": names});
    for wrong in ["Nothing", "Table"] {
        let refused = yard.refused("ContinueUpdateRollback", skip(&["Vpc", wrong]));
        assert!(refused.contains(&format!("Resource {wrong} can not be skipped")), "{refused}");
    }
    yard.stacks("ContinueUpdateRollback", skip(&["Vpc"]));
    yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
    yard.faults.fail_named(Some("DeleteRouteTable"));
    yard.stacks("DeleteStack", json!({"StackName": "s"}));
    yard.until("s", "DELETE_FAILED");
    let retain = |name: &str| json!({"StackName": "s", "RetainResources": [name]});
    assert!(yard.refused("DeleteStack", retain("Nothing")).contains("must be in a valid state"));
    yard.stacks("DeleteStack", retain("Table"));
    yard.until("s", "");
    let kept = yard.call("ec2", "DescribeVpcs", json!({"VpcIds": [vpc]}));
    assert_eq!(kept["Vpcs"].as_array().map_or(0, Vec::len), 1, "what was skipped is retained as its template says");
}

#[test]
fn a_deleted_stack_is_forgotten_after_ninety_days() {
    let yard = Yard::new();
    create(&yard, TWO);
    let id = yard.stack("s")["StackId"].as_str().unwrap().to_owned();
    yard.stacks("DeleteStack", json!({"StackName": "s"}));
    yard.until("s", "");
    let pass = |days: u64| {
        let end = yard.now() + Duration::from_secs(days * 24 * 3600);
        yard.clock.set(end);
        while yard.tick(end) {}
    };
    pass(89);
    assert_eq!(yard.status(&id), "DELETE_COMPLETE");
    assert!(!yard.events(&id).is_empty());
    pass(2);
    assert_eq!((yard.status(&id), yard.events(&id)), (String::new(), Vec::new()));
    let listed = yard.stacks("ListStacks", json!({}));
    assert_eq!(listed["StackSummaries"].as_array().map_or(0, Vec::len), 0);
}
