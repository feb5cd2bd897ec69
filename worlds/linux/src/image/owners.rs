//! Whose the image's files are: the machine's ids, and those that a world gives them.

use super::packages::Packages;
use crate::error::{Act, Result};
use std::collections::BTreeMap;
use std::fs::{self, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

/// The files of the machine that go into the image and are not root's: user and group by path. Inside a user namespace all of the
/// machine's ids look alike, so they are looked at before.
pub(crate) struct Owners(BTreeMap<PathBuf, (u32, u32)>);

impl Owners {
    /// Looks at the files of all packages that go into the image.
    pub(crate) fn look() -> Result<Self> {
        let database = Path::new(super::DATABASE);
        let status = fs::read_to_string(database.join("status")).act("read", "/var/lib/dpkg/status")?;
        let mut owners = BTreeMap::new();
        for package in Packages::parse(&status).closure(super::WANTED, super::UNWANTED) {
            let Some(list) = super::list_of(database, package) else { continue };
            for path in fs::read_to_string(&list).act("read", list.display())?.lines().map(Path::new) {
                if let Ok(found) = path.symlink_metadata()
                    && (found.uid(), found.gid()) != (0, 0)
                {
                    owners.insert(path.to_owned(), (found.uid(), found.gid()));
                }
            }
        }
        Ok(Self(owners))
    }
}

/// The owner of a file of the machine: as it looks, or as it looked from outside.
pub(super) fn owner(owners: Option<&Owners>, path: &Path, found: &Metadata) -> (u32, u32) {
    match owners {
        Some(Owners(known)) => known.get(path).copied().unwrap_or((0, 0)),
        None => (found.uid(), found.gid()),
    }
}

/// Gives a tree to others: whose id is N here is `by + N` from now on.
pub(super) fn shift(path: &Path, by: u32) -> Result<()> {
    let found = path.symlink_metadata().act("look at", path.display())?;
    if found.is_dir() {
        for entry in fs::read_dir(path).act("read", path.display())? {
            shift(&entry.act("read", path.display())?.path(), by)?;
        }
    }
    lchown(path, Some(by + found.uid()), Some(by + found.gid())).act("give away", path.display())?;
    // A file that is given away is not set-user-ID any more.
    if found.mode() & 0o6000 != 0 && !found.is_symlink() {
        let mode = Permissions::from_mode(found.mode() & 0o7777);
        fs::set_permissions(path, mode).act("set mode of", path.display())?;
    }
    Ok(())
}
