//! DescribeStackEvents.

use zonal_cloud::{View, pages};
use zonal_wire::AwsError;

use super::find;
use crate::errors::Error;
use crate::model::StackEvent;
use crate::shapes;

/// How many events a page has.
const PAGE: usize = 100;

/// DescribeStackEvents: the newest first.
pub fn describe(
    view: &View<'_>,
    input: &shapes::DescribeStackEventsInput,
) -> Result<shapes::DescribeStackEventsOutput, AwsError> {
    let stack = find(view, &input.stack_name)
        .map_err(|_| Error::validation(format!("Stack [{}] does not exist", input.stack_name)))?;
    let events: Vec<&StackEvent> = view.starting::<StackEvent>(StackEvent::prefix_of(&stack.id)).collect();
    let numbered =
        events.into_iter().enumerate().map(|(number, event)| (format!("{:012}", usize::MAX / 2 - number), event));
    let mut newest: Vec<_> = numbered.collect();
    newest.reverse();
    let (events, next_token) = pages::page(newest, input.next_token.as_deref(), Some(PAGE))
        .map_err(|_| Error::validation("Invalid NextToken"))?;
    let stack_events = events
        .into_iter()
        .map(|event| shapes::StackEvent {
            stack_id: event.stack.clone(),
            event_id: event.id.clone(),
            stack_name: stack.name.clone(),
            logical_resource_id: Some(event.logical_id.clone()),
            physical_resource_id: Some(event.physical_id.clone().unwrap_or_default()),
            resource_type: Some(event.type_name.clone()),
            timestamp: event.at,
            resource_status: Some(event.status),
            resource_status_reason: event.reason.clone(),
            resource_properties: event.properties.clone(),
            client_request_token: event.token.clone(),
            ..Default::default()
        })
        .collect();
    Ok(shapes::DescribeStackEventsOutput { stack_events, next_token })
}
