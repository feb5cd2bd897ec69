//! Instance refreshes: what is stored of them, and how far they may go at once (pure functions).
//!
//! Sources: "Use an instance refresh to update instances in an Auto Scaling group" and "How an instance refresh works" in the Auto Scaling user guide.

use crate::configuration::Configuration;
use crate::model::Group;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use zonal_cloud::{Record, View};
use zonal_wire::Time;

/// How a refresh stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are AWS's names")]
pub enum RefreshStatus {
    Pending,
    InProgress,
    Successful,
    Failed,
    Cancelling,
    Cancelled,
}

impl RefreshStatus {
    /// Whether it is still under way.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::InProgress | Self::Cancelling)
    }
}

/// What becomes of instances that scale-in passes over, or that stand by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exempt {
    /// The refresh waits until they are exempt no more.
    #[default]
    Wait,
    /// They are left as they are.
    Ignore,
    /// They are replaced as all others.
    Replace,
}

/// An instance refresh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refresh {
    key: String,
    /// Its id.
    pub id: String,
    /// Its group.
    pub group: String,
    /// How it stands.
    pub status: RefreshStatus,
    /// What it waits for, or why it ended.
    pub reason: Option<String>,
    /// Since when.
    pub start: Time,
    /// Until when.
    pub end: Option<Time>,
    /// The share of the desired capacity that must serve, in percent.
    pub min_healthy: i32,
    /// Seconds after which a new instance counts; the group's where it is not given.
    pub warmup: Option<i32>,
    /// Whether instances that are as they should be are left alone.
    pub skip_matching: bool,
    /// What becomes of protected instances.
    pub protected: Exempt,
    /// What becomes of those that stand by.
    pub standby: Exempt,
    /// What it is to bring about: launched while it goes on, and the group's own once it has succeeded. `None` is what the group
    /// says.
    #[serde(default)]
    pub configuration: Option<Configuration>,
    /// How many instances it began with.
    pub total: i32,
    /// The instances that are still to be replaced.
    pub old: BTreeSet<String>,
}

impl Refresh {
    /// A refresh that begins. Keys are in the order of time.
    pub fn new(id: String, group: &str, start: Time) -> Self {
        Self {
            key: format!("{:020}-{id}", start.0),
            id,
            group: group.to_owned(),
            status: RefreshStatus::Pending,
            reason: None,
            start,
            end: None,
            min_healthy: 90,
            warmup: None,
            skip_matching: false,
            protected: Exempt::default(),
            standby: Exempt::default(),
            configuration: None,
            total: 0,
            old: BTreeSet::new(),
        }
    }

    /// In percent.
    pub fn percentage(&self) -> i32 {
        let left = i32::try_from(self.old.len()).unwrap_or(i32::MAX);
        if self.total == 0 { 100 } else { (self.total - left).max(0) * 100 / self.total }
    }
}

impl Record for Refresh {
    const TABLE: &'static str = "autoscaling.refresh";

    fn key(&self) -> &str {
        &self.key
    }
}

/// The refresh of a group that is under way.
pub fn active(view: &View<'_>, group: &str) -> Option<Refresh> {
    view.list::<Refresh>().find(|refresh| refresh.group == group && refresh.status.is_active()).cloned()
}

/// What a group launches now: whatever the reason, what a refresh is to bring about while one is under way.
pub fn configuration(view: &View<'_>, group: &Group) -> Configuration {
    active(view, &group.name).and_then(|refresh| refresh.configuration).unwrap_or_else(|| group.configuration())
}

/// How many old instances may be taken out now: so many that enough serve, and one at least while nothing else is missing.
pub fn may_take(desired: i32, serving: i32, min_healthy: i32) -> i32 {
    let needed = (i64::from(desired) * i64::from(min_healthy) + 99) / 100;
    // Not more than the desired capacity, so that it fits.
    let spare = serving - needed.clamp(0, i64::from(desired.max(0))) as i32;
    if spare <= 0 && serving >= desired && desired > 0 { 1 } else { spare.max(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_serve_all_the_time_but_a_small_group_goes_one_by_one() {
        for (desired, serving, min_healthy, expected) in [
            (10, 10, 90, 1),
            (10, 10, 50, 5),
            (10, 7, 50, 2),
            (10, 9, 90, 0),
            (2, 2, 90, 1),
            (2, 1, 90, 0),
            (2, 2, 0, 2),
            (0, 0, 90, 0),
        ] {
            assert_eq!(may_take(desired, serving, min_healthy), expected, "{serving} of {desired} at {min_healthy}%");
        }
    }
}
