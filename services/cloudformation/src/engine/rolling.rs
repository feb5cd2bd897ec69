//! Rolling updates: a group whose instances an update made obsolete gets new ones, batch by batch, as its
//! `AutoScalingRollingUpdate` says.

use std::collections::BTreeSet;
use std::time::Duration;

use zonal_wire::Time;

use super::Run;
use super::signals::unsatisfied;
use crate::attributes::Rolling;
use crate::model::{Awaited, ResourceStatus, Roll, RollStage, Signals};
use crate::types::rolling::{self as steps, Group};
use crate::types::{Failure, Progress};

impl Run<'_, '_> {
    /// Takes the next step of a group's rolling update; `Done` where there is none (any more).
    pub(super) fn roll(&mut self, logical_id: &str) -> Result<Progress, Failure> {
        let Some(resource) = self.resources.get(logical_id) else { return Ok(Progress::Done) };
        let (Some(rolling), Some(thing)) = (resource.policies.rolling.clone(), resource.thing.clone()) else {
            return Ok(Progress::Done);
        };
        let group = self.with_type(logical_id, &thing.type_name, |_, cx| Group::look(cx, &thing.id))?;
        let Some(roll) = resource_roll(self, logical_id) else { return self.begin_roll(logical_id, &rolling, &group) };
        match roll.stage.clone() {
            RollStage::Swapping { added } => {
                let gone = !group.members.iter().any(|member| roll.batch.contains(&member.id));
                let settled = self.with_type(logical_id, &thing.type_name, |known, cx| {
                    known.handler.settle(cx, &thing.id, &thing.properties)
                })? == Progress::Done;
                if gone && settled { self.swapped(logical_id, &rolling, roll, added) } else { Ok(Progress::Waiting) }
            }
            RollStage::Hearing => self.hear_batch(logical_id, &rolling, &group, roll),
            RollStage::Resting { until } if self.tx.now < until => Ok(Progress::Waiting),
            RollStage::Resting { .. } => self.next_batch(logical_id, &rolling, &group, roll),
            RollStage::Ending => self.end_roll(logical_id).map(|()| Progress::Done),
        }
    }

    fn begin_roll(&mut self, id: &str, rolling: &Rolling, group: &Group) -> Result<Progress, Failure> {
        let obsolete: Vec<String> = group.obsolete.clone();
        if obsolete.is_empty() {
            return Ok(Progress::Done);
        }
        if i64::from(rolling.serving) >= group.sizes.max {
            return Err(Failure::Unfit(
                "MinInstancesInService must be less than the autoscaling group's MaxSize".to_owned(),
            ));
        }
        let total = u32::try_from(obsolete.len()).unwrap_or(u32::MAX);
        let waiting = if rolling.signals {
            format!(
                " Waiting on resource signals with a timeout of {} when new instances are added to the autoscaling group.",
                iso(rolling.seconds)
            )
        } else {
            String::new()
        };
        self.say(
            id,
            &format!(
                "Rolling update initiated. Terminating {total} obsolete instance(s) in batches of {}, while keeping at least {} instance(s) in service.{waiting}",
                rolling.batch, rolling.serving
            ),
        );
        if !rolling.suspended.is_empty() {
            let processes = rolling.suspended.clone();
            self.of_group(id, |cx, group| steps::suspend(cx, group, &processes))?;
        }
        let batch = i64::from(rolling.batch.min(total));
        let enough = i64::from(rolling.serving) + batch;
        let grown = enough.min(group.sizes.max).max(group.sizes.desired);
        let roll = Roll {
            total,
            failures: 0,
            done: 0,
            batch: BTreeSet::new(),
            min: group.sizes.min,
            desired: group.sizes.desired,
            suspended: rolling.suspended.clone(),
            stage: RollStage::Resting { until: self.tx.now },
        };
        if grown == group.sizes.desired {
            self.keep_roll(id, roll);
            return Ok(Progress::Waiting);
        }
        self.say(id, &format!("Temporarily setting autoscaling group MinSize and DesiredCapacity to {grown}."));
        self.of_group(id, |cx, group| steps::resize(cx, group, grown, grown))?;
        self.clear_signals(id);
        let added = u32::try_from(grown - group.sizes.desired).unwrap_or(0);
        self.keep_roll(id, Roll { stage: RollStage::Swapping { added }, ..roll });
        Ok(Progress::Waiting)
    }

