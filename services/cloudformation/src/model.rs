//! What is stored: stacks, what is under way on them, their resources, events, change sets, exports and template texts.
//!
//! A stack's work is persisted step by step: [`Operation`] says what is under way and how far it is, and each
//! [`StackResource`] what has been made, what it was before and what is still to be deleted. Each step's call of another
//! service, its mark here and its event are one transaction.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zonal_cloud::{Record, Scope};
use zonal_wire::Time;

pub use crate::planned::{PlannedAction, PlannedChange, PlannedProperty, PlannedReplacement};
pub use crate::progress::{Awaited, Roll, RollStage, Signals};
pub use crate::resource::{Retain, StackResource, Thing, Work};
use crate::template::transforms::Values;

pub use crate::shapes::{ChangeSetStatus, ExecutionStatus, ResourceStatus, StackDriftStatus, StackStatus};

/// A stack. Deleted ones stay, as AWS keeps them, reached by their id only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    /// Its ARN.
    pub id: String,
    /// Its name, unique among stacks that are not deleted.
    pub name: String,
    /// When it was made.
    pub created: Time,
    /// When its last update began.
    pub updated: Option<Time>,
    /// When its deletion began.
    pub deleted: Option<Time>,
    /// Its status.
    #[serde(with = "text")]
    pub status: StackStatus,
    /// Why.
    pub reason: Option<String>,
    /// What it was last brought to, is being created as, or stands half-way to since it failed with rollback disabled. `None`
    /// under review.
    pub current: Option<Deployment>,
    /// What a rollback brings it back to, while it stands half-way to `current`.
    #[serde(default)]
    pub stable: Option<Deployment>,
    /// The values that its events don't show: those of its `NoEcho` parameters, before and after what is under way.
    #[serde(default)]
    pub hidden: BTreeSet<String>,
    /// What `Outputs` came to.
    pub outputs: Vec<Output>,
    /// The exports of others that it uses, by name.
    pub imports: BTreeSet<String>,
    /// The change set that brought it here.
    pub change_set: Option<String>,
    /// Whether `DeleteStack` refuses.
    pub termination_protection: bool,
    /// What a failed creation does.
    pub on_failure: OnFailure,
    /// The stack policy's text.
    pub policy: Option<String>,
    /// How long its creation may take.
    pub timeout_minutes: Option<i32>,
    /// What its last check for drift found, and when.
    #[serde(default)]
    pub drift: Option<DriftFound>,
    /// The alarms that its operations are given up by.
    #[serde(default)]
    pub rollback: Rollback,
    /// How many template texts it has had: the number of the next.
    pub texts: u32,
    /// How many events it has had: the number of the next.
    pub events: u64,
}

impl Stack {
    /// Whether it failed with rollback disabled: it goes on from there, or back.
    pub fn is_half_way(&self) -> bool {
        matches!(self.status, StackStatus::CreateFailed | StackStatus::UpdateFailed)
    }
}

/// `RollbackConfiguration`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// The alarms.
    pub triggers: Vec<Trigger>,
    /// How long they are watched once everything is deployed, in minutes.
    pub minutes: u32,
}

/// An alarm that an operation is given up by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its ARN.
    pub arn: String,
    /// Its resource type.
    pub type_name: String,
}

/// What a stack's last check for drift found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DriftFound {
    /// How it is.
    #[serde(with = "text")]
    pub status: StackDriftStatus,
    /// When that was.
    pub at: Time,
}

/// What a failed creation (or an update, for the first and last) does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OnFailure {
    /// Undo it.
    #[default]
    Rollback,
    /// Delete the stack.
    Delete,
    /// Leave what there is.
    DoNothing,
}

/// What a stack is brought to: a template with everything that it needs to be evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// The number of its [`TemplateText`].
    pub text: u32,
    /// The template's description.
    pub description: Option<String>,
    /// The parameters' values as given.
    pub given: BTreeMap<String, String>,
    /// What `Ref` of each parameter gives: SSM names looked up, lists split.
    pub resolved: BTreeMap<String, Value>,
    /// Parameters that are not shown.
    pub secret: BTreeSet<String>,
    /// The stack's tags, passed on to its resources.
    pub tags: BTreeMap<String, String>,
    /// The capabilities acknowledged.
    pub capabilities: Vec<String>,
    /// Topics to tell: shown, not told.
    pub notification_arns: Vec<String>,
    /// The service role: shown, not assumed.
    pub role: Option<String>,
}

impl Deployment {
    /// What its template's transforms see: its parameters, and the pseudo parameters that are the same for all stacks of a place.
    pub fn values(&self, scope: &Scope) -> Values {
        values(&self.resolved, scope)
    }
}

/// Parameters with the pseudo parameters that are the same for all stacks of a place.
pub fn values(resolved: &BTreeMap<String, Value>, scope: &Scope) -> Values {
    let place = [
        ("AWS::AccountId", &*scope.account),
        ("AWS::Region", &*scope.region),
        ("AWS::Partition", "aws"),
        ("AWS::URLSuffix", "amazonaws.com"),
    ];
    let place = place.map(|(name, value)| (name.to_owned(), Value::from(value)));
    resolved.clone().into_iter().chain(place).collect()
}

/// A template's text, apart from the stack so that a step does not write it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplateText {
    key: String,
    /// The text.
    pub text: String,
}

impl TemplateText {
    /// The text numbered `number` of a stack.
    pub fn new(stack: &str, number: u32, text: String) -> Self {
        TemplateText { key: Self::key_of(stack, number), text }
    }

