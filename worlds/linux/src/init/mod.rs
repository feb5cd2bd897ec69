//! PID 1 of a sandbox: brings the instance up as a distribution's boot and cloud-init would, runs its user data and its services,
//! reaps what is orphaned, and takes it down. It runs inside, confined, and trusts nothing that it reads there.

mod account;
mod cloud;
pub mod guest;
mod power;
mod service;
mod spawn;
mod ssh;
mod unit;
mod userdata;

use crate::holder::{CONSOLE_FD, CONTROL_FD};
use crate::sandbox::{Notice, Order, Spec};
use crate::sys;
use guest::{Answer, Asked};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, send};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use service::Services;
use std::fs::{self, File, OpenOptions};
use std::io::{IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::{Duration, Instant};

/// How long an orderly shutdown may take before what is left is killed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How much of anything is taken at a time: those inside may write, ask and end faster than it is handled, and orders come between.
const ROUNDS: usize = 16;

/// Where user data's output goes, beside the console.
const OUTPUT_LOG: &str = "/var/log/cloud-init-output.log";

/// Brings the sandbox up and runs it to its end. Never returns.
pub(crate) fn run(spec: &Spec) -> ! {
    let code = match Init::start(spec) {
        Ok(mut init) => {
            init.run();
            0
        }
        Err(error) => {
            notify(&Notice::Failed(format!("boot: {error}")));
            1
        }
    };
    sys::exit_now(code)
}

fn notify(notice: &Notice) {
    if let Ok(text) = serde_json::to_vec(notice) {
        // Without a holder there is nobody to tell, and the next read of the channel says so.
        let _ = send(CONTROL_FD, &text, MsgFlags::MSG_NOSIGNAL);
    }
}

/// What the instance is on its way to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Up,
    /// Everything has been told to end; what has not by then is killed.
    Down {
        reboot: bool,
        by: Instant,
    },
}

struct Init {
    control: OwnedFd,
    console: File,
    console_in: File,
    log_socket: Option<UnixDatagram>,
    requests: Option<UnixListener>,
    signals: SignalFd,
    services: Services,
    user_data: Option<UserData>,
    course: Course,
    /// Whether children that have ended may be left to collect.
    unreaped: bool,
    /// When to go down, and whether to boot again.
    scheduled: Option<(Instant, bool)>,
}

/// User data that runs.
struct UserData {
    pid: Pid,
    output: Option<File>,
    log: Option<File>,
    exit: Option<i32>,
    rest: Vec<std::path::PathBuf>,
    worst: i32,
}