    /// The batch is gone and its successors serve: their signals are waited for, or it rests.
    fn swapped(&mut self, id: &str, rolling: &Rolling, mut roll: Roll, added: u32) -> Result<Progress, Failure> {
        if !roll.batch.is_empty() {
            roll.done += u32::try_from(roll.batch.len()).unwrap_or(0);
            let names: Vec<&str> = roll.batch.iter().map(String::as_str).collect();
            let share = roll.done * 100 / roll.total;
            self.say(id, &format!("Successfully terminated instance(s) [{}] (Progress {share}%).", names.join(",")));
        }
        let until = self.tx.now + Duration::from_secs(rolling.seconds);
        if rolling.signals && added > 0 {
            self.say(
                id,
                &format!(
                    "New instance(s) added to autoscaling group - Waiting on {added} resource signal(s) with a timeout of {}.",
                    iso(rolling.seconds)
                ),
            );
            if let Some(resource) = self.resources.get_mut(id) {
                resource.signals.awaited = Some(Awaited { count: added, percent: rolling.percent, until });
            }
            self.keep_roll(id, Roll { stage: RollStage::Hearing, ..roll });
        } else {
            let last = roll.done >= roll.total;
            let until = if last || roll.batch.is_empty() || rolling.signals { self.tx.now } else { until };
            self.keep_roll(id, Roll { stage: RollStage::Resting { until }, ..roll });
        }
        Ok(Progress::Waiting)
    }

    fn hear_batch(&mut self, id: &str, rolling: &Rolling, group: &Group, mut roll: Roll) -> Result<Progress, Failure> {
        let Some(resource) = self.resources.get(id) else { return Ok(Progress::Done) };
        let Some(awaited) = resource.signals.awaited.clone() else {
            return self.next_batch(id, rolling, group, roll);
        };
        let (good, bad) = (resource.signals.count(true), resource.signals.count(false));
        let over = self.tx.now >= awaited.until;
        if good + bad < awaited.count && !over {
            return Ok(Progress::Waiting);
        }
        let missing = awaited.count.saturating_sub(good + bad);
        if missing > 0 {
            self.say(
                id,
                &format!(
                    "Failed to receive {missing} resource signal(s) for the current batch.  Each resource signal timeout is counted as a FAILURE."
                ),
            );
        }
        roll.failures += bad + missing;
        let allowed = roll.total * (100 - rolling.percent) / 100;
        if roll.failures > allowed {
            return Err(Failure::Said(unsatisfied(roll.failures, roll.total, rolling.percent)));
        }
        self.next_batch(id, rolling, group, roll)
    }

    fn next_batch(&mut self, id: &str, rolling: &Rolling, group: &Group, roll: Roll) -> Result<Progress, Failure> {
        self.clear_signals(id);
        if group.obsolete.is_empty() {
            self.end_roll(id)?;
            return Ok(Progress::Done);
        }
        let size = usize::try_from(rolling.batch).unwrap_or(usize::MAX).min(group.obsolete.len());
        let batch: BTreeSet<String> = group.obsolete[..size].iter().cloned().collect();
        let wanted = usize::try_from(roll.desired).unwrap_or(0);
        let fresh = group.members.iter().filter(|member| !member.leaves).count() - group.obsolete.len();
        let added = wanted.saturating_sub(fresh).min(size);
        let names: Vec<&str> = batch.iter().map(String::as_str).collect();
        self.say(
            id,
            &format!("Terminating instance(s) [{}]; replacing with {added} new instance(s).", names.join(",")),
        );
        let shrinks = size - added;
        let desired = group.sizes.desired - i64::try_from(shrinks).unwrap_or(0);
        let min = group.sizes.min.min(desired);
        self.of_group(id, |cx, name| {
            if shrinks > 0 {
                steps::set_min(cx, name, min)?;
            }
            batch.iter().enumerate().try_for_each(|(number, instance)| steps::terminate(cx, instance, number < shrinks))
        })?;
        let added = u32::try_from(added).unwrap_or(0);
        self.keep_roll(id, Roll { batch, stage: RollStage::Swapping { added }, ..roll });
        Ok(Progress::Waiting)
    }

