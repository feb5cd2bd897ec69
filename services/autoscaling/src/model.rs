//! What is stored of groups: the groups, their instances and their activities.

use crate::mixed::Mixed;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use zonal_cloud::{Record, Scope};
use zonal_wire::Time;

/// A launch template as a group names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// `lt-…`
    pub id: String,
    /// Its name.
    pub name: String,
    /// A number, `$Latest` or `$Default`.
    pub version: String,
}

/// Where a group may launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The Availability Zone.
    pub zone: String,
    /// The subnet; `None` means the zone's default subnet.
    pub subnet: Option<String>,
}

/// A tag of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupTag {
    /// Its value.
    pub value: String,
    /// Whether instances get it.
    pub propagate: bool,
}

/// What a group does of itself, and can be told not to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are AWS's names")]
pub enum Process {
    AddToLoadBalancer,
    AlarmNotification,
    AZRebalance,
    HealthCheck,
    InstanceRefresh,
    Launch,
    ReplaceUnhealthy,
    ScheduledActions,
    Terminate,
}

impl Process {
    /// All, in the order in which AWS lists them.
    pub const ALL: [Self; 9] = [
        Self::AZRebalance,
        Self::AddToLoadBalancer,
        Self::AlarmNotification,
        Self::HealthCheck,
        Self::InstanceRefresh,
        Self::Launch,
        Self::ReplaceUnhealthy,
        Self::ScheduledActions,
        Self::Terminate,
    ];

    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AddToLoadBalancer => "AddToLoadBalancer",
            Self::AlarmNotification => "AlarmNotification",
            Self::AZRebalance => "AZRebalance",
            Self::HealthCheck => "HealthCheck",
            Self::InstanceRefresh => "InstanceRefresh",
            Self::Launch => "Launch",
            Self::ReplaceUnhealthy => "ReplaceUnhealthy",
            Self::ScheduledActions => "ScheduledActions",
            Self::Terminate => "Terminate",
        }
    }

    /// Reads its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|process| process.as_str() == name)
    }
}

/// That launches failed in a zone, and when to try again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneFailure {
    /// How many times in a row.
    pub count: u32,
    /// Not before.
    pub until: Time,
}

/// Whether a group is there to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupState {
    /// It is.
    Active,
    /// Its instances are being terminated; then it is gone.
    Deleting,
}

/// What a group's deletion is protected from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protection {
    /// `none`
    #[default]
    None,
    /// `prevent-force-deletion`
    Force,
    /// `prevent-all-deletion`
    All,
}

/// An Auto Scaling group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its name: the key.
    pub name: String,
    /// In its ARN.
    pub uuid: String,
    /// What it launches.
    pub template: Template,
    /// What of that may be others.
    #[serde(default)]
    pub mixed: Option<Mixed>,
    /// The least instances.
    pub min: i32,
    /// The most instances.
    pub max: i32,
    /// How many there should be.
    pub desired: i32,
    /// Seconds between two simple scalings.
    pub cooldown: i32,
    /// Where, in the order given.
    pub places: Vec<Place>,
    /// Whether subnets were given, rather than zones.
    pub by_subnet: bool,
    /// Where its instances are registered.
    pub target_groups: Vec<String>,
    /// As given: `EC2`, `ELB`, or a list of both.
    pub health_check_type: String,
    /// Seconds for which a new instance's failing checks are passed over.
    pub grace: i32,
    /// Since when.
    pub created: Time,
    /// What it is told not to do, and why.
    pub suspended: BTreeMap<Process, String>,
    /// Group metrics that are published.
    pub metrics: BTreeSet<String>,
    /// Whether it is there to stay.
    pub state: GroupState,
    /// What its deletion is protected from.
    #[serde(default)]
    pub protection: Protection,
    /// Its tags.
    pub tags: BTreeMap<String, GroupTag>,
    /// Which instances go first, in order.
    pub termination_policies: Vec<String>,
    /// Whether new instances are protected from scale-in.
    pub protect_new: bool,
    /// Seconds after which a new instance counts for scaling.
    pub warmup: Option<i32>,
    /// Shown only.
    pub max_lifetime: Option<i32>,
    /// Shown only.
    pub capacity_rebalance: Option<bool>,
    /// Shown only.
    pub context: Option<String>,
    /// Shown only.
    pub service_role: Option<String>,
    /// Why the desired capacity is what it is, as activities tell it.
    pub cause: Option<String>,
    /// When the last scaling activity ended: cooldowns count from here.
    pub scaled: Option<Time>,
    /// Zones where launches failed lately.
    pub zone_failures: BTreeMap<String, ZoneFailure>,
    /// The instance beyond the desired capacity that was launched to even out the zones.
    pub rebalancing: Option<String>,
}

