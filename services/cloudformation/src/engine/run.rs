//! One pass over one operation: loaded, stepped, saved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use zonal_cloud::{Tx, Wake, ids};
use zonal_wire::{AwsError, Time};

use super::events::{self, Subject};
use super::{Interrupt, Parsed, StackScope};
use crate::model::{
    Deployment, Operation, OperationKind, Phase, ResourceStatus, Stack, StackResource, StackStatus, TemplateText,
    Thing, Work,
};
use crate::secrets::Secrets;
use crate::template::{Template, TemplateError};
use crate::types::{self, Context, Failure};

/// How long a resource may take to become ready, changed or gone.
pub(super) const PATIENCE: Duration = Duration::from_secs(1800);
/// How long a thing that something else holds is tried to be deleted.
pub(super) const HELD: Duration = Duration::from_secs(300);

/// An operation under way, in memory for one pass.
pub struct Run<'a, 't> {
    pub(super) tx: &'a mut Tx<'t>,
    pub(super) stack: Stack,
    pub(super) operation: Operation,
    pub(super) resources: BTreeMap<String, StackResource>,
    pub(super) interrupt: &'a Interrupt,
    parsed: &'a Parsed,
    loaded: (Stack, Operation, BTreeMap<String, StackResource>),
}

impl<'a, 't> Run<'a, 't> {
    /// Loads what is under way on a stack; `None` where nothing is.
    ///
    /// # Errors
    /// An operation without its stack, which never is.
    pub fn load(
        tx: &'a mut Tx<'t>,
        key: &str,
        interrupt: &'a Interrupt,
        parsed: &'a Parsed,
    ) -> Result<Option<Self>, AwsError> {
        let Some(operation) = tx.get::<Operation>(key).cloned() else { return Ok(None) };
        let stack = tx.get::<Stack>(key).cloned();
        let stack = stack.ok_or_else(|| AwsError::internal(format!("an operation is under way on no stack: {key}")))?;
        let resources = resources_of(tx, key);
        let loaded = (stack.clone(), operation.clone(), resources.clone());
        Ok(Some(Run { tx, stack, operation, resources, interrupt, parsed, loaded }))
    }

    /// Takes every step that can be taken now.
    pub fn step(&mut self) {
        match self.operation.phase {
            Phase::Forward => self.forward(),
            Phase::Restore => self.restore(),
            Phase::Cleanup { end, failed } => self.cleanup(end, failed),
        }
    }

    /// Stores what changed.
    ///
    /// # Returns
    /// When to step again: at once where this pass moved something, else on change or at the operation's deadline.
    pub fn save(self) -> Wake {
        let deadline = self.deadline_of();
        let (stack, operation, resources) = self.loaded;
        let moved = (&stack, &operation, &resources) != (&self.stack, &self.operation, &self.resources);
        let finished = !is_in_progress(self.stack.status);
        for (id, resource) in &self.resources {
            if resources.get(id) != Some(resource) {
                self.tx.put(resource.clone());
            }
        }
        for resource in resources.values().filter(|resource| !self.resources.contains_key(&resource.logical_id)) {
            self.tx.remove::<StackResource>(&StackResource::key_of(&stack.id, &resource.logical_id));
        }
        self.tx.put(self.stack);
        if finished {
            self.tx.remove::<Operation>(&operation.stack);
            self.parsed.forget(&stack.id);
            return Wake::OnChange;
        }
        self.tx.put(self.operation);
        match (moved, deadline) {
            (true, _) => Wake::At(self.tx.now),
            (false, Some(at)) => Wake::At(at),
            (false, None) => Wake::OnChange,
        }
    }

    /// When patience ends with something that is waited for, if nothing changes before.
    fn deadline_of(&self) -> Option<Time> {
        let working = self.resources.values().filter(|resource| resource.work != Work::Idle);
        let working = working.map(|resource| resource.since + patience(resource));
        let things = self.resources.values().flat_map(|resource| {
            resource.thing.iter().chain(&resource.before).chain(&resource.old).filter_map(|thing| thing.deleting)
        });
        let deleting = things.flat_map(|began| [began + HELD, began + PATIENCE]);
        working
            .chain(deleting)
            .chain(self.creation_deadline())
            .chain(self.monitoring_deadline())
            .chain(self.roll_deadline())
            .filter(|at| *at > self.tx.now)
            .min()
    }

    /// When the creation has taken too long, if that was asked for.
    pub(super) fn creation_deadline(&self) -> Option<Time> {
        let minutes = u64::try_from(self.stack.timeout_minutes?).ok()?;
        let creates = self.operation.kind == OperationKind::Create && self.operation.phase == Phase::Forward;
        // Once all is there, it is only watched.
        (creates && self.operation.monitoring.is_none())
            .then(|| self.operation.started + Duration::from_secs(60 * minutes))
    }

    /// The template that the stack is being brought to.
    pub(super) fn template(&self) -> Result<(Arc<Template>, Deployment), TemplateError> {
        let target = self.operation.target.clone().ok_or_else(|| TemplateError::new("the operation has no target"))?;
        let text = self.tx.get::<TemplateText>(&TemplateText::key_of(&self.stack.id, target.text));
        let text = text.ok_or_else(|| TemplateError::new("the stack's template is gone"))?;
        let values = target.values(&self.tx.scope);
        Ok((self.parsed.read(&self.stack.id, &text.text, values)?, target))
    }

