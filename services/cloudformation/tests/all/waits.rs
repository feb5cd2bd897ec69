//! Wait conditions: a stack goes on once its handle's URL was told so, and not before.

use std::time::Duration;

use serde_json::{Value, json};
use zonal_cloudformation::handles::{self, Refusal};
use zonal_wire::AwsError;

use crate::yard::Yard;

const TEMPLATE: &str = "
Resources:
  Handle: {Type: 'AWS::CloudFormation::WaitConditionHandle'}
  Ready: {Type: 'AWS::CloudFormation::WaitCondition', Properties: {Handle: !Ref Handle, Timeout: '600', Count: COUNT}}
  After: {Type: 'AWS::EC2::InternetGateway', DependsOn: Ready}
Outputs:
  Data: {Value: !GetAtt Ready.Data}
  Url: {Value: !Ref Handle}
";

fn template(count: u32) -> String {
    TEMPLATE.replace("COUNT", &count.to_string())
}

/// Puts a body to a URL, as a program on an instance would.
fn put(yard: &Yard, url: &str, body: &str) -> Result<(), Refusal> {
    let (_, rest) = url.split_once(".amazonaws.com").unwrap();
    let (path, query) = rest.split_once('?').unwrap();
    let Some(scope) = handles::scope_of(path) else { return Err(Refusal::Signature) };
    let mut refusal = None;
    let put = yard.cloud.act(&scope, "test", |tx| {
        handles::receive(tx, (path, query), body.as_bytes()).map_err(|why| {
            refusal = Some(why);
            AwsError::client("Refused", "")
        })
    });
    put.map_err(|_| refusal.unwrap())
}

fn tell(yard: &Yard, status: &str, id: &str, more: Value) {
    let mut body = json!({"Status": status, "UniqueId": id});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    assert_eq!(put(yard, &yard.physical("s", "Handle"), &body.to_string()), Ok(()));
}

fn pass(yard: &Yard, seconds: u64) {
    let end = yard.now() + Duration::from_secs(seconds);
    while yard.tick(end) {}
}

fn create(yard: &Yard, template: &str) {
    yard.stacks("CreateStack", json!({"StackName": "s", "TemplateBody": template}));
    pass(yard, 5);
}

#[test]
fn a_stack_waits_for_as_many_successes_as_its_condition_counts_and_gives_their_data() {
    let yard = Yard::new();
    create(&yard, &template(2));
    assert!(yard.physical("s", "Handle").starts_with("https://cloudformation-waitcondition-us-east-1.s3.amazonaws.com/arn%3Aaws%3Acloudformation%3Aus-east-1%3A000000000000%3Astack/s/"));
    tell(&yard, "SUCCESS", "one", json!({"Data": "first"}));
    tell(&yard, "SUCCESS", "one", json!({"Data": "a retransmission"}));
    pass(&yard, 300);
    assert_eq!(yard.status("s"), "CREATE_IN_PROGRESS");
    assert_eq!(yard.physical("s", "Ready"), format!("{}/Handle", yard.stack("s")["StackId"].as_str().unwrap()));
    tell(&yard, "SUCCESS", "two", json!({"Data": "second", "Reason": "ready"}));
    yard.until("s", "CREATE_COMPLETE");
    let data: Value = serde_json::from_str(&yard.output("s", "Data")).unwrap();
    assert_eq!(data, json!({"one": "first", "two": "second"}));
    let url = yard.output("s", "Url");
    yard.stacks("DeleteStack", json!({"StackName": "s"}));
    yard.until("s", "");
    assert_eq!(put(&yard, &url, "{}"), Err(Refusal::Signature));
}

#[test]
fn a_failure_what_is_no_signal_and_silence_fail_the_condition_each_in_its_words() {
    let said = |act: &dyn Fn(&Yard)| {
        let yard = Yard::new();
        create(&yard, &template(3));
        act(&yard);
        yard.until("s", "ROLLBACK_COMPLETE");
        let failed = "Ready CREATE_FAILED ";
        yard.events("s").iter().find_map(|event| event.strip_prefix(failed).map(str::to_owned)).unwrap()
    };
    let failure = said(&|yard| tell(yard, "FAILURE", "i-1", json!({"Reason": "no disk"})));
    assert_eq!(failure, "WaitCondition received failed message: 'no disk' for uniqueId: i-1");
    let garbage = said(&|yard| put(yard, &yard.physical("s", "Handle"), "Status=SUCCESS").unwrap());
    assert_eq!(garbage, "Unparsable WaitCondition data");
    let silence = said(&|yard| {
        tell(yard, "SUCCESS", "one", json!({}));
        pass(yard, 590);
        assert_eq!(yard.status("s"), "CREATE_IN_PROGRESS");
    });
    assert_eq!(silence, "WaitCondition timed out. Received 1 conditions when expecting 3");
}

#[test]
fn a_condition_waits_longer_than_resources_may_take_where_its_timeout_says_so() {
    let yard = Yard::new();
    create(&yard, &template(1).replace("600", "43200"));
    pass(&yard, 12 * 3600 - 60);
    assert_eq!(yard.status("s"), "CREATE_IN_PROGRESS", "{:#?}", yard.events("s"));
    tell(&yard, "SUCCESS", "one", json!({}));
    yard.until("s", "CREATE_COMPLETE");
}

