//! What the plane was told, on disk: a file per duty, so that a change costs what it changes, however much else there is.

use super::protocol::Duty;
use crate::error::{Act, Error, Result};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The files, by the keys of their duties. A file's name is a number: keys are as long as they like.
pub(super) struct Kept {
    directory: PathBuf,
    files: BTreeMap<String, u64>,
    next: u64,
}

impl Kept {
    /// Opens a directory, made if there is none, and gives what is in it.
    pub(super) fn open(directory: &Path) -> Result<(Self, Vec<(String, Duty)>)> {
        fs::create_dir_all(directory).act("make", directory.display())?;
        let (mut files, mut all, mut next) = (BTreeMap::new(), Vec::new(), 0);
        for entry in fs::read_dir(directory).act("read", directory.display())? {
            let path = entry.act("read", directory.display())?.path();
            let number = path.file_name().and_then(|name| name.to_str()?.parse::<u64>().ok());
            let read = || fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<(String, Duty)>(&bytes).ok());
            match number.and_then(|number| Some((number, read()?))) {
                Some((number, (key, duty))) => {
                    next = next.max(number + 1);
                    files.insert(key.clone(), number);
                    all.push((key, duty));
                }
                // It was being written when the plane ended: what it replaces is there still.
                None => fs::remove_file(&path).act("remove", path.display())?,
            }
        }
        Ok((Self { directory: directory.to_owned(), files, next }, all))
    }

    /// Keeps a duty, in the place of what was kept by its key. Whenever the plane is killed, one of them is there, whole.
    pub(super) fn put(&mut self, key: &str, duty: &Duty) -> Result<()> {
        let number = *self.files.entry(key.to_owned()).or_insert_with(|| {
            self.next += 1;
            self.next - 1
        });
        let path = self.directory.join(number.to_string());
        let pending = path.with_extension("new");
        let bytes = serde_json::to_vec(&(key, duty)).map_err(|e| Error::Refused(e.to_string()))?;
        // Listeners' private keys may be in it.
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&pending);
        file.and_then(|mut file| file.write_all(&bytes)).act("write", pending.display())?;
        fs::rename(&pending, &path).act("rename", path.display())
    }

    /// Keeps a duty no longer.
    pub(super) fn remove(&mut self, key: &str) -> Result<()> {
        let Some(number) = self.files.remove(key) else { return Ok(()) };
        let path = self.directory.join(number.to_string());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).act("remove", path.display()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Directory;
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn what_was_told_last_is_there_after_a_restart_and_each_change_is_written_alone() {
        let directory = Directory::new("kept");
        let inodes =
            || -> Vec<u64> { (0..2).map(|n| fs::metadata(directory.0.join(n.to_string())).unwrap().ino()).collect() };
        let (mut kept, all) = Kept::open(&directory.0).unwrap();
        assert_eq!(all, []);
        kept.put("zone:a/b:c", &Duty::Speed(1)).unwrap();
        kept.put(&"long".repeat(100), &Duty::Speed(2)).unwrap();
        let before = inodes();
        kept.put("zone:a/b:c", &Duty::Speed(3)).unwrap();
        assert_eq!(inodes()[1], before[1], "the other was written too");
        assert_ne!(inodes()[0], before[0], "a change replaces its file whole");
        // Killed while it writes.
        fs::write(directory.0.join("1.new"), b"[\"long").unwrap();
        let (mut kept, mut all) = Kept::open(&directory.0).unwrap();
        all.sort_by(|a, b| b.0.cmp(&a.0));
        assert_eq!(all, [("zone:a/b:c".to_owned(), Duty::Speed(3)), ("long".repeat(100), Duty::Speed(2))]);
        kept.put("another", &Duty::Speed(4)).unwrap();
        kept.remove("zone:a/b:c").unwrap();
        kept.remove("unknown").unwrap();
        let keys = Kept::open(&directory.0).unwrap().1.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert!(keys.len() == 2 && keys.contains(&"another".to_owned()), "{keys:?}");
    }
}
