//! Rules, dynamic references, stack policies, and what else decides whether an update may be.

use serde_json::json;

use crate::yard::Yard;

fn create(yard: &Yard, template: &str) {
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": template}));
    yard.until("s", "CREATE_COMPLETE");
}

#[test]
fn a_rule_refuses_parameters_that_do_not_fit_each_other() {
    let yard = Yard::new();
    let template = "
Parameters:
  Env: {Type: String, Default: dev}
  Size: {Type: String, Default: t3.micro}
  Zones: {Type: CommaDelimitedList, Default: 'a,b'}
Rules:
  Small:
    RuleCondition: !Equals [!Ref Env, dev]
    Assertions:
      - Assert: {'Fn::Contains': [[t3.micro, t3.small], !Ref Size]}
        AssertDescription: dev is small
  Known:
    Assertions:
      - Assert: {'Fn::EachMemberIn': [{'Fn::RefAll': String}, [dev, prod, t3.micro, m5.large]]}
      - Assert: !Not [{'Fn::EachMemberEquals': [!Ref Zones, a]}]
Resources:
  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.0.0.0/16}}
";
    let with = |pairs: &[(&str, &str)]| {
        let given: Vec<_> =
            pairs.iter().map(|(name, value)| json!({"ParameterKey": name, "ParameterValue": value})).collect();
        json!({"StackName": "s", "TemplateBody": template, "Parameters": given})
    };
    assert_eq!(yard.refused("CreateStack", with(&[("Size", "m5.large")])), "Template validation error: dev is small");
    assert!(yard.refused("CreateStack", with(&[("Env", "test")])).contains("rule Known"));
    assert!(yard.refused("CreateStack", with(&[("Zones", "a,a")])).contains("rule Known"));
    yard.stacks("CreateStack", with(&[("Env", "prod"), ("Size", "m5.large")]));
    yard.until("s", "CREATE_COMPLETE");
    let bad = template.replace("!Ref Env, dev", "!Ref Vpc, dev");
    assert!(yard.refused("CreateStack", json!({"StackName": "t", "TemplateBody": bad})).contains("Rules block"));
}

#[test]
fn a_dynamic_reference_gives_a_stored_parameters_value() {
    let yard = Yard::new();
    yard.call("ssm", "PutParameter", json!({"Name": "/net/cidr", "Value": "10.9.0.0/16", "Type": "String"}));
    create(
        &yard,
        "Resources:\n  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: '{{resolve:ssm:/net/cidr:1}}'}}\nOutputs:\n  O: {Value: !GetAtt Vpc.CidrBlock}\n",
    );
    assert_eq!(yard.output("s", "O"), "10.9.0.0/16");
    let missing = "Resources:\n  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: '{{resolve:ssm:/nope}}'}}\n";
    assert!(
        yard.refused("CreateStack", json!({"StackName": "t", "TemplateBody": missing})).contains("Parameter [/nope]")
    );
    let secret =
        "Resources:\n  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: '{{resolve:secretsmanager:x}}'}}\n";
    assert!(
        yard.refused("CreateStack", json!({"StackName": "t", "TemplateBody": secret}))
            .contains("references to secretsmanager")
    );
}

const TWO: &str = "
Resources:
  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.0.0.0/16, EnableDnsHostnames: false}}
  Table: {Type: 'AWS::EC2::RouteTable', Properties: {VpcId: !Ref Vpc}}
";

