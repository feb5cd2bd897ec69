//! What a machine says of itself: processors and memory as its type has them, where the kernel would tell of the whole machine's.
//!
//! `nproc` and all that counts by affinity see as many processors as the type has, or as there are; what counts by `/sys` or
//! `/proc/cpuinfo` sees the type's. `/proc/meminfo` is written anew with every look at what sandboxes use (once a second), from their
//! control groups: never made up, at most that old. `sysinfo(2)` and `/proc/stat` remain the machine's: no file stands for them, or none
//! that would be true a moment later.

use super::Spec;
use super::cgroup::{Hierarchy, Memory};
use crate::error::{Act, Result};
use crate::world::Config;
use nix::mount::{MsFlags, mount};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::fmt::Write;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The files of `/sys` that list processors.
const LISTS: [&str; 3] = ["online", "possible", "present"];
/// Where they are.
const PROCESSORS: &str = "devices/system/cpu";

fn cpuinfo(config: &Config, count: u32) -> PathBuf {
    config.machines().join(format!("cpuinfo-{count}"))
}

fn meminfo(config: &Config, id: &str) -> PathBuf {
    config.machines().join(id)
}

/// Writes what a sandbox will be shown. The holder's part, before it forks.
pub(crate) fn prepare(config: &Config, spec: &Spec, hierarchy: &Hierarchy) -> Result<()> {
    let directory = config.machines();
    fs::create_dir_all(&directory).act("make", directory.display())?;
    let path = cpuinfo(config, spec.sandbox.vcpus);
    if !path.exists() {
        let text = processors(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default(), spec.sandbox.vcpus);
        fs::write(&path, text).act("write", path.display())?;
    }
    refresh(config, hierarchy, &spec.sandbox.id)
}

/// Shows it, in the file systems that are put together at `root`.
pub(crate) fn show(config: &Config, spec: &Spec, root: &Path) -> Result<()> {
    let bind = |from: &Path, to: PathBuf| {
        mount(Some(from), &to, None::<&str>, MsFlags::MS_BIND, None::<&str>).act("bind", from.display())
    };
    bind(&cpuinfo(config, spec.sandbox.vcpus), root.join("proc/cpuinfo"))?;
    let memory = meminfo(config, &spec.sandbox.id);
    if memory.exists() {
        bind(&memory, root.join("proc/meminfo"))?;
    }
    let lists = root.join("sys").join(PROCESSORS);
    fs::create_dir_all(&lists).act("make", lists.display())?;
    let last = spec.sandbox.vcpus.max(1) - 1;
    let text = if last == 0 { "0\n".to_owned() } else { format!("0-{last}\n") };
    for name in LISTS {
        fs::write(lists.join(name), &text).act("write", name)?;
    }
    Ok(())
}

/// Keeps this process, and all that it will start, on as many processors as its type has, if there are more.
pub(crate) fn keep_to_own_processors(spec: &Spec) -> Result<()> {
    let id = &spec.sandbox.id;
    let own = Pid::from_raw(0);
    let may = sched_getaffinity(own).act("read the processors of", id)?;
    let all: Vec<usize> = (0..CpuSet::count()).filter(|number| may.is_set(*number).unwrap_or(false)).collect();
    let count = spec.sandbox.vcpus.max(1) as usize;
    if count >= all.len() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    // Beginning where others don't, so that small machines do not all share one.
    for number in all.iter().cycle().skip(spec.slot as usize % all.len()).take(count) {
        set.set(*number).act("choose processors of", id)?;
    }
    sched_setaffinity(own, &set).act("set the processors of", id)
}

/// Writes anew how much memory a sandbox has and uses; nothing where it has no limit of its own.
pub(crate) fn refresh(config: &Config, hierarchy: &Hierarchy, id: &str) -> Result<()> {
    let Some(memory) = hierarchy.memory(&config.cgroup(), id) else { return Ok(()) };
    let path = meminfo(config, id);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file: File = file.act("open", path.display())?;
    // Always as long as before: whoever reads meanwhile finds no end in the middle.
    file.write_all_at(describe(&memory).as_bytes(), 0).act("write", path.display())
}

