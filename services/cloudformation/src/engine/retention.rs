//! Deleted stacks are forgotten, with their events and templates, when AWS forgets them: after 90 days.
//!
//! Reference: ListStacks ("Summary information for stacks that have been deleted is kept for 90 days after the stack is
//! deleted").

use std::time::Duration;

use zonal_cloud::{Change, Controller, Record, Scope, Tx, View, Wake};
use zonal_wire::AwsError;

use crate::drift::Detection;
use crate::model::{Stack, StackEvent, StackResource, StackStatus, TemplateText};

/// How long a deleted stack is kept.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// The controller; a key is a stack's.
pub struct Retention;

impl Controller for Retention {
    fn name(&self) -> &'static str {
        "cloudformation.retention"
    }

    fn wakes_on(&self, change: &Change, _: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Stack>() {
            wake(&change.scope, &change.key);
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        view.everywhere::<Stack>().for_each(|(scope, stack)| wake(scope, &stack.id));
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let gone = tx.get::<Stack>(key).filter(|stack| stack.status == StackStatus::DeleteComplete);
        let Some(deleted) = gone.and_then(|stack| stack.deleted) else { return Ok(Wake::OnChange) };
        if tx.now < deleted + KEPT {
            return Ok(Wake::At(deleted + KEPT));
        }
        forget::<StackEvent>(tx, StackEvent::prefix_of(key));
        forget::<StackResource>(tx, StackResource::key_of(key, ""));
        let detections: Vec<String> =
            tx.list::<Detection>().filter(|found| found.stack == key).map(|found| found.id.clone()).collect();
        detections.iter().for_each(|id| tx.remove::<Detection>(id));
        forget::<TemplateText>(tx, TemplateText::prefix_of(key));
        tx.remove::<Stack>(key);
        Ok(Wake::OnChange)
    }
}

/// Removes every record whose key begins so.
fn forget<T: Record>(tx: &mut Tx<'_>, prefix: String) {
    let keys: Vec<String> = tx.view().starting::<T>(prefix).map(|record| record.key().to_owned()).collect();
    for key in keys {
        tx.remove::<T>(&key);
    }
}
