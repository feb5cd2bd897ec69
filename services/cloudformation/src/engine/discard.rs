//! Again: what an operation without rollback failed to create goes before another is made in its place.
//!
//! Reference: "Choose how to handle failures when provisioning resources".

use zonal_wire::Time;

use super::Run;
use super::run::{HELD, PATIENCE};
use crate::model::ResourceStatus;
use crate::types::{Failure, Progress};

impl Run<'_, '_> {
    /// Deletes what an earlier operation left of a resource that it failed to create, before that is tried again.
    ///
    /// # Returns
    /// Whether nothing of the kind is left.
    pub(super) fn is_discarded(&mut self, id: &str) -> bool {
        use ResourceStatus::{CreateFailed, DeleteFailed, DeleteInProgress};
        let Some(resource) = self.resources.get(id) else { return true };
        let left = matches!(resource.status, CreateFailed | DeleteInProgress | DeleteFailed);
        let Some(thing) = resource.thing.clone().filter(|_| left) else { return true };
        let began = thing.deleting.unwrap_or(self.tx.now);
        if thing.deleting.is_none() {
            self.set_deleting(id, Some(began));
            self.mark(id, DeleteInProgress, None);
        }
        let deleted =
            self.with_type(id, &thing.type_name, |known, cx| known.handler.delete(cx, &thing.id, &thing.properties));
        let failure = match deleted {
            Ok(Progress::Done) => {
                self.mark(id, ResourceStatus::DeleteComplete, None);
                if let Some(resource) = self.resources.get_mut(id) {
                    resource.thing = None;
                }
                return true;
            }
            Ok(Progress::Waiting) if self.tx.now < began + PATIENCE => return false,
            Ok(Progress::Waiting) => Failure::overdue(),
            Ok(Progress::Held(_)) if self.tx.now < began + HELD => return false,
            Ok(Progress::Held(failure)) | Err(failure) => failure,
        };
        let words = self.words(&failure);
        self.set_deleting(id, None);
        self.mark(id, DeleteFailed, Some(&words));
        self.operation.failed.insert(id.to_owned());
        false
    }

    fn set_deleting(&mut self, id: &str, began: Option<Time>) {
        if let Some(thing) = self.resources.get_mut(id).and_then(|resource| resource.thing.as_mut()) {
            thing.deleting = began;
        }
    }
}
