//! The commands that those inside know a booted system by: `systemctl`, `shutdown` and their like. This very program, found under
//! those names, asks PID 1 over a socket.

use super::power::{self, Power};
use super::service::LOGS;
use super::{Stream, cloud};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const SOCKET: &str = "/run/zonal/init.sock";
const LONGEST: u64 = 64 << 10;
/// How long PID 1 listens to one that asks.
const PATIENCE: Duration = Duration::from_millis(200);

/// The names that our program answers to inside a sandbox.
pub const NAMES: [&str; 10] = [
    "systemctl",
    "shutdown",
    "poweroff",
    "halt",
    "reboot",
    "hostnamectl",
    "service",
    "journalctl",
    "runlevel",
    "cloud-init",
];

/// What can be asked of PID 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Asked {
    PowerOff,
    Reboot,
    /// The same, in so many seconds.
    Later {
        reboot: bool,
        seconds: u64,
    },
    /// No more.
    Cancel,
    HostName(String),
    Service(Verb),
}

/// What `systemctl` is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Verb {
    pub name: String,
    pub units: Vec<String>,
    /// With `--now`.
    pub now: bool,
}

/// An answer: what to print, and the exit code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub code: i32,
    pub output: String,
}

impl Answer {
    pub(super) fn fine(output: &str) -> Self {
        Self { code: 0, output: output.to_owned() }
    }

    pub(super) fn failed(reason: &str) -> Self {
        Self { code: 1, output: format!("{reason}\n") }
    }
}

/// Opens the socket for requests.
pub(super) fn listen() -> io::Result<UnixListener> {
    std::fs::create_dir_all("/run/zonal")?;
    let _ = std::fs::remove_file(SOCKET);
    let listener = UnixListener::bind(SOCKET)?;
    std::fs::set_permissions(SOCKET, std::fs::Permissions::from_mode(0o666))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Reads a request; only root inside may ask for more than how things are.
pub(super) fn read_request(stream: &Stream) -> Result<Asked, String> {
    let text = read_within(stream, PATIENCE).map_err(|e| e.to_string())?;
    let asked: Asked = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
    let harmless = matches!(&asked, Asked::Service(verb)
        if matches!(verb.name.as_str(), "status" | "show" | "is-active" | "is-enabled" | "is-failed"));
    let who =
        nix::sys::socket::getsockopt(stream, nix::sys::socket::sockopt::PeerCredentials).map_err(|e| e.to_string())?;
    if who.uid() == 0 || harmless { Ok(asked) } else { Err("Access denied".to_owned()) }
}

/// Reads all that a caller says, within this time in all: one that says a byte now and then would keep PID 1 from everybody else.
fn read_within(mut stream: &Stream, patience: Duration) -> io::Result<Vec<u8>> {
    let by = Instant::now() + patience;
    stream.set_write_timeout(Some(patience))?;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    while (text.len() as u64) < LONGEST {
        let left = by.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer)? {
            0 => break,
            got => text.extend_from_slice(&buffer[..got]),
        }
    }
    Ok(text)
}

/// Sends an answer; a caller that has gone is not waited for.
pub(super) fn answer(mut stream: &Stream, answer: &Answer) {
    let _ = stream.write_all(&serde_json::to_vec(answer).unwrap_or_default());
}

fn ask(asked: &Asked) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(SOCKET)?;
    stream.write_all(&serde_json::to_vec(asked)?)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Runs as the command `name` with `arguments`, inside a sandbox.
