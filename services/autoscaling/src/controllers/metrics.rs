//! Publishes, once a minute, the metrics of groups that have them enabled.

use crate::controllers::groups::members;
use crate::model::{Group, Lifecycle};
use crate::neighbours;
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
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
            return Ok(Wake::OnChange);
        };
        let next = Wake::At(Time::from_secs((tx.now.secs() / 60 + 1) * 60));
        // Only on the minute: a change in between is no reason to publish, it wakes us for the next minute only.
        if tx.now.secs() % 60 != 0 {
            return Ok(next);
        }
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
        neighbours::publish(tx, key, &values)?;
        Ok(next)
    }
}
