//! Forward: each resource is created, changed or replaced once all that it needs is as the target wants it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::Run;
use super::run::patience;
use super::signals::Heard;
use crate::model::{
    OperationKind, Phase, ResourceStatus, Retain, RollStage, Signals, StackResource, StackStatus, Thing, Work,
};
use crate::stack_policy::{self, Act};
use crate::template::{Policy, Resource, Template, TemplateError, graph};
use crate::types::{self, Progress, schema};

/// The target, evaluated as far as it can be before its resources are.
struct Target {
    template: Arc<Template>,
    deployment: crate::model::Deployment,
    conditions: BTreeMap<String, bool>,
    needs: BTreeMap<String, BTreeSet<String>>,
}

/// What becomes of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Keep,
    Create,
    Update,
    Replace,
}

impl Run<'_, '_> {
    pub(super) fn forward(&mut self) {
        let target = match self.target() {
            Ok(target) => target,
            Err(error) => return self.roll_back(Some(&error.to_string())),
        };
        if self.operation.cancelled {
            return self.roll_back(Some("User Initiated"));
        }
        if let Some(reason) = self.triggered() {
            return self.roll_back(Some(&reason));
        }
        self.go_on();
        if self.operation.failed.is_empty() {
            self.start_ready(&target);
        }
        if !self.operation.failed.is_empty() {
            self.roll_back(None);
        } else if self.creation_deadline().is_some_and(|deadline| deadline <= self.tx.now) {
            self.roll_back(Some("Stack creation time exceeded the specified timeout. "));
        } else if target.needs.keys().all(|id| self.operation.done.contains(id)) && self.is_monitored() {
            self.arrive(&target);
        }
    }

    fn target(&mut self) -> Result<Target, TemplateError> {
        let (template, deployment) = self.template()?;
        let conditions = self.evaluate(&deployment, |scope| scope.conditions(&template))?;
        let needs = graph::dependencies(&template, Some(&conditions))?.needs;
        Ok(Target { template, deployment, conditions, needs })
    }

    /// Looks at what is under way.
    fn go_on(&mut self) {
        let under_way: Vec<String> = self
            .resources
            .values()
            .filter(|resource| resource.work != Work::Idle)
            .map(|resource| resource.logical_id.clone())
            .collect();
        for id in under_way {
            self.advance(&id);
        }
    }

    /// Takes the next step of a resource's work, and marks where it ends.
    pub(super) fn advance(&mut self, logical_id: &str) {
        let Some(resource) = self.resources.get(logical_id).cloned() else { return };
        let Some(thing) = resource.thing.clone() else { return };
        match resource.work.clone() {
            Work::Idle => {}
            Work::Creating => {
                let result = self.with_type(logical_id, &thing.type_name, |known, cx| {
                    known.handler.settle(cx, &thing.id, &thing.properties)
                });
                match result {
                    Ok(Progress::Done) => match self.heard(logical_id) {
                        Heard::Enough => {
                            self.complete(logical_id, (thing.id, thing.properties), thing.needs, thing.stack_tags)
                        }
                        Heard::Waiting => {}
                        Heard::Failed(words) => self.fail_with(logical_id, &words),
                    },
                    Ok(Progress::Waiting | Progress::Held(_)) => self.wait(logical_id),
                    Err(failure) => self.fail(logical_id, &failure),
                }
            }
            Work::Updating { to, needs, tags } => {
                let updated = match &resource.roll {
                    // What an earlier update broke off must be over before another begins.
                    Some(roll) if roll.stage == RollStage::Ending => match self.end_roll(logical_id) {
                        Ok(()) => self.bring(logical_id, &resource, &thing, (&to, &tags)),
                        Err(failure) => Err(failure),
                    },
                    // Its properties are what they should be; its instances are on their way.
                    Some(_) => Ok((Progress::Done, thing.id.clone())),
                    None => self.bring(logical_id, &resource, &thing, (&to, &tags)),
                };
                let result = match updated {
                    Ok((Progress::Done, id)) => self.roll(logical_id).map(|progress| (progress, id)),
                    other => other,
                };
                match result {
                    Ok((Progress::Done, id)) => self.complete(logical_id, (id, to), needs, tags),
                    // Signals and pauses end by themselves, when the policy says.
                    Ok((Progress::Waiting, _)) if self.is_pausing(logical_id) => {}
                    Ok((Progress::Waiting | Progress::Held(_), _)) => self.wait(logical_id),
                    Err(failure) => self.fail(logical_id, &failure),
                }
            }
        }
    }

