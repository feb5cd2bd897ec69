//! The repository's index: the machine's own lists of packages, shortened to what installing takes, and the table by which a file is
//! found again.

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::{self, BufRead, Write};

/// What an entry of the list says beside what installing takes; a third of it.
const LEFT_OUT: &[&str] =
    &["Description-md5", "Tag", "Homepage", "MD5sum", "SHA1", "Maintainer", "Original-Maintainer", "Bugs", "Task"];

/// What was written: names, sizes and sums for the release file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Of `Packages` and `Packages.gz`: size and SHA-256.
    pub plain: (u64, String),
    pub packed: (u64, String),
    /// How many packages.
    pub count: u64,
}

/// Counts and sums what passes.
struct Summed<W> {
    to: W,
    size: u64,
    sum: Sha256,
}

impl<W: Write> Summed<W> {
    fn new(to: W) -> Self {
        Self { to, size: 0, sum: Sha256::new() }
    }

    fn finish(self) -> (W, (u64, String)) {
        let sum = self.sum.finalize().iter().fold(String::new(), |mut text, byte| {
            // Writing to a string never fails.
            let _ = write!(text, "{byte:02x}");
            text
        });
        (self.to, (self.size, sum))
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.sum.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Reads lists of packages (deb822), writes them shortened and packed to `packed`, and a line per file (its path in the repository, the
/// package as apt names it) to `table`.
pub(super) fn write(mut lists: impl BufRead, packed: impl Write, mut table: impl Write) -> io::Result<Written> {
    let mut plain = Summed::new(GzEncoder::new(Summed::new(packed), Compression::fast()));
    let (mut line, mut skipping, mut count) = (Vec::new(), false, 0);
    let (mut name, mut version, mut file) = (String::new(), String::new(), String::new());
    loop {
        line.clear();
        let ended = lists.read_until(b'\n', &mut line)? == 0;
        if ended || line == b"\n" {
            if !file.is_empty() {
                writeln!(table, "{file}\t{name}={version}")?;
                plain.write_all(b"\n")?;
                count += 1;
            }
            file.clear();
            if ended {
                break;
            }
            continue;
        }
        // A line that begins with a blank goes on with the field before.
        if line[0] != b' ' && line[0] != b'\t' {
            let text = String::from_utf8_lossy(&line);
            let (field, value) = text.split_once(':').unwrap_or((text.as_ref(), ""));
            skipping = LEFT_OUT.contains(&field);
            let value = value.trim();
            match field {
                "Package" => value.clone_into(&mut name),
                "Version" => value.clone_into(&mut version),
                "Filename" => value.trim_start_matches("./").clone_into(&mut file),
                _ => {}
            }
        }
        if !skipping {
            plain.write_all(&line)?;
        }
    }
    table.flush()?;
    let (encoder, plain) = plain.finish();
    let (mut packed, sum) = encoder.finish()?.finish();
    packed.flush()?;
    Ok(Written { plain, packed: sum, count })
}

/// The release file of an index.
pub(super) fn release(written: &Written, architecture: &str, date: &str) -> String {
    let (plain, packed) = (&written.plain, &written.packed);
    format!(
        "Origin: Zonal\nLabel: What this machine's package manager offers\nSuite: stable\nDate: {date}\nArchitectures: {architecture}\n\
         SHA256:\n {} {} Packages\n {} {} Packages.gz\n",
        plain.1, plain.0, packed.1, packed.0
    )
}

/// Finds the package of a file in a table.
pub(super) fn find(table: impl BufRead, file: &str) -> io::Result<Option<String>> {
    for line in table.lines() {
        let line = line?;
        if let Some((found, package)) = line.split_once('\t')
            && found == file
        {
            return Ok(Some(package.to_owned()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    const LIST: &str = "Package: a\nVersion: 1:1.0+b\nDescription: one\n more of it\nTag: x,\n y\nFilename: pool/a_1.0+b_all.deb\n\n\
        Package: b\nVersion: 2\nFilename: ./b_2_amd64.deb\nSize: 3\n";

    #[test]
    fn an_index_has_what_installing_takes_and_says_its_sums() {
        let (mut packed, mut table) = (Vec::new(), Vec::new());
        let written = write(LIST.as_bytes(), &mut packed, &mut table).unwrap();
        let mut plain = String::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut plain).unwrap();
        let expected = LIST.replace("Tag: x,\n y\n", "") + "\n";
        assert_eq!(plain, expected);
        assert_eq!(written.count, 2);
        assert_eq!((written.plain.0, written.packed.0), (plain.len() as u64, packed.len() as u64));
        let release = release(&written, "amd64", "Thu, 01 Jan 1970 00:00:00 GMT");
        assert!(release.contains(&format!("\n {} {} Packages.gz\n", written.packed.1, packed.len())), "{release}");
        assert_eq!(find(&table[..], "pool/a_1.0+b_all.deb").unwrap().as_deref(), Some("a=1:1.0+b"));
        assert_eq!(find(&table[..], "b_2_amd64.deb").unwrap().as_deref(), Some("b=2"));
        assert_eq!(find(&table[..], "pool/a").unwrap(), None);
    }
}
