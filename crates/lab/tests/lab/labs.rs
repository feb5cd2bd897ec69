//! Whole labs in a toy world: what the runner does, in which order, and what it concludes.

use crate::toy::{DEPLOY, Front, ToyWorld};
use std::cell::Cell;
use std::path::Path;
use std::time::Duration;
use zonal_lab::measure::Healing;
use zonal_lab::{LabError, LabResult, LabSpec, Notice, PhaseResult, Progress, RunOptions, Verdict, run};

/// A lab of one phase: `target` is the load's, `faults` further tables.
pub fn lab(shows: &str, duration: &str, target: &str, faults: &str) -> LabSpec {
    let text = format!(
        r#"name = "toy"
title = "A toy"
seed = 3
deploy_speed = 20
teardown_speed = 100

[[phase]]
number = 1
title = "Three toys"
limit = "What breaks"
template = "toy.yaml"
stack = "toy"
speed = 20
duration = "{duration}"
shows = "{shows}"
interval = "10s"
load = {{ rate = 6.0, clients = 30, {target}, timeout = "5s", idle = "50s" }}

{faults}
[[phase.expect]]
figure = "heal"
text = "Within a <minute>"
source = "The Toy Guide"
at_most = "1m"
"#
    );
    LabSpec::parse(&text, Path::new("lab.toml")).expect("the lab reads")
}

const OUTPUTS: &str = "outputs = [\"AddressA\", \"AddressB\", \"AddressC\"]";
const NAME: &str = "name = \"toy.com\"";
const KILL: &str = "[[phase.fault]]\nat = \"1m\"\nkind = \"kill-instance\"\nnumber = 3\n";

/// Stops the lab after so many notices, if ever.
pub struct Watcher {
    left: Cell<Option<u32>>,
    pub notices: u32,
}

impl Watcher {
    pub fn new(stop_after: Option<u32>) -> Watcher {
        Watcher { left: Cell::new(stop_after), notices: 0 }
    }
}

impl Progress for Watcher {
    fn notice(&mut self, _: Notice<'_>) {
        self.notices += 1;
    }

    fn stopped(&self) -> bool {
        match self.left.get() {
            Some(0) => true,
            Some(left) => {
                self.left.set(Some(left - 1));
                false
            }
            None => false,
        }
    }
}

pub fn result(spec: &LabSpec, front: Front) -> LabResult {
    run(spec, RunOptions::default(), &mut ToyWorld::new(front), &mut Watcher::new(None)).expect("the lab runs")
}

fn phase(spec: &LabSpec, front: Front) -> PhaseResult {
    result(spec, front).phases.remove(0)
}

#[test]
fn a_phase_is_deployed_loaded_broken_and_taken_down() {
    let mut world = ToyWorld::new(Front::Addresses);
    let spec = lab("part-down-for-good", "3m", OUTPUTS, KILL);
    run(&spec, RunOptions::default(), &mut world, &mut Watcher::new(None)).expect("the lab runs");
    assert_eq!(world.calls, ["speed 20", "create toy.yaml", "speed 20", "Instance(Number(3))", "speed 100", "delete"]);
}

#[test]
fn addresses_given_by_hand_keep_their_clients_down_for_good() {
    let phase = phase(&lab("part-down-for-good", "3m", OUTPUTS, KILL), Front::Addresses);
    let figures = &phase.figures;
    assert_eq!(phase.verdict, Verdict::PartDownForGood, "{}", phase.sentence);
    assert_eq!((figures.clients, figures.clients_down, figures.clients_hit), (30, 10, 10));
    assert_eq!(figures.deploy, DEPLOY);
    assert!(figures.first_answer >= DEPLOY + Duration::from_secs(20), "{:?}", figures.first_answer);
    assert_eq!(figures.recoveries[0].healing, Healing::Down { watched: Duration::from_secs(120) });
    assert_eq!(figures.lost_by.keys().collect::<Vec<_>>(), ["timeout"]);
    assert!((0.72..0.82).contains(&figures.availability()), "{}", figures.availability());
    assert_eq!(phase.expectations[0].met, Some(false));
    assert!(figures.outage_open && figures.outage > Duration::from_secs(100));
}

#[test]
fn cached_answers_keep_clients_down_for_the_ttl() {
    let repair = "[[phase.fault]]\nat = \"90s\"\nkind = \"repair\"\nparameters = { Serve = \"no\" }\n";
    let spec = lab("part-down-then-back", "15m", NAME, &format!("{KILL}{repair}"));
    let phase = phase(&spec, Front::Record { ttl: Duration::from_secs(600) });
    assert_eq!(phase.verdict, Verdict::PartDownThenBack, "{}", phase.sentence);
    // Caches were filled in the first seconds; what was cached stays for ten minutes.
    assert!(phase.figures.outage > Duration::from_secs(480), "{:?}", phase.figures.outage);
    assert!(phase.figures.outage < Duration::from_secs(600), "{:?}", phase.figures.outage);
}

