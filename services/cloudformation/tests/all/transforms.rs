//! Templates with the language extensions, from their text to their things; other transforms are refused by name and place.

use serde_json::{Value, json};

use crate::yard::Yard;

const TEMPLATE: &str = "
Transform: AWS::LanguageExtensions
Parameters:
  Zones: {Type: CommaDelimitedList, Default: 'a,b'}
  Keep: {Type: String, Default: 'yes'}
Mappings:
  Nets: {a: {net: 10.0.0.0/24}, b: {net: 10.0.1.0/24}}
Conditions:
  Keeps: !Equals [!Ref Keep, 'yes']
  Fn::ForEach::Tests:
    - Zone
    - !Ref Zones
    - 'Is${Zone}': !Equals [!Ref Zone, a]
Resources:
  Vpc:
    Type: AWS::EC2::VPC
    DeletionPolicy: !If [Keeps, Retain, Delete]
    Properties:
      CidrBlock: 10.0.0.0/16
      Tags:
        - {Key: zones, Value: !Length [x, !Ref 'AWS::Region']}
        - {Key: all, Value: !ToJsonString {zones: !Ref Zones, region: !Ref AWS::Region}}
        - {Key: none, Value: !FindInMap [Nets, c, net, {DefaultValue: !Sub 'no ${AWS::StackName}'}]}
  Fn::ForEach::Subnets:
    - Zone
    - !Ref Zones
    - 'Subnet${Zone}':
        Type: AWS::EC2::Subnet
        Properties:
          VpcId: !Ref Vpc
          CidrBlock: !FindInMap [Nets, !Ref Zone, net, {DefaultValue: 10.0.9.0/24}]
          AvailabilityZone: !Sub '${AWS::Region}${Zone}'
Outputs:
  Count: {Value: !Length {Ref: Zones}}
  Fn::ForEach::Ids:
    - Zone
    - !Ref Zones
    - 'Id${Zone}': {Value: !Ref 'Subnet${Zone}'}
";

fn input(zones: &str) -> Value {
    json!({
        "StackName": "s", "TemplateBody": TEMPLATE, "Capabilities": ["CAPABILITY_AUTO_EXPAND"],
        "Parameters": [{"ParameterKey": "Zones", "ParameterValue": zones}],
    })
}

fn logical_ids(yard: &Yard) -> Vec<String> {
    let found = yard.stacks("ListStackResources", json!({"StackName": "s"}));
    let all = found["StackResourceSummaries"].as_array().unwrap().clone();
    let ids = all.into_iter().filter(|one| one["ResourceStatus"] != "DELETE_COMPLETE");
    ids.map(|one| one["LogicalResourceId"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn loops_make_resources_conditions_and_outputs_of_a_parameters_items() {
    let yard = Yard::new();
    yard.stacks("CreateStack", input("a,b"));
    yard.until("s", "CREATE_COMPLETE");
    assert_eq!(logical_ids(&yard), ["Subneta", "Subnetb", "Vpc"]);
    assert_eq!(yard.output("s", "Count"), "2");
    assert_eq!(yard.output("s", "Idb"), yard.physical("s", "Subnetb"));
    let vpc = yard.call("ec2", "DescribeVpcs", json!({"VpcIds": [yard.physical("s", "Vpc")]}));
    let tag = |key: &str| {
        let tags = vpc["Vpcs"][0]["Tags"].as_array().unwrap();
        tags.iter().find(|tag| tag["Key"] == key).unwrap()["Value"].as_str().unwrap().to_owned()
    };
    assert_eq!((tag("zones"), tag("none")), ("2".to_owned(), "no s".to_owned()));
    assert_eq!(
        serde_json::from_str::<Value>(&tag("all")).unwrap(),
        json!({"zones": ["a", "b"], "region": "us-east-1"})
    );

    // Another parameter is another template.
    yard.stacks("UpdateStack", input("b,c"));
    yard.until("s", "UPDATE_COMPLETE");
    assert_eq!(logical_ids(&yard), ["Subnetb", "Subnetc", "Vpc"]);
    let same = yard.refused("UpdateStack", input("b,c"));
    assert_eq!(same, "No updates are to be performed.");

    let get = |stage: &str| {
        yard.stacks("GetTemplate", json!({"StackName": "s", "TemplateStage": stage}))["TemplateBody"].clone()
    };
    assert_eq!(get("Original"), TEMPLATE);
    let unsaid = yard.stacks("GetTemplate", json!({"StackName": "s"}))["TemplateBody"].clone();
    assert_eq!(unsaid, get("Processed"), "who names no stage gets what was made");
    let processed: Value = serde_json::from_str(get("Processed").as_str().unwrap()).unwrap();
    assert_eq!(processed["Resources"]["Vpc"]["DeletionPolicy"], "Retain");
    assert!(processed["Resources"]["Subnetc"].is_object() && processed.get("Transform").is_none(), "{processed:#}");
    assert!(processed["Conditions"]["Isc"].is_object());

    let vpc = yard.physical("s", "Vpc");
    yard.stacks("DeleteStack", json!({"StackName": "s"}));
    yard.until("s", "");
    let kept = yard.call("ec2", "DescribeVpcs", json!({"VpcIds": [vpc]}));
    assert_eq!(kept["Vpcs"].as_array().map_or(0, Vec::len), 1, "a policy by a function holds");
}

#[test]
fn what_is_referred_to_may_be_named_by_functions_of_parameters() {
    const NAMED: &str = "
Transform: AWS::LanguageExtensions
Parameters: {Stage: {Type: String, Default: Beta}}
Resources:
  VpcBeta: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.0.0.0/16}}
  VpcProd: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.1.0.0/16}}