#[test]
fn only_the_url_that_was_given_out_is_taken_and_only_for_a_day() {
    let yard = Yard::new();
    create(&yard, &template(1));
    let url = yard.physical("s", "Handle");
    let (all, signature) = url.split_once("X-Amz-Signature=").unwrap();
    assert_eq!(signature.len(), 64);
    for wrong in [format!("{all}X-Amz-Signature={}", "0".repeat(64)), all.to_owned(), url.replace("Handle", "Other")] {
        assert_eq!(put(&yard, &wrong, r#"{"Status": "FAILURE", "UniqueId": "x"}"#), Err(Refusal::Signature), "{wrong}");
    }
    assert_eq!(put(&yard, &url, &"x".repeat(20_000)), Err(Refusal::Size));
    tell(&yard, "SUCCESS", "one", json!({}));
    yard.until("s", "CREATE_COMPLETE");
    pass(&yard, 86_400);
    assert_eq!(put(&yard, &url, "{}"), Err(Refusal::Expired));
}

#[test]
fn a_condition_is_not_updated_and_a_new_one_hears_what_an_old_handle_was_told() {
    let yard = Yard::new();
    create(&yard, &template(1));
    tell(&yard, "SUCCESS", "one", json!({}));
    yard.until("s", "CREATE_COMPLETE");
    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": template(2)}));
    yard.until("s", "UPDATE_ROLLBACK_COMPLETE");
    let said = "Ready UPDATE_FAILED Update to resource type AWS::CloudFormation::WaitCondition is not supported.";
    assert!(yard.events("s").contains(&said.to_owned()), "{:#?}", yard.events("s"));
    let again = template(1).replace("  After:", "  Again: {Type: 'AWS::CloudFormation::WaitCondition', Properties: {Handle: !Ref Handle, Timeout: 60}}\n  After:");
    yard.stacks("UpdateStack", json!({"StackName": "s", "TemplateBody": again}));
    yard.until("s", "UPDATE_COMPLETE");
}

#[test]
fn what_was_told_and_the_time_waited_survive_the_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let yard = Yard::stored(&path);
    create(&yard, &template(2));
    tell(&yard, "SUCCESS", "one", json!({"Data": "kept"}));
    let yard = yard.reopened(&path);
    pass(&yard, 60);
    assert_eq!(yard.status("s"), "CREATE_IN_PROGRESS");
    tell(&yard, "SUCCESS", "two", json!({}));
    let yard = yard.reopened(&path);
    yard.until("s", "CREATE_COMPLETE");
    assert!(yard.output("s", "Data").contains("kept"));

    let yard = Yard::stored(&directory.path().join("other"));
    create(&yard, &template(2));
    let began = yard.now();
    let yard = yard.reopened(&directory.path().join("other"));
    yard.until("s", "ROLLBACK_COMPLETE");
    assert!(yard.now() <= began + Duration::from_secs(700), "the time before the restart counts");
}

#[test]
fn a_condition_with_a_creation_policy_hears_signal_resource_instead() {
    let yard = Yard::new();
    let template = "
Resources:
  Ready: {Type: 'AWS::CloudFormation::WaitCondition', CreationPolicy: {ResourceSignal: {Count: 1, Timeout: PT5M}}}
";
    create(&yard, template);
    pass(&yard, 60);
    assert_eq!(yard.status("s"), "CREATE_IN_PROGRESS");
    let signal = json!({"StackName": "s", "LogicalResourceId": "Ready", "UniqueId": "a", "Status": "SUCCESS"});
    yard.stacks("SignalResource", signal);
    yard.until("s", "CREATE_COMPLETE");
}

#[test]
fn a_condition_needs_a_handle_and_a_time_or_a_policy_alone() {
    let yard = Yard::new();
    let refused = |rest: &str| {
        let template = format!("Resources:\n  Ready: {{Type: 'AWS::CloudFormation::WaitCondition'{rest}}}");
        yard.refused("CreateStack", json!({"StackName": "s", "TemplateBody": template}))
    };
    assert!(refused("").contains("required key [Handle] not found"));
    assert!(refused(", Properties: {Handle: x}").contains("required key [Timeout] not found"));
    let both = refused(", CreationPolicy: {ResourceSignal: {}}, Properties: {Timeout: 5}");
    assert!(both.contains("takes no Timeout"), "{both}");
    create(&yard, &template(1).replace("600", "43201"));
    yard.until("s", "ROLLBACK_COMPLETE");
    create_other(&yard);
}

fn create_other(yard: &Yard) {
    let text = template(1).replace("!Ref Handle, Timeout", "'https://example.com/x', Timeout");
    yard.stacks("CreateStack", json!({"StackName": "other", "TemplateBody": text}));
    yard.until("other", "ROLLBACK_COMPLETE");
    let said = "Ready CREATE_FAILED Handle of Ready is no wait condition handle's URL";
    assert!(yard.events("other").contains(&said.to_owned()), "{:#?}", yard.events("other"));
}
