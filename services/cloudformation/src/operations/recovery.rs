//! CancelUpdateStack, ContinueUpdateRollback, RollbackStack: ways out of an operation that does not arrive.

use zonal_cloud::Tx;
use zonal_wire::AwsError;

use super::{begin, find, operation};
use crate::errors::Error;
use crate::model::{Operation, OperationKind, Phase, ResourceStatus, StackResource, StackStatus};
use crate::shapes;

/// CancelUpdateStack.
pub fn cancel(
    tx: &mut Tx<'_>,
    input: &shapes::CancelUpdateStackInput,
) -> Result<shapes::CancelUpdateStackOutput, AwsError> {
    let stack = find(&tx.view(), &input.stack_name)?;
    let (id, status) = (stack.id.clone(), stack.status);
    if status != StackStatus::UpdateInProgress {
        return Err(Error::validation(format!(
            "CancelUpdateStack cannot be called from current stack status {status}"
        ))
        .into());
    }
    tx.update::<Operation, _>(&id, |operation| operation.cancelled = true);
    Ok(shapes::CancelUpdateStackOutput::default())
}

/// ContinueUpdateRollback.
pub fn continue_rollback(
    tx: &mut Tx<'_>,
    input: &shapes::ContinueUpdateRollbackInput,
) -> Result<shapes::ContinueUpdateRollbackOutput, AwsError> {
    let stack = find(&tx.view(), &input.stack_name)?.clone();
    if stack.status != StackStatus::UpdateRollbackFailed {
        return Err(Error::validation(format!(
            "Stack {} is in {} state and can not be continued.",
            stack.id, stack.status
        ))
        .into());
    }
    let failed = |id: &&String| {
        let resource = tx.get::<StackResource>(&StackResource::key_of(&stack.id, id));
        resource.is_some_and(|resource| resource.status == ResourceStatus::UpdateFailed)
    };
    if let Some(wrong) = input.resources_to_skip.iter().find(|id| !failed(id)) {
        return Err(Error::validation(format!(
            "Resource {wrong} can not be skipped: it is not in the UPDATE_FAILED state in stack {}",
            stack.id
        ))
        .into());
    }
    let mut operation = operation(tx, &stack, OperationKind::Update, None, input.client_request_token.as_deref());
    operation.phase = Phase::Restore;
    operation.skip = input.resources_to_skip.iter().cloned().collect();
    begin(tx, stack, operation, StackStatus::UpdateRollbackInProgress);
    Ok(shapes::ContinueUpdateRollbackOutput::default())
}

/// RollbackStack.
pub fn rollback(tx: &mut Tx<'_>, input: &shapes::RollbackStackInput) -> Result<shapes::RollbackStackOutput, AwsError> {
    let mut stack = find(&tx.view(), &input.stack_name)?.clone();
    let resources: Vec<StackResource> =
        tx.view().starting::<StackResource>(StackResource::key_of(&stack.id, "")).cloned().collect();
    // A creation that failed, and whose updates failed after it, goes back to nothing.
    let never_was = stack.status == StackStatus::CreateFailed || resources.iter().all(|resource| resource.fresh);
    let (kind, phase, status) = match stack.status {
        StackStatus::CreateFailed | StackStatus::UpdateFailed if never_was => {
            let phase = Phase::Cleanup { end: StackStatus::RollbackComplete, failed: StackStatus::RollbackFailed };
            (OperationKind::Create, phase, StackStatus::RollbackInProgress)
        }
        StackStatus::UpdateFailed => (OperationKind::Update, Phase::Restore, StackStatus::UpdateRollbackInProgress),
        other => {
            return Err(Error::validation(format!(
                "Stack {} is in {other} state and can not be rolled back.",
                stack.id
            ))
            .into());
        }
    };
    if kind == OperationKind::Create {
        for mut resource in resources {
            resource.doomed = true;
            tx.put(resource);
        }
    }
    // What it stands half-way to is what it comes from now.
    let left = match stack.stable.take() {
        Some(stable) => stack.current.replace(stable),
        None => None,
    };
    let mut operation = operation(tx, &stack, kind, left, input.client_request_token.as_deref());
    operation.phase = phase;
    operation.retain_except_on_create = input.retain_except_on_create.unwrap_or(false);
    let id = stack.id.clone();
    begin(tx, stack, operation, status);
    Ok(shapes::RollbackStackOutput { stack_id: Some(id), operation_id: None })
}
