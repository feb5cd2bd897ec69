//! The processes that `up` starts: the daemon, and the supervisor that keeps it, the warden and the plane running.

use crate::commands::CommandError;
use crate::daemon::clock::ScaledClock;
use crate::daemon::named::Named;
use crate::daemon::names::Names;
use crate::daemon::pace::Paced;
use crate::daemon::pump::{self, Beat, Timed};
use crate::daemon::{Daemon, DaemonConfig, key, serve};
use crate::settings::{self, Pace, Settings, WorldKind};
use rustix::fs::OFlags;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown, fchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use zonal_cloud::{Clock, Sync};
use zonal_dns::config::PUBLIC;
use zonal_dns::shell::{DnsServer, Options, Sockets, ZoneStore};
use zonal_linux::supervise::{LevelFilter, Processes, log};
use zonal_linux::{Internet, LinuxWorld, footprint};
use zonal_sim::{Costs, Sim};
use zonal_substrate::World;

/// How often the supervisor looks after its children.
const LOOK: Duration = Duration::from_millis(100);

/// The longest that it waits before it starts again what keeps ending.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The Linux world's part of the settings.
pub fn linux_config(settings: &Settings) -> zonal_linux::Config {
    let mut config = zonal_linux::Config::new(settings.directory.clone(), settings::daemon_owner());
    config.public = settings.public_range;
    config.vcpu_share = settings.vcpu;
    config.dns_port = settings.dns_port;
    config.speed = f64::from(settings.speed);
    if settings.shared_ids {
        config.ids = zonal_linux::Ids::Shared;
    }
    config
}

/// The processes that [`run`] runs, started by `up` with the world's directory and nothing else.
pub const PROCESSES: [&str; 2] = ["daemon", "supervise"];

/// Runs one of [`PROCESSES`] until it is told to end.
///
/// # Errors
/// Those of the process.
pub fn run(process: &str, directory: &Path) -> Result<(), CommandError> {
    let settings =
        Settings::load(directory).map_err(|error| CommandError::file(directory.join("zonal.json"), error))?;
    log(LevelFilter::INFO);
    if process == "daemon" { daemon(&settings) } else { supervise(&settings) }
}

/// Takes the world's directory, for the one process that keeps the world running.
fn hold(settings: &Settings) -> Result<fs::File, CommandError> {
    let held = settings::hold(&settings.directory).map_err(|error| CommandError::file(&settings.directory, error))?;
    held.ok_or_else(|| {
        let directory = settings.directory.display();
        CommandError::said(format!("a world runs already in {directory}: `zonal down` ends it"))
    })
}

