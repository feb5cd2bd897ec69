//! Starting programs inside: confined, in a session of their own, with the environment that a boot gives.

use crate::sandbox::confine;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::SigSet;
use nix::unistd::{Gid, Pid, Uid, setgid, setgroups, setsid, setuid};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// How many descriptors a program may have unless it asks for more.
const FILES: u64 = 65_535;
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where everybody's trust is kept.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// What brings its own trust along, unless told by these: botocore and whatever uses requests, Node.js.
const TRUST: [&str; 3] = ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"];

/// A command that will run confined, as root inside.
pub(super) fn command(program: &str) -> Command {
    command_as(program, None)
}

/// A command that will run confined, as this user and group.
pub(super) fn command_as(program: &str, account: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    // The holder's own limit is no instance's.
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or((1024, 4096), |(_, most)| (most.min(FILES), most));
    command
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .envs(TRUST.map(|name| (name, BUNDLE)))
        .current_dir("/")
        .stdin(Stdio::null());
    // SAFETY: between fork and exec, PID 1 being single-threaded; only system calls are made there.
    unsafe {
        command.pre_exec(move || {
            SigSet::empty().thread_set_mask()?;
            setsid()?;
            setrlimit(Resource::RLIMIT_NOFILE, files.0, files.1)?;
            confine::program()?;
            // Last: what came before takes root's rights.
            if let Some((user, group)) = account {
                setgroups(&[])?;
                setgid(Gid::from_raw(group))?;
                setuid(Uid::from_raw(user))?;
            }
            Ok(())
        });
    }
    command
}

/// Starts a user data script; what it writes is read from the file.
pub(super) fn script(path: &Path) -> io::Result<(Pid, File)> {
    let (output, writer) = io::pipe()?;
    let program = path.to_string_lossy();
    let start = |mut command: Command| -> io::Result<Pid> {
        let child = command.env("HOME", "/root").stdout(writer.try_clone()?).stderr(writer.try_clone()?).spawn()?;
        Ok(Pid::from_raw(child.id().cast_signed()))
    };
    let pid = match start(command(&program)) {
        // No `#!` line after all, or one for an interpreter that is not there.
        Err(error) if error.raw_os_error() == Some(libc::ENOEXEC) => {
            let mut shell = command("/bin/sh");
            shell.arg(path);
            start(shell)?
        }
        other => other?,
    };
    let output = OwnedFd::from(output);
    nix::fcntl::fcntl(&output, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))?;
    Ok((pid, output.into()))
}

/// Goes on taking what a program left behind writes, so that it does not fail at its next line: by a `cat` into the log.
pub(super) fn keep_reading(output: File) {
    let log = File::options().create(true).append(true).open(super::OUTPUT_LOG);
    if let Ok(log) = log {
        // The pipe is shared, so that it must block again for the new reader.
        let _ = nix::fcntl::fcntl(&output, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty()));
        let _ = command("cat").stdin(output).stdout(log).stderr(Stdio::null()).spawn();
    }
}

/// Runs a login shell on a terminal that was handed in.
pub(super) fn shell(fds: Vec<OwnedFd>) -> io::Result<()> {
    let Ok([input, output, errors]) = <[OwnedFd; 3]>::try_from(fds) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut command = command("/bin/bash");
    command.arg("-l").env("HOME", "/root").env("USER", "root").env("TERM", "xterm-256color").current_dir("/root");
    // SAFETY: between fork and exec; one system call, on the descriptor that is standard input by then.
    unsafe {
        command.pre_exec(|| {
            // Not a terminal: then there is none to control.
            libc::ioctl(0, libc::TIOCSCTTY, 0);
            Ok(())
        });
    }
    command.stdin(input).stdout(output).stderr(errors).spawn().map(drop)
}

/// Reads a small file; one that is larger than it may be is refused.
pub(super) fn read_small(path: &Path, most: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}