    /// Gives the group its sizes and processes back, at the end of a rolling update or after it broke off. The roll is
    /// remembered until the group has both.
    pub(super) fn end_roll(&mut self, id: &str) -> Result<(), Failure> {
        let Some(roll) = resource_roll(self, id) else { return Ok(()) };
        self.clear_signals(id);
        // Each for itself: processes must not stay suspended because the sizes can't be.
        let resumed = match roll.suspended.as_slice() {
            [] => Ok(()),
            processes => self.of_group(id, |cx, group| steps::resume(cx, group, processes)),
        };
        let resized = self.of_group(id, |cx, group| steps::resize(cx, group, roll.min, roll.desired));
        resumed.and(resized)?;
        if let Some(resource) = self.resources.get_mut(id) {
            resource.roll = None;
        }
        Ok(())
    }

    /// Breaks a rolling update off. What the group does not take back now, it gets when the stack is next rolled back or
    /// updated.
    ///
    /// # Returns
    /// Whether one was going on.
    pub(super) fn break_off_roll(&mut self, id: &str) -> bool {
        let Some(roll) = resource_roll(self, id) else { return false };
        self.keep_roll(id, Roll { stage: RollStage::Ending, ..roll.clone() });
        if let Err(failure) = self.end_roll(id) {
            let words = self.words(&failure);
            self.say(id, &words);
        }
        roll.stage != RollStage::Ending
    }

    /// Whether a rolling update waits for signals or rests, which ends by itself.
    pub(super) fn is_pausing(&self, id: &str) -> bool {
        let roll = self.resources.get(id).and_then(|resource| resource.roll.as_ref());
        roll.is_some_and(|roll| matches!(roll.stage, RollStage::Hearing | RollStage::Resting { .. }))
    }

    /// When a rolling update goes on by itself.
    pub(super) fn roll_deadline(&self) -> impl Iterator<Item = Time> + '_ {
        self.resources.values().filter_map(|resource| match &resource.roll {
            Some(Roll { stage: RollStage::Resting { until }, .. }) => Some(*until),
            _ => resource.signals.awaited.as_ref().map(|awaited| awaited.until),
        })
    }

    fn keep_roll(&mut self, id: &str, roll: Roll) {
        if let Some(resource) = self.resources.get_mut(id) {
            resource.roll = Some(roll);
        }
    }

    fn clear_signals(&mut self, id: &str) {
        if let Some(resource) = self.resources.get_mut(id) {
            resource.signals = Signals::default();
        }
    }

    fn say(&mut self, id: &str, words: &str) {
        self.mark(id, ResourceStatus::UpdateInProgress, Some(words));
    }

    fn of_group(
        &mut self,
        id: &str,
        act: impl FnOnce(&mut crate::types::Context<'_, '_>, &str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let thing = self.resources.get(id).and_then(|resource| resource.thing.clone());
        let Some(thing) = thing else { return Ok(()) };
        self.with_type(id, &thing.type_name, |_, cx| act(cx, &thing.id))
    }
}

fn resource_roll(run: &Run<'_, '_>, id: &str) -> Option<Roll> {
    run.resources.get(id).and_then(|resource| resource.roll.clone())
}

/// Seconds as `PT5M`.
fn iso(seconds: u64) -> String {
    let parts = [(seconds / 3600, 'H'), (seconds / 60 % 60, 'M'), (seconds % 60, 'S')];
    let text: String =
        parts.iter().filter(|(number, _)| *number > 0).map(|(number, unit)| format!("{number}{unit}")).collect();
    if text.is_empty() { "PT0S".to_owned() } else { format!("PT{text}") }
}
