//! Starting and ending a world's processes.

mod probe;

pub use probe::probe;

use crate::error::{Act, Error, Result};
use crate::frame;
use crate::loops;
use crate::privilege::{self, Ids, Privilege};
use crate::sandbox::cgroup::Hierarchy;
use crate::sandbox::tree;
use crate::warden::holding;
use crate::warden::link::Link;
use crate::warden::request::{Reply, Request};
use crate::world::Config;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File, Permissions};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
pub use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use zonal_substrate::SandboxState;

/// The subcommands of the running program that start each process; [`run`] understands them.
///
/// `sweep` empties a directory of an ordinary user's world, whose files belong to the ids that are lent to the user; `probe` tries what a
/// world needs, for [`probe`].
pub const SUBCOMMANDS: [&str; 5] = ["warden", "holder", "plane", "sweep", "probe"];

/// How long a process may take to come up: the warden makes a base image in that time, and waits for its holder.
const COMES_UP: Duration = Duration::from_secs(90);
/// How many of its last lines are told of a warden that ended.
const LAST_WORDS: usize = 3;

/// Runs one of the world's processes: `subcommand` of [`SUBCOMMANDS`], on the world in `directory`. Call it first thing in `main`, while
/// there is but one thread.
///
/// # Errors
/// When the process can't do its work any more.
pub fn run(subcommand: &str, directory: &Path) -> Result<()> {
    match subcommand {
        // Only what is a world's: this takes no words of the command line's for it.
        "sweep" if directory.parent().is_some_and(|world| world.join("config.json").is_file()) => {
            return privilege::enter_new().and_then(|()| tree::remove(directory));
        }
        "sweep" => return Err(Error::Refused(format!("{} is no world's", directory.display()))),
        "probe" => return probe::run(directory),
        _ => {}
    }
    let config = Config::load(directory)?;
    log(LevelFilter::WARN);
    // Descriptors are what these processes are made of.
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
    match subcommand {
        "warden" => crate::warden::main(&config),
        "holder" => crate::holder::main(&config),
        "plane" => crate::plane::main(&config),
        other => Err(Error::Refused(format!("{other} is no process of a world"))),
    }
}

