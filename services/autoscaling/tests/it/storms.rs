//! Whatever happens to a group, it comes to rest as desired, and leaves nothing behind.

use crate::yard::{Yard, items};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;

/// Something that happens to a group.
#[derive(Debug, Clone)]
enum Blow {
    Desire(i32),
    Crash(usize),
    Terminate(usize),
    Stop(usize),
    Unhealthy(usize),
    Cut(char),
    Mend(char),
    Detach(usize),
    NewVersion,
    Pass(u64),
}

fn blow() -> impl Strategy<Value = Blow> {
    let zone = prop_oneof![Just('a'), Just('b'), Just('c')];
    prop_oneof![
        (0i32..8).prop_map(Blow::Desire),
        (0usize..8).prop_map(Blow::Crash),
        (0usize..8).prop_map(Blow::Terminate),
        (0usize..8).prop_map(Blow::Stop),
        (0usize..8).prop_map(Blow::Unhealthy),
        zone.clone().prop_map(Blow::Cut),
        zone.prop_map(Blow::Mend),
        (0usize..8).prop_map(Blow::Detach),
        Just(Blow::NewVersion),
        (1u64..90).prop_map(Blow::Pass),
    ]
}

fn strike(yard: &Yard, blow: &Blow, detached: &mut Vec<String>) {
    let serving = yard.in_state("asg", "InService");
    let one = |index: &usize| serving.get(index % serving.len().max(1)).cloned();
    match blow {
        Blow::Desire(desired) => {
            yard.scaling("SetDesiredCapacity", json!({ "AutoScalingGroupName": "asg", "DesiredCapacity": desired }));
        }
        // An instance may have been struck before, and not have been seen yet: then EC2 refuses, which is no matter here.
        Blow::Crash(index) => one(index).into_iter().for_each(|id| drop(yard.try_crash(&id))),
        Blow::Terminate(index) => one(index).into_iter().for_each(|id| {
            drop(yard.try_call("ec2", "TerminateInstances", json!({ "InstanceIds": [id] })));
        }),
        Blow::Stop(index) => one(index).into_iter().for_each(|id| {
            drop(yard.try_call("ec2", "StopInstances", json!({ "InstanceIds": [id] })));
        }),
        Blow::Unhealthy(index) => one(index).into_iter().for_each(|id| {
            yard.scaling("SetInstanceHealth", json!({ "InstanceId": id, "HealthStatus": "Unhealthy" }));
        }),
        Blow::Cut(zone) => yard.cut(*zone, true),
        Blow::Mend(zone) => yard.cut(*zone, false),
        Blow::Detach(index) => {
            if let Some(id) = one(index) {
                let input = json!({ "AutoScalingGroupName": "asg", "InstanceIds": [id], "ShouldDecrementDesiredCapacity": false });
                if yard.try_call("autoscaling", "DetachInstances", input).is_ok() {
                    detached.push(id);
                }
            }
        }
        Blow::NewVersion => {
            let data = json!({ "InstanceType": "t3.small" });
            let input = json!({ "LaunchTemplateName": "web", "SourceVersion": "1", "LaunchTemplateData": data });
            yard.call("ec2", "CreateLaunchTemplateVersion", input);
        }
        Blow::Pass(seconds) => yard.pass(Duration::from_secs(*seconds)),
    }
}

/// The instances that EC2 has for the group and that have not been terminated.
fn alive(yard: &Yard) -> Vec<String> {
    let found = yard.call(
        "ec2",
        "DescribeInstances",
        json!({ "Filters": [{ "Name": "tag:aws:autoscaling:groupName", "Values": ["asg"] }] }),
    );
    let of = |reservation: &Value| items(&reservation["Instances"]);
    let instances = items(&found["Reservations"]);
    let alive = instances.iter().flat_map(of).filter(|instance| instance["State"]["Name"] != "terminated");
    alive.map(|instance| instance["InstanceId"].as_str().unwrap().to_owned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_group_comes_to_rest_even_complete_and_without_leftovers(blows in prop::collection::vec(blow(), 1..25)) {
        let yard = Yard::new();
        yard.group("asg", "abc", (0, 3, 8), json!({}));
        let mut detached = Vec::new();
        for blow in &blows {
            strike(&yard, blow, &mut detached);
        }
        for zone in ['a', 'b', 'c'] {
            yard.cut(zone, false);
        }
        yard.pass(Duration::from_secs(45 * 60));

        let group = yard.described("asg");
        let desired = group["DesiredCapacity"].as_u64().unwrap() as usize;
        let mut serving = yard.in_state("asg", "InService");
        prop_assert_eq!(serving.len(), desired, "{:#}", group);
        prop_assert_eq!(items(&group["Instances"]).len(), desired, "nothing else is left in it");
        let zones = yard.zones("asg");
        let counts = ['a', 'b', 'c'].map(|zone| zones.matches(zone).count());
        let (most, least) = (counts.iter().max().unwrap(), counts.iter().min().unwrap());
        prop_assert!(most - least <= 1, "uneven: {}", zones);
        let mut alive: Vec<String> = alive(&yard).into_iter().filter(|id| !detached.contains(id)).collect();
        alive.sort();
        serving.sort();
        prop_assert_eq!(alive, serving, "EC2 runs what the group has, and no more");
        let open = yard.activities("asg").into_iter().find(|(status, ..)| !["Successful", "Failed", "Cancelled"].contains(&status.as_str()));
        prop_assert!(open.is_none(), "{:?} is still open", open);
    }
}
