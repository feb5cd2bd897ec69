//! CreateStack, UpdateStack, DeleteStack.

use zonal_cloud::{Tx, ids};
use zonal_wire::AwsError;

use super::deployments::{Request, keep_text, must_be_acknowledged, prepare};
use super::{begin, find, must_be_updatable, must_keep_on_failure, operation, rollback};
use crate::engine::{outputs_in_use, plan, record_event};
use crate::errors::Error;
use crate::model::{OnFailure, Operation, OperationKind, Stack, StackResource, StackStatus, Work};
use crate::shapes;

/// CreateStack.
pub fn create(tx: &mut Tx<'_>, input: &shapes::CreateStackInput) -> Result<shapes::CreateStackOutput, AwsError> {
    if find(&tx.view(), &input.stack_name).is_ok() {
        return Err(Error::AlreadyExists(format!("Stack [{}] already exists", input.stack_name)).into());
    }
    super::policies::valid(input.stack_policy_body.as_deref())?;
    super::policies::inline("StackPolicyURL", input.stack_policy_url.as_deref())?;
    let on_failure = match (input.on_failure, input.disable_rollback) {
        (Some(_), Some(_)) => {
            return Err(Error::validation("You can specify either DisableRollback or OnFailure, but not both.").into());
        }
        (Some(shapes::OnFailure::DoNothing), _) | (None, Some(true)) => OnFailure::DoNothing,
        (Some(shapes::OnFailure::Delete), _) => OnFailure::Delete,
        (Some(shapes::OnFailure::Rollback), _) | (None, _) => OnFailure::Rollback,
    };
    let mut stack = new_stack(tx, &input.stack_name, on_failure)?;
    let request = Request {
        body: input.template_body.as_deref(),
        url: input.template_url.as_deref(),
        previous: false,
        parameters: &input.parameters,
        capabilities: &input.capabilities,
        tags: &input.tags,
        notification_arns: &input.notification_arns,
        role: input.role_arn.as_deref(),
        resource_types: &input.resource_types,
    };
    let mut prepared = prepare(tx, None, &request)?;
    must_be_acknowledged(&prepared, &input.capabilities)?;
    plan::plan(tx, &stack, (&prepared.template, &prepared.text), &prepared.deployment, &never).map_err(Error::from)?;
    keep_text(tx, &mut stack, &mut prepared);
    stack.termination_protection = input.enable_termination_protection.unwrap_or(false);
    stack.timeout_minutes = input.timeout_in_minutes;
    if let Some(given) = &input.rollback_configuration {
        stack.rollback = rollback(tx, given)?;
    }
    stack.policy = input.stack_policy_body.clone();
    stack.current = Some(prepared.deployment.clone());
    let token = input.client_request_token.as_deref();
    let mut operation = operation(tx, &stack, OperationKind::Create, Some(prepared.deployment), token);
    operation.retain_except_on_create = input.retain_except_on_create.unwrap_or(false);
    let id = stack.id.clone();
    begin(tx, stack, operation, StackStatus::CreateInProgress);
    Ok(shapes::CreateStackOutput { stack_id: Some(id), operation_id: None })
}

