//! One sandbox as the holder has it: its process, its console log, and where it is on its way.

use super::protocol::Running;
use crate::error::{Act, Error, Result};
use crate::init;
use crate::sandbox::build::{self, Opened};
use crate::sandbox::cgroup::Hierarchy;
use crate::sandbox::{Notice, Order, Spec, machine};
use crate::sys::{self, Forked};
use crate::world::Config;
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{IoSlice, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};
use zonal_substrate::{SandboxState, StopCause};

/// How much of a console log is kept.
const CONSOLE: usize = 64 << 10;

/// How long a sandbox may take to go down. Its PID 1 kills what does not end by itself; one that does not come to it is killed too.
const PATIENCE: Duration = init::PATIENCE.saturating_add(Duration::from_secs(3));

/// Why a sandbox is going down.
#[derive(Debug, Clone, PartialEq)]
enum Course {
    /// It is not.
    Up,
    /// It was asked to.
    Asked,
    /// It decided so.
    Itself,
    /// It comes up again afterwards, as this.
    Again(Box<Spec>),
    /// It was killed, or could not be set up.
    Failed(StopCause),
}

/// What follows from looking after a sandbox.
pub(super) enum Turn {
    /// Nothing.
    None,
    /// It went down, and is to come up again.
    StartAgain(Box<Spec>),
}

/// A sandbox.
pub(super) struct Held {
    spec: Spec,
    /// None until its first process says that it runs, or ends.
    state: Option<SandboxState>,
    course: Course,
    process: Option<Process>,
    log: VecDeque<u8>,
}

struct Process {
    pid: Pid,
    handle: OwnedFd,
    control: File,
    console: File,
    /// When it is killed: it is going down.
    by: Option<Instant>,
}

