//! Algorithms without sockets: shares of targets that are busy, that have just come, that are too few.

use std::collections::BTreeMap;
use std::time::Duration;

use zonal_balancer::config::*;
use zonal_balancer::core::fleet::{Fleet, TargetKey};
use zonal_balancer::core::health::Outcome;
use zonal_balancer::core::route::{Decision, Snapshot, Standing};

use crate::choice::{Stage, facts};

const HEALTHY: HealthState = HealthState::Healthy;

fn stage(targets: usize, routing: GroupRouting) -> Stage {
    let mut stage = Stage::new(&[(1, vec![(0, TargetState::Active, HEALTHY); targets])], true);
    stage.config.target_groups[0].routing = routing;
    stage
}

/// How often each target is chosen in so many requests.
fn shares(snapshot: &Snapshot, requests: u32, now: Duration) -> BTreeMap<String, u32> {
    let mut shares = BTreeMap::new();
    for _ in 0..requests {
        match snapshot.decide("a", &facts("GET", "/", "h", &[]), &|| now).0 {
            Decision::Forward(chosen) => *shares.entry(chosen.target.key.target.clone()).or_default() += 1,
            other => panic!("{other:?}"),
        }
    }
    shares
}

#[test]
fn least_outstanding_requests_chooses_whoever_has_the_fewest() {
    let routing = GroupRouting { algorithm: Algorithm::LeastOutstandingRequests, ..GroupRouting::default() };
    let (snapshot, targets) = stage(3, routing).snapshot_of(|_| HEALTHY.into());
    // Equals have their turns.
    assert_eq!(shares(&snapshot, 30, Duration::ZERO).into_values().collect::<Vec<_>>(), [10, 10, 10]);
    for (id, busy) in [("g0-0", 2), ("g0-1", 1), ("g0-2", 3)] {
        (0..busy).for_each(|_| targets[id].begin(0));
    }
    assert_eq!(shares(&snapshot, 5, Duration::ZERO), BTreeMap::from([("g0-1".to_owned(), 5)]));
    (0..3).for_each(|_| targets["g0-2"].end(0));
    assert_eq!(shares(&snapshot, 5, Duration::ZERO), BTreeMap::from([("g0-2".to_owned(), 5)]));
}

#[test]
fn weighted_random_gives_everybody_about_the_same_in_no_order() {
    let routing = GroupRouting { algorithm: Algorithm::WeightedRandom, ..GroupRouting::default() };
    let (snapshot, _) = stage(4, routing).snapshot_of(|_| HEALTHY.into());
    let shares = shares(&snapshot, 4_000, Duration::ZERO);
    assert!(shares.len() == 4 && shares.values().all(|share| (900..=1_100).contains(share)), "{shares:?}");
}

#[test]
fn a_target_in_slow_start_takes_as_much_of_its_share_as_it_is_along() {
    let slow_start = Duration::from_secs(100);
    let routing = GroupRouting { slow_start, ..GroupRouting::default() };
    let began = Duration::from_secs(1_000);
    let standing = |id: &str| Standing { state: HEALTHY, warming: (id == "g0-0").then_some(began) };
    let (snapshot, _) = stage(4, routing).snapshot_of(standing);
    for (percent, least, most) in [(0, 0, 10), (20, 150, 260), (50, 400, 600), (100, 950, 1_050), (300, 950, 1_050)] {
        let shares = shares(&snapshot, 4_000, began + slow_start * percent / 100);
        let own = shares.get("g0-0").copied().unwrap_or(0);
        assert!((least..=most).contains(&own), "{percent} %: {shares:?}");
        // What it does not take is spread over all others.
        let others: Vec<u32> = shares.iter().filter(|(id, _)| *id != "g0-0").map(|(_, share)| *share).collect();
        let (fewest, most) = (others.iter().min().unwrap_or(&0), others.iter().max().unwrap_or(&0));
        assert!(most - fewest <= most / 6, "{percent} %: {shares:?}");
    }
}

#[test]
fn with_fewer_healthy_targets_than_the_group_asks_for_all_take_requests() {
    let healthy = |count: usize| {
        move |id: &str| -> Standing {
            let sick = id.rsplit('-').next().and_then(|at| at.parse::<usize>().ok()).is_none_or(|at| at >= count);
            if sick { HealthState::Unhealthy.into() } else { HEALTHY.into() }
        }
    };
    let takers = |routing: &GroupRouting, count| {
        let (snapshot, _) = stage(10, routing.clone()).snapshot_of(healthy(count));
        shares(&snapshot, 100, Duration::ZERO).len()
    };
    let by_default = GroupRouting::default();
    assert_eq!([0, 1, 5].map(|count| takers(&by_default, count)), [10, 1, 5]);
    let by_count = GroupRouting { minimum_healthy: 3, ..GroupRouting::default() };
    assert_eq!([2, 3, 4].map(|count| takers(&by_count, count)), [10, 3, 4]);
    let by_percentage = GroupRouting { minimum_healthy_percentage: 50, ..GroupRouting::default() };
    assert_eq!([4, 5, 6].map(|count| takers(&by_percentage, count)), [10, 5, 6]);
}

#[test]
fn a_target_starts_slowly_only_where_another_is_warm_and_anew_after_it_was_unhealthy() {
    let second = Duration::from_secs(1);
    let mut config = stage(2, GroupRouting { slow_start: second * 60, ..GroupRouting::default() }).config;
    config.nodes = vec![Node { interface: "eni".to_owned(), zone: "a".to_owned(), address: [10, 0, 0, 1].into() }];
    let mut fleet = Fleet::new("lb");
    fleet.apply(&config, Duration::ZERO);
    let key = |at: usize| TargetKey { group: "g0".to_owned(), target: format!("g0-{at}"), port: 80 };
    let mut now = Duration::ZERO;
    let mut round = |fleet: &mut Fleet, good: [bool; 2]| {
        for probe in fleet.poll(now).probes {
            let fine = good[usize::from(probe.key.target.ends_with('1'))];
            fleet.finish(&probe.key, probe.round, Outcome::Status(if fine { 200 } else { 500 }), now);
        }
        now += Duration::from_millis(50);
        now
    };
    // The first of a group has nobody beside it that could carry the load.
    round(&mut fleet, [true, false]);
    assert_eq!(fleet.standing(&key(0)).warming, None);
    // The second has.
    let at = round(&mut fleet, [true, false]);
    round(&mut fleet, [true, true]);
    round(&mut fleet, [true, true]);
    assert_eq!(fleet.standing(&key(1)).state, HEALTHY);
    assert!(fleet.standing(&key(1)).warming.is_some_and(|since| since >= at), "{:?}", fleet.standing(&key(1)));
    for _ in 0..2 {
        round(&mut fleet, [true, false]);
    }
    assert_eq!(fleet.standing(&key(1)), HealthState::Unhealthy.into());
    let again = round(&mut fleet, [true, true]);
    round(&mut fleet, [true, true]);
    assert!(fleet.standing(&key(1)).warming.is_some_and(|since| since >= again));
}
