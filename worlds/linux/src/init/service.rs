//! Services: started, watched, started again, stopped, as their units say.

use super::guest::{Answer, Verb};
use super::spawn;
use super::ssh::{self, Ssh};
use super::unit::{self, Kind, Unit};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::{File, create_dir_all};
use std::io;
use std::time::{Duration, Instant};

/// How long a service may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);
/// More starts than this within [`WINDOW`], and it has failed.
const BURST: usize = 5;
const WINDOW: Duration = Duration::from_secs(10);
/// Where services' output goes.
pub(super) const LOGS: &str = "/var/log/services";

/// What a service is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Inactive,
    /// Its command with this number runs.
    Running {
        pid: Pid,
        command: usize,
    },
    /// Its commands have ended and it counts as active.
    Active,
    Failed {
        exit: i32,
    },
    /// It starts again then.
    Waiting {
        until: Instant,
    },
    /// It was told to end; after that it is killed.
    Stopping {
        pid: Pid,
        by: Instant,
        again: bool,
    },
}

struct Service {
    unit: Unit,
    state: State,
    starts: Vec<Instant>,
}

/// All services that have been started since boot.
#[derive(Default)]
pub(super) struct Services {
    known: BTreeMap<String, Service>,
    /// The one that is a listener of PID 1's own.
    pub ssh: Ssh,
}

impl Services {
    /// Starts those that are enabled; what to say about it. `keys` are those that may log in.
    pub(super) fn start_enabled(&mut self, keys: &[String]) -> Vec<String> {
        for name in unit::enabled().iter().filter(|name| *name != ssh::UNIT) {
            let _ = self.start(name, Instant::now());
        }
        let wanted = !unit::links(ssh::UNIT).is_empty() || Ssh::is_wanted(keys);
        let started = if wanted { self.ssh.start() } else { Ok(()) };
        started.err().map(|error| format!("sshd: {error}\n")).into_iter().collect()
    }

    /// Starts a service; the line for the console.
    fn start(&mut self, name: &str, now: Instant) -> io::Result<String> {
        if name == ssh::UNIT {
            return self.ssh.start().map(|()| String::new());
        }
        let unit = Unit::load(name)?;
        let service = self.known.entry(name.to_owned()).or_insert_with(|| Service {
            unit: unit.clone(),
            state: State::Inactive,
            starts: Vec::new(),
        });
        if matches!(service.state, State::Running { .. } | State::Active) {
            return Ok(String::new());
        }
        service.unit = unit;
        if let State::Stopping { again, .. } = &mut service.state {
            *again = true;
            return Ok(String::new());
        }
        service.starts.push(now);
        service.run(name, 0);
        Ok(format!("systemd: {} {name}\n", if service.failed() { "failed to start" } else { "started" }))
    }

    /// A child has ended: if it was a service's, what to say about it.
    pub(super) fn ended(&mut self, pid: Pid, exit: i32, now: Instant) -> Option<String> {
        let (name, service) = self.known.iter_mut().find(|(_, service)| service.pid() == Some(pid))?;
        match service.state {
            State::Running { command, .. } => {
                let line = service.unit.commands.get(command).map_or("", String::as_str);
                let fine = exit == 0 || line.starts_with('-');
                let last = command + 1 >= service.unit.commands.len();
                if fine && !last {
                    service.run(name, command + 1);
                    return None;
                }
                if last && exit == 0 && (service.unit.remains || service.unit.kind == Kind::Forking) {
                    service.state = State::Active;
                    return None;
                }
                if service.unit.restart.after(exit) && (last || !fine) {
                    service.starts.retain(|start| now.duration_since(*start) < WINDOW);
                    if service.starts.len() < BURST {
                        service.state = State::Waiting { until: now + service.unit.restart_after };
                        return Some(format!("systemd: {name} ended with {exit}; starts again\n"));
                    }
                }
                service.state = if fine { State::Inactive } else { State::Failed { exit } };
                (!fine).then(|| format!("systemd: {name} failed with {exit}\n"))
            }
            State::Stopping { again, .. } => {
                service.state = State::Inactive;
                let name = name.clone();
                if again { self.start(&name, now).ok() } else { None }
            }
            _ => None,
        }
    }

