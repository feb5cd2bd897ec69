//! The engine: brings stacks to where they are wanted, step by step, each step recorded with its effect.
//!
//! A step is one transaction: the calls of other services, what they made, and the events are kept together or not at all.
//! So a daemon killed between two steps goes on with the next, and never makes a thing twice or forgets one. A pass takes
//! all steps that can be taken now: resources that don't need each other are made side by side. What can't go on waits for
//! a change of anything in its account, which is what its things' services write when they go on.

mod cleanup;
mod events;
mod forward;
mod outputs;
pub mod plan;
mod restore;
mod rolling;
mod run;
mod scope;
mod signals;

use std::sync::Arc;

use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_wire::AwsError;

use crate::model::Operation;
pub use events::{Subject, of_resource as record_resource_event, record as record_event};
pub use outputs::{export_in_use as outputs_in_use, importers};
pub use run::{Run, is_in_progress};
pub use scope::StackScope;

/// Says of a call that it fails, by the operation's name. Tests fail each step once with it; a daemon's never does.
pub type Interrupt = dyn Fn(&str) -> Option<AwsError> + Send + Sync;

/// Drives the operations under way.
pub struct Engine {
    /// See [`Interrupt`].
    pub interrupt: Arc<Interrupt>,
}

impl Controller for Engine {
    fn name(&self) -> &'static str {
        "cloudformation.stacks"
    }

    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Operation>() {
            wake(&change.scope, &change.key);
        } else if !change.table.starts_with("cloudformation.") {
            // Global services' things live in no region: every operation of the account is looked at.
            for (scope, operation) in view.everywhere::<Operation>() {
                if scope.account == change.scope.account {
                    wake(scope, &operation.stack);
                }
            }
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        view.everywhere::<Operation>().for_each(|(scope, operation)| wake(scope, &operation.stack));
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        match Run::load(tx, key, &*self.interrupt)? {
            Some(mut run) => {
                run.step();
                Ok(run.save())
            }
            None => Ok(Wake::OnChange),
        }
    }
}