    /// Has the type's handler bring a thing to other properties.
    fn bring(
        &mut self,
        logical_id: &str,
        resource: &StackResource,
        thing: &Thing,
        (to, tags): (&Value, &BTreeMap<String, String>),
    ) -> Result<(Progress, String), types::Failure> {
        let mut id = thing.id.clone();
        let old = resource.attempted.as_ref().unwrap_or(&thing.properties);
        let keeps_sizes = resource.policies.keeps_sizes;
        self.with_type(logical_id, &thing.type_name, |known, cx| {
            let (mut old, mut new) = (known.with_stack_tags(old, &thing.stack_tags), known.with_stack_tags(to, tags));
            if keeps_sizes {
                same_sizes_left_out(&mut old, &mut new);
            }
            let progress = known.handler.update(cx, &mut id, &old, &new)?;
            Ok((progress, id))
        })
    }

    /// Waits on, unless it has taken too long since it last got on.
    fn wait(&mut self, logical_id: &str) {
        let Some(resource) = self.resources.get(logical_id) else { return };
        if self.tx.now < resource.since + patience(resource) {
            return;
        }
        let failure = match resource.thing.clone().filter(|_| resource.work == Work::Creating) {
            Some(thing) => self
                .with_type(logical_id, &thing.type_name, |known, cx| Ok(known.handler.overdue(cx, &thing.properties)))
                .unwrap_or_else(|failure| failure),
            None => types::Failure::overdue(),
        };
        self.fail(logical_id, &failure);
    }

    fn complete(
        &mut self,
        logical_id: &str,
        (id, properties): (String, Value),
        needs: BTreeSet<String>,
        stack_tags: BTreeMap<String, String>,
    ) {
        let was = self.resources.get(logical_id).map(|resource| resource.status);
        if let Some(resource) = self.resources.get_mut(logical_id) {
            resource.work = Work::Idle;
            resource.attempted = None;
            resource.drift = None;
            if let Some(thing) = resource.thing.take() {
                resource.thing = Some(Thing { id, properties, needs, stack_tags, ..thing });
            }
        }
        self.operation.done.insert(logical_id.to_owned());
        let status = match was {
            Some(ResourceStatus::CreateInProgress) => ResourceStatus::CreateComplete,
            _ => ResourceStatus::UpdateComplete,
        };
        self.mark(logical_id, status, None);
    }

    pub(super) fn fail(&mut self, logical_id: &str, failure: &types::Failure) {
        let words = self.words(failure);
        self.fail_with(logical_id, &words);
    }

    fn fail_with(&mut self, logical_id: &str, words: &str) {
        self.stop(logical_id, words);
        self.operation.failed.insert(logical_id.to_owned());
    }

    /// Ends a resource's work where it is.
    pub(super) fn stop(&mut self, logical_id: &str, words: &str) {
        let rolled = self.break_off_roll(logical_id);
        let Some(resource) = self.resources.get_mut(logical_id) else { return };
        let known = resource.thing.as_ref().and_then(|thing| types::named(&thing.type_name));
        let is_begun = rolled || known.is_some_and(|known| known.handler.is_stepwise());
        // What fails whole leaves the thing as it was: as an earlier update left it, if that broke off.
        if let Work::Updating { to, .. } = std::mem::replace(&mut resource.work, Work::Idle)
            && is_begun
        {
            resource.attempted = Some(to);
        }
        let status = match resource.status {
            ResourceStatus::CreateInProgress => ResourceStatus::CreateFailed,
            _ => ResourceStatus::UpdateFailed,
        };
        self.mark(logical_id, status, Some(words));
    }

