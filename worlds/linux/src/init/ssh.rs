//! `ssh.service`: PID 1 listens in sshd's place and starts one for each connection, so that nobody's memory is taken by one that nobody
//! talks to. What it needs (keys of the host, made when the first client comes; sshd itself, where the image has none) a script sees to.

use super::guest::{Answer, Verb};
use super::{spawn, unit};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;

/// The unit's name: Debian's. It is known as `sshd.service`, too, by a link.
pub(super) const UNIT: &str = "ssh.service";
const SSHD: &str = "/usr/sbin/sshd";
const SETTINGS: &str = "/etc/ssh/sshd_config";
/// Sees to it that sshd can run.
const PREPARE: &str = include_str!("sshd.sh");
/// Sessions at a time; further clients are turned away.
const MOST_SESSIONS: usize = 128;
/// The largest file of settings.
const LARGEST: u64 = 1 << 20;

/// Whether an sshd can be started at once.
#[derive(Debug, Default)]
enum Stage {
    #[default]
    Unprepared,
    /// The script runs, and these clients wait for it.
    Preparing {
        pid: Pid,
        waiting: Vec<TcpStream>,
    },
    Ready,
}

/// What listens, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Ssh {
    listeners: Vec<TcpListener>,
    stage: Stage,
    sessions: BTreeSet<Pid>,
}

impl Ssh {
    /// Whether clients should find one though no unit says so: the image has none, and somebody was given a key.
    pub(super) fn is_wanted(keys: &[String]) -> bool {
        !keys.is_empty() && !Path::new(SSHD).exists() && unit::find(UNIT).is_none()
    }

    /// Listens, as the settings say, unless it does.
    pub(super) fn start(&mut self) -> io::Result<()> {
        if self.listeners.is_empty() {
            let listen = |port| {
                let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
                listener.set_nonblocking(true)?;
                Ok(listener)
            };
            self.listeners = ports().into_iter().map(listen).collect::<io::Result<_>>()?;
            self.stage = Stage::Unprepared;
        }
        Ok(())
    }

    /// Ends listening. Sessions go on, as they do without their sshd.
    pub(super) fn stop(&mut self) {
        self.listeners.clear();
    }

    /// What is to be polled for clients.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.listeners.iter().map(AsFd::as_fd)
    }

    /// Takes the clients that are there; what to say about it.
    pub(super) fn accept(&mut self) -> Vec<String> {
        let accepted = self.listeners.iter().flat_map(|listener| listener.incoming().map_while(Result::ok));
        let clients: Vec<TcpStream> = accepted.take(MOST_SESSIONS).collect();
        clients.into_iter().filter_map(|client| self.take(client).err()).map(|e| format!("sshd: {e}\n")).collect()
    }

    fn take(&mut self, client: TcpStream) -> io::Result<()> {
        match &mut self.stage {
            Stage::Ready if self.sessions.len() < MOST_SESSIONS => self.serve(client),
            Stage::Preparing { waiting, .. } if waiting.len() < MOST_SESSIONS => {
                waiting.push(client);
                Ok(())
            }
            Stage::Unprepared => {
                let console = File::options().write(true).open("/dev/console")?;
                let mut command = spawn::command("/bin/sh");
                command.args(["-c", PREPARE]).env("HOME", "/root").stdout(console.try_clone()?).stderr(console);
                let pid = Pid::from_raw(command.spawn()?.id().cast_signed());
                self.stage = Stage::Preparing { pid, waiting: vec![client] };
                Ok(())
            }
            Stage::Ready | Stage::Preparing { .. } => Ok(()),
        }
    }

    fn serve(&mut self, client: TcpStream) -> io::Result<()> {
        let client = OwnedFd::from(client);
        let mut command = spawn::command(SSHD);
        command.arg("-i").stdin(client.try_clone()?).stdout(client).stderr(Stdio::null());
        self.sessions.insert(Pid::from_raw(command.spawn()?.id().cast_signed()));
        Ok(())
    }

    /// A child has ended: if it was one of these, what to say about it.
    pub(super) fn ended(&mut self, ended: Pid, exit: i32) -> Vec<String> {
        self.sessions.remove(&ended);
        match &mut self.stage {
            Stage::Preparing { pid, waiting } if *pid == ended => {
                let waiting = std::mem::take(waiting);
                if exit != 0 {
                    // The next client has it tried again.
                    self.stage = Stage::Unprepared;
                    return vec!["sshd: it can't run; whoever waited is turned away\n".to_owned()];
                }
                self.stage = Stage::Ready;
                waiting
                    .into_iter()
                    .filter_map(|client| self.serve(client).err())
                    .map(|e| format!("sshd: {e}\n"))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// Does what `systemctl` asks of the unit; `None` for what is the same with every unit.
    pub(super) fn perform(&mut self, verb: &Verb) -> Option<Answer> {
        let listens = !self.listeners.is_empty();
        let (word, detail, code) = if listens { ("active", "listening", 0) } else { ("inactive", "dead", 3) };
        let started = |started: io::Result<()>| match started {
            Ok(()) => Answer::fine(""),
            Err(error) => Answer::failed(&format!("Job for {UNIT} failed: {error}")),
        };
        match verb.name.as_str() {
            "start" => Some(started(self.start())),
            "stop" => {
                self.stop();
                Some(Answer::fine(""))
            }
            // Each new sshd reads its settings; which ports to listen on, this process does.
            "restart" | "reload" | "reload-or-restart" => {
                self.stop();
                Some(started(self.start()))
            }
            "try-restart" => {
                if listens {
                    self.stop();
                    return Some(started(self.start()));
                }
                Some(Answer::fine(""))
            }
            "is-active" => Some(Answer { code, output: format!("{word}\n") }),
            "is-failed" => Some(Answer { code: 1, output: format!("{word}\n") }),
            "show" => Some(Answer::fine(&format!("ActiveState={word}\nSubState={detail}\n"))),
            "status" => {
                let output = format!("* {UNIT} - OpenBSD Secure Shell server\n     Active: {word} ({detail})\n");
                Some(Answer { code, output })
            }
            _ => None,
        }
    }
}

/// The ports in the settings, or sshd's own.
fn ports() -> Vec<u16> {
    let further = std::fs::read_dir(format!("{SETTINGS}.d")).into_iter().flatten().flatten().map(|entry| entry.path());
    let further = further.filter(|path| path.extension().is_some_and(|extension| extension == "conf"));
    let read = |path: &Path| spawn::read_small(path, LARGEST).unwrap_or_default();
    let text: String = further.map(|path| read(&path) + "\n").chain([read(Path::new(SETTINGS))]).collect();
    ports_in(&text)
}

fn ports_in(settings: &str) -> Vec<u16> {
    let found = settings.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once([' ', '\t', '='])?;
        name.eq_ignore_ascii_case("port").then(|| value.trim_matches([' ', '\t', '=']).parse().ok())?
    });
    let found: BTreeSet<u16> = found.collect();
    if found.is_empty() { vec![22] } else { found.into_iter().take(16).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_listens_where_sshds_settings_say() {
        assert_eq!(ports_in("#Port 23\nPermitRootLogin no\n"), [22]);
        assert_eq!(ports_in("Port 2222\n  port=22\nPort x\n"), [22, 2222]);
    }
}
