//! Stacks from creation to deletion: events in AWS's words and order, updates, replacements, policies, exports.

use serde_json::json;

use crate::yard::Yard;

const SMALL: &str = "
Resources:
  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.2.0.0/16}}
  Group: {Type: 'AWS::EC2::SecurityGroup', Properties: {GroupDescription: one, VpcId: !Ref Vpc}}
  Table: {Type: 'AWS::EC2::RouteTable', Properties: {VpcId: !Ref Vpc}}
Outputs:
  Vpc: {Value: !Ref Vpc, Export: {Name: !Sub '${AWS::StackName}-vpc'}}
";

fn small() -> Yard {
    let yard = Yard::new();
    yard.stacks(
        "CreateStack",
        json!({"StackName": "s", "TemplateBody": SMALL, "Tags": [{"Key": "team", "Value": "blue"}]}),
    );
    yard.until("s", "CREATE_COMPLETE");
    yard
}

#[test]
fn a_creation_tells_its_story_in_order() {
    let yard = small();
    assert_eq!(
        yard.events("s"),
        [
            "s CREATE_IN_PROGRESS User Initiated",
            "Vpc CREATE_IN_PROGRESS",
            "Vpc CREATE_IN_PROGRESS Resource creation Initiated",
            "Vpc CREATE_COMPLETE",
            "Group CREATE_IN_PROGRESS",
            "Group CREATE_IN_PROGRESS Resource creation Initiated",
            "Group CREATE_COMPLETE",
            "Table CREATE_IN_PROGRESS",
            "Table CREATE_IN_PROGRESS Resource creation Initiated",
            "Table CREATE_COMPLETE",
            "s CREATE_COMPLETE",
        ]
    );
    assert_eq!(yard.output("s", "Vpc"), yard.physical("s", "Vpc"));
}

