//! `zonal down`.

use crate::commands::{CommandError, Where, run_daemon};
use crate::settings::{Settings, WorldKind};
use clap::Args;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Options of `zonal down`.
#[derive(Args)]
pub struct DownArguments {
    #[command(flatten)]
    place: Where,
    /// Leave nothing at all: state, disks and images go too
    #[arg(long)]
    purge: bool,
}

/// Ends a world.
///
/// # Errors
/// There is none, or something of it does not end.
pub fn run(arguments: &DownArguments) -> Result<(), CommandError> {
    let directory = arguments.place.existing();
    let settings = match Settings::load(&directory) {
        Ok(settings) => settings,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("There is no world in {}.", directory.display());
            return Ok(());
        }
        Err(error) => return Err(CommandError::file(directory.join("zonal.json"), error)),
    };
    end(&settings, arguments.purge)?;
    println!(
        "{}",
        if arguments.purge {
            "Zonal is down; nothing is left."
        } else {
            "Zonal is down; its state and disks are kept."
        }
    );
    Ok(())
}

/// Ends a world, whatever of it still runs.
///
/// # Errors
/// Something of it does not end.
pub fn end(settings: &Settings, purge: bool) -> Result<(), CommandError> {
    // The supervisor ends what it looks after; what is left then was left by one that was killed.
    for role in ["supervise", "daemon", "warden", "plane"] {
        for (_, pid) in ours(&settings.directory).into_iter().filter(|(own, _)| own == role) {
            stop(role, pid)?;
        }
    }
    if settings.world == WorldKind::Linux {
        let config = run_daemon::linux_config(settings);
        if purge { zonal_linux::supervise::purge(&config)? } else { zonal_linux::supervise::down(&config)? }
    }
    if purge {
        match fs::remove_dir_all(&settings.directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(CommandError::file(&settings.directory, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The processes that run this world: (role, process id).
pub fn ours(directory: &Path) -> Vec<(String, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let wanted = directory.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<String> =
            line.split(|b| *b == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        // Whatever the program is called: it may be a copy, or a link.
        if let [_, role, of, ..] = words.as_slice()
            && *of == wanted
            && matches!(role.as_str(), "supervise" | "daemon" | "warden" | "plane")
        {
            found.push((role.clone(), pid));
        }
    }
    found
}

fn stop(role: &str, pid: u32) -> Result<(), CommandError> {
    let alive = || {
        Path::new(&format!("/proc/{pid}/cmdline")).exists()
            && fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
    };
    // The supervisor shuts the instances down before it ends.
    let patience = Duration::from_secs(if role == "supervise" { 20 } else { 3 });
    for (signal, patience) in [("-TERM", patience), ("-KILL", Duration::from_secs(3))] {
        // It may have ended by itself meanwhile.
        let _ = Command::new("kill").arg(signal).arg(pid.to_string()).stderr(Stdio::null()).status();
        let deadline = Instant::now() + patience;
        while alive() {
            if Instant::now() > deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if !alive() {
            return Ok(());
        }
    }
    Err(CommandError::said(format!("the {role} (process {pid}) does not end")))
}
