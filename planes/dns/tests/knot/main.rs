//! Answers beside Knot's: 10,000 generated queries over generated zones with wildcards, delegations, CNAME chains, empty names, and
//! all types. Codes, flags and sections must be the same but for what [`compare::explained`] explains.
//!
//! A program of its own, so that it can say that it was skipped where Knot is not installed.

#![allow(clippy::disallowed_methods, reason = "a test that starts a server and asks it")]

mod compare;
mod generate;
mod peer;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

/// Zones, and queries about each.
const ZONES: u64 = 20;
const QUERIES: usize = 500;

fn main() -> ExitCode {
    let program = peer::program();
    let is_missing = program.is_none();
    let run = move || {
        let program = program.ok_or("Knot is not installed")?;
        answers_are_those_of_knot(&program).map_err(Into::into)
    };
    let trial = Trial::test("answers_are_those_of_knot", run).with_ignored_flag(is_missing);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn answers_are_those_of_knot(program: &std::path::Path) -> Result<(), String> {
    let zones: Vec<generate::Zone> = (0..ZONES).map(generate::zone).collect();
    let knot = peer::Knot::start(program, &zones)?;
    let snapshot = generate::snapshot(&zones)?;
    let (mut wrong, mut explained) = (String::new(), 0);
    for (number, zone) in zones.iter().enumerate() {
        for (name, rtype) in generate::queries(zone, number as u64, QUERIES) {
            let query = compare::query(&name, &rtype)?;
            let theirs = compare::read(&knot.ask(&query)?)?;
            let ours = compare::read(&compare::answer(&snapshot, &query)?)?;
            match compare::explained(ours, theirs) {
                Ok(same) => explained += usize::from(!same),
                Err(differ) => {
                    let (ours, theirs) = *differ;
                    wrong.push_str(&format!("\n{name} {rtype}\nours\n{ours}\nKnot's\n{theirs}\n"));
                }
            }
        }
    }
    println!("{} queries, {explained} with explained differences", ZONES as usize * QUERIES);
    if wrong.is_empty() { Ok(()) } else { Err(format!("{} differ:{wrong}", wrong.matches("\nours\n").count())) }
}
