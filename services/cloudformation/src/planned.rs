//! What a change set does, resource by resource.

use serde::{Deserialize, Serialize};

/// What a change set does to one resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedChange {
    /// Its logical id.
    pub logical_id: String,
    /// Its physical id now.
    pub physical_id: Option<String>,
    /// Its type.
    pub type_name: String,
    /// What happens.
    pub action: PlannedAction,
}

/// What happens to a resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PlannedAction {
    /// It is made.
    Add,
    /// It is deleted, or kept where its policy says so.
    Remove {
        /// Whether it is kept.
        retain: bool,
    },
    /// It changes.
    Modify {
        /// Whether another takes its place.
        replacement: PlannedReplacement,
        /// The properties that change.
        properties: Vec<PlannedProperty>,
        /// Whether its `Metadata` changes.
        #[serde(default)]
        metadata: bool,
    },
}

/// Whether another takes a resource's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PlannedReplacement {
    /// No.
    Never,
    /// If a value that is not known yet turns out to differ.
    Conditionally,
    /// Yes.
    Always,
}

/// A property that changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedProperty {
    /// Its name.
    pub name: String,
    /// Whether it needs another resource.
    pub replacement: PlannedReplacement,
    /// Its value before, as text.
    pub before: Option<String>,
    /// Its value after, as text.
    pub after: Option<String>,
    /// Whether the value is known already.
    pub known: bool,
    /// The parameter, resource or attribute that it changes with.
    #[serde(default)]
    pub cause: Option<String>,
}
