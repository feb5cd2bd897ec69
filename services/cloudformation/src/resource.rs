//! A stack's resources as they are stored: the thing itself, what it was, and what is being done to it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zonal_cloud::Record;
use zonal_wire::Time;

use crate::attributes::Policies;
use crate::drift::Drift;
use crate::model::text;
use crate::progress::{Roll, Signals};
use crate::shapes::ResourceStatus;

/// A resource of a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StackResource {
    key: String,
    /// The stack's id.
    pub stack: String,
    /// Its logical id.
    pub logical_id: String,
    /// Its status, as shown.
    #[serde(with = "text")]
    pub status: ResourceStatus,
    /// Why.
    pub reason: Option<String>,
    /// When its status last changed.
    pub since: Time,
    /// The thing itself, once there is one.
    pub thing: Option<Thing>,
    /// What is being done to it.
    pub work: Work,
    /// The properties of an update that was broken off, which may have been half made.
    pub attempted: Option<Value>,
    /// What it was before the operation under way (or failed) changed it.
    pub before: Option<Thing>,
    /// Whether another thing took its place: then `before` is to be deleted, or taken up again.
    pub replaced: bool,
    /// Things it was and is no more, to be deleted.
    pub old: Vec<Thing>,
    /// Whether it is to be deleted whole.
    pub doomed: bool,
    /// Whether the operation under way made it.
    pub fresh: bool,
    /// Its type.
    pub type_name: String,
    /// `Metadata`, as JSON text.
    pub metadata: Option<String>,
    /// What the operation under way (or failed) found beside the thing's properties.
    #[serde(default)]
    pub found: Option<Found>,
    /// Its `CreationPolicy` and `UpdatePolicy`.
    #[serde(default)]
    pub policies: Policies,
    /// Its signals.
    #[serde(default)]
    pub signals: Signals,
    /// The rolling update under way.
    #[serde(default)]
    pub roll: Option<Roll>,
    /// What it was last seen to have drifted to.
    #[serde(default)]
    pub drift: Option<Drift>,
}

/// Something that a service made for a stack, with all that it takes to change or delete it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thing {
    /// Its physical id.
    pub id: String,
    /// Its type.
    pub type_name: String,
    /// The properties it has.
    pub properties: Value,
    /// The logical ids that it needs.
    pub needs: BTreeSet<String>,
    /// The stack's tags that it has.
    #[serde(default)]
    pub stack_tags: BTreeMap<String, String>,
    /// Whether it is kept when no longer wanted.
    pub retain: Retain,
    /// When its deletion began.
    pub deleting: Option<Time>,
}

/// `DeletionPolicy` and `UpdateReplacePolicy` of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Retain {
    /// Kept when it leaves the stack or the stack is deleted.
    pub on_delete: bool,
    /// As that, but not by the rollback of the operation that made it.
    pub except_on_create: bool,
    /// Kept when another takes its place.
    pub on_replace: bool,
}

/// What a template says of a resource beside its properties, as it was before an operation: what a rollback puts back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// `Metadata`, as JSON text.
    pub metadata: Option<String>,
    /// Its `CreationPolicy` and `UpdatePolicy`.
    pub policies: Policies,
    /// Its `DeletionPolicy` and `UpdateReplacePolicy`.
    pub retain: Retain,
    /// The logical ids that it needed.
    pub needs: BTreeSet<String>,
}

/// What is being done to a resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Work {
    /// Nothing.
    Idle,
    /// It was created and is not ready yet.
    Creating,
    /// It is being brought to these properties, with these needs and tags of the stack's.
    Updating {
        /// The properties.
        to: Value,
        /// The stack's tags.
        tags: BTreeMap<String, String>,
        /// The needs.
        needs: BTreeSet<String>,
    },
}

impl StackResource {
    /// A resource that has nothing yet.
    pub fn new(stack: &str, logical_id: &str, type_name: &str, now: Time) -> Self {
        StackResource {
            key: Self::key_of(stack, logical_id),
            stack: stack.to_owned(),
            logical_id: logical_id.to_owned(),
            status: ResourceStatus::CreateInProgress,
            reason: None,
            since: now,
            thing: None,
            work: Work::Idle,
            attempted: None,
            before: None,
            replaced: false,
            old: Vec::new(),
            doomed: false,
            fresh: true,
            type_name: type_name.to_owned(),
            metadata: None,
            found: None,
            policies: Policies::default(),
            signals: Signals::default(),
            roll: None,
            drift: None,
        }
    }

    /// Its key.
    pub fn key_of(stack: &str, logical_id: &str) -> String {
        format!("{stack}/{logical_id}")
    }

    /// Remembers what an operation finds, the first that meets it.
    pub fn remember(&mut self) {
        let Some(thing) = self.thing.as_ref().filter(|_| self.found.is_none() && !self.fresh) else { return };
        self.found = Some(Found {
            metadata: self.metadata.clone(),
            policies: self.policies.clone(),
            retain: thing.retain,
            needs: thing.needs.clone(),
        });
    }

    /// Its physical id, or none.
    pub fn physical_id(&self) -> Option<&str> {
        self.thing.as_ref().map(|thing| thing.id.as_str())
    }
}

impl Record for StackResource {
    const TABLE: &'static str = "cloudformation.resource";

    fn key(&self) -> &str {
        &self.key
    }
}
