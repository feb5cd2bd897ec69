//! Secrets: what `NoEcho` hides is hidden everywhere, and what Parameter Store seals is not opened by a template.

use serde_json::{Value, json};

use crate::yard::Yard;

const OLD: &str = "hunter2";
const NEW: &str = "swordfish";

/// A stored secret, under a name of its own, beside something that can fail.
const TEMPLATE: &str = "
Parameters: {P: {Type: String, NoEcho: true}, Name: {Type: String, Default: one}}
Resources:
  A: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Name: !Ref Name, Value: !Sub 'x-${P}'}}
  Vpc: {Type: 'AWS::EC2::VPC', DependsOn: A, Properties: {CidrBlock: 10.0.0.0/16}}
";

fn given(values: &[(&str, &str)]) -> Value {
    values.iter().map(|(key, value)| json!({"ParameterKey": key, "ParameterValue": value})).collect()
}

fn create(yard: &Yard) {
    let parameters = given(&[("P", OLD)]);
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": TEMPLATE, "Parameters": parameters}));
    yard.until("s", "CREATE_COMPLETE");
}

#[track_caller]
fn hides(text: &str) {
    assert!(text.contains("****"), "{text}");
    for secret in [OLD, NEW] {
        assert!(!text.contains(secret), "{text}");
    }
}

fn events(yard: &Yard) -> String {
    yard.stacks("DescribeStackEvents", json!({"StackName": "s"})).to_string()
}

#[test]
fn a_rollback_shows_neither_the_new_secret_nor_the_old_one() {
    let yard = Yard::new();
    create(&yard);
    let template = format!("{TEMPLATE}  Table: {{Type: 'AWS::EC2::RouteTable', Properties: {{VpcId: !Ref Vpc}}}}\n");
    let parameters = given(&[("P", NEW)]);
    let update = json!({"StackName": "s", "TemplateBody": template, "Parameters": parameters});
    yard.faults.fail_named(Some("CreateRouteTable"));
    yard.stacks("UpdateStack", update.clone());
    yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
    hides(&events(&yard));
    // The way back by hand, too.
    let mut kept = update;
    kept["DisableRollback"] = json!(true);
    yard.stacks("UpdateStack", kept);
    yard.until("s", "UPDATE_FAILED");
    yard.stacks("RollbackStack", json!({"StackName": "s"}));
    yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
    hides(&events(&yard));
}

#[test]
fn what_a_replacement_leaves_behind_is_deleted_without_showing_its_secret() {
    let yard = Yard::new();
    create(&yard);
    let parameters = given(&[("P", NEW), ("Name", "two")]);
    yard.stacks("UpdateStack", json!({"StackName": "s", "UsePreviousTemplate": true, "Parameters": parameters}));
    yard.until("s", "UPDATE_COMPLETE");
    assert!(yard.events("s").iter().any(|event| event.starts_with("A DELETE_COMPLETE")), "{:#?}", yard.events("s"));
    hides(&events(&yard));
}

#[test]
fn a_change_set_shows_that_a_secret_changes_and_not_what_it_is() {
    let yard = Yard::new();
    create(&yard);
    let parameters = given(&[("P", NEW)]);
    let set = json!({"StackName": "s", "ChangeSetName": "c", "UsePreviousTemplate": true, "Parameters": parameters});
    yard.stacks("CreateChangeSet", set);
    let asked = json!({"StackName": "s", "ChangeSetName": "c", "IncludePropertyValues": true});
    let set = yard.stacks("DescribeChangeSet", asked);
    let target = &set["Changes"][0]["ResourceChange"]["Details"][0]["Target"];
    assert_eq!(
        (&target["Name"], &target["BeforeValue"], &target["AfterValue"]),
        (&json!("Value"), &json!("****"), &json!("****"))
    );
    hides(&set.to_string());
}

#[test]
fn a_signals_event_does_not_show_a_secret() {
    let yard = Yard::new();
    let template = "
Parameters:
  P: {Type: String, NoEcho: true}
  Image: {Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>', Default: /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64}
Resources:
  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.5.0.0/16}}
  A: {Type: 'AWS::EC2::Subnet', Properties: {VpcId: !Ref Vpc, CidrBlock: 10.5.0.0/24}}
  Instance:
    Type: AWS::EC2::Instance
    CreationPolicy: {ResourceSignal: {}}
    Properties: {ImageId: !Ref Image, InstanceType: t3.micro, SubnetId: !Ref A, Tags: [{Key: p, Value: !Ref P}]}
