//! What is refused, with nothing made.

use serde_json::json;

use crate::yard::{Yard, phase};

#[test]
fn a_template_or_request_that_can_not_be_is_refused_at_once() {
    let yard = Yard::new();
    let refused = |template: &str| yard.refused("CreateStack", json!({"StackName": "s", "TemplateBody": template}));
    let vpc = |properties: &str| format!("Resources:\n  Vpc:\n    Type: AWS::EC2::VPC\n    Properties: {properties}\n");
    assert_eq!(
        refused("Resources:\n  A: {Type: 'AWS::S3::Bucket'}"),
        "Template format error: Unrecognized resource types: [AWS::S3::Bucket] (at line 2, column 13)"
    );
    assert_eq!(
        refused("Resources:\n  A: {Type: 'AWS::CloudFormation::WaitConditionHandle'}"),
        "Template format error: Unrecognized resource types: [AWS::CloudFormation::WaitConditionHandle] (at line 2, column 13)"
    );
    assert_eq!(
        refused(&vpc("{CidrBlock: 10.0.0.0/16, Bogus: 1}")),
        "Encountered unsupported property Bogus (at line 4, column 42)"
    );
    assert_eq!(
        refused(&vpc("{Tags: []}")),
        "Properties validation failed with message: #: required key [CidrBlock] not found (at line 2, column 3)"
    );
    assert_eq!(
        refused(&vpc("{CidrBlock: [a]}")),
        "Value of property CidrBlock must be of type String (at line 4, column 29)"
    );
    assert_eq!(
        refused(&vpc("{CidrBlock: 10.0.0.0/16, Tags: [{Key: a}]}")),
        "Properties validation failed with message: #/Tags: required key [Value] not found (at line 4, column 49)"
    );
    assert_eq!(
        refused(&vpc("{CidrBlock: 10.0.0.0/16, Tags: [{Key: a, Value: b, Valve: c}]}")),
        "Encountered unsupported property Valve (at line 4, column 75)"
    );
    assert_eq!(
        refused(&vpc("{CidrBlock: 10.0.0.0/16, EnableDnsSupport: perhaps}")),
        "Value of property EnableDnsSupport must be of type Boolean (at line 4, column 60)"
    );
    assert_eq!(refused(&"x".repeat(51_201)).split(':').next(), Some("1 validation error detected"));
    assert!(
        yard.refused("CreateStack", json!({"StackName": "1s", "TemplateBody": phase(1)}))
            .contains("[a-zA-Z][-a-zA-Z0-9]*")
    );
    assert_eq!(
        yard.refused("CreateStack", json!({"StackName": "s"})),
        "Either Template URL or Template Body must be specified."
    );
    assert_eq!(
        yard.refused("UpdateStack", json!({"StackName": "s", "TemplateBody": phase(1)})),
        "Stack [s] does not exist"
    );
    assert_eq!(yard.refused("DescribeStackEvents", json!({"StackName": "s"})), "Stack [s] does not exist");
    assert_eq!(
        yard.stacks("ListStacks", json!({}))["StackSummaries"].as_array().map_or(0, Vec::len),
        0,
        "nothing half made"
    );
}

#[test]
fn parameters_are_looked_up_before_anything_is_made() {
    let yard = Yard::new();
    let with = |kind: &str, value: &str| {
        let template = format!(
            "Parameters: {{P: {{Type: '{kind}'}}}}\nResources: {{Vpc: {{Type: 'AWS::EC2::VPC', Properties: {{CidrBlock: 10.0.0.0/16}}}}}}"
        );
        yard.refused("CreateStack", json!({"StackName": "s", "TemplateBody": template, "Parameters": [{"ParameterKey": "P", "ParameterValue": value}]}))
    };
    assert_eq!(
        with("AWS::SSM::Parameter::Value<String>", "/no/such"),
        "Unable to fetch parameters [/no/such] from parameter store for this account."
    );
    assert_eq!(
        with("AWS::EC2::KeyPair::KeyName", "nobody"),
        "Parameter validation failed: parameter value nobody for parameter name P does not exist"
    );
    assert_eq!(
        with("AWS::EC2::VPC::Id", "vpc-0123"),
        "Parameter validation failed: parameter value vpc-0123 for parameter name P does not exist"
    );
    let missing = yard.refused("CreateStack", json!({"StackName": "s", "TemplateBody": "Parameters: {P: {Type: String}}\nResources: {A: {Type: 'AWS::EC2::InternetGateway'}}"}));
    assert_eq!(missing, "Parameters: [P] must have values");
}

#[test]
fn a_secret_is_not_shown() {
    let yard = Yard::new();
    let template = "Parameters: {P: {Type: String, NoEcho: true}}\nResources: {A: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !Ref P}}}";
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": template, "Parameters": [{"ParameterKey": "P", "ParameterValue": "hunter2"}]}));
    yard.until("s", "CREATE_COMPLETE");
    assert_eq!(yard.stack("s")["Parameters"][0]["ParameterValue"], "****");
}