#[test]
fn behind_a_balancer_requests_are_lost_until_it_notices() {
    let detect = Duration::from_secs(20);
    let phase = phase(&lab("part-down-then-back", "3m", NAME, KILL), Front::Balancer { detect });
    assert_eq!(phase.verdict, Verdict::PartDownThenBack, "{}", phase.sentence);
    let Healing::Healed { after } = phase.figures.recoveries[0].healing else { panic!("{}", phase.sentence) };
    assert!(after > Duration::from_secs(15) && after <= detect, "{after:?}");
    assert_eq!(phase.expectations[0].met, Some(true));
    // The client gives up after 5 s, before the balancer's 504 after 10 s.
    assert_eq!(phase.figures.lost_by.keys().collect::<Vec<_>>(), ["timeout"]);
    let capacity = phase.figures.capacity.expect("the toy says how many are in service");
    assert_eq!((capacity.first, capacity.most, capacity.last), (3, 3, 2));
}

#[test]
fn an_update_takes_everybody_down_and_brings_them_back() {
    let update = "[[phase.fault]]\nat = \"30s\"\nkind = \"update\"\n";
    let phase = phase(&lab("all-down-then-back", "4m", OUTPUTS, update), Front::Addresses);
    assert_eq!(phase.verdict, Verdict::AllDownThenBack, "{}", phase.sentence);
    assert!(phase.figures.outage >= Duration::from_secs(55), "{:?}", phase.figures.outage);
}

#[test]
fn without_a_fault_nothing_is_lost() {
    let phase = phase(&lab("unharmed", "1m", NAME, ""), Front::Balancer { detect: Duration::from_secs(1) });
    assert_eq!((phase.verdict, phase.figures.lost), (Verdict::Unharmed, 0));
    assert!((300..420).contains(&phase.figures.requests), "{}", phase.figures.requests);
}

#[test]
fn the_same_seed_gives_the_same_lab() {
    let spec = lab("part-down-then-back", "3m", NAME, KILL);
    let front = Front::Balancer { detect: Duration::from_secs(20) };
    assert_eq!(result(&spec, front), result(&spec, front));
    let mut other = spec.clone();
    other.seed = 4;
    assert_ne!(result(&spec, front), result(&other, front));
}

#[test]
fn a_stopped_lab_is_taken_down_whenever_it_stops() {
    let spec = lab("unharmed", "2m", NAME, KILL);
    for stop_after in [0, 1, 30, 60, 80] {
        let mut world = ToyWorld::new(Front::Balancer { detect: Duration::from_secs(1) });
        let outcome = run(&spec, RunOptions::default(), &mut world, &mut Watcher::new(Some(stop_after)));
        assert!(matches!(outcome, Err(LabError::Cancelled)), "{outcome:?}");
        assert_eq!(world.calls.last().map(String::as_str), Some("delete"), "after {stop_after}");
    }
}

#[test]
fn a_stack_that_fails_is_said_and_taken_down() {
    let mut world = ToyWorld::new(Front::Addresses);
    world.fails = true;
    let outcome = run(&lab("unharmed", "1m", OUTPUTS, ""), RunOptions::default(), &mut world, &mut Watcher::new(None));
    let error = outcome.expect_err("the stack failed").to_string();
    assert_eq!(error, "phase 1: stack toy ended ROLLBACK_COMPLETE: no luck");
    assert_eq!(world.calls.last().map(String::as_str), Some("delete"));
}

#[test]
fn what_the_world_cannot_do_ends_the_lab_with_its_reason() {
    let cut = "[[phase.fault]]\nat = \"10s\"\nkind = \"cut-zone\"\nzone = \"z\"\nspan = \"1m\"\n";
    let mut world = ToyWorld::new(Front::Addresses);
    let outcome = run(&lab("unharmed", "1m", OUTPUTS, cut), RunOptions::default(), &mut world, &mut Watcher::new(None));
    let error = outcome.expect_err("there is no such zone");
    let reason = std::error::Error::source(&error).and_then(|e| e.source()).map(ToString::to_string);
    assert_eq!(
        (error.to_string().as_str(), reason.as_deref()),
        ("phase 1: cutting a zone", Some("there is no such zone"))
    );
    assert_eq!(world.calls.last().map(String::as_str), Some("delete"));
}

#[test]
fn keep_leaves_the_stack_up_and_phase_chooses() {
    let spec = lab("unharmed", "1m", OUTPUTS, "");
    let mut world = ToyWorld::new(Front::Addresses);
    run(&spec, RunOptions { phase: Some(1), keep: true }, &mut world, &mut Watcher::new(None)).expect("the lab runs");
    assert!(!world.calls.contains(&"delete".to_owned()));
    let outcome = run(&spec, RunOptions { phase: Some(4), keep: false }, &mut world, &mut Watcher::new(None));
    assert_eq!(outcome.expect_err("there is no phase 4").to_string(), "no phase 4; this lab has 1");
}

#[test]
fn an_output_that_is_missing_is_named() {
    let spec = lab("unharmed", "1m", "outputs = [\"Nope\"]", "");
    let outcome = run(&spec, RunOptions::default(), &mut ToyWorld::new(Front::Addresses), &mut Watcher::new(None));
    assert!(outcome.expect_err("it is missing").to_string().contains("no output Nope"));
}