    /// Evaluates something in the scope of the resources as they are, and remembers what it imports.
    pub(super) fn evaluate<R>(
        &mut self,
        deployment: &Deployment,
        act: impl FnOnce(&StackScope<'_, '_>) -> Result<R, TemplateError>,
    ) -> Result<R, TemplateError> {
        let none = BTreeSet::new();
        let scope = StackScope::new(self.tx, (&self.stack, deployment), &self.resources, &none, self.interrupt);
        let result = act(&scope);
        let imports = scope.into_imports();
        self.operation.imports.extend(imports);
        result
    }

    /// Does something for a resource by its type; undone where it fails.
    pub(super) fn with_type<R>(
        &mut self,
        logical_id: &str,
        type_name: &str,
        act: impl FnOnce(&'static types::ResourceType, &mut Context<'_, '_>) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let known =
            types::named(type_name).ok_or_else(|| Failure::Unfit(format!("Unrecognized resource type {type_name}")))?;
        let token = ids::uuid(self.tx.chance());
        let none = BTreeMap::new();
        let deployment = self.operation.target.as_ref().or(self.stack.current.as_ref());
        let stack_tags = deployment.map_or(&none, |deployment| &deployment.tags);
        let (stack, interrupt) = (&self.stack, self.interrupt);
        self.tx.attempt(|tx| {
            let mut cx =
                Context { tx, stack_name: &stack.name, stack_id: &stack.id, logical_id, stack_tags, token, interrupt };
            act(known, &mut cx)
        })
    }

    /// Sets a resource's status, and records that as an event.
    pub(super) fn mark(&mut self, logical_id: &str, status: ResourceStatus, reason: Option<&str>) {
        let Some(resource) = self.resources.get_mut(logical_id) else { return };
        resource.status = status;
        resource.reason = reason.map(str::to_owned);
        resource.since = self.tx.now;
        let (type_name, thing) = (resource.type_name.clone(), resource.thing.clone());
        let properties = match (&resource.work, &thing) {
            (Work::Updating { to, .. }, _) => Some(to.clone()),
            (_, Some(thing)) => Some(thing.properties.clone()),
            (_, None) => None,
        };
        let properties = properties.map(|properties| self.masked(properties));
        let subject = Subject {
            logical_id,
            physical_id: thing.as_ref().map(|thing| thing.id.as_str()),
            type_name: &type_name,
            properties: properties.as_ref(),
        };
        events::of_resource(self.tx, &mut self.stack, self.operation.token.as_deref(), &subject, status, reason);
    }

    /// Properties as events show them: without the values of parameters that are not to be shown.
    fn masked(&self, properties: Value) -> Value {
        Secrets::of(&self.stack, self.operation.target.as_ref()).masked(properties)
    }

    /// Records an event of a thing that a resource was and is no more.
    pub(super) fn mark_old(&mut self, logical_id: &str, thing: &Thing, status: ResourceStatus, reason: Option<&str>) {
        let subject = Subject {
            logical_id,
            physical_id: Some(&thing.id),
            type_name: &thing.type_name,
            properties: Some(&self.masked(thing.properties.clone())),
        };
        events::of_resource(self.tx, &mut self.stack, self.operation.token.as_deref(), &subject, status, reason);
    }

    /// Sets the stack's status, and records that as an event.
    pub(super) fn status(&mut self, status: StackStatus, reason: Option<&str>) {
        let token = self.operation.token.clone();
        events::record(self.tx, &mut self.stack, token.as_deref(), status, reason);
    }

    /// The words for a failure, with ids of its own.
    pub(super) fn words(&mut self, failure: &Failure) -> String {
        let (request, token) = (ids::uuid(self.tx.chance()), ids::uuid(self.tx.chance()));
        failure.reason(&request, &token)
    }

    /// `The following resource(s) failed to WHAT: [A, B]. `
    pub(super) fn failed_reason(&self, what: &str) -> String {
        let created = |id: &&String| {
            let resource = self.resources.get(*id);
            what == "update" && resource.is_some_and(|resource| resource.status == ResourceStatus::CreateFailed)
        };
        let (created, other): (Vec<&String>, Vec<&String>) = self.operation.failed.iter().partition(created);
        // An update fails by what it could not create, too.
        let said = [("create", created), (what, other)].into_iter().filter(|(_, names)| !names.is_empty());
        said.map(|(what, names)| {
            let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
            format!("The following resource(s) failed to {what}: [{}]. ", names.join(", "))
        })
        .collect()
    }
}

/// How long what is being done to a resource may take.
pub(super) fn patience(resource: &StackResource) -> Duration {
    let thing = resource.thing.as_ref().filter(|_| resource.work == Work::Creating);
    let own = thing.and_then(|thing| types::named(&thing.type_name)?.handler.patience(&thing.properties));
    own.unwrap_or(PATIENCE)
}

/// A stack's resources by logical id.
pub fn resources_of(tx: &Tx<'_>, stack: &str) -> BTreeMap<String, StackResource> {
    tx.view()
        .starting::<StackResource>(StackResource::key_of(stack, ""))
        .map(|resource| (resource.logical_id.clone(), resource.clone()))
        .collect()
}

/// Whether something is under way in that status.
pub fn is_in_progress(status: StackStatus) -> bool {
    // Under review nothing is under way, though the name says so.
    status != StackStatus::ReviewInProgress && status.as_str().ends_with("IN_PROGRESS")
}