impl Init {
    fn start(spec: &Spec) -> std::io::Result<Self> {
        for fd in [CONTROL_FD, CONSOLE_FD] {
            sys::close_on_exec(fd)?;
        }
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            mask.add(signal);
        }
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        // Open for both, so that it never comes to its end.
        let console_in =
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/console")?;
        let mut init = Self {
            control: sys::inherited(CONTROL_FD),
            console: sys::inherited(CONSOLE_FD).into(),
            console_in,
            log_socket: bind_log(),
            requests: guest::listen().ok(),
            signals,
            services: Services::default(),
            user_data: None,
            course: Course::Up,
            unreaped: false,
            scheduled: None,
        };
        init.say(&format!("zonal: {} boots\n", spec.sandbox.hostname));
        prepare_files(spec)?;
        cloud::begin(&spec.sandbox.id)?;
        if spec.sandbox.generation == 1
            && let Err(error) = account::prepare(spec)
        {
            init.say(&format!("cloud-init: the default user: {error}\n"));
        }
        notify(&Notice::Started);
        for line in init.services.start_enabled(&spec.sandbox.authorized_keys) {
            init.say(&line);
        }
        if spec.sandbox.generation == 1 {
            init.start_user_data(&spec.sandbox.user_data);
        } else {
            init.boot_is_over(false);
        }
        Ok(init)
    }

    /// Writes to the console log. The holder takes it, and never waits for anybody meanwhile but for a second; so what it can't take yet is
    /// waited for.
    fn say(&mut self, text: &str) {
        let _ = self.console.write_all(text.as_bytes());
    }

    fn start_user_data(&mut self, data: &[u8]) {
        if data.is_empty() {
            return self.boot_is_over(false);
        }
        match userdata::unpack(data) {
            Ok(scripts) => self.run_scripts(scripts, 0),
            Err(reason) => {
                self.say(&format!("cloud-init: {reason}\n"));
                // AWS's only warns of what it does not know.
                self.boot_is_over(false);
                notify(&Notice::UserDataDone(1));
            }
        }
    }

    /// Says so to those inside who wait for it.
    fn boot_is_over(&mut self, failed: bool) {
        if let Err(error) = cloud::finish(failed) {
            self.say(&format!("cloud-init: {error}\n"));
        }
    }

    /// Runs the first of these scripts, and the others after it.
    fn run_scripts(&mut self, mut scripts: Vec<std::path::PathBuf>, worst: i32) {
        if scripts.is_empty() {
            self.say("cloud-init: user data has ended\n");
            self.boot_is_over(worst != 0);
            notify(&Notice::UserDataDone(worst));
            return;
        }
        let script = scripts.remove(0);
        let log = OpenOptions::new().create(true).append(true).open(OUTPUT_LOG).ok();
        match spawn::script(&script) {
            Ok((pid, output)) => {
                self.user_data = Some(UserData { pid, output: Some(output), log, exit: None, rest: scripts, worst });
            }
            Err(error) => {
                self.say(&format!("cloud-init: {}: {error}\n", script.display()));
                self.run_scripts(scripts, 1);
            }
        }
    }

    /// Serves until everything has ended.
    fn run(&mut self) {
        while self.turn() {}
    }

    /// Waits for something to happen; whether to go on.
    fn turn(&mut self) -> bool {
        let mut fds = vec![
            PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.console_in.as_fd(), PollFlags::POLLIN),
        ];
        let optional = [
            self.log_socket.as_ref().map(AsFd::as_fd),
            self.requests.as_ref().map(AsFd::as_fd),
            self.user_data.as_ref().and_then(|data| data.output.as_ref()).map(AsFd::as_fd),
        ];
        let optional = optional.into_iter().flatten().chain(self.services.ssh.descriptors());
        fds.extend(optional.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let now = Instant::now();
        let due = match self.course {
            Course::Up => self.services.next_due().into_iter().chain(self.scheduled.map(|(at, _)| at)).min(),
            Course::Down { by, .. } => Some(by),
        };
        let timeout = match due {
            _ if self.unreaped => PollTimeout::ZERO,
            Some(due) => {
                let wait = due.saturating_duration_since(now) + Duration::from_millis(1);
                PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        };
        let _ = poll(&mut fds, timeout);
        drop(fds);
        for _ in 0..ROUNDS {
            if !matches!(self.signals.read_signal(), Ok(Some(_))) {
                break;
            }
        }
        if !self.take_orders() {
            return false;
        }
        self.pass_output();
        self.reap();
        self.serve_requests();
        if let Some((_, reboot)) = self.scheduled.filter(|(at, _)| *at <= Instant::now()) {
            self.go_down(reboot);
        }
        match self.course {
            Course::Up => {
                let mut lines = self.services.start_due(Instant::now());
                lines.extend(self.services.ssh.accept());
                for line in lines {
                    self.say(&line);
                }
                true
            }
            Course::Down { by, .. } => self.wait_for_end(by),
        }
    }

    /// Takes what the holder orders; false when the holder is gone.
    fn take_orders(&mut self) -> bool {
        loop {
            let mut buffer = [0; 1024];
            let mut space = nix::cmsg_space!([RawFd; 3]);
            let mut slices = [IoSliceMut::new(&mut buffer)];
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
            let message = match recvmsg::<()>(self.control.as_raw_fd(), &mut slices, Some(&mut space), flags) {
                Ok(message) => message,
                Err(nix::Error::EAGAIN | nix::Error::EINTR) => return true,
                Err(_) => return false,
            };
            let mut fds = Vec::new();
            for control in message.cmsgs().into_iter().flatten() {
                if let ControlMessageOwned::ScmRights(raw) = control {
                    // SAFETY: the kernel has just made these descriptors for this process; nobody else owns them.
                    fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
                }
            }
            let got = message.bytes;
            if got == 0 {
                return false;
            }
            match serde_json::from_slice(&buffer[..got]) {
                Ok(Order::Shutdown) => self.go_down(false),
                Ok(Order::Shell) => {
                    if let Err(error) = spawn::shell(fds) {
                        self.say(&format!("zonal: no shell: {error}\n"));
                    }
                }
                Err(_) => {}
            }
        }
    }

    /// Copies output to the console: what programs write to `/dev/console`, and user data's.
    fn pass_output(&mut self) {
        let mut buffer = [0; 16 << 10];
        for _ in 0..ROUNDS {
            match self.console_in.read(&mut buffer) {
                Ok(got) if got > 0 && self.console.write_all(&buffer[..got]).is_ok() => {}
                _ => break,
            }
        }
        for _ in 0..ROUNDS {
            let Some(Ok(got)) = self.log_socket.as_ref().map(|socket| socket.recv(&mut buffer)) else { break };
            if let Ok(mut file) = OpenOptions::new().create(true).append(true).open("/var/log/messages") {
                let text = String::from_utf8_lossy(&buffer[..got]);
                let text = text.trim_start_matches(|c: char| c == '<' || c == '>' || c.is_ascii_digit());
                let _ = writeln!(file, "{text}");
            }
        }
        if let Some(data) = &mut self.user_data
            && let Some(output) = &mut data.output
        {
            for _ in 0..ROUNDS {
                match output.read(&mut buffer) {
                    Ok(0) => {
                        data.output = None;
                        break;
                    }
                    Ok(got) => {
                        let _ = self.console.write_all(&buffer[..got]);
                        if let Some(log) = &mut data.log {
                            let _ = log.write_all(&buffer[..got]);
                        }
                    }
                    Err(_) => break,
                }
            }
        }
        self.finish_user_data();
    }

    /// Collects children that have ended.
    fn reap(&mut self) {
        // Where they end faster than they are collected, their signal may have been taken already.
        self.unreaped = true;
        for _ in 0..ROUNDS {
            let (pid, exit) = match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, code),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32),
                _ => {
                    self.unreaped = false;
                    break;
                }
            };
            if let Some(data) = &mut self.user_data
                && data.pid == pid
            {
                data.exit = Some(exit);
            }
            let mut lines = self.services.ssh.ended(pid, exit);
            lines.extend(self.services.ended(pid, exit, Instant::now()));
            for line in lines {
                self.say(&line);
            }
        }
        // What it wrote last is still to be read; a program it left behind may keep its output open for ever.
        if self.user_data.as_ref().is_some_and(|data| data.exit.is_some()) {
            self.pass_output();
        }
    }

    fn finish_user_data(&mut self) {
        let Some(exit) = self.user_data.as_ref().and_then(|data| data.exit) else { return };
        if let Some(data) = self.user_data.take() {
            if let Some(output) = data.output {
                spawn::keep_reading(output);
            }
            self.run_scripts(data.rest, if exit == 0 { data.worst } else { exit });
        }
    }

    /// Serves those inside who ask by `systemctl`, `shutdown` and their like.
    fn serve_requests(&mut self) {
        // One a turn: each may take its time to say what it wants.
        if let Some((stream, _)) = self.requests.as_ref().and_then(|listener| listener.accept().ok()) {
            let answer = match guest::read_request(&stream) {
                Ok(asked) => self.answer(asked),
                Err(reason) => Answer::failed(&reason),
            };
            guest::answer(&stream, &answer);
        }
    }

    fn answer(&mut self, asked: Asked) -> Answer {
        match asked {
            Asked::PowerOff => {
                self.go_down(false);
                Answer::fine("")
            }
            Asked::Reboot => {
                self.go_down(true);
                Answer::fine("")
            }
            Asked::Later { reboot, seconds } => {
                let Some(at) = Instant::now().checked_add(Duration::from_secs(seconds)) else {
                    return Answer::failed("That is too far in the future.\n");
                };
                self.scheduled = Some((at, reboot));
                Answer::fine(&format!("Shutdown scheduled in {seconds} seconds, use 'shutdown -c' to cancel.\n"))
            }
            Asked::Cancel => {
                self.scheduled = None;
                Answer::fine("")
            }
            Asked::HostName(name) => match nix::unistd::sethostname(&name) {
                Ok(()) => Answer::fine(""),
                Err(error) => Answer::failed(&format!("{name}: {error}")),
            },
            Asked::Service(verb) => {
                let (answer, lines) = self.services.perform(&verb, Instant::now());
                for line in lines {
                    self.say(&line);
                }
                answer
            }
        }
    }

    /// Tells everything to end.
    fn go_down(&mut self, reboot: bool) {
        self.scheduled = None;
        if self.course != Course::Up {
            return;
        }
        self.course = Course::Down { reboot, by: Instant::now() + PATIENCE };
        self.say(if reboot { "zonal: restarting\n" } else { "zonal: going down\n" });
        notify(&Notice::Ending { reboot });
        self.services.stop_all();
        // All but ourselves: what is nobody's child here too.
        let _ = kill(Pid::from_raw(-1), Signal::SIGTERM);
        let _ = kill(Pid::from_raw(-1), Signal::SIGHUP);
    }

    /// Whether to go on waiting for what has been told to end.
    fn wait_for_end(&mut self, by: Instant) -> bool {
        match kill(Pid::from_raw(-1), None) {
            Err(nix::Error::ESRCH) => {
                self.say("zonal: down\n");
                false
            }
            _ if Instant::now() >= by => {
                let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
                self.say("zonal: down; some had to be killed\n");
                false
            }
            _ => true,
        }
    }
}

