//! The holder: what must outlive daemon, plane and warden. It pins the world's namespaces by its own mount namespace, is the parent
//! of every sandbox's PID 1, and keeps their console logs. One thread, one poll loop: it forks without exec, and may.

mod held;
mod past;
pub(crate) mod protocol;

pub(crate) use held::{CONSOLE_FD, CONTROL_FD};

use crate::error::{Act, Error, Result};
use crate::frame;
use crate::world::Config;
use held::{Held, Turn};
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use past::Past;
use protocol::{HolderEvent, HolderReply, HolderRequest};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};
use zonal_substrate::StopCause;

/// The start is over when for so long nothing has come; the warden asks for figures every second.
const SETTLED_MS: u16 = 300;

/// Runs the holder of the world in a directory until it is told to end. Root only; single-threaded from the start.
///
/// # Errors
/// When the world's private file system can't be made.
pub fn main(config: &Config) -> Result<()> {
    prepare(config)?;
    let socket = config.holder_socket();
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).act("listen on", socket.display())?;
    crate::warden::announce(config)?;
    say_ready();
    // The sandboxes' file-creation masks are their own; PID 1 begins with this one.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let mut holder = Holder {
        config: config.clone(),
        listener,
        callers: Vec::new(),
        watchers: Vec::new(),
        held: BTreeMap::new(),
        past: Past::default(),
        ended: false,
        settled: false,
    };
    while !holder.ended {
        holder.turn()?;
    }
    let _ = fs::remove_file(&socket);
    Ok(())
}

/// Tells the warden that started us, which waits for it at the other end of standard output, and lets go of that.
fn say_ready() {
    let mut waiting = std::io::stdout();
    // One that was killed meanwhile has a successor, which finds us by what was announced.
    let _ = waiting.write_all(b"\n").and_then(|()| waiting.flush());
    if let Err(error) = fs::File::options().write(true).open("/dev/null").map(nix::unistd::dup2_stdout) {
        tracing::debug!(%error, "the warden's pipe stays open");
    }
}

/// A mount namespace of our own, with a file system in it that ends with us.
fn prepare(config: &Config) -> Result<()> {
    let (run, nothing) = (config.run(), None::<&str>);
    fs::create_dir_all(&run).act("make", run.display())?;
    unshare(CloneFlags::CLONE_NEWNS).act("make mount namespace of", "the holder")?;
    // What the machine unmounts is unmounted here too; what is mounted here, the machine never sees.
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_SLAVE, nothing).act("detach", "/")?;
    let options = Some("size=64m,mode=700");
    mount(Some("zonal"), &run, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, options)
        .act("mount", run.display())?;
    mount(nothing, &run, nothing, MsFlags::MS_PRIVATE, nothing).act("make private", run.display())?;
    // A copy of our own, so that a program built anew or removed does not change what sandboxes run.
    let (program, guest) = (std::env::current_exe().act("find", "our own program")?, config.directory.join("guest"));
    let look = |path: &std::path::Path| fs::metadata(path).and_then(|m| Ok((m.len(), m.modified()?)));
    if look(&guest).ok() != look(&program).ok() {
        let _ = fs::remove_file(&guest);
        fs::copy(&program, &guest).act("copy", program.display())?;
        // The same time marks the same program.
        let made = look(&program).act("look at", program.display())?.1;
        let copy = fs::File::options().write(true).open(&guest).act("open", guest.display())?;
        copy.set_times(fs::FileTimes::new().set_modified(made)).act("set time of", guest.display())?;
    }
    for directory in [config.namespaces(), config.interfaces(), config.facts(), config.mounts(), config.volumes()] {
        fs::create_dir_all(&directory).act("make", directory.display())?;
    }
    Ok(())
}

struct Holder {
    config: Config,
    listener: UnixListener,
    callers: Vec<UnixStream>,
    watchers: Vec<UnixStream>,
    held: BTreeMap<String, Held>,
    past: Past,
    ended: bool,
    /// Whether the start, and all that came with it, is over.
    settled: bool,
}

/// What a poll woke us for.
#[derive(Clone)]
enum Source {
    Listener,
    Caller(usize),
    Sandbox(String),
}