    /// What the keys of a stack's texts begin with.
    pub fn prefix_of(stack: &str) -> String {
        format!("{stack}#")
    }

    /// Its key.
    pub fn key_of(stack: &str, number: u32) -> String {
        format!("{stack}#{number}")
    }
}

/// An output's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
    /// What it is.
    pub description: Option<String>,
    /// The name under which it is exported.
    pub export: Option<String>,
}

/// What is under way on a stack. There is one while, and only while, the stack's status says in progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// The stack's id.
    pub stack: String,
    /// What was asked for.
    pub kind: OperationKind,
    /// How far it is.
    pub phase: Phase,
    /// What the stack is brought to; `None` to nothing.
    pub target: Option<Deployment>,
    /// The logical ids that are as the target wants them.
    pub done: BTreeSet<String>,
    /// What failed, by logical id, in this phase.
    pub failed: BTreeSet<String>,
    /// The client's token, shown in events.
    pub token: Option<String>,
    /// When it began.
    pub started: Time,
    /// Whether a failure leaves things as they are.
    pub keep_on_failure: bool,
    /// Whether resources made by this operation are deleted by its rollback whatever their policy.
    pub retain_except_on_create: bool,
    /// Resources to leave be when the stack is deleted, or to skip when an update's rollback goes on.
    pub skip: BTreeSet<String>,
    /// Whether it was asked to stop.
    pub cancelled: bool,
    /// The exports of others that the target uses, by name.
    pub imports: BTreeSet<String>,
    /// The stack policy that holds for this update alone.
    #[serde(default)]
    pub policy: Option<String>,
    /// Whether what can't be deleted is left behind.
    #[serde(default)]
    pub forced: bool,
    /// Whether it watches alarms.
    #[serde(default)]
    pub triggered: bool,
    /// Until when they are watched, once everything is deployed.
    #[serde(default)]
    pub monitoring: Option<Time>,
    /// How many signals have come: each wakes the engine by changing this.
    #[serde(default)]
    pub signals: u64,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationKind {
    /// A stack from nothing.
    Create,
    /// A stack to another template or parameters.
    Update,
    /// A stack to nothing.
    Delete,
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Resources are created and updated, each after what it needs.
    Forward,
    /// An update failed: resources go back to what they were.
    Restore,
    /// What is no longer wanted is deleted, each before what it needed.
    Cleanup {
        /// The status that the stack ends in.
        #[serde(with = "text")]
        end: StackStatus,
        /// The status it ends in where something could not be deleted.
        #[serde(with = "text")]
        failed: StackStatus,
    },
}

/// An event of a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StackEvent {
    /// Its key: [`StackEvent::key_of`].
    pub key: String,
    /// The stack's id.
    pub stack: String,
    /// Its own id.
    pub id: String,
    /// The resource, or the stack's name.
    pub logical_id: String,
    /// The physical id, or none yet.
    pub physical_id: Option<String>,
    /// The resource's type.
    pub type_name: String,
    /// When.
    pub at: Time,
    /// The status reached.
    #[serde(with = "text")]
    pub status: ResourceStatus,
    /// Why.
    pub reason: Option<String>,
    /// The properties, as JSON text.
    pub properties: Option<String>,
    /// The client's token.
    pub token: Option<String>,
}

impl StackEvent {
    /// What the keys of a stack's events begin with.
    pub fn prefix_of(stack: &str) -> String {
        format!("{stack}/")
    }

    /// The key of the event numbered `number`: later ones sort later.
    pub fn key_of(stack: &str, number: u64) -> String {
        format!("{stack}/{number:012}")
    }
}

/// A change set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangeSet {
    /// Its ARN.
    pub id: String,
    /// Its name, unique in its stack.
    pub name: String,
    /// The stack's id.
    pub stack: String,
    /// Whether it creates the stack.
    pub creates: bool,
    /// What it is for.
    pub description: Option<String>,
    /// When it was made.
    pub created: Time,
    /// Its status.
    #[serde(with = "text")]
    pub status: ChangeSetStatus,
    /// Why.
    pub reason: Option<String>,
    /// Whether it can be executed.
    #[serde(with = "text")]
    pub execution: ExecutionStatus,
    /// What it would bring the stack to.
    pub target: Deployment,
    /// What it would do, in the order of logical ids.
    pub changes: Vec<PlannedChange>,
    /// What a failure of it does.
    pub on_failure: Option<OnFailure>,
    /// The alarms that it is given up by; the stack's own where it says none.
    #[serde(default)]
    pub rollback: Option<Rollback>,
}

/// A value that a stack exports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Export {
    /// Its name, unique in account and region.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The stack's id.
    pub stack: String,
}

impl Record for Stack {
    const TABLE: &'static str = "cloudformation.stack";

    fn key(&self) -> &str {
        &self.id
    }
}

impl Record for TemplateText {
    const TABLE: &'static str = "cloudformation.template";

    fn key(&self) -> &str {
        &self.key
    }
}

impl Record for Operation {
    const TABLE: &'static str = "cloudformation.operation";

    fn key(&self) -> &str {
        &self.stack
    }
}

impl Record for StackEvent {
    const TABLE: &'static str = "cloudformation.event";

    fn key(&self) -> &str {
        &self.key
    }
}

impl Record for ChangeSet {
    const TABLE: &'static str = "cloudformation.change_set";

    fn key(&self) -> &str {
        &self.id
    }
}

impl Record for Export {
    const TABLE: &'static str = "cloudformation.export";

    fn key(&self) -> &str {
        &self.name
    }
}

/// Statuses by their AWS names.
pub(crate) mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