fn bind_log() -> Option<UnixDatagram> {
    use std::os::unix::fs::PermissionsExt;
    let socket = UnixDatagram::bind("/dev/log").ok()?;
    fs::set_permissions("/dev/log", fs::Permissions::from_mode(0o666)).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

/// The files that say who this instance is.
fn prepare_files(spec: &Spec) -> std::io::Result<()> {
    let name = &spec.sandbox.hostname;
    let short = name.split('.').next().unwrap_or(name);
    for directory in
        ["/run/lock", "/run/zonal", "/run/systemd/system", "/var/log", "/var/lib/cloud/instance/scripts", "/root"]
    {
        fs::create_dir_all(directory)?;
    }
    fs::write("/etc/hostname", format!("{name}\n"))?;
    fs::write("/etc/hosts", format!("127.0.0.1 localhost\n127.0.1.1 {name} {short}\n"))?;
    let domain = name.split_once('.').map_or("ec2.internal", |(_, domain)| domain);
    fs::write(
        "/etc/resolv.conf",
        format!("nameserver 169.254.169.253\nsearch {domain}\noptions timeout:2 attempts:3\n"),
    )?;
    Ok(())
}

/// Kept here so that the guest's side and ours agree on what a stream is.
pub(crate) type Stream = UnixStream;