impl Group {
    /// Its ARN.
    pub fn arn(&self, scope: &Scope) -> String {
        scope.arn("autoscaling", &format!("autoScalingGroup:{}:autoScalingGroupName/{}", self.uuid, self.name))
    }

    /// Whether it does that of itself.
    pub fn does(&self, process: Process) -> bool {
        !self.suspended.contains_key(&process)
    }

    /// Its zones, in the order of their names.
    pub fn zones(&self) -> BTreeSet<&str> {
        self.places.iter().map(|place| place.zone.as_str()).collect()
    }

    /// Whether it takes the load balancer's word for an instance's health.
    pub fn checks_load_balancer(&self) -> bool {
        self.health_check_type.split(',').any(|kind| kind.trim() == "ELB")
    }
}

impl Record for Group {
    const TABLE: &'static str = "autoscaling.group";

    fn key(&self) -> &str {
        &self.name
    }
}

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are AWS's names")]
pub enum Lifecycle {
    Pending,
    PendingWait,
    PendingProceed,
    InService,
    Terminating,
    TerminatingWait,
    TerminatingProceed,
    Standby,
}

impl Lifecycle {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::PendingWait => "Pending:Wait",
            Self::PendingProceed => "Pending:Proceed",
            Self::InService => "InService",
            Self::Terminating => "Terminating",
            Self::TerminatingWait => "Terminating:Wait",
            Self::TerminatingProceed => "Terminating:Proceed",
            Self::Standby => "Standby",
        }
    }

    /// On its way into service.
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Pending | Self::PendingWait | Self::PendingProceed)
    }

    /// On its way out.
    pub fn is_terminating(self) -> bool {
        matches!(self, Self::Terminating | Self::TerminatingWait | Self::TerminatingProceed)
    }

    /// Whether it counts towards the desired capacity.
    pub fn counts(self) -> bool {
        self.is_pending() || self == Self::InService
    }
}

/// What is known of an instance's health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// Nothing is wrong.
    Healthy,
    /// It is to be replaced; the text completes "an instance was taken out of service in response to …".
    Unhealthy(String),
}

/// That an instance waits for a lifecycle hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The hooks that are still to be completed, in order; the first is waited for.
    pub hooks: Vec<String>,
    /// The token of the wait.
    pub token: String,
    /// When the hook's default result is taken.
    pub deadline: Time,
    /// After which heartbeats help no more.
    pub limit: Time,
}

/// An instance of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The instance: the key.
    pub id: String,
    /// Its group.
    pub group: String,
    /// Where it runs.
    pub zone: String,
    /// In which subnet.
    pub subnet: String,
    /// Its type.
    pub instance_type: String,
    /// Its image.
    pub image: String,
    /// Of which template (the version is a number), where the group launched it.
    pub template: Option<Template>,
    /// Where it is in its life.
    pub state: Lifecycle,
    /// What is known of its health.
    pub health: Health,
    /// Whether scale-in passes it over.
    pub protected: bool,
    /// When it was launched (or attached).
    pub launched: Time,
    /// When it came into service.
    pub in_service: Option<Time>,
    /// The activity that brings it in or out: its key.
    pub activity: Option<String>,
    /// The target groups where it is registered.
    pub registered: BTreeSet<String>,
    /// The target groups that it is leaving.
    pub draining: BTreeSet<String>,
    /// What hook it waits for.
    pub waiting: Option<Waiting>,
}

