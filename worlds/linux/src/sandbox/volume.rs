//! Disks of a size: each a sparse file with a file system of its own, on a loop device, mounted where only the holder's mount namespace
//! has it. So a disk holds what it is said to hold, `df` inside says so, and all but the file ends with the holder.
//!
//! A file system is made once per size and world; a new disk is a copy of its few blocks. It has no journal, and what is flushed inside is
//! in the kernel's hands, not on the machine's disk: a killed process loses nothing, a machine that loses its power has its disks checked
//! at their next start.

use crate::error::{Act, Error, Result};
use crate::loops;
use crate::privilege::PROGRAMS;
use crate::world::Config;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{Whence, lseek};
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::{Command, Stdio};

/// The file's name, in its disk's directory.
const FILE: &str = "image";
/// The smallest: as many GiB.
const LEAST: u32 = 1;
/// What the template of a size may have in blocks: more is a file system of the machine's that keeps no holes.
const MOST_BLOCKS: u64 = 256 << 20;
/// What must be free on the machine's file system when a disk is made.
const ROOM: u64 = 64 << 20;
/// `minixdf`: the size is the disk's, what the file system itself takes counts as used.
const OPTIONS: &str = "noinit_itable,nobarrier,minixdf,errors=continue";
/// No blocks kept for root; inode tables are left to be zeros, which a hole reads as.
const MAKE: [&str; 9] =
    ["-q", "-F", "-t", "ext4", "-O", "^has_journal,^resize_inode", "-m0", "-E", "lazy_itable_init=1,nodiscard"];

fn bytes(gib: u32) -> u64 {
    u64::from(gib.max(LEAST)) << 30
}

/// Makes a file system of a size if this world has none to copy yet. Not by two at once.
pub(crate) fn make_template(config: &Config, gib: u32) -> Result<()> {
    let path = config.template(gib);
    if path.exists() {
        return Ok(());
    }
    let pending = path.with_extension("new");
    let file = File::create(&pending).act("create", pending.display())?;
    file.set_len(bytes(gib)).act("make as large as a disk", pending.display())?;
    let mut command = Command::new("mke2fs");
    command.env("PATH", PROGRAMS).args(MAKE).arg(&pending);
    run(command, |code| code == 0)?;
    fs::rename(&pending, &path).act("rename", path.display())
}

fn run(mut command: Command, fine: impl Fn(i32) -> bool) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().act("start", &name)?;
    if output.status.code().is_some_and(fine) {
        return Ok(());
    }
    Err(Error::Remote(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// Makes an empty disk of a size in the directory that is `name`'s, and mounts it. Its template is there.
pub(crate) fn make(config: &Config, name: &str, gib: u32) -> Result<()> {
    let directory = config.disk(name);
    fs::create_dir_all(&directory).act("make", directory.display())?;
    let free = nix::sys::statvfs::statvfs(&directory).act("look at", directory.display())?;
    if free.blocks_available() * free.fragment_size() < ROOM {
        return Err(Error::Full(directory.display().to_string()));
    }
    let path = directory.join(FILE);
    copy(&config.template(gib), &path).act("make", path.display())?;
    let file = open(&path)?;
    show(config, name, &file)
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new().read(true).write(true).open(path).act("open", path.display())
}

/// Puts a disk's file on a device and mounts it.
fn show(config: &Config, name: &str, file: &File) -> Result<()> {
    let at = config.volume(name);
    fs::create_dir_all(&at).act("make", at.display())?;
    let (device, _kept) = loops::attach(config, file)?;
    let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
    mount(Some(&device), &at, Some("ext4"), flags, Some(OPTIONS)).act("mount the disk of", name)
}

/// Copies what of a file is no hole.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let (from, to) = (File::open(from)?, File::create(to)?);
    let length = from.metadata()?.len();
    to.set_len(length)?;
    let (mut at, mut buffer, mut copied) = (0_u64, vec![0; 64 << 10], 0_u64);
    loop {
        let begin = match lseek(from.as_fd(), at.cast_signed(), Whence::SeekData) {
            Ok(begin) => begin.unsigned_abs(),
            Err(nix::Error::ENXIO) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let end = lseek(from.as_fd(), begin.cast_signed(), Whence::SeekHole)?.unsigned_abs();
        at = begin;
        while at < end {
            let want = usize::try_from(end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
            from.read_exact_at(&mut buffer[..want], at)?;
            to.write_all_at(&buffer[..want], at)?;
            at += want as u64;
            copied += want as u64;
            if copied > MOST_BLOCKS {
                return Err(std::io::Error::other("the machine's file system keeps no holes"));
            }
        }
    }
}

/// Mounts a disk that was made before, if it is not.
pub(crate) fn attach(config: &Config, name: &str) -> Result<()> {
    if is_mounted(&config.volume(name)) {
        return Ok(());
    }
    let path = config.disk(name).join(FILE);
    let file = open(&path)?;
    // Two devices on one file would be two disks that destroy each other.
    loops::await_release(config, Some(file.metadata().act("look at", path.display())?.ino()))?;
    if !is_clean(&file).act("read", path.display())? {
        let mut command = Command::new("e2fsck");
        command.env("PATH", PROGRAMS).arg("-y").arg(&path);
        // 1 is: mended.
        run(command, |code| code <= 1)?;
    }
    show(config, name, &file)
}

/// Whether a file system was unmounted in order, and knows of no error.
fn is_clean(file: &File) -> std::io::Result<bool> {
    const STATE: u64 = 1024 + 0x3A;
    let mut state = [0; 2];
    file.read_exact_at(&mut state, STATE)?;
    Ok(u16::from_le_bytes(state) & 3 == 1)
}

fn is_mounted(at: &Path) -> bool {
    let device = |path: &Path| path.metadata().ok().map(|found| found.dev());
    device(at).is_some() && device(at) != at.parent().and_then(device)
}

/// Gives a disk that is mounted, and was another's, its name.
pub(crate) fn rename(config: &Config, from: &str, to: &str) -> Result<()> {
    let (old, new) = (config.disk(from), config.disk(to));
    fs::rename(&old, &new).act("rename", old.display())?;
    let (old, new) = (config.volume(from), config.volume(to));
    fs::create_dir_all(&new).act("make", new.display())?;
    mount(Some(&old), &new, None::<&str>, MsFlags::MS_MOVE, None::<&str>).act("move", old.display())?;
    fs::remove_dir(&old).act("remove", old.display())
}

/// Unmounts a disk whose contents nobody will want: nothing of them is written any more.
pub(crate) fn discard(config: &Config, name: &str) -> Result<()> {
    let at = config.volume(name);
    while is_mounted(&at) {
        if let Ok(inside) = File::open(&at) {
            let _ = loops::shut_down(inside.as_fd());
        }
        umount2(&at, MntFlags::MNT_DETACH).act("unmount", at.display())?;
    }
    match fs::remove_dir(&at) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).act("remove", at.display()),
        _ => Ok(()),
    }
}
