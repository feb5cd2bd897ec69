//! The warden's side of the holder: finding it, or starting it, and asking it.

use crate::error::{Act, Error, Result};
use crate::frame;
use crate::holder::protocol::{HolderReply, HolderRequest, Running};
use crate::sandbox::Spec;
use crate::world::Config;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use zonal_substrate::SandboxState;

/// How long a holder may take to come up: at the first start it copies the program, which a busy disk takes its time for.
const COMES_UP: Duration = Duration::from_secs(60);

/// A connection to the holder, made again when it breaks: what came after a message cut short would be taken for something else.
pub(super) struct HolderLink {
    socket: PathBuf,
    stream: Option<UnixStream>,
    patience: Duration,
}

/// How long the holder may take to answer before it counts as hung: everybody who asks for it waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// The holder of a world, if it lives: its process id.
pub(crate) fn find(config: &Config) -> Option<i32> {
    read_pid(&config.directory.join("holder.pid"))
}

/// The process that a file names by number and start time, if it still lives.
pub(crate) fn read_pid(path: &Path) -> Option<i32> {
    let text = fs::read_to_string(path).ok()?;
    let (pid, started) = text.trim().split_once(' ')?;
    let pid = pid.parse().ok()?;
    (start_time(pid)? == started).then_some(pid)
}

/// When a process was started, as the kernel has it: with its number, its name for good.
pub(crate) fn start_time(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the 22nd field is the 20th after it.
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace();
    let state = fields.next()?;
    (state != "Z").then(|| fields.nth(18).map(str::to_owned))?
}

/// The children of a process, each by number and start time.
pub(crate) fn children(parent: i32) -> Vec<(i32, String)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let of = |pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, after) = stat.rsplit_once(')')?;
        (after.split_whitespace().nth(1)?.parse() == Ok(parent)).then(|| start_time(pid))?
    };
    numbers.filter_map(|pid| Some((pid, of(pid)?))).collect()
}

/// Writes down who the holder is. Called by the holder itself, once it can be reached.
pub(crate) fn announce(config: &Config) -> Result<()> {
    let pid = std::process::id().cast_signed();
    let path = config.directory.join("holder.pid");
    let text = format!("{pid} {}\n", start_time(pid).unwrap_or_default());
    crate::files::replace(&path, text).act("write", path.display())
}

/// Enters the mount namespace of the world's holder, of the one that was just started if there was none, and connects to it.
pub(super) fn enter(config: &Config, started: Option<Starting>) -> Result<HolderLink> {
    let pid = match started {
        Some(starting) => starting.await_up(config)?,
        None => find(config).ok_or_else(|| Error::Refused("the holder ended".to_owned()))?,
    };
    let path = format!("/proc/{pid}/ns/mnt");
    let namespace = File::open(&path).act("open", &path)?;
    setns(&namespace, CloneFlags::CLONE_NEWNS).act("enter mount namespace of", "the holder")?;
    Ok(HolderLink {
        socket: config.holder_socket(),
        stream: Some(connect_plain(&config.holder_socket())?),
        patience: PATIENCE,
    })
}

/// Starts a holder. It outlives us, and is reaped by whoever inherits it.
pub(super) fn start(config: &Config) -> Result<Starting> {
    // What an earlier holder left running has lost its network, and is in nobody's care.
    crate::supervise::kill_left_over(config);
    let program = std::env::current_exe().act("find", "our own program")?;
    let log = File::options().create(true).append(true).open(config.directory.join("holder.log"));
    let log = log.map_or_else(|_| Stdio::null(), Stdio::from);
    let mut command = Command::new(program);
    // Those inside see the command line of their PID 1, which is the holder's: it names no path of the machine.
    command
        .arg0("zonal")
        .arg("holder")
        .arg(".")
        .current_dir(&config.directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log);
    // SAFETY: between fork and exec; one system call.
    unsafe {
        command.pre_exec(|| Ok(nix::unistd::setsid().map(drop)?));
    }
    let mut child = command.spawn().act("start", "the holder")?;
    let ready =
        child.stdout.take().ok_or_else(|| Error::Refused("the holder has no way to say that it is up".into()))?;
    Ok(Starting { child, ready })
}

/// A holder that is coming up.
pub(super) struct Starting {
    child: Child,
    /// Where it says so.
    ready: ChildStdout,
}

impl Starting {
    /// Waits until it can be reached: its process id.
    fn await_up(mut self, config: &Config) -> Result<i32> {
        let log = config.directory.join("holder.log");
        let deadline = Instant::now() + COMES_UP;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut fds = [PollFd::new(self.ready.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)) {
                Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error).act("wait for", "the holder"),
                Ok(0) => {
                    return Err(Error::Refused(format!(
                        "the holder does not come up within {} s; {} says why",
                        COMES_UP.as_secs(),
                        log.display()
                    )));
                }
                Ok(_) => break,
            }
        }
        match self.ready.read(&mut [0]) {
            // When it ends later, the events' connection says so.
            Ok(1) => Ok(self.child.id().cast_signed()),
            _ => {
                let status = self.child.wait().act("wait for", "the holder")?;
                Err(Error::Refused(format!("the holder ended with {status}; {} says why", log.display())))
            }
        }
    }
}

fn connect_plain(socket: &Path) -> Result<UnixStream> {
    UnixStream::connect(socket).act("connect to", socket.display())
}

/// Connects for events.
pub(super) fn connect(config: &Config) -> Result<UnixStream> {
    let stream = connect_plain(&config.holder_socket())?;
    frame::send(&stream, "holder", &HolderRequest::Events, &[])?;
    Ok(stream)
}

