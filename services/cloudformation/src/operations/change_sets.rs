//! CreateChangeSet, DescribeChangeSet, ExecuteChangeSet, DeleteChangeSet, ListChangeSets.

use zonal_cloud::{Tx, View, ids};
use zonal_wire::AwsError;

use super::deployments::{Request, keep_text, prepare};
use super::lifecycle::{never, new_stack};
use super::{begin, must_be_updatable, must_keep_on_failure, operation, parameters, tag_list};
use crate::engine::{plan, record_event};
use crate::errors::Error;
use crate::model::{
    ChangeSet, ChangeSetStatus, ExecutionStatus, OnFailure, OperationKind, PlannedAction, PlannedChange,
    PlannedProperty, PlannedReplacement, Stack, StackStatus, TemplateText,
};
use crate::shapes;

const NO_CHANGES: &str =
    "The submitted information didn't contain changes. Submit different information to create a change set.";

/// The change set of that id, or of that name in a stack.
pub fn find<'v>(view: &View<'v>, name: &str, stack: Option<&str>) -> Result<&'v ChangeSet, Error> {
    let missing = || Error::ChangeSetNotFound(name.to_owned());
    if name.starts_with("arn:") {
        return view.get::<ChangeSet>(name).ok_or_else(missing);
    }
    let stack = stack
        .ok_or_else(|| Error::validation("StackName must be specified if ChangeSetName is not specified as an ARN."))?;
    let stack = super::find(view, stack)?;
    named(view, &stack.id, name).ok_or_else(missing)
}

/// A stack's change set of that name, which is part of its id.
fn named<'v>(view: &View<'v>, stack: &str, name: &str) -> Option<&'v ChangeSet> {
    let prefix = view.scope.arn("cloudformation", &format!("changeSet/{name}/"));
    view.starting::<ChangeSet>(prefix).find(|set| set.stack == stack)
}

/// CreateChangeSet. The plan is made at once: what AWS shows as pending first is complete here.
pub fn create(
    tx: &mut Tx<'_>,
    input: &shapes::CreateChangeSetInput,
) -> Result<shapes::CreateChangeSetOutput, AwsError> {
    refuse_imports(input)?;
    let creates = match input.change_set_type {
        None | Some(shapes::ChangeSetType::Update) => false,
        Some(shapes::ChangeSetType::Create) => true,
        Some(other) => return Err(Error::validation(format!("ChangeSetType {other} is not supported")).into()),
    };
    let existing = super::find(&tx.view(), &input.stack_name).ok().cloned();
    let (mut stack, is_new) = match (existing, creates) {
        (None, true) => (new_stack(tx, &input.stack_name, OnFailure::Rollback)?, true),
        (None, false) => return Err(Error::validation(format!("Stack [{}] does not exist", input.stack_name)).into()),
        (Some(stack), true) if stack.status == StackStatus::ReviewInProgress => (stack, false),
        (Some(_), true) => {
            let message = format!(
                "Stack [{}] already exists and cannot be created again with the changeSet [{}].",
                input.stack_name, input.change_set_name
            );
            return Err(Error::validation(message).into());
        }
        (Some(stack), false) => {
            must_be_updatable(&stack)?;
            (stack, false)
        }
    };
    let same = named(&tx.view(), &stack.id, &input.change_set_name).cloned();
    if let Some(same) = same {
        // One that has brought the stack where it is has done its work. `aws cloudformation deploy` names its change sets by
        // the second, and a stack can be deployed twice in one here.
        if stack.change_set.as_ref() != Some(&same.id) {
            return Err(Error::AlreadyExists(format!("ChangeSet {} already exists", input.change_set_name)).into());
        }
        forget(tx, &same, true);
    }
    let request = Request {
        body: input.template_body.as_deref(),
        url: input.template_url.as_deref(),
        previous: input.use_previous_template.unwrap_or(false),
        parameters: &input.parameters,
        capabilities: &input.capabilities,
        tags: &input.tags,
        notification_arns: &input.notification_arns,
        role: input.role_arn.as_deref(),
        resource_types: &input.resource_types,
    };
    let mut prepared = prepare(tx, Some(&stack), &request)?;
    let plan = plan::plan(tx, &stack, (&prepared.template, &prepared.text), &prepared.deployment, &never);
    let uuid = ids::uuid(tx.chance());
    let id = tx.scope.arn("cloudformation", &format!("changeSet/{}/{uuid}", input.change_set_name));
    if is_new {
        record_event(tx, &mut stack, None, StackStatus::ReviewInProgress, Some("User Initiated"));
    }
    keep_text(tx, &mut stack, &mut prepared);
    let (status, reason, execution, changes) = match plan {
        // What failed half-way is tried again, though nothing else changes.
        Ok(plan) if plan.changes_anything || stack.is_half_way() => {
            (ChangeSetStatus::CreateComplete, None, ExecutionStatus::Available, plan.changes)
        }
        Ok(_) => (ChangeSetStatus::Failed, Some(NO_CHANGES.to_owned()), ExecutionStatus::Unavailable, Vec::new()),
        Err(error) => (ChangeSetStatus::Failed, Some(error.to_string()), ExecutionStatus::Unavailable, Vec::new()),
    };
    let stack_id = stack.id.clone();
    tx.put(ChangeSet {
        id: id.clone(),
        name: input.change_set_name.clone(),
        stack: stack_id.clone(),
        creates,
        description: input.description.clone(),
        created: tx.now,
        status,
        reason,
        execution,
        target: prepared.deployment,
        changes,
        rollback: input.rollback_configuration.as_ref().map(|given| super::rollback(tx, given)).transpose()?,
        on_failure: input.on_stack_failure.map(|on_failure| match on_failure {
            shapes::OnStackFailure::DoNothing => OnFailure::DoNothing,
            shapes::OnStackFailure::Rollback => OnFailure::Rollback,
            shapes::OnStackFailure::Delete => OnFailure::Delete,
        }),
    });
    tx.put(stack);
    Ok(shapes::CreateChangeSetOutput { id: Some(id), stack_id: Some(stack_id) })
}