impl Record for Member {
    const TABLE: &'static str = "autoscaling.instance";
    /// Its group.
    const OWNERS: Option<fn(&Self) -> Vec<&str>> = Some(|member| vec![&member.group]);

    fn key(&self) -> &str {
        &self.id
    }
}

/// How an activity stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are AWS's names")]
pub enum ActivityStatus {
    PreInService,
    InProgress,
    WaitingForELBConnectionDraining,
    MidLifecycleAction,
    Successful,
    Failed,
    Cancelled,
}

impl ActivityStatus {
    /// Whether it does not change any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Successful | Self::Failed | Self::Cancelled)
    }
}

/// Something that a group did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    key: String,
    /// Its id.
    pub id: String,
    /// The group.
    pub group: String,
    /// The group's ARN.
    pub group_arn: String,
    /// `Launching a new EC2 instance: i-…`
    pub description: String,
    /// Why, with times.
    pub cause: String,
    /// Since when.
    pub start: Time,
    /// Until when.
    pub end: Option<Time>,
    /// How it stands.
    pub status: ActivityStatus,
    /// What went wrong.
    pub message: Option<String>,
    /// In percent.
    pub progress: i32,
    /// Where, as JSON.
    pub details: String,
    /// Whether the group is gone.
    pub of_deleted_group: bool,
}

impl Activity {
    /// One that begins. Keys are in the order of time.
    pub fn new(id: String, group: &Group, scope: &Scope, description: String, cause: String, start: Time) -> Self {
        Self {
            key: pair(&format!("{:020}", start.0), &id),
            id,
            group: group.name.clone(),
            group_arn: group.arn(scope),
            description,
            cause,
            start,
            end: None,
            status: ActivityStatus::InProgress,
            message: None,
            progress: 0,
            details: "{}".to_owned(),
            of_deleted_group: false,
        }
    }
}

impl Record for Activity {
    const TABLE: &'static str = "autoscaling.activity";
    // Its group by name; while it is not over also by ARN.
    const OWNERS: Option<fn(&Self) -> Vec<&str>> = Some(|activity| {
        let open = (!activity.status.is_over()).then_some(activity.group_arn.as_str());
        std::iter::once(activity.group.as_str()).chain(open).collect()
    });

    fn key(&self) -> &str {
        &self.key
    }
}

/// At which turn of an instance's life a hook waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transition {
    /// `autoscaling:EC2_INSTANCE_LAUNCHING`
    Launching,
    /// `autoscaling:EC2_INSTANCE_TERMINATING`
    Terminating,
}

impl Transition {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Launching => "autoscaling:EC2_INSTANCE_LAUNCHING",
            Self::Terminating => "autoscaling:EC2_INSTANCE_TERMINATING",
        }
    }

    /// Reads its name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Launching, Self::Terminating].into_iter().find(|turn| turn.as_str() == name)
    }
}

/// A lifecycle hook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    key: String,
    /// Its group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// Where it waits.
    pub transition: Transition,
    /// Seconds until the default result is taken.
    pub timeout: i32,
    /// Whether the default result is to go on, rather than to give up.
    pub goes_on: bool,
    /// Shown only.
    pub metadata: Option<String>,
    /// Shown only.
    pub target: Option<String>,
    /// Shown only.
    pub role: Option<String>,
}

impl Hook {
    /// A hook that waits an hour, then gives up.
    pub fn new(group: &str, name: &str, transition: Transition) -> Self {
        Self {
            key: pair(group, name),
            group: group.to_owned(),
            name: name.to_owned(),
            transition,
            timeout: 3600,
            goes_on: false,
            metadata: None,
            target: None,
            role: None,
        }
    }
}

impl Record for Hook {
    const TABLE: &'static str = "autoscaling.hook";

    fn key(&self) -> &str {
        &self.key
    }
}

/// The key of what has a name of its own within something, a group say: in the order of that, then of the names.
pub fn pair(group: &str, name: &str) -> String {
    format!("{group}\u{1f}{name}")
}
