//! `zonal up`.

use crate::commands::interrupts::{Interrupts, Over};
use crate::commands::{CommandError, Where, api, doctor};
use crate::daemon::pace;
use crate::settings::{self, Pace, Settings, WorldKind};
use clap::{Args, ValueEnum};
use std::fs::{self, File};
use std::io::Write;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The exit code where the real world can't run here.
const CANNOT: u8 = 3;
/// How long a world may take to come up: longer than its processes wait for each other, so that they say which did not.
const COMES_UP: Duration = Duration::from_secs(100);
/// For so long at most a world that does not answer is given to let go of its directory.
const LETTING_GO: Duration = Duration::from_secs(2);

/// Which world is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Asked {
    /// The real one; where it can't run, say so (never another instead)
    Auto,
    /// Processes and packets
    Linux,
    /// Modelled, in virtual time
    Sim,
}

/// Options of `zonal up`.
#[derive(Args)]
pub struct UpArguments {
    #[command(flatten)]
    place: Where,
    /// Return when the world is up, and leave it running
    #[arg(long, short)]
    detach: bool,
    /// Which world
    #[arg(long, value_enum, default_value = "auto")]
    world: Asked,
    /// The API's port on localhost
    #[arg(long, default_value_t = 4566)]
    port: u16,
    /// The port of the world's DNS on localhost
    #[arg(long, default_value_t = 4553)]
    dns_port: u16,
    /// Which range of public addresses: 0 is 127.100.0.0/16, 1 is 127.101.0.0/16, …
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=27), value_name = "N")]
    range: u8,
    /// Run the world's clock so many times faster than real time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000), value_name = "N")]
    speed: u32,
    /// How long things take beside what the machine needs
    #[arg(long, value_enum, default_value = "fast")]
    pace: Pace,
    /// Keep nothing: the state lives in memory only
    #[arg(long)]
    ephemeral: bool,
    /// Make every acknowledged change survive the loss of power too
    #[arg(long)]
    sync_full: bool,
    /// Whether a Describe waits for what it names to leave a transition: 0 turns it off
    #[arg(long, default_value_t = 1, value_name = "0|1")]
    settle: u8,
    /// The share of a core that a vCPU is
    #[arg(long, default_value_t = 0.1)]
    vcpu: f64,
    /// Give all instances the same ids (what is done by itself where each can't have its own)
    #[arg(long)]
    shared_ids: bool,
    /// Where chance comes from, to see the same again in a virtual world
    #[arg(long)]
    seed: Option<u64>,
}

impl UpArguments {
    fn settings(&self) -> Settings {
        let world = if self.world == Asked::Sim { WorldKind::Sim } else { WorldKind::Linux };
        let mut settings = Settings::new(self.place.directory(), world);
        settings.port = self.port;
        settings.dns_port = self.dns_port;
        settings.public_range = settings::public_range(self.range);
        settings.speed = self.speed;
        settings.pace = self.pace;
        settings.ephemeral = self.ephemeral;
        settings.sync_full = self.sync_full;
        settings.settle = self.settle != 0;
        settings.vcpu = self.vcpu;
        settings.shared_ids = self.shared_ids;
        settings.seed = self.seed.unwrap_or(settings.seed);
        settings
    }
}

/// Starts a world; the exit code.
pub fn run(arguments: &UpArguments) -> ExitCode {
    let settings = arguments.settings();
    if settings.world == WorldKind::Linux && !settings::is_root() {
        // Cheap to see, and else said less well by what fails of it.
        let missing = doctor::missing();
        if !missing.is_empty() {
            return cannot(&missing);
        }
    }
    let ran = if arguments.detach { detached(&settings) } else { foreground(&settings) };
    // Looked at only now: it takes longer than a start does.
    let missing = if ran.is_err() && settings.world == WorldKind::Linux { doctor::missing() } else { Vec::new() };
    let code = super::exit_or_interrupted(ran);
    if missing.is_empty() {
        return code;
    }
    cannot(&missing)
}

/// Says why the real world can't run, and what to do.
pub fn cannot(missing: &[String]) -> ExitCode {
    eprintln!("The real world can't run here:");
    missing.iter().for_each(|line| eprintln!("  {line}"));
    eprintln!("`zonal up --world sim` needs none of this; all that it shows is modelled.");
    ExitCode::from(CANNOT)
}

