//! Images, snapshots, key pairs, launch templates, volumes, and outages of zones.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zonal_cloud::Record;
use zonal_cloud::tags::Tags;
use zonal_wire::Time;

/// An image that a user made of an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// `ami-…`.
    pub id: String,
    /// Its name, unique among the account's.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The instance it was made of.
    pub instance: String,
    /// Its root volume's size, GiB.
    pub size: i32,
    /// Its root device's name.
    #[serde(default = "crate::model::xvda")]
    pub root_device: String,
    /// The id of its snapshot.
    pub snapshot: String,
    /// The snapshot's tags, in images that were stored when snapshots had no records of their own. `snapshots::adopt` takes them over.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub snapshot_tags: Tags,
    /// When it was made.
    pub created: Time,
    /// How far it is.
    pub state: ImageState,
    /// Tags.
    pub tags: Tags,
}

impl Record for Image {
    const TABLE: &'static str = "ec2.image";
    fn key(&self) -> &str {
        &self.id
    }
}

/// How far an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageState {
    /// Being made.
    Pending,
    /// Ready to start instances from.
    Available,
}

/// A snapshot of a root volume. It outlives the image that it was made for, and the volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// `snap-…`.
    pub id: String,
    /// What it is of.
    pub description: String,
    /// The volume it was made of, where that is known.
    pub volume: Option<String>,
    /// The volume's size, GiB.
    pub size: i32,
    /// When it was begun.
    pub started: Time,
    /// How far it is.
    pub state: SnapshotState,
    /// Tags.
    pub tags: Tags,
}

impl Record for Snapshot {
    const TABLE: &'static str = "ec2.snapshot";
    fn key(&self) -> &str {
        &self.id
    }
}

/// How far a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotState {
    /// Being made.
    Pending,
    /// All of it is there.
    Completed,
}

/// A key pair: the public half.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyPair {
    /// Its name.
    pub name: String,
    /// `key-…`.
    pub id: String,
    /// As AWS forms it for the key's type.
    pub fingerprint: String,
    /// `rsa` or `ed25519`.
    pub kind: String,
    /// The public key in OpenSSH's form.
    pub public_key: String,
    /// When it was made.
    pub created: Time,
    /// Tags.
    pub tags: Tags,
}

impl Record for KeyPair {
    const TABLE: &'static str = "ec2.key_pair";
    fn key(&self) -> &str {
        &self.name
    }
}

/// A launch template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaunchTemplate {
    /// `lt-…`.
    pub id: String,
    /// Its name, unique in the account and region.
    pub name: String,
    /// Its versions.
    pub versions: BTreeMap<i64, TemplateVersion>,
    /// The version used where none is named.
    pub default_version: i64,
    /// The number that the next version gets.
    pub next_version: i64,
    /// When it was made.
    pub created: Time,
    /// Who made it.
    pub created_by: String,
    /// Tags.
    pub tags: Tags,
}

impl LaunchTemplate {
    /// The newest version's number.
    #[must_use]
    pub fn latest_version(&self) -> i64 {
        self.versions.keys().next_back().copied().unwrap_or(self.next_version - 1)
    }

    /// The number that `$Latest`, `$Default` or digits stand for.
    #[must_use]
    pub fn version_number(&self, version: &str) -> Option<i64> {
        match version {
            "$Latest" => Some(self.latest_version()),
            "$Default" => Some(self.default_version),
            number => number.parse().ok(),
        }
    }
}

impl Record for LaunchTemplate {
    const TABLE: &'static str = "ec2.launch_template";
    fn key(&self) -> &str {
        &self.id
    }
}

/// A version of a launch template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplateVersion {
    /// What it is for.
    pub description: Option<String>,
    /// When it was made.
    pub created: Time,
    /// `RequestLaunchTemplateData` by member names.
    pub data: serde_json::Value,
}

/// A root volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    /// `vol-…`.
    pub id: String,
    /// The instance it belongs to.
    pub instance: String,
    /// Its Availability Zone's name.
    pub zone: String,
    /// GiB.
    pub size: i32,
    /// Such as `gp3`.
    pub kind: String,
    /// Goes with the instance.
    pub delete_on_termination: bool,
    /// When it was made.
    pub created: Time,
    /// Tags.
    pub tags: Tags,
}

impl Record for Volume {
    const TABLE: &'static str = "ec2.volume";
    fn key(&self) -> &str {
        &self.id
    }
}

/// That an Availability Zone is cut off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ZoneOutage {
    /// Its name.
    pub zone: String,
    /// Until when; until it is mended by hand, without.
    pub until: Option<Time>,
}

impl Record for ZoneOutage {
    const TABLE: &'static str = "ec2.zone_outage";
    fn key(&self) -> &str {
        &self.zone
    }
}

/// What the service is told of its world, kept where operations can see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// [`Settings::KEY`].
    pub id: String,
    /// The range that public addresses are drawn from.
    pub public_range: ipnet::Ipv4Net,
}

impl Settings {
    /// The one record's key.
    pub const KEY: &'static str = "settings";
}

impl Record for Settings {
    const TABLE: &'static str = "ec2.settings";
    fn key(&self) -> &str {
        &self.id
    }
}

/// Until when status checks have been published, in an account and a region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusChecks {
    /// The end of the last minute, in seconds.
    pub until: i64,
}

impl StatusChecks {
    /// The one record's key.
    pub const KEY: &'static str = "checks";
}

impl Record for StatusChecks {
    const TABLE: &'static str = "ec2.status_checks";
    fn key(&self) -> &str {
        Self::KEY
    }
}
