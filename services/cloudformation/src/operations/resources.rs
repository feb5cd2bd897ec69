//! DescribeStackResource, DescribeStackResources, ListStackResources.

use zonal_cloud::{Tx, View, pages};
use zonal_wire::AwsError;

use super::{drift, find};
use crate::engine::{Subject, is_in_progress, record_resource_event};
use crate::errors::Error;
use crate::model::{Operation, Stack, StackResource};
use crate::secrets::Secrets;
use crate::shapes;

/// How many resources a page has.
const PAGE: usize = 100;

fn of<'v>(view: &View<'v>, stack: &Stack) -> Vec<&'v StackResource> {
    view.starting::<StackResource>(StackResource::key_of(&stack.id, "")).collect()
}

/// DescribeStackResource.
pub fn describe_one(
    view: &View<'_>,
    input: &shapes::DescribeStackResourceInput,
) -> Result<shapes::DescribeStackResourceOutput, AwsError> {
    let stack = find(view, &input.stack_name)
        .map_err(|_| Error::validation(format!("Stack '{}' does not exist", input.stack_name)))?;
    let missing =
        || Error::validation(format!("Resource {} does not exist for stack {}", input.logical_resource_id, stack.name));
    let resource =
        view.get::<StackResource>(&StackResource::key_of(&stack.id, &input.logical_resource_id)).ok_or_else(missing)?;
    let detail = shapes::StackResourceDetail {
        stack_name: Some(stack.name.clone()),
        stack_id: Some(stack.id.clone()),
        logical_resource_id: resource.logical_id.clone(),
        physical_resource_id: resource.physical_id().map(str::to_owned),
        resource_type: resource.type_name.clone(),
        last_updated_timestamp: resource.since,
        resource_status: resource.status,
        resource_status_reason: resource.reason.clone(),
        metadata: resource.metadata.clone(),
        drift_information: Some(drift::of_resource(resource)),
        ..Default::default()
    };
    Ok(shapes::DescribeStackResourceOutput { stack_resource_detail: Some(detail) })
}

/// DescribeStackResources: of a stack, or of the stack that has a physical id.
pub fn describe(
    view: &View<'_>,
    input: &shapes::DescribeStackResourcesInput,
) -> Result<shapes::DescribeStackResourcesOutput, AwsError> {
    let stack = match (&input.stack_name, &input.physical_resource_id) {
        (Some(name), None) => find(view, name)?,
        (None, Some(physical)) => {
            let owner = view.list::<StackResource>().find(|resource| resource.physical_id() == Some(physical));
            let owner = owner.and_then(|resource| view.get::<Stack>(&resource.stack));
            owner.ok_or_else(|| Error::validation(format!("Stack for {physical} does not exist")))?
        }
        (Some(_), Some(_)) => {
            return Err(Error::validation("StackName and PhysicalResourceId can't be used together").into());
        }
        (None, None) => {
            return Err(Error::validation("Either StackName or PhysicalResourceId must be specified").into());
        }
    };
    let wanted =
        |resource: &&&StackResource| input.logical_resource_id.as_ref().is_none_or(|id| *id == resource.logical_id);
    let stack_resources: Vec<shapes::StackResource> = of(view, stack)
        .iter()
        .filter(wanted)
        .map(|resource| shapes::StackResource {
            stack_name: Some(stack.name.clone()),
            stack_id: Some(stack.id.clone()),
            logical_resource_id: resource.logical_id.clone(),
            physical_resource_id: resource.physical_id().map(str::to_owned),
            resource_type: resource.type_name.clone(),
            timestamp: resource.since,
            resource_status: resource.status,
            resource_status_reason: resource.reason.clone(),
            drift_information: Some(drift::of_resource(resource)),
            ..Default::default()
        })
        .collect();
    Ok(shapes::DescribeStackResourcesOutput { stack_resources })
}

/// ListStackResources.
pub fn list(
    view: &View<'_>,
    input: &shapes::ListStackResourcesInput,
) -> Result<shapes::ListStackResourcesOutput, AwsError> {
    let stack = find(view, &input.stack_name)?;
    let all = of(view, stack).into_iter().map(|resource| (resource.logical_id.clone(), resource));
    let (resources, next_token) = pages::page(all, input.next_token.as_deref(), Some(PAGE))
        .map_err(|_| Error::validation("Invalid NextToken"))?;
    let stack_resource_summaries = resources
        .into_iter()
        .map(|resource| shapes::StackResourceSummary {
            logical_resource_id: resource.logical_id.clone(),
            physical_resource_id: resource.physical_id().map(str::to_owned),
            resource_type: resource.type_name.clone(),
            last_updated_timestamp: resource.since,
            resource_status: resource.status,
            resource_status_reason: resource.reason.clone(),
            drift_information: Some(drift::summary_of(resource)),
            ..Default::default()
        })
        .collect();
    Ok(shapes::ListStackResourcesOutput { stack_resource_summaries, next_token })
}

/// SignalResource.
pub fn signal(tx: &mut Tx<'_>, input: &shapes::SignalResourceInput) -> Result<shapes::SignalResourceOutput, AwsError> {
    let mut stack = find(&tx.view(), &input.stack_name)
        .map_err(|_| Error::validation(format!("Stack '{}' does not exist", input.stack_name)))?
        .clone();
    let key = StackResource::key_of(&stack.id, &input.logical_resource_id);
    let Some(resource) = tx.get::<StackResource>(&key).cloned() else {
        let message = format!("Resource {} does not exist for stack {}", input.logical_resource_id, stack.name);
        return Err(Error::validation(message).into());
    };
    if !is_in_progress(stack.status) {
        let message = format!("Stack:{} is in {} state and can not be signaled", stack.id, stack.status);
        return Err(Error::validation(message).into());
    }
    let success = input.status == shapes::ResourceSignalStatus::Success;
    // The first signal of each id counts, another is nothing new.
    if resource.signals.received.contains_key(&input.unique_id) {
        return Ok(shapes::SignalResourceOutput::default());
    }
    let under_way = tx.get::<Operation>(&stack.id);
    let token = under_way.and_then(|under_way| under_way.token.clone());
    let secrets = Secrets::of(&stack, under_way.and_then(|under_way| under_way.target.as_ref()));
    let properties = resource.thing.as_ref().map(|thing| secrets.masked(thing.properties.clone()));
    let words = format!("Received {} signal with UniqueId {}", input.status, input.unique_id);
    let subject = Subject {
        logical_id: &resource.logical_id,
        physical_id: resource.physical_id(),
        type_name: &resource.type_name,
        properties: properties.as_ref(),
    };
    record_resource_event(tx, &mut stack, token.as_deref(), &subject, resource.status, Some(&words));
    tx.update::<StackResource, _>(&key, |resource| {
        resource.signals.received.insert(input.unique_id.clone(), success);
    });
    tx.update::<Operation, _>(&stack.id, |operation| operation.signals += 1);
    tx.put(stack);
    Ok(shapes::SignalResourceOutput::default())
}
