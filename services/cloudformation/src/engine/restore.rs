//! Back: what an operation does that could not arrive.

use super::Run;
use crate::model::{OnFailure, OperationKind, Phase, ResourceStatus, StackStatus, Work};

impl Run<'_, '_> {
    /// Gives the operation up: what is under way stops, and what was done is undone, unless asked otherwise.
    pub(super) fn roll_back(&mut self, reason: Option<&str>) {
        let under_way: Vec<(String, bool)> = self
            .resources
            .values()
            .filter(|resource| resource.work != Work::Idle)
            .map(|resource| (resource.logical_id.clone(), resource.status == ResourceStatus::CreateInProgress))
            .collect();
        for (id, creating) in under_way {
            self.stop(&id, if creating { "Resource creation cancelled" } else { "Resource update cancelled" });
        }
        let creates = self.operation.kind == OperationKind::Create;
        let reason = match reason {
            Some(reason) => reason.to_owned(),
            None => self.failed_reason(if creates { "create" } else { "update" }),
        };
        match (creates, self.operation.keep_on_failure, self.stack.on_failure) {
            (true, true, _) | (true, _, OnFailure::DoNothing) => self.status(StackStatus::CreateFailed, Some(&reason)),
            (true, false, OnFailure::Delete) => {
                self.status(StackStatus::DeleteInProgress, Some(&format!("{reason}Delete requested by user.")));
                self.stack.deleted = Some(self.tx.now);
                self.doom_all(StackStatus::DeleteComplete, StackStatus::DeleteFailed);
            }
            (true, false, OnFailure::Rollback) => {
                self.status(StackStatus::RollbackInProgress, Some(&format!("{reason}Rollback requested by user.")));
                self.doom_all(StackStatus::RollbackComplete, StackStatus::RollbackFailed);
            }
            (false, true, _) => {
                self.stand_half_way();
                self.status(StackStatus::UpdateFailed, Some(&reason));
            }
            (false, false, _) => {
                self.status(StackStatus::UpdateRollbackInProgress, Some(&reason));
                self.operation.phase = Phase::Restore;
                self.operation.done.clear();
                self.operation.failed.clear();
            }
        }
    }

    /// The stack stays between what it was and the target, which is its template from now on.
    fn stand_half_way(&mut self) {
        let Some(target) = self.operation.target.clone() else { return };
        let Some(current) = self.stack.current.replace(target) else { return };
        match &self.stack.stable {
            None => self.stack.stable = Some(current),
            Some(_) => self.forget_text(Some(current.text)),
        }
    }

    /// Everything is to be deleted.
    pub(super) fn doom_all(&mut self, end: StackStatus, failed: StackStatus) {
        for resource in self.resources.values_mut() {
            resource.doomed = true;
            resource.work = Work::Idle;
        }
        self.operation.done.clear();
        self.operation.failed.clear();
        self.operation.phase = Phase::Cleanup { end, failed };
    }

    /// An update goes back: what it made is to be deleted, what it replaced is taken up again, what it changed is changed back.
    pub(super) fn restore(&mut self) {
        let under_way: Vec<String> = self
            .resources
            .values()
            .filter(|resource| resource.work != Work::Idle)
            .map(|resource| resource.logical_id.clone())
            .collect();
        for id in under_way {
            self.advance(&id);
        }
        if self.operation.failed.is_empty() {
            let waiting: Vec<String> =
                self.resources.keys().filter(|id| !self.operation.done.contains(*id)).cloned().collect();
            for id in waiting {
                self.restore_one(&id);
            }
        }
        let busy = self.resources.values().any(|resource| resource.work != Work::Idle);
        if !self.operation.failed.is_empty() && !busy {
            let reason = self.failed_reason("update");
            self.status(StackStatus::UpdateRollbackFailed, Some(&reason));
        } else if self.resources.keys().all(|id| self.operation.done.contains(id)) {
            self.restored();
        }
    }

    fn restore_one(&mut self, id: &str) {
        let Some(resource) = self.resources.get_mut(id) else { return };
        if resource.work != Work::Idle {
            return;
        }
        if resource.fresh {
            resource.doomed = true;
            self.operation.done.insert(id.to_owned());
            return;
        }
        if let Some(found) = resource.found.take() {
            resource.metadata = found.metadata;
            resource.policies = found.policies;
            if let Some(thing) = resource.thing.as_mut().filter(|_| resource.before.is_none()) {
                thing.retain = found.retain;
                thing.needs = found.needs;
            }
        }
        let Some(before) = resource.before.clone() else { return self.is_back(id) };
        if self.operation.skip.contains(id) && !resource.replaced {
            // It stays as it is, but for what becomes of it in the end: that is the old template's to say.
            if let Some(thing) = &mut resource.thing {
                thing.retain = before.retain;
            }
            resource.before = None;
            return self.is_back(id);
        }
        if resource.replaced {
            resource.replaced = false;
            resource.old.extend(resource.thing.replace(before));
            resource.before = None;
            self.operation.done.insert(id.to_owned());
            self.mark(id, ResourceStatus::UpdateComplete, None);
            return;
        }
        // What it needed then must be back before it is.
        if before.needs.iter().any(|need| self.resources.contains_key(need) && !self.operation.done.contains(need)) {
            return;
        }
        if let Some(resource) = self.resources.get_mut(id) {
            if let Some(thing) = &mut resource.thing {
                thing.retain = before.retain;
            }
            resource.work = Work::Updating { to: before.properties, needs: before.needs, tags: before.stack_tags };
        }
        self.mark(id, ResourceStatus::UpdateInProgress, None);
        self.advance(id);
    }

    /// Nothing is to be done for a resource: what failed is as it was.
    fn is_back(&mut self, id: &str) {
        self.operation.done.insert(id.to_owned());
        if self.resources.get(id).is_some_and(|resource| resource.status == ResourceStatus::UpdateFailed) {
            self.mark(id, ResourceStatus::UpdateComplete, None);
        }
    }

    fn restored(&mut self) {
        for resource in self.resources.values_mut() {
            resource.before = None;
            resource.found = None;
        }
        let text = self.operation.target.as_ref().map(|target| target.text);
        let kept = self.stack.current.as_ref().map(|deployment| deployment.text);
        self.forget_text(text.filter(|text| Some(*text) != kept));
        self.status(StackStatus::UpdateRollbackCompleteCleanupInProgress, None);
        self.operation.failed.clear();
        let end = StackStatus::UpdateRollbackComplete;
        self.operation.phase = Phase::Cleanup { end, failed: end };
    }
}
