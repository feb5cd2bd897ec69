//! Rollback triggers: alarms that an operation gives up by, while it is under way and for as long after as was asked for.
//!
//! Reference: "Roll back your CloudFormation stack on alarm breach with rollback triggers".

use std::time::Duration;

use serde_json::{Value, json};
use zonal_wire::Time;

use super::Run;
use crate::model::Phase;

impl Run<'_, '_> {
    /// Why the operation is to be given up: a trigger's alarm is in ALARM, or there is no such alarm.
    pub(super) fn triggered(&mut self) -> Option<String> {
        let triggers = self.stack.rollback.triggers.clone();
        triggers.iter().find_map(|trigger| {
            let state = self.state_of(&trigger.arn);
            match state.as_deref() {
                Some("ALARM") => Some(format!("Rollback trigger {} is in ALARM state. ", trigger.arn)),
                Some(_) => None,
                None => Some(format!("Rollback trigger {} does not exist. ", trigger.arn)),
            }
        })
    }

    /// An alarm's state; none where there is no such alarm.
    fn state_of(&mut self, arn: &str) -> Option<String> {
        let (_, name) = arn.split_once(":alarm:")?;
        let input = json!({"AlarmNames": [name], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]});
        let found = self.tx.call_json("cloudwatch", "DescribeAlarms", &input).ok()?;
        let alarms =
            ["MetricAlarms", "CompositeAlarms"].into_iter().filter_map(|list| found[list].as_array()).flatten();
        let alarm = alarms.into_iter().find(|alarm| alarm["AlarmArn"] == arn)?;
        alarm.get("StateValue").and_then(Value::as_str).map(str::to_owned)
    }

    /// Whether the triggers were looked at for as long as was asked for, once everything is as wanted.
    pub(super) fn is_monitored(&mut self) -> bool {
        let minutes = u64::from(self.stack.rollback.minutes);
        if minutes == 0 {
            return true;
        }
        let now = self.tx.now;
        let until = *self.operation.monitoring.get_or_insert(now + Duration::from_secs(60 * minutes));
        now >= until
    }

    /// When that ends.
    pub(super) fn monitoring_deadline(&self) -> Option<Time> {
        self.operation.monitoring.filter(|_| self.operation.phase == Phase::Forward)
    }
}