impl HolderLink {
    /// Asks; once more on a new connection where the one there was had broken. Every request may be asked twice but a shell. A holder that
    /// hangs is not waited for again.
    fn ask(&mut self, request: &HolderRequest, fds: &[OwnedFd]) -> Result<HolderReply> {
        let once_only = self.stream.is_none() || matches!(request, HolderRequest::Shell(_));
        let began = Instant::now();
        match self.once(request, fds) {
            Err(Error::Protocol { .. }) if !once_only && began.elapsed() < self.patience => self.once(request, fds),
            other => other,
        }
    }

    fn once(&mut self, request: &HolderRequest, fds: &[OwnedFd]) -> Result<HolderReply> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect_plain(&self.socket)?,
        };
        stream.set_read_timeout(Some(self.patience)).act("set up", self.socket.display())?;
        stream.set_write_timeout(Some(self.patience)).act("set up", self.socket.display())?;
        let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        frame::send(&stream, "holder", request, &borrowed)?;
        let (reply, _) = frame::receive(&stream, "holder")?
            .ok_or_else(|| Error::Protocol { peer: "holder", message: "it hung up".into() })?;
        // Kept only now: it is where the next answer begins.
        self.stream = Some(stream);
        match reply {
            HolderReply::Failed(reason) => Err(Error::Remote(reason)),
            reply => Ok(reply),
        }
    }

    pub(super) fn start(&mut self, spec: Spec) -> Result<()> {
        self.ask(&HolderRequest::Start(Box::new(spec)), &[]).map(drop)
    }

    pub(super) fn stop(&mut self, id: &str, generation: u64, force: bool) -> Result<()> {
        self.ask(&HolderRequest::Stop { id: id.to_owned(), generation, force }, &[]).map(drop)
    }

    pub(super) fn crash(&mut self, id: &str, generation: u64) -> Result<()> {
        self.ask(&HolderRequest::Crash { id: id.to_owned(), generation }, &[]).map(drop)
    }

    pub(super) fn forget(&mut self, id: &str) -> Result<()> {
        self.ask(&HolderRequest::Forget(id.to_owned()), &[]).map(drop)
    }

    pub(super) fn console(&mut self, id: &str) -> Result<Vec<u8>> {
        match self.ask(&HolderRequest::Console(id.to_owned()), &[])? {
            HolderReply::Console(text) => Ok(text),
            _ => Ok(Vec::new()),
        }
    }

    pub(super) fn shell(&mut self, id: &str, fds: &[OwnedFd]) -> Result<()> {
        if fds.len() != 3 {
            return Err(Error::Refused("a shell takes three descriptors".into()));
        }
        self.ask(&HolderRequest::Shell(id.to_owned()), fds).map(drop)
    }

    pub(super) fn running(&mut self) -> Result<Vec<Running>> {
        match self.ask(&HolderRequest::Running, &[])? {
            HolderReply::Running(all) => Ok(all),
            _ => Ok(Vec::new()),
        }
    }

    pub(super) fn cut(&mut self, interfaces: &BTreeSet<String>) -> Result<()> {
        self.ask(&HolderRequest::Cut(interfaces.clone()), &[]).map(drop)
    }

    /// The newest start of each sandbox, and what it is doing: nothing while it is on its way up.
    pub(super) fn list(&mut self) -> Result<BTreeMap<String, (u64, Option<SandboxState>)>> {
        match self.ask(&HolderRequest::List, &[])? {
            HolderReply::List(list) => Ok(list),
            _ => Ok(BTreeMap::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_holder_that_hangs_is_not_waited_for() {
        let socket = std::env::temp_dir().join(format!("zonal-hung-{}.sock", std::process::id()));
        let _ = fs::remove_file(&socket);
        let _hung = UnixListener::bind(&socket).unwrap();
        let patience = Duration::from_millis(20);
        let connected = connect_plain(&socket).unwrap();
        let mut link = HolderLink { socket: socket.clone(), stream: Some(connected), patience };
        let began = Instant::now();
        assert!(matches!(link.console("i-a"), Err(Error::Protocol { .. })));
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        fs::remove_file(&socket).unwrap();
    }

    #[test]
    fn a_connection_that_broke_is_made_again() {
        let socket = std::env::temp_dir().join(format!("zonal-holder-{}.sock", std::process::id()));
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let holder = std::thread::spawn(move || {
            // The first is cut off in the middle of an answer, as by a time-out; the second serves.
            let (first, _) = listener.accept().unwrap();
            frame::receive::<HolderRequest>(&first, "warden").unwrap().unwrap();
            std::io::Write::write_all(&mut &first, &[200, 0, 0, 0, b'"']).unwrap();
            drop(first);
            let (second, _) = listener.accept().unwrap();
            while let Ok(Some((request, _))) = frame::receive::<HolderRequest>(&second, "warden") {
                let reply = match request {
                    HolderRequest::Console(id) => HolderReply::Console(id.into_bytes()),
                    _ => HolderReply::Failed("asked for something else".into()),
                };
                frame::send(&second, "warden", &reply, &[]).unwrap();
            }
        });
        let mut link =
            HolderLink { socket: socket.clone(), stream: Some(connect_plain(&socket).unwrap()), patience: PATIENCE };
        assert_eq!(link.console("i-a").unwrap(), b"i-a");
        assert!(matches!(link.forget("i-a"), Err(Error::Remote(_))));
        assert_eq!(link.console("i-b").unwrap(), b"i-b");
        drop(link);
        holder.join().unwrap();
        fs::remove_file(&socket).unwrap();
    }
}
