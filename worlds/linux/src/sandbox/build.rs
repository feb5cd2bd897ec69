//! From a fork of the holder to PID 1 of a sandbox, in the kernel's order.
//!
//! The file system is put together while the process is still the machine's root, in a mount namespace of its own; only then
//! does it enter the sandbox's user namespace, and a mount namespace below that. So every mount made here is locked for those
//! inside: what is masked can't be unmasked. There is no exec on the way: PID 1 is this very program, and shares its pages.

use super::{IDS, Spec, confine, machine};
use crate::error::{Act, Error, Result};
use crate::privilege::{Ids, Privilege};
use crate::sys::{self, Forked};
use crate::world::Config;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{Gid, Uid, chown, pivot_root, setgroups, setresgid, setresuid};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Where our own program is found inside.
pub(crate) const GUEST: &str = "/usr/lib/zonal/guest";

/// Of file systems in which there is nothing to run.
const QUIET: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// What the holder opens for a sandbox before it forks.
pub(crate) struct Opened {
    /// The network namespace of its interface.
    pub network: OwnedFd,
    /// The user namespace made for it.
    pub user: OwnedFd,
    /// The files by which it joins its control groups.
    pub groups: Vec<File>,
}

/// Makes a user namespace in which root is `first` on the machine: a process lives in it just long enough.
pub(crate) fn user_namespace(first: u32) -> Result<OwnedFd> {
    let holder = nix::unistd::getpid();
    let pid = match sys::fork_into(libc::CLONE_NEWUSER).act("fork into", "a user namespace")? {
        Forked::Parent(pid) => pid,
        Forked::Child => await_end(holder),
    };
    let made = (|| {
        for map in ["uid_map", "gid_map"] {
            let path = format!("/proc/{pid}/{map}");
            fs::write(&path, format!("0 {first} {IDS}\n")).act("write", &path)?;
        }
        let path = format!("/proc/{pid}/ns/user");
        File::open(&path).act("open", &path)
    })();
    let child = nix::unistd::Pid::from_raw(pid);
    let _ = nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL);
    let _ = nix::sys::wait::waitpid(child, None);
    Ok(made?.into())
}

/// Does nothing until it is killed: by the holder, or with it.
fn await_end(holder: nix::unistd::Pid) -> ! {
    let bound = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    // A holder that was killed before that has told nobody.
    if bound.is_err() || nix::unistd::getppid() != holder || sys::close_from(0).is_err() {
        sys::exit_now(1);
    }
    loop {
        nix::unistd::pause();
    }
}

/// Has this process killed when the holder ends, and tells whether it has: its end of the channel is closed then.
pub(crate) fn end_with_holder(channel: BorrowedFd<'_>) -> Result<()> {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).act("die with", "the holder")?;
    let mut fds = [PollFd::new(channel, PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO).act("look for", "the holder")?;
    let hung_up = fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP));
    if hung_up { Err(Error::Protocol { peer: "holder", message: "it has ended".to_owned() }) } else { Ok(()) }
}

/// Turns this process, just forked into new mount and PID namespaces, into the sandbox's PID 1. Afterwards nothing of the machine's
/// file system is in reach.
pub(crate) fn enter(config: &Config, spec: &Spec, opened: Opened, channel: BorrowedFd<'_>) -> Result<()> {
    let root = assemble(config, spec, &opened)?;
    std::env::set_current_dir(&root).act("enter", root.display())?;
    // The old root goes below the new one, and away with all that was mounted on it.
    pivot_root(".", ".").act("pivot to", root.display())?;
    umount2(".", MntFlags::MNT_DETACH).act("unmount", "the machine's root")?;
    std::env::set_current_dir("/").act("enter", "/")?;

    setns(&opened.network, CloneFlags::CLONE_NEWNET).act("enter network of", &spec.sandbox.id)?;
    for mut group in opened.groups {
        group.write_all(b"0").act("join control group of", &spec.sandbox.id)?;
    }
    machine::keep_to_own_processors(spec)?;
    setns(&opened.user, CloneFlags::CLONE_NEWUSER).act("enter user namespace of", &spec.sandbox.id)?;
    let own =
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWCGROUP;
    unshare(own).act("make namespaces of", &spec.sandbox.id)?;
    let (user, group) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(group, group, group).act("become group 0 in", &spec.sandbox.id)?;
    setgroups(&[]).act("leave the groups of", "the machine")?;
    setresuid(user, user, user).act("become user 0 in", &spec.sandbox.id)?;
    nix::unistd::sethostname(&spec.sandbox.hostname).act("set host name of", &spec.sandbox.id)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .act("make private", "/")?;
    // The pages are shared with the holder: nobody inside may look at this process's memory.
    nix::sys::prctl::set_dumpable(false).act("hide the memory of", &spec.sandbox.id)?;
    // Changing users has undone what was set at the start.
    end_with_holder(channel)?;
    confine::first_process()
}

