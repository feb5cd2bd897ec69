//! What a world is run with: the machine's root, or an ordinary user's subordinate ids.
//!
//! An ordinary user's warden owns a user namespace, in which it is root and has 65,536 ids beside its own: those that /etc/subuid and
//! /etc/subgid lend the user. `newuidmap` and `newgidmap` (Debian's uidmap), which are root's, see to it that it takes no others. The
//! holder, the routers and all sandboxes are inside; daemon, plane and supervisor stay outside, and are nobody special.

use crate::error::{Act, Error, Result};
use crate::sandbox::IDS;
use crate::sys::{self, Forked};
use crate::warden::holding;
use crate::world::Config;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, Uid, getgid, getuid};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// Where sandboxes' ids begin in an ordinary user's namespace: 0 is the user.
const FIRST_LENT: u32 = 1;
/// Where the machine's own programs are: whoever calls us may have others first on its PATH.
pub(crate) const PROGRAMS: &str = "/usr/sbin:/sbin:/usr/bin:/bin";

/// Whose rights a world is run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Privilege {
    /// The machine's root.
    #[default]
    Root,
    /// An ordinary user's, who is root of a user namespace.
    User,
}

impl Privilege {
    /// This process's.
    #[must_use]
    pub fn own() -> Self {
        if nix::unistd::geteuid().is_root() { Self::Root } else { Self::User }
    }

    /// Where the ids of sandboxes begin, as the warden sees them.
    pub(crate) fn first_id(self) -> u32 {
        match self {
            Self::Root => crate::sandbox::FIRST_ID,
            Self::User => FIRST_LENT,
        }
    }
}

/// Which ids sandboxes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Ids {
    /// Each a range of its own; images are shown to each with their owners mapped (mounts with mapped ids below an overlay: Linux 5.19).
    #[default]
    Own,
    /// One range for all, to which the images belong.
    Shared,
}

/// The first range that a file of subordinate ids lends to a user: by name or by number, large enough for a sandbox.
fn lent(text: &str, name: &str, number: u32) -> Option<u32> {
    let number = number.to_string();
    text.lines().find_map(|line| {
        let (who, range) = line.trim().split_once(':')?;
        let (first, count) = range.split_once(':')?;
        let enough = count.trim().parse::<u32>().is_ok_and(|count| count >= IDS);
        ((who == name || who == number) && enough).then(|| first.parse().ok())?
    })
}

/// What an ordinary user must have to run a world, and has not; nothing is tried.
///
/// # Errors
/// In words: what is missing.
pub fn subordinate_ids() -> std::result::Result<(u32, u32), String> {
    let user = getuid();
    let name = name_of(user);
    let of = |file: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        lent(&text, &name, user.as_raw()).ok_or_else(|| format!("{file} lends {name} no {IDS} ids"))
    };
    Ok((of("/etc/subuid")?, of("/etc/subgid")?))
}

/// A user's name; the number, where it has none.
fn name_of(user: Uid) -> String {
    nix::unistd::User::from_uid(user).ok().flatten().map_or_else(|| user.to_string(), |user| user.name)
}

/// Makes this process, of an ordinary user, root of the world's user namespace: the holder's, or a new one where there is no holder.
/// Call it with one thread only.
pub(crate) fn enter(config: &Config) -> Result<()> {
    let Some(holder) = holding::find(config) else { return enter_new() };
    let path = format!("/proc/{holder}/ns/user");
    let namespace = File::open(&path).act("open", &path)?;
    setns(namespace, CloneFlags::CLONE_NEWUSER).act("enter the user namespace of", "the holder")
}

/// The same in a new user namespace.
pub(crate) fn enter_new() -> Result<()> {
    let (users, groups) = subordinate_ids().map_err(Error::Refused)?;
    let (own_user, own_group) = (getuid(), getgid());
    let us = Pid::this();
    let (mut made, mut tell) = std::io::pipe().act("make", "a pipe")?;
    // The maps are written from outside, so by another process that stays there.
    let helper = match sys::fork_into(0).act("fork", "a helper")? {
        Forked::Parent(pid) => Pid::from_raw(pid),
        Forked::Child => {
            drop(tell);
            let told = made.read_exact(&mut [0]);
            let map = |program: &str, own: u32, lent: u32| {
                let numbers = [us.as_raw().cast_unsigned(), 0, own, 1, FIRST_LENT, lent, IDS];
                let mut command = Command::new(program);
                command.env("PATH", PROGRAMS).args(numbers.map(|number| number.to_string())).stdin(Stdio::null());
                command.status().is_ok_and(|status| status.success())
            };
            let mapped = told.is_ok()
                && map("newuidmap", own_user.as_raw(), users)
                && map("newgidmap", own_group.as_raw(), groups);
            sys::exit_now(i32::from(!mapped));
        }
    };
    drop(made);
    let entered = unshare(CloneFlags::CLONE_NEWUSER).act("make", "a user namespace");
    if entered.is_ok() {
        tell.write_all(&[0]).act("tell", "the helper")?;
    }
    drop(tell);
    let mapped = waitpid(helper, None).act("wait for", "newuidmap")?;
    entered?;
    match mapped {
        WaitStatus::Exited(_, 0) => Ok(()),
        _ => Err(Error::Refused("newuidmap and newgidmap did not map the subordinate ids (package uidmap)".into())),
    }
}

/// Keeps processes of the same user from looking into this one, or steering it: where Landlock keeps the plane from nothing, say. Its
/// memory is in no core file either.
pub fn keep_equals_out() {
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!(%error, "others of the same user may look into this process");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_lent_by_name_or_number_and_must_hold_a_sandbox() {
        let text = "ann:1000:10\nbob:100000:65536\n1001:300000:131072\nbob:500000:65536\n";
        assert_eq!(lent(text, "bob", 7), Some(100_000));
        assert_eq!(lent(text, "eve", 1001), Some(300_000));
        assert_eq!(lent(text, "ann", 1000), None);
        assert_eq!(lent("bob:x:65536\nbob:1\n", "bob", 7), None);
    }
}