    /// When something is to be done next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.known
            .values()
            .filter_map(|service| match service.state {
                State::Waiting { until } => Some(until),
                State::Stopping { by, .. } => Some(by),
                _ => None,
            })
            .min()
    }

    /// Does what is due; what to say about it.
    pub(super) fn start_due(&mut self, now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, service) in &mut self.known {
            match service.state {
                State::Waiting { until } if until <= now => {
                    service.starts.push(now);
                    service.run(name, 0);
                    if service.failed() {
                        lines.push(format!("systemd: failed to start {name}\n"));
                    }
                }
                State::Stopping { pid, by, again } if by <= now => {
                    let _ = killpg(pid, Signal::SIGKILL);
                    service.state = State::Stopping { pid, by: now + PATIENCE, again };
                }
                _ => {}
            }
        }
        lines
    }

    /// Stops every service: the instance goes down.
    pub(super) fn stop_all(&mut self) {
        self.ssh.stop();
        for service in self.known.values_mut() {
            service.stop(Instant::now(), false);
        }
    }

    /// Does what `systemctl` asks.
    pub(super) fn perform(&mut self, verb: &Verb, now: Instant) -> (Answer, Vec<String>) {
        let mut lines = Vec::new();
        let mut answer = Answer::fine("");
        for given in &verb.units {
            let Some(name) = unit::full_name(given).map(unit::real_name) else {
                return (Answer::failed(&format!("Invalid unit name {given}")), lines);
            };
            let one = self.perform_one(verb, &name, now, &mut lines);
            answer.output.push_str(&one.output);
            if one.code != 0 {
                answer.code = one.code;
            }
        }
        (answer, lines)
    }

    fn perform_one(&mut self, verb: &Verb, name: &str, now: Instant, lines: &mut Vec<String>) -> Answer {
        let missing = |error: &io::Error| Answer {
            code: 5,
            output: match error.kind() {
                io::ErrorKind::NotFound => format!("Unit {name} not found.\n"),
                _ => format!("Unit {name}: {error}\n"),
            },
        };
        let mut start = |services: &mut Self| match services.start(name, now) {
            Ok(line) => {
                lines.push(line);
                match services.known.get(name).map(|service| service.state) {
                    Some(State::Failed { .. }) => Answer::failed(&format!("Job for {name} failed.")),
                    _ => Answer::fine(""),
                }
            }
            Err(error) => missing(&error),
        };
        if name == ssh::UNIT
            && let Some(answer) = self.ssh.perform(verb)
        {
            return answer;
        }
        match verb.name.as_str() {
            "start" => start(self),
            "stop" => {
                if let Some(service) = self.known.get_mut(name) {
                    service.stop(now, false);
                }
                Answer::fine("")
            }
            "restart" | "reload" | "reload-or-restart" | "try-restart" => {
                match self
                    .known
                    .get_mut(name)
                    .filter(|service| service.pid().is_some() || service.state == State::Active)
                {
                    Some(service) => {
                        service.stop(now, true);
                        if service.state == State::Inactive { start(self) } else { Answer::fine("") }
                    }
                    None => start(self),
                }
            }
            "enable" | "preset" => match unit::enable(name) {
                Ok(made) => {
                    let mut answer = if verb.now { start(self) } else { Answer::fine("") };
                    for link in made {
                        answer.output.push_str(&format!("Created symlink {}.\n", link.display()));
                    }
                    answer
                }
                Err(error) => missing(&error),
            },
            "unmask" => Answer::fine(""),
            "disable" | "mask" => {
                for link in unit::links(name) {
                    let _ = std::fs::remove_file(link);
                }
                if verb.now && name == ssh::UNIT {
                    self.ssh.stop();
                } else if verb.now
                    && let Some(service) = self.known.get_mut(name)
                {
                    service.stop(now, false);
                }
                Answer::fine("")
            }
            "is-enabled" => {
                if unit::links(name).is_empty() {
                    Answer { code: 1, output: "disabled\n".to_owned() }
                } else {
                    Answer::fine("enabled\n")
                }
            }
            "is-active" | "is-failed" | "status" | "show" => self.describe(verb.name.as_str(), name),
            other => Answer::failed(&format!("Unknown command verb {other}.")),
        }
    }

    fn describe(&self, verb: &str, name: &str) -> Answer {
        let service = self.known.get(name);
        let (word, detail, code) = match service.map(|service| (service.state, service.unit.kind)) {
            Some((State::Running { command, .. }, kind)) => {
                let last = service.is_some_and(|service| command + 1 == service.unit.commands.len());
                if last && kind == Kind::Simple { ("active", "running", 0) } else { ("activating", "start", 3) }
            }
            Some((State::Active, Kind::Forking)) => ("active", "running", 0),
            Some((State::Active, _)) => ("active", "exited", 0),
            Some((State::Failed { .. }, _)) => ("failed", "failed", 3),
            Some((State::Waiting { .. }, _)) => ("activating", "auto-restart", 3),
            Some((State::Stopping { .. }, _)) => ("deactivating", "stop", 3),
            Some((State::Inactive, _)) | None => ("inactive", "dead", 3),
        };
        match verb {
            "is-active" => Answer { code, output: format!("{word}\n") },
            "is-failed" => Answer { code: i32::from(word != "failed"), output: format!("{word}\n") },
            "show" => Answer::fine(&format!("ActiveState={word}\nSubState={detail}\n")),
            _ if service.is_none() && unit::find(name).is_none() => {
                Answer { code: 4, output: format!("Unit {name} could not be found.\n") }
            }
            _ => {
                let description = match service {
                    Some(service) => service.unit.description.clone(),
                    None => Unit::load(name).map(|unit| unit.description).unwrap_or_default(),
                };
                let pid = service.and_then(Service::pid).map_or(String::new(), |pid| format!("   Main PID: {pid}\n"));
                Answer { code, output: format!("* {name} - {description}\n     Active: {word} ({detail})\n{pid}") }
            }
        }
    }
}

