//! What the plane was told, on disk: a file per duty, so that a change costs what it changes, however much else there is. A zone's file has
//! another beside it, to which the names that changed since are appended: they cost what they are, however large the zone is.
//!
//! The second's name has a sum of the first's bytes, so that it goes with that one alone: whenever the plane is killed, what is read is
//! one version, whole.

use super::protocol::{Duty, Held};
use crate::error::{Act, Error, Result};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zonal_dns::table::NameSets;

/// Appended to a file of so many bytes or more, it is written anew once what was appended is longer than itself.
const SHORT: u64 = 64 << 10;
/// What counts as appended where a line may have been begun, or what is there lacks a change: more than there may be.
const TORN: u64 = u64::MAX >> 1;

/// The files, by the keys of their duties. A file's name is a number: keys are as long as they like.
pub(super) struct Kept {
    directory: PathBuf,
    files: BTreeMap<String, File>,
    next: u64,
}

/// A duty's file.
struct File {
    number: u64,
    sum: u64,
    length: u64,
    /// How much was appended beside it.
    appended: u64,
}

impl Kept {
    /// Opens a directory, made if there is none, and gives what is in it.
    pub(super) fn open(directory: &Path) -> Result<(Self, Vec<(String, Duty)>)> {
        fs::create_dir_all(directory).act("make", directory.display())?;
        let (mut kept, mut all) =
            (Self { directory: directory.to_owned(), files: BTreeMap::new(), next: 0 }, Vec::new());
        let mut others = Vec::new();
        for entry in fs::read_dir(directory).act("read", directory.display())? {
            let path = entry.act("read", directory.display())?.path();
            let number = path.file_name().and_then(|name| name.to_str()?.parse::<u64>().ok());
            let read = || {
                let bytes = fs::read(&path).ok()?;
                let (key, duty) = serde_json::from_slice::<(String, Duty)>(&bytes).ok()?;
                Some((key, duty, sum(&bytes), bytes.len() as u64))
            };
            match number.and_then(|number| Some((number, read()?))) {
                Some((number, (key, duty, sum, length))) => {
                    kept.next = kept.next.max(number + 1);
                    kept.files.insert(key.clone(), File { number, sum, length, appended: 0 });
                    all.push((key, duty));
                }
                None => others.push(path),
            }
        }
        for (key, duty) in &mut all {
            kept.read_appended(key, duty)?;
        }
        let beside: Vec<PathBuf> = kept.files.values().map(|file| kept.beside(file)).collect();
        // What was being written when the plane ended, or is of an earlier version: what counts is there still.
        for path in others.into_iter().filter(|path| !beside.contains(path)) {
            remove(&path)?;
        }
        Ok((kept, all))
    }