impl Holder {
    /// Waits for something to happen, and handles all that has.
    fn turn(&mut self) -> Result<()> {
        let mut sources = vec![Source::Listener];
        let mut fds = vec![PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        for (number, caller) in self.callers.iter().enumerate() {
            sources.push(Source::Caller(number));
            fds.push(PollFd::new(caller.as_fd(), PollFlags::POLLIN));
        }
        for (id, held) in &self.held {
            for fd in held.awaited() {
                sources.push(Source::Sandbox(id.clone()));
                fds.push(PollFd::new(fd, PollFlags::POLLIN));
            }
        }
        // No thread of its own for this: a process that forks has but one.
        let wait = if self.settled { PollTimeout::NONE } else { SETTLED_MS.into() };
        let due = self.held.values().filter_map(Held::due).min();
        let left = due.map(|due| due.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
        let wait = left.map_or(wait, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
        match poll(&mut fds, wait) {
            Ok(0) if due.is_some() => {}
            Ok(0) => {
                self.settled = true;
                crate::footprint::let_go();
                return Ok(());
            }
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error).act("wait for", "sandboxes"),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        drop(fds);
        let mut hung_up = Vec::new();
        let mut seen = None;
        for (source, _) in sources.into_iter().zip(ready).filter(|(_, ready)| *ready) {
            match source {
                Source::Listener => self.accept(),
                Source::Caller(number) => {
                    if !self.serve(number) {
                        hung_up.push(number);
                    }
                }
                // Several descriptors of one sandbox stand side by side; one look serves them all.
                Source::Sandbox(id) if seen.as_ref() != Some(&id) => {
                    self.tend(&id);
                    seen = Some(id);
                }
                Source::Sandbox(_) => {}
            }
        }
        for number in hung_up.into_iter().rev() {
            self.callers.remove(number);
        }
        let now = Instant::now();
        self.held.values_mut().for_each(|held| held.end_if_due(now));
        Ok(())
    }

    fn accept(&mut self) {
        if let Ok((stream, _)) = self.listener.accept() {
            // A warden that hangs must not hang us.
            let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
            self.callers.push(stream);
        }
    }

    /// Serves one request; whether the caller is still there.
    fn serve(&mut self, number: usize) -> bool {
        let Ok(Some((request, fds))) = frame::receive::<HolderRequest>(&self.callers[number], "warden") else {
            return false;
        };
        if let HolderRequest::Events = request {
            if let Ok(watcher) = self.callers[number].try_clone() {
                self.watchers.push(watcher);
            }
            let said = |(id, (generation, state))| Some(HolderEvent { id, generation, state: state? });
            for event in self.list().into_iter().filter_map(said) {
                if !frame::tell(&self.callers[number], "warden", &event) {
                    return false;
                }
            }
            return true;
        }
        let reply = self.perform(request, fds).unwrap_or_else(|error| HolderReply::Failed(error.to_string()));
        frame::send(&self.callers[number], "warden", &reply, &[]).is_ok()
    }

    fn perform(&mut self, request: HolderRequest, fds: Vec<OwnedFd>) -> Result<HolderReply> {
        let unknown = |id: &str| Error::Unknown { kind: "sandbox", id: id.to_owned() };
        match request {
            HolderRequest::Start(spec) => {
                let id = spec.sandbox.id.clone();
                if let Some(held) = self.held.get_mut(&id) {
                    if !held.wants_start(spec.sandbox.generation) {
                        return Ok(HolderReply::Done);
                    }
                    if held.is_running() {
                        held.restart_as(*spec);
                        return Ok(HolderReply::Done);
                    }
                }
                // What it was, and its console, stay where it can't be started.
                let held = Held::start(&self.config, *spec)?.follow(self.held.remove(&id));
                self.held.insert(id, held);
            }
            HolderRequest::Stop { id, generation, force } => {
                if let Some(held) = self.held.get_mut(&id)
                    && held.generation() <= generation
                {
                    held.stop(force);
                }
            }
            HolderRequest::Crash { id, generation } => {
                let held = self.held.get_mut(&id).ok_or_else(|| unknown(&id))?;
                if held.generation() <= generation {
                    held.crash(StopCause::Died("its kernel panicked".to_owned()));
                }
            }
            HolderRequest::Forget(id) => {
                if self.held.get(&id).is_some_and(Held::is_running) {
                    return Err(Error::Refused(format!("{id} still runs")));
                }
                if let Some(mut held) = self.held.remove(&id) {
                    self.past.keep(id, held.console());
                }
            }
            HolderRequest::Console(id) => {
                let console = match self.held.get_mut(&id) {
                    Some(held) => held.console(),
                    None => self.past.console(&id).ok_or_else(|| unknown(&id))?.to_vec(),
                };
                return Ok(HolderReply::Console(console));
            }
            HolderRequest::Running => {
                return Ok(HolderReply::Running(self.held.values().filter_map(Held::running).collect()));
            }
            HolderRequest::Cut(interfaces) => {
                self.held
                    .values_mut()
                    .filter(|held| interfaces.contains(held.interface()))
                    .for_each(|held| held.crash(StopCause::ZoneCut));
            }
            HolderRequest::List => return Ok(HolderReply::List(self.list())),
            HolderRequest::Shell(id) => {
                self.held.get_mut(&id).ok_or_else(|| unknown(&id))?.shell(&fds)?;
            }
            HolderRequest::End => {
                self.held.values_mut().for_each(|held| held.stop(true));
                self.ended = true;
            }
            // Handled before.
            HolderRequest::Events => {}
        }
        Ok(HolderReply::Done)
    }

    fn list(&self) -> BTreeMap<String, (u64, Option<zonal_substrate::SandboxState>)> {
        self.held.iter().map(|(id, held)| (id.clone(), (held.generation(), held.state().cloned()))).collect()
    }

    /// Looks after one sandbox: its console, what its PID 1 says, its end.
    fn tend(&mut self, id: &str) {
        let Some(held) = self.held.get_mut(id) else { return };
        let (events, turn) = held.tend();
        let mut all: Vec<HolderEvent> = events
            .into_iter()
            .map(|(generation, state)| HolderEvent { id: id.to_owned(), generation, state })
            .collect();
        if let Turn::StartAgain(spec) = turn {
            let generation = spec.sandbox.generation;
            match Held::start(&self.config, *spec.clone()) {
                Ok(started) => {
                    let started = started.follow(self.held.remove(id));
                    self.held.insert(id.to_owned(), started);
                }
                Err(error) => {
                    let state = held.fail(*spec, error.to_string());
                    all.push(HolderEvent { id: id.to_owned(), generation, state });
                }
            }
        }
        for event in all {
            self.watchers.retain(|watcher| frame::tell(watcher, "warden", &event));
        }
    }
}