impl Held {
    /// Forks the first process of a sandbox.
    pub(super) fn start(config: &Config, spec: Spec) -> Result<Self> {
        let id = &spec.sandbox.id;
        let network = config.interfaces().join(&spec.sandbox.interface);
        let network: OwnedFd = File::open(&network).act("open namespace", &spec.sandbox.interface)?.into();
        let hierarchy = Hierarchy::of(config);
        let limits = crate::sandbox::cgroup::Limits {
            cores: f64::from(spec.sandbox.vcpus) * config.vcpu_share,
            memory: u64::from(spec.sandbox.memory_mib) << 20,
            pids: 4096,
        };
        let joins = hierarchy.make(&config.cgroup(), id, &limits)?;
        machine::prepare(config, &spec, &hierarchy)?;
        let groups = joins.iter().map(|path| build::open_group(path)).collect::<Result<Vec<_>>>()?;
        let user = build::user_namespace(config.root_id(spec.slot))?;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
            .act("make control channel of", id)?;
        let (console, writer) = std::io::pipe().act("make console of", id)?;
        for fd in [ours.as_fd(), OwnedFd::from(console.try_clone().act("copy console of", id)?).as_fd()] {
            nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).act("set up", id)?;
        }
        let pid = match sys::fork_into(libc::CLONE_NEWNS | libc::CLONE_NEWPID).act("fork", id)? {
            Forked::Parent(pid) => pid,
            Forked::Child => {
                become_first(config, &spec, Opened { network, user, groups }, &theirs, &OwnedFd::from(writer));
            }
        };
        let handle = sys::pidfd(pid).act("watch", id)?;
        let console = File::from(OwnedFd::from(console));
        let process = Process { pid: Pid::from_raw(pid), handle, control: ours.into(), console, by: None };
        Ok(Self { spec, state: None, course: Course::Up, process: Some(process), log: VecDeque::new() })
    }

    /// The descriptors to wait for.
    pub(super) fn awaited(&self) -> Vec<BorrowedFd<'_>> {
        self.process.iter().flat_map(|p| [p.control.as_fd(), p.console.as_fd(), p.handle.as_fd()]).collect()
    }

    /// When it is to be killed, if it is going down.
    pub(super) fn due(&self) -> Option<Instant> {
        self.process.as_ref()?.by
    }

    /// Kills it if it has taken too long to go down: those inside may keep its PID 1 from hearing of it.
    pub(super) fn end_if_due(&mut self, now: Instant) {
        if let Some(process) = &mut self.process
            && process.by.is_some_and(|by| by <= now)
        {
            process.by = None;
            let _ = sys::pidfd_kill(process.handle.as_fd(), libc::SIGKILL);
        }
    }

    fn goes_down(&mut self) {
        if let Some(process) = &mut self.process {
            process.by.get_or_insert(Instant::now() + PATIENCE);
        }
    }

    /// Which start this is.
    pub(super) fn generation(&self) -> u64 {
        self.spec.sandbox.generation
    }

    /// What it is doing, as far as its first process has said so: nothing while it is on its way up.
    pub(super) fn state(&self) -> Option<&SandboxState> {
        self.state.as_ref()
    }

    /// What it is, if it runs.
    pub(super) fn running(&self) -> Option<Running> {
        let sandbox = &self.spec.sandbox;
        let pid = self.process.as_ref()?.pid.as_raw();
        Some(Running { id: sandbox.id.clone(), interface: sandbox.interface.clone(), vcpus: sandbox.vcpus, pid })
    }

    /// The interface that it is behind.
    pub(super) fn interface(&self) -> &str {
        &self.spec.sandbox.interface
    }

    /// Kills it as a failure of its own would.
    pub(super) fn crash(&mut self, cause: StopCause) {
        if let Some(process) = &self.process {
            self.course = Course::Failed(cause);
            let _ = sys::pidfd_kill(process.handle.as_fd(), libc::SIGKILL);
        }
    }

    /// Whether it has processes.
    pub(super) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Whether a start with this number is news.
    pub(super) fn wants_start(&self, generation: u64) -> bool {
        let coming = match &self.course {
            Course::Again(spec) => spec.sandbox.generation,
            _ => self.generation(),
        };
        generation > coming
    }

    /// Goes down and comes up again as `spec`.
    pub(super) fn restart_as(&mut self, spec: Spec) {
        self.course = Course::Again(Box::new(spec));
        self.goes_down();
        self.order(&Order::Shutdown, &[]);
    }

    /// Stops it.
    pub(super) fn stop(&mut self, force: bool) {
        self.course = Course::Asked;
        if force {
            if let Some(process) = &self.process {
                let _ = sys::pidfd_kill(process.handle.as_fd(), libc::SIGKILL);
            }
        } else {
            self.goes_down();
            self.order(&Order::Shutdown, &[]);
        }
    }

    /// Runs a shell inside.
    pub(super) fn shell(&mut self, fds: &[OwnedFd]) -> Result<()> {
        if self.process.is_none() {
            return Err(Error::Refused(format!("{} does not run", self.spec.sandbox.id)));
        }
        self.order(&Order::Shell, fds);
        Ok(())
    }

    fn order(&mut self, order: &Order, fds: &[OwnedFd]) {
        let Some(process) = &self.process else { return };
        let Ok(text) = serde_json::to_vec(order) else { return };
        let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let control = if raw.is_empty() { &rights[..0] } else { &rights[..] };
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        // One that does not listen any more is about to end, or will be killed.
        let _ = sendmsg::<()>(process.control.as_raw_fd(), &[IoSlice::new(&text)], control, flags, None);
    }

    /// The console log so far.
    pub(super) fn console(&mut self) -> Vec<u8> {
        self.drain();
        self.log.iter().copied().collect()
    }

    /// Goes on with the console log of the start before.
    pub(super) fn follow(mut self, before: Option<Self>) -> Self {
        self.log = before.map(|before| before.log).unwrap_or_default();
        self
    }

    /// It should have come up again as `spec`, and could not.
    pub(super) fn fail(&mut self, spec: Spec, why: String) -> SandboxState {
        self.spec = spec;
        let state = SandboxState::Stopped(StopCause::Died(why));
        self.state = Some(state.clone());
        state
    }

    fn drain(&mut self) {
        let Some(process) = &mut self.process else { return };
        let mut buffer = [0; 16 << 10];
        // Bounded, so that a sandbox that never stops writing does not keep us from the others.
        for _ in 0..16 {
            match process.console.read(&mut buffer) {
                Ok(got) if got > 0 => {
                    self.log.extend(&buffer[..got]);
                    let surplus = self.log.len().saturating_sub(CONSOLE);
                    self.log.drain(..surplus);
                }
                _ => return,
            }
        }
    }

    /// Reads what came, and says what changed.
    pub(super) fn tend(&mut self) -> (Vec<(u64, SandboxState)>, Turn) {
        self.drain();
        let mut events = Vec::new();
        // Bounded, as the console is: the next turn goes on.
        for _ in 0..64 {
            let Some(notice) = self.notice() else { break };
            let state = match notice {
                Notice::Started => SandboxState::Running,
                Notice::UserDataDone(exit) => SandboxState::UserDataDone { exit },
                Notice::Failed(reason) => {
                    self.course = Course::Failed(StopCause::Died(reason));
                    continue;
                }
                Notice::Ending { reboot } => {
                    self.goes_down();
                    if self.course == Course::Up {
                        self.course = if reboot { Course::Again(Box::new(self.spec.clone())) } else { Course::Itself };
                    }
                    continue;
                }
            };
            self.state = Some(state.clone());
            events.push((self.generation(), state));
        }
        let Some(process) = &self.process else { return (events, Turn::None) };
        let status = match waitpid(process.pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(nix::Error::EINTR) => return (events, Turn::None),
            Ok(status) => status,
            Err(_) => WaitStatus::Exited(process.pid, -1),
        };
        self.drain();
        self.process = None;
        let cause = match std::mem::replace(&mut self.course, Course::Up) {
            Course::Again(mut spec) => {
                // A second boot of the same start must not run user data again.
                spec.sandbox.user_data = if spec.sandbox.generation == self.generation() {
                    Vec::new()
                } else {
                    std::mem::take(&mut spec.sandbox.user_data)
                };
                return (events, Turn::StartAgain(spec));
            }
            Course::Asked => StopCause::Asked,
            Course::Itself => StopCause::Itself,
            Course::Failed(cause) => cause,
            Course::Up => StopCause::Died(cause_of(status)),
        };
        let state = SandboxState::Stopped(cause);
        self.state = Some(state.clone());
        events.push((self.generation(), state));
        (events, Turn::None)
    }

    fn notice(&mut self) -> Option<Notice> {
        let mut buffer = [0; 4096];
        let got = (&self.process.as_ref()?.control).read(&mut buffer).ok().filter(|got| *got > 0)?;
        serde_json::from_slice(&buffer[..got]).ok()
    }
}

