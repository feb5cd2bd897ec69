//! The program as its users run it: `zonal up` and what comes after, in a world of each test's own.
//!
//! Tests of the real world need root; without, they are skipped, and how many is printed.
#![forbid(unsafe_code)]

mod commands;
mod hostile;
mod lab;
mod leftovers;
mod stability;
mod survival;
mod world;

use libtest_mimic::{Arguments, Trial};

/// A test, by the fact that it states.
type Test = (&'static str, fn());

fn main() {
    let root = world::is_root();
    let trial = |(name, test): &Test, ignored: bool| {
        let (name, test) = (*name, *test);
        let run = move || {
            test();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(ignored)
    };
    let virtual_world = hostile::TESTS.iter().chain(commands::VIRTUAL).chain(lab::TESTS);
    let real_world: Vec<&Test> = commands::REAL.iter().chain(stability::TESTS).chain(survival::TESTS).collect();
    let mut trials: Vec<Trial> = virtual_world.map(|test| trial(test, false)).collect();
    trials.extend(real_world.iter().map(|test| trial(test, !root)));
    if !root {
        println!("skipped {} tests of the real world: they need root", real_world.len());
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
