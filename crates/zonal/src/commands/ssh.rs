//! `zonal ssh`: a shell in an instance. On a terminal it gets one of its own; else what is piped in and out is.
//!
//! The warden takes the descriptors from root and from the world's owner only, so this needs no key and no port.

mod through;

use crate::commands::{CommandError, Where, instance, run_daemon, status};
use crate::settings::{self, Settings, WorldKind};
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

/// How often the size of the window is looked at.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };
/// Around the exit status, the last thing that a shell writes: no program's text.
const MARK: u8 = 0x1e;
/// The exit code where the shell told none: it was killed, say. As ssh's.
const UNKNOWN: u8 = 255;

/// Options of `zonal ssh`.
#[derive(Args)]
pub struct SshArguments {
    #[command(flatten)]
    place: Where,
    /// The instance's id, or its Name tag
    #[arg(required_unless_present = "through")]
    instance: Option<String>,
    /// Join standard input and output to a port of a public address, id or Name tag, as OpenSSH's -W does: its
    /// ProxyCommand, where the host has no ports below 1024
    #[arg(short = 'W', value_name = "HOST:PORT", conflicts_with_all = ["instance", "command"])]
    through: Option<String>,
    /// Run this and end, with its exit code: all words from here on, flags too
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs a shell, or a command; its exit code.
pub fn run(arguments: &SshArguments) -> ExitCode {
    let opened = status::settings(&arguments.place).and_then(|settings| {
        let wanted = arguments.through.as_ref().or(arguments.instance.as_ref()).map_or("", String::as_str);
        check(&settings, wanted)?;
        if arguments.through.is_some() {
            return through::join(&settings, wanted);
        }
        let id = running(&settings, wanted)?;
        let terminal =
            arguments.command.is_empty() && isatty(rustix::stdio::stdin()) && isatty(rustix::stdio::stdout());
        if terminal { interactive(&settings, &id) } else { piped(&settings, &id, &arguments.command) }
    });
    match opened {
        Ok(code) => ExitCode::from(code),
        Err(error) => super::exit(Err(error)),
    }
}

fn check(settings: &Settings, wanted: &str) -> Result<(), CommandError> {
    if settings.world == WorldKind::Sim {
        return Err(CommandError::said(
            "this world is virtual: its instances run nothing, so there is no shell in them",
        ));
    }
    let owner = run_daemon::linux_config(settings).owner.0;
    if !settings::is_root() && rustix::process::geteuid().as_raw() != owner {
        return Err(CommandError::said(format!("only root may: sudo zonal ssh {wanted}")));
    }
    Ok(())
}

/// The id of the instance that is meant, which must run.
fn running(settings: &Settings, wanted: &str) -> Result<String, CommandError> {
    let instance::Found { id, state, .. } = instance::find(settings, wanted)?;
    if state != "running" {
        return Err(CommandError::said(format!("{id} is {state}: only a running instance has a shell")));
    }
    Ok(id)
}

/// Starts a shell on three descriptors.
fn shell(settings: &Settings, id: &str, fds: [BorrowedFd<'_>; 3]) -> Result<(), CommandError> {
    zonal_linux::shell(&run_daemon::linux_config(settings), id, fds).map_err(|error| match error {
        // What runs it refuses: it knows the machine, and nothing goes on in it.
        zonal_linux::Error::Remote(_) => CommandError::said(format!(
            "nothing runs in {id}: it was broken, or has just ended; `zonal logs {id}` shows what it said last"
        )),
        error => error.into(),
    })
}

fn terminal_error(error: rustix::io::Errno) -> CommandError {
    CommandError::file("the terminal", error.into())
}

/// This process's terminal in raw mode, as it was before again when dropped.
struct Raw(Termios);

impl Raw {
    fn enter() -> rustix::io::Result<Self> {
        let before = tcgetattr(rustix::stdio::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // There is nobody to tell where a terminal is gone.
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &self.0);
    }
}

/// A shell on a terminal of its own, joined to this one.
fn interactive(settings: &Settings, instance: &str) -> Result<u8, CommandError> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).map_err(terminal_error)?;
    grantpt(&master).map_err(terminal_error)?;
    unlockpt(&master).map_err(terminal_error)?;
    let name = ptsname(&master, Vec::new()).map_err(terminal_error)?;
    let slave = rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, rustix::fs::Mode::empty())
        .map_err(terminal_error)?;
    let mut size = tcgetwinsize(rustix::stdio::stdin()).map_err(terminal_error)?;
    tcsetwinsize(&slave, size).map_err(terminal_error)?;
    shell(settings, instance, [slave.as_fd(), slave.as_fd(), slave.as_fd()])?;
    // The shell's end is the end of the last descriptor of its terminal: not ours.
    drop(slave);
    let _raw = Raw::enter().map_err(terminal_error)?;
    let mut master = File::from(master);
    let mut buffer = [0; 8192];
    let (mut input_open, mut stdin, mut stdout) = (true, io::stdin().lock(), io::stdout().lock());
    loop {
        let ready = {
            let input = if input_open { PollFlags::IN } else { PollFlags::empty() };
            let mut fds =
                [PollFd::new(&master, PollFlags::IN), PollFd::from_borrowed_fd(rustix::stdio::stdin(), input)];
            match poll(&mut fds, Some(&LOOK)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => fds.each_ref().map(|fd| !fd.revents().is_empty()),
                Err(error) => return Err(terminal_error(error)),
            }
        };
        if ready[0] {
            match master.read(&mut buffer) {
                Ok(got) if got > 0 => {
                    let shown = stdout.write_all(&buffer[..got]).and_then(|()| stdout.flush());
                    shown.map_err(|error| CommandError::file("the terminal", error))?;
                }
                // A terminal that nobody has open any more fails to read.
                _ => return Ok(0),
            }
        }
        if ready[1] && input_open {
            match stdin.read(&mut buffer) {
                Ok(got) if got > 0 => {
                    master.write_all(&buffer[..got]).map_err(|error| CommandError::file("the terminal", error))?
                }
                _ => input_open = false,
            }
        }
        if let Ok(now) = tcgetwinsize(rustix::stdio::stdin())
            && (now.ws_row, now.ws_col) != (size.ws_row, size.ws_col)
            && tcsetwinsize(&master, now).is_ok()
        {
            size = now;
        }
    }
}

