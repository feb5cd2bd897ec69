//! What a world leaves on the machine: looked for by everything that its names and its directory are in.

use crate::world::{RANGE, TestWorld, command_lines};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// How the machine was before a world, and what that world's own names are.
pub struct Before {
    links: BTreeSet<String>,
    tables: String,
    home: String,
    cgroup: String,
}

impl Before {
    /// Looks, while the world is up: it changes nothing of the host's, so that this is also how it was before.
    pub fn of(world: &TestWorld) -> Self {
        let config = zonal_linux::Config::load(&world.home).expect("the world's configuration");
        Self {
            links: links(),
            tables: tables(),
            home: world.home.to_string_lossy().into_owned(),
            cgroup: config.cgroup(),
        }
    }

    /// Everything of the world's that is still there, in words; empty after a purge.
    pub fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        if Path::new(&self.home).exists() {
            left.push(format!("files in {}", self.home));
        }
        for (pid, words) in command_lines() {
            let of = |link: &str| {
                fs::read_link(format!("/proc/{pid}/{link}"))
                    .map(|path| path.to_string_lossy().into_owned())
                    .unwrap_or_default()
            };
            let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let names_it = words.iter().skip(1).any(|word| *word == self.home) && words[0].ends_with("zonal");
            if names_it || of("cwd").contains(&self.home) || of("root").contains(&self.home) {
                left.push(format!("process {pid}: {words:?}"));
            }
            if read("cgroup").contains(&self.cgroup) {
                left.push(format!("process {pid} in {}: {words:?}", self.cgroup));
            }
            // Also in mount namespaces that only this process keeps.
            if read("mountinfo").contains(&self.home) {
                left.push(format!("a mount, seen by process {pid}: {words:?}"));
            }
        }
        left.extend(
            directories_named(Path::new("/sys/fs/cgroup"), &self.cgroup, 3)
                .into_iter()
                .map(|path| format!("control group {path}")),
        );
        let sockets = fs::read_to_string("/proc/net/unix").unwrap_or_default();
        left.extend(sockets.lines().filter(|line| line.contains(&self.home)).map(|line| format!("socket {line}")));
        // Hexadecimal, in the machine's order: 127.109.x.y ends with 6D7F.
        let ours = format!("{:02X}7F:", 100 + RANGE);
        for table in ["/proc/net/tcp", "/proc/net/udp"] {
            let text = fs::read_to_string(table).unwrap_or_default();
            let own = |line: &&str| {
                line.split_whitespace().nth(1).is_some_and(|address| address.contains(&ours))
                    && line.split_whitespace().nth(3) != Some("06")
            };
            left.extend(text.lines().filter(own).map(|line| format!("{table}: {line}")));
        }
        left.extend(links().difference(&self.links).map(|link| format!("link {link}")));
        let now = tables();
        if now != self.tables {
            left.push(format!("nft tables: {now} instead of {}", self.tables));
        }
        left
    }
}

/// The host's own network links.
fn links() -> BTreeSet<String> {
    let entries =
        fs::read_dir("/sys/class/net").map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The host's own nftables.
fn tables() -> String {
    let listed = Command::new("nft").args(["list", "tables"]).output().expect("nft is installed");
    String::from_utf8_lossy(&listed.stdout).into_owned()
}

/// Directories of that name, so deep.
fn directories_named(under: &Path, name: &str, depth: u32) -> Vec<String> {
    let mut found = Vec::new();
    let entries = fs::read_dir(under).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    for entry in entries.iter().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        if entry.file_name().to_string_lossy().contains(name) {
            found.push(entry.path().display().to_string());
        } else if depth > 0 {
            found.extend(directories_named(&entry.path(), name, depth - 1));
        }
    }
    found
}