    /// Starts every resource whose needs are met.
    fn start_ready(&mut self, target: &Target) {
        let ready: Vec<String> = target
            .needs
            .iter()
            .filter(|(id, needs)| {
                let idle = self.resources.get(*id).is_none_or(|resource| resource.work == Work::Idle);
                idle && !self.operation.done.contains(*id)
                    && needs.iter().all(|need| self.operation.done.contains(need))
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in ready {
            self.start(target, &id);
        }
    }

    fn start(&mut self, target: &Target, id: &str) {
        if !self.is_discarded(id) {
            return;
        }
        let declared = &target.template.resources[id];
        let evaluated =
            self.evaluate(&target.deployment, |scope| scope.properties(&target.template, &target.conditions, id));
        let policies =
            self.evaluate(&target.deployment, |scope| scope.policies(&target.template, &target.conditions, id));
        let metadata =
            self.evaluate(&target.deployment, |scope| scope.metadata(&target.template, &target.conditions, id));
        let evaluated = match (evaluated, policies, metadata) {
            (Ok(properties), Ok(policies), Ok(metadata)) => Ok((properties, policies, metadata)),
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => Err(error),
        };
        let needs = target.needs[id].clone();
        let now = self.tx.now;
        let (stack, fresh) = (self.stack.id.clone(), !self.resources.contains_key(id));
        if fresh {
            self.resources.insert(id.to_owned(), StackResource::new(&stack, id, &declared.type_name, now));
        }
        let action = match &evaluated {
            Ok((properties, policies, _)) => {
                let action = self.action(id, declared, properties, &target.deployment.tags);
                if action == Action::Update && policies.replaces && self.renews(id, properties) {
                    Action::Replace
                } else {
                    action
                }
            }
            Err(_) if fresh => Action::Create,
            Err(_) => Action::Update,
        };
        if action == Action::Create {
            self.mark(id, ResourceStatus::CreateInProgress, None);
        }
        let (properties, policies, metadata) = match evaluated {
            Ok(evaluated) => evaluated,
            Err(error) => {
                if action == Action::Update {
                    self.mark(id, ResourceStatus::UpdateInProgress, None);
                }
                return self.fail_with(id, &error.to_string());
            }
        };
        let tells = self.resources.get(id).is_some_and(|resource| !resource.fresh && resource.metadata != metadata);
        if let Some(resource) = self.resources.get_mut(id) {
            resource.remember();
            resource.metadata = metadata;
            resource.policies = policies;
            resource.signals = Signals::default();
        }
        match action {
            Action::Keep => {
                if let Some(thing) = self.resources.get_mut(id).and_then(|resource| resource.thing.as_mut()) {
                    thing.retain = retain(declared);
                    thing.needs = needs;
                }
                self.operation.done.insert(id.to_owned());
                if tells {
                    self.mark(id, ResourceStatus::UpdateInProgress, None);
                    self.mark(id, ResourceStatus::UpdateComplete, None);
                }
            }
            Action::Update | Action::Replace if let Some(words) = self.denied(id, declared, action) => {
                self.mark(id, ResourceStatus::UpdateInProgress, None);
                self.fail_with(id, &words);
            }
            Action::Replace if self.operation.keep_on_failure => {
                self.mark(id, ResourceStatus::UpdateInProgress, None);
                self.fail_with(id, "Replacement type updates not supported on stack with disable-rollback.");
            }
            Action::Replace if let Some(name) = self.own_name(id, &properties) => {
                self.mark(id, ResourceStatus::UpdateInProgress, None);
                self.fail_with(
                    id,
                    &format!(
                        "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename {name} and update the stack again."
                    ),
                );
            }
            Action::Update => {
                if let Some(resource) = self.resources.get_mut(id) {
                    resource.before = resource.before.take().or_else(|| resource.thing.clone());
                    if let Some(thing) = &mut resource.thing {
                        thing.retain = retain(declared);
                    }
                    resource.work = Work::Updating { to: properties, needs, tags: target.deployment.tags.clone() };
                }
                self.mark(id, ResourceStatus::UpdateInProgress, None);
                self.advance(id);
            }
            Action::Create => self.create(id, declared, properties, needs),
            Action::Replace => {
                let words = "Requested update requires the creation of a new physical resource; hence creating one.";
                self.mark(id, ResourceStatus::UpdateInProgress, Some(words));
                self.create(id, declared, properties, needs);
            }
        }
    }

    /// Why the stack's policy does not allow an action.
    fn denied(&self, id: &str, declared: &Resource, action: Action) -> Option<String> {
        let act = if action == Action::Replace { Act::Replace } else { Act::Modify };
        stack_policy::denial(self.policy()?, act, id, &declared.type_name)
    }

    /// The policy that holds for this operation.
    fn policy(&self) -> Option<&str> {
        self.operation.policy.as_deref().or(self.stack.policy.as_deref())
    }

    /// The name that the template gives a thing, where it would give it to another of its kind as well.
    fn own_name(&self, id: &str, properties: &Value) -> Option<String> {
        let thing = self.resources.get(id)?.thing.as_ref()?;
        let property = types::name_property(&thing.type_name)?;
        let name = properties.get(property)?;
        (thing.properties.get(property) == Some(name)).then(|| name.as_str().unwrap_or_default().to_owned())
    }

    /// The first resource that would leave the stack and may not, and why.
    fn must_stay(&self, target: &Target) -> Option<(String, String)> {
        let policy = self.policy().filter(|_| self.operation.kind == OperationKind::Update)?;
        let leaving = self.resources.values().filter(|resource| !target.needs.contains_key(&resource.logical_id));
        leaving.filter(|resource| resource.thing.is_some()).find_map(|resource| {
            let words = stack_policy::denial(policy, Act::Delete, &resource.logical_id, &resource.type_name)?;
            Some((resource.logical_id.clone(), words))
        })
    }

    /// Whether a group's change is one that its instances must be made anew for.
    fn renews(&self, id: &str, properties: &Value) -> bool {
        let thing = self.resources.get(id).and_then(|resource| resource.thing.as_ref());
        thing.is_some_and(|thing| {
            let differs = |name: &&str| thing.properties.get(*name) != properties.get(*name);
            ["LaunchTemplate", "MixedInstancesPolicy", "VPCZoneIdentifier"].iter().any(differs)
        })
    }

    fn action(&self, id: &str, declared: &Resource, properties: &Value, tags: &BTreeMap<String, String>) -> Action {
        let Some(resource) = self.resources.get(id) else { return Action::Create };
        let Some(thing) = &resource.thing else { return Action::Create };
        match change_of(&declared.type_name, thing, properties, tags) {
            // What an earlier update broke off is brought to an end, whatever is wanted now.
            Action::Keep if resource.attempted.is_some() || resource.roll.is_some() => Action::Update,
            action => action,
        }
    }

    fn create(&mut self, id: &str, declared: &Resource, properties: Value, needs: BTreeSet<String>) {
        let made = self.with_type(id, &declared.type_name, |known, cx| known.handler.create(cx, &properties));
        let physical = match made {
            Ok(physical) => physical,
            Err(failure) => return self.fail(id, &failure),
        };
        let status = if let Some(resource) = self.resources.get_mut(id) {
            let thing = Thing {
                id: physical,
                type_name: declared.type_name.clone(),
                properties,
                needs,
                stack_tags: self.operation.target.as_ref().map(|target| target.tags.clone()).unwrap_or_default(),
                retain: retain(declared),
                deleting: None,
            };
            resource.before = resource.thing.replace(thing);
            resource.replaced = resource.before.is_some();
            resource.signals = Signals::awaiting(resource.policies.creation.as_ref(), self.tx.now);
            resource.work = Work::Creating;
            resource.status
        } else {
            return;
        };
        self.mark(id, status, Some("Resource creation Initiated"));
        self.advance(id);
    }

    /// All resources are as wanted: outputs, then what is no longer wanted.
    fn arrive(&mut self, target: &Target) {
        let outputs = match self.outputs(&target.template, &target.deployment, &target.conditions) {
            Ok(outputs) => outputs,
            Err(error) => return self.roll_back(Some(&format!("{error}. "))),
        };
        if let Some((id, words)) = self.must_stay(target) {
            self.fail_with(&id, &words);
            return self.roll_back(None);
        }
        self.publish(outputs);
        self.stack.imports = std::mem::take(&mut self.operation.imports);
        let replaced = self.stack.current.replace(target.deployment.clone()).map(|deployment| deployment.text);
        self.forget_text(replaced.filter(|text| *text != target.deployment.text));
        let stable = self.stack.stable.take().map(|deployment| deployment.text);
        self.forget_text(stable);
        for resource in self.resources.values_mut() {
            let before = resource.before.take();
            resource.old.extend(before.filter(|_| resource.replaced));
            resource.replaced = false;
            resource.fresh = false;
            resource.found = None;
            resource.doomed = !target.needs.contains_key(&resource.logical_id);
        }
        match self.operation.kind {
            OperationKind::Create => self.status(StackStatus::CreateComplete, None),
            OperationKind::Update | OperationKind::Delete => {
                self.status(StackStatus::UpdateCompleteCleanupInProgress, None);
                self.operation.failed.clear();
                self.operation.phase =
                    Phase::Cleanup { end: StackStatus::UpdateComplete, failed: StackStatus::UpdateComplete };
            }
        }
    }
}

/// What an existing thing must go through to have these properties.
fn change_of(type_name: &str, thing: &Thing, properties: &Value, tags: &BTreeMap<String, String>) -> Action {
    let Some(known) = types::named(type_name) else { return Action::Keep };
    let was = known.with_stack_tags(&thing.properties, &thing.stack_tags);
    let changed = schema::changed(known.properties, &was, &known.with_stack_tags(properties, tags));
    if changed.is_empty() {
        return Action::Keep;
    }
    let replaces = changed.iter().any(|property| property.update == schema::Update::Replace);
    if replaces || known.handler.replaces(&thing.properties, properties) { Action::Replace } else { Action::Update }
}

/// Sizes that the template does not change are not given to the group again.
fn same_sizes_left_out(old: &mut Value, new: &mut Value) {
    for name in ["MinSize", "MaxSize", "DesiredCapacity"] {
        if old.get(name) == new.get(name)
            && let (Some(old), Some(new)) = (old.as_object_mut(), new.as_object_mut())
        {
            old.remove(name);
            new.remove(name);
        }
    }
}

/// The declared policies of a resource.
fn retain(declared: &Resource) -> Retain {
    Retain {
        on_delete: declared.deletion_policy != Policy::Delete,
        except_on_create: declared.deletion_policy == Policy::RetainExceptOnCreate,
        on_replace: declared.update_replace_policy == Policy::Retain,
    }
}
