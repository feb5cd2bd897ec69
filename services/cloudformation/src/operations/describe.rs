//! DescribeStacks, ListStacks.

use zonal_cloud::{View, pages};
use zonal_wire::AwsError;

use super::{capabilities, find, parameters, tag_list};
use crate::errors::Error;
use crate::model::{OnFailure, Operation, Stack, StackStatus};
use crate::shapes;

/// How many stacks a page has.
const PAGE: usize = 100;

/// DescribeStacks.
pub fn describe(
    view: &View<'_>,
    input: &shapes::DescribeStacksInput,
) -> Result<shapes::DescribeStacksOutput, AwsError> {
    if let Some(name) = &input.stack_name {
        return Ok(shapes::DescribeStacksOutput { stacks: vec![shape(view, find(view, name)?)], next_token: None });
    }
    let living = newest_first(view).filter(|(_, stack)| stack.status != StackStatus::DeleteComplete);
    let (stacks, next_token) = page(living, input.next_token.as_deref())?;
    Ok(shapes::DescribeStacksOutput {
        stacks: stacks.into_iter().map(|stack| shape(view, stack)).collect(),
        next_token,
    })
}

/// Whether the stack named is under way.
pub fn under_way(view: &View<'_>, input: &shapes::DescribeStacksInput) -> bool {
    let stack = input.stack_name.as_ref().and_then(|name| find(view, name).ok());
    stack.is_some_and(|stack| view.get::<Operation>(&stack.id).is_some())
}

/// ListStacks.
pub fn list(view: &View<'_>, input: &shapes::ListStacksInput) -> Result<shapes::ListStacksOutput, AwsError> {
    let wanted = &input.stack_status_filter;
    let stacks = newest_first(view).filter(|(_, stack)| wanted.is_empty() || wanted.contains(&stack.status));
    let (stacks, next_token) = page(stacks, input.next_token.as_deref())?;
    Ok(shapes::ListStacksOutput { stack_summaries: stacks.into_iter().map(summary).collect(), next_token })
}

/// Stacks with keys that sort the newest first.
fn newest_first<'v>(view: &View<'v>) -> impl Iterator<Item = (String, &'v Stack)> {
    let mut all: Vec<_> =
        view.list::<Stack>().map(|stack| (format!("{:020}/{}", i64::MAX - stack.created.0, stack.id), stack)).collect();
    all.sort_by(|(left, _), (right, _)| left.cmp(right));
    all.into_iter()
}

fn page<T>(items: impl Iterator<Item = (String, T)>, token: Option<&str>) -> Result<(Vec<T>, Option<String>), Error> {
    pages::page(items, token, Some(PAGE)).map_err(|_| Error::validation("Invalid NextToken"))
}

/// DescribeAccountLimits: the quotas that AWS gives a new account, and those that the engine keeps to.
pub fn limits(
    _: &View<'_>,
    _: &shapes::DescribeAccountLimitsInput,
) -> Result<shapes::DescribeAccountLimitsOutput, AwsError> {
    let limit = |(name, value): (&str, i32)| shapes::AccountLimit { name: Some(name.to_owned()), value: Some(value) };
    let all = [("ConcurrentResourcesLimit", 2500), ("StackLimit", 2000), ("StackOutputsLimit", 200)];
    Ok(shapes::DescribeAccountLimitsOutput { account_limits: all.into_iter().map(limit).collect(), next_token: None })
}

fn shape(view: &View<'_>, stack: &Stack) -> shapes::Stack {
    // While an update is under way its parameters are shown, as AWS does.
    let target = view.get::<Operation>(&stack.id).and_then(|operation| operation.target.as_ref());
    let deployment = target.or(stack.current.as_ref());
    shapes::Stack {
        stack_id: Some(stack.id.clone()),
        stack_name: stack.name.clone(),
        change_set_id: stack.change_set.clone(),
        description: deployment.and_then(|deployment| deployment.description.clone()),
        parameters: deployment.map(parameters).unwrap_or_default(),
        creation_time: stack.created,
        deletion_time: stack.deleted,
        last_updated_time: stack.updated,
        rollback_configuration: Some(super::rollback_shape(&stack.rollback)),
        stack_status: stack.status,
        stack_status_reason: stack.reason.clone(),
        disable_rollback: Some(stack.on_failure == OnFailure::DoNothing),
        notification_arns: deployment.map(|deployment| deployment.notification_arns.clone()).unwrap_or_default(),
        timeout_in_minutes: stack.timeout_minutes,
        capabilities: deployment.map(capabilities).unwrap_or_default(),
        outputs: stack.outputs.iter().map(output).collect(),
        role_arn: deployment.and_then(|deployment| deployment.role.clone()),
        tags: deployment.map(|deployment| tag_list(&deployment.tags)).unwrap_or_default(),
        enable_termination_protection: Some(stack.termination_protection),
        drift_information: Some(shapes::StackDriftInformation {
            stack_drift_status: stack.drift.map_or(shapes::StackDriftStatus::NotChecked, |drift| drift.status),
            last_check_timestamp: stack.drift.map(|drift| drift.at),
        }),
        ..Default::default()
    }
}

fn output(output: &crate::model::Output) -> shapes::Output {
    shapes::Output {
        output_key: Some(output.key.clone()),
        output_value: Some(output.value.clone()),
        description: output.description.clone(),
        export_name: output.export.clone(),
    }
}

fn summary(stack: &Stack) -> shapes::StackSummary {
    shapes::StackSummary {
        stack_id: Some(stack.id.clone()),
        stack_name: stack.name.clone(),
        template_description: stack.current.as_ref().and_then(|deployment| deployment.description.clone()),
        creation_time: stack.created,
        last_updated_time: stack.updated,
        deletion_time: stack.deleted,
        stack_status: stack.status,
        stack_status_reason: stack.reason.clone(),
        drift_information: Some(shapes::StackDriftInformationSummary {
            stack_drift_status: stack.drift.map_or(shapes::StackDriftStatus::NotChecked, |drift| drift.status),
            last_check_timestamp: stack.drift.map(|drift| drift.at),
        }),
        ..Default::default()
    }
}