/// Logs to standard error what `ZONAL_LOG` asks for (`debug`, `warn,zonal_linux=trace`), or what is as grave as `usual`.
pub fn log(usual: LevelFilter) {
    let asked = std::env::var("ZONAL_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let filter = asked.unwrap_or_else(|| Targets::new().with_default(usual));
    // Whoever runs this in a process that logs already keeps its own way.
    let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
}

/// A world's processes, kept running by whoever holds this: as root, or as a user with subordinate ids.
pub struct Processes {
    config: Config,
    warden: Option<Child>,
    /// How long its log was when it was started.
    said: u64,
    plane: Option<Child>,
    /// The holder whose namespaces the plane's sockets are in.
    holder: Option<i32>,
}

impl Processes {
    /// Brings a world up: warden (and by it the holder), then the plane, from the running program's own file.
    ///
    /// # Errors
    /// When the directory can't be made, or a process does not come up.
    pub fn start(config: &Config) -> Result<Self> {
        let mut processes = Self::spawn(config)?;
        processes.await_up()?;
        Ok(processes)
    }

    /// The same without waiting: the warden comes up, and can be called at once; its answers come when it is. [`Processes::await_up`]
    /// does the rest.
    ///
    /// # Errors
    /// When the directory can't be made, or a process can't be started.
    pub fn spawn(config: &Config) -> Result<Self> {
        let directory = &config.directory;
        fs::create_dir_all(directory).act("make", directory.display())?;
        fs::set_permissions(directory, Permissions::from_mode(0o755)).act("set mode of", directory.display())?;
        let config = &settle(config)?;
        let directory = &config.directory;
        let text = serde_json::to_vec_pretty(config).map_err(|e| Error::Refused(e.to_string()))?;
        let path = directory.join("config.json");
        // Never half written: a world whose settings can't be read is one that nobody can end.
        crate::files::replace(&path, text).act("write", path.display())?;
        crate::trust::make(config)?;
        crate::warden::key::make(config)?;
        let plane = config.plane_directory();
        fs::create_dir_all(&plane).act("make", plane.display())?;
        fs::set_permissions(&plane, Permissions::from_mode(0o700)).act("set mode of", plane.display())?;
        chown(&plane, Some(config.owner.0), Some(config.owner.1)).act("give away", plane.display())?;
        // What an earlier supervisor, killed, left running would be in the way of its successor.
        end(config, "warden");
        end(config, "plane");
        let mut processes = Self { config: config.clone(), warden: None, said: 0, plane: None, holder: None };
        processes.keep_warden()?;
        Ok(processes)
    }

    /// Waits until the warden answers, and until the plane listens: it is started only now, for it has no socket before the warden gives
    /// it one, and would be in the way of all others.
    ///
    /// # Errors
    /// When one does not come up.
    pub fn await_up(&mut self) -> Result<()> {
        self.await_warden()?;
        self.keep_plane()?;
        self.await_plane()
    }

    /// Starts again what has ended; whether anything had. Call it now and then.
    ///
    /// # Errors
    /// When a process can't be started.
    pub fn keep(&mut self) -> Result<bool> {
        // Neither waits for the other.
        let (warden, plane) = (self.keep_warden(), self.keep_plane());
        Ok(warden? | plane?)
    }

    /// Whether it had ended.
    fn keep_warden(&mut self) -> Result<bool> {
        match self.warden.as_mut().map(Child::try_wait) {
            Some(Ok(None)) => return Ok(false),
            Some(Ok(Some(status))) => tracing::warn!("{}", self.warden_ended(status)),
            Some(Err(_)) | None => {}
        }
        self.said = fs::metadata(log_of(&self.config, "warden")).map_or(0, |log| log.len());
        let socket = listen(&self.config)?;
        self.warden = Some(spawn(&self.config, "warden", None, socket.into())?);
        Ok(true)
    }

    /// Whether it had ended.
    fn keep_plane(&mut self) -> Result<bool> {
        let holder = holding::find(&self.config);
        if let (Some(plane), Some(before), Some(now)) = (&mut self.plane, self.holder, holder)
            && before != now
        {
            // The network is another; the plane's sockets are in the one that has gone.
            let _ = plane.kill();
            let _ = plane.wait();
        }
        self.holder = holder.or(self.holder);
        let ended = self.plane.as_mut().is_none_or(|plane| !matches!(plane.try_wait(), Ok(None)));
        if ended {
            self.plane = Some(spawn(&self.config, "plane", Some(self.config.owner), Stdio::null())?);
        }
        Ok(ended)
    }

    fn await_warden(&mut self) -> Result<()> {
        let deadline = Instant::now() + COMES_UP;
        while let Err(error) = first_answer(&self.config.warden_socket(), deadline) {
            self.check_warden()?;
            if Instant::now() > deadline {
                return Err(Error::Refused(format!("the warden does not answer: {error}; {}", self.warden_says())));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn await_plane(&mut self) -> Result<()> {
        let (deadline, socket) = (Instant::now() + COMES_UP, self.config.plane_socket());
        while UnixStream::connect(&socket).is_err() {
            self.check_warden()?;
            if Instant::now() > deadline {
                return Err(Error::Refused(format!("nothing listens on {}; see the logs beside it", socket.display())));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Fails where the warden has ended, with what it said last.
    fn check_warden(&mut self) -> Result<()> {
        match self.warden.as_mut().map(Child::try_wait) {
            Some(Ok(Some(status))) => Err(Error::Refused(self.warden_ended(status))),
            _ => Ok(()),
        }
    }

    fn warden_ended(&self, status: ExitStatus) -> String {
        format!("the warden ended with {status}; {}", self.warden_says())
    }

    /// What the warden wrote since it was started, at its end: what goes wrong there is told nowhere else.
    fn warden_says(&self) -> String {
        let path = log_of(&self.config, "warden");
        let mut text = Vec::new();
        let read = File::open(&path).and_then(|mut log| {
            log.seek(SeekFrom::Start(self.said))?;
            log.read_to_end(&mut text)
        });
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        match (read, &lines[lines.len().saturating_sub(LAST_WORDS)..]) {
            (Err(error), _) => format!("{}: {error}", path.display()),
            (Ok(_), []) => format!("it wrote nothing to {}", path.display()),
            (Ok(_), last) => format!("its last words, of {}: {}", path.display(), last.join(" | ")),
        }
    }

    /// The process ids of warden and plane.
    #[must_use]
    pub fn ids(&self) -> [Option<u32>; 2] {
        [self.warden.as_ref().map(Child::id), self.plane.as_ref().map(Child::id)]
    }

    /// Ends warden and plane. Instances and holder go on: see [`down`].
    pub fn stop(mut self) {
        for child in [self.warden.take(), self.plane.take()].iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Settles what a world is run with: at its first start by what this machine can do, later as it was.
fn settle(config: &Config) -> Result<Config> {
    let mut config = config.clone();
    // Once and for all: what compares paths, here or in the kernel, would not know it by another name.
    let own = config.directory.canonicalize().act("find", config.directory.display())?;
    if let Ok(inside) = config.base.strip_prefix(&config.directory) {
        config.base = own.join(inside);
    }
    config.directory = own;
    let before = Config::load(&config.directory).ok();
    let made = config.directory.join("images").exists();
    match before.filter(|_| made) {
        Some(before) if before.privilege != config.privilege => {
            return Err(Error::Refused(format!(
                "{} was made {}: its files belong to other ids than yours; another directory makes another world",
                config.directory.display(),
                if before.privilege == Privilege::Root { "by root" } else { "by an ordinary user" }
            )));
        }
        Some(before) => {
            config.ids = before.ids;
            config.lent_group = before.lent_group.filter(|path| path.exists() && holding::find(&config).is_some());
        }
        None if config.ids == Ids::Shared => {}
        None if config.privilege == Privilege::User || !probe::maps_owners(&config.directory) => {
            config.ids = Ids::Shared;
        }
        None => {}
    }
    if config.privilege == Privilege::User {
        config.lent_group = config.lent_group.or_else(Hierarchy::lent);
        if let Some(group) = &config.lent_group {
            Hierarchy::step_aside(group, &config.cgroup())?;
        }
    }
    Ok(config)
}

/// The socket that the warden is called on, made ahead of it: who calls while it comes up waits for its answer. Nobody but the warden may
/// keep it, so that callers hear of its end.
fn listen(config: &Config) -> Result<OwnedFd> {
    let socket = config.warden_socket();
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).act("listen on", socket.display())?;
    fs::set_permissions(&socket, Permissions::from_mode(0o600)).act("set mode of", socket.display())?;
    chown(&socket, Some(config.owner.0), Some(config.owner.1)).act("give away", socket.display())?;
    Ok(listener.into())
}

/// Has a warden answer for the first time.
fn first_answer(socket: &Path, deadline: Instant) -> Result<()> {
    let stream = crate::warden::key::connect(socket)?;
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    stream.set_read_timeout(Some(left)).act("set the patience with", "the warden")?;
    frame::send(&stream, "warden", &Request::Inventory, &[])?;
    match frame::receive::<Reply>(&stream, "warden")? {
        Some((Reply::Failed(reason), _)) => Err(Error::Remote(reason)),
        Some(_) => Ok(()),
        None => Err(Error::Protocol { peer: "warden", message: "it hung up".to_owned() }),
    }
}

/// Where a process says what goes wrong.
fn log_of(config: &Config, subcommand: &str) -> PathBuf {
    config.directory.join(format!("{subcommand}.log"))
}

/// Starts a subcommand of the running program, as root or as somebody else.
fn spawn(config: &Config, subcommand: &str, owner: Option<(u32, u32)>, input: Stdio) -> Result<Child> {
    let program = std::env::current_exe().act("find", "our own program")?;
    let log = log_of(config, subcommand);
    let log = File::options().create(true).append(true).open(&log).act("open", log.display())?;
    // By this link, which needs no way through directories that the owner may not enter (a checkout below /root).
    let mut command = Command::new("/proc/self/exe");
    command.arg0(program).arg(subcommand).arg(&config.directory).stdin(input).stdout(Stdio::null()).stderr(log);
    if let Some((user, group)) = owner {
        // The standard library leaves the supplementary groups behind too.
        command.uid(user).gid(group);
    }
    let child = command.spawn().act("start the", subcommand)?;
    let pid = child.id().cast_signed();
    let path = config.directory.join(format!("{subcommand}.pid"));
    fs::write(&path, format!("{pid} {}", holding::start_time(pid).unwrap_or_default())).act("write", path.display())?;
    Ok(child)
}

/// Ends a warden or plane that nobody keeps any more.
fn end(config: &Config, subcommand: &str) {
    let path = config.directory.join(format!("{subcommand}.pid"));
    let Some(pid) = holding::read_pid(&path) else { return };
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    let deadline = Instant::now() + Duration::from_secs(5);
    while holding::read_pid(&path).is_some() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = fs::remove_file(&path);
}

/// Has every instance shut down in its own way, for as long as that may take; who does not is killed with the rest.
fn stop_instances(config: &Config) {
    if holding::find(config).is_none() {
        // Nothing runs; a warden that makes its base image yet would be waited for.
        return;
    }
    let link = Link::new(&config.warden_socket(), Duration::ZERO);
    let running = || match link.ask(&Request::Inventory, &[]) {
        Ok((Reply::Inventory(inventory), _)) => {
            let up =
                inventory.sandboxes.into_iter().filter(|(_, (_, state))| !matches!(state, SandboxState::Stopped(_)));
            up.map(|(id, (generation, _))| (id, generation)).collect()
        }
        _ => Vec::new(),
    };
    for (id, generation) in running() {
        let _ = link.ask(&Request::StopSandbox { id, generation, force: false }, &[]);
    }
    let deadline = Instant::now() + Duration::from_secs(7);
    while !running().is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends a world: every instance is stopped, network and processes go; disks and images stay. Works whatever was killed before.
///
/// # Errors
/// When something of it can't be ended.
pub fn down(config: &Config) -> Result<()> {
    stop_instances(config);
    end_at_once(config)
}

/// Ends whatever there is of a world, now.
fn end_at_once(config: &Config) -> Result<()> {
    end(config, "warden");
    end(config, "plane");
    // What the world was started with: whoever ends it may know less of it.
    let config = &Config::load(&config.directory).unwrap_or_else(|_| config.clone());
    if let Some(pid) = holding::find(config) {
        let sandboxes = holding::children(pid);
        // Its sandboxes die with it, and the mount namespace that pins everything.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        await_end(&sandboxes)?;
    }
    kill_left_over(config);
    let (hierarchy, world) = (Hierarchy::of(config), config.cgroup());
    let deadline = Instant::now() + Duration::from_secs(10);
    for id in hierarchy.inside(&world) {
        while !hierarchy.processes(&world, &id).is_empty() {
            if Instant::now() > deadline {
                return Err(Error::Refused(format!(
                    "processes of {id} were killed and do not end within 10 s; `zonal down` again once they have"
                )));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        hierarchy.remove(&world, &id);
    }
    hierarchy.remove(&world, "");
    // With the holder's mounts the disks go; what they were shown by is given back.
    loops::await_release(config, None)?;
    loops::remove_made(config);
    for name in ["holder.pid", "warden.sock"] {
        let _ = fs::remove_file(config.directory.join(name));
    }
    let _ = fs::remove_file(config.plane_socket());
    Ok(())
}

/// Waits until the first processes of sandboxes are gone, and with each its whole sandbox.
fn await_end(sandboxes: &[(i32, String)]) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Some((pid, _)) =
        sandboxes.iter().find(|(pid, started)| holding::start_time(*pid).as_deref() == Some(started))
    {
        if Instant::now() > deadline {
            return Err(Error::Refused(format!(
                "the sandbox of process {pid} was killed and does not end within 10 s; `zonal down` again once it has"
            )));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Ends a world and removes all that it kept: nothing is left.
///
/// # Errors
/// When something of it can't be ended or removed.
pub fn purge(config: &Config) -> Result<()> {
    end_at_once(config)?;
    for inside in ["disks", "images", "layer"].map(|name| config.directory.join(name)) {
        if Privilege::own() == Privilege::User && inside.exists() {
            sweep(&inside)?;
        }
    }
    tree::clear(&config.directory)
}

/// Removes a directory of an ordinary user's world: the files of sandboxes are only root's of their user namespace to remove.
fn sweep(directory: &Path) -> Result<()> {
    let output = Command::new("/proc/self/exe").arg("sweep").arg(directory).stdin(Stdio::null()).output();
    let output = output.act("start", "the sweeper")?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Remote(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// Kills every process in the world's control groups: sandboxes whose holder is gone.
pub(crate) fn kill_left_over(config: &Config) {
    let (hierarchy, world) = (Hierarchy::of(config), config.cgroup());
    for id in hierarchy.inside(&world) {
        for pid in hierarchy.processes(&world, &id) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}