/// Puts the sandbox's file system together, and says where.
fn assemble(config: &Config, spec: &Spec, opened: &Opened) -> Result<PathBuf> {
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).act("make private", "/")?;
    let base = config.mounts();
    mount(Some("zonal"), &base, Some("tmpfs"), MsFlags::empty(), Some("size=1m,mode=700"))
        .act("mount", base.display())?;
    let mut lower = Vec::new();
    let mut images: Vec<PathBuf> = spec.layers.iter().map(|layer| config.image(layer).join("root")).collect();
    // Over the base, below what an image of the user's has made of it.
    images.insert(images.len().saturating_sub(1), config.layer());
    for (number, image) in images.iter().enumerate() {
        let at = base.join(format!("l{number}"));
        fs::create_dir(&at).act("make", at.display())?;
        let tree = sys::open_tree(image).act("open image", image.display())?;
        if config.ids == Ids::Own {
            sys::map_owners(tree.as_fd(), opened.user.as_fd()).act("map the owners of image", image.display())?;
        }
        sys::attach(tree.as_fd(), &at).act("attach", at.display())?;
        lower.push(format!("l{number}"));
    }
    let disk = base.join("d");
    fs::create_dir(&disk).act("make", disk.display())?;
    bind(&config.upper(&spec.sandbox.id, spec.sized), &disk)?;
    let root = base.join("r");
    fs::create_dir(&root).act("make", root.display())?;
    // Relative paths, for the option's separators may well be in the world's own path.
    std::env::set_current_dir(&base).act("enter", base.display())?;
    // No layer depends on marks that a copy of it would lack. In a user namespace the marks are others, and these never made.
    let marks = if config.privilege == Privilege::User { "userxattr" } else { "redirect_dir=off,metacopy=off" };
    let options = format!("lowerdir={},upperdir=d/upper,workdir=d/work,{marks}", lower.join(":"));
    mount(Some("zonal"), "r", Some("overlay"), MsFlags::MS_NODEV, Some(options.as_str()))
        .act("mount the disk of", &spec.sandbox.id)?;
    for name in ["proc", "sys", "dev", "run"] {
        mount_point(&root.join(name))?;
    }
    let owner = config.root_id(spec.slot);
    kernel_files(&root, owner)?;
    machine::show(config, spec, &root)?;
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | QUIET;
    mount(None::<&str>, &root.join("sys"), None::<&str>, flags, None::<&str>).act("make read-only", "/sys")?;
    devices(&root.join("dev"), owner, config.privilege)?;
    // By its own name, whatever links lead to the world: so that the next look finds those from inside only.
    let root = root.canonicalize().act("find", root.display())?;
    let guest = root.join(&GUEST[1..]);
    // Only where it lies where it should: those inside may have put links in its way.
    if guest.canonicalize().is_ok_and(|found| found == guest) {
        bind(&config.directory.join("guest"), &guest)?;
        let flags =
            MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
        mount(None::<&str>, &guest, None::<&str>, flags, None::<&str>).act("make read-only", guest.display())?;
    }
    Ok(root)
}

