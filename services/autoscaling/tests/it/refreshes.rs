//! Instance refreshes replace a group's instances while enough serve.

use crate::yard::Yard;
use serde_json::{Value, json};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn refresh(yard: &Yard) -> Value {
    yard.scaling("DescribeInstanceRefreshes", json!({ "AutoScalingGroupName": "asg" }))["InstanceRefreshes"][0].clone()
}

fn versions(yard: &Yard) -> Vec<String> {
    let group = yard.described("asg");
    let instances = crate::yard::items(&group["Instances"]);
    let serving = instances.iter().filter(|instance| instance["LifecycleState"] == "InService");
    serving.map(|instance| instance["LaunchTemplate"]["Version"].as_str().unwrap().to_owned()).collect()
}

fn new_version(yard: &Yard) {
    let data = json!({ "InstanceType": "t3.small" });
    yard.call(
        "ec2",
        "CreateLaunchTemplateVersion",
        json!({ "LaunchTemplateName": "web", "SourceVersion": "1", "LaunchTemplateData": data }),
    );
}

#[test]
fn a_refresh_replaces_all_and_never_leaves_fewer_than_it_must() {
    let yard = Yard::new();
    yard.group("asg", "ab", (4, 4, 4), json!({}));
    yard.serving(MINUTE, "asg", 4);
    new_version(&yard);
    yard.scaling(
        "StartInstanceRefresh",
        json!({ "AutoScalingGroupName": "asg", "Preferences": { "MinHealthyPercentage": 50, "InstanceWarmup": 30 } }),
    );
    let again =
        yard.try_call("autoscaling", "StartInstanceRefresh", json!({ "AutoScalingGroupName": "asg" })).unwrap_err();
    assert_eq!(again.code, "InstanceRefreshInProgress");
    let mut fewest = usize::MAX;
    for _ in 0..120 {
        yard.pass(Duration::from_secs(1));
        fewest = fewest.min(versions(&yard).len());
    }
    assert_eq!(
        (refresh(&yard)["Status"].as_str(), refresh(&yard)["PercentageComplete"].as_i64()),
        (Some("Successful"), Some(100))
    );
    assert_eq!(versions(&yard), ["2", "2", "2", "2"]);
    assert!(fewest >= 2, "{fewest}");
    assert_eq!(yard.zones("asg"), "aabb");
}

#[test]
fn a_cancelled_refresh_stops_and_one_that_skips_what_matches_goes_on_from_there() {
    let yard = Yard::new();
    yard.group("asg", "ab", (4, 4, 4), json!({}));
    yard.serving(MINUTE, "asg", 4);
    new_version(&yard);
    let preferences = json!({ "InstanceWarmup": 60, "SkipMatching": true });
    let start = json!({ "AutoScalingGroupName": "asg", "Preferences": preferences });
    yard.scaling("StartInstanceRefresh", start.clone());
    yard.pass(Duration::from_secs(90));
    yard.scaling("CancelInstanceRefresh", json!({ "AutoScalingGroupName": "asg" }));
    yard.pass(MINUTE * 5);
    assert_eq!(refresh(&yard)["Status"], "Cancelled");
    let new = versions(&yard).iter().filter(|version| *version == "2").count();
    assert!((1..4).contains(&new), "{new}");
    yard.scaling("StartInstanceRefresh", start);
    yard.pass(Duration::from_secs(1));
    assert_eq!(refresh(&yard)["InstancesToUpdate"].as_u64(), Some(3 - new as u64), "one of the old is taken at once");
    yard.pass(MINUTE * 10);
    assert_eq!(versions(&yard), ["2", "2", "2", "2"]);
}

/// A mixed policy of the template `web` with overrides.
fn policy(overrides: &Value) -> Value {
    let template = json!({ "LaunchTemplateSpecification": { "LaunchTemplateName": "web" }, "Overrides": overrides });
    json!({ "AutoScalingGroupName": "asg", "MixedInstancesPolicy": { "LaunchTemplate": template } })
}

