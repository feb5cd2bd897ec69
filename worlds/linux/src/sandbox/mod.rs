//! Sandboxes: what one is made of, and how its first process gets there.

pub(crate) mod build;
pub(crate) mod cgroup;
pub(crate) mod confine;
pub(crate) mod disk;
pub(crate) mod images;
mod layer;
pub(crate) mod machine;
pub(crate) mod tree;
pub(crate) mod usage;
pub(crate) mod volume;

use serde::{Deserialize, Serialize};
use zonal_substrate::Sandbox;

/// How many user and group ids each sandbox has.
pub(crate) const IDS: u32 = 65_536;
/// Where the ids of root's sandboxes begin on the host, beyond what systemd hands out; the id range of sandbox `slot` is the
/// `slot`-th from here. An ordinary user's: [`crate::Privilege`].
pub(crate) const FIRST_ID: u32 = 0x7000_0000;
/// How many sandboxes may have a disk.
pub(crate) const SLOTS: u32 = 0x0fff;

/// All that the holder needs to start a sandbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// What was asked.
    pub sandbox: Sandbox,
    /// Its range of ids.
    pub slot: u32,
    /// The images below its own disk, uppermost first.
    pub layers: Vec<String>,
    /// Whether its disk is a file system of its own.
    #[serde(default)]
    pub sized: bool,
}

/// What PID 1 tells the holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Notice {
    /// It could not be set up.
    Failed(String),
    /// It runs, inside.
    Started,
    /// User data has ended.
    UserDataDone(i32),
    /// It goes down, of its own will, and wants to come up again or not.
    Ending {
        /// Whether to start again.
        reboot: bool,
    },
}

/// What the holder tells PID 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Go down in an orderly way.
    Shutdown,
    /// Run a shell on the three descriptors that come with this.
    Shell,
}
