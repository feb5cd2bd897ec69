//! Disks: a sandbox's own layer over its image, with the range of ids that its files belong to.

use super::{SLOTS, images, tree, volume};
use crate::error::{Act, Error, Result};
use crate::privilege::Ids;
use crate::world::Config;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use zonal_substrate::{DiskSource, Sandbox};

/// The world's base image.
pub(crate) const BASE: &str = "base";
/// Where it is, beside the other, when it belongs to the one range of ids that all sandboxes have.
pub(crate) const SHARED_BASE: &str = "base-shared";

/// How the names of disks begin that are nobody's yet.
pub(crate) const SPARE: &str = ".spare-";

/// What is written beside a disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Its range of ids.
    pub slot: u32,
    /// The images below, uppermost first.
    pub layers: Vec<String>,
    /// The last start that was begun.
    pub generation: u64,
    /// Whether it is a file system of its own, of a size.
    #[serde(default)]
    pub sized: bool,
}

impl Record {
    /// Writes it down.
    pub(crate) fn write(&self, config: &Config, id: &str) -> Result<()> {
        let path = config.disk(id).join("record.json");
        let text = serde_json::to_vec(self).map_err(|e| Error::Refused(e.to_string()))?;
        crate::files::replace(&path, text).act("write", path.display())
    }
}

/// Makes a sandbox's disk: of a spare one with a file system of its own, or in a directory.
pub(crate) fn make(config: &Config, sandbox: &Sandbox, spare: Option<&str>, slots: &mut Slots) -> Result<Record> {
    let id = &sandbox.id;
    let layers = match &sandbox.disk {
        DiskSource::Base => vec![BASE.to_owned()],
        DiskSource::Image(image) => images::layers(config, image)?,
    };
    let record = Record { slot: slots.take(config, id)?, layers, generation: 0, sized: spare.is_some() };
    let root = config.root_id(record.slot);
    // What a killed warden left of it half made.
    remove(config, id)?;
    if let Some(spare) = spare {
        volume::rename(config, spare, id)?;
    }
    let path = config.upper(id, record.sized);
    for (name, mode) in [("upper", 0o755), ("work", 0o700)] {
        let part = path.join(name);
        fs::create_dir_all(&part).act("make", part.display())?;
        fs::set_permissions(&part, fs::Permissions::from_mode(mode)).act("set mode of", part.display())?;
    }
    let upper = path.join("upper");
    chown(&upper, Some(root), Some(root)).act("give away", upper.display())?;
    record.write(config, id)?;
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

/// The disks that are nobody's yet.
pub(crate) fn spares(config: &Config) -> Vec<String> {
    let in_any = [config.directory.join("disks"), config.volumes()].into_iter().flat_map(|path| entries(&path));
    in_any.filter(|name| name.starts_with(SPARE)).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = entries(directory).into_iter().filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

pub(super) fn entries(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// Which ranges of ids are taken, and by which disk: read once, and kept as disks come and go.
pub(crate) struct Slots(BTreeMap<String, u32>);

impl Slots {
    /// As the disks that there are say.
    pub(crate) fn read(config: &Config) -> Self {
        Self(all(config).into_iter().filter_map(|id| read(config, &id).map(|record| (id, record.slot))).collect())
    }

    /// A range for a disk that is made: its own, if it has one.
    fn take(&mut self, config: &Config, id: &str) -> Result<u32> {
        if config.ids == Ids::Shared {
            return Ok(0);
        }
        self.0.remove(id);
        let taken: BTreeSet<u32> = self.0.values().copied().collect();
        let free = (0..SLOTS)
            .find(|slot| !taken.contains(slot))
            .ok_or_else(|| Error::Full(format!("one more disk: {SLOTS} exist already")))?;
        self.0.insert(id.to_owned(), free);
        Ok(free)
    }

    /// A disk is gone.
    pub(crate) fn give_back(&mut self, id: &str) {
        self.0.remove(id);
    }
}

/// Removes a disk.
pub(crate) fn remove(config: &Config, id: &str) -> Result<()> {
    let record = config.disk(id).join("record.json");
    match fs::remove_file(&record) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).act("remove", record.display());
        }
        _ => {}
    }
    volume::discard(config, id)?;
    tree::remove(&config.disk(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_ids_is_one_disks_until_it_is_given_back() {
        let config = Config::new("/nowhere".into(), (0, 0));
        let mut slots = Slots(BTreeMap::from([("i-a".to_owned(), 0), ("i-b".to_owned(), 2)]));
        assert_eq!(slots.take(&config, "i-c").unwrap(), 1);
        assert_eq!(slots.take(&config, "i-d").unwrap(), 3);
        slots.give_back("i-a");
        assert_eq!(slots.take(&config, "i-e").unwrap(), 0);
        assert_eq!(slots.take(&config, "i-e").unwrap(), 0, "made again after it failed");
        for number in 4..SLOTS {
            assert_eq!(slots.take(&config, &format!("i-{number}")).unwrap(), number);
        }
        assert!(matches!(slots.take(&config, "i-z"), Err(Error::Full(_))));
    }
}