/// A shell, or a command, on pipes. What comes in goes to the shell behind the command, whose programs read the rest.
fn piped(settings: &Settings, instance: &str, command: &[String]) -> Result<u8, CommandError> {
    let pipe = || io::pipe().map_err(|error| CommandError::file("a pipe", error));
    let ((input, mut to_shell), (from_shell, output), (from_errors, errors)) = (pipe()?, pipe()?, pipe()?);
    shell(settings, instance, [input.as_fd(), output.as_fd(), errors.as_fd()])?;
    drop((OwnedFd::from(input), OwnedFd::from(output), OwnedFd::from(errors)));
    let sent = to_shell.write_all(script(&command.join(" ")).as_bytes());
    sent.map_err(|error| CommandError::file("the shell", error))?;
    std::thread::spawn(move || {
        // It ends with the input, with the shell, or with this process.
        let _ = io::copy(&mut io::stdin(), &mut to_shell);
    });
    let shown = std::thread::spawn(move || {
        let mut from_shell = File::from(OwnedFd::from(from_shell));
        let _ = io::copy(&mut from_shell, &mut io::stdout());
    });
    let code = relay_errors(File::from(OwnedFd::from(from_errors)), &mut io::stderr())
        .map_err(|error| CommandError::file("standard error", error))?;
    // What the command left running keeps standard output open, as with ssh; then its reader's end is awaited.
    let _ = shown.join();
    Ok(code)
}

/// What the shell is told first: to say how it ended, then the command, as words that a shell reads: on one
/// line, so that the command's own input starts behind it.
fn script(command: &str) -> String {
    let mark = format!("\\{MARK:03o}");
    let trap = format!("trap 'printf \"{mark}%d{mark}\" $? >&2' EXIT\n");
    if command.is_empty() { trap } else { format!("{trap}eval '{}'; exit\n", command.replace('\'', r"'\''")) }
}

/// Passes on what comes until its end; the exit status that it ends with.
fn relay_errors(mut from: impl Read, to: &mut impl Write) -> io::Result<u8> {
    let mut held: Vec<u8> = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let got = from.read(&mut buffer)?;
        held.extend_from_slice(&buffer[..got]);
        if let Some(code) = status_of(&held) {
            let start = held.iter().position(|byte| *byte == MARK).unwrap_or(held.len());
            to.write_all(&held[..start])?;
            return Ok(code);
        }
        // From a mark on it is held back: its other half may be on its way.
        let keep = if got == 0 { held.len() } else { held.iter().position(|byte| *byte == MARK).unwrap_or(held.len()) };
        to.write_all(&held[..keep])?;
        to.flush()?;
        held.drain(..keep);
        if got == 0 {
            return Ok(UNKNOWN);
        }
    }
}

/// The status between two marks.
fn status_of(text: &[u8]) -> Option<u8> {
    let start = text.iter().position(|byte| *byte == MARK)? + 1;
    let length = text[start..].iter().position(|byte| *byte == MARK)?;
    std::str::from_utf8(&text[start..start + length]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its pieces one by one.
    struct Pieces(Vec<&'static [u8]>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    #[test]
    fn the_status_is_taken_off_the_end_however_it_is_cut() {
        for pieces in [vec![&b"oops\n\x1e7\x1e"[..]], vec![b"oops\n\x1e", b"7", b"\x1e"], vec![b"oo", b"ps\n\x1e7\x1e"]]
        {
            let mut shown = Vec::new();
            assert_eq!(relay_errors(Pieces(pieces), &mut shown).unwrap(), 7);
            assert_eq!(shown, b"oops\n");
        }
    }

    #[test]
    fn an_end_without_a_status_is_told_as_one() {
        let mut shown = Vec::new();
        assert_eq!(relay_errors(&b"killed"[..], &mut shown).unwrap(), UNKNOWN);
        assert_eq!(shown, b"killed");
    }

    #[test]
    fn a_command_is_run_with_the_status_asked_for_before() {
        let expected = r"eval 'echo '\''a b'\'''; exit";
        assert_eq!(script("echo 'a b'").lines().nth(1), Some(expected));
    }
}
