//! Files that are never half written.

use std::path::Path;
use std::{fs, io};

/// Puts a file in the place of what is there. Whoever is killed on the way leaves one of the two whole, and beside it at most a file that
/// begins with a dot, which the next one replaces.
///
/// # Errors
/// It can't be written, or not put in its place; what was there still is.
pub fn replace(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let pending = path.with_file_name(format!(".{name}.new"));
    fs::write(&pending, bytes)?;
    fs::rename(pending, path)
}
