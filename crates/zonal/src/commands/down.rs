//! `zonal down`.

use crate::commands::{CommandError, Where, run_daemon};
use crate::settings::{Settings, WorldKind};
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
        // A purge that was broken off may have left this much.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && arguments.purge && removed(&directory) => {
            println!("{} was empty, and is removed.", directory.display());
            return Ok(());
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("There is no world in {}.", directory.display());
            return Ok(());
        }
        Err(error) => return Err(CommandError::file(directory.join("zonal.json"), error)),
    };
    let ran = !ours(&settings.directory).is_empty();
    end(&settings, arguments.purge)?;
    if ran || arguments.purge {
        println!("{}", told(arguments.purge));
    } else {
        println!("Zonal was down already; its state and disks are kept.");
    }
    Ok(())
}

/// Whether a directory was there, and empty, and is removed.
fn removed(directory: &Path) -> bool {
    fs::remove_dir(directory).is_ok()
}

/// What has come of ending a world, for whoever ended it.
pub fn told(purged: bool) -> &'static str {
    if purged { "Zonal is down; nothing is left." } else { "Zonal is down; its state and disks are kept." }
}

/// Ends a world, whatever of it still runs.
///
/// # Errors
/// Something of it does not end.
pub fn end(settings: &Settings, purge: bool) -> Result<(), CommandError> {
    // The supervisor ends what it looks after; what is left then was left by one that was killed.
    for role in ["supervise", "daemon", "warden", "plane"] {
        // One that it was just starting goes by its own name until it runs its program: looked for again, it has the one or the other.
        loop {
            let mut found = ours(&settings.directory);
            found.retain(|(own, _)| own == role);
            if found.is_empty() {
                break;
            }
            for (_, pid) in found {
                stop(&settings.directory, role, pid)?;
            }
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
    processes().filter_map(|pid| Some((role_of(pid, directory)?, pid))).collect()
}

/// The settings of a real world in another directory that has some of the same public addresses and of which something runs.
/// What is in a network of its own (a container's) shares no address with us.
pub fn neighbour(settings: &Settings) -> Option<Settings> {
    let network = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
    let own = network("self");
    let others: BTreeSet<PathBuf> = processes()
        .filter_map(|pid| Some((pid, part_of(pid)?.1)))
        // Of another user's process it can't be seen: what it runs in is most often what we do.
        .filter(|(pid, _)| network(&pid.to_string()).is_none_or(|network| own.as_ref() == Some(&network)))
        .map(|(_, directory)| directory)
        .filter(|directory| *directory != settings.directory)
        .collect();
    let shares = |other: &Settings| {
        let (one, two) = (other.public_range, settings.public_range);
        other.world == WorldKind::Linux && (one.contains(&two) || two.contains(&one))
    };
    others.iter().filter_map(|directory| Settings::load(directory).ok()).find(shares)
}

/// The ids of all processes.
fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// What a process does for this world, if it does.
fn role_of(pid: u32, directory: &Path) -> Option<String> {
    part_of(pid).filter(|(_, of)| of == directory).map(|(role, _)| role)
}

/// What a process does for a world, and for which, if it does: its role and the world's directory.
fn part_of(pid: u32) -> Option<(String, PathBuf)> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<&[u8]> = line.split(|b| *b == 0).collect();
    // Whatever the program is called: it may be a copy, or a link.
    let [_, role @ (b"supervise" | b"daemon" | b"warden" | b"plane"), directory, ..] = words.as_slice() else {
        return None;
    };
    Some((String::from_utf8_lossy(role).into_owned(), PathBuf::from(OsStr::from_bytes(directory))))
}

/// Ends a process by its handle, so that no other that has its number by now is meant.
fn stop(directory: &Path, role: &str, pid: u32) -> Result<(), CommandError> {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
    // One that has ended by itself has no handle, or its number is another's.
    let Ok(handle) = pidfd_open(number, PidfdFlags::empty()) else { return Ok(()) };
    if role_of(pid, directory).as_deref() != Some(role) {
        return Ok(());
    }
    // The supervisor shuts the instances down before it ends.
    let patience = Duration::from_secs(if role == "supervise" { 20 } else { 3 });
    for (signal, patience) in [(Signal::TERM, patience), (Signal::KILL, Duration::from_secs(3))] {
        match pidfd_send_signal(&handle, signal) {
            Ok(()) => {}
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            Err(error) => {
                return Err(CommandError::said(format!("the {role} (process {pid}) can't be ended: {error}")));
            }
        }
        let patience = Timespec { tv_sec: patience.as_secs().cast_signed(), tv_nsec: 0 };
        // Readable once it has ended.
        if poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&patience)).is_ok_and(|ready| ready > 0) {
            return Ok(());
        }
    }
    Err(CommandError::said(format!("the {role} (process {pid}) does not end")))
}