/// How many instances a refresh that skips what matches replaces after an update.
fn replaced(yard: &Yard, update: Value) -> usize {
    yard.scaling("UpdateAutoScalingGroup", update);
    let preferences = json!({ "SkipMatching": true, "InstanceWarmup": 10 });
    yard.scaling("StartInstanceRefresh", json!({ "AutoScalingGroupName": "asg", "Preferences": preferences }));
    let before = yard.in_state("asg", "InService");
    yard.pass(MINUTE * 10);
    assert_eq!(refresh(yard)["Status"], "Successful");
    yard.in_state("asg", "InService").iter().filter(|id| !before.contains(id)).count()
}

#[test]
fn what_matches_is_of_a_type_that_the_policy_has_and_of_the_templates_where_there_is_none() {
    let yard = Yard::new();
    yard.group("asg", "ab", (2, 2, 2), json!({}));
    yard.serving(MINUTE, "asg", 2);
    let (small, medium) = (json!({ "InstanceType": "t3.small" }), json!({ "InstanceType": "t3.medium" }));
    assert_eq!(replaced(&yard, policy(&json!([small, medium]))), 2);
    assert_eq!(
        replaced(&yard, policy(&json!([medium, small]))),
        0,
        "the order chooses what is launched, not what may stay"
    );
    let plain = json!({ "AutoScalingGroupName": "asg", "LaunchTemplate": { "LaunchTemplateName": "web" } });
    assert_eq!(replaced(&yard, plain), 2, "the template's own type again");
}

#[test]
fn what_matches_has_the_image_and_the_template_of_the_override_that_it_is_of() {
    let yard = Yard::new();
    yard.group("asg", "ab", (2, 2, 2), json!({}));
    yard.serving(MINUTE, "asg", 2);
    let first = yard.in_state("asg", "InService").remove(0);
    let image = yard.call("ec2", "CreateImage", json!({ "InstanceId": first, "Name": "golden" }))["ImageId"].clone();
    yard.pass(MINUTE);
    let golden = json!({ "InstanceType": "t3.micro", "ImageId": image });
    assert_eq!(replaced(&yard, policy(&json!([{ "InstanceType": "t3.micro" }]))), 0, "it says what the template says");
    assert_eq!(replaced(&yard, policy(&json!([golden]))), 2, "only the image is another");
    let images = |yard: &Yard| -> Vec<Value> {
        crate::yard::items(&yard.described("asg")["Instances"]).iter().map(|own| own["ImageId"].clone()).collect()
    };
    assert_eq!(images(&yard), [image.clone(), image.clone()]);
    // What another override launches may stay, with that one's image and template.
    let small = json!({ "InstanceType": "t3.small" });
    assert_eq!(replaced(&yard, policy(&json!([small, golden]))), 0);
    let other = yard.call("ec2", "DescribeLaunchTemplateVersions", json!({ "LaunchTemplateName": "web" }));
    let data = other["LaunchTemplateVersions"][0]["LaunchTemplateData"].clone();
    yard.call("ec2", "CreateLaunchTemplate", json!({ "LaunchTemplateName": "other", "LaunchTemplateData": data }));
    let other = json!({ "InstanceType": "t3.micro", "LaunchTemplateSpecification": { "LaunchTemplateName": "other" } });
    assert_eq!(replaced(&yard, policy(&json!([other]))), 2, "the same type of another template");
    assert_eq!(replaced(&yard, policy(&json!([small, other]))), 0);
}

#[test]
fn a_refresh_whose_template_is_gone_fails_and_says_so() {
    let yard = Yard::new();
    yard.group("asg", "ab", (2, 2, 2), json!({}));
    yard.serving(MINUTE, "asg", 2);
    yard.call("ec2", "DeleteLaunchTemplate", json!({ "LaunchTemplateName": "web" }));
    yard.scaling("StartInstanceRefresh", json!({ "AutoScalingGroupName": "asg" }));
    yard.pass(MINUTE);
    let ended = refresh(&yard);
    let reason = ended["StatusReason"].as_str().unwrap_or_default();
    assert!(ended["Status"] == "Failed" && reason.contains("launch template"), "{ended}");
    assert_eq!(versions(&yard), ["1", "1"], "and nothing was replaced");
}