    /// Brings a duty to what was appended since. A last line that was being written ends with it: the duty is written anew then.
    fn read_appended(&mut self, key: &str, duty: &mut Duty) -> Result<()> {
        let Some(file) = self.files.get(key) else { return Ok(()) };
        let Ok(bytes) = fs::read(self.beside(file)) else { return Ok(()) };
        let mut held = Held::new(duty.clone());
        let mut is_whole = bytes.ends_with(b"\n");
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match (&mut held, serde_json::from_slice::<NameSets>(line)) {
                (Held::Zone { table, .. }, Ok(names)) => drop(table.put(names)),
                _ => {
                    is_whole = false;
                    break;
                }
            }
        }
        *duty = held.duty();
        if is_whole {
            self.files.entry(key.to_owned()).and_modify(|file| file.appended = bytes.len() as u64);
            return Ok(());
        }
        self.put(key, duty)
    }

    fn beside(&self, file: &File) -> PathBuf {
        self.directory.join(format!("{}.{:016x}", file.number, file.sum))
    }

    /// Keeps a duty, in the place of what was kept by its key. Whenever the plane is killed, one of them is there, whole.
    pub(super) fn put(&mut self, key: &str, duty: &Duty) -> Result<()> {
        // Until it is written, nothing can be appended to what is there: that would be a change of what it is not.
        let number = self.files.get_mut(key).map_or(self.next, |file| {
            file.appended = TORN;
            file.number
        });
        self.next = self.next.max(number + 1);
        let path = self.directory.join(number.to_string());
        let pending = path.with_extension("new");
        let bytes = serde_json::to_vec(&(key, duty)).map_err(|e| Error::Refused(e.to_string()))?;
        // Listeners' private keys may be in it.
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&pending);
        file.and_then(|mut file| file.write_all(&bytes)).act("write", pending.display())?;
        let file = File { number, sum: sum(&bytes), length: bytes.len() as u64, appended: 0 };
        let fresh = self.beside(&file);
        // The same bytes may have been here before, with other names beside them.
        remove(&fresh)?;
        fs::rename(&pending, &path).act("rename", path.display())?;
        if let Some(old) = self.files.insert(key.to_owned(), file).filter(|old| old.appended > 0) {
            remove(&self.beside(&old))?;
        }
        Ok(())
    }

    /// Keeps names that changed in a zone; `whole` is the zone's duty as it is with them.
    pub(super) fn put_names(
        &mut self,
        key: &str,
        names: &NameSets,
        whole: impl FnOnce() -> Option<Duty>,
    ) -> Result<()> {
        let mut line = serde_json::to_vec(names).map_err(|e| Error::Refused(e.to_string()))?;
        line.push(b'\n');
        let added = line.len() as u64;
        let Some(file) = self.files.get(key).filter(|file| file.appended + added <= file.length.max(SHORT)) else {
            return whole().map_or(Ok(()), |duty| self.put(key, &duty));
        };
        let path = self.beside(file);
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(&line)).act("write", path.display());
        // After a line that was only begun, no other would be read: then the whole is written, now or with the next change.
        let more = if written.is_ok() { added } else { TORN };
        self.files.entry(key.to_owned()).and_modify(|file| file.appended += more);
        match written {
            Err(error) => whole().map_or(Err(error), |duty| self.put(key, &duty)),
            Ok(()) => Ok(()),
        }
    }

    /// Keeps a duty no longer.
    pub(super) fn remove(&mut self, key: &str) -> Result<()> {
        let Some(file) = self.files.remove(key) else { return Ok(()) };
        remove(&self.directory.join(file.number.to_string()))?;
        if file.appended > 0 { remove(&self.beside(&file)) } else { Ok(()) }
    }
}

/// Removes a file that may be gone.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).act("remove", path.display()),
        _ => Ok(()),
    }
}

