//! Controllers, and the queue of their keys.

use crate::scope::Scope;
use crate::state::{Change, View};
use crate::transaction::Tx;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use zonal_wire::{AwsError, Time};

/// Drives one kind of thing towards what is stored, one key at a time.
///
/// Level-triggered: it compares what is desired with what is observed and never learns why it was called. A step is one
/// transaction: it writes records, asks the world ([`Tx::ask`]) and calls other services ([`Tx::call`]), all of which is performed
/// after the commit or not at all. So a step is a pure function of state, time and chance; it must be harmless to run twice, and it
/// asks for the whole desired state each time: what was asked already is dropped on the way to the world.
pub trait Controller: Send + Sync {
    /// Its name, unique in the program: `ec2.instances`.
    fn name(&self) -> &'static str;

    /// Which keys a change wakes.
    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str));

    /// All keys: for the pass at start, and the slow full one.
    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str));

    /// One step for a key, in the key's scope (`tx.scope`).
    ///
    /// # Errors
    /// The step is undone and tried again later, with growing pauses.
    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError>;
}

/// When to look at a key again, if nothing changes before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Not before something changes (or the full pass comes).
    OnChange,
    /// At that time.
    At(Time),
}

impl Wake {
    /// At the earlier of two.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::OnChange, wake) | (wake, Self::OnChange) => wake,
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
        }
    }
}

/// A controller (by its place in the cloud's list) and a key of its.
pub(crate) type Job = (usize, Scope, String);

/// Jobs by their time. A job is queued once; of two times the earlier wins.
#[derive(Default)]
pub(crate) struct Queue {
    due: BTreeSet<(Time, Job)>,
    at: BTreeMap<Job, Time>,
    failures: BTreeMap<Job, u32>,
}

impl Queue {
    pub(crate) fn add(&mut self, job: Job, at: Time) {
        match self.at.get(&job) {
            Some(queued) if *queued <= at => return,
            Some(queued) => {
                self.due.remove(&(*queued, job.clone()));
            }
            None => {}
        }
        self.at.insert(job.clone(), at);
        self.due.insert((at, job));
    }

    /// Takes the first job that is due.
    pub(crate) fn take(&mut self, now: Time) -> Option<Job> {
        if self.due.first()?.0 > now {
            return None;
        }
        let (_, job) = self.due.pop_first()?;
        self.at.remove(&job);
        Some(job)
    }

    /// When the next job is due.
    pub(crate) fn next(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(crate) fn succeeded(&mut self, job: &Job) {
        self.failures.remove(job);
    }

    /// Queues a failed job again: after 0.1 s, then twice as long each time, at most a minute.
    pub(crate) fn failed(&mut self, job: Job, now: Time) {
        let failures = self.failures.entry(job.clone()).or_default();
        *failures = (*failures + 1).min(10);
        let pause = Duration::from_millis(100 << (*failures - 1)).min(Duration::from_secs(60));
        self.add(job, now + pause);
    }

    /// Whether a job's last run has failed.
    pub(crate) fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(key: &str) -> Job {
        (0, Scope::new("1", "r"), key.to_owned())
    }

    #[test]
    fn a_job_is_queued_once_and_the_earlier_time_wins() {
        let mut queue = Queue::default();
        queue.add(job("a"), Time(20));
        queue.add(job("a"), Time(10));
        queue.add(job("a"), Time(30));
        assert_eq!(queue.next(), Some(Time(10)));
        assert_eq!(queue.take(Time(9)), None);
        assert_eq!(queue.take(Time(10)), Some(job("a")));
        assert_eq!(queue.take(Time(100)), None);
    }

    #[test]
    fn pauses_after_failures_grow_and_end_with_a_success() {
        let mut queue = Queue::default();
        let mut pauses = Vec::new();
        for _ in 0..12 {
            queue.failed(job("a"), Time(0));
            pauses.push(queue.next().unwrap().0 / 1000);
            queue.take(Time(i64::MAX));
        }
        assert_eq!(pauses[..4], [100, 200, 400, 800]);
        assert_eq!(pauses[11], 51_200);
        queue.succeeded(&job("a"));
        queue.failed(job("a"), Time(0));
        assert_eq!(queue.next().unwrap().0 / 1000, 100);
    }
}
