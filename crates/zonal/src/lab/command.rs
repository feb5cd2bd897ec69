//! The command: which case, which world, what is printed.

use crate::commands::{CommandError, doctor, up};
use crate::lab::progress::Shown;
use crate::lab::real::RealLab;
use crate::lab::virtual_::VirtualLab;
use crate::settings::{is_root, sudo_caller};
use clap::{Args, ValueEnum};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zonal_lab::{LabError, LabResult, LabSpec, RunOptions, compare, report, table};

/// Options of `zonal lab`.
#[derive(Args)]
pub struct LabArguments {
    /// A case (whatsthetime), or the path of a lab.toml
    case: String,
    /// Which world
    #[arg(long, value_enum, default_value = "linux")]
    world: LabWorldKind,
    /// Run this phase only
    #[arg(long, value_name = "N")]
    phase: Option<u32>,
    /// Leave the last phase up, to play with
    #[arg(long)]
    keep: bool,
    /// Print the result as JSON, and nothing else on standard output
    #[arg(long)]
    json: bool,
    /// Where the HTML report goes
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Draw chance from this instead of the lab's own seed
    #[arg(long)]
    seed: Option<u64>,
    /// The share of a core that a vCPU is
    #[arg(long, default_value_t = 0.1)]
    vcpu: f64,
}

/// Which world a lab runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LabWorldKind {
    /// Processes and packets
    Linux,
    /// Modelled, in virtual time
    Sim,
}

/// Runs a lab; the exit code.
pub fn run(arguments: &LabArguments) -> ExitCode {
    if arguments.world == LabWorldKind::Linux && !is_root() {
        let missing = doctor::missing();
        if !missing.is_empty() {
            return up::cannot(&missing);
        }
    }
    crate::commands::exit_or_interrupted(measured(arguments))
}

fn failed(error: LabError) -> CommandError {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    match error {
        LabError::Cancelled => CommandError::Interrupted(text),
        _ => CommandError::said(text),
    }
}

fn measured(arguments: &LabArguments) -> Result<(), CommandError> {
    let path = find(&arguments.case)?;
    let mut spec = LabSpec::load(&path).map_err(failed)?;
    spec.seed = arguments.seed.unwrap_or(spec.seed);
    let options = RunOptions { phase: arguments.phase, keep: arguments.keep };
    let mut shown = Shown::new(arguments.json);
    let (result, agreements, kept) = match arguments.world {
        LabWorldKind::Sim => (modelled(&spec, options, arguments.vcpu, &mut shown)?, Vec::new(), None),
        LabWorldKind::Linux => {
            let mut world = RealLab::start(arguments.vcpu)?;
            let settings = world.settings().clone();
            let ran = zonal_lab::run(&spec, options, &mut world, &mut shown).map_err(failed);
            if !arguments.keep || ran.is_err() {
                world.end()?;
            }
            let real = ran?;
            let options = RunOptions { keep: false, ..options };
            let seeds = (0..SEEDS).map(|more| LabSpec { seed: spec.seed.wrapping_add(more), ..spec.clone() });
            let modelled = seeds.map(|spec| modelled(&spec, options, arguments.vcpu, &mut Shown::new(true)));
            let agreements = compare::compare(&real, &modelled.collect::<Result<Vec<_>, _>>()?);
            (real, agreements, arguments.keep.then_some(settings))
        }
    };
    let page = arguments.report.clone().unwrap_or_else(|| PathBuf::from(format!("{}-lab.html", result.name)));
    fs::write(&page, report::html(&result, &agreements)).map_err(|error| CommandError::file(&page, error))?;
    if let Some((user, group)) = sudo_caller() {
        // It is who called sudo that reads it, and removes it.
        chown(&page, Some(user), Some(group)).map_err(|error| CommandError::file(&page, error))?;
    }
    if arguments.json {
        println!("{}", result.to_json().map_err(failed)?);
        return Ok(());
    }
    println!("\n{}", table::text(&result, &agreements));
    println!("Report: {}", fs::canonicalize(&page).unwrap_or(page).display());
    match kept {
        Some(settings) => println!(
            "The last phase is left up at {0}, its DNS at {1} (dig @{2} -p {3} NAME): eval \"$(zonal env --home {4})\", and \
             `zonal down --purge --home {4}` ends it.",
            settings.endpoint(),
            settings.dns(),
            settings.dns().ip(),
            settings.dns().port(),
            settings.directory.display()
        ),
        None => println!(
            "Next: `zonal up --detach`, deploy cases/{0}/phase-5.yaml, open http://{0}.com.localhost:4566/",
            result.name
        ),
    }
    Ok(())
}

/// Virtual runs that a real one is compared with: about a second each.
const SEEDS: u64 = 5;

fn modelled(spec: &LabSpec, options: RunOptions, vcpu: f64, shown: &mut Shown) -> Result<LabResult, CommandError> {
    let mut world = VirtualLab::new(spec.seed, vcpu)?;
    zonal_lab::run(spec, options, &mut world, shown).map_err(failed)
}

/// The lab.toml of a case: a path, or below `cases/` here or beside the program's source.
fn find(case: &str) -> Result<PathBuf, CommandError> {
    let given = Path::new(case);
    if given.is_file() {
        return Ok(given.to_owned());
    }
    let program = std::env::current_exe().unwrap_or_default();
    let here = std::env::current_dir().unwrap_or_default();
    let places: Vec<PathBuf> =
        here.ancestors().chain(program.ancestors()).map(|directory| directory.join("cases")).collect();
    let found = places.iter().map(|cases| cases.join(case).join("lab.toml")).find(|path| path.is_file());
    found.ok_or_else(|| {
        let all: BTreeSet<String> = places.iter().flat_map(|cases| names(cases)).collect();
        let all: Vec<String> = all.into_iter().collect();
        CommandError::said(match all.as_slice() {
            [] => format!("there is no case `{case}`, nor any other: cases/*/lab.toml is looked for from here upwards"),
            _ => format!("there is no case `{case}`; there are: {}; or the path of a lab.toml", all.join(", ")),
        })
    })
}

/// The cases in a directory.
fn names(cases: &Path) -> Vec<String> {
    let entries = fs::read_dir(cases).into_iter().flatten().flatten();
    let labs = entries.filter(|entry| entry.path().join("lab.toml").is_file());
    labs.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