fn cause_of(status: WaitStatus) -> String {
    match status {
        WaitStatus::Exited(_, code) => format!("its first process ended with {code}"),
        WaitStatus::Signaled(_, signal, _) => format!("its first process was ended by {signal}"),
        other => format!("its first process: {other:?}"),
    }
}

/// The descriptors of PID 1.
pub(crate) const CONTROL_FD: RawFd = 3;
/// Where its console output goes.
pub(crate) const CONSOLE_FD: RawFd = 4;

/// In the new process: builds the sandbox around itself and runs as its PID 1. Never returns.
fn become_first(config: &Config, spec: &Spec, opened: Opened, control: &OwnedFd, console: &OwnedFd) -> ! {
    let run = || -> Result<()> {
        // First: one whose holder is killed on the way here would be nobody's for ever.
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).act("die with", "the holder")?;
        // Everything else of the holder's is closed, the other sandboxes' channels first of all. What is still needed is copied
        // out of the way, then put in its place.
        let mut needed = vec![control.as_fd(), console.as_fd(), opened.network.as_fd(), opened.user.as_fd()];
        needed.extend(opened.groups.iter().map(AsFd::as_fd));
        let count = needed.len() as RawFd;
        let above = CONTROL_FD + count;
        let copies = needed
            .into_iter()
            .map(|fd| sys::copy_above(fd, above).act("copy descriptor for", &spec.sandbox.id))
            .collect::<Result<Vec<_>>>()?;
        let null = File::options().read(true).write(true).open("/dev/null").act("open", "/dev/null")?;
        for at in 0..CONTROL_FD {
            sys::place_fd(null.as_fd(), at).act("place descriptor", at)?;
        }
        for (at, copy) in (CONTROL_FD..).zip(&copies) {
            sys::place_fd(copy.as_fd(), at).act("place descriptor", at)?;
        }
        // Closed all at once; their numbers are nobody's from here on.
        std::mem::forget((opened, copies, null));
        sys::close_from(above.cast_unsigned()).act("close the holder's descriptors in", &spec.sandbox.id)?;
        let opened = Opened {
            network: sys::inherited(CONTROL_FD + 2),
            user: sys::inherited(CONTROL_FD + 3),
            groups: (0..count - 4).map(|number| File::from(sys::inherited(CONTROL_FD + 4 + number))).collect(),
        };
        // SAFETY: the control channel was placed there above, and stays for as long as this process lives.
        let channel = unsafe { BorrowedFd::borrow_raw(CONTROL_FD) };
        build::end_with_holder(channel)?;
        build::enter(config, spec, opened, channel)
    };
    match run() {
        Ok(()) => init::run(spec),
        Err(error) => {
            let notice = serde_json::to_vec(&Notice::Failed(build::describe(&error))).unwrap_or_default();
            let _ = nix::sys::socket::send(CONTROL_FD, &notice, MsgFlags::MSG_NOSIGNAL);
            sys::exit_now(1)
        }
    }
}
