//! Deletion: what is no longer wanted goes, each before what it needed.

use std::collections::BTreeSet;

use super::Run;
use super::run::{HELD, PATIENCE};
use crate::model::{OperationKind, ResourceStatus, StackResource, StackStatus, Thing};
use crate::types::{Failure, Progress};

/// Something to be deleted.
struct Candidate {
    logical_id: String,
    thing: Thing,
    /// Whether it is what the resource is now, or what it was.
    current: bool,
}

impl Run<'_, '_> {
    pub(super) fn cleanup(&mut self, end: StackStatus, failed: StackStatus) {
        self.drop_empty();
        let candidates = self.candidates();
        for candidate in &candidates {
            let held = candidates.iter().any(|other| {
                other.logical_id != candidate.logical_id && other.thing.needs.contains(&candidate.logical_id)
            });
            if !held && !self.operation.failed.contains(&candidate.logical_id) {
                self.delete_one(candidate);
            }
        }
        let left = self.candidates();
        if self.is_over(&left) {
            self.end_cleanup(end, failed);
        }
    }

    /// Whether nothing can go on: nothing is left, or all that is left failed or is needed by what failed.
    fn is_over(&self, left: &[Candidate]) -> bool {
        let mut stuck: BTreeSet<&str> = self.operation.failed.iter().map(String::as_str).collect();
        loop {
            let before = stuck.len();
            for candidate in
                left.iter().filter(|candidate| stuck.contains(candidate.logical_id.as_str())).collect::<Vec<_>>()
            {
                stuck.extend(candidate.thing.needs.iter().map(String::as_str));
            }
            if stuck.len() == before {
                break;
            }
        }
        left.iter().all(|candidate| stuck.contains(candidate.logical_id.as_str()))
    }

    /// Resources that never came to anything are gone at once.
    fn drop_empty(&mut self) {
        let empty: Vec<String> = self
            .resources
            .values()
            .filter(|resource| {
                resource.doomed && resource.thing.is_none() && resource.status != ResourceStatus::DeleteComplete
            })
            .filter(|resource| resource.status != ResourceStatus::DeleteSkipped)
            .map(|resource| resource.logical_id.clone())
            .collect();
        for id in empty {
            self.mark(&id, ResourceStatus::DeleteComplete, None);
        }
    }

    fn candidates(&self) -> Vec<Candidate> {
        let of = |resource: &StackResource, thing: &Thing, current| Candidate {
            logical_id: resource.logical_id.clone(),
            thing: thing.clone(),
            current,
        };
        self.resources
            .values()
            .flat_map(|resource| {
                let current = resource.thing.iter().filter(|_| resource.doomed).map(|thing| of(resource, thing, true));
                // What a replacement left behind goes too when everything does, and on its own otherwise.
                let before = resource
                    .before
                    .iter()
                    .filter(|_| resource.doomed && resource.replaced)
                    .map(|thing| of(resource, thing, false));
                let old = resource.old.iter().map(|thing| of(resource, thing, false));
                current.chain(before).chain(old).collect::<Vec<_>>()
            })
            .collect()
    }

    fn delete_one(&mut self, candidate: &Candidate) {
        let (id, thing) = (&candidate.logical_id, &candidate.thing);
        if self.is_kept(candidate) {
            self.note(candidate, ResourceStatus::DeleteSkipped, None);
            return self.gone(candidate, ResourceStatus::DeleteSkipped);
        }
        let began = match thing.deleting {
            Some(began) => began,
            None => {
                self.change(candidate, |thing, now| thing.deleting = Some(now));
                self.note(candidate, ResourceStatus::DeleteInProgress, None);
                self.tx.now
            }
        };
        let result =
            self.with_type(id, &thing.type_name, |known, cx| known.handler.delete(cx, &thing.id, &thing.properties));
        let failure = match result {
            Ok(Progress::Done) => {
                self.note(candidate, ResourceStatus::DeleteComplete, None);
                return self.gone(candidate, ResourceStatus::DeleteComplete);
            }
            Ok(Progress::Waiting) if self.tx.now < began + PATIENCE => return,
            Ok(Progress::Waiting) => Failure::overdue(),
            Ok(Progress::Held(_)) if self.tx.now < began + HELD => return,
            Ok(Progress::Held(failure)) | Err(failure) => failure,
        };
        let words = self.words(&failure);
        if self.operation.forced {
            self.note(candidate, ResourceStatus::DeleteSkipped, Some(&words));
            return self.gone(candidate, ResourceStatus::DeleteSkipped);
        }
        self.change(candidate, |thing, _| thing.deleting = None);
        self.note(candidate, ResourceStatus::DeleteFailed, Some(&words));
        self.operation.failed.insert(id.clone());
    }

    fn is_kept(&self, candidate: &Candidate) -> bool {
        let retain = candidate.thing.retain;
        if self.operation.skip.contains(&candidate.logical_id) {
            return true;
        }
        match (candidate.current, self.operation.kind) {
            (false, _) => retain.on_replace,
            // What a failed operation made goes with it; `Retain` keeps it all the same, `RetainExceptOnCreate` does not.
            (true, OperationKind::Create) => {
                retain.on_delete && !retain.except_on_create && !self.operation.retain_except_on_create
            }
            (true, OperationKind::Update) => {
                let fresh = self.resources.get(&candidate.logical_id).is_some_and(|resource| resource.fresh);
                retain.on_delete && !(fresh && (retain.except_on_create || self.operation.retain_except_on_create))
            }
            (true, OperationKind::Delete) => retain.on_delete,
        }
    }

    /// Records an event, on the resource itself where it is the resource that goes.
    fn note(&mut self, candidate: &Candidate, status: ResourceStatus, reason: Option<&str>) {
        if candidate.current {
            self.mark(&candidate.logical_id, status, reason);
        } else {
            self.mark_old(&candidate.logical_id, &candidate.thing, status, reason);
        }
    }

    fn change(&mut self, candidate: &Candidate, change: impl Fn(&mut Thing, zonal_wire::Time)) {
        let now = self.tx.now;
        if let Some(resource) = self.resources.get_mut(&candidate.logical_id) {
            let all = resource.thing.iter_mut().chain(&mut resource.before).chain(&mut resource.old);
            all.filter(|thing| thing.id == candidate.thing.id).for_each(|thing| change(thing, now));
        }
    }

    fn gone(&mut self, candidate: &Candidate, status: ResourceStatus) {
        let Some(resource) = self.resources.get_mut(&candidate.logical_id) else { return };
        if candidate.current {
            resource.thing = None;
            resource.status = status;
        } else {
            resource.old.retain(|thing| thing.id != candidate.thing.id);
            if resource.before.as_ref().is_some_and(|thing| thing.id == candidate.thing.id) {
                resource.before = None;
                resource.replaced = false;
            }
        }
    }

    fn end_cleanup(&mut self, end: StackStatus, failed: StackStatus) {
        let failures = !self.operation.failed.is_empty();
        let reason = failures.then(|| self.failed_reason("delete"));
        if self.operation.kind == OperationKind::Update {
            // What could not be deleted has left the stack all the same.
            self.resources.retain(|_, resource| !resource.doomed);
            self.resources.values_mut().for_each(|resource| resource.old.clear());
        }
        if end == StackStatus::DeleteComplete && !failures {
            self.unpublish();
        }
        if self.operation.kind == OperationKind::Update {
            // Nothing is left that has another's values.
            self.stack.hide_no_more();
        }
        self.status(if failures { failed } else { end }, reason.as_deref());
    }
}
