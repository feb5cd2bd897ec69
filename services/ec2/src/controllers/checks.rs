//! Status checks: published once a minute from what is stored, so that they also tell of machines that are dead.

use crate::metrics::{self, MINUTE};
use crate::model::{Instance, InstanceState, StatusChecks};
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_wire::{AwsError, Time};

/// Minutes that are longer ago, in seconds, are not made up for.
const LATEST: i64 = 3600;

/// The controller. An account's instances in a region are checked together; the key is that of when they were.
pub(super) struct Checks;

impl Controller for Checks {
    fn name(&self) -> &'static str {
        "ec2.checks"
    }

    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Instance>() && view.get::<Instance>(&change.key).is_some_and(is_running) {
            wake(&change.scope, StatusChecks::KEY);
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        let mut last = None;
        for (scope, _) in view.everywhere::<Instance>().filter(|(_, instance)| is_running(instance)) {
            if last != Some(scope) {
                wake(scope, StatusChecks::KEY);
                last = Some(scope);
            }
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        if !tx.view().list::<Instance>().any(is_running) {
            // No minute is missing until one runs again.
            tx.remove::<StatusChecks>(key);
            return Ok(Wake::OnChange);
        }
        let minute = tx.now.secs() - tx.now.secs().rem_euclid(MINUTE);
        // Each minute, also those that we came too late to meet: what stands now stood then.
        let until = tx.get::<StatusChecks>(key).map_or(minute - MINUTE, |checks| checks.until);
        let mut next = until.max(minute - LATEST);
        if next < minute {
            while next < minute {
                metrics::publish_checks(tx, next);
                next += MINUTE;
            }
            tx.put(StatusChecks { until: minute });
        }
        Ok(Wake::At(Time::from_secs(minute + MINUTE)))
    }
}

/// What is measured begins anew: while nobody was there, nobody checked.
pub(crate) fn begin(tx: &mut Tx<'_>) {
    let minute = tx.now.secs() - tx.now.secs().rem_euclid(MINUTE);
    let scopes: Vec<Scope> = tx.view().everywhere::<StatusChecks>().map(|(scope, _)| scope.clone()).collect();
    for scope in scopes {
        tx.within(&scope, |tx| {
            tx.update::<StatusChecks, _>(StatusChecks::KEY, |checks| checks.until = checks.until.max(minute));
        });
    }
}

fn is_running(instance: &Instance) -> bool {
    instance.state == InstanceState::Running
}
