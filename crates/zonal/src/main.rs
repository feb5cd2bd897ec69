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
    if let [_, process, directory] = arguments.as_slice() {
        if zonal_linux::supervise::SUBCOMMANDS.contains(&process.as_str()) {
            return commands::exit(zonal_linux::supervise::run(process, std::path::Path::new(directory)));
        }
    }
    commands::run(commands::Arguments::parse())
}