/// Tells one version of a file from another (FNV-1a).
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Directory;
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use zonal_dns::config::{RecordSet, Zone};

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

    fn zone(value: &str) -> Duty {
        let set = |name: &str, value: &str| RecordSet {
            name: name.to_owned(),
            type_: "A".to_owned(),
            values: vec![value.to_owned()],
            ..RecordSet::default()
        };
        let records = vec![set("a.test.", "192.0.2.1"), set("b.test.", value)];
        Duty::Zone {
            view: "public".to_owned(),
            zone: Box::new(Zone { name: "test.".to_owned(), overlay: false, records }),
        }
    }

    fn names(duty: &Duty) -> NameSets {
        let Duty::Zone { zone, .. } = duty else { panic!("a zone") };
        NameSets::from([("b.test.".to_owned(), zone.records[1..].to_vec())])
    }

    #[test]
    fn names_that_changed_are_appended_until_they_are_more_than_the_zone_and_are_there_after_a_restart() {
        let directory = Directory::new("names");
        let (mut kept, _) = Kept::open(&directory.0).unwrap();
        kept.put("zone", &zone("192.0.2.0")).unwrap();
        let first = fs::metadata(directory.0.join("0")).unwrap().ino();
        let (mut written, mut last) = (0, 0);
        for value in 0..2000 {
            let next = zone(&format!("192.0.{}.{}", value / 250, value % 250));
            kept.put_names("zone", &names(&next), || Some(next.clone())).unwrap();
            let inode = fs::metadata(directory.0.join("0")).unwrap().ino();
            written += u32::from(std::mem::replace(&mut last, inode) != inode);
            if value % 400 == 7 {
                assert_eq!(Kept::open(&directory.0).unwrap().1, [("zone".to_owned(), next)]);
            }
        }
        assert!(last != first && written < 8, "written whole {written} times");
    }

    #[test]
    fn names_of_an_earlier_version_and_a_line_half_written_are_not_read() {
        let directory = Directory::new("torn");
        let (mut kept, _) = Kept::open(&directory.0).unwrap();
        kept.put("zone", &zone("192.0.2.0")).unwrap();
        let [second, third] = ["192.0.2.2", "192.0.2.3"].map(zone);
        kept.put_names("zone", &names(&second), || None).unwrap();
        let beside = || -> PathBuf {
            let files = fs::read_dir(&directory.0).unwrap().map(|entry| entry.unwrap().path());
            let mut beside = files.filter(|path| path.extension().is_some());
            let only = beside.next().expect("one file beside the whole");
            assert_eq!(beside.next(), None);
            only
        };
        let earlier = beside();
        // In the middle of a character, even.
        OpenOptions::new().append(true).open(&earlier).unwrap().write_all(b"{\"b\xc3").unwrap();
        assert_eq!(Kept::open(&directory.0).unwrap().1, [("zone".to_owned(), second)], "killed while it appended");
        // Killed between the next version and the end of what is beside the last.
        let (mut kept, _) = Kept::open(&directory.0).unwrap();
        kept.put("zone", &third).unwrap();
        fs::write(&earlier, serde_json::to_vec(&names(&zone("192.0.2.9"))).unwrap()).unwrap();
        assert_eq!(Kept::open(&directory.0).unwrap().1, [("zone".to_owned(), third)]);
        assert!(!earlier.exists());
    }

    #[test]
    fn what_cannot_be_appended_is_written_whole() {
        let directory = Directory::new("whole");
        let (mut kept, _) = Kept::open(&directory.0).unwrap();
        kept.put("zone", &zone("192.0.2.0")).unwrap();
        let beside = kept.beside(&kept.files["zone"]);
        // A directory in its place stands for a disk that has no room.
        fs::create_dir(&beside).unwrap();
        let [second, third] = ["192.0.2.2", "192.0.2.3"].map(zone);
        kept.put_names("zone", &names(&second), || None).unwrap_err();
        fs::remove_dir(&beside).unwrap();
        // There is room again, and the line before may have been begun.
        fs::write(&beside, b"{\"b.te").unwrap();
        kept.put_names("zone", &names(&third), || Some(third.clone())).unwrap();
        assert_eq!(Kept::open(&directory.0).unwrap().1, [("zone".to_owned(), third)]);
        assert!(!beside.exists());
    }

    #[test]
    fn names_are_not_appended_to_a_zone_that_could_not_be_written() {
        let directory = Directory::new("unwritten");
        let (mut kept, _) = Kept::open(&directory.0).unwrap();
        kept.put("zone", &zone("192.0.2.0")).unwrap();
        let [second, third] = ["192.0.2.2", "192.0.2.3"].map(zone);
        // A directory in its place stands for a disk that has no room.
        let pending = directory.0.join("0.new");
        fs::create_dir(&pending).unwrap();
        kept.put("zone", &second).unwrap_err();
        fs::remove_dir(&pending).unwrap();
        // Of another name: what is on disk has neither this change nor that one.
        kept.put_names("zone", &NameSets::from([("c.test.".to_owned(), Vec::new())]), || Some(third.clone())).unwrap();
        assert_eq!(Kept::open(&directory.0).unwrap().1, [("zone".to_owned(), third)]);
    }
}