/// Refuses a second world in one directory, at one port, with another's DNS port or on its public addresses.
fn refuse_second(settings: &Settings) -> Result<(), CommandError> {
    const OTHER: &str = "another world needs a --home, --port, --dns-port and --range of its own";
    let directory = settings.directory.display();
    // Where there is no directory yet nobody has it; nor is one made before all that may refuse has been asked.
    let held = || {
        if !settings.directory.exists() {
            return Ok(true);
        }
        let held = settings::hold(&settings.directory);
        held.map(|held| held.is_some()).map_err(|error| CommandError::file(&settings.directory, error))
    };
    let mut free = held()?;
    // One that was just killed lets go when its end is complete, which takes a busy machine a while. One that lives says so.
    let deadline = Instant::now() + LETTING_GO;
    while !free && !api::is_up(settings) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
        free = held()?;
    }
    if !free {
        let text = format!("a world runs already in {directory}: `zonal down` ends it; {OTHER}");
        return Err(CommandError::said(text));
    }
    if api::is_up(settings) {
        let text = format!("a Zonal runs already at {}: `zonal down` ends it; {OTHER}", settings.endpoint());
        return Err(CommandError::said(text));
    }
    // What a killed supervisor left of this very world may have the port still; it is taken over. All processes are looked through only
    // where the port is taken: that takes milliseconds.
    match UdpSocket::bind(settings.dns()) {
        Err(error) if super::down::ours(&settings.directory).is_empty() => {
            let dns = settings.dns();
            let text = format!("the DNS port {dns} cannot be had: {error}; --dns-port takes another");
            return Err(CommandError::said(text));
        }
        _ => {}
    }
    if settings.world == WorldKind::Linux
        && let Some(other) = super::down::neighbour(settings)
    {
        return Err(CommandError::said(format!(
            "the world in {0} has the public addresses {1}: --range N takes others for this one, `zonal down --home {0}` ends that one",
            other.directory.display(),
            other.public_range
        )));
    }
    Ok(())
}

fn foreground(settings: &Settings) -> Result<(), CommandError> {
    prepare(settings)?;
    let mut interrupts = Interrupts::listen()?;
    let mut child = start(settings, Stdio::inherit())?;
    let mut over = Over::Interrupted;
    if await_answer(settings, &mut child, None, |pause| interrupts.within(pause))? {
        greet(settings);
        println!("Ctrl-C ends it.");
        over = interrupts.or_end_of(&mut child)?;
    }
    match over {
        Over::Interrupted => end(settings),
        Over::Ended => {
            // Who ended it sees to the rest; a signal to the world's own process is the rare other way.
            println!("Zonal is down: `zonal down` (or a signal to its process) ended it.");
            Ok(())
        }
    }
}

/// Ends a world as we were told to, whatever of it runs so far.
fn end(settings: &Settings) -> Result<(), CommandError> {
    // The terminal may be what is closed: then there is nobody to tell.
    let tell = |text: &str| drop(writeln!(std::io::stdout(), "{text}"));
    tell("Ending: instances shut down first.");
    super::down::end(settings, settings.ephemeral)?;
    tell(super::down::told(settings.ephemeral));
    Ok(())
}

fn detached(settings: &Settings) -> Result<(), CommandError> {
    prepare(settings)?;
    let (log, file) = Log::open(&settings.directory)?;
    let mut interrupts = Interrupts::listen()?;
    let mut child = start(settings, file)?;
    if await_answer(settings, &mut child, Some(&log), |pause| interrupts.within(pause))? {
        greet(settings);
        return Ok(());
    }
    end(settings)?;
    Err(CommandError::Interrupted("stopped before it was up".to_owned()))
}

/// Refuses what can't be before anything is made; then the settings are kept.
fn prepare(settings: &Settings) -> Result<(), CommandError> {
    refuse_second(settings)?;
    if settings.world == WorldKind::Linux && settings::is_root() {
        check_way(&settings.directory, settings::daemon_owner())?;
    }
    settings.save().map_err(|error| CommandError::file(&settings.directory, error))
}

/// Where a world in the background says what goes wrong.
pub struct Log {
    path: PathBuf,
    /// How long it was before.
    from: u64,
}

impl Log {
    /// Opens the log of the world in a directory.
    ///
    /// # Errors
    /// It can't be written.
    pub fn open(directory: &Path) -> Result<(Self, Stdio), CommandError> {
        let path = directory.join("zonal.log");
        let opened = File::options().create(true).append(true).open(&path);
        let file = opened.map_err(|error| CommandError::file(&path, error))?;
        let from = file.metadata().map_or(0, |log| log.len());
        Ok((Self { path, from }, file.into()))
    }