Outputs:
  Id: {Value: !Ref {'Fn::Sub': 'Vpc${Stage}'}}
  Net: {Value: {'Fn::GetAtt': [!Sub 'Vpc${Stage}', !Join ['', [Cidr, Block]]]}}
  Fn::ForEach::Each:
    - One
    - [Beta, Prod]
    - 'Id${One}': {Value: {Ref: {'Fn::Join': ['', [Vpc, !Ref One]]}}}
";
    let yard = Yard::new();
    let input = |text: &str, stage: &str| {
        json!({
            "StackName": "s", "TemplateBody": text, "Capabilities": ["CAPABILITY_AUTO_EXPAND"],
            "Parameters": [{"ParameterKey": "Stage", "ParameterValue": stage}],
        })
    };
    yard.stacks("CreateStack", input(NAMED, "Prod"));
    yard.until("s", "CREATE_COMPLETE");
    assert_eq!(yard.output("s", "Id"), yard.physical("s", "VpcProd"));
    assert_eq!(yard.output("s", "Net"), "10.1.0.0/16");
    assert_eq!(yard.output("s", "IdBeta"), yard.physical("s", "VpcBeta"));
    let nobody = yard.refused("UpdateStack", input(NAMED, "Gamma"));
    assert!(nobody.contains("VpcGamma"), "{nobody}");
    let resource = NAMED.replace("!Ref {'Fn::Sub': 'Vpc${Stage}'}", "!Ref {'Fn::Sub': '${VpcBeta}'}");
    let refused = yard.refused("UpdateStack", input(&resource, "Beta"));
    assert!(refused.contains("VpcBeta can't be resolved by the AWS::LanguageExtensions transform"), "{refused}");
    let undeclared = NAMED.replace("Transform: AWS::LanguageExtensions", "");
    let undeclared = undeclared.split("  Fn::ForEach").next().unwrap();
    let refused = yard.refused("UpdateStack", input(undeclared, "Beta"));
    assert!(refused.contains("every Ref object must have a single String value"), "{refused}");
}

#[test]
fn an_expansion_survives_the_daemon_at_every_commit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let mut yard = Yard::stored(&path);
    yard.stacks("CreateStack", input("a,b"));
    while yard.status("s").ends_with("IN_PROGRESS") {
        yard.tick(yard.now() + std::time::Duration::from_secs(60));
        yard = yard.reopened(&path);
    }
    assert_eq!(yard.status("s"), "CREATE_COMPLETE", "{:#?}", yard.events("s"));
    assert_eq!(logical_ids(&yard), ["Subneta", "Subnetb", "Vpc"]);
}

#[test]
fn a_transform_must_be_acknowledged_unless_a_change_set_shows_what_comes_of_it() {
    let yard = Yard::new();
    let mut bare = input("a");
    bare["Capabilities"] = json!([]);
    let refused = yard.try_call("cloudformation", "CreateStack", bare.clone()).unwrap_err();
    assert_eq!(refused.code, "InsufficientCapabilitiesException");
    assert_eq!(refused.message, "Requires capabilities : [CAPABILITY_AUTO_EXPAND]");
    bare["ChangeSetName"] = json!("c");
    bare["ChangeSetType"] = json!("CREATE");
    yard.stacks("CreateChangeSet", bare);
    yard.stacks("ExecuteChangeSet", json!({"StackName": "s", "ChangeSetName": "c"}));
    yard.until("s", "CREATE_COMPLETE");
    let checked = yard.stacks("ValidateTemplate", json!({"TemplateBody": TEMPLATE}));
    assert_eq!(checked["DeclaredTransforms"], json!(["AWS::LanguageExtensions"]));
    assert_eq!(checked["Capabilities"], json!(["CAPABILITY_AUTO_EXPAND"]));
}

