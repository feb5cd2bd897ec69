//! What a resource waits for beside its service: signals, and the batches of a rolling update.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use zonal_wire::Time;

/// What a resource was told by SignalResource, and what it waits for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Signals {
    /// Whether it was a success, by the signal's unique id; the first of each id counts.
    pub received: BTreeMap<String, bool>,
    /// What is waited for.
    pub awaited: Option<Awaited>,
}

/// Signals that are waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Awaited {
    /// How many.
    pub count: u32,
    /// How many of a hundred must be of success.
    pub percent: u32,
    /// Until when.
    pub until: Time,
}

impl Awaited {
    /// The least number of successes that is as many of a hundred as wanted.
    pub fn least(&self) -> u32 {
        let least = (u64::from(self.count) * u64::from(self.percent)).div_ceil(100);
        u32::try_from(least).unwrap_or(u32::MAX)
    }
}

/// A rolling update under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Roll {
    /// How many instances it replaces.
    pub total: u32,
    /// How many are replaced.
    pub done: u32,
    /// How many of the new ones failed.
    pub failures: u32,
    /// The instances that leave now.
    pub batch: BTreeSet<String>,
    /// The group's least size, which it gets back.
    pub min: i64,
    /// Its desired size, which it gets back.
    pub desired: i64,
    /// The processes that it suspended.
    #[serde(default)]
    pub suspended: Vec<String>,
    /// What is waited for.
    pub stage: RollStage,
}

/// What a rolling update waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RollStage {
    /// The batch to be gone and the new instances to serve.
    Swapping {
        /// How many are new.
        added: u32,
    },
    /// Signals of the new ones.
    Hearing,
    /// Time to pass.
    Resting {
        /// Until when.
        until: Time,
    },
    /// Nothing any more: it broke off, and the group is to get back its sizes and processes.
    Ending,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successes_are_counted_up_and_of_any_number() {
        let least = |count, percent| Awaited { count, percent, until: Time::from_secs(0) }.least();
        assert_eq!((least(3, 50), least(3, 0), least(1, 100), least(u32::MAX, 100)), (2, 0, 1, u32::MAX));
    }
}
