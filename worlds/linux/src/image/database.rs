//! What dpkg and its helpers know beside the packages themselves, as far as it is about packages of the image.

use super::Tree;
use super::packages::Package;
use crate::error::{Act, Result};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

impl Tree<'_> {
    /// Who is to hear of which files and events: without it, dpkg would have everybody act at the first installation.
    pub(super) fn triggers(&self, database: &Path, chosen: &[&Package]) -> Result<()> {
        let names: BTreeSet<&str> = chosen.iter().map(|package| package.name.as_str()).collect();
        self.directory("/var/lib/dpkg/triggers", 0o755)?;
        let Ok(entries) = fs::read_dir(database) else { return Ok(()) };
        for entry in entries.flatten() {
            let (name, Ok(text)) = (entry.file_name(), fs::read_to_string(entry.path())) else { continue };
            let of = |line: &&str| {
                let package = line.rsplit(' ').next().unwrap_or_default();
                names.contains(package.split(['/', ':']).next().unwrap_or_default())
            };
            if name == "Lock" || name == "Unincorp" {
                continue;
            }
            let kept: String = text.lines().filter(of).map(|line| format!("{line}\n")).collect();
            if name == "File" || !kept.is_empty() {
                self.write(&format!("/var/lib/dpkg/triggers/{}", name.to_string_lossy()), &kept, 0o644)?;
            }
        }
        Ok(())
    }

    /// The links between alternatives (`awk` is `mawk`), for those whose choice is in the image.
    pub(super) fn alternatives(&self, database: &Path) -> Result<()> {
        let Ok(entries) = fs::read_dir(database) else { return Ok(()) };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let choice = Path::new("/etc/alternatives").join(&name);
            let (Ok(target), Ok(text)) = (fs::read_link(&choice), fs::read_to_string(entry.path())) else { continue };
            let Some(link) = text.lines().nth(1).filter(|link| link.starts_with('/')) else { continue };
            let at = self.at(link);
            if !self.at(&target).exists() || !at.parent().is_some_and(Path::is_dir) || at.symlink_metadata().is_ok() {
                continue;
            }
            symlink(&target, self.at(&choice)).act("link", choice.display())?;
            symlink(&choice, &at).act("link", link)?;
            // What update-alternatives knows of it: else the next package that offers one would be refused.
            let record = self.at("/var/lib/dpkg/alternatives").join(&name);
            fs::create_dir_all(self.at("/var/lib/dpkg/alternatives")).act("make", "/var/lib/dpkg/alternatives")?;
            fs::copy(entry.path(), &record).act("copy", record.display())?;
        }
        Ok(())
    }
}
