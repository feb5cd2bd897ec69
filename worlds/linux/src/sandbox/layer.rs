//! Copying an overlay's layer while those inside may be changing it: they can't lead the copy astray.
//!
//! Every directory is opened without following links and its entries are looked up through that very descriptor, so that a directory
//! exchanged for a link at the wrong moment is refused, not followed to a file of the machine.

use super::IDS;
use crate::error::{Act, Result};
use crate::privilege::Privilege;
use crate::sys;
use nix::sys::stat::{Mode, SFlag, mknod};
use std::fs::{self, File, Metadata, OpenOptions};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::Path;

/// Whose ids the files of a layer have, and whose the copy's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shift {
    /// The id that is root's in the layer.
    pub from: u32,
    /// The id that is root's in the copy.
    pub to: u32,
    /// Who mounts both: root's overlays keep their marks where ordinary users' can't.
    pub privilege: Privilege,
}

/// Copies the layer at `from` to `to`, its owners shifted, with the marks that overlayfs keeps in it for what is deleted
/// or replaced.
pub(super) fn copy(from: &Path, to: &Path, shift: Shift) -> Result<()> {
    let directory = open(from, libc::O_DIRECTORY)?;
    copy_directory(&directory, to, shift)
}

fn open(path: &Path, flags: i32) -> Result<File> {
    let flags = flags | libc::O_NOFOLLOW | libc::O_NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags).open(path).act("open", path.display())
}

fn copy_directory(from: &File, to: &Path, shift: Shift) -> Result<()> {
    fs::create_dir(to).act("make", to.display())?;
    // The kernel's name for this very directory, wherever it is by now.
    let here = Path::new("/proc/self/fd").join(from.as_raw_fd().to_string());
    for entry in fs::read_dir(&here).act("read", to.display())? {
        let name = entry.act("read", to.display())?.file_name();
        copy_entry(&here.join(&name), &to.join(&name), shift)?;
    }
    let found = from.metadata().act("look at", to.display())?;
    finish(&found, to, shift)?;
    let name = sys::opaque(shift.privilege == Privilege::User);
    if sys::is_opaque(from.as_fd(), name) {
        sys::set_opaque(to, name).act("mark", to.display())?;
    }
    Ok(())
}

fn copy_entry(from: &Path, to: &Path, shift: Shift) -> Result<()> {
    let found = from.symlink_metadata().act("look at", to.display())?;
    let kind = found.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(from).act("read link", to.display())?;
        std::os::unix::fs::symlink(target, to).act("link", to.display())?;
        give(&found, to, shift)
    } else if kind.is_dir() {
        copy_directory(&open(from, libc::O_DIRECTORY)?, to, shift)
    } else if kind.is_file() {
        let mut source = open(from, 0)?;
        let found = source.metadata().act("look at", to.display())?;
        if !found.is_file() {
            return Ok(());
        }
        let mut copy = File::create(to).act("create", to.display())?;
        std::io::copy(&mut source, &mut copy).act("copy", to.display())?;
        finish(&found, to, shift)
    } else if kind.is_char_device() && found.rdev() == 0 {
        // A deleted file.
        mknod(to, SFlag::S_IFCHR, Mode::empty(), 0).act("make", to.display())
    } else {
        // Sockets and pipes are nothing without their processes.
        Ok(())
    }
}

fn finish(found: &Metadata, to: &Path, shift: Shift) -> Result<()> {
    give(found, to, shift)?;
    fs::set_permissions(to, fs::Permissions::from_mode(found.mode() & 0o7777)).act("set mode of", to.display())
}

fn give(found: &Metadata, to: &Path, shift: Shift) -> Result<()> {
    let shifted = |id: u32| shift.to + id.checked_sub(shift.from).filter(|id| *id < IDS).unwrap_or(0);
    lchown(to, Some(shifted(found.uid())), Some(shifted(found.gid()))).act("give away", to.display())
}
