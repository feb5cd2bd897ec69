//! Signals: what a resource waits for beside its service, and what it was told by SignalResource.

use std::time::Duration;

use zonal_wire::Time;

use super::Run;
use crate::attributes::Creation;
use crate::model::{Awaited, Signals};

/// What came of waiting for signals.
pub(super) enum Heard {
    /// All that were wanted, or nothing was.
    Enough,
    /// Some may still come.
    Waiting,
    /// Too many failed or never came, in these words.
    Failed(String),
}

impl Signals {
    /// None received, those of a policy awaited from `now` on.
    pub fn awaiting(creation: Option<&Creation>, now: Time) -> Self {
        let awaited = creation.map(|creation| Awaited {
            count: creation.count,
            percent: creation.percent,
            until: now + Duration::from_secs(creation.seconds),
        });
        Signals { received: Default::default(), awaited }
    }

    /// How many of one kind were received.
    pub fn count(&self, success: bool) -> u32 {
        let all = self.received.values().filter(|received| **received == success).count();
        u32::try_from(all).unwrap_or(u32::MAX)
    }
}

impl Run<'_, '_> {
    /// Whether a new resource has the signals that its creation policy wants.
    pub(super) fn heard(&self, logical_id: &str) -> Heard {
        let Some(resource) = self.resources.get(logical_id) else { return Heard::Enough };
        let Some(awaited) = &resource.signals.awaited else { return Heard::Enough };
        let (good, bad) = (resource.signals.count(true), resource.signals.count(false));
        let least = awaited.least();
        if bad > awaited.count - least.min(awaited.count) {
            return Heard::Failed(match resource.type_name.as_str() {
                "AWS::AutoScaling::AutoScalingGroup" => unsatisfied(bad, awaited.count, awaited.percent),
                _ => {
                    let failed = resource.signals.received.iter().find(|(_, success)| !**success);
                    let id = failed.map_or("", |(id, _)| id.as_str());
                    format!("Received FAILURE signal with UniqueId {id}")
                }
            });
        }
        if good + bad >= awaited.count {
            Heard::Enough
        } else if self.tx.now < awaited.until {
            Heard::Waiting
        } else if good >= least {
            Heard::Enough
        } else {
            let missing = awaited.count - good - bad;
            Heard::Failed(format!("Failed to receive {missing} resource signal(s) within the specified duration"))
        }
    }
}

/// The sentence for too many failures.
pub(super) fn unsatisfied(failures: u32, of: u32, percent: u32) -> String {
    format!(
        "Received {failures} FAILURE signal(s) out of {of}. Unable to satisfy {percent}% MinSuccessfulInstancesPercent requirement"
    )
}
