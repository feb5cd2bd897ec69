//! What AWS's template reference promises, told as templates and what they come to.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::expr::Expr;
use super::*;

/// A catalog in which every `AWS::` type exists, has the attributes `Arn` and `Id`, and takes any property but `Bogus`.
struct AnyType;

impl Catalog for AnyType {
    fn knows(&self, type_name: &str) -> bool {
        type_name.starts_with("AWS::")
    }

    fn names(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn has_attribute(&self, _: &str, attribute: &str) -> bool {
        ["Arn", "Id", "Inner.Name"].contains(&attribute)
    }

    fn check_properties(&self, _: &str, resource: &Resource) -> Result<(), TemplateError> {
        match resource.properties.iter().find(|(name, ..)| name == "Bogus") {
            None => Ok(()),
            Some((name, at, _)) => Err(TemplateError::at(*at, format!("Encountered unsupported property {name}"))),
        }
    }
}

/// A scope of parameters; a resource's `Ref` is `id-of-<name>`.
struct Names(BTreeMap<String, Value>);

impl Scope for Names {
    fn parameter(&self, name: &str) -> Option<Value> {
        match name {
            "AWS::Region" => Some(json!("us-east-1")),
            "AWS::StackName" => Some(json!("demo")),
            other => self.0.get(other).cloned(),
        }
    }

    fn reference(&self, logical_id: &str) -> Result<Value, TemplateError> {
        Ok(json!(format!("id-of-{logical_id}")))
    }

    fn attribute(&self, logical_id: &str, attribute: &str) -> Result<Value, TemplateError> {
        Ok(json!(format!("{attribute}-of-{logical_id}")))
    }

    fn import(&self, name: &str) -> Result<String, TemplateError> {
        Err(TemplateError::new(format!("No export named {name} found.")))
    }