";
    let parameters = given(&[("P", OLD)]);
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": template, "Parameters": parameters}));
    let end = yard.now() + std::time::Duration::from_secs(60);
    let made =
        |yard: &Yard| yard.events("s").iter().any(|event| event.contains("Instance CREATE_IN_PROGRESS Resource"));
    while !made(&yard) && yard.tick(end) {}
    let signal = json!({"StackName": "s", "LogicalResourceId": "Instance", "UniqueId": "1", "Status": "SUCCESS"});
    yard.stacks("SignalResource", signal);
    yard.until("s", "CREATE_COMPLETE");
    assert!(yard.events("s").iter().any(|event| event.contains("Received SUCCESS signal")));
    hides(&events(&yard));
}

#[test]
fn a_secure_string_is_neither_read_nor_made_by_a_template() {
    let yard = Yard::new();
    yard.call("ssm", "PutParameter", json!({"Name": "/s", "Value": "10.9.0.0/16", "Type": "SecureString"}));
    let refused = |template: &str| yard.refused("CreateStack", json!({"StackName": "s", "TemplateBody": template}));
    let vpc = |cidr: &str| format!("Resources:\n  Vpc: {{Type: 'AWS::EC2::VPC', Properties: {{CidrBlock: {cidr}}}}}\n");
    let said = refused(&vpc("'{{resolve:ssm:/s}}'"));
    assert!(said.starts_with("Non-secure ssm prefix was used for secure parameter /s"), "{said}");
    let said = refused(&vpc("'{{resolve:ssm-secure:/s:1}}'"));
    assert!(
        said.starts_with("SSM Secure reference is not supported in: [AWS::EC2::VPC/Properties/CidrBlock]"),
        "{said}"
    );
    let typed = |kind: &str| format!("Parameters: {{C: {{Type: '{kind}', Default: /s}}}}\n");
    let said = refused(&format!("{}{}", typed("AWS::SSM::Parameter::Value<String>"), vpc("!Ref C")));
    assert_eq!(said, "Parameters [/s] referenced by template have types not supported by CloudFormation.");
    let image = json!({"ImageId": "resolve:ssm:/s", "MinCount": 1, "MaxCount": 1});
    let error = yard.try_call("ec2", "RunInstances", image).unwrap_err();
    assert!(error.message.contains("The parameter /s"), "{}", error.message);

    // Its name may be named.
    let named = format!("{}{}", typed("AWS::SSM::Parameter::Name"), vpc("10.0.0.0/16"));
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": named}));
    yard.until("s", "CREATE_COMPLETE");
    let made = "Resources: {A: {Type: 'AWS::SSM::Parameter', Properties: {Type: SecureString, Value: x}}}";
    yard.stacks("CreateStack", json!({"StackName": "t", "TemplateBody": made}));
    yard.until("t", "ROLLBACK_COMPLETE");
    let said = "SSM Parameters of type SecureString cannot be created using CloudFormation";
    assert!(yard.events("t").iter().any(|event| event.contains(said)), "{:#?}", yard.events("t"));
}

#[test]
fn a_generated_private_key_goes_with_the_stack_though_its_key_pair_is_gone() {
    let yard = Yard::new();
    let template = "Resources: {Key: {Type: 'AWS::EC2::KeyPair', Properties: {KeyName: k}}, Other: {Type: 'AWS::EC2::KeyPair', Properties: {KeyName: o}}}";
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": template}));
    yard.until("s", "CREATE_COMPLETE");
    let keys = || yard.call("ssm", "DescribeParameters", json!({}))["Parameters"].as_array().map_or(0, Vec::len);
    assert_eq!(keys(), 2);
    yard.call("ec2", "DeleteKeyPair", json!({"KeyName": "k"}));
    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": template.replace("Key: {Type: 'AWS::EC2::KeyPair', Properties: {KeyName: k}}, ", "")}));
    yard.until("s", "UPDATE_COMPLETE");
    assert_eq!(keys(), 1, "the other's stays");
}
