//! The world's key, which Parameter Store's secure strings are sealed with: a file of its own beside the state, so that a copy of the
//! state alone tells none of those. Other secrets (imported certificates' private keys, temporary keys, what stickiness cookies are
//! sealed with) stand in the state as they are, which its owner alone can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The key kept in that file, which is made if there is none; one that nobody keeps, where nothing is kept.
///
/// # Errors
/// The file cannot be read or made, or holds no key.
pub fn of(path: &Path, ephemeral: bool) -> io::Result<[u8; 32]> {
    if ephemeral {
        return Ok(rand::random());
    }
    match fs::read(path) {
        Ok(kept) => kept.try_into().map_err(|_| io::Error::other("holds no key of 32 bytes")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        Err(error) => Err(error),
    }
}

/// It has its name once it is whole: a daemon killed in between leaves no half of one.
fn make(path: &Path) -> io::Result<[u8; 32]> {
    let key: [u8; 32] = rand::random();
    let pending = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&pending)?;
    file.write_all(&key)?;
    // After a power loss too, the name leads to the whole key or to none: what was sealed with another can never be opened.
    file.sync_all()?;
    fs::rename(&pending, path)?;
    if let Some(directory) = path.parent() {
        fs::File::open(directory)?.sync_all()?;
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("world.key");
        let key = of(&path, false).unwrap();
        assert_eq!(of(&path, false).unwrap(), key);
        assert_ne!(of(&path, true).unwrap(), key);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "short").unwrap();
        assert!(of(&path, false).is_err());
    }
}
