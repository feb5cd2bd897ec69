//! What is stored: parameters with their versions.

use crate::shapes::{ParameterTier, ParameterType};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use zonal_cloud::Record;
use zonal_cloud::tags::Tags;
use zonal_wire::Time;

/// As many versions as are kept; the oldest goes first.
pub const VERSIONS: usize = 100;

/// A parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name as it was given, with its leading slash if it has one.
    pub name: String,
    /// What its value is.
    pub kind: Kind,
    /// Its versions, the oldest first; there is one always.
    pub versions: Vec<Version>,
    /// Tags.
    pub tags: Tags,
}

/// What a parameter's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Any text.
    String,
    /// Texts with commas between.
    StringList,
    /// Any text, kept sealed.
    SecureString,
}

impl Kind {
    /// As the wire has it.
    #[must_use]
    pub fn wire(self) -> ParameterType {
        match self {
            Self::String => ParameterType::String,
            Self::StringList => ParameterType::StringList,
            Self::SecureString => ParameterType::SecureString,
        }
    }
}

/// What it was from one `PutParameter` to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// 1 for the first.
    pub number: i64,
    /// Its value; sealed, where the parameter is a secure one.
    pub value: String,
    /// The key that it is sealed with, as it was named.
    #[serde(default)]
    pub key_id: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What its values must match.
    pub allowed_pattern: Option<String>,
    /// `text` or `aws:ec2:image`.
    pub data_type: String,
    /// How large a value may be.
    pub tier: Tier,
    /// When it was put.
    pub at: Time,
    /// The ARN of who put it.
    pub by: String,
    /// Its labels; no other version has them.
    #[serde(default)]
    pub labels: BTreeSet<String>,
}

/// How large a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tier {
    /// 4 KiB.
    Standard,
    /// 8 KiB.
    Advanced,
}

impl Tier {
    /// As the wire has it.
    #[must_use]
    pub fn wire(self) -> ParameterTier {
        match self {
            Self::Standard => ParameterTier::Standard,
            Self::Advanced => ParameterTier::Advanced,
        }
    }
}

impl Parameter {
    /// What a name is kept under. The leading slash of a name of one level is no part of its ARN: with it and without it, it is one
    /// parameter.
    #[must_use]
    pub fn key_of(name: &str) -> &str {
        match name.strip_prefix('/') {
            Some(plain) if !plain.contains('/') => plain,
            _ => name,
        }
    }

    /// The version that counts.
    #[must_use]
    pub fn latest(&self) -> &Version {
        // A parameter is made with a version, and only older ones are ever dropped.
        &self.versions[self.versions.len() - 1]
    }

    /// The version of that number or label.
    #[must_use]
    pub fn version(&self, selector: &str) -> Option<&Version> {
        // A label begins with no digit.
        let fits = |version: &&Version| version.number.to_string() == selector || version.labels.contains(selector);
        self.versions.iter().find(fits)
    }

    /// The number of the version that one more would push out, if that is labelled: then it stays, and no other comes.
    #[must_use]
    pub fn labelled_oldest(&self) -> Option<i64> {
        let oldest =
            self.versions.first().filter(|oldest| self.versions.len() >= VERSIONS && !oldest.labels.is_empty());
        oldest.map(|oldest| oldest.number)
    }

    /// Adds a version, and forgets the oldest beyond the number kept.
    pub fn add(&mut self, version: Version) {
        self.versions.push(version);
        let surplus = self.versions.len().saturating_sub(VERSIONS);
        self.versions.drain(..surplus);
    }
}

impl Record for Parameter {
    const TABLE: &'static str = "ssm.parameter";
    fn key(&self) -> &str {
        Self::key_of(&self.name)
    }
}