pub fn main(name: &str, arguments: &[String]) -> ExitCode {
    let done = match name {
        "systemctl" => systemctl(arguments),
        "service" => match arguments {
            [unit, verb, ..] => systemctl(&[verb.clone(), unit.clone()]),
            _ => Ok(Answer::failed("usage: service NAME COMMAND")),
        },
        "shutdown" | "poweroff" | "halt" | "reboot" => match power::read(name, arguments) {
            Power::Help => Ok(Answer::fine(power::USAGE)),
            Power::Unknown(reason) => Ok(Answer::failed(&reason)),
            Power::Cancel => ask(&Asked::Cancel),
            Power::Down { reboot: true, seconds: 0 } => ask(&Asked::Reboot),
            Power::Down { reboot: false, seconds: 0 } => ask(&Asked::PowerOff),
            Power::Down { reboot, seconds } => ask(&Asked::Later { reboot, seconds }),
        },
        "cloud-init" => Ok(cloud::main(arguments)),
        "runlevel" => Ok(Answer::fine("N 5\n")),
        "hostnamectl" => match arguments {
            [verb, new, ..] if verb == "set-hostname" || verb == "hostname" => set_host_name(new),
            _ => std::fs::read_to_string("/etc/hostname").map(|name| Answer::fine(&name)),
        },
        "journalctl" => journal(arguments),
        other => Ok(Answer::failed(&format!("{other}: not known here"))),
    };
    match done {
        Ok(Answer { code, output }) => {
            if code == 0 {
                print!("{output}")
            } else {
                eprint!("{output}")
            }
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn set_host_name(name: &str) -> io::Result<Answer> {
    let answer = ask(&Asked::HostName(name.to_owned()))?;
    if answer.code == 0 {
        std::fs::write("/etc/hostname", format!("{name}\n"))?;
    }
    Ok(answer)
}

fn systemctl(arguments: &[String]) -> io::Result<Answer> {
    let (options, words): (Vec<&String>, Vec<&String>) = arguments.iter().partition(|a| a.starts_with('-'));
    if options.iter().any(|option| *option == "--help") {
        return Ok(Answer::fine("Usage: systemctl [OPTIONS...] COMMAND [UNIT...]\n"));
    }
    let Some((name, units)) = words.split_first() else { return Ok(Answer::fine("")) };
    let units: Vec<String> = units.iter().map(|unit| (*unit).clone()).collect();
    let quiet = options.iter().any(|o| *o == "-q" || *o == "--quiet");
    let now = options.iter().any(|o| *o == "--now");
    match name.as_str() {
        "daemon-reload" | "daemon-reexec" | "reset-failed" | "set-default" => return Ok(Answer::fine("")),
        "poweroff" | "halt" => return ask(&Asked::PowerOff),
        "reboot" => return ask(&Asked::Reboot),
        "is-system-running" => return Ok(Answer::fine("running\n")),
        _ => {}
    }
    let verb = Verb { name: (*name).clone(), units, now };
    let mut answer = ask(&Asked::Service(verb.clone()))?;
    if answer.code == 0 && (now || matches!(name.as_str(), "start" | "stop" | "restart" | "reload-or-restart")) {
        answer = settle(&verb, answer)?;
    }
    if quiet {
        answer.output.clear();
    }
    // What these print is their answer, whatever the code says.
    if answer.code != 0 && matches!(name.as_str(), "is-active" | "is-enabled" | "is-failed" | "status") {
        print!("{}", std::mem::take(&mut answer.output));
    }
    Ok(answer)
}

/// Waits until services that were started are up, or have failed.
fn settle(verb: &Verb, started: Answer) -> io::Result<Answer> {
    let deadline = Instant::now() + Duration::from_secs(90);
    for unit in &verb.units {
        loop {
            let look = Verb { name: "is-active".to_owned(), units: vec![unit.clone()], now: false };
            let state = ask(&Asked::Service(look))?;
            match state.output.trim() {
                "activating" | "deactivating" if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                "failed" if verb.name != "stop" => {
                    return Ok(Answer::failed(&format!("Job for {unit} failed. See \"journalctl -u {unit}\".")));
                }
                _ => break,
            }
        }
    }
    Ok(started)
}

fn journal(arguments: &[String]) -> io::Result<Answer> {
    let mut unit = None;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.strip_prefix("--unit=") {
            Some(name) => unit = Some(name.to_owned()),
            None if argument == "-u" || argument == "--unit" => unit = rest.next().cloned(),
            None => unit = argument.strip_prefix("-u").filter(|name| !name.is_empty()).map(str::to_owned).or(unit),
        }
    }
    let path = match unit.as_deref().map(super::unit::full_name) {
        Some(Some(name)) => format!("{LOGS}/{name}.log"),
        Some(None) => return Ok(Answer::failed("journalctl: no such unit")),
        None => "/var/log/messages".to_owned(),
    };
    Ok(Answer::fine(&std::fs::read_to_string(path).unwrap_or_default()))
}
