//! Boots, stops, crashes and cut zones.

use crate::town::{Town, sandbox, zone};
use std::time::Duration;
use zonal_sim::Ending::{Refused, Silence, Status};
use zonal_substrate::{Ask, Report, SandboxState, StopCause, World};

const MOMENT: Duration = Duration::from_secs(2);

fn said(town: &mut Town, id: &str) -> Vec<(u64, SandboxState)> {
    let all = std::mem::take(&mut town.heard);
    all.into_iter()
        .filter_map(|report| match report {
            Report::Sandbox { id: own, generation, state } if own == id => Some((generation, state)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_machine_runs_then_its_user_data_ends_and_only_then_it_answers() {
    let mut town = Town::with(1);
    assert_eq!(said(&mut town, "i-0"), [(1, SandboxState::Running), (1, SandboxState::UserDataDone { exit: 0 })]);
    town.ask([Ask::StopSandbox { id: "i-0".into(), generation: 1, force: false }]);
    town.pass(MOMENT);
    assert_eq!(said(&mut town, "i-0"), [(1, SandboxState::Stopped(StopCause::Asked))]);
    assert_eq!(town.visit(0, 80).ending, Silence, "a machine that is off refuses nothing");
    town.ask([sandbox(0, 2)]);
    town.pass(Duration::from_millis(100));
    assert_eq!(said(&mut town, "i-0"), [(2, SandboxState::Running)]);
    assert_eq!(town.visit(0, 80).ending, Refused, "it runs, and nothing listens yet");
    town.pass(MOMENT);
    assert_eq!(said(&mut town, "i-0"), [], "user data runs at the first start only");
    assert_eq!(town.visit(0, 80).ending, Status(200));
}

#[test]
fn a_start_that_runs_already_is_not_done_again() {
    let mut town = Town::with(1);
    town.heard.clear();
    town.ask([sandbox(0, 1)]);
    town.pass(MOMENT);
    assert_eq!(said(&mut town, "i-0"), []);
}

#[test]
fn a_stop_or_a_crash_of_an_earlier_start_leaves_a_later_one_alone() {
    let mut town = Town::with(1);
    town.ask([sandbox(0, 2)]);
    town.pass(MOMENT);
    town.heard.clear();
    town.ask([
        Ask::StopSandbox { id: "i-0".into(), generation: 1, force: true },
        Ask::CrashSandbox { id: "i-0".into(), generation: 1 },
    ]);
    town.pass(MOMENT);
    assert_eq!(town.visit(0, 80).ending, Status(200));
    town.ask([Ask::CrashSandbox { id: "i-0".into(), generation: 2 }]);
    town.pass(MOMENT);
    assert!(matches!(said(&mut town, "i-0").last(), Some((2, SandboxState::Stopped(StopCause::Died(_))))));
    assert_eq!(town.visit(0, 80).ending, Silence);
}

#[test]
fn a_cut_zone_is_silent_and_its_machines_stay_dead_when_it_is_whole_again() {
    let mut town = Town::with(2);
    town.heard.clear();
    town.ask([Ask::SetZone { zone: zone(0), cut: true }]);
    town.pass(MOMENT);
    assert_eq!((town.visit(0, 80).ending, town.visit(1, 80).ending), (Silence, Status(200)));
    assert_eq!(said(&mut town, "i-1"), []);
    town.ask([sandbox(0, 2)]);
    town.pass(MOMENT);
    assert!(
        matches!(said(&mut town, "i-0")[..], [(2, SandboxState::Stopped(StopCause::ZoneCut))]),
        "nothing starts in it"
    );
    town.ask([Ask::SetZone { zone: zone(0), cut: false }]);
    town.pass(MOMENT);
    assert_eq!(town.visit(0, 80).ending, Silence);
}

#[test]
fn what_was_removed_is_not_in_the_inventory_and_is_said_to_be_gone() {
    let mut town = Town::with(1);
    let stock = town.sim.inventory();
    assert_eq!((stock.sandboxes.len(), stock.interfaces.len(), stock.networks.len()), (1, 1, 1));
    town.heard.clear();
    town.ask([
        Ask::RemoveSandbox("i-0".into()),
        Ask::RemoveInterface("eni-0".into()),
        Ask::RemoveNetwork("vpc-1".into()),
    ]);
    town.pass(MOMENT);
    assert_eq!(town.sim.inventory(), zonal_substrate::Inventory::default());
    for gone in [
        Report::SandboxRemoved("i-0".into()),
        Report::InterfaceRemoved("eni-0".into()),
        Report::NetworkRemoved("vpc-1".into()),
    ] {
        assert!(town.heard.contains(&gone), "{gone:?}");
    }
}

#[test]
fn the_same_asks_at_the_same_times_give_the_same_reports() {
    let run = || {
        let mut town = Town::with(4);
        town.ask([Ask::CrashSandbox { id: "i-2".into(), generation: 1 }, sandbox(1, 2)]);
        town.pass(Duration::from_secs(300));
        town.heard
    };
    assert_eq!(run(), run());
}
