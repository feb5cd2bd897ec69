//! What a warden that was killed left of a base image that it was making.

use crate::error::{Act, Result};
use crate::sandbox::disk::{BASE, SHARED_BASE};
use crate::sandbox::tree;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Where a base image is made: beside its place, under a name that no image has.
pub(super) fn pending(image: &Path) -> PathBuf {
    let name = image.file_name().unwrap_or_default().to_string_lossy();
    image.with_file_name(format!(".{name}.new"))
}

/// Removes what is left beside a base image, unless another world is making one there now.
pub(crate) fn sweep(image: &Path) -> Result<()> {
    let Some(directory) = image.parent() else { return Ok(()) };
    let left = leftovers(directory);
    if left.is_empty() {
        return Ok(());
    }
    let lock = lock_file(image)?;
    if lock.try_lock().is_err() {
        return Ok(());
    }
    // Listed again: what was being made before the lock was ours is in its place by now.
    leftovers(directory).iter().try_for_each(|path| tree::remove(path))
}

/// The file whose lock is held by who makes a base image there.
pub(super) fn lock_file(image: &Path) -> Result<File> {
    let lock = image.with_file_name(".base.lock");
    File::create(&lock).act("create", lock.display())
}

fn leftovers(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = directory.read_dir() else { return Vec::new() };
    let is_left = |name: &str| {
        [BASE, SHARED_BASE].iter().any(|base| {
            // Earlier versions named them by process, with the mark at the end.
            name == format!(".{base}.new") || name.starts_with(&format!("{base}.new-"))
        }) || name == ".base.old"
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| is_left(name)).map(|name| directory.join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_a_killed_maker_left_is_removed_and_what_one_makes_now_is_not() {
        let at = std::env::temp_dir().join(format!("zonal-leftovers-{}", std::process::id()));
        let image = at.join("base");
        for name in ["base", ".base.new", "base.new-17", "base-shared.new-3", "ami-1"] {
            fs::create_dir_all(at.join(name).join("root")).unwrap();
        }
        let names = || {
            let mut names: Vec<_> = fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let maker = lock_file(&image).unwrap();
        maker.lock().unwrap();
        sweep(&image).unwrap();
        assert_eq!(names().len(), 6);
        drop(maker);
        sweep(&image).unwrap();
        assert_eq!(names(), [".base.lock", "ami-1", "base"]);
        fs::remove_dir_all(&at).unwrap();
    }
}