/// Refuses, by name, what would take in things that are there, or put drift right.
fn refuse_imports(input: &shapes::CreateChangeSetInput) -> Result<(), Error> {
    let asked = [
        ("ResourcesToImport", !input.resources_to_import.is_empty()),
        ("ImportExistingResources", input.import_existing_resources == Some(true)),
        ("DeploymentMode", input.deployment_mode.is_some()),
    ];
    match asked.into_iter().find(|(_, asked)| *asked) {
        None => Ok(()),
        Some((name, _)) => Err(Error::validation(format!("{name} is not supported: resources are not imported here"))),
    }
}

/// DescribeChangeSet.
pub fn describe(
    view: &View<'_>,
    input: &shapes::DescribeChangeSetInput,
) -> Result<shapes::DescribeChangeSetOutput, AwsError> {
    let set = find(view, &input.change_set_name, input.stack_name.as_deref())?;
    let stack = view.get::<Stack>(&set.stack);
    let values = input.include_property_values.unwrap_or(false);
    Ok(shapes::DescribeChangeSetOutput {
        change_set_name: Some(set.name.clone()),
        change_set_id: Some(set.id.clone()),
        stack_id: Some(set.stack.clone()),
        stack_name: stack.map(|stack| stack.name.clone()),
        description: set.description.clone(),
        parameters: parameters(&set.target),
        creation_time: Some(set.created),
        execution_status: Some(execution(set, stack)),
        status: Some(set.status),
        status_reason: set.reason.clone(),
        notification_arns: set.target.notification_arns.clone(),
        rollback_configuration: set.rollback.as_ref().or(stack.map(|stack| &stack.rollback)).map(super::rollback_shape),
        capabilities: super::capabilities(&set.target),
        tags: tag_list(&set.target.tags),
        changes: set.changes.iter().map(|change| shape(change, values)).collect(),
        include_nested_stacks: Some(false),
        ..Default::default()
    })
}

/// How far the execution is: the stack tells, once it has been brought to the change set.
fn execution(set: &ChangeSet, stack: Option<&Stack>) -> ExecutionStatus {
    let executed = stack.filter(|stack| stack.change_set.as_ref() == Some(&set.id));
    match executed.map(|stack| stack.status) {
        None => set.execution,
        Some(StackStatus::CreateComplete | StackStatus::UpdateComplete) => ExecutionStatus::ExecuteComplete,
        Some(status) if crate::engine::is_in_progress(status) => ExecutionStatus::ExecuteInProgress,
        Some(_) => ExecutionStatus::ExecuteFailed,
    }
}

