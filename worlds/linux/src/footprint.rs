//! How much of the program's own file a process holds in its memory: after its start far more than it goes on with.
//!
//! Five processes run from one file, and what an idle one takes is mostly that file's pages. Coming up touches code that is never needed
//! again, and the kernel maps sixteen pages where one is touched. So each lets go of them once it has come up. What is used comes back at
//! the next touch, from the kernel's cache of the file.

use std::fs;
use std::io;
use std::ops::Range;
use std::time::Duration;

/// How long after its start a process has come up.
const SETTLED: Duration = Duration::from_secs(1);

/// Lets go of the pages that this process maps of its own program and has not changed.
pub fn let_go() {
    let Ok(program) = fs::read_link("/proc/self/exe") else { return };
    let (Some(program), Ok(mappings)) = (program.to_str(), fs::read_to_string("/proc/self/smaps")) else { return };
    for range in unchanged(&mappings, program) {
        // Where the kernel refuses, the pages stay: nothing depends on it.
        if let Err(error) = drop_pages(range) {
            tracing::debug!(%error, "pages stay");
        }
    }
}

/// Does the same once the process has come up, on a thread that ends with it.
pub fn let_go_when_settled() {
    let waiting = std::thread::Builder::new().name("settled".to_owned()).spawn(|| {
        std::thread::sleep(SETTLED);
        let_go();
    });
    if let Err(error) = waiting {
        tracing::debug!(%error, "pages stay");
    }
}

/// `range` must be one that [`unchanged`] found in this process.
fn drop_pages(range: Range<usize>) -> io::Result<()> {
    let start = std::ptr::with_exposed_provenance_mut(range.start);
    // SAFETY: at these addresses the program's own file is mapped, unwritable, and no page differs from the file. A page that is dropped
    // comes back the same at its next touch, also one that is being executed.
    if unsafe { libc::madvise(start, range.len(), libc::MADV_DONTNEED) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The addresses, out of `/proc/self/smaps`, at which a file is mapped unwritable and no page differs from it.
fn unchanged(mappings: &str, file: &str) -> Vec<Range<usize>> {
    let (mut found, mut current) = (Vec::new(), None);
    for line in mappings.lines() {
        if let Some(mapping) = mapping(line) {
            current = Some(mapping).filter(|(_, writable, path)| !writable && *path == file).map(|(range, ..)| range);
        } else if line.split_whitespace().eq(["Anonymous:", "0", "kB"]) {
            found.extend(current.take());
        }
    }
    found
}

/// A mapping's first line: where it is, whether it can be written, and of which file it is.
fn mapping(line: &str) -> Option<(Range<usize>, bool, &str)> {
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
    let writable = words.next()?.contains('w');
    Some((range, writable, words.nth(3)?.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPINGS: &str = "\
00200000-006ea000 r--p 00000000 fe:00 131 /usr/bin/zonal
Rss:                 100 kB
Anonymous:             0 kB
006ea000-017c0000 r-xp 004e9000 fe:00 131 /usr/bin/zonal
Anonymous:             0 kB
017c0000-01900000 r--p 015be000 fe:00 131 /usr/bin/zonal
Anonymous:            40 kB
01900000-01908000 rw-p 016fd000 fe:00 131 /usr/bin/zonal
Anonymous:             0 kB
7f0000000000-7f0000001000 r-xp 00000000 fe:00 132 /usr/lib/libc.so.6
Anonymous:             0 kB
7f0000002000-7f0000003000 r--p 00000000 00:00 0
Anonymous:             0 kB
";

    #[test]
    fn only_what_is_as_in_the_programs_file_is_let_go() {
        assert_eq!(unchanged(MAPPINGS, "/usr/bin/zonal"), [0x20_0000..0x6e_a000, 0x6e_a000..0x17c_0000]);
    }

    #[test]
    fn a_process_goes_on_with_less_of_its_program() {
        let resident = || {
            let maps = fs::read_to_string("/proc/self/smaps").expect("a process may read its own");
            let program = fs::read_link("/proc/self/exe").expect("a process has a program");
            let (mut total, mut ours) = (0_u64, false);
            for line in maps.lines() {
                if let Some((_, writable, path)) = mapping(line) {
                    ours = !writable && Some(path) == program.to_str();
                } else if let Some(size) = line.strip_prefix("Rss:").filter(|_| ours) {
                    total += size.trim().trim_end_matches(" kB").parse::<u64>().expect("a size");
                }
            }
            total
        };
        let before = resident();
        let_go();
        assert!(resident() < before, "{} kB of {before} are left", resident());
    }
}