impl Service {
    fn failed(&self) -> bool {
        matches!(self.state, State::Failed { .. })
    }

    fn pid(&self) -> Option<Pid> {
        match self.state {
            State::Running { pid, .. } | State::Stopping { pid, .. } => Some(pid),
            _ => None,
        }
    }

    /// Runs a command of the unit.
    fn run(&mut self, name: &str, command: usize) {
        let Some(line) = self.unit.commands.get(command) else {
            self.state = State::Failed { exit: 203 };
            return;
        };
        self.state = match launch(&self.unit, name, line) {
            Ok(pid) => State::Running { pid, command },
            Err(_) => State::Failed { exit: 203 },
        };
    }

    fn stop(&mut self, now: Instant, again: bool) {
        match self.state {
            State::Running { pid, .. } => {
                let _ = killpg(pid, Signal::SIGTERM);
                self.state = State::Stopping { pid, by: now + PATIENCE, again };
            }
            State::Stopping { pid, by, .. } => self.state = State::Stopping { pid, by, again },
            State::Active | State::Waiting { .. } => {
                if let Some(line) = self.unit.stop.clone() {
                    let _ = launch(&self.unit, "stop", &line);
                }
                self.state = State::Inactive;
            }
            State::Inactive | State::Failed { .. } => self.state = State::Inactive,
        }
    }
}

/// Starts a command line of a unit.
fn launch(unit: &Unit, name: &str, line: &str) -> io::Result<Pid> {
    let environment = unit.full_environment();
    let line = line.trim_start_matches(['-', '@', '+', '!', ':']);
    let words = unit::expand(unit::words(line), &environment);
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    create_dir_all(LOGS)?;
    let log = File::options().create(true).append(true).open(format!("{LOGS}/{name}.log"))?;
    let account = account(unit)?;
    for name in unit.runtime.iter().filter(|name| !name.split('/').any(|part| part.is_empty() || part == "..")) {
        let path = std::path::Path::new("/run").join(name);
        create_dir_all(&path)?;
        if let Some(account) = &account {
            std::os::unix::fs::lchown(&path, Some(account.user), Some(account.group))?;
        }
    }
    let mut command = spawn::command_as(program, account.as_ref().map(|account| (account.user, account.group)));
    command.args(arguments).envs(&environment).stdout(log.try_clone()?).stderr(log);
    if let Some(directory) = &unit.directory {
        command.current_dir(directory.trim_start_matches('-'));
    }
    match &account {
        Some(account) => command.env("HOME", &account.home).env("USER", &account.name).env("LOGNAME", &account.name),
        None => command.env("HOME", "/root").env("USER", "root"),
    };
    Ok(Pid::from_raw(command.spawn()?.id().cast_signed()))
}

/// Whom a service runs as.
struct Account {
    name: String,
    home: String,
    user: u32,
    group: u32,
}

/// Whom a unit wants to run as. Read from the files by hand: the C library would load whatever `/etc/nsswitch.conf` names into this
/// process, whose memory those inside have no business in.
fn account(unit: &Unit) -> io::Result<Option<Account>> {
    let missing = |kind: &str, name: &str| io::Error::new(io::ErrorKind::NotFound, format!("no {kind} {name}"));
    let read = |file: &str| spawn::read_small(std::path::Path::new(file), 1 << 20);
    if unit.user.is_none() && unit.group.is_none() {
        return Ok(None);
    }
    let wanted = unit.user.as_deref().unwrap_or("root");
    let users = read("/etc/passwd")?;
    let mut entries = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let entry = entries.find(|entry| entry.len() >= 6 && (entry[0] == wanted || entry[2] == wanted));
    let entry = entry.ok_or_else(|| missing("user", wanted))?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| missing("id", text));
    let group = match unit.group.as_deref() {
        None => number(entry[3])?,
        Some(wanted) => {
            let groups = read("/etc/group")?;
            let mut entries = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
            let group = entries.find(|entry| entry.len() >= 3 && (entry[0] == wanted || entry[2] == wanted));
            number(group.ok_or_else(|| missing("group", wanted))?[2])?
        }
    };
    Ok(Some(Account { name: entry[0].to_owned(), home: entry[5].to_owned(), user: number(entry[2])?, group }))
}