#[test]
fn an_update_is_held_to_the_stack_policy_unless_it_brings_one_of_its_own() {
    let yard = Yard::new();
    create(&yard, TWO);
    let policy = |effect: &str, action: &str, resource: &str| {
        json!({"Statement": [
            {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
            {"Effect": effect, "Action": action, "Principal": "*", "Resource": resource},
        ]})
        .to_string()
    };
    yard.stacks(
        "SetStackPolicy",
        json!({"StackName": "s", "StackPolicyBody": policy("Deny", "Update:Modify", "LogicalResourceId/Vpc")}),
    );
    let changed = TWO.replace("false", "true");
    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": changed}));
    yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
    let events = yard.events("s");
    assert!(
        events.iter().any(|event| event.starts_with("Vpc UPDATE_FAILED Action denied by stack policy")),
        "{events:#?}"
    );
    let once = policy("Allow", "Update:*", "*");
    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": changed, "StackPolicyDuringUpdateBody": once}));
    yard.until("s", "UPDATE_COMPLETE");
    yard.stacks(
        "SetStackPolicy",
        json!({"StackName": "s", "StackPolicyBody": policy("Deny", "Update:Delete", "LogicalResourceId/Table")}),
    );
    let table = yard.physical("s", "Table");
    let without = changed.lines().filter(|line| !line.contains("Table")).collect::<Vec<_>>().join("\n");
    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": without}));
    yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(yard.physical("s", "Table"), table);
    assert!(
        yard.refused("SetStackPolicy", json!({"StackName": "s", "StackPolicyBody": "{}"}))
            .contains("Invalid stack policy")
    );
}

#[test]
fn what_the_template_names_itself_can_not_be_replaced_under_its_name() {
    let yard = Yard::new();
    let template = "
Resources:
  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.0.0.0/16}}
  Group: {Type: 'AWS::EC2::SecurityGroup', Properties: {GroupName: mine, GroupDescription: one, VpcId: !Ref Vpc}}
";
    create(&yard, template);
    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": template.replace("one", "two")}));
    yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
    let said = "Group UPDATE_FAILED CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename mine and update the stack again.";
    assert!(yard.events("s").contains(&said.to_owned()), "{:#?}", yard.events("s"));
    let renamed = template.replace("one", "two").replace("mine", "yours");
    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": renamed}));
    yard.until("s", "UPDATE_COMPLETE");
}

#[test]
fn an_update_that_fails_to_create_says_so() {
    let yard = Yard::new();
    create(&yard, TWO);
    let more = format!(
        "{TWO}  Bad: {{Type: 'AWS::EC2::Subnet', Properties: {{VpcId: !Ref Vpc, CidrBlock: 192.168.0.0/24}}}}\n"
    );
    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": more}));
    yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
    let said = "s UPDATE_ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [Bad].";
    assert!(yard.events("s").contains(&said.to_owned()), "{:#?}", yard.events("s"));
}

#[test]
fn an_output_of_a_resource_left_out_is_refused_before_anything_is_made() {
    let yard = Yard::new();
    let template = "
Conditions: {No: !Equals [a, b]}
Resources:
  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.0.0.0/16}}
  Other: {Type: 'AWS::EC2::InternetGateway', Condition: No}
Outputs:
  O: {Value: !Ref Other}
";
    let refused = yard.refused("CreateStack", json!({"StackName": "s", "TemplateBody": template}));
    assert!(
        refused.starts_with("Template format error: Unresolved resource dependencies [Other] in the Outputs block"),
        "{refused}"
    );
    create(&yard, &template.replace("O: {Value", "O: {Condition: No, Value"));
}

#[test]
fn events_do_not_show_what_parameters_hide() {
    let yard = Yard::new();
    let template = "Parameters: {P: {Type: String, NoEcho: true}}\nResources: {A: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !Sub 'x-${P}'}}}";
    let given = json!([{"ParameterKey": "P", "ParameterValue": "hunter2"}]);
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": template, "Parameters": given}));
    yard.until("s", "CREATE_COMPLETE");
    let events = yard.stacks("DescribeStackEvents", json!({"StackName": "s"})).to_string();
    assert!(events.contains("****") && !events.contains("hunter2"), "{events}");
}

#[test]
fn a_stack_that_can_not_be_deleted_goes_by_force_and_leaves_what_holds_it() {
    let yard = Yard::new();
    create(&yard, TWO);
    let vpc = yard.physical("s", "Vpc");
    yard.call("ec2", "CreateSubnet", json!({"VpcId": vpc, "CidrBlock": "10.0.0.0/24"}));
    let force = json!({"StackName": "s", "DeletionMode": "FORCE_DELETE_STACK"});
    assert!(yard.refused("DeleteStack", force.clone()).contains("DELETE_FAILED state"));
    yard.stacks("DeleteStack", json!({"StackName": "s"}));
    yard.until("s", "DELETE_FAILED");
    yard.stacks("DeleteStack", force);
    yard.until("s", "");
    assert_eq!(yard.call("ec2", "DescribeVpcs", json!({"VpcIds": [vpc]}))["Vpcs"].as_array().map_or(0, Vec::len), 1);
}
