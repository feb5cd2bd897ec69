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
        "Template format error: Unrecognized resource types: [AWS::S3::Bucket] (at line 2, column 13). Zonal does not have these of AWS's: AWS::S3::Bucket"
    );
    assert_eq!(
        refused(
            "Resources:\n  A: {Type: 'My::Own::Thing'}\n  B: {Type: 'AWS::IAM::Role'}\n  C: {Type: 'AWS::Nothing::Such'}"
        ),
        "Template format error: Unrecognized resource types: [AWS::IAM::Role, AWS::Nothing::Such, My::Own::Thing] (at line 2, column 13; line 3, column 13; line 4, column 13). Zonal does not have these of AWS's: AWS::IAM::Role"
    );
    // A service that has types here may have more, or one of another name.
    assert_eq!(
        refused("Resources:\n  A: {Type: 'AWS::EC2::InternetGatway'}\n  B: {Type: 'AWS::EC2::NatGateway'}"),
        "Template format error: Unrecognized resource types: [AWS::EC2::InternetGatway, AWS::EC2::NatGateway] (at line 2, column 13; line 3, column 13). Misspelt, or none of those that Zonal has of their services: AWS::EC2::InternetGatway (did you mean AWS::EC2::InternetGateway?), AWS::EC2::NatGateway"
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

/// A template of few and cheap things, to be spoilt.
const WHOLE: &str = "
Parameters:
  Cidr: {Type: String, Default: 10.4.0.0/16}
Conditions:
  Small: !Equals [!Ref Cidr, 10.4.0.0/16]
Resources:
  Vpc:
    Type: AWS::EC2::VPC
    Properties:
      CidrBlock: !Ref Cidr
      Tags: [{Key: Name, Value: !Sub '${AWS::StackName}-vpc'}]
  Subnet:
    Type: AWS::EC2::Subnet
    Properties:
      VpcId: !Ref Vpc
      CidrBlock: !Select [1, !Cidr [!GetAtt Vpc.CidrBlock, 4, 8]]
      AvailabilityZone: !Select [0, !GetAZs '']
  Web:
    Type: AWS::EC2::SecurityGroup
    Condition: Small
    DependsOn: Subnet
    Properties:
      GroupDescription: web
      VpcId: !Ref Vpc
      SecurityGroupIngress:
        - {IpProtocol: tcp, FromPort: 80, ToPort: 80, CidrIp: 0.0.0.0/0}
  Table:
    Type: AWS::EC2::RouteTable
    Properties: {VpcId: !Ref Vpc}
Outputs:
  Vpc: {Value: !Ref Vpc, Export: {Name: !Join ['-', [a, !Ref AWS::StackName]]}}
";

/// One change to a text, by the numbers that chance gives: a character changed or dropped, a line dropped, doubled or moved in.
fn spoilt(mut next: impl FnMut(usize) -> usize) -> String {
    let mut text = WHOLE.to_owned();
    for _ in 0..=next(2) {
        let lines: Vec<&str> = text.lines().collect();
        let line = next(lines.len());
        let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        match next(5) {
            0 => drop(changed.remove(line)),
            1 => changed.insert(line, lines[next(lines.len())].to_owned()),
            2 => changed[line].insert(0, ' '),
            kind => {
                let chars: Vec<char> = lines[line].chars().collect();
                if chars.is_empty() {
                    continue;
                }
                let at = next(chars.len());
                let with = ['x', ':', '!', '[', '}', '\'', '-', '0'][next(8)];
                let own = |(index, c): (usize, &char)| match (index == at, kind) {
                    (true, 3) => Some(with),
                    (true, _) => None,
                    (false, _) => Some(*c),
                };
                changed[line] = chars.iter().enumerate().filter_map(own).collect();
            }
        }
        text = changed.join("\n");
    }
    text
}

#[test]
fn a_thousand_spoilt_templates_are_refused_with_a_place_or_deployed_and_none_leaves_anything() {
    let yard = Yard::new();
    yard.call("ec2", "DescribeVpcs", json!({}));
    let nothing = yard.belongings();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let (mut refused, mut placed, mut deployed) = (0, 0, 0);
    for number in 0..1000 {
        let template = spoilt(&mut next);
        match yard.try_call("cloudformation", "CreateStack", json!({"StackName": "s", "TemplateBody": template})) {
            Err(error) => {
                assert_eq!((error.code.as_ref(), error.status), ("ValidationError", 400), "{error}\n{template}");
                refused += 1;
                placed += u32::from(error.message.contains("line "));
            }
            Ok(_) => {
                while yard.status("s").ends_with("IN_PROGRESS") {
                    yard.tick(yard.now() + std::time::Duration::from_secs(60));
                }
                let status = yard.status("s");
                assert!(["CREATE_COMPLETE", "ROLLBACK_COMPLETE"].contains(&status.as_str()), "{status}\n{template}");
                deployed += u32::from(status == "CREATE_COMPLETE");
                yard.stacks("DeleteStack", json!({"StackName": "s"}));
                yard.until("s", "");
            }
        }
        assert_eq!(yard.belongings(), nothing, "template {number} left something behind:\n{template}");
    }
    assert!(
        refused > 300 && deployed > 50,
        "{refused} refused, {deployed} deployed: the spoiling no longer tells anything"
    );
    assert!(placed * 100 >= refused * 95, "only {placed} of {refused} refusals say where");
}