/// Makes a group launch the template's first version, whichever is the latest.
fn first_version() -> Value {
    json!({ "LaunchTemplate": { "LaunchTemplateName": "web", "Version": "1" } })
}

/// Starts a refresh that is to bring about a template's version.
fn to_version(yard: &Yard, version: &str) -> Value {
    let template = json!({ "LaunchTemplateName": "web", "Version": version });
    let start = json!({
        "AutoScalingGroupName": "asg", "Preferences": { "InstanceWarmup": 60 },
        "DesiredConfiguration": { "LaunchTemplate": template },
    });
    yard.scaling("StartInstanceRefresh", start)
}

#[test]
fn what_a_refresh_is_to_bring_about_is_launched_meanwhile_and_the_groups_own_once_it_has_succeeded() {
    let yard = Yard::new();
    let own = |yard: &Yard| yard.described("asg")["LaunchTemplate"]["Version"].clone();
    yard.group("asg", "ab", (2, 2, 5), first_version());
    yard.serving(MINUTE, "asg", 2);
    let before = own(&yard);
    new_version(&yard);
    to_version(&yard, "2");
    assert_eq!(refresh(&yard)["DesiredConfiguration"]["LaunchTemplate"]["Version"], "2");
    // Scaling out meanwhile launches it too.
    yard.scaling("SetDesiredCapacity", json!({ "AutoScalingGroupName": "asg", "DesiredCapacity": 4 }));
    yard.until(MINUTE, "what is launched beside", |yard| yard.in_state("asg", "InService").len() == 4);
    assert!(versions(&yard).iter().filter(|version| *version == "2").count() >= 2, "{:?}", versions(&yard));
    assert_eq!((&refresh(&yard)["Status"], own(&yard)), (&json!("InProgress"), before));
    let update = json!({ "AutoScalingGroupName": "asg", "LaunchTemplate": { "LaunchTemplateName": "web" } });
    let error = yard.try_call("autoscaling", "UpdateAutoScalingGroup", update.clone()).unwrap_err();
    assert!(error.message.starts_with("An active instance refresh with a desired configuration exists"), "{error}");
    yard.pass(MINUTE * 10);
    assert_eq!((&refresh(&yard)["Status"], own(&yard)), (&json!("Successful"), json!("2")));
    assert_eq!(versions(&yard), ["2", "2", "2", "2"]);
    yard.scaling("UpdateAutoScalingGroup", update);
}

#[test]
fn a_cancelled_refresh_leaves_the_group_what_it_launched_before() {
    let yard = Yard::new();
    yard.group("asg", "ab", (3, 3, 5), first_version());
    yard.serving(MINUTE, "asg", 3);
    let before = yard.described("asg")["LaunchTemplate"].clone();
    new_version(&yard);
    to_version(&yard, "2");
    yard.pass(Duration::from_secs(90));
    yard.scaling("CancelInstanceRefresh", json!({ "AutoScalingGroupName": "asg" }));
    yard.pass(MINUTE);
    assert_eq!((&refresh(&yard)["Status"], &yard.described("asg")["LaunchTemplate"]), (&json!("Cancelled"), &before));
    let old = |yard: &Yard| versions(yard).iter().filter(|version| *version == "1").count();
    let left = old(&yard);
    assert!(left < 3, "one was replaced at least");
    yard.scaling("SetDesiredCapacity", json!({ "AutoScalingGroupName": "asg", "DesiredCapacity": 5 }));
    yard.pass(MINUTE * 2);
    assert_eq!(old(&yard), left + 2);
}
