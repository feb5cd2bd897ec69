//! `zonal doctor`: what this machine can run, a line for each thing that the real world needs, and what to do where it is missing.
//!
//! It looks and tries, in namespaces of its own; it changes nothing.

mod host;
mod machine;

use crate::commands::Where;
use crate::settings::{Settings, WorldKind};
use clap::Args;
use serde::Serialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// The exit code where the real world can't run here.
const CANNOT: u8 = 3;

/// Options of `zonal doctor`.
#[derive(Args)]
pub struct DoctorArguments {
    #[command(flatten)]
    place: Where,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Finding {
    /// As it must be.
    Ok,
    /// The real world runs without; something is less.
    Note,
    /// The real world can't run without.
    Missing,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    finding: Finding,
    /// What was found.
    found: String,
    /// What to do, where there is something.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, finding: Finding::Ok, found: found.into(), remedy: None }
    }

    fn note(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, finding: Finding::Note, found: found.into(), remedy: Some(remedy.into()) }
    }

    fn missing(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, finding: Finding::Missing, found: found.into(), remedy: Some(remedy.into()) }
    }
}

/// Looks at everything; 0 if the real world can run, 3 if not.
pub fn run(arguments: &DoctorArguments) -> ExitCode {
    let directory = arguments.place.directory();
    let settings = Settings::load(&directory).unwrap_or_else(|_| Settings::new(directory, WorldKind::Linux));
    let mut checks = machine::checks();
    checks.extend(host::checks(&settings));
    let can = checks.iter().all(|check| check.finding != Finding::Missing);
    if arguments.json {
        println!("{:#}", serde_json::json!({ "real_world": can, "checks": checks }));
    } else {
        for check in &checks {
            let word = match check.finding {
                Finding::Ok => "ok",
                Finding::Note => "note",
                Finding::Missing => "missing",
            };
            println!("{word:<8} {:<19} {}", check.name, check.found);
            if let Some(remedy) = &check.remedy {
                println!("{:<28} -> {remedy}", "");
            }
        }
        println!("{}", verdict(can));
    }
    if can { ExitCode::SUCCESS } else { ExitCode::from(CANNOT) }
}

fn verdict(can: bool) -> &'static str {
    if can {
        "The real world can run here: zonal up --detach"
    } else {
        "The real world can't run here yet. `zonal up --world sim` needs none of this; all that it shows is modelled."
    }
}

/// What is missing on this machine, one line each: for `zonal up`, before it tries.
pub fn missing() -> Vec<String> {
    let lacking = machine::checks().into_iter().filter(|check| check.finding == Finding::Missing);
    lacking.map(|check| format!("{}: {}; {}", check.name, check.found, check.remedy.unwrap_or_default())).collect()
}

/// A file's text; none where it can't be read.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Where a program of the system's is: what root runs is looked up nowhere else.
fn system_program(name: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        .map(|directory| Path::new(directory).join(name))
        .into_iter()
        .find(|file| file.is_file())
}

/// Why a command did not succeed.
enum Failure {
    /// There is no such program.
    Absent,
    /// What it said.
    Said(String),
}

fn succeeds(command: &mut Command) -> Result<(), Failure> {
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it failed and said nothing");
            Err(Failure::Said(line.trim().to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::Absent),
        Err(error) => Err(Failure::Said(error.to_string())),
    }
}
