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

#[test]
fn what_matches_is_of_a_type_that_the_policy_has_and_of_the_templates_where_there_is_none() {
    let yard = Yard::new();
    yard.group("asg", "ab", (2, 2, 2), json!({}));
    yard.serving(MINUTE, "asg", 2);
    let policy = |kinds: &[&str]| {
        let overrides: Vec<Value> = kinds.iter().map(|kind| json!({ "InstanceType": kind })).collect();
        let template =
            json!({ "LaunchTemplateSpecification": { "LaunchTemplateName": "web" }, "Overrides": overrides });
        json!({ "AutoScalingGroupName": "asg", "MixedInstancesPolicy": { "LaunchTemplate": template } })
    };
    // How many would be replaced, and all are by the end.
    let replaced = |update: Value| {
        yard.scaling("UpdateAutoScalingGroup", update);
        let preferences = json!({ "SkipMatching": true, "InstanceWarmup": 10 });
        yard.scaling("StartInstanceRefresh", json!({ "AutoScalingGroupName": "asg", "Preferences": preferences }));
        let before = yard.in_state("asg", "InService");
        yard.pass(MINUTE * 10);
        assert_eq!(refresh(&yard)["Status"], "Successful");
        yard.in_state("asg", "InService").iter().filter(|id| !before.contains(id)).count()
    };
    assert_eq!(replaced(policy(&["t3.small", "t3.medium"])), 2);
    assert_eq!(
        replaced(policy(&["t3.medium", "t3.small"])),
        0,
        "the order chooses what is launched, not what may stay"
    );
    let plain = json!({ "AutoScalingGroupName": "asg", "LaunchTemplate": { "LaunchTemplateName": "web" } });
    assert_eq!(replaced(plain), 2, "the template's own type again");
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
