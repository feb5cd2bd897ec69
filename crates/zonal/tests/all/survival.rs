//! `kill -9` at any instant of a deployment: no acknowledged call is lost, the stack ends, and a purge leaves nothing.
//!
//! `ZONAL_ROUNDS=20` tries more instants than the usual few; `ZONAL_SEED` others.

use crate::Test;
use crate::leftovers::Before;
use crate::world::{Refusal, TestWorld, case, get, signal, text, until};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub const TESTS: &[Test] = &[
    ("a_stack_ends_and_no_acknowledged_call_is_lost_whatever_is_killed_when", whatever_is_killed_when),
    ("a_purge_after_kills_leaves_nothing", a_purge_after_kills_leaves_nothing),
    ("after_down_and_up_nothing_says_running_before_it_runs", nothing_says_running_before_it_runs),
];

/// What is killed together.
const VICTIMS: [&[&str]; 5] =
    [&["daemon"], &["plane"], &["warden"], &["daemon", "plane", "warden"], &["supervise", "daemon", "plane", "warden"]];

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn kill(world: &TestWorld, victims: &[&str]) {
    let processes = world.processes();
    for victim in victims {
        if let Some(pid) = processes.get(*victim) {
            signal("KILL", *pid);
        }
    }
}

/// Calls that are acknowledged while things die: groups made one after the other, in the default VPC.
fn make_groups(world: &TestWorld, round: u64, end: &AtomicBool) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for count in 0.. {
        if end.load(Ordering::Relaxed) {
            break;
        }
        let input = json!({ "GroupName": format!("kept-{round}-{count}"), "Description": "kept" });
        match world.call("ec2", "CreateSecurityGroup", input) {
            Ok(output) => acknowledged.push(output["GroupId"].as_str().unwrap().to_owned()),
            Err(Refusal::NoAnswer) => std::thread::park_timeout(Duration::from_millis(5)),
            Err(Refusal::Said(text)) => panic!("a group was refused: {text}"),
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    acknowledged
}

fn whatever_is_killed_when() {
    let (rounds, seed) = (number("ZONAL_ROUNDS", VICTIMS.len() as u64), number("ZONAL_SEED", 3));
    let mut chance = StdRng::seed_from_u64(seed);
    let world = TestWorld::real_one();
    let template = std::fs::read_to_string(case(3)).unwrap();
    let mut kept = BTreeSet::new();
    let mut ends = Vec::new();
    for round in 0..rounds {
        let victims = VICTIMS[(round % VICTIMS.len() as u64) as usize];
        let instant = Duration::from_millis(chance.random_range(0..400));
        let stack = format!("clock-{round}");
        let what = format!("round {round} of seed {seed}: {victims:?} killed after {instant:?}");
        let end = AtomicBool::new(false);
        let acknowledged = std::thread::scope(|scope| {
            let groups = scope.spawn(|| make_groups(&world, round, &end));
            world.must("cloudformation", "CreateStack", json!({ "StackName": stack, "TemplateBody": template }));
            let at = Instant::now() + instant;
            while let Some(left) = at.checked_duration_since(Instant::now()) {
                std::thread::park_timeout(left);
            }
            kill(&world, victims);
            if victims.contains(&"supervise") {
                let up = world.up();
                assert!(up.status.success(), "{what}: {}{}", text(&up), world.log());
            }
            until(&format!("{what}: an answer"), || world.call("ec2", "DescribeVpcs", json!({})).ok());
            end.store(true, Ordering::Relaxed);
            groups.join().unwrap()
        });
        kept.extend(acknowledged);
        let mut last = None;
        let status = until(&format!("{what}: the stack's end"), || {
            last = world.stack_status(&stack).or(last.take());
            last.clone().filter(|status| !status.ends_with("_IN_PROGRESS"))
        });
        assert!(matches!(status.as_str(), "CREATE_COMPLETE" | "ROLLBACK_COMPLETE"), "{what}: the stack is {status}");
        if status == "CREATE_COMPLETE" {
            answers_at_each_address(&world, &stack, &what);
        }
        let found = world.must("ec2", "DescribeSecurityGroups", json!({}));
        let there: BTreeSet<String> = found["SecurityGroups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group["GroupId"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(kept.difference(&there).collect::<Vec<_>>(), Vec::<&String>::new(), "{what}: groups lost");
        world.must("cloudformation", "DeleteStack", json!({ "StackName": stack }));
        until(&format!("{what}: the stack's removal"), || {
            world.stack_status(&stack).is_none_or(|s| s == "DELETE_COMPLETE").then_some(())
        });
        ends.push(format!("{victims:?} after {instant:?}: {status}"));
    }
    println!("{} rounds, {} acknowledged calls, none lost\n{}", rounds, kept.len(), ends.join("\n"));
}

/// A complete stack is one that works.
fn answers_at_each_address(world: &TestWorld, stack: &str, what: &str) {
    let outputs = world.outputs(stack);
    let addresses: Vec<(&String, Ipv4Addr)> =
        outputs.iter().filter_map(|(key, value)| Some((key, value.parse().ok()?))).collect();
    assert_eq!(addresses.len(), 3, "{what}: {outputs:?}");
    for (key, address) in addresses {
        until(&format!("{what}: a page from {key} {address}"), || {
            matches!(get(address, "localhost", "/"), Ok((200, _))).then_some(())
        });
    }
}

fn a_purge_after_kills_leaves_nothing() {
    let world = TestWorld::real_one();
    let before = Before::of(&world);
    let deployed = world.zonal(&["deploy", case(3).to_str().unwrap(), "--stack", "clock"]);
    assert!(deployed.status.success(), "{}", text(&deployed));
    assert!(!before.left().is_empty(), "a world that is up is found by what it is looked for by");
    kill(&world, &["supervise", "daemon", "plane", "warden"]);
    let purged = world.purge();
    assert!(purged.status.success(), "{}", text(&purged));
    // The kernel takes the last of a killed process's things away by itself, a moment later.
    let mut left = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        left = before.left();
        if left.is_empty() {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    assert_eq!(left, Vec::<String>::new());
}

/// Called at once and again and again: what says `running` must let in who asks for a shell.
fn nothing_says_running_before_it_runs() {
    let world = TestWorld::real_one();
    let images = json!({ "Filters": [{ "Name": "name", "Values": ["al2023-*"] }] });
    let image = world.must("ec2", "DescribeImages", images)["Images"][0]["ImageId"].clone();
    let input = json!({ "ImageId": image, "InstanceType": "t3.micro", "MinCount": 2, "MaxCount": 2 });
    world.must("ec2", "RunInstances", input);
    let all = until("two that run", || Some(world.running()).filter(|running| running.len() == 2));
    for round in 0..3 {
        if round == 0 {
            assert!(world.zonal(&["down"]).status.success());
        } else {
            kill(&world, &["supervise", "daemon", "plane", "warden"]);
            let holder = std::fs::read_to_string(world.home.join("holder.pid")).unwrap();
            signal("KILL", holder.split(' ').next().unwrap().parse().unwrap());
        }
        let up = world.up();
        assert!(up.status.success(), "{}{}", text(&up), world.log());
        until("both again", || {
            let running = world.running();
            for id in running.keys() {
                let shell = world.zonal(&["ssh", id, "--", "true"]);
                assert!(shell.status.success(), "round {round}: {id} says running: {}", text(&shell));
            }
            (running.len() == all.len()).then_some(())
        });
    }
}