/// Forgets it.
pub(crate) fn forget(config: &Config, id: &str) {
    let _ = fs::remove_file(meminfo(config, id));
}

/// As the kernel writes it.
fn describe(memory: &Memory) -> String {
    let of = |names: &[&str]| names.iter().find_map(|name| memory.counts.get(*name).copied()).unwrap_or_default();
    let (cached, free) = (of(&["cache", "file"]), memory.limit.saturating_sub(memory.used));
    let (shared, dirty) = (of(&["shmem"]), of(&["dirty", "file_dirty"]));
    let given_back = of(&["inactive_file"]) + of(&["active_file"]);
    let lines = [
        ("MemTotal", memory.limit),
        ("MemFree", free),
        ("MemAvailable", (free + given_back.saturating_sub(dirty)).min(memory.limit)),
        ("Buffers", 0),
        ("Cached", cached),
        ("SwapCached", 0),
        ("Active", of(&["active_anon"]) + of(&["active_file"])),
        ("Inactive", of(&["inactive_anon"]) + of(&["inactive_file"])),
        ("Active(anon)", of(&["active_anon"])),
        ("Inactive(anon)", of(&["inactive_anon"])),
        ("Active(file)", of(&["active_file"])),
        ("Inactive(file)", of(&["inactive_file"])),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", dirty),
        ("Writeback", of(&["writeback", "file_writeback"])),
        ("AnonPages", of(&["rss", "anon"])),
        ("Mapped", of(&["mapped_file", "file_mapped"])),
        ("Shmem", shared),
    ];
    let mut text = String::new();
    for (name, bytes) in lines {
        let _ = writeln!(text, "{:<16}{:>10} kB", format!("{name}:"), bytes >> 10);
    }
    text
}

/// A machine's own description of its first processor, as often as there are some.
fn processors(own: &str, count: u32) -> String {
    let first = own.split("\n\n").next().unwrap_or_default();
    let mut text = String::new();
    for number in 0..count.max(1) {
        for line in first.lines() {
            let Some((name, _)) = line.split_once(':') else { continue };
            let value = match name.trim() {
                "processor" | "core id" | "apicid" | "initial apicid" => number,
                "siblings" | "cpu cores" => count.max(1),
                "physical id" => 0,
                _ => {
                    text.push_str(line);
                    text.push('\n');
                    continue;
                }
            };
            let _ = writeln!(text, "{name}: {value}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_processor_is_described_as_often_as_the_type_has_some() {
        let own = "processor\t: 0\nmodel name\t: A: b\ncpu cores\t: 64\n\nprocessor\t: 1\nmodel name\t: A: b\ncpu cores\t: 64\n\n";
        let expected = "processor\t: 0\nmodel name\t: A: b\ncpu cores\t: 2\n\nprocessor\t: 1\nmodel name\t: A: b\ncpu cores\t: 2\n\n";
        assert_eq!(processors(own, 2), expected);
    }

    #[test]
    fn memory_is_told_from_either_version_of_control_groups_in_text_of_one_length() {
        let memory = |counts: &[(&str, u64)]| Memory {
            limit: 1 << 30,
            used: 300 << 20,
            counts: counts.iter().map(|(name, bytes)| ((*name).to_owned(), *bytes)).collect::<BTreeMap<_, _>>(),
        };
        let first = describe(&memory(&[("cache", 100 << 20), ("rss", 200 << 20), ("inactive_file", 80 << 20)]));
        let second = describe(&memory(&[("file", 100 << 20), ("anon", 200 << 20), ("inactive_file", 80 << 20)]));
        assert_eq!(first, second);
        for line in [
            "MemTotal:          1048576 kB",
            "MemFree:            741376 kB",
            "MemAvailable:       823296 kB",
            "Cached:             102400 kB",
        ] {
            assert!(first.contains(line), "{first}");
        }
        assert_eq!(first.len(), describe(&memory(&[])).len());
    }
}
