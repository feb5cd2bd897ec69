//! Runs scheduled actions when their time comes.

use crate::model::{Group, GroupState, Process};
use crate::operations::groups::{Sizes, resize};
use crate::schedule::Schedule;
use zonal_cloud::{Change, Controller, Record, Scope, Tx, View, Wake};
use zonal_wire::AwsError;

/// The controller; a key is an action's.
pub struct Schedules;

impl Controller for Schedules {
    fn name(&self) -> &'static str {
        "autoscaling.schedules"
    }

    fn wakes_on(&self, change: &Change, _view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Schedule>() {
            wake(&change.scope, &change.key);
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for (scope, schedule) in view.everywhere::<Schedule>() {
            wake(scope, schedule.key());
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let Some(schedule) = tx.get::<Schedule>(key).cloned() else { return Ok(Wake::OnChange) };
        // One that was stored with an end before it ever came.
        if schedule.has_ended(schedule.next) {
            tx.remove::<Schedule>(key);
            return Ok(Wake::OnChange);
        }
        if schedule.next > tx.now {
            return Ok(Wake::At(schedule.next));
        }
        let group = tx.get::<Group>(&schedule.group).cloned();
        if let Some(mut group) =
            group.filter(|group| group.state == GroupState::Active && group.does(Process::ScheduledActions))
        {
            let sizes = Sizes { min: schedule.min, max: schedule.max, desired: schedule.desired };
            // Sizes that contradict each other by now change nothing, as on AWS.
            if resize(&mut group, &sizes, "a scheduled action update", tx.now).is_ok() {
                tx.put(group);
            }
        }
        match schedule.after(tx.now) {
            Some(next) => {
                tx.update::<Schedule, _>(key, |schedule| schedule.next = next);
                Ok(Wake::At(next))
            }
            None => {
                tx.remove::<Schedule>(key);
                Ok(Wake::OnChange)
            }
        }
    }
}
