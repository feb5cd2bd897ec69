//! Control groups, version 1 or 2: what a sandbox may use, and what it has used.

use crate::error::{Act, Result};
use crate::privilege::Privilege;
use crate::world::Config;
use nix::unistd::{AccessFlags, access};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where this machine keeps its control groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hierarchy {
    /// One tree for all.
    Unified(PathBuf),
    /// A tree per controller.
    Separate {
        /// Processor time.
        cpu: Option<PathBuf>,
        /// Processor time used.
        cpuacct: Option<PathBuf>,
        /// Memory.
        memory: Option<PathBuf>,
        /// Number of processes.
        pids: Option<PathBuf>,
    },
    /// None that we may use: nothing is limited.
    Absent,
}

/// What a sandbox may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limits {
    /// Cores.
    pub cores: f64,
    /// Bytes.
    pub memory: u64,
    /// Processes and threads.
    pub pids: u32,
}

/// A sandbox's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Memory {
    /// What it may use, bytes.
    pub limit: u64,
    /// What it uses, bytes.
    pub used: u64,
    /// For what, bytes, by the kernel's names; those of the two versions differ.
    pub counts: BTreeMap<String, u64>,
}

const PERIOD_US: u64 = 100_000;

impl Hierarchy {
    /// What a world may use: root the machine's own, an ordinary user what was lent.
    pub(crate) fn of(config: &Config) -> Self {
        match (config.privilege, &config.lent_group) {
            (Privilege::Root, _) => Self::read(&fs::read_to_string("/proc/mounts").unwrap_or_default()),
            (Privilege::User, Some(path)) => Self::Unified(path.clone()),
            (Privilege::User, None) => Self::Absent,
        }
    }