/// A stack that has nothing yet.
pub fn new_stack(tx: &mut Tx<'_>, name: &str, on_failure: OnFailure) -> Result<Stack, Error> {
    let fits = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !fits {
        return Err(Error::validation(format!(
            "1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )));
    }
    if name.len() > 128 {
        return Err(Error::validation(format!(
            "1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must have length less than or equal to 128"
        )));
    }
    let uuid = ids::uuid(tx.chance());
    Ok(Stack {
        id: tx.scope.arn("cloudformation", &format!("stack/{name}/{uuid}")),
        name: name.to_owned(),
        created: tx.now,
        updated: None,
        deleted: None,
        status: StackStatus::ReviewInProgress,
        reason: None,
        current: None,
        outputs: Vec::new(),
        imports: Default::default(),
        change_set: None,
        termination_protection: false,
        on_failure,
        policy: None,
        stable: None,
        hidden: Default::default(),
        timeout_minutes: None,
        drift: None,
        rollback: Default::default(),
        texts: 0,
        events: 0,
    })
}

/// No call fails while planning: it changes nothing.
pub fn never(_: &str) -> Option<AwsError> {
    None
}

/// UpdateStack.
pub fn update(tx: &mut Tx<'_>, input: &shapes::UpdateStackInput) -> Result<shapes::UpdateStackOutput, AwsError> {
    let mut stack = find(&tx.view(), &input.stack_name)
        .cloned()
        .map_err(|_| Error::validation(format!("Stack [{}] does not exist", input.stack_name)))?;
    must_be_updatable(&stack)?;
    super::policies::valid(input.stack_policy_body.as_deref())?;
    super::policies::valid(input.stack_policy_during_update_body.as_deref())?;
    super::policies::inline("StackPolicyURL", input.stack_policy_url.as_deref())?;
    super::policies::inline("StackPolicyDuringUpdateURL", input.stack_policy_during_update_url.as_deref())?;
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
    must_be_acknowledged(&prepared, &input.capabilities)?;
    let plan = plan::plan(tx, &stack, (&prepared.template, &prepared.text), &prepared.deployment, &never)
        .map_err(Error::from)?;
    if !plan.changes_anything && !stack.is_half_way() {
        return Err(Error::validation("No updates are to be performed.").into());
    }
    keep_text(tx, &mut stack, &mut prepared);
    stack.updated = Some(tx.now);
    stack.policy = input.stack_policy_body.clone().or(stack.policy);
    if let Some(given) = &input.rollback_configuration {
        stack.rollback = rollback(tx, given)?;
    }
    let token = input.client_request_token.as_deref();
    let mut operation = operation(tx, &stack, OperationKind::Update, Some(prepared.deployment), token);
    operation.policy = input.stack_policy_during_update_body.clone();
    operation.keep_on_failure = input.disable_rollback.unwrap_or(false);
    operation.retain_except_on_create = input.retain_except_on_create.unwrap_or(false);
    must_keep_on_failure(&stack, &operation)?;
    let id = stack.id.clone();
    begin(tx, stack, operation, StackStatus::UpdateInProgress);
    Ok(shapes::UpdateStackOutput { stack_id: Some(id), operation_id: None })
}

/// DeleteStack. A stack that is not there is deleted.
pub fn delete(tx: &mut Tx<'_>, input: &shapes::DeleteStackInput) -> Result<shapes::DeleteStackOutput, AwsError> {
    let Ok(stack) = find(&tx.view(), &input.stack_name).cloned() else {
        return Ok(shapes::DeleteStackOutput::default());
    };
    use StackStatus::*;
    match stack.status {
        DeleteComplete | DeleteInProgress => return Ok(shapes::DeleteStackOutput::default()),
        UpdateInProgress
        | UpdateCompleteCleanupInProgress
        | UpdateRollbackInProgress
        | UpdateRollbackCompleteCleanupInProgress => {
            let message = format!("Stack [{}] cannot be deleted while in status {}", stack.name, stack.status);
            return Err(Error::validation(message).into());
        }
        _ => {}
    }
    if stack.termination_protection {
        let message = format!("Stack [{}] cannot be deleted while TerminationProtection is enabled", stack.name);
        return Err(Error::validation(message).into());
    }
    if !input.retain_resources.is_empty() && stack.status != DeleteFailed {
        return Err(Error::validation(
            "Invalid operation on stack. RetainResources can only be specified for a stack in the DELETE_FAILED state.",
        )
        .into());
    }
    let forced = input.deletion_mode == Some(shapes::DeletionMode::ForceDeleteStack);
    if forced && stack.status != DeleteFailed {
        return Err(Error::validation(
            "Invalid operation on stack. FORCE_DELETE_STACK can only be specified for a stack in the DELETE_FAILED state.",
        )
        .into());
    }
    let gone = |id: &&String| {
        let resource = tx.get::<StackResource>(&StackResource::key_of(&stack.id, id));
        resource.is_none_or(|resource| resource.status == shapes::ResourceStatus::DeleteComplete)
    };
    if input.retain_resources.iter().any(|id| gone(&id)) {
        return Err(Error::validation(
            "The specified resources to retain must be in a valid state. Do not specify resources that are in the DELETE_COMPLETE state.",
        )
        .into());
    }
    remove(tx, stack, input, forced);
    Ok(shapes::DeleteStackOutput::default())
}

fn remove(tx: &mut Tx<'_>, mut stack: Stack, input: &shapes::DeleteStackInput, forced: bool) {
    let token = input.client_request_token.as_deref();
    let resources: Vec<StackResource> =
        tx.view().starting::<StackResource>(StackResource::key_of(&stack.id, "")).cloned().collect();
    super::change_sets::forget_all(tx, &stack.id);
    stack.deleted = Some(tx.now);
    if let Some((export, users)) = outputs_in_use(tx, &stack.id) {
        record_event(tx, &mut stack, token, StackStatus::DeleteInProgress, Some("User Initiated"));
        let reason =
            format!("Delete canceled. Cannot delete export {export} as it is in use by {}.", users.join(" and "));
        record_event(tx, &mut stack, token, StackStatus::DeleteFailed, Some(&reason));
        tx.remove::<Operation>(&stack.id);
        tx.put(stack);
        return;
    }
    for mut resource in resources {
        resource.doomed = true;
        resource.work = Work::Idle;
        tx.put(resource);
    }
    let mut operation = operation(tx, &stack, OperationKind::Delete, None, token);
    operation.skip = input.retain_resources.iter().cloned().collect();
    operation.forced = forced;
    begin(tx, stack, operation, StackStatus::DeleteInProgress);
}