    /// The last line since it was opened, and where there is more.
    fn last(&self) -> String {
        let text = fs::read(&self.path).unwrap_or_default();
        let new = text.get(usize::try_from(self.from).unwrap_or(usize::MAX)..).unwrap_or_default();
        let last = String::from_utf8_lossy(new).lines().rfind(|line| !line.trim().is_empty()).map(str::to_owned);
        format!("{}; {} says more", last.unwrap_or_else(|| "it said nothing".to_owned()), self.path.display())
    }
}

/// Starts what keeps the world running: a supervisor as root for the real one, the daemon alone for a virtual one.
pub fn start(settings: &Settings, log: Stdio) -> Result<Child, CommandError> {
    use std::os::unix::process::CommandExt;
    let program = std::env::current_exe().map_err(|error| CommandError::file("our own program", error))?;
    let role = if settings.world == WorldKind::Linux { "supervise" } else { "daemon" };
    // A process group of its own: a Ctrl-C at the terminal is for us alone to act on.
    Command::new(&program)
        .arg(role)
        .arg(&settings.directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .process_group(0)
        .spawn()
        .map_err(|error| CommandError::file(program, error))
}

/// Whether the control plane, which is not root, can reach the world's directory.
fn check_way(directory: &Path, (user, group): (u32, u32)) -> Result<(), CommandError> {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    // The directory itself is made so that it can. From the root on: the first that shuts is told.
    let mut above: Vec<&Path> = directory.ancestors().skip(1).collect();
    above.reverse();
    for place in above {
        let Ok(found) = fs::metadata(place) else { continue };
        let bit = match (found.uid() == user, found.gid() == group) {
            (true, _) => 0o100,
            (_, true) => 0o010,
            _ => 0o001,
        };
        if found.mode() & bit != 0 {
            continue;
        }
        // An access list may let in whom the mode does not: as that user it is tried.
        let tried = Command::new("/proc/self/exe").arg("--version").current_dir(place).uid(user).gid(group).output();
        if tried.is_err() {
            return Err(CommandError::said(format!(
                "{} can't be in {}: the control plane does not run as root but as user {user}, who may not enter {} (mode {:o}). \
                 Choose another place with --home or ZONAL_HOME (/var/lib/zonal is the usual one), or open this one: chmod o+x {}",
                directory.display(),
                place.display(),
                place.display(),
                found.mode() & 0o7777,
                place.display()
            )));
        }
    }
    Ok(())
}

/// Waits until the daemon answers. `log` is where what it says goes, if not to us. `pause` waits so long, and says whether to wait no more:
/// then the answer is `false`.
///
/// # Errors
/// What runs it ended, or it takes too long.
pub fn await_answer(
    settings: &Settings,
    child: &mut Child,
    log: Option<&Log>,
    mut pause: impl FnMut(Duration) -> bool,
) -> Result<bool, CommandError> {
    let deadline = Instant::now() + COMES_UP;
    loop {
        if api::is_up(settings) {
            return Ok(true);
        }
        if let Ok(Some(status)) = child.try_wait() {
            // In the foreground it was said before our eyes.
            let why = log.map(|log| format!(": {}", log.last())).unwrap_or_default();
            return Err(CommandError::said(format!("the world did not come up ({status}){why}")));
        }
        if Instant::now() > deadline {
            return Err(CommandError::said(format!(
                "nothing answers at {} after {} s",
                settings.endpoint(),
                COMES_UP.as_secs()
            )));
        }
        if pause(Duration::from_millis(5)) {
            return Ok(false);
        }
    }
}

fn greet(settings: &Settings) {
    let world = match settings.world {
        WorldKind::Linux => "real",
        WorldKind::Sim => "virtual",
    };
    println!(
        "Zonal is up ({world} world, speed {}). API: {}   DNS: {}",
        settings.speed,
        settings.endpoint(),
        settings.dns()
    );
    if settings.world == WorldKind::Linux
        && let Ok(config) = zonal_linux::Config::load(&settings.directory)
    {
        config.lacks(settings.port).iter().for_each(|line| println!("Less than elsewhere: {line}."));
    }
    if settings.pace == Pace::Aws {
        let delays: Vec<String> =
            pace::TABLE.iter().map(|(what, span)| format!("{what} {} s", span.as_secs())).collect();
        println!("Pace aws adds, on the world's clock: {}.", delays.join(", "));
    }
    let home = if settings.directory == settings::default_directory() {
        String::new()
    } else {
        format!(" --home {}", settings.directory.display())
    };
    println!("Next: eval \"$(zonal env{home})\" && aws ec2 describe-instances");
}
