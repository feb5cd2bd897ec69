//! Sandboxes: what an instance is to a world.

use serde::{Deserialize, Serialize};

/// A sandbox: a root file system, an interface, limits, and what to run at first boot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sandbox {
    /// `i-…`.
    pub id: String,
    /// Which start this is: 1 for the first. User data runs at the first only.
    pub generation: u64,
    /// The interface it lives behind.
    pub interface: String,
    /// Its Availability Zone's name.
    pub zone: String,
    /// Its host name, such as `ip-10-0-0-1.ec2.internal`.
    pub hostname: String,
    /// What its disk is made from, when it is made.
    pub disk: DiskSource,
    /// The disk's size, GiB.
    pub disk_gib: u32,
    /// Its virtual CPUs; each is the world's fixed share of a core.
    pub vcpus: u32,
    /// Its memory, MiB.
    pub memory_mib: u32,
    /// User data, decoded (at most 16 KiB).
    pub user_data: Vec<u8>,
    /// Public keys for the default user, in OpenSSH form.
    pub authorized_keys: Vec<String>,
    /// The kind of image: names boot times in the virtual world, and nothing else.
    pub image_kind: String,
}

/// What a disk is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskSource {
    /// The world's base image.
    Base,
    /// An image made before, by id.
    Image(String),
}

/// An image that a world holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// `ami-…`.
    pub id: String,
}

/// What a sandbox is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SandboxState {
    /// Its PID 1 runs.
    Running,
    /// User data has ended with this exit code.
    UserDataDone {
        /// The script's exit code.
        exit: i32,
    },
    /// It stopped.
    Stopped(StopCause),
}

/// Why a sandbox stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopCause {
    /// It was asked to.
    Asked,
    /// It shut itself down (`shutdown -h now` inside).
    Itself,
    /// Its PID 1 died.
    Died(String),
    /// Its zone was cut off, which may be over by the time that this is heard.
    ZoneCut,
    /// It never ran: what it takes could not be had, and trying again would not help.
    NotStarted {
        /// What was lacking.
        lack: Lack,
        /// What was tried and what came of it.
        why: String,
    },
    /// The world ended under it: it did not fail, and is started again.
    WorldEnded,
}

/// What a start was lacking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lack {
    /// Room: the machine's disk is full, or there are as many sandboxes as there can be.
    Room,
    /// Its image.
    Image,
    /// Something that a world should have.
    Other,
}

/// What one sandbox used in a minute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SandboxFigures {
    /// The sandbox.
    pub id: String,
    /// Share of its own CPU quota used, 0 to 100.
    pub cpu_percent: f64,
    /// Bytes received on its interface.
    pub network_in: u64,
    /// Bytes sent.
    pub network_out: u64,
    /// Packets received.
    pub packets_in: u64,
    /// Packets sent.
    pub packets_out: u64,
}