#[test]
fn resources_carry_the_stacks_tags_and_those_that_name_it() {
    let yard = small();
    let vpc = yard.call("ec2", "DescribeVpcs", json!({"VpcIds": [yard.physical("s", "Vpc")]}));
    let mut tags: Vec<String> = vpc["Vpcs"][0]["Tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| format!("{}={}", tag["Key"], tag["Value"]))
        .collect();
    tags.sort();
    assert_eq!(tags.len(), 4, "{tags:?}");
    assert_eq!(tags[0], r#""aws:cloudformation:logical-id"="Vpc""#);
    assert_eq!(tags[2], r#""aws:cloudformation:stack-name"="s""#);
    assert_eq!(tags[3], r#""team"="blue""#);
}

#[test]
fn a_deletion_goes_backwards_and_the_stack_stays_to_be_seen_by_its_id() {
    let yard = small();
    let id = yard.stack("s")["StackId"].as_str().unwrap().to_owned();
    yard.stacks("DeleteStack", json!({"StackName": "s"}));
    yard.until("s", "");
    assert_eq!(yard.stack(&id)["StackStatus"], "DELETE_COMPLETE");
    let events = yard.events(&id);
    let gone: Vec<&str> = events.iter().filter_map(|event| event.strip_suffix(" DELETE_COMPLETE")).collect();
    assert_eq!(gone, ["Group", "Table", "Vpc", "s"]);
    assert_eq!(yard.refused("DescribeStacks", json!({"StackName": "s"})), "Stack with id s does not exist");
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": SMALL}));
    yard.until("s", "CREATE_COMPLETE");
}

#[test]
fn an_update_that_needs_it_replaces_a_thing_and_deletes_the_old_one_last() {
    let yard = small();
    let (old, vpc) = (yard.physical("s", "Group"), yard.physical("s", "Vpc"));
    yard.stacks(
        "UpdateStack",
        json!({"StackName": "s", "TemplateBody": SMALL.replace("GroupDescription: one", "GroupDescription: two")}),
    );
    yard.until("s", "UPDATE_COMPLETE");
    assert_ne!(yard.physical("s", "Group"), old);
    assert_eq!(yard.physical("s", "Vpc"), vpc);
    let events = yard.events("s");
    let update: Vec<&str> = events[11..].iter().map(String::as_str).collect();
    assert_eq!(
        update,
        [
            "s UPDATE_IN_PROGRESS User Initiated",
            "Group UPDATE_IN_PROGRESS Requested update requires the creation of a new physical resource; hence creating one.",
            "Group UPDATE_IN_PROGRESS Resource creation Initiated",
            "Group UPDATE_COMPLETE",
            "s UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            "Group DELETE_IN_PROGRESS",
            "Group DELETE_COMPLETE",
            "s UPDATE_COMPLETE",
        ]
    );
    assert!(yard.try_call("ec2", "DescribeSecurityGroups", json!({"GroupIds": [old]})).is_err());
}

#[test]
fn an_update_with_nothing_in_it_is_refused() {
    let yard = small();
    assert_eq!(
        yard.refused("UpdateStack", json!({"StackName": "s", "TemplateBody": SMALL})),
        "No updates are to be performed."
    );
    let commented = format!("# another text, the same template\n{SMALL}");
    assert_eq!(
        yard.refused("UpdateStack", json!({"StackName": "s", "TemplateBody": commented})),
        "No updates are to be performed."
    );
    let named = SMALL.replace("Vpc: {Value: !Ref Vpc,", "Vpc: {Value: !Ref Vpc, Description: the network,");
    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": named}));
    yard.until("s", "UPDATE_COMPLETE");
}

#[test]
fn what_is_retained_stays_when_the_stack_goes() {
    let yard = Yard::new();
    let kept = SMALL.replace("Vpc: {Type: 'AWS::EC2::VPC',", "Vpc: {Type: 'AWS::EC2::VPC', DeletionPolicy: Retain,");
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": kept}));
    yard.until("s", "CREATE_COMPLETE");
    let (id, vpc) = (yard.stack("s")["StackId"].as_str().unwrap().to_owned(), yard.physical("s", "Vpc"));
    yard.stacks("DeleteStack", json!({"StackName": "s"}));
    yard.until("s", "");
    assert!(yard.events(&id).contains(&"Vpc DELETE_SKIPPED".to_owned()));
    yard.call("ec2", "DescribeVpcs", json!({"VpcIds": [vpc]}));
}

#[test]
fn an_export_in_use_holds_its_stack() {
    let yard = small();
    let user = "Resources: {Subnet: {Type: 'AWS::EC2::Subnet', Properties: {VpcId: !ImportValue s-vpc, CidrBlock: 10.2.1.0/24}}}";
    yard.stacks("CreateStack", json!({"StackName": "user", "TemplateBody": user}));
    yard.until("user", "CREATE_COMPLETE");
    assert_eq!(yard.stacks("ListImports", json!({"ExportName": "s-vpc"}))["Imports"], json!(["user"]));
    yard.stacks("DeleteStack", json!({"StackName": "s"}));
    yard.until("s", "DELETE_FAILED");
    assert_eq!(
        yard.stack("s")["StackStatusReason"],
        "Delete canceled. Cannot delete export s-vpc as it is in use by user."
    );
    yard.stacks("DeleteStack", json!({"StackName": "user"}));
    yard.until("user", "");
    yard.stacks("DeleteStack", json!({"StackName": "s"}));
    yard.until("s", "");
    assert_eq!(yard.stacks("ListExports", json!({}))["Exports"].as_array().map_or(0, Vec::len), 0);
    assert!(
        yard.refused("CreateStack", json!({"StackName": "user", "TemplateBody": user}))
            .contains("No export named s-vpc found.")
    );
}

#[test]
fn a_protected_stack_is_not_deleted() {
    let yard = small();
    yard.stacks("UpdateTerminationProtection", json!({"StackName": "s", "EnableTerminationProtection": true}));
    assert_eq!(
        yard.refused("DeleteStack", json!({"StackName": "s"})),
        "Stack [s] cannot be deleted while TerminationProtection is enabled"
    );
    yard.stacks("UpdateTerminationProtection", json!({"StackName": "s", "EnableTerminationProtection": false}));
    yard.stacks("DeleteStack", json!({"StackName": "s"}));
    yard.until("s", "");
}

#[test]
fn a_call_repeated_with_its_token_is_one_call() {
    let yard = Yard::new();
    let input = json!({"StackName": "s", "TemplateBody": SMALL, "ClientRequestToken": "once"});
    let first = yard.stacks("CreateStack", input.clone());
    assert_eq!(yard.stacks("CreateStack", input), first);
    assert_eq!(
        yard.refused("CreateStack", json!({"StackName": "s", "TemplateBody": SMALL})),
        "Stack [s] already exists"
    );
    yard.until("s", "CREATE_COMPLETE");
}

#[test]
fn a_failed_creation_can_be_kept_and_rolled_back_later_or_deleted_at_once() {
    let yard = Yard::new();
    yard.call("ec2", "DescribeVpcs", json!({}));
    let nothing = yard.belongings();
    yard.faults.fail_named(Some("CreateRouteTable"));
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": SMALL, "DisableRollback": true}));
    yard.until("s", "CREATE_FAILED");
    assert!(!yard.physical("s", "Vpc").is_empty());
    yard.stacks("RollbackStack", json!({"StackName": "s"}));
    yard.until("s", "ROLLBACK_COMPLETE");
    assert_eq!(yard.belongings(), nothing);
    yard.stacks("CreateStack", json!({"StackName": "t", "TemplateBody": SMALL, "OnFailure": "DELETE"}));
    yard.until("t", "");
    assert_eq!(yard.belongings(), nothing);
}

#[test]
fn a_creation_under_way_can_be_deleted() {
    let yard = Yard::new();
    yard.call("ec2", "DescribeVpcs", json!({}));
    let nothing = yard.belongings();
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": crate::yard::phase(1)}));
    for _ in 0..3 {
        yard.tick(yard.now() + std::time::Duration::from_millis(10));
    }
    assert_eq!(yard.status("s"), "CREATE_IN_PROGRESS");
    yard.stacks("DeleteStack", json!({"StackName": "s"}));
    yard.until("s", "");
    assert_eq!(yard.belongings(), nothing);
}

#[test]
fn an_update_under_way_can_be_cancelled() {
    let yard = Yard::new();
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": crate::yard::phase(1)}));
    yard.until("s", "CREATE_COMPLETE");
    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": crate::yard::phase(2)}));
    yard.tick(yard.now() + std::time::Duration::from_millis(10));
    yard.stacks("CancelUpdateStack", json!({"StackName": "s"}));
    yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
    let id = yard.physical("s", "Instance");
    let instance =
        &yard.call("ec2", "DescribeInstances", json!({"InstanceIds": [id]}))["Reservations"][0]["Instances"][0];
    assert_eq!((&instance["InstanceType"], &instance["State"]["Name"]), (&json!("t2.micro"), &json!("running")));
}

#[test]
fn a_change_of_the_stacks_tags_reaches_its_things_and_is_undone_with_the_update() {
    let yard = small();
    let team = |yard: &Yard| {
        let vpc = yard.call("ec2", "DescribeVpcs", json!({"VpcIds": [yard.physical("s", "Vpc")]}));
        let tags = vpc["Vpcs"][0]["Tags"].as_array().unwrap().clone();
        tags.iter()
            .filter(|tag| !tag["Key"].as_str().unwrap().starts_with("aws:"))
            .map(|tag| format!("{}={}", tag["Key"], tag["Value"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(team(&yard), [r#""team"="blue""#]);
    let update =
        |value: &str| json!({"StackName": "s", "UsePreviousTemplate": true, "Tags": [{"Key": "crew", "Value": value}]});
    yard.stacks("UpdateStack", update("red"));
    yard.until("s", "UPDATE_COMPLETE");
    assert_eq!(team(&yard), [r#""crew"="red""#]);
    // The table's new tag fails after the network's has been set.
    yard.faults.fail_nth(Some(2));
    yard.stacks("UpdateStack", update("green"));
    yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(team(&yard), [r#""crew"="red""#]);
}
