//! The real world, tried for real: needs root, and says how much it skipped without. Its program is also what the world's processes are
//! started from, so it looks at its arguments first.

mod attached;
mod disks;
mod fixture;
mod flows;
mod inside;
mod lifecycle;
mod packets;
mod survival;

use libtest_mimic::{Arguments, Trial};
use std::path::Path;
use zonal_linux::{init, supervise};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let name = Path::new(&arguments[0]).file_name().unwrap_or_default().to_string_lossy().into_owned();
    if init::guest::NAMES.contains(&name.as_str()) {
        let code = init::guest::main(&name, &arguments[1..]);
        std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
    }
    if let [_, subcommand, directory] = &arguments[..]
        && supervise::SUBCOMMANDS.contains(&subcommand.as_str())
    {
        if let Err(error) = supervise::run(subcommand, Path::new(directory)) {
            eprintln!("{subcommand}: {error}");
            std::process::exit(1);
        }
        return;
    }
    let root = fixture::is_root();
    let mut trials = Vec::new();
    let all =
        [packets::TESTS, attached::TESTS, flows::TESTS, inside::TESTS, lifecycle::TESTS, disks::TESTS, survival::TESTS];
    for (name, test) in all.into_iter().flatten() {
        let run = move || {
            test();
            Ok(())
        };
        trials.push(Trial::test(*name, run).with_ignored_flag(!root));
    }
    if !root {
        println!("skipped {} tests of the real world: they need root", trials.len());
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
