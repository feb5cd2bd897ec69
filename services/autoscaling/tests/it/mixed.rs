//! What a group launches: mixed instances policies, and launch configurations, which AWS makes no more.

use crate::yard::Yard;
use serde_json::{Value, json};
use std::time::Duration;

fn mixed(overrides: &Value, distribution: &Value) -> Value {
    let specification = json!({ "LaunchTemplateName": "web", "Version": "$Latest" });
    json!({
        "AutoScalingGroupName": "mixed", "MinSize": 1, "MaxSize": 3, "AvailabilityZones": ["us-east-1a"],
        "MixedInstancesPolicy": {
            "LaunchTemplate": { "LaunchTemplateSpecification": specification, "Overrides": overrides },
            "InstancesDistribution": distribution,
        },
    })
}

#[test]
fn a_mixed_policy_launches_its_first_instance_type_and_is_shown_in_the_templates_place() {
    let yard = Yard::new();
    let types = json!([{ "InstanceType": "t3.small" }, { "InstanceType": "t3a.small" }]);
    yard.scaling("CreateAutoScalingGroup", mixed(&types, &json!({ "OnDemandBaseCapacity": 1 })));
    yard.pass(Duration::from_secs(60));
    let described = || yard.scaling("DescribeAutoScalingGroups", json!({}))["AutoScalingGroups"][0].clone();
    let group = described();
    assert_eq!(group["Instances"][0]["InstanceType"], "t3.small");
    assert!(group["LaunchTemplate"].is_null(), "{group}");
    let policy = &group["MixedInstancesPolicy"];
    assert_eq!(policy["LaunchTemplate"]["LaunchTemplateSpecification"]["LaunchTemplateName"], "web");
    assert_eq!(policy["LaunchTemplate"]["Overrides"], types);
    let distribution = &policy["InstancesDistribution"];
    assert_eq!(distribution["OnDemandPercentageAboveBaseCapacity"], 100);
    assert_eq!(
        (&distribution["OnDemandAllocationStrategy"], &distribution["OnDemandBaseCapacity"]),
        (&json!("prioritized"), &json!(1))
    );
    // A template takes the policy's place again.
    let template = json!({ "AutoScalingGroupName": "mixed", "LaunchTemplate": { "LaunchTemplateName": "web" } });
    yard.scaling("UpdateAutoScalingGroup", template);
    assert!(described()["MixedInstancesPolicy"].is_null());
}

#[test]
fn a_template_and_a_policy_at_once_are_refused_and_change_nothing() {
    let yard = Yard::new();
    let created = mixed(&json!([{ "InstanceType": "t3.small" }]), &json!({}));
    yard.scaling("CreateAutoScalingGroup", created.clone());
    let both = json!({
        "LaunchTemplate": { "LaunchTemplateName": "web" },
        "MixedInstancesPolicy": created["MixedInstancesPolicy"],
    });
    let mut update = both.clone();
    update["AutoScalingGroupName"] = json!("mixed");
    let refresh = json!({ "AutoScalingGroupName": "mixed", "DesiredConfiguration": both });
    let described = || yard.scaling("DescribeAutoScalingGroups", json!({}))["AutoScalingGroups"][0].clone();
    let before = described();
    for (operation, input) in [("UpdateAutoScalingGroup", update), ("StartInstanceRefresh", refresh)] {
        let error = yard.try_call("autoscaling", operation, input).unwrap_err();
        assert!(&*error.code == "ValidationError" && error.message.contains("either LaunchTemplate"), "{error}");
    }
    assert_eq!(described(), before);
}

#[test]
fn of_a_mixed_policy_what_is_not_here_is_refused_by_its_name() {
    let yard = Yard::new();
    for (overrides, distribution, what) in [
        (json!([]), json!({ "OnDemandPercentageAboveBaseCapacity": 50 }), "OnDemandPercentageAboveBaseCapacity = 50"),
        (
            json!([]),
            json!({ "OnDemandAllocationStrategy": "lowest-price" }),
            "OnDemandAllocationStrategy = lowest-price",
        ),
        (json!([{ "InstanceType": "t3.small", "WeightedCapacity": "2" }]), json!({}), "Overrides.WeightedCapacity"),
        (json!([{ "InstanceType": "z9.huge" }]), json!({}), "z9.huge"),
    ] {
        let error =
            yard.try_call("autoscaling", "CreateAutoScalingGroup", mixed(&overrides, &distribution)).unwrap_err();
        assert_eq!(&*error.code, "ValidationError");
        assert!(error.message.contains(what), "{}", error.message);
    }
}

#[test]
fn launch_configurations_are_refused_as_to_every_new_account() {
    let yard = Yard::new();
    let input =
        json!({ "LaunchConfigurationName": "old", "ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.micro" });
    let error = yard.try_call("autoscaling", "CreateLaunchConfiguration", input).unwrap_err();
    assert_eq!(&*error.code, "UnsupportedOperation");
    assert!(error.message.contains("Use launch templates"), "{}", error.message);
}

#[test]
fn what_a_policy_says_of_spot_instances_is_checked_though_there_are_none() {
    let yard = Yard::new();
    for (distribution, what) in [
        (json!({ "SpotAllocationStrategy": "cheapest" }), "SpotAllocationStrategy cheapest"),
        (json!({ "SpotInstancePools": 0 }), "SpotInstancePools must be between 1 and 20"),
        (json!({ "SpotInstancePools": 21 }), "SpotInstancePools must be between 1 and 20"),
        (
            json!({ "SpotInstancePools": 2, "SpotAllocationStrategy": "capacity-optimized" }),
            "SpotInstancePools option is only available with the lowest-price allocation strategy",
        ),
        (json!({ "SpotMaxPrice": "cheap" }), "SpotMaxPrice"),
        (json!({ "SpotMaxPrice": "0" }), "SpotMaxPrice"),
    ] {
        let input = mixed(&json!([]), &distribution);
        let error = yard.try_call("autoscaling", "CreateAutoScalingGroup", input).unwrap_err();
        assert!(&*error.code == "ValidationError" && error.message.contains(what), "{error}");
    }
    let own = |change: Value| {
        let policy = json!({ "InstancesDistribution": change });
        let update = json!({ "AutoScalingGroupName": "mixed", "MixedInstancesPolicy": policy });
        yard.scaling("UpdateAutoScalingGroup", update);
        yard.described("mixed")["MixedInstancesPolicy"]["InstancesDistribution"].clone()
    };
    yard.scaling(
        "CreateAutoScalingGroup",
        mixed(&json!([]), &json!({ "SpotInstancePools": 5, "SpotMaxPrice": "0.05" })),
    );
    // Pools are of one strategy alone, and an empty price takes one away.
    let other = own(json!({ "SpotAllocationStrategy": "price-capacity-optimized" }));
    assert_eq!((&other["SpotInstancePools"], &other["SpotMaxPrice"]), (&Value::Null, &json!("0.05")));
    let back = own(json!({ "SpotAllocationStrategy": "lowest-price", "SpotMaxPrice": "" }));
    assert_eq!((&back["SpotInstancePools"], &back["SpotMaxPrice"]), (&json!(2), &Value::Null));
}