    fn zones(&self, region: &str) -> Result<Vec<String>, TemplateError> {
        let region = if region.is_empty() { "us-east-1" } else { region };
        Ok(["a", "b", "c"].iter().map(|zone| format!("{region}{zone}")).collect())
    }
}

fn checked(text: &str) -> Result<Template, TemplateError> {
    let template = Template::parse(text, &transforms::Values::new())?;
    validate(&template, &AnyType)?;
    Ok(template)
}

/// Asserts that a template is refused with exactly this sentence and place.
#[track_caller]
fn refused(text: &str, sentence: &str) {
    match checked(text) {
        Ok(_) => panic!("accepted, should be refused with: {sentence}"),
        Err(error) => assert_eq!(error.to_string(), sentence),
    }
}

const HEAD: &str = "
Parameters:
  Env: {Type: String, Default: prod}
  Zones: {Type: CommaDelimitedList, Default: 'x, y ,z'}
  Count: {Type: Number, Default: 3}
Mappings:
  Sizes:
    prod: {type: m5.large, list: [a, b]}
Conditions:
  IsProd: !Equals [!Ref Env, prod]
  NotProd: !Not [!Condition IsProd]
  Both: !And [!Condition IsProd, !Or [!Condition NotProd, !Equals ['1', 1]]]
";

/// Evaluates the value written as `V`'s property `P`.
fn value_of(written: &str) -> String {
    let text = format!(
        "{HEAD}Resources:\n  A: {{Type: AWS::X::Y}}\n  V:\n    Type: AWS::X::Y\n    Properties:\n      P: {written}\n"
    );
    let template = match checked(&text) {
        Ok(template) => template,
        Err(error) => return error.to_string(),
    };
    let mut scope = Names(BTreeMap::new());
    for (name, value) in parameters::resolve(&template.parameters, &BTreeMap::new(), &BTreeMap::new()).unwrap() {
        let list = template.parameters[&name].kind.is_list();
        scope.0.insert(name, if list { json!(parameters::split_list(&value)) } else { json!(value) });
    }
    let conditions = eval::conditions(&template, &scope).unwrap();
    let evaluator = Evaluator { template: &template, conditions: &conditions, scope: &scope };
    let property: &Expr = &template.resources["V"].properties[0].2;
    match evaluator.value(property) {
        Ok(Some(value)) => value.to_string(),
        Ok(None) => "NoValue".to_owned(),
        Err(error) => error.message,
    }
}

#[test]
fn every_function_comes_to_what_its_reference_says() {
    for (written, expected) in [
        ("!Ref Env", r#""prod""#),
        ("!Ref Zones", r#"["x","y","z"]"#),
        ("!Ref Count", r#""3""#),
        ("!Ref A", r#""id-of-A""#),
        ("!GetAtt A.Arn", r#""Arn-of-A""#),
        ("!GetAtt [A, Inner.Name]", r#""Inner.Name-of-A""#),
        ("!GetAtt A.Inner.Name", r#""Inner.Name-of-A""#),
        ("!Sub '${AWS::StackName}/${A}/${A.Arn}/${!Env}/${X}/$Y/${'", r#"unresolved"#),
        ("!Sub '${AWS::StackName}/${A}/${A.Arn}/${!Env}/$Y/${'", r#""demo/id-of-A/Arn-of-A/${Env}/$Y/${""#),
        ("!Sub ['${X}-${Env}', {X: !Select [1, !Ref Zones]}]", r#""y-prod""#),
        ("!Join [':', [a, !Ref Env, 1, true]]", r#""a:prod:1:true""#),
        ("!Join ['-', !Ref Zones]", r#""x-y-z""#),
        ("!Select ['2', [a, b, c]]", r#""c""#),
        ("!Select [3, [a, b, c]]", "Template error: Fn::Select cannot select nonexistent value at index 3"),
        ("!Select [0, !GetAZs '']", r#""us-east-1a""#),
        ("Fn::GetAZs: !Ref AWS::Region", "YAML"),
        ("{'Fn::GetAZs': !Ref 'AWS::Region'}", r#"["us-east-1a","us-east-1b","us-east-1c"]"#),
        ("!Split ['|', 'a|b||c']", r#"["a","b","","c"]"#),
        ("!FindInMap [Sizes, !Ref Env, type]", r#""m5.large""#),
        ("!FindInMap [Sizes, prod, list]", r#"["a","b"]"#),
        ("!FindInMap [Sizes, test, type]", "Template error: Unable to get mapping for Sizes::test::type"),
        ("!If [IsProd, yes, no]", r#""yes""#),
        ("!If [NotProd, yes, !Ref AWS::NoValue]", "NoValue"),
        ("!If [Both, [1, !Ref 'AWS::NoValue', 2], 3]", "[1,2]"),
        ("{A: !Ref 'AWS::NoValue', B: 1}", r#"{"B":1}"#),
        ("!Base64 '#!/bin/sh'", r#""IyEvYmluL3No""#),
        ("!Cidr [10.0.0.0/16, 3, 8]", r#"["10.0.0.0/24","10.0.1.0/24","10.0.2.0/24"]"#),
        ("!Cidr [10.0.0.0/24, 2, 8]", "does not hold"),
        ("!ImportValue nothing", "No export named nothing found."),
    ] {
        let came_to = value_of(written);
        match expected {
            "unresolved" => assert!(came_to.contains("Unresolved resource dependencies [X]"), "{written}: {came_to}"),
            "does not hold" => assert!(came_to.contains("does not hold 2 with 8 host bits"), "{written}: {came_to}"),
            "YAML" => assert!(came_to.contains("YAML not well-formed"), "{written}: {came_to}"),
            _ => assert_eq!(came_to, expected, "{written}"),
        }
    }
}

#[test]
fn json_and_yaml_of_one_template_are_the_same_template() {
    let yaml =
        checked("Resources:\n  A:\n    Type: AWS::X::Y\n    Properties:\n      P: !Sub '${AWS::Region}'\n").unwrap();
    let json =
        checked(r#"{"Resources": {"A": {"Type": "AWS::X::Y", "Properties": {"P": {"Fn::Sub": "${AWS::Region}"}}}}}"#)
            .unwrap();
    assert_eq!(yaml.resources.keys().collect::<Vec<_>>(), json.resources.keys().collect::<Vec<_>>());
    assert_eq!(yaml.resources["A"].properties[0].2.kind, {
        let mut kind = json.resources["A"].properties[0].2.kind.clone();
        if let (expr::ExprKind::Sub(parts), expr::ExprKind::Sub(other)) =
            (&mut kind, &yaml.resources["A"].properties[0].2.kind)
        {
            // The two texts differ in where the hole stands, and in nothing else.
            if let (expr::SubPart::Hole(hole), expr::SubPart::Hole(place)) = (&mut parts[0], &other[0]) {
                hole.at = place.at;
            }
        }
        kind
    });
}

#[test]
fn what_is_wrong_is_told_in_the_words_of_aws_with_its_place() {
    let with = |rest: &str| format!("Resources:\n  A:\n    Type: AWS::X::Y\n{rest}");
    refused("- 1", "Template format error: unsupported structure. (at line 1, column 1)");
    refused("Parameters: {}", "Template format error: At least one Resources member must be defined.");
    refused("Resources:\n", "[/Resources] 'null' values are not allowed in templates (at line 1, column 10)");
    refused("Foo: 1\nResources: {}", "Invalid template property or properties [Foo] (at line 1, column 1)");
    refused(
        "Hooks: {}\nResources: {}",
        "Template format error: the Hooks section is not supported (at line 1, column 1)",
    );
    refused(
        "Resources:\n  A: {}",
        "Template format error: [/Resources/A] Every Resources object must contain a Type member. (at line 2, column 3)",
    );
    refused(
        "Resources:\n  a-b: {Type: AWS::X::Y}",
        "Template format error: Resource name a-b is non alphanumeric. (at line 2, column 3)",
    );
    refused(
        "Resources:\n  A: {Type: Foo}",
        "Template format error: Unrecognized resource types: [Foo] (at line 2, column 13)",
    );
    refused(&with("    Foo: 1"), "Invalid template resource property 'Foo' (at line 4, column 5)");
    refused(
        &with("    Properties:\n      P: !Ref B"),
        "Template format error: Unresolved resource dependencies [B] in the Resources block of the template (at line 5, column 10)",
    );
    refused(
        &with("    DependsOn: B"),
        "Template format error: Unresolved resource dependencies [B] in the Resources block of the template (at line 4, column 16)",
    );
    refused(
        &with("    Properties:\n      P: !GetAtt B.Arn"),
        "Template error: instance of Fn::GetAtt references undefined resource B (at line 5, column 10)",
    );
    refused(
        &with("    Properties:\n      P:\n      Q: 1"),
        "[/Resources/A/Type/P] 'null' values are not allowed in templates (at line 5, column 8)",
    );
    refused(&with("    Properties:\n      Bogus: 1"), "Encountered unsupported property Bogus (at line 5, column 7)");
    refused(
        &with("    Condition: C"),
        "Template format error: Condition C is not defined in the Conditions block of the template (at line 4, column 16)",
    );
    refused(
        &with("    Properties: {P: !If [C, 1, 2]}"),
        "Template error: unresolved condition dependency C in Fn::If (at line 4, column 21)",
    );
    refused(
        &with("Outputs:\n  O: {Value: !Ref Q}"),
        "Template format error: Unresolved resource dependencies [Q] in the Outputs block of the template (at line 5, column 14)",
    );
    refused(&with("Outputs:\n  O: {Foo: 1}"), "Invalid template output property 'Foo' (at line 5, column 7)");
    refused(
        "Resources:\n  B: {Type: AWS::X::Y, Properties: {P: !GetAtt B.Nope}}",
        "Template error: resource B does not support attribute type Nope in Fn::GetAtt (at line 2, column 40)",
    );
    refused(
        "Conditions: {C: !Equals [!Ref A, 1]}\nResources:\n  A: {Type: AWS::X::Y}",
        "Template format error: Unresolved dependencies [A]. Cannot reference resources in the Conditions block of the template (at line 1, column 26)",
    );
    refused(
        "Conditions: {C: !Condition D, D: !Condition C}\nResources:\n  A: {Type: AWS::X::Y}",
        "Template format error: Circular dependency between conditions: [C, D]",
    );
    refused(
        "Parameters: {P: {Type: Strin}}\nResources:\n  A: {Type: AWS::X::Y}",
        "Template format error: Unrecognized parameter type: Strin (at line 1, column 17)",
    );
    assert!(
        checked(&with("    Properties: {P: !Join [a]}"))
            .unwrap_err()
            .message
            .starts_with("Template error: every Fn::Join object requires two parameters")
    );
    assert!(
        checked(&with("    Properties: {P: {'Fn::Foo': a}}"))
            .unwrap_err()
            .message
            .starts_with("Template error: Encountered unsupported function: Fn::Foo")
    );
}

#[test]
fn a_circle_names_those_in_it_and_not_those_behind() {
    let text = "Resources:
  A: {Type: AWS::X::Y, DependsOn: B}
  B: {Type: AWS::X::Y, Properties: {P: !Sub '${C.Arn}'}}
  C: {Type: AWS::X::Y, Properties: {P: [{Q: !Ref A}]}}
  Behind: {Type: AWS::X::Y, DependsOn: A}
  Before: {Type: AWS::X::Y}
";
    refused(text, "Circular dependency between resources: [A, B, C]");
}

#[test]
fn a_false_condition_removes_the_resource_and_what_refers_to_it_is_unresolved() {
    let text = "Parameters: {On: {Type: String}}
Conditions: {Is: !Equals [!Ref On, 'yes']}
Resources:
  A: {Type: AWS::X::Y, Condition: Is}
  B: {Type: AWS::X::Y, DependsOn: A, Properties: {P: !If [Is, !Ref A, none]}}
  C: {Type: AWS::X::Y, Properties: {P: !Ref 'B'}}
";
    let template = checked(text).unwrap();
    let order = |on: &str| {
        let conditions = eval::conditions(&template, &Names([("On".to_owned(), json!(on))].into())).unwrap();
        graph::dependencies(&template, Some(&conditions)).and_then(|graph| graph.order())
    };
    assert_eq!(order("yes").unwrap(), ["A", "B", "C"]);
    assert_eq!(order("no").unwrap(), ["B", "C"]);

    let bad = Template::parse(&text.replace("!If [Is, !Ref A, none]", "!Ref A"), &transforms::Values::new()).unwrap();
    let conditions = [("Is".to_owned(), false)].into();
    assert!(
        graph::dependencies(&bad, Some(&conditions))
            .unwrap_err()
            .message
            .contains("Unresolved resource dependencies [A]")
    );
}

#[test]
fn parameters_keep_their_constraints() {
    let text = "Parameters:
  Name: {Type: String, AllowedPattern: '[a-z]+', MinLength: 2, MaxLength: 4}
  Size: {Type: Number, MinValue: 1, MaxValue: 10, Default: 2}
  Kind: {Type: String, AllowedValues: [a, b], Default: a, ConstraintDescription: be a or b}
  Ports: {Type: List<Number>, Default: '80, 443'}
  Image: {Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>', Default: /aws/service/x}
Resources:
  A: {Type: AWS::X::Y}
";
    let declared = checked(text).unwrap().parameters;
    assert_eq!(
        declared["Image"].kind,
        ParameterType::Ssm(Box::new(ParameterType::Existing(parameters::Existing::Image)))
    );
    let given = |pairs: &[(&str, &str)]| {
        let given = pairs.iter().map(|(name, value)| ((*name).to_owned(), Given::Value((*value).to_owned()))).collect();
        match parameters::resolve(&declared, &given, &BTreeMap::new()) {
            Ok(values) => values["Size"].clone(),
            Err(error) => error.message,
        }
    };
    assert_eq!(given(&[]), "Parameters: [Name] must have values");
    assert_eq!(given(&[("Name", "abc"), ("Nope", "1")]), "Parameters: [Nope] do not exist in the template");
    assert_eq!(given(&[("Name", "abc")]), "2");
    assert_eq!(given(&[("Name", "abC")]), "Parameter 'Name' must match pattern [a-z]+");
    assert_eq!(given(&[("Name", "a")]), "Parameter 'Name' must contain at least 2 characters");
    assert_eq!(given(&[("Name", "abcde")]), "Parameter 'Name' must contain at most 4 characters");
    assert_eq!(given(&[("Name", "abc"), ("Size", "11")]), "Parameter 'Size' must be a number not greater than 10");
    assert_eq!(given(&[("Name", "abc"), ("Size", "x")]), "Parameter 'Size' must be a number");
    assert_eq!(given(&[("Name", "abc"), ("Ports", "80,x")]), "Parameter 'Ports' must be a number");
    assert_eq!(given(&[("Name", "abc"), ("Kind", "c")]), "Parameter 'Kind' failed to satisfy constraint: be a or b");
}

const WHOLE: &str = include_str!("../../tests/whole.yaml");

#[test]
fn a_template_with_everything_is_read_whole() {
    let template = checked(WHOLE).unwrap();
    assert_eq!(template.resources["Instance"].deletion_policy, Policy::Retain);
    assert_eq!(template.resources["Instance"].depends_on[0].0, "Attachment");
    assert!(template.outputs["Url"].export.is_some());
}

proptest! {
    /// Cutting, doubling or changing any character never panics: a template is read or refused.
    #[test]
    fn a_mutated_template_is_read_or_refused(at in 0usize..WHOLE.len(), cut in 0usize..40, with in "[ -~\n\t]{0,6}") {
        let at = WHOLE.floor_char_boundary(at);
        let end = WHOLE.floor_char_boundary((at + cut).min(WHOLE.len()));
        let text = format!("{}{with}{}", &WHOLE[..at], &WHOLE[end..]);
        if let Err(error) = checked(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    /// Bytes that were never a template don't panic either.
    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]{}:,!&*'\"|>\\-?#%@a-zA-Z0-9 \n\t\\\\]{0,200}") {
        let _ = checked(&text);
    }
}