/// Runs the control plane until it is told to end (SIGTERM, SIGINT).
///
/// # Errors
/// The world or the state cannot be had.
fn daemon(settings: &Settings) -> Result<(), CommandError> {
    // In the real world the supervisor has the directory.
    let _held = (settings.world == WorldKind::Sim).then(|| hold(settings)).transpose()?;
    let state = settings.state_directory();
    fs::create_dir_all(&state).map_err(|error| CommandError::file(&state, error))?;
    let clock = Arc::new(ScaledClock::open((!settings.ephemeral).then(|| state.join("clock.json")), settings.speed));
    let (beat, beats) = pump::beats();
    let (mut zones, mut internet) = (None, None);
    let (world, sim): (Arc<dyn World>, Option<Arc<Sim>>) = match settings.world {
        WorldKind::Sim => {
            let sim = Arc::new(Sim::new(clock.now().0, Costs { vcpu_share: settings.vcpu, ..Costs::default() }));
            sim.ask(vec![zonal_substrate::Ask::SetSpeed(settings.speed)]);
            let named = Arc::new(Named::new(sim.clone()));
            let places = settings.directory.join("places.json");
            named.zones.load_places(&places).map_err(|error| CommandError::file(&places, error))?;
            zones = Some(named.zones.clone());
            (named, Some(sim))
        }
        WorldKind::Linux => {
            let config = zonal_linux::Config::load(&settings.directory)?;
            // The plane is of the same user.
            zonal_linux::keep_equals_out();
            internet = Some(Internet::of(&config));
            let reports = beat.clone();
            let listener = Box::new(move |report| {
                // The pump ends only with the process.
                let _ = reports.send(Beat::Report(report));
            });
            (Arc::new(LinuxWorld::connect(config, clock.clone(), listener)?), None)
        }
    };
    let mut timed = Timed { sim, paced: None };
    let mut world = world;
    if settings.pace == Pace::Aws {
        let nudge = beat.clone();
        let changed = Box::new(move || {
            let _ = nudge.send(Beat::Nudge);
        });
        let paced = Arc::new(Paced::new(world, clock.clone(), changed));
        (world, timed.paced) = (paced.clone(), Some(paced));
    }
    let config = DaemonConfig {
        state: (!settings.ephemeral).then(|| state.join("state.sqlite")),
        sync: if settings.sync_full { Sync::Full } else { Sync::Process },
        public_range: settings.public_range,
        key: key::of(&state.join("world.key"), settings.ephemeral)
            .map_err(|error| CommandError::file(state.join("world.key"), error))?,
        port: settings.port,
        seed: settings.seed,
        settle: settings.settle,
        inside: (settings.world == WorldKind::Linux).then(|| linux_config(settings).services_socket()),
        directory: settings.directory.clone(),
    };
    let nudge = beat.clone();
    let nudge = move || {
        let _ = nudge.send(Beat::Nudge);
    };
    let daemon = Arc::new(Daemon::open(config, world, timed, clock, nudge)?);
    daemon.cloud.start();
    let pumped = daemon.clone();
    // Dropped with the thread, however that ends.
    let (pumping, pump_over) = tokio::sync::oneshot::channel::<()>();
    let pump = std::thread::Builder::new()
        .name("pump".to_owned())
        .spawn(move || {
            let _pumping = pumping;
            pump::run(&pumped, &pumped.timed, &beats);
        })
        .map_err(|error| CommandError::file("a thread", error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::file("a runtime", error))?;
    footprint::let_go_when_settled();
    let served = runtime.block_on(async {
        // In the real world the plane answers.
        let _names = zones.and_then(|zones| answer_names(settings, &zones));
        // An API that answers while nothing drives what it stores would be worse than none: who keeps us running starts us again.
        let end = async {
            tokio::select! {
                () = asked_to_end() => {}
                _ = pump_over => {}
            }
        };
        serve(daemon, Names::new(settings.dns(), internet), end).await
    });
    let _ = beat.send(Beat::End);
    pump.join().map_err(|_| CommandError::said("what drives the control plane has failed; its log says where"))?;
    Ok(served?)
}

/// Answers the public names of a virtual world, where the port can be had.
fn answer_names(settings: &Settings, zones: &Arc<ZoneStore>) -> Option<DnsServer> {
    let started = (|| {
        let (udp, tcp) = (UdpSocket::bind(settings.dns())?, TcpListener::bind(settings.dns())?);
        let sockets = Sockets { udp: vec![udp], tcp: vec![tcp] };
        DnsServer::start(zones, sockets, Options::authoritative(PUBLIC, settings.seed))
    })();
    started.inspect_err(|error| tracing::warn!("names are not answered at {}: {error}", settings.dns())).ok()
}

async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        // Without handlers the signals end the process by themselves.
        _ => std::future::pending().await,
    }
}

