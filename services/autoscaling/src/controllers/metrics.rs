//! Publishes, once a minute, the metrics of groups that have them enabled.

use crate::controllers::groups::members;
use crate::model::{Group, Lifecycle};
use crate::neighbours;
use serde::{Deserialize, Serialize};
use zonal_cloud::{Change, Controller, Record, Scope, Tx, View, Wake};
use zonal_wire::{AwsError, Time};

/// The metrics that a group can publish.
pub const METRICS: [&str; 8] = [
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
];

/// That a group's metrics were published for a minute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// The group's name.
    pub group: String,
    /// The last minute that they were published for: its beginning, in seconds.
    pub minute: i64,
}

impl Record for Published {
    const TABLE: &'static str = "autoscaling.published";

    fn key(&self) -> &str {
        &self.group
    }
}

/// Seconds of a minute; and minutes that are longer ago are not made up for.
const MINUTE: i64 = 60;
const LATEST: i64 = 3600;

/// The beginning of the present minute, in seconds.
fn present(tx: &Tx<'_>) -> i64 {
    tx.now.secs() - tx.now.secs().rem_euclid(MINUTE)
}

/// Publishing begins anew: of the time when nobody was there, nothing is known.
pub fn begin(tx: &mut Tx<'_>) {
    let last = present(tx) - MINUTE;
    let all: Vec<(Scope, String)> =
        tx.view().everywhere::<Published>().map(|(scope, own)| (scope.clone(), own.group.clone())).collect();
    for (scope, group) in all {
        tx.within(&scope, |tx| tx.update::<Published, _>(&group, |own| own.minute = own.minute.max(last)));
    }
}

/// The controller; a key is a group's name.
pub struct Metrics;

impl Controller for Metrics {
    fn name(&self) -> &'static str {
        "autoscaling.metrics"
    }

    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Group>() && view.get::<Group>(&change.key).is_some_and(|group| !group.metrics.is_empty()) {
            wake(&change.scope, &change.key);
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for (scope, group) in view.everywhere::<Group>().filter(|(_, group)| !group.metrics.is_empty()) {
            wake(scope, &group.name);
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let Some(group) = tx.get::<Group>(key).filter(|group| !group.metrics.is_empty()).cloned() else {
            tx.remove::<Published>(key);
            return Ok(Wake::OnChange);
        };
        let minute = present(tx);
        let next = Wake::At(Time::from_secs(minute + MINUTE));
        // Each minute once, however late we come, and also those that we came too late to meet: what stands now stood then. A change in
        // between is no reason to publish again.
        let last = tx.get::<Published>(key).map_or(minute - MINUTE, |last| last.minute).max(minute - LATEST);
        if last >= minute {
            return Ok(next);
        }
        tx.put(Published { group: key.to_owned(), minute });
        let members = members(&tx.view(), key);
        let count = |of: fn(Lifecycle) -> bool| members.iter().filter(|member| of(member.state)).count() as f64;
        let values: Vec<(&str, f64)> = METRICS
            .iter()
            .filter(|name| group.metrics.contains(**name))
            .map(|name| {
                let value = match *name {
                    "GroupMinSize" => f64::from(group.min),
                    "GroupMaxSize" => f64::from(group.max),
                    "GroupDesiredCapacity" => f64::from(group.desired),
                    "GroupInServiceInstances" => count(|state| state == Lifecycle::InService),
                    "GroupPendingInstances" => count(Lifecycle::is_pending),
                    "GroupStandbyInstances" => count(|state| state == Lifecycle::Standby),
                    "GroupTerminatingInstances" => count(Lifecycle::is_terminating),
                    _ => members.len() as f64,
                };
                (*name, value)
            })
            .collect();
        let mut missing = last + MINUTE;
        while missing <= minute {
            neighbours::publish(tx, key, Time::from_secs(missing), &values)?;
            missing += MINUTE;
        }
        Ok(next)
    }
}
