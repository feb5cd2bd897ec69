//! Images that were made of disks: each one more layer over those that its disk stood on.
//!
//! An image that is removed is nobody's to start from any more, yet what stands on it has its files below its own: they go with the last
//! disk, or the last image made of one, that names them.

use super::disk::{self, BASE, Record, SHARED_BASE};
use super::{layer, tree, volume};
use crate::error::{Act, Error, Result};
use crate::world::Config;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What is below an image, uppermost first, itself included.
const LAYERS: &str = "layers.json";
/// The same of an image that was removed.
const REMOVED: &str = "layers.removed";
/// How the names of images begin that are being made.
const PENDING: &str = ".new-";

fn directory(config: &Config) -> PathBuf {
    config.directory.join("images")
}

fn pending(config: &Config, id: &str) -> PathBuf {
    directory(config).join(format!("{PENDING}{id}"))
}

/// Those that can be started from, beside the base.
pub(crate) fn all(config: &Config) -> Vec<String> {
    let mut all = made(config);
    all.retain(|id| config.image(id).join(LAYERS).exists());
    all
}

/// All that were ever made and have files still.
fn made(config: &Config) -> Vec<String> {
    let mut names = disk::entries(&directory(config));
    names.retain(|name| !name.contains('.') && name != BASE && name != SHARED_BASE);
    names.sort();
    names
}

/// The layers of an image, uppermost first.
pub(super) fn layers(config: &Config, image: &str) -> Result<Vec<String>> {
    crate::world::check_id(image)?;
    listed(&config.image(image)).ok_or_else(|| Error::Unknown { kind: "image", id: image.to_owned() })
}

fn listed(image: &Path) -> Option<Vec<String>> {
    serde_json::from_slice(&fs::read(image.join(LAYERS)).ok()?).ok()
}

/// An image of a disk on its way: from here on, what is below it is kept. Made while no image is removed.
pub(crate) struct Pending {
    at: PathBuf,
}

/// Begins an image; `None` if it is there.
pub(crate) fn begin(config: &Config, id: &str, record: &Record) -> Result<Option<Pending>> {
    if config.image(id).join("root").is_dir() {
        return Ok(None);
    }
    let at = pending(config, id);
    tree::remove(&at)?;
    fs::create_dir_all(&at).act("make", at.display())?;
    let mut layers = vec![id.to_owned()];
    layers.extend(record.layers.iter().cloned());
    let text = serde_json::to_vec(&layers).map_err(|e| Error::Refused(e.to_string()))?;
    fs::write(at.join(LAYERS), text).act("write layers of", id)?;
    Ok(Some(Pending { at }))
}

impl Pending {
    /// Copies the disk's own layer, its owners shifted to where images have theirs.
    pub(crate) fn finish(self, config: &Config, id: &str, sandbox: &str, record: &Record) -> Result<()> {
        let shift =
            layer::Shift { from: config.root_id(record.slot), to: config.image_root(), privilege: config.privilege };
        if record.sized {
            volume::attach(config, sandbox)?;
        }
        layer::copy(&config.upper(sandbox, record.sized).join("upper"), &self.at.join("root"), shift)?;
        let image = config.image(id);
        fs::rename(&self.at, &image).act("put in place", image.display())
    }

    /// Leaves nothing of one that could not be made.
    pub(crate) fn abandon(config: &Config, id: &str) -> Result<()> {
        tree::remove(&pending(config, id))
    }
}

/// Removes an image: at once from what can be started, its files once nothing stands on them.
pub(crate) fn remove(config: &Config, id: &str) -> Result<()> {
    // One that is on its way arrives as removed.
    for image in [config.image(id), pending(config, id)] {
        match fs::rename(image.join(LAYERS), image.join(REMOVED)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).act("remove", image.display());
            }
            _ => {}
        }
    }
    sweep(config)
}

/// Removes the files of images that were removed and that nothing stands on any more. While no disk and no image is made.
pub(crate) fn sweep(config: &Config) -> Result<()> {
    let gone: Vec<String> = made(config).into_iter().filter(|id| !config.image(id).join(LAYERS).exists()).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let disks = disk::all(config).into_iter().filter_map(|id| disk::read(config, &id)).flat_map(|record| record.layers);
    let images = disk::entries(&directory(config)).into_iter();
    let images = images.filter_map(|name| listed(&directory(config).join(name))).flatten();
    let used: BTreeSet<String> = disks.chain(images).collect();
    gone.iter().filter(|id| !used.contains(*id)).try_for_each(|id| tree::remove(&config.image(id)))
}

/// Removes what a killed warden left half made, and what nobody stands on. At the start, before anybody asks.
pub(crate) fn sweep_at_start(config: &Config) -> Result<()> {
    for name in disk::entries(&directory(config)) {
        // Earlier versions had the mark at the end.
        if name.starts_with(PENDING) || (name.ends_with(".new") && !name.starts_with('.')) {
            tree::remove(&directory(config).join(name))?;
        }
    }
    sweep(config)
}
