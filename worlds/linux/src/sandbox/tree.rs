//! Removing a directory with all that is in it, however those inside have nested it.

use crate::error::{Act, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Removes what is at a path; nothing there is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let found = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.act("look at", path.display())?,
    };
    if !found.is_dir() {
        return fs::remove_file(path).act("remove", path.display());
    }
    empty(path).act("empty", path.display())?;
    match fs::remove_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).act("remove", path.display()),
        _ => Ok(()),
    }
}

/// The same, but where a link leads there, that and the directory stay, empty: whoever put them there wants them.
pub(crate) fn clear(path: &Path) -> Result<()> {
    match path.canonicalize() {
        Ok(found) if path.is_symlink() => empty(&found).act("empty", found.display()),
        _ => remove(path),
    }
}

/// Empties a directory. A directory in it is emptied by moving those inside it up beside it, so that none is ever more than one below: as
/// deep as they may be nested, this takes two descriptors and no stack.
fn empty(path: &Path) -> io::Result<()> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let top = OwnedFd::from(File::open(path)?);
    let mut number = 0_u64;
    loop {
        let mut met = false;
        for entry in entries(&top)? {
            let entry = entry?;
            let name = entry.file_name();
            met = true;
            if !entry.file_type()?.is_dir() {
                gone(unlinkat(&top, name.as_bytes(), UnlinkatFlags::NoRemoveDir))?;
                continue;
            }
            let below = openat(&top, name.as_bytes(), flags, Mode::empty())?;
            for entry in entries(&below)? {
                let entry = entry?;
                let inner = entry.file_name();
                if entry.file_type()?.is_dir() {
                    move_up(&below, inner.as_bytes(), &top, &mut number)?;
                } else {
                    gone(unlinkat(&below, inner.as_bytes(), UnlinkatFlags::NoRemoveDir))?;
                }
            }
            match unlinkat(&top, name.as_bytes(), UnlinkatFlags::RemoveDir) {
                // Something was not listed while others went: the next round meets it.
                Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
                other => gone(other)?,
            }
        }
        if !met {
            return Ok(());
        }
    }
}

fn entries(directory: &OwnedFd) -> io::Result<fs::ReadDir> {
    // The kernel's name for this very directory.
    fs::read_dir(Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()))
}

fn move_up(from: &OwnedFd, name: &[u8], top: &OwnedFd, number: &mut u64) -> io::Result<()> {
    loop {
        let to = format!(".{number}");
        *number += 1;
        match renameat(from.as_fd(), name, top.as_fd(), to.as_bytes()) {
            // The name is taken.
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {}
            other => return gone(other),
        }
    }
}

/// What is not there any more is no failure.
fn gone(done: nix::Result<()>) -> io::Result<()> {
    match done {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> std::path::PathBuf {
        // In memory where there is such a place: some machines' disks take milliseconds for each directory.
        let memory = std::path::PathBuf::from("/dev/shm");
        let at = if memory.is_dir() { memory } else { std::env::temp_dir() };
        at.join(format!("zonal-tree-{}-{name}", std::process::id()))
    }

    #[test]
    fn directories_nested_deeper_than_descriptors_and_paths_go_are_removed() {
        let top = place("deep");
        fs::create_dir(&top).unwrap();
        let mut at = OwnedFd::from(File::open(&top).unwrap());
        for depth in 0..3000 {
            nix::sys::stat::mkdirat(&at, "d", Mode::S_IRWXU).unwrap();
            if depth % 100 == 0 {
                // What `..` says moves with a directory; links and files lie on the way.
                nix::unistd::symlinkat("..", &at, "link").unwrap();
                openat(&at, "file", OFlag::O_CREAT | OFlag::O_WRONLY, Mode::S_IRWXU).unwrap();
            }
            at = openat(&at, "d", OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        }
        drop(at);
        remove(&top).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn links_are_removed_and_not_what_they_lead_to() {
        let (top, kept) = (place("links"), place("kept"));
        fs::create_dir_all(top.join("a/.0")).unwrap();
        fs::create_dir_all(top.join(".0/x")).unwrap();
        fs::write(top.join(".1"), "in the way").unwrap();
        fs::create_dir_all(&kept).unwrap();
        fs::write(kept.join("file"), "kept").unwrap();
        std::os::unix::fs::symlink(&kept, top.join("a/link")).unwrap();
        std::os::unix::fs::symlink(&kept, top.join("link")).unwrap();
        remove(&top).unwrap();
        assert!(!top.exists() && kept.join("file").exists());
        std::os::unix::fs::symlink(&kept, &top).unwrap();
        clear(&top).unwrap();
        assert!(top.is_symlink() && kept.read_dir().unwrap().next().is_none());
        remove(&top).unwrap();
        fs::remove_dir_all(kept).unwrap();
    }
}