fn shape(change: &PlannedChange, values: bool) -> shapes::Change {
    use shapes::{ChangeAction, PolicyAction, Replacement, ResourceAttribute};
    let (action, replacement, properties, metadata) = match &change.action {
        PlannedAction::Add => (ChangeAction::Add, None, &[][..], false),
        PlannedAction::Remove { .. } => (ChangeAction::Remove, None, &[][..], false),
        PlannedAction::Modify { replacement, properties, metadata } => {
            let replacement = match replacement {
                PlannedReplacement::Never => Replacement::False,
                PlannedReplacement::Conditionally => Replacement::Conditional,
                PlannedReplacement::Always => Replacement::True,
            };
            (ChangeAction::Modify, Some(replacement), &properties[..], *metadata)
        }
    };
    let policy_action = match &change.action {
        PlannedAction::Remove { retain: true } => Some(PolicyAction::Retain),
        PlannedAction::Remove { retain: false } => Some(PolicyAction::Delete),
        PlannedAction::Modify { replacement: PlannedReplacement::Always, .. } => Some(PolicyAction::ReplaceAndDelete),
        PlannedAction::Modify { .. } | PlannedAction::Add => None,
    };
    let tags = |property: &&PlannedProperty| property.name == "Tags";
    let mut scope = Vec::new();
    if properties.iter().any(|property| !tags(&property)) {
        scope.push(ResourceAttribute::Properties);
    }
    if properties.iter().any(|property| tags(&property)) {
        scope.push(ResourceAttribute::Tags);
    }
    if metadata {
        scope.push(ResourceAttribute::Metadata);
    }
    let resource_change = shapes::ResourceChange {
        policy_action,
        action: Some(action),
        logical_resource_id: Some(change.logical_id.clone()),
        physical_resource_id: change.physical_id.clone(),
        resource_type: Some(change.type_name.clone()),
        replacement,
        scope,
        details: properties
            .iter()
            .map(|property| detail(property, values))
            .chain(metadata.then(metadata_detail))
            .collect(),
        ..Default::default()
    };
    shapes::Change {
        type_: Some(shapes::ChangeType::Resource),
        hook_invocation_count: None,
        resource_change: Some(resource_change),
    }
}

/// What of a change is in `Metadata`.
fn metadata_detail() -> shapes::ResourceChangeDetail {
    shapes::ResourceChangeDetail {
        target: Some(shapes::ResourceTargetDefinition {
            attribute: Some(shapes::ResourceAttribute::Metadata),
            requires_recreation: Some(shapes::RequiresRecreation::Never),
            ..Default::default()
        }),
        evaluation: Some(shapes::EvaluationType::Static),
        change_source: Some(shapes::ChangeSource::DirectModification),
        causing_entity: None,
    }
}

fn detail(property: &PlannedProperty, values: bool) -> shapes::ResourceChangeDetail {
    use shapes::{ChangeSource, EvaluationType, RequiresRecreation, ResourceAttribute};
    // Tags are an attribute of their own, without a name.
    let is_tags = property.name == "Tags";
    let requires_recreation = match property.replacement {
        PlannedReplacement::Never => RequiresRecreation::Never,
        PlannedReplacement::Conditionally => RequiresRecreation::Conditionally,
        PlannedReplacement::Always => RequiresRecreation::Always,
    };
    shapes::ResourceChangeDetail {
        target: Some(shapes::ResourceTargetDefinition {
            attribute: Some(if is_tags { ResourceAttribute::Tags } else { ResourceAttribute::Properties }),
            name: (!is_tags).then(|| property.name.clone()),
            requires_recreation: Some(requires_recreation),
            path: values.then(|| format!("/Properties/{}", property.name)),
            before_value: property.before.clone().filter(|_| values),
            after_value: property.after.clone().filter(|_| values),
            ..Default::default()
        }),
        evaluation: Some(if property.known { EvaluationType::Static } else { EvaluationType::Dynamic }),
        change_source: Some(match (property.known, &property.cause) {
            (false, _) => ChangeSource::ResourceReference,
            (true, Some(_)) => ChangeSource::ParameterReference,
            (true, None) => ChangeSource::DirectModification,
        }),
        causing_entity: property.cause.clone(),
    }
}

