//! How a world is run: kept in its directory, for the processes that run it and for the next `zonal up`.

use clap::ValueEnum;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Which world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorldKind {
    /// Processes and packets.
    Linux,
    /// Modelled, in virtual time.
    Sim,
}

/// How long things take beside what the machine needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// No longer.
    Fast,
    /// As long as AWS usually takes, on the world's clock.
    Aws,
}

/// How a world is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The world's directory.
    pub directory: PathBuf,
    /// Which world.
    pub world: WorldKind,
    /// The API's port.
    pub port: u16,
    /// The port of the world's DNS on 127.0.0.1.
    pub dns_port: u16,
    /// The range of public addresses.
    pub public_range: Ipv4Net,
    /// How many times faster than real time its clock runs.
    pub speed: u32,
    /// How long things take.
    pub pace: Pace,
    /// Whether nothing is kept.
    pub ephemeral: bool,
    /// Whether a commit waits for the disk.
    pub sync_full: bool,
    /// Whether a Describe waits for what it names.
    pub settle: bool,
    /// The share of a core that a vCPU is.
    pub vcpu: f64,
    /// Where all chance comes from.
    pub seed: u64,
    /// Whether all instances have the same ids, also where each could have its own.
    #[serde(default)]
    pub shared_ids: bool,
}

impl Settings {
    /// The usual world in a directory.
    pub fn new(directory: PathBuf, world: WorldKind) -> Self {
        Self {
            directory,
            world,
            port: 4566,
            dns_port: 4553,
            public_range: public_range(0),
            speed: 1,
            pace: Pace::Fast,
            ephemeral: false,
            sync_full: false,
            settle: true,
            vcpu: 0.1,
            seed: rand::random(),
            shared_ids: false,
        }
    }

    /// The settings of the world in a directory.
    ///
    /// # Errors
    /// There are none, or they do not read.
    pub fn load(directory: &Path) -> io::Result<Self> {
        serde_json::from_slice(&fs::read(directory.join("zonal.json"))?).map_err(io::Error::other)
    }

    /// Keeps them.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn save(&self) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        // Never half written: a world whose settings can't be read is one that nobody can end.
        zonal_linux::files::replace(&self.directory.join("zonal.json"), text)
    }

    /// The daemon's own part of the directory.
    pub fn state_directory(&self) -> PathBuf {
        self.directory.join("daemon")
    }

    /// Where the API is.
    pub fn endpoint(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Where the API listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Where the world's DNS answers.
    pub fn dns(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.dns_port))
    }
}

/// Takes a world's directory for as long as the file is kept; `None` where another process has it.
///
/// # Errors
/// The directory cannot be used.
pub fn hold(directory: &Path) -> io::Result<Option<fs::File>> {
    fs::create_dir_all(directory)?;
    let lock = fs::File::options().create(true).truncate(false).write(true).open(directory.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// The public addresses of the n-th world on this machine: 127.100.0.0/16, 127.101.0.0/16, ….
pub fn public_range(world: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(127, 100 + world % 27, 0, 0), 16)
}

/// Where root's usual world is.
const ROOTS_DIRECTORY: &str = "/var/lib/zonal";

/// The directory of the world that runs: the usual one; where an ordinary user has none, the one that root started (`sudo zonal up`).
pub fn existing_directory() -> PathBuf {
    let own = default_directory();
    let roots = PathBuf::from(ROOTS_DIRECTORY);
    let there = |directory: &Path| directory.join("zonal.json").exists();
    if std::env::var_os("ZONAL_HOME").is_none() && !there(&own) && there(&roots) { roots } else { own }
}

/// The directory of the usual world: `ZONAL_HOME`, or /var/lib/zonal for root, or the user's own state directory.
pub fn default_directory() -> PathBuf {
    if let Some(home) = std::env::var_os("ZONAL_HOME") {
        return home.into();
    }
    if is_root() {
        return ROOTS_DIRECTORY.into();
    }
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    state.or_else(home).unwrap_or_else(std::env::temp_dir).join("zonal")
}

/// Whether this process is root's.
pub fn is_root() -> bool {
    owner_of_self() == Some(0)
}

fn owner_of_self() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").ok().map(|metadata| metadata.uid())
}

/// Who called `sudo`, if this was called by it for somebody: user and group.
pub fn sudo_caller() -> Option<(u32, u32)> {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let caller = (number("SUDO_UID")?, number("SUDO_GID")?);
    (is_root() && caller.0 != 0).then_some(caller)
}

/// Whom the daemon runs as: who started it; where that is root, who called `sudo`, or the system user `zonal`, or `nobody`.
pub fn daemon_owner() -> (u32, u32) {
    if !is_root() {
        return (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    }
    if let Some(caller) = sudo_caller() {
        return caller;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("zonal").or_else(|| find("nobody")).unwrap_or((65534, 65534))
}
