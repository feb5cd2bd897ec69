//! Disks: a sandbox's own layer over its image, with the range of ids that its files belong to.

use super::{FIRST_ID, IDS, SLOTS};
use crate::error::{Act, Error, Result};
use crate::sys;
use crate::world::Config;
use nix::sys::stat::{Mode, SFlag, mknod};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, lchown};
use std::path::Path;
use zonal_substrate::{DiskSource, Sandbox};

/// The world's base image.
pub(crate) const BASE: &str = "base";

/// What is written beside a disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Its range of ids.
    pub slot: u32,
    /// The images below, uppermost first.
    pub layers: Vec<String>,
    /// The last start that was begun.
    pub generation: u64,
}

impl Record {
    /// Writes it down.
    pub(crate) fn write(&self, config: &Config, id: &str) -> Result<()> {
        let path = config.disk(id);
        let text = serde_json::to_vec(self).map_err(|e| Error::Refused(e.to_string()))?;
        let (pending, file) = (path.join("record.new"), path.join("record.json"));
        fs::write(&pending, text).act("write", pending.display())?;
        fs::rename(&pending, &file).act("rename", file.display())
    }
}

/// Finds a sandbox's disk, or makes it.
pub(crate) fn prepare(config: &Config, sandbox: &Sandbox) -> Result<Record> {
    let path = config.disk(&sandbox.id);
    let record = match read(config, &sandbox.id) {
        Some(record) => record,
        None => {
            let layers = match &sandbox.disk {
                DiskSource::Base => vec![BASE.to_owned()],
                DiskSource::Image(id) => layers(config, id)?,
            };
            let record = Record { slot: free_slot(config)?, layers, generation: 0 };
            let root = FIRST_ID + record.slot * IDS;
            for (name, mode) in [("upper", 0o755), ("work", 0o700)] {
                let part = path.join(name);
                fs::create_dir_all(&part).act("make", part.display())?;
                fs::set_permissions(&part, fs::Permissions::from_mode(mode)).act("set mode of", part.display())?;
            }
            let upper = path.join("upper");
            chown(&upper, Some(root), Some(root)).act("give away", upper.display())?;
            record.write(config, &sandbox.id)?;
            record
        }
    };
    Ok(record)
}

/// What is written beside a disk; `None` when there is no (whole) disk.
pub(crate) fn read(config: &Config, id: &str) -> Option<Record> {
    serde_json::from_slice(&fs::read(config.disk(id).join("record.json")).ok()?).ok()
}

/// All sandboxes with a disk.
pub(crate) fn all(config: &Config) -> Vec<String> {
    names(&config.directory.join("disks"))
}

/// All images beside the base.
pub(crate) fn images(config: &Config) -> Vec<String> {
    names(&config.directory.join("images")).into_iter().filter(|name| name != BASE).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

fn free_slot(config: &Config) -> Result<u32> {
    let taken: BTreeSet<u32> = all(config).iter().filter_map(|id| Some(read(config, id)?.slot)).collect();
    (0..SLOTS).find(|slot| !taken.contains(slot)).ok_or_else(|| Error::Refused(format!("{SLOTS} disks exist already")))
}

/// The layers of an image, uppermost first.
fn layers(config: &Config, image: &str) -> Result<Vec<String>> {
    crate::world::check_id(image)?;
    let path = config.image(image).join("layers.json");
    let unknown = || Error::Unknown { kind: "image", id: image.to_owned() };
    let bytes = fs::read(path).map_err(|_| unknown())?;
    serde_json::from_slice(&bytes).map_err(|_| unknown())
}

/// Makes an image of a disk: a copy of its own layer, its owners shifted back to where images have theirs.
pub(crate) fn make_image(config: &Config, id: &str, sandbox: &str, record: &Record) -> Result<()> {
    let image = config.image(id);
    if image.join("root").is_dir() {
        return Ok(());
    }
    let pending = image.with_extension("new");
    remove_tree(&pending)?;
    fs::create_dir_all(&pending).act("make", pending.display())?;
    copy_tree(&config.disk(sandbox).join("upper"), &pending.join("root"), FIRST_ID + record.slot * IDS)?;
    let mut layers = vec![id.to_owned()];
    layers.extend(record.layers.iter().cloned());
    let text = serde_json::to_vec(&layers).map_err(|e| Error::Refused(e.to_string()))?;
    fs::write(pending.join("layers.json"), text).act("write layers of", id)?;
    fs::rename(&pending, &image).act("put in place", image.display())
}

/// Copies a layer as it is: with the marks that overlayfs keeps in it for what is deleted or replaced.
fn copy_tree(from: &Path, to: &Path, shift: u32) -> Result<()> {
    let found = from.symlink_metadata().act("look at", from.display())?;
    let kind = found.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(from).act("read link", from.display())?;
        std::os::unix::fs::symlink(target, to).act("link", to.display())?;
    } else if kind.is_dir() {
        fs::create_dir(to).act("make", to.display())?;
        for entry in fs::read_dir(from).act("read", from.display())? {
            let name = entry.act("read", from.display())?.file_name();
            copy_tree(&from.join(&name), &to.join(&name), shift)?;
        }
    } else if kind.is_file() {
        let mut source = fs::File::open(from).act("open", from.display())?;
        let mut copy = fs::File::create(to).act("create", to.display())?;
        std::io::copy(&mut source, &mut copy).act("copy", from.display())?;
    } else if kind.is_char_device() && found.rdev() == 0 {
        // A deleted file.
        mknod(to, SFlag::S_IFCHR, Mode::empty(), 0).act("make", to.display())?;
        return Ok(());
    } else {
        // Sockets and pipes are nothing without their processes.
        return Ok(());
    }
    let back = |id: u32| id.checked_sub(shift).filter(|id| *id < IDS).unwrap_or(0);
    lchown(to, Some(back(found.uid())), Some(back(found.gid()))).act("give away", to.display())?;
    if kind.is_symlink() {
        return Ok(());
    }
    fs::set_permissions(to, fs::Permissions::from_mode(found.mode() & 0o7777)).act("set mode of", to.display())?;
    if kind.is_dir() && sys::is_opaque(from) {
        sys::set_opaque(to).act("mark", to.display())?;
    }
    Ok(())
}

/// Removes a disk.
pub(crate) fn remove(config: &Config, id: &str) -> Result<()> {
    remove_tree(&config.disk(id))
}

/// Removes an image.
pub(crate) fn remove_image(config: &Config, id: &str) -> Result<()> {
    remove_tree(&config.image(id))
}

fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).act("remove", path.display()),
        _ => Ok(()),
    }
}
