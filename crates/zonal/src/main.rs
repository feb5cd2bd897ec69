//! `zonal`: classic AWS architectures on one Linux machine, for real.
#![forbid(unsafe_code)]

mod commands;
mod daemon;
mod lab;
mod settings;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // The world's own processes start from this file too, before anything else may have made a thread.
    let arguments: Vec<String> = std::env::args().collect();
    // Inside an instance this file goes by the names of a booted system's commands (`systemctl`, `shutdown`, …).
    let name =
        arguments.first().and_then(|program| std::path::Path::new(program).file_name()?.to_str()).unwrap_or_default();
    if zonal_linux::init::guest::NAMES.contains(&name) {
        return zonal_linux::init::guest::main(name, &arguments[1..]);
    }
    if let [_, process, directory] = arguments.as_slice()
        && zonal_linux::supervise::SUBCOMMANDS.contains(&process.as_str())
    {
        return commands::exit(zonal_linux::supervise::run(process, std::path::Path::new(directory)));
    }
    // Nor do these wait for a whole command line to be put together.
    if let [_, process, directory] = arguments.as_slice()
        && commands::run_daemon::PROCESSES.contains(&process.as_str())
    {
        return commands::exit(commands::run_daemon::run(process, std::path::Path::new(directory)));
    }
    commands::run(commands::Arguments::parse())
}