/// Sees to it that there is a directory, and no link that those inside left in its place.
fn mount_point(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => fs::remove_file(path).act("remove", path.display())?,
        Err(_) => {}
    }
    fs::create_dir(path).act("make", path.display())
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>).act("bind", from.display())
}

fn temporary(at: &Path, root: u32, options: &str, flags: MsFlags) -> Result<()> {
    let options = format!("{options},uid={root},gid={root}");
    mount(Some("tmpfs"), at, Some("tmpfs"), flags, Some(options.as_str())).act("mount", at.display())
}

/// `/proc`, `/sys` and `/run`. What speaks of the machine rather than of the instance is covered up.
fn kernel_files(root: &Path, owner: u32) -> Result<()> {
    let quiet = QUIET;
    let proc = root.join("proc");
    mount(Some("proc"), &proc, Some("proc"), quiet, None::<&str>).act("mount", proc.display())?;
    let null = Path::new("/dev/null");
    for hidden in
        ["kcore", "keys", "key-users", "timer_list", "sysrq-trigger", "kallsyms", "kmsg", "sched_debug", "cmdline"]
    {
        let path = proc.join(hidden);
        if path.exists() {
            bind(null, &path)?;
        }
    }
    for hidden in ["acpi", "scsi", "bus", "irq", "fs", "asound", "driver"] {
        let path = proc.join(hidden);
        if path.is_dir() {
            temporary(&path, owner, "size=0,mode=555", quiet | MsFlags::MS_RDONLY)?;
        }
    }
    bind(&proc.join("sys"), &proc.join("sys"))?;
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | quiet;
    mount(None::<&str>, &proc.join("sys"), None::<&str>, flags, None::<&str>).act("make read-only", "/proc/sys")?;
    temporary(&root.join("sys"), owner, "size=64k,mode=555", quiet)?;
    temporary(&root.join("run"), owner, "size=64m,mode=755", MsFlags::MS_NOSUID | MsFlags::MS_NODEV)
}

/// `/dev`: the few devices that every program may count on.
fn devices(dev: &Path, owner: u32, privilege: Privilege) -> Result<()> {
    temporary(dev, owner, "size=64k,mode=755", MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC)?;
    let everyone = Mode::from_bits_truncate(0o666);
    for (name, major, minor) in
        [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)]
    {
        let path = dev.join(name);
        if privilege == Privilege::User {
            // Who is root of a user namespace makes no devices, but may show the machine's.
            File::create(&path).act("create", path.display())?;
            bind(&Path::new("/dev").join(name), &path)?;
            continue;
        }
        mknod(&path, SFlag::S_IFCHR, everyone, makedev(major, minor)).act("make device", name)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).act("open up", name)?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(target, dev.join(name)).act("link", name)?;
    }
    for name in ["pts", "shm", "mqueue"] {
        fs::DirBuilder::new().mode(0o755).create(dev.join(name)).act("make", name)?;
    }
    let terminals = format!("newinstance,ptmxmode=0666,mode=620,gid={}", owner + 5);
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount(Some("devpts"), &dev.join("pts"), Some("devpts"), quiet, Some(terminals.as_str()))
        .act("mount", "/dev/pts")?;
    temporary(&dev.join("shm"), owner, "size=64m,mode=1777", MsFlags::MS_NOSUID | MsFlags::MS_NODEV)?;
    // What is written here goes to the instance's console log; PID 1 reads it.
    let console = dev.join("console");
    mknod(&console, SFlag::S_IFIFO, Mode::from_bits_truncate(0o622), 0).act("make", "/dev/console")?;
    fs::set_permissions(&console, fs::Permissions::from_mode(0o622)).act("open up", "/dev/console")?;
    chown(&console, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner))).act("give away", "/dev/console")
}

/// Opens the file that a process joins a control group by.
pub(crate) fn open_group(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).custom_flags(libc::O_CLOEXEC).open(path).act("open", path.display())
}

/// A refusal that PID 1 can send before it is confined.
pub(crate) fn describe(error: &Error) -> String {
    error.to_string()
}
