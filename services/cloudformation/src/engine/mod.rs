//! The engine: brings stacks to where they are wanted, step by step, each step recorded with its effect.
//!
//! A step is one transaction: the calls of other services, what they made, and the events are kept together or not at all.
//! So a daemon killed between two steps goes on with the next, and never makes a thing twice or forgets one. A pass takes
//! all steps that can be taken now: resources that don't need each other are made side by side. What can't go on waits for
//! a change of what its things' services write when they go on.

mod cleanup;
mod discard;
mod events;
mod forward;
mod outputs;
mod parsed;
pub mod plan;
mod restore;
mod retention;
mod rolling;
mod run;
mod scope;
mod signals;
mod triggers;

use std::sync::Arc;

use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_wire::AwsError;

use crate::model::Operation;
pub use events::{Subject, of_resource as record_resource_event, record as record_event};
pub use outputs::{export_in_use as outputs_in_use, importers};
pub use parsed::Parsed;
pub use retention::Retention;
pub use run::{Run, is_in_progress};
pub use scope::StackScope;

/// Says of a call that it fails, by the operation's name. Tests fail each step once with it; a daemon's never does.
pub type Interrupt = dyn Fn(&str) -> Option<AwsError> + Send + Sync;

/// Drives the operations under way.
pub struct Engine {
    interrupt: Arc<Interrupt>,
    parsed: Parsed,
}

impl Engine {
    /// An engine of which calls fail when told to: see [`Interrupt`].
    pub fn new(interrupt: Arc<Interrupt>) -> Self {
        Engine { interrupt, parsed: Parsed::default() }
    }
}

impl Controller for Engine {
    fn name(&self) -> &'static str {
        "cloudformation.stacks"
    }

    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Operation>() {
            wake(&change.scope, &change.key);
        } else if is_waited_for(change.table) || ALARMS.contains(&change.table) {
            // Global services' things live in no region: every operation of the account is looked at.
            let global = &*change.scope.region == Scope::GLOBAL;
            let alarm = ALARMS.contains(&change.table);
            for (scope, operation) in view.everywhere::<Operation>() {
                if alarm && !operation.triggered {
                    continue;
                }
                if scope.account == change.scope.account && (global || scope.region == change.scope.region) {
                    wake(scope, &operation.stack);
                }
            }
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        view.everywhere::<Operation>().for_each(|(scope, operation)| wake(scope, &operation.stack));
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        match Run::load(tx, key, &*self.interrupt, &self.parsed)? {
            Some(mut run) => {
                run.step();
                Ok(run.save())
            }
            None => Ok(Wake::OnChange),
        }
    }
}

/// What changes of alarms are told by: they wake operations that watch some.
const ALARMS: [&str; 2] = ["cloudwatch.alarm", "cloudwatch.composite"];

/// Whether a table has what some type waits for: that a thing becomes ready or goes, or that what holds it goes. Points,
/// health and histories, which change all the time, are not among them.
fn is_waited_for(table: &str) -> bool {
    const SERVICES: [&str; 2] = ["ec2.", "autoscaling."];
    const TABLES: [&str; 8] = [
        "acm.request",
        "cloudformation.wait_handle",
        "elbv2.load_balancer",
        "elbv2.listener",
        "elbv2.rule",
        "elbv2.target_group",
        "route53.hosted_zone",
        "route53.record_set",
    ];
    SERVICES.iter().any(|service| table.starts_with(service)) || TABLES.contains(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_all_the_time_wakes_no_operation() {
        for table in
            ["cloudwatch.points", "cloudwatch.metric", "elbv2.target_health", "route53.health_check", "ssm.parameter"]
        {
            assert!(!is_waited_for(table), "{table}");
        }
        for table in ["ec2.instance", "ec2.network_interface", "autoscaling.activity", "elbv2.load_balancer"] {
            assert!(is_waited_for(table), "{table}");
        }
    }
}