#[test]
fn other_transforms_are_refused_by_name_and_place_and_the_extensions_where_they_are_not_declared() {
    let yard = Yard::new();
    let refused = |text: &str| {
        let input = json!({"StackName": "s", "TemplateBody": text, "Capabilities": ["CAPABILITY_AUTO_EXPAND"]});
        yard.refused("CreateStack", input)
    };
    let with =
        |transform: &str| format!("Transform: {transform}\nResources:\n  V: {{Type: 'AWS::EC2::InternetGateway'}}\n");
    assert_eq!(
        refused(&with("AWS::Serverless-2016-10-31")),
        "Transform AWS::Serverless-2016-10-31 is not supported: Zonal does not have it (at line 1, column 12)"
    );
    assert_eq!(
        refused(&with("[AWS::LanguageExtensions, {Name: AWS::Include, Parameters: {Location: 's3://b/k'}}]")),
        "Transform AWS::Include is not supported: Zonal does not have it (at line 1, column 38)"
    );
    assert_eq!(refused(&with("Mine")), "No transform named Mine found. (at line 1, column 12)");
    let inside = with("AWS::LanguageExtensions").replace("'}", "', Metadata: {'Fn::Transform': {Name: AWS::Include}}}");
    assert!(refused(&inside).contains("Transform AWS::Include is not supported"), "{}", refused(&inside));
    for function in ["!Length [a]", "!ToJsonString {a: b}", "{'Fn::ForEach::L': [X, [a], {'K${X}': v}]}"] {
        let text = format!("Resources:\n  V:\n    Type: AWS::EC2::InternetGateway\n    Metadata: {{P: {function}}}\n");
        assert!(refused(&text).contains("Encountered unsupported function: Fn::"), "{}", refused(&text));
    }
    let defaulted =
        with("AWS::LanguageExtensions").replace("Transform: AWS::LanguageExtensions", "Mappings: {M: {a: {b: c}}}");
    let defaulted = defaulted.replace("'}", "', Metadata: {P: !FindInMap [M, a, x, {DefaultValue: d}]}}");
    assert!(refused(&defaulted).contains("Fn::FindInMap object requires three parameters"), "{}", refused(&defaulted));
    let late = TEMPLATE.replace("- !Ref Zones\n    - 'Subnet", "- !Ref Vpc\n    - 'Subnet");
    assert!(
        refused(&late).contains("Vpc can't be resolved by the AWS::LanguageExtensions transform"),
        "{}",
        refused(&late)
    );
    for (from, to, words) in [
        ("'Subnet${Zone}'", "Subnet", "whose keys have the identifier"),
        ("Fn::ForEach::Ids", "Fn::ForEach::Subnets", "loop names are unique"),
        (
            "Resources:",
            "Metadata: {'Fn::ForEach::M': [X, [a], {'K${X}': v}]}\nResources:",
            "only be used in Conditions, Outputs and Resources",
        ),
        ("Fn::ForEach::Ids", "Fn::ForEach::Subneta", "is the logical ID of a resource"),
        ("Default: 'a,b'", "Default: 'a,a'", "Duplicate key"),
    ] {
        assert!(refused(&TEMPLATE.replace(from, to)).contains(words), "{}", refused(&TEMPLATE.replace(from, to)));
    }
    let deep = (0..6).fold("x: y".to_owned(), |inner, depth| {
        format!("'Fn::ForEach::L{depth}': [I{depth}, [1,2,3,4,5,6,7,8,9,10], {{'K&{{I{depth}}}': {{{inner}}}}}]")
    });
    let text = format!(
        "Transform: AWS::LanguageExtensions\nResources:\n  V: {{Type: 'AWS::EC2::InternetGateway', Metadata: {{{deep}}}}}\n"
    );
    assert!(refused(&text).contains("makes more than"), "{}", refused(&text));
    // Few nodes, but much text.
    let long = format!(
        "Transform: AWS::LanguageExtensions\nResources:\n  V: {{Type: 'AWS::EC2::InternetGateway', Metadata: \
         {{'Fn::ForEach::L': [I, [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30], {{'K${{I}}': '{}'}}]}}}}\n",
        "x".repeat(40_000)
    );
    assert!(refused(&long).contains("makes more than 1048576 bytes"), "{}", refused(&long));
}

#[test]
fn a_summary_says_types_identifiers_transforms_and_what_it_does_not_know() {
    let yard = Yard::new();
    let summary = yard.stacks("GetTemplateSummary", json!({"TemplateBody": TEMPLATE}));
    assert_eq!(summary["ResourceTypes"], json!(["AWS::EC2::Subnet", "AWS::EC2::VPC"]));
    let subnets = json!({"ResourceType": "AWS::EC2::Subnet", "LogicalResourceIds": ["Subneta", "Subnetb"], "ResourceIdentifiers": ["SubnetId"]});
    assert_eq!(summary["ResourceIdentifierSummaries"][0], subnets);
    assert_eq!(summary["DeclaredTransforms"], json!(["AWS::LanguageExtensions"]));
    let foreign = "Resources:\n  V: {Type: 'AWS::EC2::InternetGateway'}\n  B: {Type: 'AWS::S3::Bucket'}\n";
    assert!(yard.refused("GetTemplateSummary", json!({"TemplateBody": foreign})).contains("Unrecognized"));
    let lenient =
        json!({"TemplateBody": foreign, "TemplateSummaryConfig": {"TreatUnrecognizedResourceTypesAsWarnings": true}});
    let summary = yard.stacks("GetTemplateSummary", lenient);
    assert_eq!(summary["Warnings"]["UnrecognizedResourceTypes"], json!(["AWS::S3::Bucket"]));
    assert_eq!(summary["ResourceTypes"], json!(["AWS::EC2::InternetGateway"]));
}