/// Keeps warden, plane and daemon running until it is told to end.
///
/// # Errors
/// A process does not come up.
fn supervise(settings: &Settings) -> Result<(), CommandError> {
    let _held = hold(settings)?;
    zonal_linux::keep_equals_out();
    let config = linux_config(settings);
    // All at once: each waits for what it needs of the others.
    let mut processes = Processes::spawn(&config)?;
    let state = settings.state_directory();
    fs::create_dir_all(&state).map_err(|error| CommandError::file(&state, error))?;
    give(&state, config.owner)?;
    let mut daemon = spawn_daemon(settings, config.owner)?;
    if let Err(error) = processes.await_up() {
        let _ = daemon.kill();
        let _ = daemon.wait();
        processes.stop();
        return Err(error.into());
    }
    footprint::let_go_when_settled();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::file("a runtime", error))?;
    runtime.block_on(async {
        let end = asked_to_end();
        tokio::pin!(end);
        let mut pause = LOOK;
        loop {
            tokio::select! {
                () = &mut end => return,
                () = tokio::time::sleep(pause) => {}
            }
            // One that ends again and again is started less and less often; whatever goes wrong here, the rest is looked after.
            let ended = !matches!(daemon.try_wait(), Ok(None));
            let others = processes.keep();
            pause = match &others {
                Err(_) => LONGEST_PAUSE,
                Ok(others) if ended || *others => (pause * 2).min(LONGEST_PAUSE),
                Ok(_) => LOOK,
            };
            if let Err(error) = others {
                tracing::error!("{error}");
            }
            if ended {
                match spawn_daemon(settings, config.owner) {
                    Ok(child) => daemon = child,
                    Err(error) => tracing::error!("{error}"),
                }
            }
        }
    });
    let _ = daemon.kill();
    let _ = daemon.wait();
    // While the warden still answers, instances are shut down in order.
    if let Err(error) = zonal_linux::supervise::down(&config) {
        tracing::error!("{error}");
    }
    processes.stop();
    Ok(())
}

/// Makes the daemon's files its own, also where another user ran it before. Whoever has the directory already can put anything there:
/// what is no file of its own but leads to another's, by a link of either kind, stays whose it is.
fn give(directory: &std::path::Path, owner: (u32, u32)) -> Result<(), CommandError> {
    let failed = |error| CommandError::file(directory, error);
    chown(directory, Some(owner.0), Some(owner.1)).map_err(failed)?;
    for entry in fs::read_dir(directory).map_err(failed)?.flatten() {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let Ok(file) = fs::File::options().read(true).custom_flags(flags).open(entry.path()) else { continue };
        let found = file.metadata().map_err(failed)?;
        if found.is_dir() || found.is_file() && found.nlink() == 1 {
            fchown(&file, Some(owner.0), Some(owner.1)).map_err(failed)?;
        }
    }
    Ok(())
}

fn spawn_daemon(settings: &Settings, owner: (u32, u32)) -> Result<Child, CommandError> {
    let program = std::env::current_exe().map_err(|error| CommandError::file("our own program", error))?;
    // By this link, which needs no way through directories that the owner may not enter (a checkout below /root).
    let mut command = Command::new("/proc/self/exe");
    command.arg0(&program).arg("daemon").arg(&settings.directory).stdin(Stdio::null()).stdout(Stdio::null());
    command.uid(owner.0).gid(owner.1);
    command.spawn().map_err(|error| CommandError::file(program, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_a_link_leads_to_is_not_given_away_with_the_directory() {
        let place = tempfile::tempdir().unwrap();
        let (theirs, state) = (place.path().join("theirs"), place.path().join("state"));
        fs::create_dir(&state).unwrap();
        for path in [&theirs, &state.join("state.sqlite")] {
            fs::write(path, "").unwrap();
        }
        symlink(&theirs, state.join("soft")).unwrap();
        fs::hard_link(&theirs, state.join("hard")).unwrap();
        symlink("nowhere", state.join("dangling")).unwrap();
        let (user, group) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        // Root may give things away; others only to themselves, and see at least that links are not followed.
        let to = if user == 0 { (65_534, 65_534) } else { (user, group) };
        give(&state, to).unwrap();
        let owner = |path: &Path| fs::symlink_metadata(path).map(|found| (found.uid(), found.gid())).unwrap();
        assert_eq!((owner(&state), owner(&state.join("state.sqlite"))), (to, to));
        assert_eq!(owner(&theirs), (user, group));
    }
}