    /// The group that this process is in, if whoever runs it may make groups below (systemd's `Delegate=yes`).
    pub(crate) fn lent() -> Option<PathBuf> {
        let mounts = fs::read_to_string("/proc/mounts").ok()?;
        let root = mounts.lines().find_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
            [_, path, "cgroup2", ..] => Some(PathBuf::from(path)),
            _ => None,
        })?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let path = root.join(own.lines().find_map(|line| line.strip_prefix("0::/"))?);
        let may = |path: &Path| access(path, AccessFlags::W_OK).is_ok();
        (may(&path) && may(&path.join("cgroup.procs"))).then_some(path)
    }

    /// Moves this process, and with it those that it will start, to a group beside the sandboxes': one that has groups with limits below it
    /// may hold no process itself.
    pub(crate) fn step_aside(path: &Path, world: &str) -> Result<()> {
        let beside = path.join(beside(world));
        make(&beside)?;
        fs::write(beside.join("cgroup.procs"), "0").act("join", beside.display())
    }

    fn read(mounts: &str) -> Self {
        let mut trees: Vec<(Vec<String>, PathBuf)> = Vec::new();
        let mut unified = None;
        for line in mounts.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            match fields[..] {
                [_, path, "cgroup", options, ..] => {
                    trees.push((options.split(',').map(str::to_owned).collect(), path.into()));
                }
                [_, path, "cgroup2", ..] => unified = Some(PathBuf::from(path)),
                _ => {}
            }
        }
        let tree = |controller: &str| {
            trees.iter().find(|(names, _)| names.iter().any(|name| name == controller)).map(|(_, path)| path.clone())
        };
        match unified {
            Some(path) if tree("cpu").is_none() && tree("memory").is_none() => Self::Unified(path),
            _ => Self::Separate {
                cpu: tree("cpu"),
                cpuacct: tree("cpuacct"),
                memory: tree("memory"),
                pids: tree("pids"),
            },
        }
    }

    fn roots(&self) -> Vec<&PathBuf> {
        match self {
            Self::Absent => Vec::new(),
            Self::Unified(path) => vec![path],
            Self::Separate { cpu, cpuacct, memory, pids } => {
                [cpu, cpuacct, memory, pids].into_iter().flatten().collect()
            }
        }
    }

    /// Makes the world's own group, in which its sandboxes' groups are.
    pub(crate) fn make_world(&self, world: &str) -> Result<()> {
        for root in self.roots() {
            let path = root.join(world);
            make(&path)?;
            if let Self::Unified(_) = self {
                // The controllers must be handed down at both levels; one that this kernel lacks is done without.
                for level in [root, &path] {
                    for controller in ["+cpu", "+memory", "+pids"] {
                        let _ = fs::write(level.join("cgroup.subtree_control"), controller);
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes a sandbox's group with its limits, and names the files that a process joins it by.
    pub(crate) fn make(&self, world: &str, id: &str, limits: &Limits) -> Result<Vec<PathBuf>> {
        let quota = ((limits.cores * PERIOD_US as f64) as u64).max(1000);
        let mut joins = Vec::new();
        for root in self.roots() {
            let path = root.join(world).join(id);
            make(&path)?;
            joins.push(path.join("cgroup.procs"));
        }
        let set = |root: &Option<PathBuf>, file: &str, value: String| -> Result<()> {
            let Some(root) = root else { return Ok(()) };
            let path = root.join(world).join(id).join(file);
            fs::write(&path, value).act("write", path.display())
        };
        match self {
            Self::Absent => {}
            Self::Unified(root) => {
                let at = Some(root.clone());
                // A unified tree without controllers still tells whose a process is.
                let _ = set(&at, "cpu.max", format!("{quota} {PERIOD_US}"));
                let _ = set(&at, "memory.max", limits.memory.to_string());
                let _ = set(&at, "pids.max", limits.pids.to_string());
            }
            Self::Separate { cpu, memory, pids, .. } => {
                set(cpu, "cpu.cfs_period_us", PERIOD_US.to_string())?;
                set(cpu, "cpu.cfs_quota_us", quota.to_string())?;
                set(memory, "memory.limit_in_bytes", limits.memory.to_string())?;
                set(pids, "pids.max", limits.pids.to_string())?;
            }
        }
        Ok(joins)
    }

    /// The processes of a sandbox (or of the world's own group, for `""`).
    pub(crate) fn processes(&self, world: &str, id: &str) -> Vec<i32> {
        let mut found: Vec<i32> = self
            .roots()
            .into_iter()
            .filter_map(|root| fs::read_to_string(root.join(world).join(id).join("cgroup.procs")).ok())
            .flat_map(|text| text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<i32>>())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The groups inside the world's.
    pub(crate) fn inside(&self, world: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .roots()
            .into_iter()
            .filter_map(|root| fs::read_dir(root.join(world)).ok())
            .flatten()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                entry.file_type().ok()?.is_dir().then(|| entry.file_name().into_string().ok())?
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Removes a group that is empty; `""` for the world's own.
    pub(crate) fn remove(&self, world: &str, id: &str) {
        for root in self.roots() {
            // One that is busy stays, and is found by the next purge.
            let _ = fs::remove_dir(root.join(world).join(id));
            if id.is_empty() {
                let _ = fs::remove_dir(root.join(beside(world)));
            }
        }
    }

    /// The memory that a sandbox has and uses; nothing where none is set aside for it.
    pub(crate) fn memory(&self, world: &str, id: &str) -> Option<Memory> {
        let (root, limit, used) = match self {
            Self::Absent => return None,
            Self::Unified(root) => (root, "memory.max", "memory.current"),
            Self::Separate { memory, .. } => (memory.as_ref()?, "memory.limit_in_bytes", "memory.usage_in_bytes"),
        };
        let group = root.join(world).join(id);
        let number = |file: &str| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
        let text = fs::read_to_string(group.join("memory.stat")).ok()?;
        let count = |line: &str| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Some(Memory { limit: number(limit)?, used: number(used)?, counts: text.lines().filter_map(count).collect() })
    }

    /// The processor time that a sandbox has used, in nanoseconds.
    pub(crate) fn cpu_used(&self, world: &str, id: &str) -> Option<u64> {
        match self {
            Self::Absent => None,
            Self::Unified(root) => {
                let text = fs::read_to_string(root.join(world).join(id).join("cpu.stat")).ok()?;
                let line = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
                Some(line.trim().parse::<u64>().ok()? * 1000)
            }
            Self::Separate { cpuacct, .. } => {
                let path = cpuacct.as_ref()?.join(world).join(id).join("cpuacct.usage");
                fs::read_to_string(path).ok()?.trim().parse().ok()
            }
        }
    }
}

/// The control group below which whoever runs this process may make others, if there is one.
#[must_use]
pub fn lent_group() -> Option<PathBuf> {
    Hierarchy::lent()
}

/// The group of an ordinary user's warden and its like.
fn beside(world: &str) -> String {
    format!("{world}-control")
}

fn make(path: &Path) -> Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error).act("make", path.display()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_of_control_groups_are_recognized() {
        let unified = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
        assert_eq!(Hierarchy::read(unified), Hierarchy::Unified("/sys/fs/cgroup".into()));
        let hybrid = "cgroup /c/cpu cgroup rw,cpu,cpuacct 0 0\ncgroup /c/memory cgroup rw,memory 0 0\n\
                      cgroup2 /c/unified cgroup2 rw 0 0\n";
        assert_eq!(
            Hierarchy::read(hybrid),
            Hierarchy::Separate {
                cpu: Some("/c/cpu".into()),
                cpuacct: Some("/c/cpu".into()),
                memory: Some("/c/memory".into()),
                pids: None
            }
        );
    }
}