/// ExecuteChangeSet.
pub fn execute(
    tx: &mut Tx<'_>,
    input: &shapes::ExecuteChangeSetInput,
) -> Result<shapes::ExecuteChangeSetOutput, AwsError> {
    let set = find(&tx.view(), &input.change_set_name, input.stack_name.as_deref())?.clone();
    if set.execution != ExecutionStatus::Available {
        let message = format!("ChangeSet [{}] cannot be executed in its current status of [{}]", set.id, set.status);
        return Err(Error::ChangeSetStatus(message).into());
    }
    let mut stack = tx.get::<Stack>(&set.stack).cloned().ok_or_else(|| Error::no_stack(&set.stack))?;
    let (kind, status) = if set.creates {
        stack.created = tx.now;
        stack.current = Some(set.target.clone());
        (OperationKind::Create, StackStatus::CreateInProgress)
    } else {
        must_be_updatable(&stack)?;
        (OperationKind::Update, StackStatus::UpdateInProgress)
    };
    stack.updated = Some(tx.now);
    stack.change_set = Some(set.id.clone());
    stack.rollback = set.rollback.clone().unwrap_or(stack.rollback);
    stack.on_failure = set.on_failure.unwrap_or(stack.on_failure);
    let mut operation = operation(tx, &stack, kind, Some(set.target.clone()), input.client_request_token.as_deref());
    operation.keep_on_failure = input.disable_rollback.unwrap_or(false) || set.on_failure == Some(OnFailure::DoNothing);
    operation.retain_except_on_create = input.retain_except_on_create.unwrap_or(false);
    must_keep_on_failure(&stack, &operation)?;
    // The others were planned from what the stack is about to be no more.
    let others: Vec<ChangeSet> =
        tx.list::<ChangeSet>().filter(|other| other.stack == set.stack && other.id != set.id).cloned().collect();
    others.iter().for_each(|other| forget(tx, other, true));
    tx.update::<ChangeSet, _>(&set.id, |set| set.execution = ExecutionStatus::ExecuteInProgress);
    begin(tx, stack, operation, status);
    Ok(shapes::ExecuteChangeSetOutput::default())
}

/// DeleteChangeSet. One that is not there is deleted.
pub fn delete(
    tx: &mut Tx<'_>,
    input: &shapes::DeleteChangeSetInput,
) -> Result<shapes::DeleteChangeSetOutput, AwsError> {
    let set = match find(&tx.view(), &input.change_set_name, input.stack_name.as_deref()) {
        Ok(set) => set.clone(),
        Err(Error::ChangeSetNotFound(_)) => return Ok(shapes::DeleteChangeSetOutput::default()),
        Err(error) => return Err(error.into()),
    };
    if execution(&set, tx.get::<Stack>(&set.stack)) == ExecutionStatus::ExecuteInProgress {
        let message = format!("ChangeSet [{}] cannot be deleted in its current status of [{}]", set.id, set.status);
        return Err(Error::ChangeSetStatus(message).into());
    }
    forget(tx, &set, true);
    Ok(shapes::DeleteChangeSetOutput::default())
}

/// Drops a change set, and its text unless the stack has it now.
fn forget(tx: &mut Tx<'_>, set: &ChangeSet, with_text: bool) {
    let current =
        tx.get::<Stack>(&set.stack).and_then(|stack| stack.current.as_ref()).map(|deployment| deployment.text);
    if with_text && current != Some(set.target.text) {
        tx.remove::<TemplateText>(&TemplateText::key_of(&set.stack, set.target.text));
    }
    tx.remove::<ChangeSet>(&set.id);
}

/// Drops all change sets of a stack.
pub fn forget_all(tx: &mut Tx<'_>, stack: &str) {
    let all: Vec<ChangeSet> = tx.list::<ChangeSet>().filter(|set| set.stack == stack).cloned().collect();
    all.iter().for_each(|set| forget(tx, set, true));
}

/// ListChangeSets.
pub fn list(view: &View<'_>, input: &shapes::ListChangeSetsInput) -> Result<shapes::ListChangeSetsOutput, AwsError> {
    let stack = super::find(view, &input.stack_name)?;
    let summaries = view
        .list::<ChangeSet>()
        .filter(|set| set.stack == stack.id)
        .map(|set| shapes::ChangeSetSummary {
            stack_id: Some(set.stack.clone()),
            stack_name: Some(stack.name.clone()),
            change_set_id: Some(set.id.clone()),
            change_set_name: Some(set.name.clone()),
            execution_status: Some(execution(set, Some(stack))),
            status: Some(set.status),
            status_reason: set.reason.clone(),
            creation_time: Some(set.created),
            description: set.description.clone(),
            include_nested_stacks: Some(false),
            ..Default::default()
        })
        .collect();
    Ok(shapes::ListChangeSetsOutput { summaries, next_token: None })
}
